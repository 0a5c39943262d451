"""What a structural schema does to objects: pruning, nulls and defaults, values, lists, embedded objects, formats."""

import copy
from typing import Any

import pytest

from skiff.api.decode import DecodeError
from skiff.api.structural import embedded, formats, lists
from skiff.api.structural.node import Structural, fill, prune
from skiff.api.structural.patterns import compile_go, is_valid
from skiff.api.structural.values import errors_of, go_number

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
PRESERVE = "x-kubernetes-preserve-unknown-fields"


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def array(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


@pytest.mark.parametrize(
    ("schema", "value", "pruned", "paths"),
    [
        pytest.param(obj(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, ["b"], id="an unknown field goes"),
        pytest.param(
            obj(l=array(obj(a=STRING))), {"l": [{"a": "x", "z": {}}]}, {"l": [{"a": "x"}]}, ["l[0].z"], id="in lists"
        ),
        pytest.param(
            {**obj(a=STRING), PRESERVE: True}, {"b": {"c": 1}}, {"b": {"c": 1}}, [], id="what is preserved stays"
        ),
        pytest.param(
            {**obj(a=obj(b=STRING)), PRESERVE: True},
            {"a": {"x": 1}},
            {"a": {}},
            ["a.x"],
            id="below what is preserved the named fields are pruned",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": obj(a=STRING)},
            {"k": {"a": "x", "b": 1}},
            {"k": {"a": "x"}},
            ["k.b"],
            id="values of a map",
        ),
        pytest.param(
            obj(
                e={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}}
            ),
            {"e": {"apiVersion": "v1", "kind": "A", "metadata": {"name": "x"}, "other": 1}},
            {"e": {"apiVersion": "v1", "kind": "A", "metadata": {"name": "x"}}},
            ["e.other"],
            id="an embedded object keeps what every object has",
        ),
        pytest.param(
            obj(a={"type": "object"}), {"a": {"b": 1}}, {"a": {}}, ["a.b"], id="an object without properties is empty"
        ),
    ],
)
def test_pruning(schema: Any, value: Any, pruned: Any, paths: list[str]) -> None:
    node = Structural(schema, root=True)
    assert (prune(value, node), value) == (paths, pruned)
    assert prune(value, node) == []


@pytest.mark.parametrize(
    ("schema", "value", "filled"),
    [
        pytest.param(obj(a={**INTEGER, "default": 1}), {}, {"a": 1}, id="a missing field gets its default"),
        pytest.param(obj(a={**INTEGER, "default": 1}), {"a": None}, {"a": 1}, id="so does a null"),
        pytest.param(
            obj(a={**INTEGER, "default": 1, "nullable": True}), {"a": None}, {"a": None}, id="unless null is allowed"
        ),
        pytest.param(obj(a=INTEGER), {"a": None}, {}, id="a null that is not allowed goes"),
        pytest.param(obj(a=obj(b={**INTEGER, "default": 1})), {}, {}, id="nothing is made to hold a default"),
        pytest.param(
            obj(a=obj(b={**INTEGER, "default": 1})), {"a": {}}, {"a": {"b": 1}}, id="in an object that is there"
        ),
        pytest.param(
            obj(a={**obj(b={**INTEGER, "default": 1}), "default": {}}), {}, {"a": {"b": 1}}, id="in a default itself"
        ),
        pytest.param(obj(l=array(obj(b={**INTEGER, "default": 1}))), {"l": [{}]}, {"l": [{"b": 1}]}, id="in items"),
        pytest.param(obj(l=array(INTEGER)), {"l": [None]}, {"l": [None]}, id="a null item stays, to be refused"),
        pytest.param(
            {"type": "object", "additionalProperties": {**INTEGER, "default": 4}}, {"k": None}, {"k": 4}, id="in a map"
        ),
    ],
)
def test_nulls_and_defaults(schema: Any, value: Any, filled: Any) -> None:
    before = copy.deepcopy(schema)
    fill(value, Structural(schema, root=True))
    assert value == filled
    assert schema == before


@pytest.mark.parametrize(
    ("schema", "value", "filled"),
    [
        pytest.param(obj(a={**INTEGER, "default": 1}), {"a": None}, {"a": 1}, id="a default takes its place"),
        pytest.param(obj(a=INTEGER), {"a": None}, {"a": None}, id="one that is not allowed stays"),
        pytest.param(obj(l=array(obj(a=INTEGER))), {"l": [{"a": None}]}, {"l": [{"a": None}]}, id="further down, too"),
        pytest.param(obj(a={}), {"a": None}, {}, id="where no type refuses it, it goes"),
    ],
)
def test_nulls_that_somebody_has_applied(schema: Any, value: Any, filled: Any) -> None:
    fill(value, Structural(schema, root=True), keep=True)
    assert value == filled


ONE_OF = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}


