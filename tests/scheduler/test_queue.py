"""The scheduling queue: order, back-off, waking up, and that nothing is lost."""

import pytest

from skiff.scheduler.framework import Action, ClusterEvent, Interest
from skiff.scheduler.plugins.prioritysort import PrioritySort
from skiff.scheduler.plugins.schedulinggates import SchedulingGates
from skiff.scheduler.podinfo import PodInfo
from skiff.scheduler.queue import QueuedPod, SchedulingQueue, backoff_seconds
from skiff.testing.builders import pod
from tests.scheduler.world import numbered

FIT = frozenset(("Fit",))
PORTS = frozenset(("Ports",))
NODE_ADDED = ClusterEvent("Node", Action.ADD, None, "big")
NODE_LABELLED = ClusterEvent("Node", Action.NODE_LABEL, "old", "new")
POD_GONE = ClusterEvent("Pod", Action.DELETE, "gone", None)


def make() -> SchedulingQueue:
    interests = {
        "Fit": [Interest("Node", Action.ADD, lambda pod, old, new: new == "big"), Interest("Pod", Action.DELETE)],
        "Ports": [Interest("Pod", Action.DELETE, lambda pod, old, new: old == "mine")],
    }
    return SchedulingQueue(PrioritySort(), [SchedulingGates()], interests)


def info(name: str, **spec) -> PodInfo:
    return PodInfo(numbered(pod(name, **spec)))


def names(queue: SchedulingQueue, now: float) -> list[str]:
    found = []
    while queued := queue.pop(now):
        found.append(queued.pod.name)
        queue.done(queued)
    return found


def refused(queue: SchedulingQueue, now: float, plugins: frozenset[str] = FIT, **spec) -> QueuedPod:
    """A pod that did not fit at that time."""
    queue.add(info("p", **spec), now)
    queued = queue.pop(now)
    assert queued is not None
    queue.refused(queued, plugins, now)
    return queued


def test_higher_priority_first_then_who_came_first():
    queue = make()
    queue.add(info("late"), 3)
    queue.add(info("early"), 1)
    queue.add(info("vip", priority=10), 5)
    assert names(queue, 9) == ["vip", "early", "late"]


@pytest.mark.parametrize(
    "failures, expected",
    [
        pytest.param(1, 1, id="one second"),
        pytest.param(3, 4, id="doubling"),
        pytest.param(5, 10, id="at most ten"),
        pytest.param(500, 10, id="however often"),
    ],
)
def test_backoff(failures, expected):
    assert backoff_seconds(failures) == expected


WAKING = [
    pytest.param(FIT, NODE_ADDED, True, id="an event that the plugin says helps"),
    pytest.param(FIT, ClusterEvent("Node", Action.ADD, None, "small"), False, id="one that it says does not"),
    pytest.param(FIT, NODE_LABELLED, False, id="one that it is not interested in"),
    pytest.param(FIT, POD_GONE, True, id="one that always helps"),
    pytest.param(PORTS, POD_GONE, False, id="another plugin's"),
    pytest.param(FIT | PORTS, POD_GONE, True, id="one of several plugins suffices"),
    pytest.param(frozenset(), NODE_LABELLED, True, id="anything, when no plugin refused"),
    pytest.param(frozenset(("Unknown",)), NODE_LABELLED, True, id="anything, when the plugin does not say"),
]


@pytest.mark.parametrize("plugins, event, wakes", WAKING)
def test_events_wake_whom_they_may_help(plugins, event, wakes):
    queue = make()
    refused(queue, 0, plugins)
    assert names(queue, 5) == []
    assert queue.event(event, 5) == wakes
    assert names(queue, 5) == (["p"] if wakes else [])


def test_a_woken_pod_backs_off_but_is_taken_when_there_is_nothing_else():
    queue = make()
    queued = refused(queue, 0)
    queue.event(NODE_ADDED, 0.5)
    assert queued.place == "backoff"
    queue.add(info("other"), 0.5)
    assert names(queue, 0.6) == ["other", "p"]


def test_backing_off_ends_with_time():
    queue = make()
    refused(queue, 0)
    queue.event(NODE_ADDED, 0.5)
    assert queue.next_time() == 1
    queue.add(info("other"), 2)
    assert names(queue, 2) == ["p", "other"]


def test_after_an_error_a_pod_backs_off_whatever_else_there_is():
    queue = make()
    queue.add(info("p"), 0)
    queue.failed(queue.pop(0), 0)
    assert queue.pop(0.9) is None
    assert names(queue, 1) == ["p"]


def test_errors_and_refusals_in_a_row_wait_longer():
    queue = make()
    queue.add(info("p"), 0)
    for now, until in ((0, 1), (1, 3), (3, 7), (7, 15), (15, 25)):
        queue.failed(queue.pop(now), now)
        assert queue.next_time() == until


def test_what_waits_for_five_minutes_is_tried_again():
    queue = make()
    refused(queue, 0)
    assert queue.next_time() == 300
    assert queue.pop(299) is None
    assert names(queue, 300) == ["p"]


def test_a_gated_pod_waits_for_its_gates():
    queue = make()
    gated = info("p", schedulingGates=[{"name": "g"}])
    queue.add(gated, 0)
    assert queue.pop(1000) is None
    assert queue.get("default/p").gate.message == "waiting for scheduling gates: [g]"
    queue.update(gated, info("p"), [], 1000)
    assert names(queue, 1000) == ["p"]


def test_an_update_wakes_a_pod_only_if_it_helps():
    queue = make()
    queued = refused(queue, 0)
    queue.update(queued.pod, info("p"), [ClusterEvent("Pod", Action.POD_LABEL)], 5)
    assert queue.pop(5) is None
    queue.update(queued.pod, info("p"), [POD_GONE], 5)
    assert names(queue, 5) == ["p"]


def test_deleted_pods_are_gone_from_everywhere():
    queue = make()
    queue.add(info("active"), 0)
    refused(queue, 0)
    queue.delete("default/p")
    queue.delete("default/active")
    assert queue.event(NODE_ADDED, 5) == 0
    assert names(queue, 500) == []
    assert len(queue) == 0


def test_a_pod_deleted_while_it_was_tried_does_not_come_back():
    queue = make()
    queue.add(info("p"), 0)
    queued = queue.pop(0)
    queue.delete("default/p")
    queue.refused(queued, FIT, 0)
    queue.failed(queued, 0)
    assert len(queue) == 0
    assert queue.next_time() is None


def test_a_namesake_made_meanwhile_is_another_pod():
    queue = make()
    queue.add(info("p"), 0)
    old = queue.pop(0)
    again = PodInfo({**pod("p"), "metadata": {"namespace": "default", "name": "p", "uid": "another"}})
    queue.update(old.pod, again, [], 1)
    queue.refused(old, FIT, 1)
    queue.done(old)
    assert queue.pop(1).pod.uid == "another"


def test_attempts_are_counted():
    queue = make()
    queued = refused(queue, 0)
    queue.event(NODE_ADDED, 2)
    assert queue.pop(2) is queued
    assert (queued.attempts, queued.refusals) == (2, 1)
