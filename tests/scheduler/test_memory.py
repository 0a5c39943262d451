"""What is remembered between cycles must never change an answer: the cache, its counters, and the shapes."""

import random

import pytest

from skiff.api.gvr import SERVICES
from skiff.scheduler.cache import Cache
from skiff.scheduler.podinfo import PodInfo, slim_pod
from skiff.testing.builders import container, node, pod, service
from tests.scheduler.test_filters import WEB, ZONE, near, repelled, spread
from tests.scheduler.world import World, numbered

SHAPES = [
    {"cpu": "100m"},
    {"cpu": "500m", "labels": WEB, "topologySpreadConstraints": [spread(ZONE, skew=2)]},
    {"labels": WEB},
    {"labels": {"app": "db"}, "affinity": repelled(near({"app": "db"}, "kubernetes.io/hostname"))},
    {"containers": [container(ports=[{"containerPort": 1, "hostPort": 80}])]},
]


def fresh(world: World) -> World:
    """A world with the same nodes and pods and nothing remembered."""
    nodes = [
        node(n.name, cpu=f"{n.allocatable['cpu']}m", labels=dict(n.labels), taints=list(n.taints))
        for n in world.cache.nodes()
    ]
    found = World(nodes)
    for p in world.cache._pods.values():
        found.cache.set_pod(p)
    found.has(SERVICES, service("web"))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_long_history_gives_the_answers_of_a_fresh_start(seed):
    rng = random.Random(seed)
    world = World([node(f"n{i}", labels={ZONE: f"z{i % 2}"}) for i in range(6)])
    world.has(SERVICES, service("web"))
    for number in range(80):
        act = rng.random()
        names = [n.name for n in world.cache.nodes()]
        if act < 0.6:
            newcomer = pod(f"p{number}", **rng.choice(SHAPES))
            if chosen := world.decide(newcomer).node:
                world.place({**newcomer, "spec": {**newcomer["spec"], "nodeName": chosen}})
        elif act < 0.8 and world.cache._pods:
            world.cache.remove_pod(rng.choice(sorted(world.cache._pods)))
        elif act < 0.9:
            taints = [{"key": "x", "effect": rng.choice(["NoSchedule", "PreferNoSchedule"])}] * rng.randint(0, 1)
            world.cache.set_node(node(rng.choice(names), labels={ZONE: f"z{rng.randint(0, 2)}"}, taints=taints))
        elif len(names) > 2:
            world.cache.remove_node(rng.choice(names))
        for shape in SHAPES:
            asked = pod("asked", **shape)
            assert world.feasible(asked) == fresh(world).feasible(asked)
            assert world.totals(asked) == fresh(world).totals(asked)


def info(name: str, **more) -> PodInfo:
    slim = slim_pod(numbered(pod(name, **more)))
    assert slim is not None
    return PodInfo(slim)


def test_an_assumed_pod_counts_until_it_is_forgotten():
    cache = Cache()
    cache.set_node(node("n"))
    placed = info("p", cpu="1").on("n")
    cache.assume(placed)
    assert cache.node("n").requested == {"cpu": 1000}
    assert cache.forget(placed)
    assert cache.node("n").requested == {"cpu": 0}


def test_a_confirmed_pod_is_not_forgotten():
    cache = Cache()
    cache.set_node(node("n"))
    placed = info("p", cpu="1").on("n")
    cache.assume(placed)
    cache.set_pod(info("p", cpu="1", node="n"))
    assert not cache.forget(placed)
    assert list(cache.node("n").pods) == ["default/p"]


def test_a_pod_that_counts_the_same_does_not_change_its_node():
    cache = Cache()
    cache.set_node(node("n"))
    cache.set_pod(info("p", cpu="1", node="n"))
    generation = cache.node("n").generation
    later = info("p", cpu="1", node="n")
    later.obj["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    cache.set_pod(later)
    assert cache.node("n").generation == generation
    assert cache.pod("default/p").start_time == "2026-01-01T00:00:00Z"
    cache.set_pod(info("p", cpu="2", node="n"))
    assert cache.node("n").requested == {"cpu": 2000}


def test_pods_may_come_before_their_node_and_stay_after_it():
    cache = Cache()
    cache.set_pod(info("p", cpu="1", node="n"))
    assert cache.nodes() == []
    cache.set_node(node("n"))
    assert cache.node("n").requested == {"cpu": 1000}
    cache.remove_node("n")
    assert cache.node("n") is None
    cache.set_node(node("n"))
    assert cache.node("n").requested == {"cpu": 1000}
    cache.remove_pod("default/p")
    cache.remove_node("n")
    assert cache._infos == {}


def test_zones_take_turns():
    cache = Cache()
    for name, zone in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        cache.set_node(node(name, labels={ZONE: zone}))
    assert [n.name for n in cache.nodes()] == ["a1", "b1", "a2", "a3"]


def test_finished_pods_hold_nothing():
    assert slim_pod(pod("p", node="n", phase="Succeeded")) is None


def test_a_slim_pod_keeps_what_scheduling_others_needs():
    big = pod("p", node="n", cpu="1", labels=WEB, nodeSelector={"a": "b"}, volumes=[{"name": "v", "emptyDir": {}}])
    big["spec"]["containers"][0] |= {"env": [{"name": "A", "value": "x" * 1000}], "livenessProbe": {}}
    slim = slim_pod(big)
    assert slim["spec"]["containers"] == [
        {"name": "app", "image": "registry.skiff.test/app:1", "resources": {"requests": {"cpu": "1"}}}
    ]
    assert slim["spec"]["volumes"] == []
    assert "nodeSelector" not in slim["spec"]


def test_pods_of_one_template_share_a_shape():
    a, b, c = info("a", cpu="1", labels=WEB), info("b", cpu="1"), info("c", cpu="2")
    assert a.shape == b.shape != c.shape
