"""Where a pod goes rather, per plugin and together."""

from collections import Counter

import pytest

from skiff.api.gvr import REPLICASETS, SERVICES
from skiff.scheduler.algorithm import nodes_wanted
from skiff.scheduler.framework import scale_scores
from skiff.scheduler.plugins.imagelocality import with_tag
from skiff.scheduler.plugins.noderesources import evenness, least_allocated
from skiff.testing import run
from skiff.testing.builders import node, pod, service
from tests.scheduler.test_filters import WEB, ZONE, expression, near, spread
from tests.scheduler.world import World

MIB = 1 << 20


@pytest.mark.parametrize(
    "used, expected",
    [
        pytest.param([(0, 4), (0, 8)], 100, id="empty"),
        pytest.param([(4, 4), (8, 8)], 0, id="full"),
        pytest.param([(1, 4), (4, 8)], 62, id="the mean of the free shares, rounded down"),
        pytest.param([(5, 4), (0, 8)], 50, id="overcommitted counts as full"),
        pytest.param([(1, 0), (0, 8)], 100, id="what the node does not have does not count"),
    ],
)
def test_least_allocated(used, expected):
    assert least_allocated(used) == expected


@pytest.mark.parametrize(
    "used, capacity, expected",
    [
        pytest.param([1, 1], [2, 2], 100, id="even"),
        pytest.param([2, 0], [2, 2], 50, id="as uneven as can be"),
        pytest.param([3, 1], [4, 4], 75, id="half way"),
    ],
)
def test_evenness(used, capacity, expected):
    assert evenness(used, capacity) == expected


@pytest.mark.parametrize(
    "scores, reverse, expected",
    [
        pytest.param([0, 5, 10], False, [0, 50, 100], id="by the largest"),
        pytest.param([0, 5, 10], True, [100, 50, 0], id="the smallest best"),
        pytest.param([0, 0], False, [0, 0], id="nothing to scale"),
        pytest.param([0, 0], True, [100, 100], id="nothing against any"),
    ],
)
def test_scale_scores(scores, reverse, expected):
    assert scale_scores(scores, reverse=reverse) == expected


@pytest.mark.parametrize(
    "total, percentage, expected",
    [
        pytest.param(99, 0, 99, id="small clusters: all"),
        pytest.param(100, 0, 100, id="at least a hundred"),
        pytest.param(1000, 0, 420, id="42 % of 1000"),
        pytest.param(6000, 0, 300, id="never less than 5 %"),
        pytest.param(1000, 70, 700, id="as configured"),
        pytest.param(500, 1, 100, id="configured too low"),
    ],
)
def test_nodes_wanted(total, percentage, expected):
    assert nodes_wanted(total, percentage) == expected


def prefer(*weighted: tuple[int, dict]) -> dict:
    terms = [{"weight": w, "preference": {"matchExpressions": [e]}} for w, e in weighted]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


def liking(kind: str, *weighted: tuple[int, dict]) -> dict:
    terms = [{"weight": w, "podAffinityTerm": t} for w, t in weighted]
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


SOFT = {"key": "busy", "effect": "PreferNoSchedule"}
TWO_ZONES = [node("a1", labels={ZONE: "a"}), node("a2", labels={ZONE: "a"}), node("b1", labels={ZONE: "b"})]

