"""Cron expressions and the times they name, in any time zone.

Five fields (minute, hour, day of month, month, day of week) with lists, ranges, steps, names and `?`; `@hourly` and its
kin; `@every 1h30m`; a leading `TZ=Zone `. If both day fields are restricted, either may match. A time that a clock change
skips does not happen. Pure. Source: robfig/cron v3, ParseStandard, which upstream uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skiff.controllers.common.durations import duration

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOUNDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {n: i for i, n in enumerate(MONTHS, 1)}),
    ("day of week", 0, 6, {n: i for i, n in enumerate(DAYS)}),
)
_YEARS = 5
_MINUTE = timedelta(minutes=1)


class ScheduleError(ValueError):
    """The expression makes no sense; the sentence says why."""


def zone(name: str) -> tzinfo:
    """Raises ScheduleError."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"unknown time zone {name}") from None


@dataclass(frozen=True, slots=True)
class Every:
    """`@every`: at a fixed distance, in whole seconds."""

    seconds: int

    def next(self, after: float) -> float:
        return int(after) + self.seconds

    def latest(self, earliest: float, now: float) -> float | None:
        count = int(now - int(earliest)) // self.seconds
        return int(earliest) + count * self.seconds if count > 0 else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Allowed values per field. any_day: neither day field, or only one of them, is restricted."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    zone: tzinfo

    def next(self, after: float) -> float:
        """The first time after `after`, both in epoch seconds; inf if there is none in five years."""
        found = self._search(after, forward=True)
        return float("inf") if found is None else found

    def latest(self, earliest: float, now: float) -> float | None:
        """The last time after `earliest` that is not after `now`."""
        found = self._search(now, forward=False)
        return found if found is not None and found > earliest else None

    def _search(self, start: float, *, forward: bool) -> float | None:
        step = 1 if forward else -1
        local = datetime.fromtimestamp(start, UTC).astimezone(self.zone).replace(tzinfo=None, fold=0)
        moment = local.replace(second=0, microsecond=0)
        # Clock changes make wall-clock time run backwards: begin an hour early, and compare in real time.
        moment -= step * timedelta(hours=3)
        end = moment + step * timedelta(days=366 * _YEARS)
        while (moment < end) is forward:
            if not self._on_day(moment):
                moment = _edge(moment, forward, "day")
            elif moment.hour not in self.hours:
                moment = _edge(moment, forward, "hour")
            else:
                at = self._real(moment) if moment.minute in self.minutes else None
                if at is not None and (at > start) is forward:
                    return at
                moment += step * _MINUTE
        return None

    def _on_day(self, moment: datetime) -> bool:
        if moment.month not in self.months:
            return False
        by_date, by_weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return by_date and by_weekday if self.any_day else by_date or by_weekday

    def _real(self, moment: datetime) -> float | None:
        """Epoch seconds of a wall-clock time; None for one that the clocks skip."""
        at = moment.replace(tzinfo=self.zone).timestamp()
        back = datetime.fromtimestamp(at, UTC).astimezone(self.zone).replace(tzinfo=None, fold=0)
        return at if back == moment else None


def _edge(moment: datetime, forward: bool, unit: str) -> datetime:
    """The first minute of the next, or the last minute of the previous, day or hour."""
    first = moment.replace(minute=0) if unit == "hour" else moment.replace(hour=0, minute=0)
    if not forward:
        return first - _MINUTE
    return first + (timedelta(hours=1) if unit == "hour" else timedelta(days=1))


def parse(text: str, time_zone: str = "") -> Schedule | Every:
    """Raises ScheduleError."""
    text = text.strip()
    for prefix in ("TZ=", "CRON_TZ="):
        if text.startswith(prefix):
            time_zone, _, text = text.removeprefix(prefix).partition(" ")
            text = text.strip()
    where = zone(time_zone)
    if text.startswith("@every "):
        return _every(text.removeprefix("@every ").strip())
    if text.startswith("@"):
        if text not in _MACROS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = _MACROS[text]
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: {fields}")
    minutes, hours, days, months, weekdays = (_field(f, *b) for f, b in zip(fields, _BOUNDS, strict=True))
    any_day = _unrestricted(fields[2]) or _unrestricted(fields[4])
    return Schedule(minutes, hours, days, months, weekdays, any_day, where)


def _every(text: str) -> Every:
    try:
        return Every(max(1, int(duration(text))))
    except ValueError as err:
        raise ScheduleError(f"failed to parse duration @every {text}: {err}") from None


def _unrestricted(field: str) -> bool:
    """`*` or `?`; with a step it is a restriction."""
    return any(
        part.partition("/")[0] in ("*", "?") and part.partition("/")[2] in ("", "1") for part in field.split(",")
    )


def _field(field: str, name: str, low: int, high: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        found |= _range(part, low, high, names)
    return frozenset(found)


def _range(part: str, low: int, high: int, names: Mapping[str, int]) -> set[int]:
    span, slash, step_text = part.partition("/")
    step = _number(step_text, {}) if slash else 1
    if span in ("*", "?"):
        first, last = low, high
    else:
        left, dash, right = span.partition("-")
        first = _number(left, names)
        last = _number(right, names) if dash else high if slash else first
    if first < low:
        raise ScheduleError(f"beginning of range ({first}) below minimum ({low}): {part}")
    if last > high:
        raise ScheduleError(f"end of range ({last}) above maximum ({high}): {part}")
    if first > last:
        raise ScheduleError(f"beginning of range ({first}) beyond end of range ({last}): {part}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {part}")
    return set(range(first, last + 1, step))


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isascii() or not text.isdigit():
        raise ScheduleError(f"failed to parse int from {text}")
    return int(text)
