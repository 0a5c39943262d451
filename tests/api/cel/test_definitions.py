"""What a definition may say in x-kubernetes-validations."""

import json

import pytest

from skiff.api.cel.definitions import form_errors, rule_errors
from tests.api.cel.test_validations import INT, OBJECT, STRING, rules, spec

HERE = "p.x-kubernetes-validations[0]"

FORM = [
    pytest.param({"rule": " "}, f"{HERE}.rule: Required value: rule is not specified", id="no rule"),
    pytest.param({"rule": "true", "message": " "}, f'{HERE}.message: Invalid value: " ": must be non-empty if specified', id="blank message"),
    pytest.param({"rule": "true", "message": "a\nb"}, f'{HERE}.message: Invalid value: "a\\nb": must not contain line breaks', id="long message"),
    pytest.param({"rule": "true\n&& true"}, f"{HERE}.message: Required value: message must be specified if rule contains line breaks", id="long rule"),
    pytest.param({"rule": "true", "messageExpression": " "}, f"{HERE}.messageExpression: Required value: messageExpression must be non-empty if specified", id="blank expression"),
    pytest.param({"rule": "true", "reason": "X"}, f'{HERE}.reason: Unsupported value: "X": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"', id="unknown reason"),
    pytest.param({"rule": "true", "fieldPath": ".nope"}, f'{HERE}.fieldPath: Invalid value: ".nope": must be a valid path', id="no such field"),
    pytest.param({"rule": "true", "fieldPath": "min"}, f'{HERE}.fieldPath: Invalid value: "min": must be a valid path', id="no dot"),
    pytest.param({"rule": "true", "fieldPath": ".min", "reason": "FieldValueRequired"}, None, id="all is well"),
]  # fmt: skip


@pytest.mark.parametrize("rule, expected", FORM)
def test_form(rule, expected):
    assert [str(e) for e in form_errors(rules(rule, **OBJECT), "p")] == ([expected] if expected else [])


SPEC = "p.properties[spec].x-kubernetes-validations[0]"
LIST = {"type": "array", "items": {"type": "number"}}
PATTERN = "self.find(')') == ''"
HINT = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"


def _go(**rule):
    """A rule as a message shows it."""
    zero = {
        "Rule": "",
        "Message": "",
        "MessageExpression": "",
        "Reason": None,
        "FieldPath": "",
        "OptionalOldSelf": None,
    }
    return json.dumps({**zero, **rule}, separators=(",", ":"))


MISTAKES = [
    pytest.param(rules("self > 1", **INT), [], id="all is well"),
    pytest.param(
        rules("self", **INT),
        [f'{SPEC}.rule: Invalid value: {_go(Rule="self")}: cel expression must evaluate to a bool'],
        id="a rule is true or false",
    ),
    pytest.param(
        rules("self.nope < 1 && self.min > 0", **OBJECT),
        [
            f"{SPEC}.rule: Invalid value: "
            + _go(Rule="self.nope < 1 && self.min > 0").replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
            + ": compilation failed: ERROR: <input>:1:5: undefined field 'nope'\n | self.nope < 1 && self.min > 0\n | ....^"
        ],
        id="what would be markup is escaped",
    ),
    pytest.param(
        rules({"rule": "true", "messageExpression": "1"}, **INT),
        [f'{SPEC}.messageExpression: Invalid value: {_go(Rule="true", MessageExpression="1")}: messageExpression must evaluate to a string'],
        id="a message is a text",
    ),
    pytest.param(
        rules(PATTERN, **STRING),
        [f"{SPEC}.rule: Invalid value: {_go(Rule=PATTERN)}: program instantiation failed: error parsing regexp: unexpected ): `)`"],
        id="a constant pattern is checked",
    ),
    pytest.param(
        rules({"rule": "true", "optionalOldSelf": True}, **INT),
        [f"{SPEC}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"],
        id="an optional oldSelf must be used",
    ),
    pytest.param(
        {"type": "array", "maxItems": 2, "items": rules("self == oldSelf", **INT)},
        [
            "p.properties[spec].items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot "
            "be used on the uncorrelatable portion of the schema within p.properties[spec]"
        ],
        id="elements of lists have no old self",
    ),
    pytest.param(
        rules("self.all(x, self.all(y, true))", **{**LIST, "maxItems": 2000}),
        [f"{SPEC}.rule: Forbidden: estimated rule cost exceeds budget by factor of 1.201000x {HINT}"],
        id="a little too expensive",
    ),
    pytest.param(
        rules("self.all(x, self.all(y, true))", **{**LIST, "maxItems": 5000}),
        [f"{SPEC}.rule: Forbidden: estimated rule cost exceeds budget by factor of 7.5x {HINT}"],
        id="too expensive",
    ),
    pytest.param(
        {"type": "array", "maxItems": 5000, "items": rules("self.all(x, true)", **{**LIST, "maxItems": 1000})},
        [f"p.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of 1.5x {HINT}"],
        id="how often a place occurs counts",
    ),
    pytest.param(
        rules("self.all(x, self.all(y, true))", **LIST),
        [
            f"{SPEC}.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {HINT}",
            f"{SPEC}.rule: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
            "p: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget "
            f"by factor of more than 100x {HINT}",
        ],
        id="far too expensive, for the whole as well",
    ),
]  # fmt: skip


@pytest.mark.parametrize("schema, expected", MISTAKES)
def test_rules(schema, expected):
    assert [str(e) for e in rule_errors(spec(schema), "p")] == expected
