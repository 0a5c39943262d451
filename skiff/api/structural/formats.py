"""The formats that a string or number of a custom resource may have, each a predicate.

Unknown formats are ignored, as upstream ignores them. Source: kube-openapi pkg/validation/strfmt, apiextensions-apiserver
pkg/apiserver/validation/formats.go.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from email.utils import parseaddr
from urllib.parse import urlsplit

from skiff.api import names

Format = Callable[[str], bool]


def _pattern(expression: str, flags: int = 0) -> Format:
    compiled = re.compile(expression, flags | re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme or text.startswith("/")) and " " not in text


def _email(text: str) -> bool:
    address = parseaddr(text)[1]
    return "@" in address and not address.startswith("@") and not address.endswith("@")


def _ip(version: int) -> Format:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version and "%" not in text
        except ValueError:
            return False

    return check


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text and text.rpartition("/")[2].isdigit()


_MAC = re.compile(r"[0-9a-f]{2}([:-]?[0-9a-f]{2})+|[0-9a-f]{4}(\.[0-9a-f]{4})+", re.IGNORECASE)


def _mac(text: str) -> bool:
    digits = re.sub(r"[:.-]", "", text)
    return _MAC.fullmatch(text) is not None and digits != text and len(digits) in (12, 16, 40)


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{9}X|[0-9]{10}", digits):
        return False
    total = sum((i + 1) * (10 if d == "X" else int(d)) for i, d in enumerate(digits))
    return total % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    return sum((1, 3)[i % 2] * int(d) for i, d in enumerate(digits)) % 10 == 0


_CARD = re.compile(
    r"4[0-9]{12}([0-9]{3})?|5[1-5][0-9]{14}|6(011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(0[0-5]|[68][0-9])[0-9]{11}"
    r"|(2131|1800|35\d{3})\d{11}"
)


def _credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    total = 0
    for i, d in enumerate(reversed(digits)):
        n = int(d) * (1 + i % 2)
        total += n - 9 if n > 9 else n
    return total % 10 == 0


def _date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[t ](\d{2}):(\d{2}):(\d{2})(\.\d+)?(z|[+-]\d{2}:\d{2})", re.ASCII | re.IGNORECASE
)


def _date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    if match is None or not _date(match[1]):
        return False
    return int(match[2]) < 24 and int(match[3]) < 60 and int(match[4]) < 60


_UNITS = (
    "ns|us|µs|μs|ms|s|m|h|d|w|nano|nanos|nanosecond|nanoseconds|micro|micros|microsecond|microseconds|milli|millis|"
    "millisecond|milliseconds|sec|secs|second|seconds|min|mins|minute|minutes|hr|hour|hours|day|days|wk|week|weeks"
)
_DURATION = re.compile(rf"\d+\s*({_UNITS})")
_GO_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")


def _duration(text: str) -> bool:
    return _GO_DURATION.fullmatch(text) is not None or _DURATION.fullmatch(text) is not None


_HEX = "[0-9a-f]"
_RGB_PART = r"\s*(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*"
_HOST_PART = r"[a-zA-Z0-9¡-￿]((-?[a-zA-Z0-9¡-￿]{0,62})?[a-zA-Z0-9¡-￿])*"


def _uuid(version: str, variant: str = _HEX) -> Format:
    last = f"{variant}{_HEX}{{3}}"
    return _pattern(f"{_HEX}{{8}}-?{_HEX}{{4}}-?{version}{_HEX}{{3}}-?{last}-?{_HEX}{{12}}", re.IGNORECASE)


def _hostname(text: str) -> bool:
    if len(text) > 255:
        return False
    parts = text.split(".")
    return all(len(p) <= 63 and re.fullmatch(_HOST_PART, p) for p in parts)


STRINGS: Mapping[str, Format] = {
    "bsonobjectid": _pattern("[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": _hostname,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _cidr,
    "mac": _mac,
    "uuid": _uuid(_HEX),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _pattern(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _pattern("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(rf"rgb\({_RGB_PART},{_RGB_PART},{_RGB_PART}\)"),
    "byte": _pattern("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda text: True,
    "date": _date,
    "duration": _duration,
    "datetime": _date_time,
    "k8sshortname": lambda text: not names.is_dns1123_label(text),
    "k8slongname": lambda text: not names.is_dns1123_subdomain(text),
}
"""By name without dashes."""

_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}


def is_recognized(format: str, type_: str) -> bool:
    """Whether a format says anything about values of a type; "" is any type."""
    if type_ in ("", "string"):
        return format.replace("-", "") in STRINGS
    return format in _NUMBERS.get(type_, ())
