"""Objects that expressions make: their types, values, costs, and what they are as JSON."""

from typing import Any

import pytest

from skiff.api.cel import types
from skiff.api.cel.env import LIBRARIES, Env
from skiff.api.cel.errors import CelError, CompileError
from skiff.api.cel.functions import Functions
from skiff.api.cel.library.strings import JSON_PATCH_ROWS
from skiff.api.cel.messages import PATCH_TYPES, misnamed, to_json

ENV = Env({"object": types.DYN}, functions=Functions(*LIBRARIES, JSON_PATCH_ROWS), messages=PATCH_TYPES)
DATA = {"object": {"a": 1, "t": "x", "l": [1, "y"]}}

VALUES = [
    pytest.param("Object{}", {}, "Object", 40, id="nothing"),
    pytest.param("Object{a: Object.a{b: object.a + 1}}", {"a": {"b": 2}}, "Object", 83, id="nested"),
    pytest.param("Object{a: 1, ?b: optional.none(), ?c: object.?a}", {"a": 1, "c": 1}, "Object", 43, id="optional fields"),
    pytest.param("Object{a: {'x': Object.a{}}}", {"a": {"x": {}}}, "Object", 110, id="within maps"),
    pytest.param("Object{a: object.l}", {"a": [1, "y"]}, "Object", 42, id="values of the request"),
    pytest.param("Object{a: timestamp('2020-01-01T00:00:00Z'), b: duration('90s'), c: b'x'}",
                 {"a": "2020-01-01T00:00:00Z", "b": "90s", "c": "eA=="}, "Object", 40, id="what JSON writes as text"),
    pytest.param("Object{a: 2.0, b: 2.5, c: 9007199254740993, d: 3u}",
                 {"a": 2, "b": 2.5, "c": "9007199254740993", "d": 3}, "Object", 40, id="numbers"),
    pytest.param("[JSONPatch{op: 'add', path: '/a', value: 1}]",
                 [{"op": "add", "path": "/a", "value": 1}], "list(JSONPatch)", 50, id="a patch"),
    pytest.param("jsonpatch.escapeKey('a/b~c')", "a~1b~0c", "string", 1, id="keys of paths"),
    pytest.param("Object{a: 1} == Object{a: 1} && Object{a: 1} != Object{a: 2}", True, "bool", 162, id="compared"),
    pytest.param("Object{} == dyn(Object.a{})", False, "bool", 82, id="of different types"),
    pytest.param("has(Object{a: 1}.a) && !has(Object{a: 1}.b) && Object{a: 3}.a == 3", True, "bool", 126, id="fields"),
    pytest.param("type(Object.a{}) == Object.a && type(JSONPatch{}) == JSONPatch", True, "bool", 84, id="types are values"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "value", "kind", "cost"), VALUES)
def test_values(expression: str, value: Any, kind: str, cost: int):
    program = ENV.compile(expression)
    result = program.evaluate(DATA)
    assert (result.error, to_json(result.value), str(program.type)) == (None, value, kind)
    assert result.cost == cost


MISTAKES = [
    pytest.param("Objecd{a: foo}", "undeclared reference to 'Objecd' (in container '')", id="no such type"),
    pytest.param("object{}", "'dyn' is not a type", id="a variable"),
    pytest.param("string{}", "'string' is not a message type", id="a type that is not made"),
    pytest.param("Object{a: foo}", "undeclared reference to 'foo' (in container '')", id="within"),
    pytest.param(
        "JSONPatch{op: 1}", "expected type of field 'op' is 'string' but provided type is 'int'", id="a wrong type"
    ),
    pytest.param("Object{?a: 1}", "expected type 'optional_type(int)' but found 'int'", id="not optional"),
    pytest.param("Object{a: [Object.a{}, Object.b{}]}", "expected type 'Object.a' but found 'Object.b'", id="mixed"),
]


@pytest.mark.parametrize(("expression", "message"), MISTAKES)
def test_mistakes(expression: str, message: str):
    with pytest.raises(CompileError) as caught:
        ENV.compile(expression)
    assert [issue.message for issue in caught.value.issues] == [message]


def test_messages_are_only_known_where_they_can_be_made():
    with pytest.raises(CompileError, match="undeclared reference to 'Object'"):
        Env({}).compile("Object{}")


def test_types_are_named_for_their_fields():
    value = ENV.compile("Object{a: Object.a{b: [Object.a.c{}], d: {'x': Object{}}}}").eval(DATA)
    assert [text.partition(",")[0] for text in misnamed(value)] == [
        'unexpected type name "Object.a.c"',
        'unexpected type name "Object"',
    ]


@pytest.mark.parametrize("expression", ["Object{a: {1: 2}}", "Object{a: type(1)}"])
def test_what_json_has_not(expression: str):
    with pytest.raises(CelError):
        to_json(ENV.compile(expression).eval(DATA))


def test_a_field_that_shows_its_type_too_late():
    result = ENV.compile("JSONPatch{op: object.a}").evaluate(DATA)
    assert str(result.error) == "unexpected type int for JSONPatchType 'op' field"
