"""Texts of durations and timestamps, and a timestamp's parts. Source: Go's time package, cel-go common/types/timestamp.go."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from skiff.api.cel.errors import CelError
from skiff.api.cel.operators import duration_result, time_result
from skiff.api.cel.values import SECOND, Duration, Timestamp

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION = re.compile(rf"([+-]?)((?:{_PART.pattern})+|0)", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_LONGEST = 512


def parse_duration(text: str) -> Duration | None:
    """`1h30m`, `-1.5s`, `0`; None for anything else."""
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _PART.findall(match[2]))
    return Duration(-total if match[1] == "-" else total) if total < 2**63 else None


def parse_timestamp(text: str) -> Timestamp | None:
    """RFC 3339, to the nanosecond; None for anything else."""
    match = _RFC3339.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    offset = 0
    if match[9]:
        offset = (int(match[10]) * 3600 + int(match[11]) * 60) * (-1 if match[9] == "-" else 1)
    try:
        moment = datetime(*(int(match[i]) for i in range(1, 7)), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) - offset
    return time_result(seconds * SECOND + int((match[7] or "")[:9].ljust(9, "0")), offset)


def to_duration(text: str) -> Duration:
    found = parse_duration(text)
    if found is None:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Duration'")
    return duration_result(found.ns)


def to_timestamp(text: str) -> Timestamp:
    found = parse_timestamp(text)
    if found is None:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    return found


def _local(moment: Timestamp, zone: str) -> datetime:
    if ":" in zone:
        hours, _, minutes = zone.partition(":")
        try:
            offset = int(hours) * 60 + (-int(minutes) if zone[0] == "-" else int(minutes))
        except ValueError as e:
            raise CelError(f"invalid time zone {zone}") from e
        return moment.moment(offset * 60)
    if zone in ("", "UTC"):
        return moment.moment()
    try:
        return moment.moment().astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError, OverflowError) as e:
        raise CelError(f"unknown time zone {zone}") from e


def part(read: Callable[[datetime], int]) -> tuple[Callable[[Timestamp], int], Callable[[Timestamp, str], int]]:
    """Readers of one part of a timestamp, in UTC and in a named zone."""
    return lambda t: read(t.moment()), lambda t, zone: read(_local(t, zone))


def milliseconds(t: Timestamp) -> int:
    return t.ns % SECOND // 10**6


def whole(unit: int) -> Callable[[Duration], int]:
    """A duration in units, rounded toward zero."""
    return lambda d: d.ns // unit if d.ns >= 0 else -(-d.ns // unit)


_LONG = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
_LONG_UNITS = {
    "nano": 1, "micro": 10**3, "milli": 10**6, "sec": SECOND, "min": 60 * SECOND, "hr": 3600 * SECOND,
    "hour": 3600 * SECOND, "d": 86400 * SECOND, "day": 86400 * SECOND, "w": 7 * 86400 * SECOND, "wk": 7 * 86400 * SECOND,
    "week": 7 * 86400 * SECOND, "second": SECOND, "minute": 60 * SECOND, "nanosecond": 1, "microsecond": 10**3,
    "millisecond": 10**6,
}  # fmt: skip


def parse_long_duration(text: str) -> Duration | None:
    """`3 days`, as OpenAPI's format duration also allows."""
    match = _LONG.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    unit = _LONG_UNITS.get(match[2]) or _LONG_UNITS.get(match[2].removesuffix("s")) or _UNITS.get(match[2])
    if unit is None or len(match[1]) > 20:
        return None
    total = int(match[1]) * unit
    return Duration(total) if total < 2**63 else None
