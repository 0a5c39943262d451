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


_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme or text.startswith("/")) and " " not in text and not _BAD_ESCAPE.search(text)


_DOT_ATOM = re.compile(r"[^\s.@()<>\[\]:;,\\\"]+(\.[^\s.@()<>\[\]:;,\\\"]+)*")
_ENDS = re.compile(r"(@\S+|>)\s*\Z")


def _email(text: str) -> bool:
    local, at, domain = parseaddr(text)[1].rpartition("@")
    quoted = local.startswith('"') and local.endswith('"')
    return (
        bool(at and (quoted or _DOT_ATOM.fullmatch(local)) and _DOT_ATOM.fullmatch(domain))
        and _ENDS.search(text) is not None
    )


_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def _ip(version: int) -> Format:
    def check(text: str) -> bool:
        try:
            plain = _LEADING_ZEROS.sub("", text) if version == 4 else text
            return ipaddress.ip_address(plain).version == version and "%" not in text
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
    year = text[:4] if text[:4] != "0000" else "0400"  # a leap year that Python has, too
    try:
        date.fromisoformat(year + text[4:])
    except ValueError:
        return False
    return True


_DATE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})t(\d{2}):(\d{2}):(\d{2})(\.\d+)?(z|[+-]\d{2}:\d{2})", re.ASCII | re.IGNORECASE
)


def _date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    if match is None or not _date(match[1]):
        return False
    return int(match[2]) < 24 and int(match[3]) < 60 and int(match[4]) < 60


_UNITS = re.compile(
    "(ns|nano.*|us|µs|micro.*|ms|milli.*|s|sec.*|m|min.*|h|hr|hour.*|d|day.*|w|wk|week.*)", re.IGNORECASE
)
_COUNTED = re.compile(r"[0-9]+\s*([A-Za-zµ]+)")
_GO_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")


def _duration(text: str) -> bool:
    """As Go has them; otherwise one number with a unit anywhere in the text is enough."""
    return _GO_DURATION.fullmatch(text) is not None or any(_UNITS.fullmatch(u) for u in _COUNTED.findall(text))


_HEX = "[0-9a-f]"
_RGB_PART = r"\s*(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])\s*"
_HOST = r"a-zA-Z0-9$+<=>^`|~\u00a1-\U0010ffff"
_TOP = r"a-zA-Z\u00a1-\U0010ffff"
_HOSTNAME = re.compile(
    rf"[{_HOST}](-?[{_HOST}]{{0,62}})?|([{_HOST}]([{_HOST}-]{{0,61}}[{_HOST}])?\.)+[{_TOP}]{{2,63}}", re.ASCII
)


def _uuid(version: str, variant: str = _HEX) -> Format:
    last = f"{variant}{_HEX}{{3}}"
    return _pattern(f"{_HEX}{{8}}-?{_HEX}{{4}}-?{version}{_HEX}{{3}}-?{last}-?{_HEX}{{12}}", re.IGNORECASE)


def _hostname(text: str) -> bool:
    """A single label, or several of which the last has two letters or more."""
    return len(text.encode()) <= 255 and _HOSTNAME.fullmatch(text) is not None and max(map(len, text.split("."))) <= 63


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
