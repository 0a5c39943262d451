"""JSON patch (RFC 6902, with upstream's leniency) and merge patch (RFC 7386 appendix A)."""

import copy

import pytest

from skiff.api.errors import StatusError
from skiff.api.patch import json_patch, merge_patch

DOC = {"a": {"b": [1, 2, {"c": 3}], "x/y": 1, "m~n": 2}, "n": None, "t": True}


def op(kind, path, value=None, **more):
    return {"op": kind, "path": path, "value": value, **more}


@pytest.mark.parametrize(
    "operations, expected",
    [
        pytest.param([op("add", "/z", 1)], {**DOC, "z": 1}, id="add a field"),
        pytest.param([op("add", "/n", 1)], {**DOC, "n": 1}, id="add replaces a field"),
        pytest.param([op("add", "/a/b/1", 9)], {**DOC, "a": {**DOC["a"], "b": [1, 9, 2, {"c": 3}]}}, id="insert"),
        pytest.param([op("add", "/a/b/-", 9)], {**DOC, "a": {**DOC["a"], "b": [*DOC["a"]["b"], 9]}}, id="append"),
        pytest.param([op("add", "/a/b/-1", 9)], {**DOC, "a": {**DOC["a"], "b": [*DOC["a"]["b"], 9]}}, id="append at -1"),
        pytest.param([op("remove", "/a/b/-1")], {**DOC, "a": {**DOC["a"], "b": [1, 2]}}, id="remove the last"),
        pytest.param([op("remove", "/a")], {"n": None, "t": True}, id="remove a field"),
        pytest.param([op("replace", "/a/b/2/c", 4)], {**DOC, "a": {**DOC["a"], "b": [1, 2, {"c": 4}]}}, id="replace deep"),
        pytest.param([op("replace", "/new", 4)], {**DOC, "new": 4}, id="replace of a missing field adds"),
        pytest.param([op("replace", "", {"q": 1})], {"q": 1}, id="replace everything"),
        pytest.param([op("remove", "/a/x~1y"), op("remove", "/a/m~0n")], {**DOC, "a": {"b": DOC["a"]["b"]}}, id="escapes"),
        pytest.param([op("move", "/z", **{"from": "/t"})], {"a": DOC["a"], "n": None, "z": True}, id="move"),
        pytest.param([op("copy", "/z", **{"from": "/a/b/2"})], {**DOC, "z": {"c": 3}}, id="copy"),
        pytest.param([op("test", "/a/b/0", 1), op("test", "/t", True), op("test", "", DOC)], DOC, id="tests that hold"),
        pytest.param([op("test", "/missing", None)], DOC, id="a missing field equals null"),
    ],
)  # fmt: skip
def test_json_patch(operations, expected):
    before = copy.deepcopy(DOC)
    assert json_patch(DOC, operations) == expected
    assert before == DOC


def test_copies_are_independent():
    result = json_patch(DOC, [op("copy", "/z", **{"from": "/a"}), op("replace", "/z/b/2/c", 9)])
    assert result["a"] == DOC["a"]
    assert result["z"]["b"][2] == {"c": 9}


@pytest.mark.parametrize(
    "operations",
    [
        pytest.param([op("test", "/t", 1)], id="true is not one"),
        pytest.param([op("test", "/a/b/0", 1.0)], id="an integer is not a float"),
        pytest.param([op("remove", "/missing")], id="removes what is not there"),
        pytest.param([op("add", "/missing/x", 1)], id="adds below what is not there"),
        pytest.param([op("add", "/a/b/5", 1)], id="beyond the list"),
        pytest.param([op("add", "/a/b/x", 1)], id="no index"),
        pytest.param([op("replace", "/a/b/3", 1)], id="replaces beyond the list"),
        pytest.param([op("add", "/t/x", 1)], id="below a scalar"),
        pytest.param([op("add", "", {})], id="adds the whole"),
        pytest.param([op("move", "/z", **{"from": "/missing"})], id="moves what is not there"),
        pytest.param([op("copy", "/z")], id="copy without from"),
        pytest.param([{"op": "add"}], id="no path"),
        pytest.param([op("frob", "/a")], id="unknown operation"),
        pytest.param([None], id="null operation"),
        pytest.param([op("replace", "", [1])], id="the result is no object"),
        pytest.param([op("copy", "/a/b/-", **{"from": "/a"})] * 40, id="copies that double"),
    ],
)
def test_a_json_patch_that_does_not_apply(operations):
    with pytest.raises(StatusError) as raised:
        json_patch(DOC, operations)
    assert (raised.value.code, raised.value.reason) == (422, "Invalid")
    assert raised.value.message == "the server rejected our request due to an error in our request"


@pytest.mark.parametrize(
    "operations, message",
    [
        pytest.param({}, "object into Go value of type []handlers.jsonPatchOp", id="no list"),
        pytest.param(["x"], "string into Go value of type handlers.jsonPatchOp", id="no object"),
        pytest.param(
            [{"op": 1}], "number into Go struct field jsonPatchOp.0.op of type string", id="op of a wrong type"
        ),
    ],
)
def test_a_malformed_json_patch(operations, message):
    with pytest.raises(StatusError) as raised:
        json_patch(DOC, operations)
    assert raised.value.code == 400
    assert raised.value.message == f"error decoding patch: json: cannot unmarshal {message}"


def test_too_many_operations():
    with pytest.raises(StatusError) as raised:
        json_patch(DOC, [op("test", "/t", True)] * 10_001)
    assert raised.value.code == 413
    assert "in a JSON patch is 10000, got 10001" in raised.value.message


@pytest.mark.parametrize(
    "document, patch, expected",
    [
        pytest.param({"a": "b"}, {"a": "c"}, {"a": "c"}, id="replace"),
        pytest.param({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}, id="add"),
        pytest.param({"a": "b", "b": 1}, {"a": None}, {"b": 1}, id="delete"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": "c"}, id="a list gives way"),
        pytest.param({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}, id="merge below"),
        pytest.param({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}, id="lists replace"),
        pytest.param({"e": None}, {"a": 1}, {"e": None, "a": 1}, id="a null that was there stays"),
        pytest.param({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}, id="nulls of new objects vanish"),
        pytest.param({}, {"a": [{"b": None}, None]}, {"a": [{}, None]}, id="below new lists too"),
    ],
)
def test_merge_patch(document, patch, expected):
    before = copy.deepcopy((document, patch))
    assert merge_patch(document, patch) == expected
    assert (document, patch) == before


@pytest.mark.parametrize(
    "patch, message",
    [
        pytest.param(None, "Invalid JSON Patch", id="null"),
        pytest.param(
            [1],
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
            id="a list",
        ),
    ],
)
def test_a_malformed_merge_patch(patch, message):
    with pytest.raises(StatusError) as raised:
        merge_patch({}, patch)
    assert (raised.value.code, raised.value.message) == (400, message)
