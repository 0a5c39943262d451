"""The values of the language as Python has them, and what equality and text mean for them.

bool, int, float, str, bytes, None, list and dict stand for themselves; what Python lacks has a class here. In Python 1 and
True are the same key of a dict and in CEL they are not: a map made by an expression keeps bools under `TRUE_KEY` and
`FALSE_KEY` (`to_key`, `from_key`). Objects of the API are dicts as JSON brought them and are never changed.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import total_ordering
from typing import Any

MIN_INT, MAX_INT = -(2**63), 2**63 - 1
MAX_UINT = 2**64 - 1
SECOND = 10**9
MIN_TIME, MAX_TIME = -62135596800, 253402300799
"""Unix seconds of the first and the last second that a timestamp can name."""


class Uint(int):
    """An unsigned 64-bit integer."""

    __slots__ = ()


@total_ordering
class Duration:
    """A signed time span in nanoseconds, as long as fits in 64 bits."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        return type(other) is Duration and self.ns == other.ns

    def __lt__(self, other: "Duration") -> bool:
        return self.ns < other.ns

    def __hash__(self) -> int:
        return hash(("duration", self.ns))

    def __str__(self) -> str:
        seconds = format(Decimal(repr(self.ns / SECOND)), "f")
        return (seconds.rstrip("0").rstrip(".") if "." in seconds else seconds) + "s"

    __repr__ = __str__


