"""Optional values. `or` and `orValue` are evaluated by the planner. Source: cel-go cel/library.go, version 2."""

from typing import Any

from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row, never
from skiff.api.cel.values import MIN_TIME, NONE, SECOND, Duration, Optional, Timestamp, show


def _is_zero(value: Any) -> bool:
    if isinstance(value, Duration):
        return value.ns == 0
    if isinstance(value, Timestamp):
        return value.ns == MIN_TIME * SECOND
    return value is None or (not isinstance(value, Optional) and not value)


def _value(optional: Optional) -> Any:
    if not optional.has:
        raise CelError("optional.none() dereference")
    return optional.value


def _unwrap(values: list[Any]) -> list[Any]:
    for v in values:
        if type(v) is not Optional:
            raise CelError(f"value {show(v)} is not optional")
    return [v.value for v in values if v.has]


ROWS: list[Row] = [
    ("optional.of", "optional_of", "V -> optional(V)", Optional),
    (
        "optional.ofNonZeroValue",
        "optional_ofNonZeroValue",
        "V -> optional(V)",
        lambda v: NONE if _is_zero(v) else Optional(v),
    ),
    ("optional.none", "optional_none", "-> optional(V)", lambda: NONE),
    (".value", "optional_value", "optional(V) -> V", _value),
    (".hasValue", "optional_hasValue", "optional(V) -> bool", lambda o: o.has),
    (".or", "optional_or_optional", "optional(V), optional(V) -> optional(V)", never),
    (".orValue", "optional_orValue_value", "optional(V), V -> V", never),
    (".last", "list_last", "list(V) -> optional(V)", lambda v: Optional(v[-1]) if v else NONE),
    (".first", "list_first", "list(V) -> optional(V)", lambda v: Optional(v[0]) if v else NONE),
    ("optional.unwrap", "optional_unwrap", "list(optional(V)) -> list(V)", _unwrap),
    (".unwrapOpt", "optional_unwrapOpt", "list(optional(V)) -> list(V)", _unwrap),
]
