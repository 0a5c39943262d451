"""Objects through their schema: structured-merge-diff typed."""

import pytest

from skiff.api import schema
from skiff.api.fieldset import members, path_text
from skiff.api.fit import check
from skiff.api.schema import SchemaNode
from skiff.api.structured import compare, field_set, merge, remove

SCHEMAS = schema.load()
POD = SCHEMAS.node("io.k8s.api.core.v1.Pod")
DEPLOYMENT = SCHEMAS.node("io.k8s.api.apps.v1.Deployment")
CUSTOM = SchemaNode(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "map": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}},
                    },
                    "atomic": {"type": "array", "items": {"type": "string"}},
                    "free": {"type": "object", "additionalProperties": {"type": "string"}},
                    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}}},
                    "any": {"x-kubernetes-preserve-unknown-fields": True},
                },
            }
        },
    }
)  # fmt: skip


def spec(**fields):
    return {"spec": fields}


def texts(found):
    return {path_text(p) for p in members(found)}


@pytest.mark.parametrize(
    "obj, expected",
    [
        pytest.param(spec(atomic=["a", "b"]), {".spec.atomic"}, id="an atomic list is one field"),
        pytest.param(spec(whole={"a": "1"}), {".spec.whole"}, id="an atomic object is one field"),
        pytest.param(spec(set=["a", "b"]), {'.spec.set[="a"]', '.spec.set[="b"]'}, id="elements of a set"),
        pytest.param(
            spec(map=[{"k": "x", "v": 1}]),
            {'.spec.map[k="x"]', '.spec.map[k="x"].k', '.spec.map[k="x"].v'},
            id="elements of a list with keys",
        ),
        pytest.param(spec(free={"a": "1"}), {".spec.free.a"}, id="keys of a map"),
        pytest.param(spec(free={}), {".spec.free"}, id="an empty map"),
        pytest.param(spec(free=None), {".spec.free"}, id="null"),
        pytest.param(spec(any={"a": {"b": 1}, "c": [1]}), {".spec.any.a", ".spec.any.a.b", ".spec.any.c"}, id="no schema"),
    ],
)  # fmt: skip
def test_the_fields_of_a_configuration(obj, expected):
    assert texts(field_set(obj, CUSTOM)) == expected


@pytest.mark.parametrize(
    "old, new, removed, modified, added",
    [
        pytest.param(spec(atomic=["a"]), spec(atomic=["b"]), set(), {".spec.atomic"}, set(), id="an atomic list changes"),
        pytest.param(spec(set=["a", "b"]), spec(set=["b", "c"]), {'.spec.set[="a"]'}, set(), {'.spec.set[="c"]'}, id="a set"),
        pytest.param(spec(set=["a", "b"]), spec(set=["b", "a"]), set(), set(), set(), id="the order of a set"),
        pytest.param(spec(map=[{"k": "x", "v": 1}]), spec(map=[{"k": "x", "v": 2}]), set(), {'.spec.map[k="x"].v'}, set(), id="an element"),
        pytest.param(spec(map=[{"k": "x", "v": 1}]), spec(), {".spec.map", '.spec.map[k="x"]', '.spec.map[k="x"].k', '.spec.map[k="x"].v'}, set(), set(), id="a list goes"),
        pytest.param(spec(), spec(free={"a": "1"}), set(), set(), {".spec.free", ".spec.free.a"}, id="a map comes"),
        pytest.param(spec(free={"a": "1"}), spec(free={"a": "2", "b": "3"}), set(), {".spec.free.a"}, {".spec.free.b"}, id="keys of a map"),
        pytest.param(spec(free={}), spec(free=None), set(), {".spec.free"}, set(), id="empty and null are told apart"),
        pytest.param(spec(free=None), spec(free={"a": "1"}), set(), set(), {".spec.free.a"}, id="null is a map without keys"),
        pytest.param(spec(atomic=None), spec(atomic=["a"]), set(), {".spec.atomic"}, set(), id="null becomes an atomic list"),
        pytest.param(spec(any={"a": 1}), spec(any={"a": [1]}), set(), {".spec.any.a"}, set(), id="another type"),
        pytest.param(spec(any={"a": 1}), spec(any=[1]), {".spec.any.a"}, {".spec.any"}, set(), id="a map becomes a list"),
        pytest.param(spec(any="a"), spec(any={"a": 1}), set(), {".spec.any"}, {".spec.any.a"}, id="a scalar becomes a map"),
        pytest.param(spec(map=[{"k": "x", "v": 1}, {"k": "x", "v": 2}]), spec(map=[{"k": "x", "v": 1}]), set(), set(), {'.spec.map[k="x"]', '.spec.map[k="x"].k', '.spec.map[k="x"].v'}, id="a duplicate goes"),
        pytest.param(spec(map=[{"k": "x", "v": 1}, {"k": "x"}]), spec(map=[{"k": "x", "v": 1}, {"k": "x", "v": 3}]), set(), {'.spec.map[k="x"]'}, set(), id="duplicates change"),
    ],
)  # fmt: skip
def test_compare(old, new, removed, modified, added):
    found = compare(old, new, CUSTOM)
    assert (texts(found.removed), texts(found.modified), texts(found.added)) == (removed, modified, added)


