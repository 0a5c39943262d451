"""What the operators do at run time when the types are known only then, and the errors they end in.

Integers are 64 bits wide and overflow is an error. Source: the CEL language definition, cel-go common/types.
"""

import math
from collections.abc import Callable
from typing import Any

from skiff.api.cel.errors import CelError, no_such_overload
from skiff.api.cel.values import (
    MAX_INT,
    MAX_TIME,
    MAX_UINT,
    MIN_INT,
    MIN_TIME,
    SECOND,
    Duration,
    MapList,
    SetList,
    Timestamp,
    Uint,
    equal,
    joined,
    show,
    to_key,
    type_name,
)  # fmt: skip

Binary = Callable[[Any, Any], Any]


def int_result(value: int) -> int:
    if MIN_INT <= value <= MAX_INT:
        return value
    raise CelError("integer overflow")


def uint_result(value: int) -> Uint:
    if 0 <= value <= MAX_UINT:
        return Uint(value)
    raise CelError("unsigned integer overflow")


def duration_result(ns: int) -> Duration:
    if MIN_INT <= ns <= MAX_INT:
        return Duration(ns)
    raise CelError("duration overflow")


def time_result(ns: int, offset: int = 0) -> Timestamp:
    if MIN_TIME <= ns // SECOND <= MAX_TIME:
        return Timestamp(ns, offset)
    raise CelError("timestamp overflow")


def add(a: Any, b: Any) -> Any:
    match a, b:
        case (list(), list()):
            return joined(a, b)
        case (Duration(), Duration()):
            return duration_result(a.ns + b.ns)
        case (Timestamp(), Duration()):
            return time_result(a.ns + b.ns, a.offset)
        case (Duration(), Timestamp()):
            return time_result(a.ns + b.ns, b.offset)
    kind = _same(a, b)
    if kind is int:
        return int_result(a + b)
    if kind is Uint:
        return uint_result(int(a) + int(b))
    if kind in (float, str, bytes):
        return a + b
    raise no_such_overload()


def subtract(a: Any, b: Any) -> Any:
    match a, b:
        case (Duration(), Duration()):
            return duration_result(a.ns - b.ns)
        case (Timestamp(), Duration()):
            return time_result(a.ns - b.ns, a.offset)
        case (Timestamp(), Timestamp()):
            return duration_result(a.ns - b.ns)
    return _arithmetic(a, b, lambda x, y: x - y)


def multiply(a: Any, b: Any) -> Any:
    return _arithmetic(a, b, lambda x, y: x * y)


def divide(a: Any, b: Any) -> Any:
    if type(b) is float:
        return _arithmetic(a, b, _divide_doubles)
    if b == 0 and _same(a, b) in (int, Uint):
        raise CelError("division by zero")
    return _arithmetic(a, b, _truncated)


def modulo(a: Any, b: Any) -> Any:
    if _same(a, b) not in (int, Uint):
        raise no_such_overload()
    if b == 0:
        raise CelError("modulus by zero")
    return _arithmetic(a, b, lambda x, y: x - y * _truncated(x, y))


def negate(a: Any) -> Any:
    if type(a) is int:
        return int_result(-a)
    if type(a) is float:
        return -a
    raise no_such_overload()


def _same(a: Any, b: Any) -> type | None:
    return type(a) if type(a) is type(b) else None


def _arithmetic(a: Any, b: Any, operation: Binary) -> Any:
    kind = _same(a, b)
    if kind is int:
        return int_result(operation(a, b))
    if kind is Uint:
        return uint_result(operation(int(a), int(b)))
    if kind is float:
        return operation(a, b)
    raise no_such_overload()


def _truncated(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _divide_doubles(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1, b)


_NUMBERS = frozenset((int, Uint, float))
_ORDERED = frozenset((bool, str, bytes, Duration, Timestamp))


def _comparison(operation: Binary) -> Binary:
    def compare(a: Any, b: Any) -> bool:
        one, two = type(a), type(b)
        if one in _NUMBERS and two in _NUMBERS:
            if a != a or b != b:
                raise CelError("NaN values cannot be ordered")
        elif one is not two or one not in _ORDERED:
            raise no_such_overload()
        return bool(operation(a, b))

    return compare


less = _comparison(lambda a, b: a < b)
less_equal = _comparison(lambda a, b: a <= b)
greater = _comparison(lambda a, b: a > b)
greater_equal = _comparison(lambda a, b: a >= b)


def contained(a: Any, b: Any) -> bool:
    """`a in b`."""
    if type(b) is dict:
        return _hashable(a) and to_key(a) in b
    if isinstance(b, list):
        return any(equal(a, x) for x in b)
    raise no_such_overload()


def _hashable(key: Any) -> bool:
    return not isinstance(key, (list, dict))


def find(container: Any, key: Any) -> tuple[Any, bool]:
    """The element at an index or key, and whether there is one. Raises for what cannot be indexed so."""
    if type(container) is dict:
        if not _hashable(key):
            raise no_such_overload()
        key = to_key(key)
        return (container[key], True) if key in container else (None, False)
    if isinstance(container, list):
        at = list_index(key)
        return (container[at], True) if 0 <= at < len(container) else (None, False)
    raise CelError(f"no such key: {show(key)}")


def index(container: Any, key: Any) -> Any:
    value, found = find(container, key)
    if found:
        return value
    what = "no such key" if type(container) is dict else "index out of bounds"
    raise CelError(f"{what}: {show(key)}")


def list_index(key: Any) -> int:
    if type(key) in (int, Uint):
        return int(key)
    if type(key) is float:
        if key.is_integer():
            return int(key)
        raise CelError(f"unsupported index value {show(key)} in list")
    raise CelError(f"unsupported index type '{type_name(key)}' in list")


def insert(map_: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    """A map that has one entry more; the map itself is changed, so it must belong to the caller."""
    if not _hashable(key):
        raise CelError(f"unsupported key type '{type_name(key)}'")
    if to_key(key) in map_:
        raise CelError(f"insert failed: key {show(key)} already exists")
    map_[to_key(key)] = value
    return map_


def set_list(values: list[Any]) -> SetList:
    return SetList(values)


def map_list(keys: tuple[str, ...]) -> Callable[[list[Any]], MapList]:
    def make(values: list[Any]) -> MapList:
        made = MapList(values)
        made.keys = keys
        return made

    return make
