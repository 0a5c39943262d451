"""Stateful sets: identities and steps. Source: upstream pkg/controller/statefulset, stateful_set_control_test.go."""

import pytest

from skiff.controllers.statefulset import identity
from skiff.controllers.statefulset.plan import next_status, plan
from tests.controllers.builders import NOON, at, meta, pod, template

HASH = "controller-revision-hash"


def sts(replicas=3, *, status=None, policy="OrderedReady", strategy=None, **spec):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}
    return {
        "metadata": meta("web", generation=1),
        "spec": {
            "replicas": replicas,
            "serviceName": "front",
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            "podManagementPolicy": policy,
            "updateStrategy": strategy or rolling,
            **spec,
        },
        "status": status or {},
    }


def p(index, revision="v1", *, ready=-60.0, phase="Running", **more):
    return pod(f"web-{index}", ready=ready, phase=phase, labels={"app": "web", HASH: revision}, **more)


def dying(index, **more):
    return p(index, deletionTimestamp=at(0), **more)


def steps(given, pods, current="v1", update="v1"):
    found = plan(given, pods, current, update, NOON)
    deleted = [x["metadata"]["name"] for x in [*found.recreate, *found.delete]]
    return found.create, deleted


STEPS = [
    pytest.param(sts(), [], ([(0, "v1")], []), id="the first one first"),
    pytest.param(sts(policy="Parallel"), [], ([(0, "v1"), (1, "v1"), (2, "v1")], []), id="all at once when parallel"),
    pytest.param(sts(), [p(0, ready=None)], ([], []), id="waits until it is ready"),
    pytest.param(sts(), [p(0)], ([(1, "v1")], []), id="then the next"),
    pytest.param(sts(minReadySeconds=90), [p(0)], ([], []), id="waits until it is available"),
    pytest.param(sts(), [dying(0), p(1), p(2)], ([], []), id="waits for one that goes"),
    pytest.param(sts(), [p(0, phase="Failed"), p(1)], ([], ["web-0"]), id="replaces a failed one"),
    pytest.param(sts(1), [p(0), p(1), p(2)], ([], ["web-2"]), id="shrinks from the top, one by one"),
    pytest.param(sts(1), [p(0), p(1), dying(2)], ([], []), id="waits for the top one to be gone"),
    pytest.param(
        sts(1, policy="Parallel"), [p(0), p(1), p(2)], ([], ["web-2", "web-1"]), id="all at once when parallel too"
    ),
    pytest.param(sts(1), [p(0, ready=None), p(1)], ([], []), id="does not shrink while a lower one is not well"),
    pytest.param(sts(2, ordinals={"start": 5}), [p(5)], ([(6, "v1")], []), id="begins where it is told"),
    pytest.param(sts(0), [], ([], []), id="nothing wanted"),
]


@pytest.mark.parametrize("given, pods, expected", STEPS)
def test_steps(given, pods, expected):
    assert steps(given, pods) == expected


OLD = [p(0), p(1), p(2)]
PARTITION = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2, "maxUnavailable": 1}}
TWO = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 2}}
UPDATES = [
    pytest.param(sts(), OLD, ["web-2"], id="the highest first"),
    pytest.param(sts(), [p(0), p(1), p(2, "v2")], ["web-1"], id="then the one below"),
    pytest.param(sts(), [p(0), p(1), p(2, "v2", ready=None)], [], id="not before that is ready"),
    pytest.param(sts(strategy=PARTITION), [p(0), p(1), p(2, "v2")], [], id="not below the partition"),
    pytest.param(sts(strategy={"type": "OnDelete"}), OLD, [], id="not by itself"),
    pytest.param(sts(strategy=TWO), OLD, ["web-2", "web-1"], id="as many as may be unavailable"),
]


@pytest.mark.parametrize("given, pods, deleted", UPDATES)
def test_updates(given, pods, deleted):
    assert steps(given, pods, update="v2") == ([], deleted)


def test_a_pod_below_the_partition_comes_back_as_it_was():
    assert steps(sts(strategy=PARTITION), [p(0), p(2)], update="v2")[0] == [(1, "v1")]
    assert steps(sts(strategy=PARTITION), [p(0), p(1)], update="v2")[0] == [(2, "v2")]


def test_status_moves_to_the_new_revision_when_all_have_it():
    half = next_status(sts(), [p(0), p(1), p(2, "v2")], "v1", "v2", None, NOON)
    assert (half["currentRevision"], half["currentReplicas"], half["updatedReplicas"]) == ("v1", 2, 1)
    done = next_status(sts(), [p(n, "v2") for n in range(3)], "v1", "v2", None, NOON)
    assert (done["currentRevision"], done["currentReplicas"], done["updatedReplicas"]) == ("v2", 3, 3)
    assert (done["replicas"], done["readyReplicas"], done["availableReplicas"]) == (3, 3, 3)


NAMES = [
    pytest.param("web-0", 0, id="its own"),
    pytest.param("web-12", 12, id="two digits"),
    pytest.param("web-01", -1, id="a leading zero"),
    pytest.param("other-0", -1, id="another's"),
    pytest.param("web", -1, id="no number"),
]


@pytest.mark.parametrize("name, expected", NAMES)
def test_ordinals(name, expected):
    assert identity.ordinal(sts(), pod(name)) == expected


DATA = {"metadata": {"name": "data", "labels": {"x": "y"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def test_a_pod_has_its_name_labels_and_claims():
    given = sts(volumeClaimTemplates=[DATA])
    made = identity.new_pod(given, template(), 1, "v1")
    assert made["metadata"]["name"] == "web-1"
    assert made["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-1",
        "apps.kubernetes.io/pod-index": "1",
        HASH: "v1",
    }
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("web-1", "front")
    assert made["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}]
    (claim,) = identity.claims(given, "web-1")
    assert claim["metadata"] == {"name": "data-web-1", "namespace": "default", "labels": {"x": "y", "app": "web"}}


RETENTION = [
    pytest.param("Retain", "Retain", None, None, id="kept by nobody"),
    pytest.param("Delete", "Retain", None, ["uid-web"], id="goes with the set"),
    pytest.param("Retain", "Delete", p(2), ["uid-web-2"], id="goes with the pod that scaling gives up"),
    pytest.param("Delete", "Retain", p(2), ["uid-web"], id="stays for the set when scaling keeps it"),
]


@pytest.mark.parametrize("deleted, scaled, condemned, expected", RETENTION)
def test_claim_owners(deleted, scaled, condemned, expected):
    given = sts(persistentVolumeClaimRetentionPolicy={"whenDeleted": deleted, "whenScaled": scaled})
    condemned = condemned and {"apiVersion": "v1", "kind": "Pod", **condemned}
    found = identity.claim_owners(given, {"metadata": meta("data-web-2")}, condemned)
    assert (found and [r["uid"] for r in found]) == expected