@pytest.mark.parametrize(
    ("schema", "value", "messages"),
    [
        pytest.param(INTEGER, 3.0, [], id="a whole float is an integer"),
        pytest.param(
            INTEGER, "x", ['f: Invalid value: "string": f in body must be of type integer: "string"'], id="wrong type"
        ),
        pytest.param(
            {**INTEGER, "format": "int32"},
            True,
            ['f: Invalid value: "": f in body must be of type int32: ""'],
            id="wrong type of a format",
        ),
        pytest.param(STRING, None, ['f: Invalid value: "null": f in body must be of type string: "null"'], id="null"),
        pytest.param({**STRING, "nullable": True}, None, [], id="nullable"),
        pytest.param(
            {"x-kubernetes-int-or-string": True},
            1.5,
            [
                'f: Invalid value: "number": f in body must be of type integer,string: "number"',
                '<nil>: Invalid value: "": Checked value must be of type integer (default format) in f',
            ],
            id="int or string",
        ),
        pytest.param(
            {**INTEGER, "format": "int64"},
            1e18,
            ['f: Invalid value: "float64": f in body must be of type int64: "float64"'],
            id="a float that may have lost digits is no integer",
        ),
        pytest.param(
            {"type": "number", "format": "float"},
            1e39,
            ['<nil>: Invalid value: "": Checked value must be of type number with format float in f'],
            id="more than four bytes hold",
        ),
        pytest.param(
            {**obj(a=STRING, b=INTEGER), "anyOf": [{"required": ["a"]}, {"properties": {"b": {"minimum": 5}}}]},
            {"b": 2},
            [
                '<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)',
                "f.b: Invalid value: 2: f.b in body should be greater than or equal to 5",
            ],
            id="of several schemas the one that looks at most tells",
        ),
        pytest.param({**STRING, "maxLength": 2}, "äöü", ["f: Too long: may not be more than 2 bytes"], id="too long"),
        pytest.param(
            {**STRING, "minLength": 2},
            "ä",
            ['f: Invalid value: "ä": f in body should be at least 2 chars long'],
            id="too short",
        ),
        pytest.param(
            {**STRING, "pattern": "^a$"},
            "a\n",
            ["f: Invalid value: \"a\\n\": f in body should match '^a$'"],
            id="pattern",
        ),
        pytest.param(
            {**INTEGER, "maximum": 3, "exclusiveMaximum": True},
            3,
            ["f: Invalid value: 3: f in body should be less than 3"],
            id="exclusive maximum",
        ),
        pytest.param(
            {"type": "number", "minimum": 0.5},
            0.25,
            ["f: Invalid value: 0.25: f in body should be greater than or equal to 0.5"],
            id="minimum",
        ),
        pytest.param(
            {"type": "number", "multipleOf": 0.1},
            0.35,
            ["f: Invalid value: 0.35: f in body should be a multiple of 0.1"],
            id="multiple",
        ),
        pytest.param({"type": "number", "multipleOf": 0.1}, 0.3, [], id="multiple of a decimal fraction"),
        pytest.param(
            {**INTEGER, "enum": [1, 2]},
            3,
            ['f: Unsupported value: 3: supported values: "1", "2"'],
            id="enum of numbers",
        ),
        pytest.param(
            array(INTEGER, maxItems=1), [1, 2], ["f: Too many: 2: must have at most 1 items"], id="too many items"
        ),
        pytest.param(
            array(INTEGER, minItems=1),
            [],
            ["f: Invalid value: 0: f in body should have at least 1 items"],
            id="too few",
        ),
        pytest.param({**obj(a=STRING), "required": ["a"]}, {}, ["f.a: Required value"], id="required"),
        pytest.param(
            {**STRING, "format": "ipv4"},
            "::1",
            ['f: Invalid value: "::1": f in body must be of type ipv4: "::1"'],
            id="format",
        ),
        pytest.param({**STRING, "format": "unheard-of"}, "x", [], id="an unknown format is ignored"),
        pytest.param(
            {**obj(a=STRING, b=STRING), **ONE_OF},
            {"a": "x", "b": "y"},
            ['<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
            id="one of, both",
        ),
        pytest.param(
            {**INTEGER, "anyOf": [{"minimum": 5}, {"maximum": 1}]},
            3,
            [
                '<nil>: Invalid value: "": "f" must validate at least one schema (anyOf)',
                "f: Invalid value: 3: f in body should be greater than or equal to 5",
            ],
            id="any of",
        ),
        pytest.param(
            {**INTEGER, "not": {"enum": [3]}},
            3,
            ['<nil>: Invalid value: "": "f" must not validate the schema (not)'],
            id="not",
        ),
        pytest.param(
            {**INTEGER, "allOf": [{"minimum": 5}, {"maximum": 9}]},
            3,
            [
                "f: Invalid value: 3: f in body should be greater than or equal to 5",
                '<nil>: Invalid value: "": "f" must validate all the schemas (allOf)',
            ],
            id="all of",
        ),
    ],
)
def test_values(schema: Any, value: Any, messages: list[str]) -> None:
    assert [str(e) for e in errors_of(obj(f=schema), {"f": value})] == messages


def test_an_update_forgives_what_it_does_not_touch() -> None:
    schema = obj(
        a={**INTEGER, "maximum": 1},
        l=array(
            obj(k=STRING, v={**INTEGER, "maximum": 1}),
            **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        ),
    )
    old = {"a": 5, "l": [{"k": "x", "v": 5}, {"k": "y", "v": 5}]}
    new = {"a": 5, "l": [{"k": "y", "v": 6}, {"k": "x", "v": 5}]}
    assert [e.path for e in errors_of(schema, new, old)] == ["l[0].v"]
    assert errors_of(schema, old, old) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1"), (100.0, "100"), (1e6, "1e+06"), (1234567.0, "1.234567e+06"), (0.5, "0.5"), (1e-05, "1e-05")],
)
def test_numbers_as_go_prints_them(number: float, text: str) -> None:
    assert go_number(number) == text


