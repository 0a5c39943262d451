"""What names may look like: each rule returns upstream's sentences about a value, [] when it is fine.

Source: apimachinery pkg/util/validation and pkg/api/validate/content.
"""

import re
from collections.abc import Callable

from skiff.api import labels

NameRule = Callable[[str], list[str]]

is_qualified_name = labels.key_errors
is_label_value = labels.value_errors

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORE_SUBDOMAIN = rf"{_UNDERSCORE_LABEL}(\.{_UNDERSCORE_LABEL})*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_ENDS = "and must start and end with an alphanumeric character"
_LABEL_WORDS = f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}"
_SUBDOMAIN_WORDS = (
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_ENDS}"
)
_UNDERSCORE_WORDS = (
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', {_ENDS}"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_WILDCARD_WORDS = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower "
    "case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_CONFIG_KEY_WORDS = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_HEADER_WORDS = "a valid HTTP header must consist of alphanumeric characters or '-'"
_PERCENT_WORDS = "a valid percent string must be a numeric string followed by an ending '%'"
_C_IDENTIFIER_WORDS = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_'"
)
_ENVIRONMENT_WORDS = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def regex_error(words: str, pattern: str, *examples: str) -> str:
    """Upstream's way to name a pattern and examples of it."""
    if not examples:
        return f"{words} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{e}', " for e in examples)
    return f"{words} (e.g. {shown}regex used for validation is '{pattern}')"


def max_length(value: str, limit: int) -> list[str]:
    """In upstream's units: bytes counted, characters said."""
    return [f"must be no more than {limit} characters"] if len(value.encode()) > limit else []


def between(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


_label = re.compile(rf"{_LABEL}\Z", re.ASCII)
_subdomain = re.compile(rf"{_SUBDOMAIN}\Z", re.ASCII)


def is_dns1123_label(value: str) -> list[str]:
    if len(value) <= 63 and _label.match(value):
        return []
    errors = max_length(value, 63)
    if not _label.match(value):
        dots = _subdomain.match(value)
        errors.append("must not contain dots" if dots else regex_error(_LABEL_WORDS, _LABEL, "my-name", "123-abc"))
    return errors


def is_dns1123_subdomain(value: str) -> list[str]:
    if len(value) <= 253 and _subdomain.match(value):
        return []
    errors = max_length(value, 253)
    if not _subdomain.match(value):
        errors.append(regex_error(_SUBDOMAIN_WORDS, _SUBDOMAIN, "example.com"))
    return errors


def _rule(pattern: str, words: str, *examples: str, limit: int = 0) -> NameRule:
    compiled = re.compile(rf"{pattern}\Z", re.ASCII)

    def check(value: str) -> list[str]:
        errors = max_length(value, limit) if limit else []
        if not compiled.match(value):
            errors.append(regex_error(words, pattern, *examples))
        return errors

    return check


is_dns1035_label = _rule(_LABEL_1035, _LABEL_1035_WORDS, "my-name", "abc-123", limit=63)
is_dns1123_subdomain_with_underscore = _rule(_UNDERSCORE_SUBDOMAIN, _UNDERSCORE_WORDS, "example.com", limit=253)
is_wildcard_dns1123_subdomain = _rule(_WILDCARD, _WILDCARD_WORDS, "*.example.com", limit=253)
is_http_header_name = _rule(_HEADER, _HEADER_WORDS, "X-Header-Name")
is_percent = _rule(_PERCENT, _PERCENT_WORDS, "1%", "93%")
is_c_identifier = _rule(_C_IDENTIFIER, _C_IDENTIFIER_WORDS, "my_name", "MY_NAME", "MyName")
_config_key = _rule(_CONFIG_KEY, _CONFIG_KEY_WORDS, "key.name", "KEY_NAME", "key-name", limit=253)


def is_config_map_key(value: str) -> list[str]:
    errors = _config_key(value)
    if value in (".", ".."):
        errors.append(f"must not be '{value}'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def is_environment_name(value: str) -> list[str]:
    """A variable's name, as relaxed since v1.30: printable ASCII without "="."""
    if not value:
        return ["environment variable name must be non-empty"]
    fine = all(" " <= c <= "~" and c != "=" for c in value)
    return [] if fine else [_ENVIRONMENT_WORDS]


_port_characters = re.compile(r"[-a-z0-9]+\Z")
_port_letter = re.compile("[a-z]")


def is_port_name(value: str) -> list[str]:
    """An IANA service name, RFC 6335."""
    errors = max_length(value, 15)
    if not _port_characters.match(value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _port_letter.search(value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        errors.append("must not begin or end with a hyphen")
    return errors


def is_port_number(value: int) -> list[str]:
    return between(value, 1, 65535)


def is_path_segment(value: str) -> list[str]:
    """What may stand in a URL path as one segment: any text but ".", ".." and such with "/" or "%"."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{c}'" for c in "/%" if c in value]


def is_fully_qualified(value: str) -> list[str]:
    """A domain of at least three segments, as webhooks' names."""
    errors = is_dns1123_subdomain(value)
    if errors:
        return [",".join(errors)]
    if value.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []
