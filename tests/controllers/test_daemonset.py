"""Daemon sets: where pods belong and how templates roll out. Source: upstream pkg/controller/daemon."""

import orjson
import pytest

from skiff.api.gvr import DAEMONSETS
from skiff.controllers.common.history import new_revision
from skiff.controllers.daemonset import plan as plans
from tests.controllers.builders import NOON, at, meta, node, pod, template

HASH = "controller-revision-hash"


def ds(*, surge=0, unavailable=1, kind="RollingUpdate", **spec):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": meta("d", generation=1),
        "spec": {"template": template(), "updateStrategy": {"type": kind, "rollingUpdate": rolling}, **spec},
        "status": {},
    }


def p(name, on, revision="new", *, ready=-60.0, **more):
    return pod(name, node=on, ready=ready, labels={"app": "web", HASH: revision}, **more)


def taint(key, effect):
    return {"key": key, "effect": effect}


NODES = [node(n, labels={"disk": "ssd"} if n == "b" else {}) for n in "abc"]
BELONGS = [
    pytest.param({}, node("a"), (True, True), id="everywhere"),
    pytest.param({"nodeSelector": {"disk": "ssd"}}, NODES[0], (False, False), id="not where the selector says no"),
    pytest.param({"nodeSelector": {"disk": "ssd"}}, NODES[1], (True, True), id="where it says yes"),
    pytest.param({"nodeName": "a"}, NODES[1], (False, False), id="only on the named node"),
    pytest.param({}, node("a", taints=[taint("x", "NoSchedule")]), (False, True), id="may stay under NoSchedule"),
    pytest.param({}, node("a", taints=[taint("x", "NoExecute")]), (False, False), id="must leave under NoExecute"),
    pytest.param(
        {},
        node("a", taints=[taint("node.kubernetes.io/unreachable", "NoExecute")]),
        (True, True),
        id="daemons stay on lost nodes",
    ),
    pytest.param(
        {},
        node("a", taints=[taint("node.kubernetes.io/unschedulable", "NoSchedule")]),
        (True, True),
        id="and on cordoned ones",
    ),
    pytest.param(
        {"hostNetwork": True},
        node("a", taints=[taint("node.kubernetes.io/network-unavailable", "NoSchedule")]),
        (True, True),
        id="host network needs no pod network",
    ),
]


@pytest.mark.parametrize("spec, given, expected", BELONGS)
def test_belongs(spec, given, expected):
    d = ds()
    d["spec"]["template"]["spec"] |= spec
    assert plans.belongs(plans.pod_template(d, "new"), given) == expected


def work(d, pods, waits=None):
    there = plans.by_node(pods)
    found = plans.plan_nodes(d, plans.pod_template(d, "new"), NODES, there, "new", waits or {}, NOON)
    return found.create, found.delete, [reason for _, reason, _ in found.notes]


FULL = [p("a", "a"), p("b", "b"), p("c", "c")]
WORK = [
    pytest.param(FULL[:1], (["b", "c"], [], []), id="fills empty nodes"),
    pytest.param([*FULL, p("b2", "b", created=9)], ([], ["b2"], []), id="keeps the oldest of two"),
    pytest.param([*FULL[:2], p("c", "c", phase="Failed")], ([], ["c"], ["FailedDaemonPod"]), id="removes a failed one"),
    pytest.param(
        [*FULL[:2], p("c", "c", phase="Succeeded")], ([], ["c"], ["SucceededDaemonPod"]), id="and one that ended"
    ),
    pytest.param([*FULL[:2], p("c", "c", deletionTimestamp=at(0))], ([], [], []), id="waits for one that goes"),
]


@pytest.mark.parametrize("pods, expected", WORK)
def test_nodes(pods, expected):
    assert work(ds(), pods) == expected


def test_a_pod_that_keeps_failing_is_not_replaced_at_once():
    pods = [*FULL[:2], p("c", "c", phase="Failed")]
    found = plans.plan_nodes(ds(), template(), NODES, plans.by_node(pods), "new", {"c": 8.0}, NOON)
    assert (found.delete, found.again) == ([], 8.0)


def old(name, on, **more):
    return p(name, on, "old", **more)


def rollout(d, pods):
    found = plans.plan_rollout(d, plans.pod_template(d, "new"), NODES, plans.by_node(pods), "new", NOON)
    return found.create, found.delete


OLD = [old("a", "a"), old("b", "b"), old("c", "c")]
ROLLOUTS = [
    pytest.param(ds(), OLD, ([], ["a"]), id="one after the other"),
    pytest.param(ds(unavailable="67%"), OLD, ([], ["a", "b", "c"]), id="a part, rounded up"),
    pytest.param(ds(), [p("a", "a", ready=None), *OLD[1:]], ([], []), id="waits for the new one"),
    pytest.param(ds(), [OLD[0], OLD[1], old("c", "c", ready=None)], ([], ["c"]), id="what does not serve goes first"),
    pytest.param(ds(), [p("a", "a"), *OLD[1:]], ([], ["b"]), id="the next one"),
    pytest.param(ds(), FULL, ([], []), id="done"),
    pytest.param(ds(surge=1, unavailable=0), OLD, (["a"], []), id="surge: the new one first"),
    pytest.param(ds(surge=1, unavailable=0), [*OLD, p("a2", "a", ready=None)], ([], []), id="surge: waits for it"),
    pytest.param(ds(surge=1, unavailable=0), [*OLD, p("a2", "a")], (["b"], ["a"]), id="surge: then the old one goes"),
]


@pytest.mark.parametrize("d, pods, expected", ROLLOUTS)
def test_rollout(d, pods, expected):
    assert rollout(d, pods) == expected


def test_a_pod_is_bound_to_its_node_by_affinity():
    made = plans.bound_to(template(), "b")
    assert plans.target_node({"metadata": meta("x"), "spec": made["spec"]}) == "b"


def test_status():
    pods = [p("a", "a"), old("b", "b", ready=None)]
    found = plans.next_status(ds(), plans.pod_template(ds(), "new"), NODES, plans.by_node(pods), "new", NOON)
    assert found == {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 2,
        "numberMisscheduled": 0,
        "numberReady": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "updatedNumberScheduled": 1,
        "observedGeneration": 1,
    }


def test_a_revision_is_told_by_its_bytes():
    """kubectl and upstream's tests compare a revision's data with the patch that they make of the daemon set."""
    revision = new_revision(ds(), DAEMONSETS, HASH, 1)
    patch = {"spec": {"template": {**ds()["spec"]["template"], "$patch": "replace"}}}
    assert orjson.dumps(revision["data"]) == orjson.dumps(patch, option=orjson.OPT_SORT_KEYS)
