"""What a label's key and value may look like, with upstream's sentences (apimachinery pkg/api/validate/content)."""

import re
from functools import lru_cache

_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"

_NAME_RE = re.compile(rf"{_NAME}\Z")
_VALUE_RE = re.compile(rf"({_NAME})?\Z")
_SUBDOMAIN_RE = re.compile(rf"{_SUBDOMAIN}\Z")

LONGEST_KEY = 253 + 1 + 63

_NAME_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_NAME})?')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)


def key_errors(key: str) -> list[str]:
    """Why it is no label key (a name with an optional DNS prefix); [] if it is one."""
    return [] if len(key) <= LONGEST_KEY and _is_key(key) else _key_errors(key)


@lru_cache(4096)
def _is_key(key: str) -> bool:
    """The same few keys stand in most objects."""
    return not _key_errors(key)


def _key_errors(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        suffix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {_NAME_WORDS} {suffix}"]
    errors = _prefix_errors(prefix) if slash else []
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        errors.append("name part must be no more than 63 bytes")
    if not _NAME_RE.match(name):
        errors.append(f"name part {_NAME_WORDS}")
    return errors


def _prefix_errors(prefix: str) -> list[str]:
    if not prefix:
        return ["prefix part must be non-empty"]
    errors = ["prefix part must be no more than 253 bytes"] if len(prefix.encode()) > 253 else []
    if not _SUBDOMAIN_RE.match(prefix):
        errors.append(f"prefix part {_SUBDOMAIN_WORDS}")
    return errors


def value_errors(value: str) -> list[str]:
    """Why it is no label value; [] if it is one."""
    errors = ["must be no more than 63 bytes"] if len(value.encode()) > 63 else []
    if not _VALUE_RE.match(value):
        errors.append(_VALUE_WORDS)
    return errors
