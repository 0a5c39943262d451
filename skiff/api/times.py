"""metav1.Time and MicroTime as text: RFC 3339 in UTC, whole seconds or six digits. Pure: the caller brings the instant.

Instants are epoch seconds (float) or aware datetimes. `parse` accepts what upstream's decoder accepts (any offset, any
fraction) and words its errors as Go's time package does, because they reach clients inside 400 answers.
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CANONICAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_PIECES = (
    ("2006", re.compile(r"\d{4}")),
    ("-", re.compile("-")),
    ("01", re.compile(r"\d\d")),
    ("-", re.compile("-")),
    ("02", re.compile(r"\d\d")),
    ("T", re.compile("T")),
    ("15", re.compile(r"\d\d")),
    (":", re.compile(":")),
    ("04", re.compile(r"\d\d")),
    (":", re.compile(":")),
    ("05", re.compile(r"\d\d(?:[.,]\d+)?")),
    ("Z07:00", re.compile(r"Z|[+-]\d\d:\d\d")),
)
_MICRO_FRACTION = re.compile(r"\.\d{6}(?!\d)")
_RANGES = (("month", 1, 12), ("day", 1, 31), ("hour", 0, 23), ("minute", 0, 59), ("second", 0, 59))


class TimeError(ValueError):
    """Text that is no RFC 3339 time; the message is the one Go gives."""


def _moment(instant: float | datetime) -> datetime:
    return instant.astimezone(UTC) if isinstance(instant, datetime) else datetime.fromtimestamp(instant, UTC)


def format_time(instant: float | datetime) -> str:
    """As metav1.Time: `2026-01-02T15:04:05Z`, fractions cut off."""
    if isinstance(instant, datetime):
        return _format(_moment(instant))
    return _format_second(math.floor(instant))


@lru_cache(64)
def _format_second(second: int) -> str:
    """Every write of a second carries the same text."""
    return _format(_moment(second))


def _format(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def format_micro(instant: float | datetime) -> str:
    """As metav1.MicroTime: `2026-01-02T15:04:05.000000Z`."""
    return _moment(instant).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse(text: str, *, micro: bool = False) -> datetime:
    """The instant, aware, UTC. micro: six fractional digits are demanded, as for MicroTime. Raises TimeError."""
    layout = RFC3339_MICRO if micro else RFC3339
    rest, found = text, []
    for name, pattern in _PIECES:
        match = pattern.match(rest)
        if not match:
            raise TimeError(
                f"parsing time {_quoted(text)} as {_quoted(layout)}: cannot parse {_quoted(rest)} as {_quoted(name)}"
            )
        found.append(match.group())
        rest = rest[match.end() :]
        if micro and name == "05" and not _MICRO_FRACTION.search(found[-1]):
            left = found[-1][2:] + rest
            raise TimeError(
                f'parsing time {_quoted(text)} as {_quoted(layout)}: cannot parse {_quoted(left)} as ".000000"'
            )
    if rest:
        raise TimeError(f"parsing time {_quoted(text)}: extra text: {_quoted(rest)}")
    return _assemble(text, found)


def epoch(text: str) -> float:
    """Seconds since the Unix epoch of an RFC 3339 text. Raises TimeError."""
    return parse(text).timestamp()


def canonical(text: str) -> str:
    """The text as upstream would give it back: UTC, whole seconds. Raises TimeError."""
    moment = parse(text)
    return text if _CANONICAL.fullmatch(text) else format_time(moment)


def canonical_micro(text: str) -> str:
    """The same for MicroTime. Raises TimeError."""
    moment = parse(text, micro=True)
    return text if _CANONICAL_MICRO.fullmatch(text) else format_micro(moment)


def _assemble(text: str, found: list[str]) -> datetime:
    seconds, _, fraction = found[10].replace(",", ".").partition(".")
    numbers = [int(found[2]), int(found[4]), int(found[6]), int(found[8]), int(seconds)]
    for number, (name, low, high) in zip(numbers, _RANGES, strict=True):
        if not low <= number <= high:
            raise TimeError(f"parsing time {_quoted(text)}: {name} out of range")
    month, day, hour, minute, second = numbers
    zone = found[11]
    offset = timedelta(0)
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    try:
        micro = int(fraction[:6].ljust(6, "0"))
        moment = datetime(int(found[0]), month, day, hour, minute, second, micro, timezone(offset))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as err:
        raise TimeError(f"parsing time {_quoted(text)}: day out of range") from err


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
