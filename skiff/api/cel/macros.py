"""Macros: calls that are rewritten into loops before types are checked.

Which ones exist is what Kubernetes 1.36 enables: the standard ones, those of optionals, those with two variables, and
sortBy. Source: cel-go parser/macro.go, ext/comprehensions.go, ext/lists.go, cel/library.go.
"""

from collections.abc import Callable

from skiff.api.cel.ast import (
    ACCUMULATOR,
    UNUSED,
    Call,
    Comprehension,
    Expr,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Select,
    copy,
)  # fmt: skip


class MacroError(Exception):
    def __init__(self, pos: int, message: str) -> None:
        super().__init__(message)
        self.pos = pos


Expander = Callable[[int, Expr, list[Expr]], Expr]


def expand(pos: int, name: str, target: Expr | None, args: list[Expr]) -> Expr | None:
    """What the macro makes of a call; None if the call is no macro. Raises MacroError for wrong arguments."""
    if target is None:
        return _has(pos, args[0]) if name == "has" and len(args) == 1 else None
    expander = _MACROS.get((name, len(args)))
    return expander(pos, target, args) if expander else None


def _has(pos: int, argument: Expr) -> Expr:
    if not isinstance(argument, Select) or argument.test:
        raise MacroError(argument.pos, "invalid argument to has() macro")
    return Select(pos, argument.operand, argument.field, test=True)


def _variable(e: Expr, message: str) -> str:
    if not isinstance(e, Ident):
        raise MacroError(e.pos, message)
    if e.name in (ACCUMULATOR, "__result__"):
        raise MacroError(e.pos, "iteration variable overwrites accumulator variable")
    return e.name


def _one(args: list[Expr]) -> tuple[str, str]:
    return _variable(args[0], "argument must be a simple name"), ""


def _one_of_list(args: list[Expr]) -> tuple[str, str]:
    return _variable(args[0], "argument is not an identifier"), ""


def _two(args: list[Expr]) -> tuple[str, str]:
    first, second = (_variable(a, "argument must be a simple name") for a in args[:2])
    if first == second:
        raise MacroError(args[1].pos, f"duplicate variable name: {first}")
    return first, second


Variables = Callable[[list[Expr]], tuple[str, str]]


def _quantifier(kind: str, variables: Variables) -> Expander:
    def expander(pos: int, target: Expr, args: list[Expr]) -> Expr:
        one, two = variables(args)
        accu, call = _accu(pos), _caller(pos)
        predicate = args[-1]
        condition: Expr = Literal(pos, True)
        result: Expr = accu()
        if kind == "all":
            init: Expr = Literal(pos, True)
            condition = call("@not_strictly_false", accu())
            step = call("_&&_", accu(), predicate)
        elif kind == "exists":
            init = Literal(pos, False)
            condition = call("@not_strictly_false", call("!_", accu()))
            step = call("_||_", accu(), predicate)
        else:
            init = Literal(pos, 0)
            step = call("_?_:_", predicate, call("_+_", accu(), Literal(pos, 1)), accu())
            result = call("_==_", accu(), Literal(pos, 1))
        return Comprehension(pos, target, one, two, ACCUMULATOR, init, condition, step, result)

    return expander


def _builder(
    variables: Variables, grow: Callable[[int, str, list[Expr]], Expr], init: type, filtered: bool
) -> Expander:
    """A loop that collects. grow: (pos, first variable, arguments) → the accumulator with one more."""

    def expander(pos: int, target: Expr, args: list[Expr]) -> Expr:
        one, two = variables(args)
        step = grow(pos, one, args)
        if filtered:
            condition = args[2] if two else args[1]
            step = Call(pos, "_?_:_", None, [condition, step, Ident(pos, ACCUMULATOR)])
        start, end = init(pos, []), Ident(pos, ACCUMULATOR)
        return Comprehension(pos, target, one, two, ACCUMULATOR, start, Literal(pos, True), step, end)

    return expander


