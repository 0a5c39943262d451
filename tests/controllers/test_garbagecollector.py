"""The graph of owners: which change makes the collector look at whom. Source: upstream graph_builder.go."""

import pytest

from skiff.api.gvr import CONFIGMAPS, NODES, PODS, REPLICASETS
from skiff.controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, trim
from tests.controllers.builders import at, meta, owner


def thing(name, *owners, namespace="default", **more):
    return {"metadata": meta(name, namespace, ownerReferences=list(owners), **more)}


def rs(name, **more):
    return owner("ReplicaSet", name, **more)


DELETED = {"deletionTimestamp": at(0)}


@pytest.fixture
def graph():
    """A set with two pods, one of which blocks it."""
    made = Graph()
    made.put(REPLICASETS, None, thing("rs"))
    made.put(PODS, None, thing("a", rs("rs", blockOwnerDeletion=True)))
    made.put(PODS, None, thing("b", rs("rs")))
    return made


NEW = [
    pytest.param(PODS, thing("x"), set(), id="without owners: nobody"),
    pytest.param(PODS, thing("x", rs("rs")), set(), id="with an owner that is known: nobody"),
    pytest.param(PODS, thing("x", rs("gone")), {"uid-x"}, id="with an unknown owner: itself"),
    pytest.param(PODS, thing("x", {**rs("rs"), "kind": "Job"}), {"uid-x"}, id="with an owner of another kind: itself"),
    pytest.param(PODS, thing("x", rs("rs"), namespace="other"), {"uid-x"}, id="with an owner elsewhere: itself"),
    pytest.param(
        NODES, thing("x", rs("rs"), namespace=""), {"uid-x"}, id="cluster-wide with a namespaced owner: itself"
    ),
]


@pytest.mark.parametrize("gvr, given, expected", NEW)
def test_new_objects(graph, gvr, given, expected):
    assert graph.put(gvr, None, given) == expected


def test_an_owner_that_goes_leads_to_its_dependents(graph):
    assert graph.remove(thing("rs")) == {"uid-a", "uid-b"}
    assert graph.get("uid-rs") is None and graph.has_dependents("uid-rs")


def test_dependents_that_go_are_forgotten(graph):
    assert graph.remove(thing("a")) == set()
    assert [n.obj["metadata"]["name"] for n in graph.dependents("uid-rs")] == ["b"]
    graph.remove(thing("b"))
    assert not graph.has_dependents("uid-rs")


def waiting(*extra):
    return thing("rs", finalizers=[FOREGROUND], **DELETED)


def test_a_foreground_deletion_looks_at_the_owner_and_its_dependents(graph):
    assert graph.put(REPLICASETS, thing("rs"), waiting()) == {"uid-rs", "uid-a", "uid-b"}
    assert graph.put(REPLICASETS, waiting(), waiting()) == set(), "once"
    assert [n.obj["metadata"]["name"] for n in graph.blocking_dependents("uid-rs")] == ["a"]
    assert graph.remove(thing("a")) == {"uid-rs"}, "the owner may be free now"


def test_a_dependent_that_stops_blocking_frees_its_owner(graph):
    graph.put(REPLICASETS, thing("rs"), waiting())
    found = graph.put(PODS, thing("a", rs("rs", blockOwnerDeletion=True)), thing("a", rs("rs")))
    assert "uid-rs" in found
    assert graph.blocking_dependents("uid-rs") == []


def test_a_new_dependent_of_a_waiting_owner_is_looked_at(graph):
    graph.put(REPLICASETS, thing("rs"), waiting())
    assert graph.put(PODS, None, thing("late", rs("rs"))) == {"uid-late"}


def test_orphaning_looks_at_the_owner_alone(graph):
    assert graph.put(REPLICASETS, thing("rs"), thing("rs", finalizers=[ORPHAN], **DELETED)) == {"uid-rs"}


def test_dependents_may_be_seen_before_their_owner():
    graph = Graph()
    graph.put(PODS, None, thing("a", rs("rs")))
    graph.put(PODS, None, thing("wrong", {**rs("rs"), "name": "other"}))
    assert graph.put(REPLICASETS, None, thing("rs")) == {"uid-wrong"}, "who meant something else is looked at"
    assert len(list(graph.dependents("uid-rs"))) == 2


def test_a_change_of_owners_moves_the_edge(graph):
    graph.put(REPLICASETS, None, thing("new"))
    assert graph.put(PODS, thing("b", rs("rs")), thing("b", rs("new"))) == set()
    assert [n.obj["metadata"]["name"] for n in graph.dependents("uid-new")] == ["b"]
    assert [n.obj["metadata"]["name"] for n in graph.dependents("uid-rs")] == ["a"]


def test_a_resource_that_is_no_longer_served_condemns_nobody(graph):
    graph.put(CONFIGMAPS, None, thing("c", rs("rs")))
    graph.forget(REPLICASETS)
    assert graph.get("uid-rs") is None
    assert len(list(graph.dependents("uid-rs"))) == 3
    graph.forget(PODS)
    assert [n.obj["metadata"]["name"] for n in graph.dependents("uid-rs")] == ["c"]


def test_trim_keeps_what_ownership_needs():
    given = thing("a", rs("rs"), labels={"x": "y"}, finalizers=["f"], **DELETED)
    found = trim({**given, "spec": {"big": 1}, "status": {}})
    assert set(found) == {"metadata"}
    assert set(found["metadata"]) == {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "ownerReferences",
        "finalizers",
        "deletionTimestamp",
    }
