"""Reading a field of an object, a map, or a value whose type shows only at run time.

A Getter gives a field's value or NOTHING. Fields of declared objects have a name in the object that may differ from the
one in the expression, may need converting (a date is a string in JSON), and count as absent when null.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skiff.api.cel.errors import CelError
from skiff.api.cel.escaping import unescape
from skiff.api.cel.loops import Frame, Run
from skiff.api.cel.types import Type
from skiff.api.cel.values import NONE, Message, Optional

NOTHING = object()
Getter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """name: as in the object. convert: from JSON to a value; None: nothing to do. nullable: null is a value too."""

    name: str
    type: Type
    convert: Callable[[Any], Any] | None = None
    nullable: bool = False


def getter(name: str, field: Field | None) -> Getter:
    """field None: the operand's type does not say which fields it has."""
    if field is None:
        return lambda of: _dynamic(of, name)
    raw, convert = field.name, field.convert
    if field.nullable:
        return lambda of: of.get(raw)
    if convert is None:

        def get(of: Any) -> Any:
            if of is None:
                raise CelError(f"no such key: {name}")
            value = of.get(raw)
            return NOTHING if value is None else value

        return get

    def get_converted(of: Any) -> Any:
        if of is None:
            raise CelError(f"no such key: {name}")
        value = of.get(raw)
        return NOTHING if value is None else convert(value)

    return get_converted


def _dynamic(of: Any, name: str) -> Any:
    if type(of) is not dict:
        raise _unsupported(of, name)
    if name in of:
        return of[name]
    return of.get(unescape(name), NOTHING) if "__" in name else NOTHING


def _unsupported(of: Any, name: str) -> CelError:
    if isinstance(of, list):
        return CelError("unsupported index type 'string' in list")
    return CelError(f"no such key: {name}")


def step(operand: Run, get: Getter, name: str, maybe_optional: bool) -> Run:
    """operand.name"""

    def run(f: Frame) -> Any:
        value = get(operand(f))
        if value is NOTHING:
            raise CelError(f"no such key: {name}")
        return value

    def run_optional(f: Frame) -> Any:
        of = operand(f)
        if type(of) is Optional:
            return _of_optional(of, get)
        value = get(of)
        if value is NOTHING:
            raise CelError(f"no such key: {name}")
        return value

    return run_optional if maybe_optional else run


def _of_optional(of: Optional, get: Getter) -> Optional:
    if not of.has:
        return NONE
    value = get(of.value)
    return NONE if value is NOTHING else Optional(value)


def presence(operand: Run, get: Getter) -> Run:
    """has(operand.name)"""

    def run(f: Frame) -> bool:
        of = operand(f)
        if type(of) is Optional:
            return _of_optional(of, get).has
        if not isinstance(of, (dict, list, Message)) and of is not None:
            return False
        return of is not None and get(of) is not NOTHING

    return run


def optional_step(operand: Run, get: Getter) -> Run:
    """operand.?name, which costs something only where there is something."""

    def run(f: Frame) -> Optional:
        of = operand(f)
        if type(of) is not Optional:
            of = Optional(of)
        found = NONE if of.has and not isinstance(of.value, dict) else _of_optional(of, get)
        if found.has:
            f[0] += 1
        return found

    return run
