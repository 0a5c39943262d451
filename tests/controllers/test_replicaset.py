"""What the ReplicaSet controller decides. Source: upstream pkg/controller/replicaset."""

import pytest

from skiff.controllers.common.owners import Claims, plan_claims
from skiff.controllers.common.podcontrol import in_slow_batches, slow_start
from skiff.controllers.replicaset import Plan, next_conditions, next_status, plan
from skiff.testing import run
from tests.controllers.builders import NOON, at, controlled_by, pod, replica_set

READY = [pod("a", ready=-60, node="x"), pod("b", ready=-60, node="y")]

PLANS = [
    pytest.param([], 3, Plan(create=3), id="starts from nothing"),
    pytest.param(READY, 2, Plan(), id="has what it wants"),
    pytest.param([*READY, pod("c", phase="Pending")], 2, Plan(delete=("c",)), id="gives up the pending pod"),
    pytest.param(READY, 0, Plan(delete=("a", "b")), id="gives up all"),
    pytest.param([], 9000, Plan(create=500), id="creates no more than a burst at once"),
]


@pytest.mark.parametrize("active, replicas, expected", PLANS)
def test_plan(active, replicas, expected):
    assert plan(active, replicas, active, NOON) == expected


def test_status_counts_labels_readiness_and_availability():
    owner = replica_set("rs", 3)
    owner["spec"]["minReadySeconds"] = 30
    full = {"app": "web", "pod-template-hash": "rs"}
    active = [
        pod("a", ready=-60, labels=full),
        pod("b", ready=-10, labels=full),
        pod("c", labels={"app": "web"}),
    ]
    assert next_status(owner, active, 1, None, NOON) == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 1,
    }


def test_status_of_an_empty_set_keeps_replicas_and_drops_other_zeros():
    owner = replica_set("rs", 0)
    assert next_status(owner, [], None, None, NOON) == {"replicas": 0, "observedGeneration": 1}


FAILURE = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "FailedCreate",
    "message": "quota",
    "lastTransitionTime": at(0),
}
CONDITIONS = [
    pytest.param([], -1, "quota", [FAILURE], id="a failed creation is noted"),
    pytest.param([], 1, "quota", [{**FAILURE, "reason": "FailedDelete"}], id="a failed deletion is noted"),
    pytest.param([FAILURE], -1, "other", [FAILURE], id="a failure that stands is not rewritten"),
    pytest.param([FAILURE, {"type": "X"}], 0, None, [{"type": "X"}], id="success removes it and nothing else"),
]


@pytest.mark.parametrize("before, surplus, error, expected", CONDITIONS)
def test_conditions(before, surplus, error, expected):
    assert next_conditions(before, surplus, error, NOON) == expected


MINE = pod("mine", labels={"app": "web"}, ownerReferences=controlled_by("ReplicaSet", "rs"))
STRAY = pod("stray", labels={"app": "other"}, ownerReferences=controlled_by("ReplicaSet", "rs"))
ORPHAN = pod("orphan", labels={"app": "web"})
DYING = pod("dying", labels={"app": "web"}, deletionTimestamp=at(0))
FOREIGN = pod("foreign", labels={"app": "web"}, ownerReferences=controlled_by("ReplicaSet", "other"))
ALL = [MINE, STRAY, ORPHAN, DYING, FOREIGN]

CLAIMS = [
    pytest.param({}, Claims((MINE,), (ORPHAN,), (STRAY,)), id="keeps, adopts and releases"),
    pytest.param({"deletionTimestamp": at(0)}, Claims((MINE,)), id="while being deleted it only keeps"),
]


@pytest.mark.parametrize("metadata, expected", CLAIMS)
def test_claims(metadata, expected):
    owner = replica_set("rs", 3, **metadata)
    assert plan_claims(owner, lambda p: p["metadata"]["labels"] == {"app": "web"}, ALL) == expected


def test_slow_start_doubles():
    assert list(slow_start(10)) == [1, 2, 4, 3]
    assert list(slow_start(0)) == []


def test_a_failed_batch_is_the_last_one():
    calls = []

    async def create():
        calls.append(len(calls))
        if len(calls) in (2, 3):
            raise RuntimeError("quota")

    successes, error = run(in_slow_batches(100, create))
    assert (len(calls), successes, str(error)) == (3, 1, "quota")