BEST = [
    pytest.param([node("a"), node("b", cpu="8")], [], {"cpu": "1"}, {"b"}, id="where more stays free"),
    pytest.param([node("a"), node("b")], [pod("o", node="a", cpu="1")], {"cpu": "1"}, {"b"}, id="the emptier node"),
    pytest.param(
        [node("a"), node("b")], [pod("o", node="a")], {}, {"b"}, id="pods without requests count as something"
    ),
    pytest.param([node("a", taints=[SOFT]), node("b")], [], {}, {"b"}, id="not where a soft taint is"),
    pytest.param(
        [node("a", taints=[SOFT]), node("b")],
        [pod("o", node="b", cpu="500m")],
        {"tolerations": [{"key": "busy", "operator": "Exists"}]},
        {"a"},
        id="unless it is tolerated",
    ),
    pytest.param(
        [node("a", labels={"disk": "ssd"}), node("b", labels={"gpu": "yes"})],
        [],
        {"affinity": prefer((10, expression("disk", "Exists")), (20, expression("gpu", "Exists")))},
        {"b"},
        id="the heavier preference",
    ),
    pytest.param(
        [node("a"), node("b", images={"registry.test/big:1": 1500 * MIB})],
        [],
        {"image": "registry.test/big:1"},
        {"b"},
        id="where the image is",
    ),
    pytest.param(
        TWO_ZONES,
        [pod("o", node="a1", labels=WEB)],
        {"labels": WEB, "affinity": liking("podAntiAffinity", (1, near(WEB)))},
        {"b1"},
        id="rather far",
    ),
    pytest.param(
        TWO_ZONES,
        [pod("o", node="b1", labels=WEB)],
        {"affinity": liking("podAffinity", (1, near(WEB)))},
        {"b1"},
        id="rather near",
    ),
    pytest.param(
        TWO_ZONES,
        [pod("o", node="b1", affinity=liking("podAffinity", (1, near(WEB))))],
        {"labels": WEB},
        {"b1"},
        id="where it is wanted",
    ),
    pytest.param(
        TWO_ZONES,
        [pod("o", node="a1", labels=WEB)],
        {"labels": WEB, "topologySpreadConstraints": [spread(ZONE) | {"whenUnsatisfiable": "ScheduleAnyway"}]},
        {"b1"},
        id="the emptier zone",
    ),
]


@pytest.mark.parametrize("nodes, pods, spec, expected", BEST)
def test_best_node(nodes, pods, spec, expected):
    assert World(nodes, pods).best(pod("p", **spec)) == expected


OWNED = {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": True}]}


@pytest.mark.parametrize(
    "gvr, owner, meta",
    [
        pytest.param(SERVICES, service("web"), {}, id="of a service"),
        pytest.param(
            REPLICASETS,
            {"metadata": {"namespace": "default", "name": "rs"}, "spec": {"selector": {"matchLabels": WEB}}},
            OWNED,
            id="of a replica set",
        ),
    ],
)
def test_pods_spread_by_default(gvr, owner, meta):
    placed = [pod("o", node="a1", labels=WEB)]
    world = World(TWO_ZONES, placed)
    world.has(gvr, owner)
    newcomer = pod("p", labels=WEB)
    newcomer["metadata"].update(meta)
    assert world.best(newcomer) == {"b1"}
    assert world.best(pod("q", labels={"app": "other"})) == {"a2", "b1"}


def test_ties_are_broken_by_chance_and_all_get_their_share():
    async def places() -> Counter:
        world = World([node(f"n{i}") for i in range(4)])
        return Counter(world.decide(pod("p")).node for _ in range(400))

    counts = run(places(), seed=5)
    assert len(counts) == 4
    assert min(counts.values()) > 50


def test_a_large_cluster_is_sampled_in_turn():
    world = World([node(f"n{i:03}") for i in range(200)], percentage=50)
    seen = [world.decide(pod("p")).evaluated for _ in range(4)]
    assert seen == [100] * 4
    assert world.algorithm._start == 0


def test_a_large_deployment_ends_up_even():
    world = World([node(f"n{i}", cpu="10", labels={ZONE: f"z{i % 3}"}) for i in range(12)])
    world.has(SERVICES, service("web"))
    for i in range(60):
        newcomer = pod(f"p{i}", labels=WEB, cpu="100m")
        world.place({**newcomer, "spec": {**newcomer["spec"], "nodeName": world.decide(newcomer).node}})
    assert {len(n.pods) for n in world.cache.nodes()} == {5}


@pytest.mark.parametrize(
    "image, expected",
    [
        pytest.param("nginx", "nginx:latest", id="no tag"),
        pytest.param("nginx:1", "nginx:1", id="tag"),
        pytest.param("host:5000/nginx", "host:5000/nginx:latest", id="a port is no tag"),
    ],
)
def test_with_tag(image, expected):
    assert with_tag(image) == expected
