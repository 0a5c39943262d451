"""Helpers on objects: owners, finalizers, conditions, pod predicates."""

import pytest

from skiff.api import meta
from skiff.api.gvr import REPLICASETS

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "a", "uid": "u1"}}
REF = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "name": "web",
    "uid": "u1",
    "controller": True,
    "blockOwnerDeletion": True,
}


def test_controller_references():
    child = {"metadata": {"ownerReferences": [{"uid": "u0"}, meta.new_controller_ref(OWNER)]}}
    assert meta.controller_of(child) == REF
    assert meta.is_controlled_by(child, OWNER)
    assert not meta.is_controlled_by(child, {"metadata": {"uid": "u2"}})
    assert meta.controller_of({"metadata": {}}) is None
    assert meta.new_controller_ref({"metadata": OWNER["metadata"]}, REPLICASETS) == REF


@pytest.mark.parametrize(
    "path, expected",
    [
        pytest.param(("metadata", "name"), "web", id="nested"),
        pytest.param(("metadata", "labels", "app"), "none", id="missing"),
        pytest.param(("list", 1, "x"), 2, id="through a list"),
        pytest.param(("list", 5, "x"), "none", id="beyond the list"),
        pytest.param(("null", "x"), "none", id="through null"),
        pytest.param(("kind", "x"), "none", id="through text"),
    ],
)
def test_get(path, expected):
    obj = {**OWNER, "list": [{}, {"x": 2}], "null": None}
    assert meta.get(obj, *path, default="none") == expected


def test_finalizers():
    obj = {"metadata": {"finalizers": ["a"]}}
    shared = obj["metadata"]["finalizers"]
    assert meta.add_finalizer(obj, "b") and not meta.add_finalizer(obj, "a")
    assert obj["metadata"]["finalizers"] == ["a", "b"] and shared == ["a"]
    assert meta.remove_finalizer(obj, "a") and meta.remove_finalizer(obj, "b")
    assert obj == {"metadata": {}} and not meta.remove_finalizer(obj, "b")


def test_condition_keeps_its_transition_time_until_the_status_changes():
    obj = {}
    assert meta.set_condition(obj, "Ready", "False", now="t1", reason="No")
    assert meta.set_condition(obj, "Other", "True", now="t1")
    assert not meta.set_condition(obj, "Ready", "False", now="t2", reason="No")
    assert meta.set_condition(obj, "Ready", "False", now="t3", reason="Still")
    assert meta.get_condition(obj, "Ready")["lastTransitionTime"] == "t1"
    assert meta.set_condition(obj, "Ready", "True", now="t4")
    assert obj["status"]["conditions"] == [
        {"type": "Ready", "status": "True", "lastTransitionTime": "t4"},
        {"type": "Other", "status": "True", "lastTransitionTime": "t1"},
    ]
    assert meta.remove_condition(obj, "Other") and not meta.remove_condition(obj, "Other")


def test_a_heartbeat_is_written_but_is_no_change():
    obj = {}
    meta.set_condition(obj, "Ready", "True", now="t1", lastHeartbeatTime="t1")
    assert not meta.set_condition(obj, "Ready", "True", now="t2", lastHeartbeatTime="t2")
    assert meta.get_condition(obj, "Ready")["lastHeartbeatTime"] == "t2"


@pytest.mark.parametrize(
    "phase, deleted, active, terminal, terminating",
    [
        pytest.param("Running", False, True, False, False, id="running"),
        pytest.param("Running", True, False, False, True, id="being deleted"),
        pytest.param("Failed", False, False, True, False, id="failed"),
        pytest.param("Succeeded", True, False, True, False, id="succeeded and being deleted"),
        pytest.param("", False, True, False, False, id="without status"),
    ],
)
def test_pod_predicates(phase, deleted, active, terminal, terminating):
    pod = {"metadata": {"deletionTimestamp": "t"} if deleted else {}, "status": {"phase": phase}}
    got = meta.is_pod_active(pod), meta.is_pod_terminal(pod), meta.is_pod_terminating(pod)
    assert got == (active, terminal, terminating)


def test_pod_availability():
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:01:40Z"}
    pod = {"status": {"conditions": [ready]}}
    assert meta.is_pod_ready(pod)
    assert meta.is_pod_available(pod, 10, 110)
    assert not meta.is_pod_available(pod, 10, 109)
    assert meta.is_pod_available(pod, 0, 0)
    assert not meta.is_pod_available({"status": {}}, 0, 0)
