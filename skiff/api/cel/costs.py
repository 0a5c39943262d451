"""What a call costs at run time, in upstream's units, when that depends on its arguments.

`of_call` gives a function of (arguments, result), or None for a call that costs 1. Names of functions decide first, as
Kubernetes' estimator does, then cel-go's overloads. Source: apiserver pkg/cel/library/cost.go, cel-go
interpreter/runtimecost.go, ext/lists.go.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from skiff.api.cel.values import items, size

Cost = Callable[[Sequence[Any], Any], int]

STRING_FACTOR = 0.1
REGEX_FACTOR = 0.25
LIST_BASE = 10
MAP_BASE = 30
STRUCT_BASE = 40
AUTHORIZATION_CHECK = 350_000
PER_CALL = 1_000_000
"""What one expression may cost."""
PER_OBJECT = 10_000_000
"""What all expressions of one object may cost."""
PER_MATCH_CONDITIONS = 2_500_000


def text(n: float, factor: float = STRING_FACTOR) -> int:
    """The cost of going through n characters."""
    return math.ceil(n * factor)


def traversal(value: Any) -> int:
    """The cost of walking through a value whole."""
    if isinstance(value, str):
        return int(len(value.encode("utf-8", "surrogatepass")) * STRING_FACTOR)
    if isinstance(value, bytes):
        return int(len(value) * STRING_FACTOR)
    if isinstance(value, list):
        return sum(map(traversal, value))
    if isinstance(value, dict):
        return sum(traversal(k) + traversal(v) for k, v in items(value))
    return 1


def _argument(place: int, times: int = 1) -> Cost:
    return lambda args, _: text(size(args[place]) * times)


def _regex(args: Sequence[Any], _: Any) -> int:
    return text(1.0 + size(args[0])) * text(size(args[1]), REGEX_FACTOR)


def _selector(args: Sequence[Any], _: Any) -> int:
    return selector(size(args[1]))


def selector(length: int) -> int:
    return LIST_BASE + text(length) + math.ceil(length * 0.5) * (LIST_BASE + STRUCT_BASE)


def _contains_ip(args: Sequence[Any], _: Any) -> int:
    return text(2 * size(args[0])) + (text(len(args[1])) if isinstance(args[1], str) else 0)


def _contains_cidr(args: Sequence[Any], result: Any) -> int:
    return _contains_ip(args, result) + text(size(args[0])) + 1


def _validate(args: Sequence[Any], _: Any) -> int:
    return text(1.0 + size(args[1])) * text(args[0].regex_size, REGEX_FACTOR)


def _fixed(cost: int) -> Cost:
    return lambda args, result: cost


_BY_FUNCTION: dict[str, Cost] = {
    "check": _fixed(AUTHORIZATION_CHECK),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), lambda args, _: traversal(args[0])),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"), _argument(0)),
    **dict.fromkeys(("replace", "split"), _argument(0, 2)),
    "join": lambda _, result: text(size(result) * 2),
    **dict.fromkeys(("find", "findAll"), _regex),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _argument(0)),
    "ip.isCanonical": _argument(0, 2),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": _validate,
}


def _smaller(args: Sequence[Any], _: Any) -> int:
    return text(min(size(args[0]), size(args[1])))


def equality(a: Any, b: Any) -> int:
    """What `a == b` costs."""
    return 1 if hasattr(a, "cel_constant_equality") else text(min(size(a), size(b)))


def _substring(args: Sequence[Any], _: Any) -> int:
    return text(size(args[0])) * text(size(args[1]))


def _sum(args: Sequence[Any], _: Any) -> int:
    return text(size(args[0]) + size(args[1]))


def _allocating(factor: float, length: int) -> int:
    return int(length * factor) + 1 + LIST_BASE


def _compared(values: Sequence[Any]) -> int:
    factor = 2.0 + (STRING_FACTOR if values and isinstance(values[0], (str, bytes)) else 0)
    return _allocating(factor, len(values) ** 2)


def _output(_: Sequence[Any], result: Any) -> int:
    return _allocating(1, size(result))


def _sets(factor: int) -> Cost:
    return lambda args, _: 1 + size(args[0]) * size(args[1]) * factor


def _flatten(args: Sequence[Any], _: Any) -> int:
    return _allocating(args[1] if len(args) == 2 else 1.0, size(args[0]))


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_TYPE_NAMES = {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}
COMPARABLE = {kind: _TYPE_NAMES.get(kind, kind) for kind in _COMPARABLE}
"""The types that can be sorted → the name of each in overload ids."""

_BY_OVERLOAD: dict[str, Cost] = {
    **dict.fromkeys(("starts_with_string", "ends_with_string"), _argument(0)),
    **dict.fromkeys(("string_to_bytes", "bytes_to_string", "strings_quote", "string_format"), _argument(0)),
    "in_list": lambda args, _: size(args[1]),
    **{
        f"{op}_{kind}": _smaller
        for op in ("less", "greater", "less_equals", "greater_equals")
        for kind in ("string", "bytes")
    },
    **dict.fromkeys(("add_string", "add_bytes"), _sum),
    "matches_string": _regex,
    "contains_string": _substring,
    "string_to_ip": _argument(0),
    **dict.fromkeys(("list_slice", "lists_range", "list_reverse"), _output),
    **dict.fromkeys(("list_flatten", "list_flatten_int"), _flatten),
    **dict.fromkeys(("list_sets_contains_list", "list_sets_intersects_list"), _sets(1)),
    "list_sets_equivalent_list": _sets(2),
    "list_distinct": lambda args, _: _compared(args[0]),
    **{f"list_{name}_sort": lambda args, _: _compared(args[0]) for name in COMPARABLE.values()},
    **{f"list_{name}_sortByAssociatedKeys": lambda args, _: _compared(args[1]) for name in COMPARABLE.values()},
}


def of_call(function: str, overload: str) -> Cost | None:
    """overload "": which one it is shows only at run time."""
    return _BY_FUNCTION.get(function) or _BY_OVERLOAD.get(overload)