def test_structs_of_built_in_kinds_exist_before_they_are_set():
    new = {
        "spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}, "template": {"spec": {"containers": [{"name": "a"}]}}}
    }
    assert texts(compare({}, new, DEPLOYMENT).added) == {
        ".spec.strategy.rollingUpdate",
        ".spec.strategy.rollingUpdate.maxSurge",
        '.spec.template.spec.containers[name="a"]',
        '.spec.template.spec.containers[name="a"].name',
    }


def test_a_key_may_have_a_default():
    ports = field_set({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}, POD)
    assert '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]' in texts(ports)


@pytest.mark.parametrize(
    "live, config, expected",
    [
        pytest.param(spec(free={"a": "1"}), spec(free={"b": "2"}), spec(free={"a": "1", "b": "2"}), id="maps merge"),
        pytest.param(spec(atomic=["a"]), spec(atomic=["b"]), spec(atomic=["b"]), id="atomic lists replace"),
        pytest.param(spec(whole={"a": "1"}), spec(whole={}), spec(whole={}), id="atomic maps replace"),
        pytest.param(spec(set=["a", "b"]), spec(set=["c", "a"]), spec(set=["c", "a", "b"]), id="sets merge"),
        pytest.param(
            spec(map=[{"k": "x", "v": 1}, {"k": "y", "v": 1}]),
            spec(map=[{"k": "y", "v": 2}, {"k": "z"}]),
            spec(map=[{"k": "x", "v": 1}, {"k": "y", "v": 2}, {"k": "z"}]),
            id="lists with keys merge",
        ),
        pytest.param(
            spec(set=["a", "b", "c", "d"]), spec(set=["d", "a"]), spec(set=["b", "c", "d", "a"]), id="the wanted order wins"
        ),
        pytest.param(spec(free={"a": "1"}), spec(free=None), spec(free={"a": "1"}), id="null keeps a map"),
        pytest.param({}, spec(free={"a": "1"}), spec(free={"a": "1"}), id="into nothing"),
    ],
)  # fmt: skip
def test_merge(live, config, expected):
    assert merge(live, config, CUSTOM) == expected


def test_remove():
    obj = spec(free={"a": "1", "b": "2"}, map=[{"k": "x", "v": 1}, {"k": "y"}], set=["a", "b"], atomic=["a"])
    gone = {
        "f:spec": {"f:free": {"f:a": {}}, "f:map": {'k:{"k":"x"}': {"f:v": {}}}, "f:set": {'v:"a"': {}}, "f:atomic": {}}
    }
    assert remove(obj, gone, CUSTOM) == spec(free={"b": "2"}, map=[{"k": "x"}, {"k": "y"}], set=["b"])


def test_an_emptied_container_stays():
    gone = {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:volumes": {'k:{"name":"v"}': {}}}}
    obj = {"metadata": {"labels": {"a": "1"}}, "spec": {"volumes": [{"name": "v"}]}}
    assert remove(obj, gone, POD) == {"metadata": {"labels": {}}, "spec": {"volumes": []}}


@pytest.mark.parametrize(
    "obj, errors",
    [
        pytest.param(spec(nope=1), [".spec.nope: field not declared in schema"], id="an unknown field"),
        pytest.param(spec(set=["a", "a"]), ['.spec.set: duplicate entries for key [="a"]'], id="a duplicate value"),
        pytest.param(spec(map=[{"k": "x"}, {"k": "x"}]), ['.spec.map: duplicate entries for key [k="x"]'], id="a duplicate key"),
        pytest.param(
            spec(map=[{"v": 1}]),
            [
                '.spec.map: element 0: associative list with keys has an element that omits all key fields ["k"] '
                "(and doesn't have default values for any key fields)"
            ],
            id="no key",
        ),
        pytest.param(spec(map=[{"k": None}]), [], id="a null key"),
        pytest.param(spec(map=[None]), [".spec.map: element 0: associative list with keys may not have a null element"], id="a null element"),
        pytest.param(spec(set=["a", None]), [".spec.set: element 1: associative list without keys has an element that's an explicit null"], id="a null in a set"),
        pytest.param(spec(map=[{"k": "x", "v": "1"}]), ['.spec.map[k="x"].v: expected numeric (int or float), got string'], id="no number"),
        pytest.param(spec(atomic={}), [".spec.atomic: expected list, got map[]"], id="no list"),
        pytest.param(spec(free=[1]), [".spec.free: expected map, got [1]"], id="no map"),
        pytest.param(spec(any={"x": [1]}, free=None), [], id="fits"),
    ],
)  # fmt: skip
def test_check(obj, errors):
    assert check(obj, CUSTOM) == errors
