"""Rules in CEL through the API: refused in definitions, judged on objects."""

from tests.apiserver.apiextensions.builders import CRDS, FOOS, definition, established, foo, schema, version

SPEC = {
    "type": "object",
    "x-kubernetes-validations": [
        {"rule": "self.low <= self.high", "message": "low must not exceed high"},
        {"rule": "self.name == oldSelf.name", "message": "name is immutable", "fieldPath": ".name"},
    ],
    "properties": {"low": {"type": "integer"}, "high": {"type": "integer", "default": 9}, "name": {"type": "string"}},
}


def with_rules(spec):
    return definition(versions=[version(schema={"openAPIV3Schema": schema(spec)})])


def test_rules_judge_objects(api):
    async def main(call):
        await established(call, with_rules(SPEC))
        refused = await call("POST", FOOS, foo(spec={"low": 10, "name": "a"}))
        assert refused.status == 422
        assert (
            refused.body["message"] == 'Foo.example.com "a" is invalid: spec: Invalid value: low must not exceed high'
        )
        made = await call("POST", FOOS, foo(spec={"low": 1, "name": "a"}))
        assert made.status == 201
        made.body["spec"]["name"] = "b"
        changed = await call("PUT", f"{FOOS}/a", made.body)
        assert changed.status == 422
        assert changed.body["details"]["causes"] == [
            {"reason": "FieldValueInvalid", "message": "Invalid value: name is immutable", "field": "spec.name"}
        ]

    api(main)


def test_definitions_with_wrong_rules_are_refused(api):
    async def main(call):
        wrong = {**SPEC, "x-kubernetes-validations": [{"rule": "self.lo > 1"}]}
        refused = await call("POST", CRDS, with_rules(wrong))
        assert refused.status == 422
        assert "compilation failed: ERROR: <input>:1:5: undefined field 'lo'" in refused.body["message"]

    api(main)