SET = {"x-kubernetes-list-type": "set"}
MAP = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"]}


@pytest.mark.parametrize(
    ("schema", "value", "messages"),
    [
        pytest.param(
            array(STRING, **SET), ["a", "b", "a", "a"], ['f[2]: Duplicate value: "a"'], id="a set, once per value"
        ),
        pytest.param(array(STRING), ["a", "a"], [], id="a plain list"),
        pytest.param(
            array(obj(a=STRING, b=STRING), **MAP),
            [{"a": "x"}, {"a": "x", "b": "y"}, {"a": "x"}],
            ['f[2]: Duplicate value: {"a":"x"}'],
            id="a map with a key that is not set",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": array(STRING, **SET)},
            {"k": ["a", "a"]},
            ['f[k][1]: Duplicate value: "a"'],
            id="below a map",
        ),
    ],
)
def test_lists(schema: Any, value: Any, messages: list[str]) -> None:
    assert [str(e) for e in lists.errors_of({"f": value}, Structural(obj(f=schema), root=True))] == messages


EMBEDDED = Structural(obj(e={"type": "object", "x-kubernetes-embedded-resource": True, PRESERVE: True}), root=True)


def test_embedded_objects_have_checked_metadata() -> None:
    value: Any = {"e": {"apiVersion": "v1", "kind": "A", "metadata": {"name": "x", "odd": 1}}}
    assert embedded.coerce(value, EMBEDDED) == ["e.metadata.odd"]
    assert value["e"]["metadata"] == {"name": "x"}
    with pytest.raises(DecodeError, match=r"e\.kind: Invalid value: 1: must be a string"):
        embedded.coerce({"e": {"apiVersion": "v1", "kind": 1}}, EMBEDDED)
    stored: Any = {"e": {"apiVersion": "v1", "kind": 1, "metadata": {"name": 5}}}
    embedded.coerce(stored, EMBEDDED, lenient=True)
    assert stored == {"e": {"apiVersion": "v1", "metadata": {}}}


