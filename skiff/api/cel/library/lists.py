"""Lists and sets of them. Source: apiserver pkg/cel/library/lists.go, cel-go ext/lists.go (3), ext/sets.go."""

from collections.abc import Sequence
from functools import cmp_to_key, reduce
from itertools import pairwise
from typing import Any

from skiff.api.cel import operators
from skiff.api.cel.costs import COMPARABLE
from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row
from skiff.api.cel.values import Duration, Uint, equal, to_key, type_name

_LARGEST_RANGE = 1_000_000
_ZERO = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}


def _is_sorted(values: Sequence[Any]) -> bool:
    return all(not operators.greater(a, b) for a, b in pairwise(values))


def _sum_from(zero: Any) -> Any:
    return lambda values: reduce(operators.add, values) if values else zero


def _minimum(values: Sequence[Any]) -> Any:
    if not values:
        raise CelError("min called on empty list")
    return reduce(lambda a, b: b if operators.less(b, a) else a, values)


def _maximum(values: Sequence[Any]) -> Any:
    if not values:
        raise CelError("max called on empty list")
    return reduce(lambda a, b: b if operators.greater(b, a) else a, values)


def _index_of(values: Sequence[Any], wanted: Any) -> int:
    return next((i for i, v in enumerate(values) if equal(v, wanted)), -1)


def _last_index_of(values: Sequence[Any], wanted: Any) -> int:
    return next((i for i in range(len(values) - 1, -1, -1) if equal(values[i], wanted)), -1)


def _slice(values: Sequence[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if len(values) < end:
        raise CelError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return list(values[start:end])


def _flatten(values: Sequence[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    out: list[Any] = []
    for v in values:
        if isinstance(v, list) and depth:
            out += _flatten(v, depth - 1)
        else:
            out.append(v)
    return out


_ORDER = cmp_to_key(lambda a, b: -1 if operators.less(a, b) else 1 if operators.less(b, a) else 0)


def _sort_by(values: Sequence[Any], by: Sequence[Any]) -> list[Any]:
    if len(values) != len(by):
        raise CelError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, "
            f"but got {len(values)} and {len(by)} elements respectively"
        )
    if any(type_name(k) != type_name(by[0]) for k in by):
        raise CelError("list elements must have the same type")
    order = sorted(range(len(by)), key=lambda i: _ORDER(by[i]))
    return [values[i] for i in order]


def _sort(values: Sequence[Any]) -> list[Any]:
    return _sort_by(values, values)


def _range(length: int) -> list[int]:
    if length > _LARGEST_RANGE:
        raise CelError(f"lists.range({length}) is too large")
    return list(range(length))


def _simple(values: Sequence[Any]) -> bool:
    return all(type(v) in (str, int, bool, float) for v in values)


def _contains(values: Sequence[Any], sublist: Sequence[Any]) -> bool:
    if _simple(values) and _simple(sublist):
        return {to_key(v) for v in sublist} <= {to_key(v) for v in values}
    return all(any(equal(v, x) for v in values) for x in sublist)


def _distinct(values: Sequence[Any]) -> list[Any]:
    if _simple(values):
        return _first_of_each(values)
    out: list[Any] = []
    for v in values:
        if not any(equal(v, o) for o in out):
            out.append(v)
    return out


def _first_of_each(values: Sequence[Any]) -> list[Any]:
    seen: dict[Any, Any] = {}
    for v in values:
        seen.setdefault(to_key(v), v)
    return list(seen.values())


def _per_type() -> list[Row]:
    rows: list[Row] = []
    for kind, name in COMPARABLE.items():
        rows += [
            (".isSorted", f"list_{name}_is_sorted_bool", f"list({kind}) -> bool", _is_sorted),
            (".max", f"list_{name}_max_{name}", f"list({kind}) -> {kind}", _maximum),
            (".min", f"list_{name}_min_{name}", f"list({kind}) -> {kind}", _minimum),
            (".sort", f"list_{name}_sort", f"list({kind}) -> list({kind})", _sort),
            (
                ".@sortByAssociatedKeys", f"list_{name}_sortByAssociatedKeys",
                f"list(T), list({kind}) -> list(T)", _sort_by,
            ),
        ]  # fmt: skip
        if kind in _ZERO:
            rows.append((".sum", f"list_{name}_sum_{name}", f"list({kind}) -> {kind}", _sum_from(_ZERO[kind])))
    return rows


ROWS: list[Row] = [
    *_per_type(),
    (".indexOf", "list_a_index_of_int", "list(A), A -> int", _index_of),
    (".lastIndexOf", "list_a_last_index_of_int", "list(A), A -> int", _last_index_of),
    (".slice", "list_slice", "list(T), int, int -> list(T)", _slice),
    (".flatten", "list_flatten", "list(list(T)) -> list(T)", _flatten),
    (".flatten", "list_flatten_int", "list(dyn), int -> list(dyn)", _flatten),
    ("lists.range", "lists_range", "int -> list(int)", _range),
    (".reverse", "list_reverse", "list(T) -> list(T)", lambda v: list(v[::-1])),
    (".distinct", "list_distinct", "list(T) -> list(T)", _distinct),
    ("sets.contains", "list_sets_contains_list", "list(T), list(T) -> bool", _contains),
    (
        "sets.equivalent", "list_sets_equivalent_list", "list(T), list(T) -> bool",
        lambda a, b: _contains(a, b) and _contains(b, a),
    ),
    (
        "sets.intersects", "list_sets_intersects_list", "list(T), list(T) -> bool",
        lambda a, b: any(_contains(b, [x]) for x in a),
    ),
]  # fmt: skip
