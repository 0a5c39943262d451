"""What is said of expressions that cannot be compiled, in cel-go's words and places."""

import pytest

from skiff.api.cel import types
from skiff.api.cel.access import Field
from skiff.api.cel.env import Env
from skiff.api.cel.errors import CompileError, ProgramError

ENV = Env(
    {"self": types.object_type("T"), "n": types.INT, "l": types.list_of(types.STRING)},
    {"T": {"name": Field("name", types.STRING), "size": Field("size", types.INT)}},
)
PRIMARY = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)

MISTAKES = [
    pytest.param("", "1:0: Syntax error: mismatched input '<EOF>' expecting " + PRIMARY, id="nothing"),
    pytest.param("1 +", "1:4: Syntax error: mismatched input '<EOF>' expecting " + PRIMARY, id="an operand is missing"),
    pytest.param("(1", "1:3: Syntax error: missing ')' at '<EOF>'", id="a parenthesis is missing"),
    pytest.param("1 2", "1:3: Syntax error: extraneous input '2' expecting <EOF>", id="something follows"),
    pytest.param("1 @ 2", "1:3: Syntax error: token recognition error at: '@'", id="a character means nothing"),
    pytest.param("self.true", "1:6: Syntax error: mismatched input 'true' expecting IDENTIFIER", id="a keyword as a field"),
    pytest.param("package", "1:1: reserved identifier: package", id="a reserved word"),
    pytest.param("9223372036854775808", "1:1: invalid int literal", id="an int too large"),
    pytest.param("has(n)", "1:5: invalid argument to has() macro", id="has needs a field"),
    pytest.param("l.all(1, true)", "1:7: argument must be a simple name", id="a loop needs a variable"),
    pytest.param("l.map(1, true)", "1:7: argument is not an identifier", id="map needs a variable"),
    pytest.param("x", "1:1: undeclared reference to 'x' (in container '')", id="an unknown name"),
    pytest.param("n.foo()", "1:6: undeclared reference to 'foo' (in container '')", id="an unknown function"),
    pytest.param("self.nam", "1:5: undefined field 'nam'", id="an unknown field"),
    pytest.param("self.name + n", "1:11: found no matching overload for '_+_' applied to '(string, int)'", id="no such sum"),
    pytest.param("n.size()", "1:7: found no matching overload for 'size' applied to 'int.()'", id="no such method"),
    pytest.param("n.x", "1:2: type 'int' does not support field selection", id="an int has no fields"),
    pytest.param("n && true", "1:1: expected type 'bool' but found 'int'", id="an int is no bool"),
    pytest.param("[1, 'a']", "1:5: expected type 'int' but found 'string'", id="mixed elements"),
    pytest.param("{'a': 1, 'b': ''}", "1:15: expected type 'int' but found 'string'", id="mixed values"),
    pytest.param("n.all(x, true)", "1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)", id="no range"),
    pytest.param("duration('x') == duration('1s')", "1:10: invalid duration argument", id="no duration"),
    pytest.param("timestamp('x') == timestamp('y')", "1:11: invalid timestamp argument", id="no time"),
    pytest.param("self.name.matches('(')", "1:19: invalid matches argument", id="no pattern"),
    pytest.param("'%d'.format(['a'])", "1:14: error during formatting: decimal clause can only be used on integers, was given string", id="a clause for ints"),
    pytest.param("T{name: 'a'}", "1:2: undeclared reference to 'T' (in container '')", id="types of schemas have no names"),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", MISTAKES)
def test_mistake(text, expected):
    with pytest.raises(CompileError) as caught:
        ENV.compile(text)
    assert str(caught.value).splitlines()[0] == f"ERROR: <input>:{expected}"


def test_a_mistake_shows_its_line_and_place():
    with pytest.raises(CompileError) as caught:
        ENV.compile("n > 1 &&\n  é' == x")
    shown = str(caught.value).splitlines()
    assert "ERROR: <input>:2:3: Syntax error: token recognition error at: 'é'" in shown
    assert " |   é' == x" in shown
    assert " | ..＾" in shown


def test_all_mistakes_are_reported_in_order():
    with pytest.raises(CompileError) as caught:
        ENV.compile("y + self.z > x")
    assert [i.offset for i in caught.value.issues] == [0, 8, 13]


def test_constants_that_cannot_be_evaluated():
    with pytest.raises(ProgramError, match="unsigned integer overflow"):
        ENV.compile("uint(-1) == 1u")


@pytest.mark.parametrize("text", ["(" * 300 + "1" + ")" * 300, "!" * 5 + "n" + "[0]" * 400, "1" + " + 1" * 400])
def test_depth_is_limited(text):
    with pytest.raises(CompileError, match="expression recursion limit exceeded: 250"):
        ENV.compile(text)


def test_long_chains_of_and_are_not_deep():
    assert ENV.compile(" && ".join(["n > 0"] * 500)).eval({"n": 1}) is True


def test_text_is_limited():
    with pytest.raises(CompileError, match="expression code point size exceeds limit: size: 100001, limit 100000"):
        ENV.compile("1" + " " * 100_000)
