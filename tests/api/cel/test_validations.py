"""Rules of custom resources on objects, in upstream's words."""

import pytest

from skiff.api.cel.validations import Validator, blocked, has_rules
from skiff.api.errors import FieldError, invalid, not_supported, required


def rules(*rules, **schema):
    return {**schema, "x-kubernetes-validations": [r if isinstance(r, dict) else {"rule": r} for r in rules]}


def spec(schema):
    return {"type": "object", "properties": {"spec": schema}}


def errors(schema, obj, old=None, **more):
    return [str(e) for e in Validator.of(schema).validate(obj, old, **more)]


INT, STRING = {"type": "integer"}, {"type": "string"}
OBJECT = {"type": "object", "properties": {"min": INT, "max": INT, "name": STRING}}
WHEN = {"type": "string", "format": "date-time"}

FAILURES = [
    pytest.param(rules("self.min <= self.max", **OBJECT), {"min": 1, "max": 2}, [], id="a rule that holds"),
    pytest.param(
        rules("self.min <= self.max", **OBJECT),
        {"min": 3, "max": 2},
        ["spec: Invalid value: failed rule: self.min <= self.max"],
        id="a rule without a message is quoted, an object is not",
    ),
    pytest.param(
        rules({"rule": "self > 3", "message": " too small "}, **INT), 2, ["spec: Invalid value: 2: too small"], id="message"
    ),
    pytest.param(
        rules({"rule": "self > 3", "message": "m", "messageExpression": "'only ' + string(self)"}, **INT),
        2,
        ["spec: Invalid value: 2: only 2"],
        id="a message expression goes first",
    ),
    pytest.param(
        rules({"rule": "self > 3", "message": "m", "messageExpression": "string(1/(self - 2))"}, **INT),
        2,
        ["spec: Invalid value: 2: m"],
        id="a message expression that fails is left out",
    ),
    pytest.param(
        rules({"rule": "self > 3", "messageExpression": "' '"}, **INT),
        2,
        ["spec: Invalid value: 2: failed rule: self > 3"],
        id="so is an empty one",
    ),
    pytest.param(
        rules({"rule": "self.min > 3", "fieldPath": ".min", "reason": "FieldValueForbidden", "message": "no"}, **OBJECT),
        {"min": 1},
        ["spec.min: Forbidden: no"],
        id="field path and reason",
    ),
    pytest.param(
        rules({"rule": "has(self.name)", "fieldPath": ".name", "reason": "FieldValueRequired", "message": "m"}, **OBJECT),
        {},
        ["spec.name: Required value: m"],
        id="a required field",
    ),
    pytest.param(
        rules("self.min > 3", **OBJECT), {}, ["spec: Invalid value: \"object\": no such key: min evaluating rule: self.min > 3"], id="an error"
    ),
    pytest.param(
        rules("dyn(self.min) + 'a' == ''", **OBJECT),
        {"min": 1},
        [
            "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
            "function or macro signature for rule: dyn(self.min) + 'a' == ''"
        ],
        id="an operator that does not fit",
    ),
    pytest.param(
        rules("self.x", **OBJECT),
        {},
        ["spec: Invalid value: \"object\": rule compile error: compilation failed: ERROR: <input>:1:5: undefined field 'x'\n | self.x\n | ....^"],
        id="a rule that does not compile",
    ),
    pytest.param(rules("self.exists(x, x == 2)", type="array", items=INT), [1, 2], [], id="lists"),
    pytest.param(
        {"type": "array", "items": rules("self > 0", **INT)}, [1, -1], ["spec[1]: Invalid value: -1: failed rule: self > 0"], id="elements"
    ),
    pytest.param(
        {"type": "object", "additionalProperties": rules("self > 0", **INT)},
        {"a": 1, "b": -1},
        ["spec[b]: Invalid value: -1: failed rule: self > 0"],
        id="values of maps",
    ),
    pytest.param({**INT, "allOf": [rules("self > 0")]}, -1, ["spec: Invalid value: -1: failed rule: self > 0"], id="rules in allOf"),
    pytest.param(rules("self > 0", **INT), None, [], id="null is not judged"),
    pytest.param(
        rules("self.__namespace__ == 'n' && self.a__dash__b == 1 && self.c__dot__d__slash__e == 2", type="object",
              properties={"namespace": STRING, "a-b": INT, "c.d/e": INT}),
        {"namespace": "n", "a-b": 1, "c.d/e": 2}, [], id="names are escaped",
    ),
    pytest.param(
        rules("self.namespace == 'n' && has(self.if) && self.__if__ == 1", type="object", properties={"namespace": STRING, "if": INT}),
        {"namespace": "n", "if": 1}, [], id="keywords need not be escaped",
    ),
    pytest.param(rules("self > timestamp('2020-01-01T00:00:00Z')", **WHEN), "2021-01-01T00:00:00Z", [], id="times"),
    pytest.param(
        rules("self.d == duration('90s') && self.b == b'hi' && self.t.all(t, t.getFullYear() == 2021) && self.n / 2.0 == 1.5",
              type="object", properties={
                  "d": {"type": "string", "format": "duration"}, "b": {"type": "string", "format": "byte"},
                  "t": {"type": "array", "items": {"type": "string", "format": "date"}}, "n": {"type": "number"},
              }),
        {"d": "1m30s", "b": "aGk=", "t": ["2021-05-01"], "n": 3}, [], id="formats are values",
    ),
    pytest.param(
        rules("self.p == 3 || self.p.endsWith('%')", type="object", properties={"p": {"x-kubernetes-int-or-string": True}}),
        {"p": "5%"}, [], id="an int or a string",
    ),
    pytest.param(
        rules("self.s == ['b', 'a'] && self.s + ['a', 'c'] == ['a', 'b', 'c']", type="object",
              properties={"s": {"type": "array", "x-kubernetes-list-type": "set", "items": STRING}}),
        {"s": ["a", "b"]}, [], id="lists that are sets have no order",
    ),
]  # fmt: skip


