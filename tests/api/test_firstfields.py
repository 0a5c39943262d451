"""The compiled field sets of new objects are those that comparing with nothing gives."""

import json
import random

import pytest

from skiff.api import firstfields, schema
from skiff.api.fieldset import ordered, union
from skiff.api.resources.builtin import RESOURCES
from skiff.api.schema import SchemaNode
from skiff.api.structured import compare
from tests.api.protobuf_objects import populated

SCHEMAS = schema.load()
DEFINITIONS = {(r.gvr.api_version, r.gvr.kind): r.schema for r in RESOURCES}
KINDS = [
    pytest.param(obj, SCHEMAS.node(DEFINITIONS[kind]), id="/".join(kind))
    for obj in populated()
    if (kind := (obj["apiVersion"], obj["kind"])) in DEFINITIONS
]
CUSTOM = SchemaNode(
    {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "properties": {
                    "ports": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                    },
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {}},
                },
            },
        },
    }
)


def by_comparing(obj, node):
    found = compare({}, obj, node)
    return ordered(union(found.modified, found.added))


def check(obj, node):
    """Equal, and sorted alike."""
    assert json.dumps(firstfields.of(node)(obj)) == json.dumps(by_comparing(obj, node))


def thinned(value, rng):
    """A copy from which things are missing or empty here and there."""
    if isinstance(value, dict):
        kept = {k: thinned(v, rng) for k, v in value.items() if rng.random() < 0.8}
        return {} if rng.random() < 0.05 else kept
    if isinstance(value, list):
        return [] if rng.random() < 0.1 else [thinned(v, rng) for v in value if rng.random() < 0.9]
    return value


@pytest.mark.parametrize("obj, node", KINDS)
def test_an_object_of_every_kind_full_and_thinned(obj, node):
    check(obj, node)
    rng = random.Random(1)
    for _ in range(5):
        check(thinned(obj, rng), node)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"ports": [{"name": "a"}, {"name": "b", "x": 1}]}, id="a list with keys"),
        pytest.param({"ports": [{"name": "a"}, {"name": "a"}, {}]}, id="a key that stands twice, an item without"),
        pytest.param({"tags": ["b", "a", "b"]}, id="a set with a value twice"),
        pytest.param({"whole": {"a": {"b": 1}}}, id="an atomic map"),
        pytest.param({"other": {"a": {"b": [1]}, "c": None}}, id="fields that the schema does not know"),
        pytest.param({"ports": {}, "tags": None, "whole": []}, id="values that are empty or of another kind"),
    ],
)
def test_a_custom_resource(spec):
    check({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": spec}, CUSTOM)


def test_a_custom_resource_without_schema():
    check({"metadata": {"labels": {"a": "b"}}, "spec": {"b": [1], "a": {}}}, SchemaNode({}))
