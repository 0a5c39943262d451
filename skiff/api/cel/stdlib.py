"""The standard functions: operators (declared here, evaluated by the planner), conversions, strings, parts of times.

Source: cel-go common/stdlib/standard.go.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from skiff.api.cel import operators, times
from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row, never
from skiff.api.cel.operators import int_result, time_result, uint_result
from skiff.api.cel.regex import matches
from skiff.api.cel.values import MAX_UINT, SECOND, Duration, Timestamp, TypeValue, Uint, shortest, type_name


def _symmetric(prefix: str, *kinds: str) -> list[tuple[str, str]]:
    return [(f"{prefix}_{_IDS.get(k, k)}", f"{k}, {k}") for k in kinds]


_IDS = {"int": "int64", "uint": "uint64"}
_ORDERED = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_CROSS = [(a, b) for a in ("int", "uint", "double") for b in ("int", "uint", "double") if a != b]


def _operator(name: str, run: Callable[..., Any], result: str, pairs: list[tuple[str, str]]) -> list[Row]:
    """result "": the type of the operands."""
    return [(name, identifier, f"{args} -> {result or args.partition(',')[0]}", run) for identifier, args in pairs]


def _ordering(name: str, prefix: str, run: Callable[..., Any]) -> list[Row]:
    crossed = [(f"{prefix}_{_IDS.get(a, a)}_{_IDS.get(b, b)}", f"{a}, {b}") for a, b in _CROSS]
    return _operator(name, run, "bool", _symmetric(prefix, *_ORDERED) + crossed)


def _arithmetic() -> list[Row]:
    return [
        *_operator("_+_", operators.add, "", _symmetric("add", "bytes", "double")),
        ("_+_", "add_duration_duration", "duration, duration -> duration", operators.add),
        ("_+_", "add_duration_timestamp", "duration, timestamp -> timestamp", operators.add),
        ("_+_", "add_timestamp_duration", "timestamp, duration -> timestamp", operators.add),
        *_operator("_+_", operators.add, "", _symmetric("add", "int")),
        ("_+_", "add_list", "list(A), list(A) -> list(A)", operators.add),
        *_operator("_+_", operators.add, "", _symmetric("add", "string", "uint")),
        *_operator("_-_", operators.subtract, "", _symmetric("subtract", "double", "int", "uint")),
        ("_-_", "subtract_duration_duration", "duration, duration -> duration", operators.subtract),
        ("_-_", "subtract_timestamp_duration", "timestamp, duration -> timestamp", operators.subtract),
        ("_-_", "subtract_timestamp_timestamp", "timestamp, timestamp -> duration", operators.subtract),
        *_operator("_*_", operators.multiply, "", _symmetric("multiply", "double", "int", "uint")),
        *_operator("_/_", operators.divide, "", _symmetric("divide", "double", "int", "uint")),
        *_operator("_%_", operators.modulo, "", _symmetric("modulo", "int", "uint")),
        ("-_", "negate_double", "double -> double", operators.negate),
        ("-_", "negate_int64", "int -> int", operators.negate),
    ]


def _index_and_logic() -> list[Row]:
    return [
        ("_?_:_", "conditional", "bool, A, A -> A", never),
        ("_&&_", "logical_and", "bool, bool -> bool", never),
        ("_||_", "logical_or", "bool, bool -> bool", never),
        ("!_", "logical_not", "bool -> bool", never),
        ("@not_strictly_false", "not_strictly_false", "bool -> bool", never),
        ("_==_", "equals", "A, A -> bool", never),
        ("_!=_", "not_equals", "A, A -> bool", never),
        ("@in", "in_list", "A, list(A) -> bool", operators.contained),
        ("@in", "in_map", "A, map(A, B) -> bool", operators.contained),
        ("_[_]", "index_list", "list(A), int -> A", never),
        ("_[_]", "index_map", "map(A, B), A -> B", never),
        ("_[_]", "optional_list_index_int", "optional(list(V)), int -> optional(V)", never),
        ("_[_]", "optional_map_index_value", "optional(map(K, V)), K -> optional(V)", never),
        ("_[?_]", "list_optindex_optional_int", "list(V), int -> optional(V)", never),
        ("_[?_]", "optional_list_optindex_optional_int", "optional(list(V)), int -> optional(V)", never),
        ("_[?_]", "map_optindex_optional_value", "map(K, V), K -> optional(V)", never),
        ("_[?_]", "optional_map_optindex_optional_value", "optional(map(K, V)), K -> optional(V)", never),
        ("cel.@mapInsert", "@mapInsert_map_key_value", "map(K, V), K, V -> map(K, V)", never),
        ("cel.@mapInsert", "@mapInsert_map_map", "map(K, V), map(K, V) -> map(K, V)", never),
    ]


# --- conversions


def _unconvertible(value: Any, to: str) -> CelError:
    return CelError(f"type conversion error from '{type_name(value)}' to '{to}'")


def _same(value: Any) -> Any:
    return value


_BOOLS = {**dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
          **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)}  # fmt: skip


def _to_bool(text: str) -> bool:
    if text not in _BOOLS:
        raise _unconvertible(text, "bool")
    return _BOOLS[text]


_INT = re.compile(r"[+-]?[0-9]{1,40}")
_UINT = re.compile(r"[0-9]{1,40}")
_FLOAT = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE
)


def _string_to_int(text: str) -> int:
    try:
        if _INT.fullmatch(text):
            return int_result(int(text))
    except CelError:
        pass  # out of range reads like any other text that is no number
    raise _unconvertible(text, "int")


def _string_to_uint(text: str) -> Uint:
    if _UINT.fullmatch(text) and int(text) <= MAX_UINT:
        return Uint(int(text))
    raise _unconvertible(text, "uint")


def _string_to_double(text: str) -> float:
    if len(text) > 1000 or not _FLOAT.fullmatch(text):
        raise _unconvertible(text, "double")
    value = float(text)
    if math.isinf(value) and "n" not in text.lower():
        raise _unconvertible(text, "double")
    return value


def _double_to_int(value: float) -> int:
    if not -(2.0**63) < value < 2.0**63:
        raise CelError("integer overflow")
    return int(value)


def _double_to_uint(value: float) -> Uint:
    if not 0 <= value < 2.0**64:
        raise CelError("unsigned integer overflow")
    return Uint(int(value))


def _bytes_to_string(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as e:
        raise CelError("invalid UTF-8 in bytes, cannot convert to string") from e


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _conversions() -> list[Row]:
    return [
        ("type", "type", "A -> type(A)", lambda v: TypeValue(type_name(v))),
        ("dyn", "to_dyn", "A -> dyn", _same),
        ("bool", "bool_to_bool", "bool -> bool", _same),
        ("bool", "string_to_bool", "string -> bool", _to_bool),
        ("bytes", "bytes_to_bytes", "bytes -> bytes", _same),
        ("bytes", "string_to_bytes", "string -> bytes", _to_bytes),
        ("double", "double_to_double", "double -> double", _same),
        ("double", "int64_to_double", "int -> double", float),
        ("double", "string_to_double", "string -> double", _string_to_double),
        ("double", "uint64_to_double", "uint -> double", float),
        ("duration", "duration_to_duration", "duration -> duration", _same),
        ("duration", "int64_to_duration", "int -> duration", Duration),
        ("duration", "string_to_duration", "string -> duration", times.to_duration),
        ("int", "int64_to_int64", "int -> int", _same),
        ("int", "double_to_int64", "double -> int", _double_to_int),
        ("int", "duration_to_int64", "duration -> int", lambda d: d.ns),
        ("int", "string_to_int64", "string -> int", _string_to_int),
        ("int", "timestamp_to_int64", "timestamp -> int", lambda t: t.ns // SECOND),
        ("int", "uint64_to_int64", "uint -> int", lambda v: int_result(int(v))),
        ("string", "string_to_string", "string -> string", _same),
        ("string", "bool_to_string", "bool -> string", lambda v: "true" if v else "false"),
        ("string", "bytes_to_string", "bytes -> string", _bytes_to_string),
        ("string", "double_to_string", "double -> string", shortest),
        ("string", "duration_to_string", "duration -> string", str),
        ("string", "int64_to_string", "int -> string", str),
        ("string", "timestamp_to_string", "timestamp -> string", str),
        ("string", "uint64_to_string", "uint -> string", lambda v: str(int(v))),
        ("timestamp", "timestamp_to_timestamp", "timestamp -> timestamp", _same),
        ("timestamp", "int64_to_timestamp", "int -> timestamp", lambda v: time_result(v * SECOND)),
        ("timestamp", "string_to_timestamp", "string -> timestamp", times.to_timestamp),
        ("uint", "uint64_to_uint64", "uint -> uint", _same),
        ("uint", "double_to_uint64", "double -> uint", _double_to_uint),
        ("uint", "int64_to_uint64", "int -> uint", uint_result),
        ("uint", "string_to_uint64", "string -> uint", _string_to_uint),
    ]


# --- sizes, strings, times


def _sizes() -> list[Row]:
    rows: list[Row] = []
    for name, kind in (("bytes", "bytes"), ("list", "list(A)"), ("map", "map(A, B)"), ("string", "string")):
        rows += [("size", f"size_{name}", f"{kind} -> int", len), (".size", f"{name}_size", f"{kind} -> int", len)]
    return rows


def _texts() -> list[Row]:
    return [
        (".contains", "contains_string", "string, string -> bool", lambda a, b: b in a),
        (".endsWith", "ends_with_string", "string, string -> bool", str.endswith),
        (".startsWith", "starts_with_string", "string, string -> bool", str.startswith),
        ("matches", "matches", "string, string -> bool", matches),
        (".matches", "matches_string", "string, string -> bool", matches),
    ]


_PARTS: list[tuple[str, str, Callable[[datetime], int]]] = [
    ("getFullYear", "year", lambda t: t.year),
    ("getMonth", "month", lambda t: t.month - 1),
    ("getDayOfYear", "day_of_year", lambda t: t.timetuple().tm_yday - 1),
    ("getDayOfMonth", "day_of_month", lambda t: t.day - 1),
    ("getDate", "day_of_month_1_based", lambda t: t.day),
    ("getDayOfWeek", "day_of_week", lambda t: t.isoweekday() % 7),
    ("getHours", "hours", lambda t: t.hour),
    ("getMinutes", "minutes", lambda t: t.minute),
    ("getSeconds", "seconds", lambda t: t.second),
]
_WHOLE = {"hours": 3600 * SECOND, "minutes": 60 * SECOND, "seconds": SECOND, "milliseconds": 10**6}


def _time_parts() -> list[Row]:
    rows: list[Row] = []
    for function, name, read in _PARTS:
        plain, zoned = times.part(read)
        suffix = "tz" if name == "seconds" else "with_tz"
        rows.append((f".{function}", f"timestamp_to_{name}", "timestamp -> int", plain))
        rows.append((f".{function}", f"timestamp_to_{name}_{suffix}", "timestamp, string -> int", zoned))
    zoned_milliseconds: Callable[[Timestamp, str], int] = lambda t, _: times.milliseconds(t)  # noqa: E731
    rows.append((".getMilliseconds", "timestamp_to_milliseconds", "timestamp -> int", times.milliseconds))
    rows.append(
        (".getMilliseconds", "timestamp_to_milliseconds_with_tz", "timestamp, string -> int", zoned_milliseconds)
    )
    for name, unit in _WHOLE.items():
        rows.append((f".get{name.capitalize()}", f"duration_to_{name}", "duration -> int", times.whole(unit)))
    return rows


ROWS: list[Row] = [
    *_index_and_logic(), *_arithmetic(), *_conversions(), *_sizes(), *_texts(), *_time_parts(),
    *_ordering("_<_", "less", operators.less), *_ordering("_<=_", "less_equals", operators.less_equal),
    *_ordering("_>_", "greater", operators.greater), *_ordering("_>=_", "greater_equals", operators.greater_equal),
]  # fmt: skip