def test_embedded_objects_name_their_kind() -> None:
    found = embedded.errors_of({"e": {"apiVersion": "a/b/c"}}, EMBEDDED)
    assert [str(e) for e in found] == [
        "e.kind: Required value",
        'e.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    ]


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("date", "0000-01-01", "0000-13-01"),
        ("date-time", "2014-12-15T19:30:20.000Z", "2014-12-15 19:30:20Z"),
        ("duration", "22 ns", "22 parsecs"),
        ("duration", "1h30m", "30"),
        ("duration", "PT2 Weeks", "2 fortnights"),
        ("ipv4", "01.2.3.4", "01.2.3"),
        ("email", "A <a@b.c>", "a..b@c"),
        ("email", "a@b", "a@b c"),
        ("uri", "https://a/%20", "https://a/%2"),
        ("hostname", "a", "a.b"),
        ("hostname", "ü.example", "1.2.3.4"),
        ("uuid", "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "3F2504E0"),
        ("uuid4", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("ipv6", "::1", "127.0.0.1"),
        ("cidr", "10.0.0.1/8", "10.0.0.1"),
        ("mac", "01:23:45:67:89:ab", "0123456789ab"),
        ("email", "a@b.c", "a.b.c"),
        ("uri", "https://a/b", "a b"),
        ("hostname", "a-b.example.com", "a_b"),
        ("isbn10", "0321751043", "0321751044"),
        ("isbn13", "978-0321751041", "978-0321751042"),
        ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("hexcolor", "#FFF", "#FFFF"),
        ("rgbcolor", "rgb(255,255,25)", "rgb(256,0,0)"),
        ("byte", "aGk=", "aGk"),
        ("ssn", "123-45-6789", "12-345-6789"),
        ("bsonobjectid", "507f1f77bcf86cd799439011", "507f1f77"),
        ("k8s-short-name", "a-b", "a.b"),
        ("k8s-long-name", "a.b", "A.b"),
    ],
)
def test_formats(format: str, good: str, bad: str) -> None:
    check = formats.STRINGS[format.replace("-", "")]
    assert (check(good), check(bad)) == (True, False)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^[[:alpha:]]+$", "abc", True),
        ("^a$", "a\n", False),
        (r"\Qa.b\E", "axb", False),
        ("[]a]", "]", True),
        (r"^\d$", "٣", False),
        (r"a\z", "a", True),
    ],
)
def test_patterns_are_gos(pattern: str, text: str, matches: bool) -> None:
    assert bool(compile_go(pattern).search(text)) is matches


def test_a_pattern_that_nobody_can_read() -> None:
    assert is_valid("(a").startswith("error parsing regexp")


def test_all_of_an_embedded_objects_metadata_is_checked() -> None:
    meta = {"name": "a/b", "generateName": "%", "namespace": "A", "labels": {"a b": ""}}
    found = embedded.errors_of({"e": {"apiVersion": "v1", "kind": "Pod", "metadata": meta}}, EMBEDDED)
    assert [e.path.removeprefix("e.metadata.") for e in found] == ["generateName", "name", "namespace", "labels"]
