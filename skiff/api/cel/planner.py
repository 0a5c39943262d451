"""Turns a checked tree into Python closures, with the cost of running them.

A plan is a closure over a frame (a list: cost so far, limit, then the variables) and the fixed cost of running it, which
*whoever calls the closure* adds to the frame. So a straight line costs one addition in all; only branches, loops and
calls whose cost depends on their arguments add something on their own. The sums are cel-go's: one for a name, one for
each step into it, one for a call. Source: cel-go interpreter/planner.go, runtimecost.go.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skiff.api.cel import costs, loops, operators
from skiff.api.cel.access import Field, Getter, getter, optional_step, presence, step
from skiff.api.cel.ast import (
    Call,
    Comprehension,
    Expr,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Select,
    Struct,
)  # fmt: skip
from skiff.api.cel.errors import CelError, ProgramError, no_such_overload
from skiff.api.cel.functions import Functions, Overload
from skiff.api.cel.loops import ABSORBED, Frame, Run, charge
from skiff.api.cel.operators import int_result
from skiff.api.cel.regex import compile_re2
from skiff.api.cel.types import SCALARS, STRING, Type, is_dyn, is_optional
from skiff.api.cel.values import NONE, Message, Optional, equal, show, to_key, type_name

FIRST_SLOT = 2
MISSING = object()
"""What stands in the place of a variable that was not given."""


@dataclass(slots=True)
class Plan:
    """run: the closure. cost: what running it costs at least. attribute: 1 if a name or a step into one, whose own unit
    is not counted as a branch of a conditional. constant: run always gives `value`."""

    run: Run
    cost: int
    attribute: int = 0
    constant: bool = False
    value: Any = None


def constant(value: Any) -> Plan:
    return Plan(lambda f: value, 0, constant=True, value=value)


class Planner:
    """variables: name → slot in the frame. objects: the name of an object type → how its fields are read."""

    def __init__(
        self, functions: Functions, variables: Mapping[str, int], objects: Mapping[str, Mapping[str, Field]]
    ) -> None:
        self.functions = functions
        self.slots = dict(variables)
        self.objects = objects
        self.size = FIRST_SLOT + len(variables)

    def plan(self, e: Expr) -> Plan:
        match e:
            case Literal():
                return constant(e.value)
            case Ident():
                return constant(e.constant) if e.constant is not None else self._variable(e.name)
            case Select():
                return self._select(e)
            case Call():
                return self._call(e)
            case ListLiteral():
                return self._list(e)
            case MapLiteral():
                return self._map(e)
            case Struct():
                return self._struct(e)
            case Comprehension():
                return self._comprehension(e)
        raise ProgramError(f"unsupported expr: {e!r}")

    # --- names and steps

    def _variable(self, name: str) -> Plan:
        slot = self.slots[name]

        def run(f: Frame) -> Any:
            value = f[slot]
            if value is MISSING:
                raise CelError(f"no such attribute(s): {name}")
            return value

        return Plan(run, 1, attribute=1)

    def _getter(self, of: Type, field: str) -> Getter:
        declared = self.objects.get(of.params[0].name if is_optional(of) else of.name)
        return getter(field, declared.get(field) if declared is not None else None)

    def _select(self, e: Select) -> Plan:
        if e.constant is not None:
            return constant(e.constant)
        if e.name:
            return self._variable(e.name)
        operand = self.plan(e.operand)
        get = self._getter(e.operand.type, e.field)
        cost = operand.cost + (1 if operand.attribute else 2)
        if e.test:
            return Plan(presence(operand.run, get), cost - 1)
        return Plan(step(operand.run, get, e.field, is_dyn(e.operand.type) or is_optional(e.operand.type)), cost, 1)

    def _optional_select(self, e: Call) -> Plan:
        operand, field = self.plan(e.args[0]), e.args[1]
        assert isinstance(field, Literal)
        get = self._getter(e.args[0].type, field.value)
        return Plan(optional_step(operand.run, get), operand.cost + (0 if operand.attribute else 1), 1)

    def _index(self, e: Call, *, optional: bool) -> Plan:
        container, key = (self.plan(a) for a in e.args)
        cost = container.cost + key.cost + (0 if container.attribute else 1)
        if not key.attribute:
            cost += 1
        held, at = container.run, key.run

        def find_optional(f: Frame) -> Any:
            of = held(f)
            if type(of) is Optional:
                if not of.has:
                    return NONE
                of = of.value
            value, found = operators.find(of, at(f))
            return Optional(value) if found else NONE

        def find(f: Frame) -> Any:
            of = held(f)
            if type(of) is Optional:
                return find_optional(f)
            return operators.index(of, at(f))

        return Plan(find_optional if optional else find, cost, 1)

    # --- calls

    def _call(self, e: Call) -> Plan:
        special = _SPECIAL.get(e.function)
        if special is not None:
            return special(self, e)
        args = [self.plan(a) for a in e.operands]
        candidates = [self.functions.by_id[i] for i in e.overloads]
        if e.function in ("or", "orValue") and e.overloads[0].startswith("optional_"):
            return _or(args, unwrap=e.function == "orValue")
        if e.overloads == ["in_list"] and args[1].constant:
            return _in_constant(args[0], args[1].value)
        if e.function in _CONVERSIONS and len(args) == 1 and args[0].constant:
            return _folded(_chosen(candidates, e), args[0].value)
        if e.function in _WITH_PATTERN and args[1].constant:
            _check_pattern(args[1].value)
        overload = e.overloads[0] if len(e.overloads) == 1 else ""
        cost = sum(a.cost for a in args)
        measure = costs.of_call(e.function, overload)
        if measure is None:
            fast = _FAST.get(overload)
            if fast is not None and not any(is_dyn(a.type) for a in e.operands):
                return Plan(fast(args[0].run, args[1].run), cost + 1)
            return Plan(_applied(_chosen(candidates, e), [a.run for a in args]), cost + 1)
        return Plan(_measured(_chosen(candidates, e), [a.run for a in args], measure), cost)

    def _equality(self, e: Call) -> Plan:
        left, right = (self.plan(a) for a in e.args)
        negated = e.function == "_!=_"
        cost = left.cost + right.cost
        a, b = left.run, right.run
        if e.args[0].type.kind in SCALARS and e.args[1].type.kind in SCALARS:
            same: Callable[[Any, Any], bool] = operator.eq if e.args[0].type == e.args[1].type else equal
            if negated:
                return Plan(lambda f: not same(a(f), b(f)), cost + 1)
            return Plan(lambda f: same(a(f), b(f)), cost + 1)

        def run(f: Frame) -> bool:
            try:
                one, two = a(f), b(f)
            except ABSORBED:
                f[0] += 1
                raise
            f[0] += costs.equality(one, two)
            return equal(one, two) is not negated

        return Plan(run, cost)

    def _and(self, e: Call) -> Plan:
        return _logical(*(self.plan(a) for a in e.args), decisive=False)

    def _or(self, e: Call) -> Plan:
        return _logical(*(self.plan(a) for a in e.args), decisive=True)

    def _not(self, e: Call) -> Plan:
        operand = self.plan(e.args[0])
        inner = operand.run

        def run(f: Frame) -> bool:
            value = inner(f)
            if value is True or value is False:
                return not value
            raise no_such_overload()

        return Plan(run, operand.cost + 1)

    def _conditional(self, e: Call) -> Plan:
        condition, yes, no = (self.plan(a) for a in e.args)
        test, then, otherwise = condition.run, yes.run, no.run
        yes_cost, no_cost = yes.cost - yes.attribute, no.cost - no.attribute

        def run(f: Frame) -> Any:
            chosen = test(f)
            if chosen is True:
                f[0] += yes_cost
                return then(f)
            if chosen is False:
                f[0] += no_cost
                return otherwise(f)
            raise no_such_overload()

        return Plan(run, condition.cost)

    # --- aggregates

    def _list(self, e: ListLiteral) -> Plan:
        parts = [self.plan(x) for x in e.elements]
        if all(p.constant for p in parts) and not e.optional:
            return constant([p.value for p in parts])
        runs = [p.run for p in parts]
        cost = costs.LIST_BASE + sum(p.cost for p in parts)
        if not e.optional:
            return Plan(lambda f: [run(f) for run in runs], cost)
        optional = e.optional

        def run(f: Frame) -> list[Any]:
            out = []
            for i, part in enumerate(runs):
                value = part(f)
                if i not in optional:
                    out.append(value)
                elif type(value) is not Optional:
                    raise CelError(f"cannot initialize optional list element from non-optional value {show(value)}")
                elif value.has:
                    out.append(value.value)
            return out

        return Plan(run, cost)

    def _map(self, e: MapLiteral) -> Plan:
        parts = [(self.plan(x.key), self.plan(x.value), x.optional) for x in e.entries]
        cost = costs.MAP_BASE + sum(k.cost + v.cost for k, v, _ in parts)
        runs = [(k.run, v.run, optional) for k, v, optional in parts]

        def run(f: Frame) -> dict[Any, Any]:
            out: dict[Any, Any] = {}
            for key_of, value_of, optional in runs:
                key, value = key_of(f), value_of(f)
                if isinstance(key, (list, dict)):
                    raise CelError(f"unsupported key type '{type_name(key)}'")
                if not optional:
                    out[to_key(key)] = value
                elif type(value) is not Optional:
                    raise CelError(
                        f"cannot initialize optional entry '{show(key)}' from non-optional value {show(value)}"
                    )
                elif value.has:
                    out[to_key(key)] = value.value
            return out

        if all(k.constant and v.constant and not optional for k, v, optional in parts):
            return constant(run([]))
        return Plan(run, cost)

    def _struct(self, e: Struct) -> Plan:
        declared = self.objects[e.name]
        parts: list[tuple[str, Plan, bool, bool]] = []
        for entry in e.entries:
            assert isinstance(entry.key, Literal)
            field = declared[entry.key.value]
            parts.append((field.name, self.plan(entry.value), entry.optional, field.type is STRING))
        runs = [(name, part.run, optional, textual) for name, part, optional, textual in parts]

        def run(f: Frame) -> Message:
            fields: dict[str, Any] = {}
            for name, value_of, optional, textual in runs:
                value = value_of(f)
                if optional:
                    if type(value) is not Optional:
                        raise CelError(
                            f"cannot initialize optional entry '{name}' from non-optional value {show(value)}"
                        )
                    if not value.has:
                        continue
                    value = value.value
                if textual and type(value) is not str:
                    raise CelError(f"unexpected type {type_name(value)} for {e.name}Type '{name}' field")
                fields[name] = value
            return Message(e.name, fields)

        return Plan(run, costs.STRUCT_BASE + sum(part.cost for _, part, _, _ in parts))

    # --- loops

    def _slot(self) -> int:
        self.size += 1
        return self.size - 1

    def _with(self, names: Mapping[str, int], *parts: Expr) -> list[Plan]:
        """Plans in which some names stand for slots."""
        outer = self.slots
        self.slots = {**outer, **names}
        try:
            return [self.plan(p) for p in parts]
        finally:
            self.slots = outer

    def _comprehension(self, e: Comprehension) -> Plan:
        if e.is_bind:
            return self._bind(e)
        over, slot = self.plan(e.range), self._slot()
        second = self._slot() if e.var2 else 0
        names = {e.var: slot, e.var2: second} if e.var2 else {e.var: slot}
        over_cost = over.cost + 1
        assert isinstance(e.step, Call)
        if e.step.function in ("_&&_", "_||_"):
            (predicate,) = self._with(names, e.step.args[1])
            decisive = e.step.function == "_||_"
            each, stop = (4, 3) if decisive else (3, 2)
            run = loops.quantifier(over.run, slot, second, predicate.run, each + predicate.cost, stop, decisive)
            return Plan(run, over_cost)
        return self._collecting(e, e.step, over.run, over_cost, slot, second, names)

    def _bind(self, e: Comprehension) -> Plan:
        value, slot = self.plan(e.init), self._slot()
        (result,) = self._with({e.accumulator: slot}, e.result)
        give, then = value.run, result.run

        def run(f: Frame) -> Any:
            f[slot] = give(f)
            return then(f)

        return Plan(run, value.cost + result.cost)

    def _collecting(
        self, e: Comprehension, grow: Call, over: Run, cost: int, slot: int, second: int, names: Mapping[str, int]
    ) -> Plan:
        test: Run | None = None
        test_cost = 0
        if grow.function == "_?_:_":
            (condition,) = self._with(names, grow.args[0])
            test, test_cost = condition.run, condition.cost
            assert isinstance(grow.args[1], Call)
            grow = grow.args[1]
        if isinstance(e.init, Literal):
            assert test is not None
            return Plan(loops.exactly_one(over, slot, second, test, test_cost), cost + 1)
        if grow.function == "_+_":
            assert isinstance(grow.args[1], ListLiteral)
            (element,) = self._with(names, grow.args[1].elements[0])
            each = 2 + (0 if element.constant else costs.LIST_BASE + element.cost)
            return Plan(loops.collect(over, slot, second, test, test_cost, element.run, each), cost)
        (value,) = self._with(names, grow.args[-1])
        keyed = len(grow.args) == 3
        each = value.cost + (3 if keyed else 2)
        return Plan(loops.insert(over, slot, second, test, test_cost, value.run, each, keyed), cost)


# --- calls that the planner builds itself


def _logical(left: Plan, right: Plan, *, decisive: bool) -> Plan:
    """`||` (decisive True) or `&&` (False): one operand that decides absorbs an error of the other."""
    a, b, cost = left.run, right.run, right.cost

    def run(f: Frame) -> bool:
        try:
            first = a(f)
        except ABSORBED as error:
            f[0] += cost
            if b(f) is decisive:
                return decisive
            raise error
        if first is decisive:
            return decisive
        f[0] += cost
        second = b(f)
        if second is decisive or (second is not decisive and second in (True, False) and first in (True, False)):
            return second
        raise no_such_overload()

    return Plan(run, left.cost)


def _or(args: list[Plan], *, unwrap: bool) -> Plan:
    """optional.or and optional.orValue, whose argument is only evaluated when it is needed."""
    a, b, cost = args[0].run, args[1].run, args[1].cost

    def run(f: Frame) -> Any:
        first = a(f)
        if type(first) is not Optional:
            return first
        if first.has:
            return first.value if unwrap else first
        f[0] += cost
        return b(f)

    return Plan(run, args[0].cost)


def _in_constant(element: Plan, values: list[Any]) -> Plan:
    """Membership in a list that is known: a set, where the elements are simple. It costs nothing, as upstream."""
    run = element.run
    if any(type(v) not in (str, int, bool, float) for v in values):
        return Plan(_measured(operators.contained, [run, lambda f: values], lambda args, _: len(values)), element.cost)
    known = frozenset(map(to_key, values))

    def contained(f: Frame) -> bool:
        value = run(f)
        return not isinstance(value, (list, dict)) and to_key(value) in known

    return Plan(contained, element.cost) if values else constant(False)


_CONVERSIONS = frozenset(("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint", "type"))


def _folded(run: Callable[..., Any], value: Any) -> Plan:
    try:
        return constant(run(value))
    except CelError as e:
        raise ProgramError(str(e)) from e


_WITH_PATTERN = frozenset(("matches", "find", "findAll"))


def _check_pattern(pattern: Any) -> None:
    """A pattern that is known is compiled now, so that its mistakes are found now."""
    if isinstance(pattern, str):
        try:
            compile_re2(pattern)
        except CelError as e:
            raise ProgramError(str(e)) from e


def _chosen(candidates: list[Overload], e: Call) -> Callable[..., Any]:
    """The implementation of a call: known, or found by the types that its arguments turn out to have."""
    first = candidates[0]
    if first.run in _DISPATCHING:
        return first.run
    if len(candidates) == 1 and not any(_open(a.type, w) for a, w in zip(e.operands, first.args, strict=True)):
        return first.run

    def dispatch(*args: Any) -> Any:
        names = [type_name(a) for a in args]
        for overload in candidates:
            if all(w.kind in ("param", "dyn") or w.name == n for w, n in zip(overload.args, names, strict=True)):
                return overload.run(*args)
        raise no_such_overload()

    return dispatch


def _open(given: Type, wanted: Type) -> bool:
    """Whether a value of a type must be looked at before it is passed on."""
    return (
        (is_dyn(given) or given.kind in ("null", "object")) and wanted.kind not in ("param", "dyn") and given != wanted
    )


_DISPATCHING = frozenset(
    (operators.add, operators.subtract, operators.multiply, operators.divide, operators.modulo, operators.negate,
     operators.less, operators.less_equal, operators.greater, operators.greater_equal, operators.contained)
)  # fmt: skip


def _applied(function: Callable[..., Any], runs: list[Run]) -> Run:
    match runs:
        case [a]:
            return lambda f: function(a(f))
        case [a, b]:
            return lambda f: function(a(f), b(f))
    return lambda f: function(*[run(f) for run in runs])


def _measured(function: Callable[..., Any], runs: list[Run], measure: costs.Cost) -> Run:
    def run(f: Frame) -> Any:
        args = [part(f) for part in runs]
        result = function(*args)
        charge(f, measure(args, result))
        return result

    return run


def _simple(operation: Callable[[Any, Any], Any]) -> Callable[[Run, Run], Run]:
    return lambda a, b: lambda f: operation(a(f), b(f))


def _checked(operation: Callable[[int, int], int]) -> Callable[[Run, Run], Run]:
    return lambda a, b: lambda f: int_result(operation(a(f), b(f)))


_ORDER = {"less": operator.lt, "less_equals": operator.le, "greater": operator.gt, "greater_equals": operator.ge}
_FAST: dict[str, Callable[[Run, Run], Run]] = {
    **{f"{name}_int64": _simple(op) for name, op in _ORDER.items()},
    "add_int64": _checked(operator.add),
    "subtract_int64": _checked(operator.sub),
    "multiply_int64": _checked(operator.mul),
}
"""Operators whose operands are known to be integers."""

_SPECIAL: dict[str, Callable[[Planner, Call], Plan]] = {
    "_&&_": Planner._and,
    "_||_": Planner._or,
    "!_": Planner._not,
    "_?_:_": Planner._conditional,
    "_==_": Planner._equality,
    "_!=_": Planner._equality,
    "_[_]": lambda planner, e: planner._index(e, optional=False),
    "_[?_]": lambda planner, e: planner._index(e, optional=True),
    "_?._": Planner._optional_select,
}
