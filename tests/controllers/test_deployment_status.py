"""What a deployment reports. Source: upstream deployment/progress_test.go for the situations."""

import pytest

from skiff.controllers.deployment import status as reports
from tests.controllers.builders import NOON, at, deployment, replica_set


def progressing(reason, *, value="True", updated=0.0):
    return {
        "type": "Progressing",
        "status": value,
        "reason": reason,
        "message": "m",
        "lastUpdateTime": at(updated),
        "lastTransitionTime": at(-1000),
    }


def ready_set(name, replicas, *, ready=None, **more):
    s = replica_set(name, replicas, **more)
    s["status"]["readyReplicas"] = replicas if ready is None else ready
    s["status"]["terminatingReplicas"] = 0
    return s


def test_counts():
    new, old = ready_set("new", 3, available=1, ready=2), ready_set("old", 8)
    found = reports.next_status(deployment(10), new, [old], NOON)
    conditions = found.pop("conditions")
    assert found == {
        "observedGeneration": 1,
        "replicas": 11,
        "updatedReplicas": 3,
        "readyReplicas": 10,
        "availableReplicas": 9,
        "unavailableReplicas": 2,
        "terminatingReplicas": 0,
    }
    assert [(c["type"], c["status"], c["reason"], c["message"]) for c in conditions] == [
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    ]


def test_too_few_available_pods():
    found = reports.next_status(deployment(10), ready_set("new", 10, available=7), [], NOON)
    (condition,) = found["conditions"]
    assert condition["status"] == "False"
    assert condition["reason"] == "MinimumReplicasUnavailable"
    assert condition["message"] == "Deployment does not have minimum availability."


def outcome(d, new, old=(), now=NOON):
    found = reports.rollout_status(d, new, list(old), now)
    return {c["type"]: c for c in found["conditions"]}


DEADLINE = {"progressDeadlineSeconds": 600}


def test_complete():
    found = outcome(deployment(3, **DEADLINE), ready_set("new", 3))["Progressing"]
    assert (found["status"], found["reason"]) == ("True", "NewReplicaSetAvailable")
    assert found["message"] == 'ReplicaSet "new" has successfully progressed.'


def test_progress_moves_the_update_time_and_keeps_the_transition_time():
    before = {"conditions": [progressing("ReplicaSetUpdated", updated=-500)], "replicas": 1, "updatedReplicas": 1}
    found = outcome(deployment(3, status=before, **DEADLINE), ready_set("new", 2))["Progressing"]
    assert (found["reason"], found["message"]) == ("ReplicaSetUpdated", 'ReplicaSet "new" is progressing.')
    assert (found["lastUpdateTime"], found["lastTransitionTime"]) == (at(0), at(-1000))


STALLED = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
STALLS = [
    pytest.param("ReplicaSetUpdated", -599, ("True", "ReplicaSetUpdated"), id="within the deadline"),
    pytest.param("ReplicaSetUpdated", -601, ("False", "ProgressDeadlineExceeded"), id="after the deadline"),
    pytest.param("NewReplicaSetCreated", -601, ("False", "ProgressDeadlineExceeded"), id="never got going"),
    pytest.param(
        "NewReplicaSetAvailable", -9999, ("True", "NewReplicaSetAvailable"), id="an old success is no failure"
    ),
]


@pytest.mark.parametrize("reason, updated, expected", STALLS)
def test_deadline(reason, updated, expected):
    before = {**STALLED, "conditions": [progressing(reason, updated=updated)]}
    found = outcome(deployment(3, status=before, **DEADLINE), ready_set("new", 2))["Progressing"]
    assert (found["status"], found["reason"]) == expected


def test_without_a_deadline_nothing_is_said_about_progress():
    before = {"conditions": [progressing("ReplicaSetUpdated")]}
    assert "Progressing" not in outcome(deployment(3, status=before), ready_set("new", 1))


FAILURE = {
    "type": "ReplicaFailure",
    "status": "True",
    "reason": "FailedCreate",
    "message": "q",
    "lastTransitionTime": at(-5),
}


def test_a_sets_failure_becomes_the_deployments_and_goes_with_it():
    new = ready_set("new", 3)
    new["status"]["conditions"] = [FAILURE]
    found = outcome(deployment(3, **DEADLINE), new)["ReplicaFailure"]
    assert found == {**FAILURE, "lastUpdateTime": at(-5)}
    before = {"conditions": [found]}
    assert "ReplicaFailure" not in outcome(deployment(3, status=before, **DEADLINE), ready_set("new", 3))


RECHECKS = [
    pytest.param("ReplicaSetUpdated", -180, 421, id="when the deadline is over, and a second"),
    pytest.param("ReplicaSetUpdated", -700, 1, id="soon, when it is over"),
    pytest.param("ProgressDeadlineExceeded", -700, None, id="never again, once it was missed"),
]


@pytest.mark.parametrize("reason, updated, expected", RECHECKS)
def test_when_to_look_again(reason, updated, expected):
    d = deployment(3, status={"conditions": [progressing(reason, updated=updated)]}, **DEADLINE)
    assert reports.seconds_until_deadline(d, STALLED, NOON) == expected


PAUSES = [
    pytest.param(True, "ReplicaSetUpdated", "DeploymentPaused", id="pausing is noted"),
    pytest.param(True, "DeploymentPaused", None, id="once"),
    pytest.param(False, "DeploymentPaused", "DeploymentResumed", id="resuming is noted"),
    pytest.param(True, "ProgressDeadlineExceeded", None, id="a missed deadline is not covered up"),
]


@pytest.mark.parametrize("paused, reason, expected", PAUSES)
def test_pausing(paused, reason, expected):
    d = deployment(3, paused=paused, status={"conditions": [progressing(reason)]}, **DEADLINE)
    found = reports.paused_condition(d, NOON)
    assert (found and found["reason"]) == expected
