"""The nodes of a parsed expression. `pos` is the offset of the token that an error message points at.

The checker fills in `type`, the overloads of a call, and `constant` for names that stand for a type. Macros are already
expanded: every loop is a Comprehension, whose `macro` tells the planner which shape it has.
"""

from dataclasses import dataclass, field
from typing import Any

from skiff.api.cel.types import DYN, Type

ACCUMULATOR = "@result"
UNUSED = "#unused"


@dataclass(slots=True, eq=False)
class Expr:
    pos: int
    type: Type = field(default=DYN, init=False)


@dataclass(slots=True, eq=False)
class Literal(Expr):
    value: Any


@dataclass(slots=True, eq=False)
class Ident(Expr):
    """constant: the value a type's name stands for, if the checker found one."""

    name: str
    constant: Any = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Select(Expr):
    """operand.field; test: has(operand.field). name: the whole dotted name, when that is declared."""

    operand: Expr
    field: str
    test: bool = False
    name: str = ""
    constant: Any = None


@dataclass(slots=True, eq=False)
class Call(Expr):
    function: str
    target: Expr | None
    args: list[Expr]
    overloads: list[str] = field(default_factory=list, init=False)

    @property
    def operands(self) -> list[Expr]:
        return self.args if self.target is None else [self.target, *self.args]


@dataclass(slots=True, eq=False)
class ListLiteral(Expr):
    """optional: the places of elements written with `?`."""

    elements: list[Expr]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class Entry:
    pos: int
    key: Expr
    value: Expr
    optional: bool


@dataclass(slots=True, eq=False)
class MapLiteral(Expr):
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class Struct(Expr):
    """name{field: value}. Keys are string literals."""

    name: str
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class Comprehension(Expr):
    """A fold of `range` into `accumulator`. var2 is "" for loops with one variable."""

    range: Expr
    var: str
    var2: str
    accumulator: str
    init: Expr
    condition: Expr
    step: Expr
    result: Expr

    @property
    def is_bind(self) -> bool:
        """A name for a value, not a loop."""
        return self.var == UNUSED


def children(e: Expr) -> list[Expr]:
    """What stands directly below a node, in the order of the text."""
    match e:
        case Select():
            return [e.operand]
        case Call():
            return e.operands
        case ListLiteral():
            return e.elements
        case MapLiteral() | Struct():
            return [x for entry in e.entries for x in (entry.key, entry.value)]
        case Comprehension():
            return [e.range, e.init, e.condition, e.step, e.result]
    return []


def copy(e: Expr) -> Expr:
    """The same tree with nodes of its own, before it is checked."""
    match e:
        case Literal():
            return Literal(e.pos, e.value)
        case Ident():
            return Ident(e.pos, e.name)
        case Select():
            return Select(e.pos, copy(e.operand), e.field, e.test)
        case Call():
            return Call(e.pos, e.function, copy(e.target) if e.target else None, [copy(a) for a in e.args])
        case ListLiteral():
            return ListLiteral(e.pos, [copy(x) for x in e.elements], e.optional)
        case MapLiteral():
            return MapLiteral(e.pos, [_copy_entry(x) for x in e.entries])
        case Struct():
            return Struct(e.pos, e.name, [_copy_entry(x) for x in e.entries])
        case Comprehension():
            parts = [copy(x) for x in children(e)]
            return Comprehension(e.pos, parts[0], e.var, e.var2, e.accumulator, *parts[1:])
    raise AssertionError(f"unknown node {e!r}")


def _copy_entry(entry: Entry) -> Entry:
    return Entry(entry.pos, copy(entry.key), copy(entry.value), entry.optional)
