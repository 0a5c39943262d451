"""Mistakes in literals that types do not show: durations, times, patterns, format strings, mixed elements.

Source: cel-go cel/validator.go, with the validators that Kubernetes enables.
"""

from collections.abc import Callable, Iterator

from skiff.api.cel import times
from skiff.api.cel.ast import Call, Expr, ListLiteral, Literal, MapLiteral, children
from skiff.api.cel.errors import CelError, Issue
from skiff.api.cel.library.formatting import check_format
from skiff.api.cel.operators import time_result
from skiff.api.cel.regex import compile_re2
from skiff.api.cel.types import Type, unwrap
from skiff.api.cel.values import SECOND


def _all(e: Expr, exempt: bool = False) -> Iterator[tuple[Expr, bool]]:
    """Every node, and whether it stands within a call of format, whose arguments may be of any type."""
    yield e, exempt
    inside = exempt or (isinstance(e, Call) and e.function == "format")
    for child in children(e):
        yield from _all(child, inside)


def check_literals(root: Expr) -> list[Issue]:
    issues: list[Issue] = []
    for e, exempt in _all(root):
        if isinstance(e, Call):
            issues += _call(e)
        elif isinstance(e, ListLiteral) and not exempt:
            issues += _mixed([(x, unwrap(x.type) if i in e.optional else x.type) for i, x in enumerate(e.elements)])
        elif isinstance(e, MapLiteral) and not exempt:
            issues += _mixed([(x.key, x.key.type) for x in e.entries])
            issues += _mixed([(x.value, unwrap(x.value.type) if x.optional else x.value.type) for x in e.entries])
    return issues


def _fails(check: Callable[[str], object], value: object) -> bool:
    try:
        if isinstance(value, str):
            check(value)
        elif type(value) is int and check is times.to_timestamp:
            time_result(value * SECOND)
    except CelError:
        return True
    return False


_CHECKED: dict[str, Callable[[str], object]] = {
    "duration": times.to_duration,
    "timestamp": times.to_timestamp,
    "matches": compile_re2,
}


def _call(e: Call) -> list[Issue]:
    check = _CHECKED.get(e.function)
    if check is not None and e.args and isinstance(e.args[0], Literal) and _fails(check, e.args[0].value):
        return [Issue(e.args[0].pos, f"invalid {e.function} argument")]
    if e.function == "format" and isinstance(e.target, Literal) and len(e.args) == 1:
        return _format(e, e.target.value, e.args[0])
    return []


def _format(e: Call, text: object, args: Expr) -> list[Issue]:
    if not isinstance(text, str) or not isinstance(args, ListLiteral):
        return []
    issue = check_format(text, [(a.pos, a.type.name) for a in args.elements], e.pos)
    return [issue] if issue else []


def _mixed(parts: list[tuple[Expr, Type]]) -> list[Issue]:
    for e, t in parts[1:]:
        if t != parts[0][1]:
            return [Issue(e.pos, f"expected type '{parts[0][1]}' but found '{t}'")]
    return []
