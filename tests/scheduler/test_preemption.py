"""Who has to go (upstream: plugins/defaultpreemption/default_preemption_test.go)."""

import pytest

from skiff.api.gvr import PODDISRUPTIONBUDGETS
from skiff.testing import run
from skiff.testing.builders import node, pod
from tests.scheduler.test_filters import near, repelled
from tests.scheduler.world import World


def low(name: str, on: str, *, cpu: str = "1", priority: int = 0, started: str = "", **more) -> dict:
    found = pod(name, node=on, cpu=cpu, priority=priority, **more)
    if started:
        found["status"] = {"startTime": started}
    return found


def budget(name: str, allowed: int, **labels: str) -> dict:
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"selector": {"matchLabels": labels}},
        "status": {"disruptionsAllowed": allowed},
    }


A = node("a", cpu="2")
B = node("b", cpu="2")

CASES = [
    pytest.param([A], [low("x", "a", cpu="2")], {"cpu": "1", "priority": 10}, "a", ["x"], id="the only pod in the way"),
    pytest.param(
        [A],
        [low("x", "a"), low("y", "a", priority=5)],
        {"cpu": "1", "priority": 10},
        "a",
        ["x"],
        id="the least important",
    ),
    pytest.param(
        [A],
        [low("old", "a", started="2026-01-01T00:00:00Z"), low("new", "a", started="2026-01-02T00:00:00Z")],
        {"cpu": "1", "priority": 10},
        "a",
        ["new"],
        id="of equals the one that has not been running for long",
    ),
    pytest.param(
        [A, B],
        [low("x", "a", priority=5, cpu="2"), low("y", "b", priority=3, cpu="2")],
        {"cpu": "1", "priority": 10},
        "b",
        ["y"],
        id="the node whose victim is the least important",
    ),
    pytest.param(
        [A, B],
        [low("x", "a", cpu="2"), low("y", "b"), low("z", "b")],
        {"cpu": "2", "priority": 10},
        "a",
        ["x"],
        id="the node with fewer victims",
    ),
    pytest.param(
        [A], [low("x", "a", cpu="2", priority=10)], {"cpu": "1", "priority": 10}, "", [], id="equals are left alone"
    ),
    pytest.param([A], [low("x", "a", cpu="2")], {"cpu": "3", "priority": 10}, "", [], id="the node is too small"),
    pytest.param(
        [A],
        [low("x", "a", cpu="100m", affinity=repelled(near({"app": "me"}, "kubernetes.io/hostname")))],
        {"labels": {"app": "me"}, "priority": 10},
        "a",
        ["x"],
        id="who objects to the newcomer",
    ),
]


@pytest.mark.parametrize("nodes, pods, newcomer, nominated, victims", CASES)
def test_victims(nodes, pods, newcomer, nominated, victims):
    decision = World(nodes, pods).decide(pod("p", **newcomer))
    assert decision.node == ""
    assert decision.nominated == nominated
    assert [v.name for v in decision.victims] == victims


def test_disruption_budgets_are_respected_where_possible():
    pods = [low("x", "a", cpu="2", labels={"app": "db"}), low("y", "b", cpu="2", priority=5)]
    world = World([A, B], pods)
    assert world.decide(pod("p", cpu="1", priority=10)).nominated == "a"
    world.has(PODDISRUPTIONBUDGETS, budget("db", 0, app="db"))
    assert world.decide(pod("p", cpu="1", priority=10)).nominated == "b"


def test_a_budget_allows_as_many_as_it_says():
    pods = [low(f"x{i}", "a", labels={"app": "db"}) for i in range(2)]
    world = World([A], pods)
    world.has(PODDISRUPTIONBUDGETS, budget("db", 1, app="db"))
    assert len(world.decide(pod("p", cpu="1", priority=10)).victims) == 1


def test_a_nominated_pod_keeps_its_room_from_lesser_ones():
    world = World([A])
    from skiff.scheduler.podinfo import PodInfo
    from tests.scheduler.world import numbered

    world.nominator.set(PodInfo(numbered(pod("vip", cpu="2", priority=10))), "a")
    assert world.decide(pod("p", cpu="1")).node == ""
    assert world.decide(pod("vip", cpu="2", priority=10)).node == "a"
    assert world.decide(pod("boss", cpu="1", priority=20)).node == "a"


def test_while_victims_end_nobody_else_is_evicted():
    ending = low("x", "a", cpu="2")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    ending["status"] = {"conditions": [condition]}
    waiting = pod("p", cpu="1", priority=10)
    waiting["status"] = {"nominatedNodeName": "a"}
    decision = World([A], [ending]).decide(waiting)
    assert decision.victims == ()
    assert decision.message.endswith("preemption: not eligible due to a terminating pod on the nominated node.")


def test_many_nodes_are_tried_from_a_random_one_on():
    async def main() -> str:
        nodes = [node(f"n{i}", cpu="1") for i in range(150)]
        pods = [low(f"x{i}", f"n{i}") for i in range(150)]
        return World(nodes, pods).decide(pod("p", cpu="1", priority=1)).nominated

    assert len({run(main(), seed=seed) for seed in range(4)}) > 1
