"""JSONPath as kubectl and CRD columns use it: `.spec.ports[0].port`, `.status.conditions[?(@.type=="Ready")].status`.

The simple form, without braces, text or ranges: fields (dots in names escaped by a backslash), `['name']`, indices and
slices, `*`, unions, filters, and `..`. A missing field gives no result. Source: client-go util/jsonpath.
"""

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

Values = list[Any]
Step = Callable[[Values], Values]


class JSONPathError(ValueError):
    """A path that cannot be parsed, or that does not fit the object."""


class JSONPath:
    """A parsed path."""

    def __init__(self, steps: list[Step]):
        self._steps = steps

    def find(self, obj: Any) -> Values:
        """All matches. Raises JSONPathError when an index or a filter meets what is no list, or lies outside of it."""
        found = [obj]
        for step in self._steps:
            found = step(found)
        return found


_TOKEN = re.compile(
    r"""(?P<space>\s+|[@$])
    |\[\?\((?P<filter>(?:[^'")]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')*)\)\]
    |\.\.(?P<deep>(?=[\w\[.*])|\Z)
    |\.(?P<field>(?:\\.|[^\s.,\[\]$@{}\\])*)
    |\[(?P<array>[^\]\n]*)\]
    |(?P<word>(?:\\.|[\w*-])(?:\\.|[^\s.,\[\]$@{}\\])*)""",
    re.VERBOSE,
)
_KEY = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SLICE = re.compile(r"(-?\d*)(?:(:)(-?\d*))?(?::(\d*))?")
_FILTER = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)


@lru_cache(maxsize=512)
def parse(path: str) -> JSONPath:
    """Raises JSONPathError. Surrounding braces are accepted."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    return JSONPath(_steps(text))


def _steps(text: str) -> list[Step]:
    steps: list[Step] = []
    position, after_deep = 0, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or match.end() == position:
            raise JSONPathError(f"unrecognized character in action: {text[position]!r}")
        position, kind = match.end(), match.lastgroup
        if kind == "word" and not after_deep:
            raise JSONPathError(f"unrecognized identifier {match['word']}")
        after_deep = kind == "deep"
        if kind is not None and kind != "space":
            steps.append(_STEPS[kind](match[kind]))
    return steps


# --- steps


def _field(name: str) -> Step:
    if name == "*":
        return _children
    key = name.replace("\\", "")
    if not key:
        return lambda values: values
    return lambda values: [v[key] for v in values if isinstance(v, dict) and key in v]


def _children(values: Values) -> Values:
    found: Values = []
    for value in values:
        if isinstance(value, dict):
            found.extend(value.values())
        elif isinstance(value, (list, str)):
            found.extend(value)
    return found


def _deep(_: str) -> Step:
    """Every object and list below, the start included."""

    def descend(values: Values) -> Values:
        found: Values = []
        pending = [iter(values)]
        while pending:
            value = next(pending[-1], None)
            if value is None:
                pending.pop()
            elif isinstance(value, (dict, list)) and value:
                found.append(value)
                pending.append(iter([v for v in _children([value]) if v is not None]))
        return found

    return descend


def _array(text: str) -> Step:
    parts = text.split(",")
    if len(parts) > 1:
        options = [_array(part.strip()) for part in parts]
        return lambda values: [found for option in options for found in option(values)]
    if text == "*":
        return _slice(0, None, 1)
    if key := _KEY.fullmatch(text):
        return _field(key[1] if key[1] is not None else key[2])
    match = _SLICE.fullmatch(text)
    if not match or text in ("", "-"):
        raise JSONPathError(f"invalid array index {text}")
    start = int(match[1] or 0)
    if match[2] is None:
        return _slice(start, start + 1, 1)
    step = int(match[4] or 1)
    if step == 0:
        raise JSONPathError("step must be > 0")
    return _slice(start, int(match[3]) if match[3] else None, step)


def _slice(start: int, end: int | None, step: int) -> Step:
    def take(values: Values) -> Values:
        found: Values = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise JSONPathError(f"{text(value)} is not array or slice")
            found += _cut(value, start, end)[::step]
        return found

    return take


def _cut(value: Values, start: int, end: int | None) -> Values:
    size = len(value)
    last = size if end is None else end + size if end < 0 or (end == 0 and start < 0) else end
    first = start + size if start < 0 else start
    if first == last:
        return []
    if not 0 <= first < size or not 0 <= last <= size:
        raise JSONPathError(f"array index out of bounds: index {first}, length {size}")
    if first > last:
        raise JSONPathError(f"starting index {first} is greater than ending index {last}")
    return value[first:last]


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if not match:
        exists = JSONPath(_steps(text))
        return lambda values: [e for v in values for e in _elements(v) if exists.find(e)]
    left, right = _operand(match[1]), _operand(match[3])
    compare = _COMPARE.get(match[2])
    if compare is None:
        raise JSONPathError(f"unrecognized filter operator {match[2]}")
    return lambda values: [e for v in values for e in _elements(v) if _holds(compare, left(e), right(e))]


def _elements(value: Any) -> Values:
    if not isinstance(value, list):
        raise JSONPathError(f"{text(value)} is not array or slice and cannot be filtered")
    return value


def _operand(text: str) -> Callable[[Any], Values]:
    """A literal or a path."""
    text = text.strip()
    if key := _KEY.fullmatch(text):
        literal: Any = key[1] if key[1] is not None else key[2]
        return lambda element: [literal]
    if text in ("true", "false") or re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        value = orjson.loads(text.lstrip("+"))
        return lambda element: [value]
    path = JSONPath(_steps(text))
    return path.find


def _holds(compare: Callable[[Any, Any], bool], left: Values, right: Values) -> bool:
    if not left or not right:
        return False
    if len(left) > 1 or len(right) > 1:
        raise JSONPathError("can only compare one element at a time")
    try:
        return compare(left[0], right[0])
    except TypeError:
        raise JSONPathError("incompatible types for comparison") from None


_STEPS: dict[str, Callable[[str], Step]] = {
    "field": _field,
    "word": _field,
    "deep": _deep,
    "array": _array,
    "filter": _filter,
}


def text(value: Any) -> str:
    """A result as it is printed: compounds as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).removesuffix(".0")
