"""Named formats: format.dns1123Label().validate("x"). Source: apiserver pkg/cel/library/format.go."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from skiff.api import labels, names
from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row
from skiff.api.cel.library.net import parse_url
from skiff.api.cel.times import parse_timestamp
from skiff.api.cel.values import NONE, Optional, register

Check = Callable[[str], list[str]]


@dataclass(frozen=True)
class Format:
    """regex_size: how long a regular expression upstream reckons with."""

    name: str
    check: Check
    regex_size: int
    cel_constant_equality = True

    def __str__(self) -> str:
        return self.name


register(Format, "kubernetes.NamedFormat")


def _prefix(check: Check) -> Check:
    """For prefixes of generated names: a dash at the end is followed by something else."""
    return lambda text: check(text[:-1] + "a" if text.endswith("-") else text)


def _simple(fine: Callable[[str], bool], message: str) -> Check:
    return lambda text: [] if fine(text) else [message]


def _uri(text: str) -> list[str]:
    try:
        parse_url(text)
    except CelError as e:
        return [str(e).removeprefix("URL parse error during conversion from string: ")]
    return []


_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_BYTE = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


_UUID_LENGTH, _DATE_TIME_LENGTH = 70, 71
_FORMATS: dict[str, Format] = {
    "dns1123Label": Format("DNS1123Label", names.is_dns1123_label, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", names.is_dns1123_subdomain, 60),
    "dns1035Label": Format("DNS1035Label", names.is_dns1035_label, 30),
    "qualifiedName": Format("QualifiedName", labels.key_errors, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(names.is_dns1123_label), 30),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", _prefix(names.is_dns1123_subdomain), 60),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(names.is_dns1035_label), 30),
    "labelValue": Format("LabelValue", labels.value_errors, 40),
    "uri": Format("URI", _uri, 1103),
    "uuid": Format("uuid", _simple(lambda s: bool(_UUID.fullmatch(s)), "does not match the UUID format"), _UUID_LENGTH),
    "byte": Format("byte", _simple(lambda s: bool(_BYTE.fullmatch(s)), "invalid base64"), 84),
    "date": Format("date", _simple(_is_date, "invalid date"), _DATE_TIME_LENGTH),
    "datetime": Format(
        "datetime", _simple(lambda s: parse_timestamp(s) is not None, "invalid datetime"), _DATE_TIME_LENGTH
    ),
}


def _constant(value: Format) -> Callable[[], Format]:
    return lambda: value


def _named(name: str) -> Optional:
    found = _FORMATS.get(name)
    return Optional(found) if found else NONE


def _validate(format: Format, text: str) -> Optional:
    errors = format.check(text)
    return Optional(errors) if errors else NONE


ROWS: list[Row] = [
    (".validate", "format-validate", "format, string -> optional(list(string))", _validate),
    ("format.named", "format-named", "string -> optional(format)", _named),
    *((f"format.{name}", f"format.{name}", "-> format", _constant(value)) for name, value in _FORMATS.items()),
]