@pytest.mark.parametrize("schema, value, expected", FAILURES)
def test_creation(schema, value, expected):
    assert errors(spec(schema), {"spec": value}) == expected


def test_the_root_has_its_metadata():
    schema = rules("self.metadata.name.startsWith(self.kind) && self.apiVersion == 'v1'", type="object")
    obj = {"apiVersion": "v1", "kind": "a", "metadata": {"name": "abc"}}
    assert errors(schema, obj) == []
    assert errors(rules("has(self.metadata.labels)", type="object"), obj)[0].count("undefined field 'labels'") == 1


def test_transition_rules_need_an_old_value():
    schema = spec(rules({"rule": "self == oldSelf", "message": "immutable"}, **INT))
    assert errors(schema, {"spec": 2}) == []
    assert errors(schema, {"spec": 2}, {}) == []
    assert errors(schema, {"spec": 2}, {"spec": 1}) == ["spec: Invalid value: 2: immutable"]


def test_an_optional_old_self_is_asked_on_creation_too():
    rule = {"rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 1", "optionalOldSelf": True, "message": "m"}
    schema = spec(rules(rule, **INT))
    assert errors(schema, {"spec": 2}) == ["spec: Invalid value: 2: m"]
    assert errors(schema, {"spec": 2}, {"spec": 1}) == []
    assert errors(schema, {"spec": 1}, {"spec": 2}) == ["spec: Invalid value: 1: m"]


def test_elements_of_map_lists_are_compared_with_those_of_their_key():
    item = {
        "type": "object",
        "properties": {"k": STRING, "v": rules({"rule": "self == oldSelf", "message": "m"}, **INT)},
    }
    plain = {"type": "array", "items": item}
    keyed = {**plain, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    old, new = [{"k": "a", "v": 1}, {"k": "b", "v": 2}], [{"k": "b", "v": 2}, {"k": "a", "v": 9}, {"k": "c", "v": 3}]
    assert errors(spec(keyed), {"spec": new}, {"spec": old}) == ["spec[1].v: Invalid value: 9: m"]
    assert errors(spec(plain), {"spec": new}, {"spec": old}) == []


def test_what_an_update_does_not_touch_is_forgiven():
    schema = {"type": "object", "properties": {"a": rules("self > 3", **INT), "b": INT}}
    warnings: list[str] = []
    assert errors(schema, {"a": 1, "b": 2}, {"a": 1, "b": 1}, warnings=warnings) == []
    assert warnings == ["a: Invalid value: 1: failed rule: self > 3"]
    assert errors(schema, {"a": 2, "b": 2}, {"a": 1, "b": 1}) == ["a: Invalid value: 2: failed rule: self > 3"]
    assert errors(schema, {"a": 1}, {"a": 1}, ratchet=False) == ["a: Invalid value: 1: failed rule: self > 3"]


def test_lists_without_keys_are_forgiven_only_as_a_whole():
    schema = spec({"type": "array", "items": rules("self > 3", **INT)})
    assert errors(schema, {"spec": [1]}, {"spec": [1]}) == []
    assert len(errors(schema, {"spec": [1, 5]}, {"spec": [1]})) == 1


OUT = "validation failed due to running out of cost budget, no further validation rules will be run"


def test_the_budget_ends_the_evaluation():
    schema = {
        "type": "object",
        "properties": {"a": rules("self.all(x, x > 0)", "false", type="array", items=INT), "b": rules("false", **INT)},
    }
    assert errors(schema, {"a": [1] * 50, "b": 1}, budget=100) == [f'a: Invalid value: "array": {OUT}']


def test_one_rule_may_not_cost_too_much():
    schema = spec(
        rules({"rule": "self.all(a, self.all(b, self.all(c, a + b + c > 0)))", "message": "m"}, type="array", items=INT)
    )
    (error,) = errors(schema, {"spec": list(range(1, 301))})
    assert error == (
        "spec: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation rules "
        "will be run due to call cost exceeds limit for rule: m"
    )


def test_schemas_without_rules_have_no_validator():
    assert Validator.of(spec(OBJECT)) is None
    assert not has_rules(OBJECT)
    assert has_rules({"type": "array", "items": rules("true", **INT)})


def test_objects_that_are_no_objects_of_the_schema_are_not_judged():
    assert blocked([invalid("a", 1, "x")]) is None
    assert blocked([not_supported("a", "x", ["y"])]) is not None
    found = blocked([required("a", "x")])
    assert isinstance(found, FieldError)
    assert str(found).startswith("<nil>: Invalid value: null: some validation rules were not checked")


WRONG = [None, 1, "x", [], {}, [None], {"spec": None}, {"spec": []}, {"spec": {"min": "x", "max": []}}]


@pytest.mark.parametrize("old", WRONG)
@pytest.mark.parametrize("obj", WRONG)
def test_no_object_crashes_a_validator(obj, old):
    schema = spec(rules("self.min <= self.max && self.name.size() > 0 && oldSelf.min == self.min", **OBJECT))
    assert isinstance(Validator.of(schema).validate(obj, old), list)
