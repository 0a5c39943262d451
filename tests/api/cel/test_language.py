"""Expressions and their values. Source: the CEL language definition."""

import pytest

from skiff.api.cel import types
from skiff.api.cel.env import Env
from skiff.api.cel.errors import CelError
from skiff.api.cel.values import Uint

ENV = Env({"m": types.map_of(types.STRING, types.DYN), "n": types.INT, "l": types.list_of(types.INT)})
DATA = {"m": {"a": 2, "s": "x", "list": [1, "y"]}, "n": 5, "l": [1, 2, 3]}

VALUES = [
    pytest.param("1 + 2 * 3", 7, id="products bind tighter than sums"),
    pytest.param("(1 + 2) * 3", 9, id="parentheses group"),
    pytest.param("7 / 2 == 3 && -7 / 2 == -3 && -7 % 2 == -1", True, id="division is truncated toward zero"),
    pytest.param("--n", 5, id="two signs cancel"),
    pytest.param("!(n > 4) ? 'low' : n > 100 ? 'high' : 'middle'", "middle", id="conditionals chain to the right"),
    pytest.param("1u + 2u", Uint(3), id="unsigned sums stay unsigned"),
    pytest.param("dyn(1) == 1u && dyn(1) == 1.0 && 1 < 1.5 && 2u > 1", True, id="numbers compare across types"),
    pytest.param("dyn(true) == dyn(1)", False, id="true is not one"),
    pytest.param("dyn('1') == dyn(1)", False, id="values of different types differ"),
    pytest.param("{true: 'b', false: 'c'}[true]", "b", id="bools are keys of their own"),
    pytest.param("{1: 'a'}[dyn(1.0)]", "a", id="keys match across number types"),
    pytest.param("[1, 2] + [3] == [1, 2, 3]", True, id="lists are joined and compared by element"),
    pytest.param("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True, id="maps have no order"),
    pytest.param("'ab' < 'b' && b'a' < b'b' && false < true", True, id="texts bytes and bools are ordered"),
    pytest.param("size('✓é') == 2 && bytes('é').size() == 2", True, id="sizes count code points or bytes"),
    pytest.param(r"'\u00e9\x41\101\n' + r'\n' + '''a'b'''", "éAA\n\\na'b", id="literals unescape"),
    pytest.param("0x1F + 1", 32, id="hexadecimal integers"),
    pytest.param("2 in l && !(9 in l) && 'a' in m && !('z' in m)", True, id="in looks at elements and keys"),
    pytest.param("has(m.a) && !has(m.z)", True, id="has looks for keys"),
    pytest.param("l.all(x, x > 0) && l.exists(x, x == 2) && l.exists_one(x, x == 3)", True, id="quantifiers"),
    pytest.param("l.map(x, x * x)", [1, 4, 9], id="map"),
    pytest.param("l.map(x, x > 1, x * 10)", [20, 30], id="map with a condition"),
    pytest.param("l.filter(x, x % 2 == 1)", [1, 3], id="filter"),
    pytest.param("l.map(x, l.filter(y, y < x).size())", [0, 1, 2], id="loops nest with variables of their own"),
    pytest.param("{'a': 1, 'b': 2}.map(k, k + '!')", ["a!", "b!"], id="a loop over a map is over its keys"),
    pytest.param("l.transformList(i, v, i * v)", [0, 2, 6], id="two variables: index and element"),
    pytest.param("{'a': 1}.transformMap(k, v, v + 1)", {"a": 2}, id="maps are transformed"),
    pytest.param("{'a': 1}.transformMapEntry(k, v, {v: k})", {1: "a"}, id="entries are transformed"),
    pytest.param("l.exists(i, v, i == 2 && v == 3)", True, id="a quantifier with two variables"),
    pytest.param("n == 5 || m.z == 1", True, id="what decides absorbs an error on the right"),
    pytest.param("m.z == 1 || n == 5", True, id="what decides absorbs an error on the left"),
    pytest.param("!(m.z == 1 && n == 6)", True, id="and absorbs as well"),
    pytest.param("[0, 1].exists(x, 1 / x == 1)", True, id="an element that decides absorbs the errors of others"),
    pytest.param("m.?a.orValue(0) + m.?z.orValue(40)", 42, id="missing fields have alternatives"),
    pytest.param("m[?'z'].hasValue() || l[?1].value() == 2", True, id="optional indices"),
    pytest.param("[?m.?z, ?m.?a]", [2], id="optional elements are left out"),
    pytest.param("{?'k': m.?z, 'l': dyn(1)}", {"l": 1}, id="optional entries are left out"),
    pytest.param("m.?a.optMap(v, v + 1).value()", 3, id="optMap computes on what is there"),
    pytest.param("optional.of(m).optFlatMap(x, x.?z).hasValue()", False, id="optFlatMap may end in nothing"),
    pytest.param("m.?list[0].value()", 1, id="steps from an optional are optional"),
    pytest.param("optional.none().or(optional.of(1)).value()", 1, id="the first optional with a value"),
    pytest.param("type(1) == int && type('') == string && type(type(1)) == type", True, id="types are values"),
    pytest.param("type(null) == null_type && type([]) == list && type(ip('::1')) == net.IP", True, id="names of types"),
    pytest.param("int('12') + int(3.9) + int(2u)", 17, id="conversions to int"),
    pytest.param(
        "string(1.5) + string(1e6) + string(true) + string(b'x')", "1.51e+06truex", id="conversions to string"
    ),
    pytest.param("double('1.5') + double(1)", 2.5, id="conversions to double"),
    pytest.param("duration('1h30m') == duration('90m') && string(duration('1.5s')) == '1.5s'", True, id="durations"),
    pytest.param("duration('61m').getHours() + duration('61m').getMinutes()", 62, id="a duration in units"),
    pytest.param(
        "timestamp('2024-02-29T12:00:00Z') + duration('24h') == timestamp('2024-03-01T13:00:00+01:00')",
        True,
        id="time arithmetic and zones",
    ),
    pytest.param("string(timestamp('2024-02-29T12:00:00.120Z'))", "2024-02-29T12:00:00.12Z", id="a time as text"),
    pytest.param(
        "timestamp('2024-01-07T23:30:00Z').getDayOfWeek('+01:00') == 1 && timestamp('2024-01-07T23:30:00Z').getMonth() == 0",
        True,
        id="parts of times, in zones, months from zero",
    ),
    pytest.param(
        "timestamp('2024-01-01T00:00:00Z') - timestamp('2023-12-31T23:00:00Z') == duration('1h')", True, id="difference"
    ),
    pytest.param("1 + // a comment\n 2", 3, id="comments and line breaks are space"),
]


@pytest.mark.parametrize("text, expected", VALUES)
def test_value(text, expected):
    value = ENV.compile(text).eval(DATA)
    assert value == expected
    assert type(value) is type(expected)


ERRORS = [
    pytest.param("9223372036854775807 + 1 > 0", "integer overflow", id="int overflow"),
    pytest.param("-9223372036854775807 - 2 > 0", "integer overflow", id="int underflow"),
    pytest.param("n * 9223372036854775807 > 0", "integer overflow", id="product overflow"),
    pytest.param("0u - 1u == 0u", "unsigned integer overflow", id="uint below zero"),
    pytest.param("n / 0", "division by zero", id="division by zero"),
    pytest.param("n % 0", "modulus by zero", id="modulus by zero"),
    pytest.param("m.z", "no such key: z", id="missing key"),
    pytest.param("m['z']", "no such key: z", id="missing key by index"),
    pytest.param("l[3]", "index out of bounds: 3", id="index past the end"),
    pytest.param("l[-1]", "index out of bounds: -1", id="negative index"),
    pytest.param("m.a + 'x' == ''", "no such overload", id="types that do not fit show at run time"),
    pytest.param("m.s && true", "no such overload", id="only bools are and-ed"),
    pytest.param("m.z && true", "no such key: z", id="an error that nothing absorbs"),
    pytest.param("l.all(x, x / 0 == 1)", "division by zero", id="an error in every element"),
    pytest.param("optional.none().value()", "optional.none() dereference", id="no value"),
    pytest.param("int(m.s)", "type conversion error from 'string' to 'int'", id="text that is no number"),
    pytest.param("m.a.map(x, x)", "got 'int', expected iterable type", id="a number is no range"),
    pytest.param("double('NaN') < 1.0", "NaN values cannot be ordered", id="NaN has no order"),
    pytest.param(
        "{1: 1, 2: 1}.transformMapEntry(k, v, {v: k}).size()", "insert failed: key 1 already exists", id="a key twice"
    ),
    pytest.param("timestamp('9999-12-31T23:59:59Z') + duration('1h')", "timestamp overflow", id="times end"),
]


@pytest.mark.parametrize("text, message", ERRORS)
def test_error(text, message):
    with pytest.raises(CelError) as caught:
        ENV.compile(text).eval(DATA)
    assert str(caught.value) == message


def test_a_variable_that_is_not_given_is_an_error_only_where_it_is_used():
    assert ENV.compile("true || n == 1").eval({}) is True
    with pytest.raises(CelError, match=r"no such attribute\(s\): n"):
        ENV.compile("n == 1").eval({})


def test_data_of_another_type_than_declared_is_an_error_not_a_crash():
    for value in (None, "x", [], {}, 1.5):
        result = ENV.compile("n + 1 > 2 && l.size() > 0").evaluate({"n": value, "l": value})
        assert isinstance(result.error, CelError) or result.value in (True, False)