@total_ordering
class Timestamp:
    """A moment in nanoseconds since 1970 UTC. `offset`: the zone it was written in, in seconds; it is only shown."""

    __slots__ = ("ns", "offset")

    def __init__(self, ns: int, offset: int = 0) -> None:
        self.ns = ns
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        return type(other) is Timestamp and self.ns == other.ns

    def __lt__(self, other: "Timestamp") -> bool:
        return self.ns < other.ns

    def __hash__(self) -> int:
        return hash(("timestamp", self.ns))

    def moment(self, offset: int = 0) -> datetime:
        """Without the part below a microsecond, as a clock `offset` seconds east of Greenwich shows it."""
        seconds = min(max(self.ns // SECOND + offset, MIN_TIME), MAX_TIME)
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    def __str__(self) -> str:
        fraction = f".{self.ns % SECOND:09}".rstrip("0").rstrip(".")
        minutes = abs(self.offset) // 60
        zone = f"{'-' if self.offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if self.offset else "Z"
        return self.moment(self.offset).strftime("%Y-%m-%dT%H:%M:%S").zfill(19) + fraction + zone

    __repr__ = __str__


class TypeValue:
    """A type as a value: what `type(x)` gives and what the name `int` means."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(other) is TypeValue and self.name == other.name

    def __hash__(self) -> int:
        return hash(("type", self.name))

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


class Optional:
    """A value that may be missing."""

    __slots__ = ("has", "value")

    def __init__(self, value: Any = None, has: bool = True) -> None:
        self.value = value
        self.has = has

    def __repr__(self) -> str:
        return f"optional({show(self.value)})" if self.has else "optional.none()"


NONE = Optional(has=False)


class Message:
    """An object that an expression has made: `Object.spec{replicas: 3}`. name: of its type."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.name = name
        self.fields = fields

    def get(self, field: str) -> Any:
        return self.fields.get(field)

    def __eq__(self, other: object) -> bool:
        return type(other) is Message and self.name == other.name and equal(self.fields, other.fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.name}{{{', '.join(f'{k}: {show(v)}' for k, v in self.fields.items())}}}"


class SetList(list[Any]):
    """A list of the API whose order means nothing (x-kubernetes-list-type: set)."""


class MapList(list[Any]):
    """A list of the API whose elements are known by some fields (x-kubernetes-list-type: map)."""

    keys: tuple[str, ...] = ()

    def key(self, element: Any) -> tuple[Any, ...]:
        return tuple(element.get(k) for k in self.keys) if isinstance(element, dict) else ()


class _BoolKey:
    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value


TRUE_KEY, FALSE_KEY = _BoolKey(True), _BoolKey(False)

_NAMES: dict[type, str] = {
    bool: "bool", int: "int", Uint: "uint", float: "double", str: "string", bytes: "bytes", type(None): "null_type",
    list: "list", SetList: "list", MapList: "list", dict: "map", Optional: "optional_type", TypeValue: "type",
    Duration: "google.protobuf.Duration", Timestamp: "google.protobuf.Timestamp",
}  # fmt: skip


def register(cls: type, name: str) -> None:
    """Makes a class of a library a kind of value."""
    _NAMES[cls] = name


def type_name(value: Any) -> str:
    """The name of a value's type."""
    return _NAMES.get(type(value)) or _name_of_foreign(value)


def _name_of_foreign(value: Any) -> str:
    if type(value) is Message:
        return value.name
    for cls in type(value).__mro__:
        if cls in _NAMES:
            return _NAMES[cls]
    return type(value).__name__


def to_key(value: Any) -> Any:
    """A value as a key of a dict."""
    if value is True:
        return TRUE_KEY
    return FALSE_KEY if value is False else value


def from_key(key: Any) -> Any:
    return key.value if type(key) is _BoolKey else key


def keys(map_: dict[Any, Any]) -> Sequence[Any]:
    """The keys of a map as values."""
    return [from_key(k) for k in map_]


def items(map_: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    return ((from_key(k), v) for k, v in map_.items())


_NUMBERS = frozenset((int, Uint, float))
_LISTS = frozenset((list, SetList, MapList))


def equal(a: Any, b: Any) -> bool:
    """CEL's `==`: numbers by value whatever their type, everything else of different types is different."""
    one, two = type(a), type(b)
    if one in _LISTS and two in _LISTS:
        return _equal_lists(a, b)
    if one is dict and two is dict:
        if len(a) != len(b):
            return False
        return all(k in b and equal(v, b[k]) for k, v in a.items())
    if one is Optional and two is Optional:
        return a.has == b.has and (not a.has or equal(a.value, b.value))
    if one is two or (one in _NUMBERS and two in _NUMBERS):
        return bool(a == b)
    return False


def _equal_lists(a: Any, b: Any) -> bool:
    if len(a) != len(b):
        return False
    if type(a) is SetList:
        return (
            all(any(equal(x, y) for y in a) for x in b)
            if not _hashable(a)
            else set(map(_tagged, b)) <= set(map(_tagged, a))
        )
    if type(a) is MapList:
        known = {_frozen(a.key(x)): x for x in a}
        return all((found := known.get(_frozen(a.key(x)))) is not None and equal(found, x) for x in b)
    return all(map(equal, a, b))


def _hashable(values: Sequence[Any]) -> bool:
    return all(type(v) in (str, int, bool) for v in values)


def _tagged(value: Any) -> Any:
    return (type(value) is bool, _frozen(value))


def _frozen(value: Any) -> Any:
    """Something hashable that is equal for equal JSON values."""
    if isinstance(value, dict):
        return frozenset((k, _frozen(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(v) for v in value)
    return to_key(value)


def joined(a: Any, b: Any) -> Any:
    """a + b for lists: lists of the API that are sets or maps take in only what they do not have."""
    if type(a) is SetList:
        out = SetList(a)
        known = {_tagged(x) for x in a}
        for x in b:
            if _tagged(x) not in known:
                known.add(_tagged(x))
                out.append(x)
        return out
    if type(a) is MapList:
        merged = MapList(a)
        merged.keys = a.keys
        places = {_frozen(a.key(x)): i for i, x in enumerate(a)}
        for x in b:
            place = places.get(_frozen(a.key(x)))
            if place is None:
                merged.append(x)
            else:
                merged[place] = x
        return merged
    return [*a, *b]


def shortest(x: float) -> str:
    """A double as Go's %g writes it: 1.5, 1e+06, 1e-05, +Inf, NaN."""
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "+Inf" if x > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(x)).normalize().as_tuple()
    if not isinstance(exponent, int):
        return repr(x)
    text, point = "".join(map(str, digits)), len(digits) + exponent
    minus = "-" if sign else ""
    if text == "0":
        return minus + "0"
    if point - 1 < -4 or point - 1 >= 6:
        fraction = "." + text[1:] if len(text) > 1 else ""
        return f"{minus}{text[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02}"
    return minus + format(Decimal((0, digits, exponent)), "f")


def show(value: Any) -> str:
    """A value in an error message."""
    kind = type(value)
    if kind is float:
        return shortest(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if kind is bytes:
        return value.decode("utf-8", "replace")
    if kind in _LISTS:
        return "[" + ", ".join(map(show, value)) + "]"
    if kind is dict:
        return "{" + ", ".join(f"{show(k)}: {show(v)}" for k, v in items(value)) + "}"
    return str(value)


def size(value: Any) -> int:
    """How large a value is for the cost of an operation."""
    kind = type(value)
    if kind in (str, list, dict, bytes, SetList, MapList):
        return len(value)
    if kind is Optional and value.has:
        return size(value.value)
    measured = getattr(value, "cel_size", None)
    return 1 if measured is None else int(measured)
