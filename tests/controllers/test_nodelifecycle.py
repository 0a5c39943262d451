"""Silence, taints, and how fast nodes are emptied. Source: upstream pkg/controller/nodelifecycle."""

import math

import pytest

from skiff.controllers.nodelifecycle.health import (
    Health,
    Limits,
    deadline,
    missing_labels,
    next_taints,
    observe,
    pod_not_ready,
    silent_conditions,
)
from skiff.controllers.nodelifecycle.zones import Rates, Zones, eviction_rate, zone_state
from tests.controllers.builders import NOON, at, node, pod

KNOWN = Health(NOON, at(0), "t1")
LEASE = {"spec": {"renewTime": "t1"}}

OBSERVED = [
    pytest.param(KNOWN, node(), LEASE, Health(NOON, at(0), "t1"), id="nothing new keeps the time of last life"),
    pytest.param(
        KNOWN, node(), {"spec": {"renewTime": "t2"}}, Health(NOON + 9, at(0), "t2"), id="a renewed lease is life"
    ),
    pytest.param(
        Health(NOON, at(-10), "t1"), node(), LEASE, Health(NOON + 9, at(0), "t1"), id="a newer heartbeat is life"
    ),
    pytest.param(KNOWN, node(), None, Health(NOON, at(0), "t1"), id="a lease that vanished is not"),
    pytest.param(None, node(), LEASE, Health(NOON + 9, at(0), "t1"), id="what is first seen counts from now"),
    pytest.param(None, node(ready=None), None, Health(NOON, "", ""), id="who never reported counts from creation"),
]


@pytest.mark.parametrize("before, given, lease, expected", OBSERVED)
def test_observe(before, given, lease, expected):
    assert observe(before, given, lease, NOON + 9) == expected


def test_a_node_that_never_reported_has_longer():
    limits = Limits(grace_s=50, startup_grace_s=60)
    assert deadline(node(), KNOWN, limits) == NOON + 50
    assert deadline(node(ready=None), KNOWN, limits) == NOON + 60


def test_silence_makes_every_condition_unknown_once():
    found = silent_conditions(node(), NOON + 50)
    assert found is not None
    assert found[0] == {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastHeartbeatTime": at(0),
        "lastTransitionTime": at(50),
    }
    assert [(c["type"], c["reason"]) for c in found[1:]] == [
        ("MemoryPressure", "NodeStatusNeverUpdated"),
        ("DiskPressure", "NodeStatusNeverUpdated"),
        ("PIDPressure", "NodeStatusNeverUpdated"),
    ]
    silent = node()
    silent["status"]["conditions"] = found
    assert silent_conditions(silent, NOON + 90) is None


def taint(key, effect="NoSchedule", **more):
    return {"key": f"node.kubernetes.io/{key}", "effect": effect, **more}


MINE = {"key": "mine", "effect": "NoExecute"}
NEW = {"timeAdded": at(5)}
OLD = {"timeAdded": at(-5)}
TAINTS = [
    pytest.param(node(), "", None, id="a healthy node needs none"),
    pytest.param(
        node(ready="False"), "", [taint("not-ready", **NEW)], id="an unready node keeps new pods away at once"
    ),
    pytest.param(
        node(ready="Unknown", taints=[MINE]),
        "node.kubernetes.io/unreachable",
        [MINE, taint("unreachable", **NEW), taint("unreachable", "NoExecute", **NEW)],
        id="a lost node evicts too, when allowed",
    ),
    pytest.param(
        node(ready="Unknown", taints=[taint("unreachable", **OLD), taint("not-ready", "NoExecute", **OLD)]),
        "node.kubernetes.io/unreachable",
        [taint("unreachable", **OLD), taint("unreachable", "NoExecute", **NEW)],
        id="one reason replaces the other, what stays keeps its age",
    ),
    pytest.param(
        node(taints=[taint("not-ready"), taint("unreachable", "NoExecute"), MINE]),
        "",
        [MINE],
        id="recovery takes ours off",
    ),
]


@pytest.mark.parametrize("given, evict, expected", TAINTS)
def test_taints(given, evict, expected):
    assert next_taints(given, evict, NOON + 5) == expected


def test_cordoned_and_pressed_nodes():
    given = node()
    given["spec"]["unschedulable"] = True
    given["status"]["conditions"].append({"type": "MemoryPressure", "status": "True"})
    found = next_taints(given, "", NOON)
    assert [t["key"] for t in found or []] == ["node.kubernetes.io/memory-pressure", "node.kubernetes.io/unschedulable"]


def test_old_labels_follow_new_ones():
    given = node(labels={"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "x"})
    assert missing_labels(given) == {"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64"}


def test_pods_of_a_lost_node_are_not_ready():
    assert pod_not_ready(pod("p"), NOON) is None
    assert pod_not_ready(pod("p", ready=-9), NOON) == [
        {"type": "Ready", "status": "False", "lastTransitionTime": at(0)}
    ]


STATES = [
    pytest.param(3, 1, "Normal", 0.1, id="one lost"),
    pytest.param(1, 2, "Normal", 0.1, id="two lost of three are too few to judge"),
    pytest.param(2, 3, "PartialDisruption", 0.0, id="most of a small zone: stop"),
    pytest.param(20, 40, "PartialDisruption", 0.01, id="most of a large zone: slowly"),
    pytest.param(0, 5, "FullDisruption", 0.1, id="all of a zone: it is gone"),
]


@pytest.mark.parametrize("ready, lost, state, rate", STATES)
def test_zone(ready, lost, state, rate):
    assert zone_state(ready, lost, Rates()) == state
    assert eviction_rate(ready, lost, Rates()) == rate


def test_one_node_at_once_then_one_every_ten_seconds():
    zones = Zones(Rates())
    for n in range(9):
        zones.note(node(f"n{n}"), n > 2)
    waits = [
        zones.seconds_until_eviction(node(f"n{n}"), NOON + t) for n, t in [(0, 0), (1, 0), (1, 4), (1, 10), (2, 10)]
    ]
    assert waits == [0, 10, 6, 0, 10]


def test_when_all_is_lost_nothing_is_evicted_until_somebody_is_seen():
    zones = Zones(Rates())
    zones.note(node("a"), False)
    assert not zones.note(node("b"), False)
    assert zones.blind and zones.seconds_until_eviction(node("a"), NOON) == math.inf
    assert zones.note(node("b"), True), "sight comes back"
    assert zones.seconds_until_eviction(node("a"), NOON) == 0
