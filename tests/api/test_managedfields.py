"""Tracking of plain writes: apimachinery pkg/util/managedfields/internal."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.api import schema
from skiff.api.fieldset import intersection, members, path_text
from skiff.api.managedfields import decode, fields_of, keep_times_if_unchanged, track_update

SCHEMAS = schema.load()
CONFIG_MAP = SCHEMAS.node("io.k8s.api.core.v1.ConfigMap")
POD = SCHEMAS.node("io.k8s.api.core.v1.Pod")


def config_map(labels=None, managed=None, **data):
    meta = {"name": "c", "uid": "u", "resourceVersion": "1"}
    if labels:
        meta["labels"] = labels
    if managed is not None:
        meta["managedFields"] = managed
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def write(new, old, manager="m", now="t2", **more):
    before = copy.deepcopy(old)
    track_update(new, old, CONFIG_MAP, manager=manager, api_version="v1", now=now, **more)
    assert old == before
    return new


def created(manager="m", **data):
    return write(config_map(**data), None, manager, "t1")


def owners(obj):
    """What each manager owns."""
    entries = obj["metadata"].get("managedFields", [])
    return {e["manager"]: {path_text(p) for p in members(fields_of(e))} for e in entries}


def times(obj):
    return {e["manager"]: e["time"] for e in obj["metadata"]["managedFields"]}


def test_a_creation_belongs_to_its_manager():
    assert created(a="1")["metadata"]["managedFields"] == [
        {
            "manager": "m",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "t1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}},
        }
    ]


def test_what_changes_changes_its_owner():
    obj = write(config_map(a="2", b="1", d="1"), created(a="1", b="1", c="1"), "n")
    assert owners(obj) == {"m": {".data", ".data.b"}, "n": {".data.a", ".data.d"}}
    assert times(obj) == {"m": "t1", "n": "t2"}


def test_the_same_manager_keeps_one_entry():
    obj = write(config_map(a="2", b="1"), created(a="1", b="1", c="1"))
    assert owners(obj) == {"m": {".data", ".data.a", ".data.b"}}
    assert times(obj) == {"m": "t2"}


def test_a_write_that_changes_nothing_keeps_the_entries():
    old = created(a="1")
    obj = write(config_map(a="1"), old, "n")
    assert obj["metadata"]["managedFields"] == old["metadata"]["managedFields"]


def test_a_removal_takes_the_field_from_everybody():
    obj = write(config_map(b="1"), created(a="1", b="1"), "n")
    assert owners(obj) == {"m": {".data", ".data.b"}}
    assert times(obj) == {"m": "t1"}


def test_a_manager_that_owns_nothing_more_goes():
    obj = write(config_map(a="2"), write(config_map(a="1", b="1"), created(a="1"), "n"), "o")
    obj = write(config_map(a="2"), obj, "o")
    assert owners(obj) == {"m": {".data"}, "o": {".data.a"}}


@pytest.mark.parametrize(
    "given, subresource, expected",
    [
        pytest.param(None, "", {"m", "n"}, id="left out: the stored ones count"),
        pytest.param([{"manager": "x", "operation": "Nope"}], "", {"m", "n"}, id="broken: the stored ones count"),
        pytest.param(
            [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:b": {}}}}],
            "",
            {"x", "n"},
            id="given: they count",
        ),
        pytest.param(
            [{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:b": {}}}}],
            "status",
            {"m", "n"},
            id="given to a subresource: the stored ones count",
        ),
        pytest.param([], "", set(), id="an empty list resets"),
        pytest.param([{}], "", set(), id="one empty entry resets"),
    ],
)  # fmt: skip
def test_what_a_client_sends_as_managed_fields(given, subresource, expected):
    obj = write(config_map(managed=given, a="2", b="1"), created(a="1", b="1"), "n", subresource=subresource)
    assert set(owners(obj)) == expected


def test_an_object_that_is_not_tracked_stays_so():
    assert owners(write(config_map(a="2"), config_map(a="1"), "n")) == {}


def test_managers_of_a_subresource_are_others():
    obj = write(config_map(a="2"), created(a="1"), "m", subresource="status")
    assert [(e["manager"], e.get("subresource")) for e in obj["metadata"]["managedFields"]] == [
        ("m", None),
        ("m", "status"),
    ]


def test_fields_that_an_endpoint_resets_are_not_owned():
    obj = write(config_map({"x": "1"}, a="2"), created(a="1"), "n", reset={"f:data": {}})
    assert owners(obj)["n"] == {".metadata.labels", ".metadata.labels.x"}


def test_no_manager_has_a_name_too():
    assert set(owners(write(config_map(a="1"), None, ""))) == {"unknown"}


def test_the_oldest_updaters_become_one():
    obj = created("m00", **{f"k{i}": "0" for i in range(20)})
    for i in range(14):
        data = {f"k{j}": "1" if j <= i else "0" for j in range(20)}
        obj = write(config_map(**data), obj, f"m{i + 1:02}", f"t{i + 10}")
    found = owners(obj)
    assert len(found) == 10
    assert found["ancient-changes"] >= {".data", ".data.k0", ".data.k19"}
    assert times(obj)["ancient-changes"] == "t14"
    assert set(found) == {"ancient-changes", *(f"m{i:02}" for i in range(6, 15))}


def test_entries_are_sorted_by_operation_then_time():
    obj = write(config_map(a="2", b="1"), created("z", a="1", b="1"), "a", "t0")
    assert [e["manager"] for e in obj["metadata"]["managedFields"]] == ["a", "z"]


def test_only_times_that_differ_are_given_back():
    old = created(a="1")
    new = copy.deepcopy(old)
    new["metadata"]["managedFields"][0]["time"] = "t9"
    changed = copy.deepcopy(new)
    changed["data"]["a"] = "2"
    keep_times_if_unchanged(new, old)
    keep_times_if_unchanged(changed, old)
    assert new == old
    assert changed["metadata"]["managedFields"][0]["time"] == "t9"


@pytest.mark.parametrize(
    "entry, message",
    [
        pytest.param({"operation": "X"}, "operation must be `Apply` or `Update`", id="operation"),
        pytest.param({"operation": "Apply"}, "apiVersion must not be empty", id="version"),
        pytest.param({"operation": "Apply", "apiVersion": "v1"}, "missing fieldsType in managed fields entry 0", id="no type"),
        pytest.param(
            {"operation": "Apply", "apiVersion": "v1", "fieldsType": "V2"},
            'invalid fieldsType "V2" in managed fields entry 0',
            id="another type",
        ),
    ],
)  # fmt: skip
def test_broken_entries(entry, message):
    with pytest.raises(ValueError) as raised:
        decode([entry])
    assert str(raised.value) == message


DATA = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
WRITES = st.lists(st.tuples(st.sampled_from(["m", "n", "o"]), DATA), min_size=1, max_size=6)


@given(WRITES)
def test_each_field_has_one_owner_and_it_is_who_set_it_last(writes):
    obj, last = None, {}
    for i, (manager, data) in enumerate(writes):
        previous = obj["data"] if obj else {}
        last = {k: manager if previous.get(k) != v else last[k] for k, v in data.items()}
        obj = write(config_map(**data), obj, manager, f"t{i}")
        if not obj["metadata"].get("managedFields"):
            return  # nothing was left to own: tracking has ended
    found = owners(obj)
    assert {k: [m for m, fields in found.items() if f".data.{k}" in fields] for k in last} == {
        k: [m] for k, m in last.items()
    }
    entries = obj["metadata"]["managedFields"]
    for i, a in enumerate(entries):
        assert not any(intersection(fields_of(a), fields_of(b)) for b in entries[i + 1 :])


def test_a_pod_status_update_touches_only_the_status():
    """What a kubelet's write leaves behind, next to who made the pod."""
    pod = {
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"containers": [{"name": "a", "image": "x"}]},
        "status": {"phase": "Pending"},
    }
    track_update(pod, None, POD, manager="kubectl", api_version="v1", now="t1")
    ready = {"type": "Ready", "status": "True", "lastProbeTime": None}
    new = {
        **pod,
        "metadata": dict(pod["metadata"]),
        "status": {"phase": "Running", "podIPs": [{"ip": "1"}], "conditions": [ready]},
    }
    track_update(new, pod, POD, manager="kubelet", api_version="v1", subresource="status", now="t2")
    mine = {
        "f:conditions": {".": {}, 'k:{"type":"Ready"}': {".": {}, "f:lastProbeTime": {}, "f:status": {}, "f:type": {}}},
        "f:phase": {},
        "f:podIPs": {".": {}, 'k:{"ip":"1"}': {".": {}, "f:ip": {}}},
    }
    assert [(e["manager"], e["fieldsV1"]) for e in new["metadata"]["managedFields"]] == [
        ("kubectl", {"f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}, "f:name": {}}}}}),
        ("kubelet", {"f:status": mine}),
    ]
