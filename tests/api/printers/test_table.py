"""Table objects, ages, and the printers of custom resources."""

import pytest

from skiff.api.gvr import CONFIGMAPS, LEASES, NODES
from skiff.api.jsonpath import JSONPathError
from skiff.api.printers import DEFAULT, PRINTERS, custom_printer, printer, table
from skiff.api.printers.text import human_duration
from skiff.api.types import GVR

NOW = 1_000_000.0
OBJ = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "c", "creationTimestamp": "1970-01-12T13:46:35Z"},
    "data": {"a": "1"},
}
PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": OBJ["metadata"]}


@pytest.mark.parametrize(
    "seconds, text",
    [
        (-5, "<invalid>"), (-1.5, "0s"), (0.9, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"),
        (600, "10m"), (601, "10m"), (3 * 3600 - 1, "179m"), (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"), (48 * 3600 - 1, "47h"), (48 * 3600, "2d"), (49 * 3600, "2d1h"), (8 * 86400, "8d"),
        (2 * 365 * 86400 - 1, "729d"), (2 * 365 * 86400, "2y"), (366 * 2 * 86400, "2y2d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_human_duration(seconds, text):
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    "include, expected",
    [pytest.param("Metadata", PARTIAL, id="metadata"), pytest.param("Object", OBJ, id="object"), pytest.param("None", None, id="none")],
)  # fmt: skip
def test_table(include, expected):
    got = table(printer(CONFIGMAPS), [OBJ], NOW, include_object=include, metadata={"resourceVersion": "7"})
    assert got["rows"] == [{"cells": ["c", 1, "5s"], "object": expected}]
    assert (got["kind"], got["apiVersion"], got["metadata"]) == ("Table", "meta.k8s.io/v1", {"resourceVersion": "7"})
    assert got["columnDefinitions"][0] | {"description": ""} == {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "",
        "priority": 0,
    }
    assert [c["name"] for c in got["columnDefinitions"]] == ["Name", "Data", "Age"]


def test_later_watch_events_have_no_headers():
    assert table(printer(CONFIGMAPS), [], NOW, headers=False)["columnDefinitions"] is None


def test_wide_columns_have_priority():
    assert {c.name for c in printer(NODES).columns if c.priority} >= {"Internal-IP", "OS-Image"}


def test_flow_schemas_are_ordered_by_precedence():
    objects = [{"metadata": {"name": n}, "spec": {"matchingPrecedence": p}} for n, p in (("a", 9), ("c", 1), ("b", 1))]
    found = table(PRINTERS["flowcontrol.apiserver.k8s.io"]["flowschemas"], objects, NOW)
    assert [r["cells"][0] for r in found["rows"]] == ["b", "c", "a"]


def test_kinds_without_a_printer():
    assert printer(GVR("rbac.authorization.k8s.io", "v1", "roles", "Role")) is DEFAULT
    assert printer(LEASES) is not DEFAULT


COLUMNS = [
    {"name": "Text", "type": "string", "jsonPath": ".spec.text"},
    {"name": "Count", "type": "integer", "jsonPath": ".spec.count", "priority": 1},
    {"name": "Ratio", "type": "number", "jsonPath": ".spec.count"},
    {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
    {"name": "Since", "type": "date", "jsonPath": ".spec.since", "description": "d"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
]


@pytest.mark.parametrize(
    "obj, expected",
    [
        pytest.param(
            {"spec": {"text": "t", "count": 3, "on": True, "since": "1970-01-12T13:46:35+00:00"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            ["t", 3, 3.0, True, "5s", "True"],
            id="all there",
        ),
        pytest.param({}, [None] * 6, id="nothing there"),
        pytest.param(
            {"spec": {"text": {"a": [1]}, "count": "x", "on": 1, "since": "y"}, "status": {"conditions": "z"}},
            ['{"a":[1]}', None, None, None, "<invalid>", None],
            id="other types",
        ),
    ],
)  # fmt: skip
def test_custom_columns(obj, expected):
    found = custom_printer(COLUMNS)
    assert found.cells({"metadata": {"name": "n"}, **obj}, NOW) == ["n", *expected]
    assert [c.priority for c in found.columns] == [0, 0, 1, 0, 0, 0, 0]
    assert found.columns[5].description == "d"


def test_custom_resources_without_columns_show_their_age():
    assert custom_printer(None).cells(OBJ, NOW) == ["c", "5s"]


def test_a_column_that_cannot_be_parsed():
    with pytest.raises(JSONPathError):
        custom_printer([{"name": "x", "type": "string", "jsonPath": ".a["}])
