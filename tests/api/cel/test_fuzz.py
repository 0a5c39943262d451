"""Whatever is written, compiling and evaluating end, with a value or with an error of the language."""

from hypothesis import given, settings
from hypothesis import strategies as st

from skiff.api.cel import types
from skiff.api.cel.env import Env
from skiff.api.cel.errors import CompileError, ProgramError
from skiff.api.cel.estimate import MOST, estimate

ENV = Env({"self": types.map_of(types.STRING, types.DYN), "n": types.INT, "l": types.list_of(types.INT)})

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(
    [
        "self",
        "n",
        "l",
        "1",
        "2u",
        "1.5",
        "-1",
        "'a'",
        "b'a'",
        "true",
        "null",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        "?",
        ".?",
        "[?",
        ":",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<",
        "<=",
        "==",
        "!=",
        "in",
        "&&",
        "||",
        "!",
        ".a",
        ".b",
        "['a']",
        ".size()",
        ".all(",
        ".exists(",
        ".map(",
        ".filter(",
        "has(",
        "size(",
        "type(",
        "string(",
        "int(",
        "dyn(",
        "x",
        "x,",
        "optional.of(",
        ".orValue(1)",
        ".optMap(",
        ".matches('a+')",
        ".split('')",
        ".sort()",
        ".sum()",
        ".transformMap(",
        "k,",
        "v,",
        "quantity('1')",
        "ip('::1')",
        "duration('1s')",
        ".getHours()",
        "`",
        "\\",
        "@",
        '"',
        "'",
        "\n",
        "//",
        "é",
    ]
)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40)


def outcome(text, data):
    try:
        program = ENV.compile(text)
    except (CompileError, ProgramError):
        return
    least, most = estimate(program.root, lambda path: None)
    assert 0 <= least <= most <= MOST
    result = program.evaluate(data, 10_000)
    assert result.cost >= 0


@settings(max_examples=400, deadline=None)
@given(TEXTS, JSON)
def test_any_text(text, value):
    outcome(text, {"self": value, "n": 1, "l": [1, 2]})


OPERANDS = st.sampled_from(
    ["self", "self.a", "self['b']", "n", "l", "l[0]", "1", "2.5", "'a'", "[1]", "{'a': 1}", "self.?a", "dyn(l)"]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "<", "<=", "==", "!=", "in", "&&", "||"])
EXPRESSIONS = st.recursive(
    OPERANDS,
    lambda e: st.tuples(e, OPERATORS, e).map(lambda t: f"(dyn({t[0]}) {t[1]} dyn({t[2]}))")
    | st.tuples(e, st.sampled_from(["all", "exists", "map", "filter"]), e).map(lambda t: f"dyn({t[0]}).{t[1]}(x, dyn({t[2]}))")
    | st.tuples(e, e, e).map(lambda t: f"(dyn({t[0]}) ? dyn({t[1]}) : dyn({t[2]}))"),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, JSON)
def test_any_expression_on_any_value(text, value):
    outcome(text, {"self": value, "n": 1, "l": [1, 2]})
