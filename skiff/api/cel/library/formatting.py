"""string.format: %s %d %f %e %b %x %X %o %%. Source: cel-go ext/formatting.go (the version below 4)."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from skiff.api.cel.errors import CelError, Issue
from skiff.api.cel.values import Duration, Optional, Timestamp, TypeValue, Uint, items, shortest, type_name

_DEFAULT_PRECISION = 6
_LARGEST_PRECISION = 1000
_CLAUSE = re.compile(r"%(?:(?P<percent>%)|(?:\.(?P<precision>[0-9]*))?(?P<verb>.)|(?P<end>\Z))", re.DOTALL)

_REFUSED = {
    "s": "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
    "d": "decimal clause can only be used on integers",
    "f": "fixed-point clause can only be used on doubles",
    "e": "scientific clause can only be used on doubles",
    "b": "only integers and bools can be formatted as binary",
    "x": "only integers, byte buffers, and strings can be formatted as hex",
    "o": "octal clause can only be used on integers",
}
_ACCEPTED = {
    "d": ("int", "uint"), "f": ("double",), "e": ("double",), "b": ("int", "uint", "bool"),
    "x": ("int", "uint", "string", "bytes"), "o": ("int", "uint"),
    "s": ("string", "bool", "bytes", "int", "uint", "double", "map", "list", "type", "google.protobuf.Duration",
          "google.protobuf.Timestamp", "null_type"),
}  # fmt: skip


def _refusal(verb: str, kind: str) -> str:
    return f"error during formatting: {_REFUSED[verb.lower()]}, was given {kind}"


def format_string(text: str, args: Sequence[Any]) -> str:
    place = 0
    out: list[str] = []
    at = 0
    for match in _CLAUSE.finditer(text):
        out.append(text[at : match.start()])
        at = match.end()
        if match["percent"]:
            out.append("%")
            continue
        verb, precision = _clause(match)
        if place >= len(args):
            raise CelError(f"index {place} out of range")
        out.append(_format_one(verb, args[place], precision))
        place += 1
    return "".join(out) + text[at:]


def _clause(match: re.Match[str]) -> tuple[str, int]:
    """The letter of a clause and its precision, 6 if there is none."""
    verb = match["verb"]
    if verb is None:
        raise CelError("unexpected end of string")
    if verb.lower() not in _REFUSED or verb in "SDFEBO":
        raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
    precision = int((match["precision"] or str(_DEFAULT_PRECISION))[:6])
    if precision > _LARGEST_PRECISION:
        raise CelError(f"could not parse formatting clause: precision {precision} is too large")
    return verb, precision


def _format_one(verb: str, value: Any, precision: int) -> str:
    kind = type_name(value)
    unusual = verb in "fe" and value in ("NaN", "Infinity", "-Infinity") and isinstance(value, str)
    if kind not in _ACCEPTED[verb.lower()] and not unusual:
        raise CelError(_refusal(verb, kind))
    return _VERBS[verb](value, precision)


def _text(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return shortest(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case list():
            return "[" + ", ".join(_element(v) for v in value) + "]"
        case dict():
            pairs = sorted((_element(k), _element(v)) for k, v in items(value))
            return "{" + ", ".join(f"{k}:{v}" for k, v in pairs) + "}"
        case Uint():
            return str(int(value))
    return str(value)


def _element(value: Any) -> str:
    """Within a list or map: strings, durations and times are quoted there."""
    if isinstance(value, (str, bytes)):
        return f'"{_text(value)}"'
    if isinstance(value, Duration):
        return f'duration("{value}")'
    if isinstance(value, Timestamp):
        return f'timestamp("{value}")'
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else f'"{_double(value)}"'
    if isinstance(value, (TypeValue, Optional)) or type_name(value) not in _ACCEPTED["s"]:
        return str(value)
    return _text(value)


def _double(value: Any) -> str:
    number = float(value)
    if math.isnan(number):
        return "NaN"
    return ("∞" if number > 0 else "-∞") if math.isinf(number) else ""


def _fixed(value: Any, precision: int) -> str:
    return _double(value) or f"{value:,.{precision}f}"


def _scientific(value: Any, precision: int) -> str:
    special = _double(value)
    if special:
        return special
    mantissa, _, exponent = f"{value:.{precision}e}".partition("e")
    return f"{mantissa}×10" + str(int(exponent)).zfill(2).translate(_SUPERSCRIPT)


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _hex(value: Any, _: int) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").hex()
    return value.hex() if isinstance(value, bytes) else format(int(value), "x")


_VERBS: dict[str, Callable[[Any, int], str]] = {
    "s": lambda v, _: _text(v),
    "d": lambda v, _: str(int(v)),
    "f": _fixed,
    "e": _scientific,
    "b": lambda v, _: format(int(v), "b"),
    "x": _hex,
    "X": lambda v, p: _hex(v, p).upper(),
    "o": lambda v, _: format(int(v), "o"),
}


def check_format(text: str, kinds: Sequence[tuple[int, str]], pos: int) -> Issue | None:
    """What can be said of a call before it runs. kinds: the place and type name of each argument, dyn where unknown."""
    place = 0
    for match in _CLAUSE.finditer(text):
        if match["percent"]:
            continue
        try:
            verb, _ = _clause(match)
        except CelError as e:
            return Issue(pos, str(e))
        if place >= len(kinds):
            return Issue(pos, f"index {place} out of range")
        at, kind = kinds[place]
        if kind != "dyn" and kind not in _ACCEPTED[verb.lower()]:
            return Issue(at, _refusal(verb, kind))
        place += 1
    if len(kinds) > place:
        return Issue(pos, f"too many arguments supplied to string.format (expected {place}, got {len(kinds)})")
    return None