def _append(pos: int, _: str, args: list[Expr]) -> Expr:
    return Call(pos, "_+_", None, [Ident(pos, ACCUMULATOR), ListLiteral(pos, [args[-1]])])


def _keep(pos: int, one: str, args: list[Expr]) -> Expr:
    return Call(pos, "_+_", None, [Ident(pos, ACCUMULATOR), ListLiteral(pos, [Ident(args[0].pos, one)])])


def _insert(pos: int, one: str, args: list[Expr]) -> Expr:
    return Call(pos, "cel.@mapInsert", None, [Ident(pos, ACCUMULATOR), Ident(pos, one), args[-1]])


def _merge(pos: int, _: str, args: list[Expr]) -> Expr:
    return Call(pos, "cel.@mapInsert", None, [Ident(pos, ACCUMULATOR), args[-1]])


def _accu(pos: int) -> Callable[[], Expr]:
    return lambda: Ident(pos, ACCUMULATOR)


def _caller(pos: int) -> Callable[..., Expr]:
    return lambda function, *args: Call(pos, function, None, list(args))


def _bind(pos: int, name: str, value: Expr, result: Expr) -> Expr:
    empty = ListLiteral(pos, [])
    return Comprehension(pos, empty, UNUSED, "", name, value, Literal(pos, False), Ident(pos, name), result)


def _optional(name: str, wrap: bool) -> Expander:
    def expander(pos: int, target: Expr, args: list[Expr]) -> Expr:
        if not isinstance(args[0], Ident):
            raise MacroError(args[0].pos, f"{name}() variable name must be a simple identifier")
        value = Call(pos, "value", copy(target), [])
        bound = _bind(pos, args[0].name, value, args[1])
        some = Call(pos, "optional.of", None, [bound]) if wrap else bound
        none = Call(pos, "optional.none", None, [])
        return Call(pos, "_?_:_", None, [Call(pos, "hasValue", target, []), some, none])

    return expander


_SORTED = "@__sortBy_input__"


def _sort_by(pos: int, target: Expr, args: list[Expr]) -> Expr:
    if not isinstance(target, (ListLiteral, Select, Ident, Comprehension, Call)):
        kinds = "a list, identifier, comprehension, call or select expression"
        raise MacroError(target.pos, f"sortBy can only be applied to {kinds}")
    keys = _MACROS["map", 2](pos, Ident(pos, _SORTED), args)
    return _bind(pos, _SORTED, target, Call(pos, "@sortByAssociatedKeys", Ident(pos, _SORTED), [keys]))


_MACROS: dict[tuple[str, int], Expander] = {
    ("all", 2): _quantifier("all", _one),
    ("exists", 2): _quantifier("exists", _one),
    ("exists_one", 2): _quantifier("exists_one", _one),
    ("existsOne", 2): _quantifier("exists_one", _one),
    ("map", 2): _builder(_one_of_list, _append, ListLiteral, False),
    ("map", 3): _builder(_one_of_list, _append, ListLiteral, True),
    ("filter", 2): _builder(_one_of_list, _keep, ListLiteral, True),
    ("all", 3): _quantifier("all", _two),
    ("exists", 3): _quantifier("exists", _two),
    ("exists_one", 3): _quantifier("exists_one", _two),
    ("existsOne", 3): _quantifier("exists_one", _two),
    ("transformList", 3): _builder(_two, _append, ListLiteral, False),
    ("transformList", 4): _builder(_two, _append, ListLiteral, True),
    ("transformMap", 3): _builder(_two, _insert, MapLiteral, False),
    ("transformMap", 4): _builder(_two, _insert, MapLiteral, True),
    ("transformMapEntry", 3): _builder(_two, _merge, MapLiteral, False),
    ("transformMapEntry", 4): _builder(_two, _merge, MapLiteral, True),
    ("optMap", 2): _optional("optMap", True),
    ("optFlatMap", 2): _optional("optFlatMap", False),
    ("sortBy", 2): _sort_by,
}
