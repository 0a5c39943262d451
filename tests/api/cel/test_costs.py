"""What evaluating costs, and what it may cost at most. The figures were worked out by upstream's rules."""

import pytest

from skiff.api.cel import types
from skiff.api.cel.declarations import declare
from skiff.api.cel.env import Env
from skiff.api.cel.errors import CelError, CostExceeded
from skiff.api.cel.rules import compile_rules

ENV = Env({"s": types.STRING, "l": types.list_of(types.INT), "m": types.map_of(types.STRING, types.DYN)})
DATA = {"s": "abcdefghijklmnopqrstuvwxyz", "l": [1, 2, 3, 4], "m": {"a": {"b": 1}}}

RUNS = [
    pytest.param("1 + 1 == 2", 2, id="operators cost one, literals nothing"),
    pytest.param("m.a.b == 1", 4, id="each step costs one"),
    pytest.param("m['a']['b'] == 1", 4, id="an index costs as a field"),
    pytest.param("has(m.a)", 1, id="has costs no more than its operand"),
    pytest.param("true || m.a.b == 1", 0, id="what is not evaluated costs nothing"),
    pytest.param("false || m.a.b == 1", 4, id="what is evaluated costs"),
    pytest.param("l[0] == 1 ? l[1] : l[2]", 4, id="a branch's own name is free"),
    pytest.param("[1, 2, 3] == [1, 2, 3]", 1, id="constant lists are free"),
    pytest.param("[l[0]] == [1]", 13, id="other lists cost ten"),
    pytest.param("{'a': l[0]} == {'a': 1}", 33, id="maps cost thirty"),
    pytest.param("s == s", 5, id="texts cost a tenth of their length"),
    pytest.param("s.contains('xyz')", 4, id="contains costs the product"),
    pytest.param("s.matches('^[a-z]+$')", 7, id="patterns cost a quarter of their length times the text"),
    pytest.param("s in ['a', 'b']", 1, id="membership in a constant list is free"),
    pytest.param("1 in l", 5, id="membership costs the length of the list"),
    pytest.param("l.all(x, x > 0)", 22, id="all: three and the predicate each"),
    pytest.param("l.all(x, x < 2)", 14, id="all stops at the first false"),
    pytest.param("l.exists(x, x == 4)", 26, id="exists: four and the predicate each"),
    pytest.param("l.map(x, x)", 54, id="map makes a list per element"),
    pytest.param("l.filter(x, x > 3)", 23, id="filter makes one where it passes"),
    pytest.param("l.sum()", 5, id="walking a list"),
    pytest.param("s.split('')", 7, id="splitting goes twice through the text"),
    pytest.param("m.?z.orValue(1)", 1, id="a missing field costs nothing"),
    pytest.param("format.uuid().validate('0') == optional.none()", 18 + 3, id="formats cost as their patterns would"),
    pytest.param("quantity('1') == quantity('1')", 3, id="opaque values are compared for one"),
]


@pytest.mark.parametrize("text, expected", RUNS)
def test_cost_of_running(text, expected):
    result = ENV.compile(text).evaluate(DATA)
    assert result.error is None
    assert result.cost == expected


def test_a_loop_ends_when_its_cost_exceeds_the_limit():
    program = ENV.compile("l.all(a, l.all(b, l.all(c, l.all(d, a + b + c + d > 0))))")
    numbers = list(range(1, 200))
    result = program.evaluate({"l": numbers}, 10_000)
    assert isinstance(result.error, CostExceeded)
    assert result.cost < 11_000
    with pytest.raises(CostExceeded, match="operation cancelled: actual cost limit exceeded"):
        program.eval({"l": numbers}, 10_000)


def test_nothing_absorbs_the_limit():
    program = ENV.compile("l.all(x, l.all(y, x + y > 0)) || true")
    assert isinstance(program.evaluate({"l": [1] * 100}, 50).error, CostExceeded)
    assert not isinstance(CostExceeded(1), CelError)


def _array(element, **more):
    return {"type": "array", "items": element, **more}


NUMBERS, STRINGS = _array({"type": "number"}), _array({"type": "string"})
ESTIMATES = [
    pytest.param(NUMBERS, "self.all(x, true)", 3 * (3145726 // 2) + 2, id="unbounded numbers"),
    pytest.param({**NUMBERS, "maxItems": 10}, "self.all(x, true)", 32, id="at most ten numbers"),
    pytest.param(_array(NUMBERS), "self.all(x, true)", 3 * (3145726 // 3) + 2, id="lists of lists take more room"),
    pytest.param({"type": "string"}, "self.startsWith('test')", 2, id="a prefix costs its own length"),
    pytest.param({"type": "string"}, "self.contains('test')", 314574, id="an unbounded text"),
    pytest.param({"type": "string", "maxLength": 10}, "self.contains('test')", 5, id="characters take four bytes"),
    pytest.param({"type": "string", "enum": ["a", "bcd"]}, "self.contains('test')", 2, id="the longest of an enum"),
    pytest.param({**NUMBERS, "maxItems": 10}, "self.all(x, self.all(y, true))", 352, id="nested loops multiply"),
    pytest.param({"type": "object", "additionalProperties": {"type": "boolean"}}, "has(self.x)", 1, id="has is cheap"),
    pytest.param({"type": "integer"}, "self > 1 || self < 0", 4, id="both sides of or"),
    pytest.param({"x-kubernetes-int-or-string": True}, "self == 'a'", 2, id="an int or a string"),
    pytest.param({"type": "string", "format": "date"}, "self == self", 4, id="a date"),
]  # fmt: skip


@pytest.mark.parametrize("schema, rule, expected", ESTIMATES)
def test_most_that_a_rule_can_cost(schema, rule, expected):
    declaration = declare(schema)
    (compiled,) = compile_rules([{"rule": rule}], schema, declaration)
    assert not compiled.error
    assert compiled.cost() == expected


LOOPS = [
    "self.all(x, x > 0.5)",
    "self.exists(x, x == 2.0)",
    "self.map(x, x * 2.0).size() > 0",
    "self.filter(x, x > 1.0) == self",
]


@pytest.mark.parametrize("rule", LOOPS)
def test_no_run_costs_more_than_estimated(rule):
    schema = {**NUMBERS, "maxItems": 6}
    declaration = declare(schema)
    (compiled,) = compile_rules([{"rule": rule}], schema, declaration)
    for length in range(7):
        result = compiled.program.evaluate({"self": [float(i) for i in range(length)]})
        assert result.error is None
        assert result.cost <= compiled.cost()
