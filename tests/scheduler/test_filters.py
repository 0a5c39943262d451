"""Where a pod may go, per plugin (upstream: pkg/scheduler/framework/plugins/*/…_test.go)."""

import pytest

from skiff.api.gvr import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from skiff.testing.builders import container, node, pod
from tests.scheduler.world import World

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
ZONE = "topology.kubernetes.io/zone"


def affinity(*terms, fields=()) -> dict:
    term = {"matchExpressions": list(terms), "matchFields": list(fields)}
    required = {"nodeSelectorTerms": [{k: v for k, v in term.items() if v}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> dict:
    return {"key": key, "operator": operator, "values": list(values)}


NODES = [
    node("small", cpu="1", labels={"disk": "ssd", "gen": "2"}),
    node("big", cpu="8", labels={"disk": "hdd", "gen": "10"}),
    node("gpu", cpu="4", taints=[TAINT], extended={"example.com/gpu": "1"}),
    node("cordoned", cpu="4", unschedulable=True),
]

CASES = [
    pytest.param({}, {"small", "big"}, id="plain pods avoid taints and cordons"),
    pytest.param({"cpu": "2"}, {"big"}, id="requests must fit"),
    pytest.param(
        {"tolerations": [{"key": "dedicated", "operator": "Exists"}]}, {"small", "big", "gpu"}, id="a tolerated taint"
    ),
    pytest.param(
        {"tolerations": [{"key": "dedicated", "value": "cpu", "effect": "NoSchedule"}]},
        {"small", "big"},
        id="a toleration of another value",
    ),
    pytest.param(
        {"tolerations": [{"operator": "Exists"}]}, {"small", "big", "gpu", "cordoned"}, id="tolerating everything"
    ),
    pytest.param(
        {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]},
        {"small", "big", "cordoned"},
        id="tolerating the cordon",
    ),
    pytest.param({"nodeSelector": {"disk": "ssd"}}, {"small"}, id="node selector"),
    pytest.param({"affinity": affinity(expression("disk", "In", "hdd", "ssd"))}, {"small", "big"}, id="affinity In"),
    pytest.param({"affinity": affinity(expression("disk", "NotIn", "ssd"))}, {"big"}, id="affinity NotIn"),
    pytest.param({"affinity": affinity(expression("disk", "DoesNotExist"))}, set(), id="affinity DoesNotExist"),
    pytest.param({"affinity": affinity(expression("gen", "Gt", "5"))}, {"big"}, id="affinity Gt compares numbers"),
    pytest.param({"affinity": affinity(expression("gen", "Lt", "5"))}, {"small"}, id="affinity Lt"),
    pytest.param({"affinity": affinity()}, set(), id="an empty term matches nothing"),
    pytest.param(
        {"affinity": affinity(fields=[expression("metadata.name", "In", "big")])}, {"big"}, id="affinity by name"
    ),
    pytest.param(
        {"nodeSelector": {"disk": "ssd"}, "affinity": affinity(expression("gen", "Gt", "5"))},
        set(),
        id="selector and affinity both count",
    ),
]


@pytest.mark.parametrize("spec, expected", CASES)
def test_nodes_that_fit(spec, expected):
    assert {n["metadata"]["name"] for n in NODES if World([n]).decide(pod("p", **spec)).node} == expected
    assert World(NODES).decide(pod("p", **spec)).node in (expected or {""})


MESSAGES = [
    pytest.param([], {}, "no nodes available to schedule pods", id="no nodes"),
    pytest.param(
        [node("a", cpu="1"), node("b", taints=[TAINT]), node("c", taints=[TAINT])],
        {"cpu": "2"},
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        id="a request larger than the node: eviction cannot help",
    ),
    pytest.param(
        [node("a", cpu="1", memory="1Gi", unschedulable=True), node("b", cpu="1", memory="1Gi")],
        {"cpu": "2", "memory": "2Gi"},
        "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) were unschedulable. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
        id="every lacking resource is told",
    ),
    pytest.param(
        [node("a")],
        {"nodeSelector": {"x": "y"}},
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        id="node selector",
    ),
    pytest.param(
        [node("a"), node("b")],
        {"affinity": affinity(fields=[expression("metadata.name", "In", "gone")])},
        "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
        id="the only node is not there",
    ),
    pytest.param(
        [node("a")],
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]},
        '0/1 nodes are available: persistentvolumeclaim "data" not found. '
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        id="a claim that does not exist",
    ),
    pytest.param(
        [node("a")],
        {"cpu": "5", "preemptionPolicy": "Never"},
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
        id="a pod that does not preempt",
    ),
]


@pytest.mark.parametrize("nodes, spec, message", MESSAGES)
def test_message(nodes, spec, message):
    assert World(nodes).decide(pod("p", **spec)).message == message


def test_message_when_there_is_nobody_to_evict():
    world = World([node("a", cpu="1")], [pod("other", node="a", cpu="800m")])
    assert world.decide(pod("p", cpu="500m")).message == (
        "0/1 nodes are available: 1 Insufficient cpu. "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_reasons_carry_facts():
    world = World([node("a", cpu="1")], [pod("other", node="a", cpu="800m")])
    (status,) = world.decide(pod("p", cpu="500m")).refusals.values()
    assert status.plugin == "NodeResourcesFit"
    assert status.reasons[0].facts == {"resource": "cpu", "requested": 500, "used": 800, "capacity": 1000}


RESOURCES = [
    pytest.param([], {"cpu": "1"}, True, id="exactly all of it"),
    pytest.param([pod("o", node="n", cpu="1m")], {"cpu": "1"}, False, id="a thousandth too much"),
    pytest.param([pod("o", node="n", cpu="1")], {}, True, id="a pod without requests always fits"),
    pytest.param([pod(f"o{i}", node="n") for i in range(3)], {}, False, id="too many pods"),
    pytest.param([], {"memory": "2Gi"}, False, id="memory"),
    pytest.param(
        [], {"containers": [container("a", cpu="600m"), container("b", cpu="600m")]}, False, id="containers add up"
    ),
    pytest.param(
        [],
        {"cpu": "600m", "initContainers": [container("i", cpu="900m")]},
        True,
        id="init containers do not add to the others",
    ),
    pytest.param(
        [],
        {"cpu": "600m", "initContainers": [container("s", cpu="500m", restartPolicy="Always")]},
        False,
        id="sidecars do",
    ),
    pytest.param([], {"cpu": "900m", "overhead": {"cpu": "200m"}}, False, id="overhead counts"),
]


@pytest.mark.parametrize("pods, spec, fits", RESOURCES)
def test_resources(pods, spec, fits):
    world = World([node("n", cpu="1", memory="1Gi", pods="3")], pods)
    assert bool(world.decide(pod("p", **spec)).node) is fits


def with_port(name: str, host_port: int, *, ip: str = "", protocol: str = "TCP", **more) -> dict:
    port = {"containerPort": 80, "hostPort": host_port, "protocol": protocol, **({"hostIP": ip} if ip else {})}
    return pod(name, containers=[container(ports=[port])], **more)


PORTS = [
    pytest.param(with_port("p", 8080, ip="10.0.0.1"), False, id="the same port"),
    pytest.param(with_port("p", 8080), False, id="the same port on all addresses"),
    pytest.param(with_port("p", 8080, ip="10.0.0.2"), True, id="another address"),
    pytest.param(with_port("p", 8081), True, id="another port"),
    pytest.param(with_port("p", 8080, protocol="UDP"), True, id="another protocol"),
]


@pytest.mark.parametrize("newcomer, fits", PORTS)
def test_host_ports(newcomer, fits):
    world = World([node("n")], [with_port("other", 8080, ip="10.0.0.1", node="n")])
    assert bool(world.decide(newcomer).node) is fits


def spread(key: str, *, skew: int = 1, selector: dict | None = None, **more) -> dict:
    return {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": selector or {"app": "web"}},
        **more,
    }


ZONED = [node(f"{z}{i}", labels={ZONE: z}) for z in ("a", "b") for i in (1, 2)] + [node("nowhere")]
WEB = {"app": "web"}

SPREAD = [
    pytest.param(["a1"], [spread(ZONE)], {"b1", "b2"}, id="the emptier zone"),
    pytest.param([], [spread(ZONE)], {"a1", "a2", "b1", "b2"}, id="nothing yet; nodes without the label never"),
    pytest.param(["a1"], [spread(ZONE, skew=2)], {"a1", "a2", "b1", "b2"}, id="within the skew"),
    pytest.param(["a1", "b1"], [spread(ZONE)], {"a1", "a2", "b1", "b2"}, id="even"),
    pytest.param(
        ["a1"], [spread(ZONE), spread("kubernetes.io/hostname")], {"b1", "b2"}, id="several constraints all hold"
    ),
    pytest.param(["a1"], [spread(ZONE, selector={"app": "db"})], {"a1", "a2", "b1", "b2"}, id="others do not count"),
    pytest.param([], [spread(ZONE, minDomains=3)], {"a1", "a2", "b1", "b2"}, id="too few domains count as empty"),
    pytest.param(["a1", "b1"], [spread(ZONE, minDomains=3)], set(), id="and then each takes maxSkew pods"),
]


@pytest.mark.parametrize("placed, constraints, expected", SPREAD)
def test_topology_spread(placed, constraints, expected):
    world = World(ZONED, [pod(f"on {n}", node=n, labels=WEB) for n in placed])
    assert world.feasible(pod("p", labels=WEB, topologySpreadConstraints=constraints)) == expected


def test_spread_counts_only_nodes_that_the_pod_may_use():
    world = World(ZONED, [pod("x", node="a1", labels=WEB)])
    newcomer = pod("p", labels=WEB, nodeSelector={ZONE: "a"}, topologySpreadConstraints=[spread(ZONE)])
    assert world.feasible(newcomer) == {"a1", "a2"}


def test_spread_by_match_label_keys_counts_one_revision():
    world = World(ZONED, [pod("x", node="a1", labels={**WEB, "rev": "1"})])
    constraint = spread(ZONE, matchLabelKeys=["rev"])
    newcomer = pod("p", labels={**WEB, "rev": "2"}, topologySpreadConstraints=[constraint])
    assert world.feasible(newcomer) == {"a1", "a2", "b1", "b2"}


def test_spread_forgets_pods_that_leave():
    world = World(ZONED, [pod("x", node="a1", labels=WEB)])
    newcomer = pod("p", labels=WEB, topologySpreadConstraints=[spread(ZONE)])
    assert world.feasible(newcomer) == {"b1", "b2"}
    world.cache.remove_pod("default/x")
    assert world.feasible(newcomer) == {"a1", "a2", "b1", "b2"}


def near(selector: dict, key: str = ZONE, **more) -> dict:
    return {"labelSelector": {"matchLabels": selector}, "topologyKey": key, **more}


def attracted(*terms: dict) -> dict:
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def repelled(*terms: dict) -> dict:
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


INTER_POD = [
    pytest.param(attracted(near(WEB)), {"a1", "a2"}, id="near a matching pod"),
    pytest.param(attracted(near({"app": "none"})), set(), id="nobody matches"),
    pytest.param(
        attracted(near({"app": "me"})), {"a1", "a2", "b1", "b2"}, id="the first of a group that wants company"
    ),
    pytest.param(attracted(near(WEB, "rack")), set(), id="no node has the label"),
    pytest.param(attracted(near(WEB, namespaces=["other"])), set(), id="in another namespace"),
    pytest.param(attracted(near(WEB, namespaceSelector={})), {"a1", "a2"}, id="in all namespaces"),
    pytest.param(repelled(near(WEB)), {"b1", "b2", "nowhere"}, id="far from a matching pod"),
    pytest.param(repelled(near(WEB, "kubernetes.io/hostname")), {"a2", "b1", "b2", "nowhere"}, id="not on the node"),
    pytest.param({}, {"a1", "a2", "b1", "nowhere"}, id="where no other pod objects"),
]


@pytest.mark.parametrize("wish, expected", INTER_POD)
def test_inter_pod_affinity(wish, expected):
    unfriendly = pod("u", node="b2", affinity=repelled(near({"mood": "loud"}, "kubernetes.io/hostname")))
    world = World(ZONED, [pod("web", node="a1", labels=WEB), unfriendly])
    labels = {"app": "me"} if wish else {"mood": "loud"}
    newcomer = pod("p", labels=labels, **({"affinity": wish} if wish else {}))
    assert world.feasible(newcomer) == expected


def claim(name: str, *, volume: str = "", cls: str = "fast", **meta) -> dict:
    bound = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}} if volume else {}
    spec = {"storageClassName": cls, **({"volumeName": volume} if volume else {})}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "default", "name": name, **bound, **meta},
        "spec": spec,
    }


def volume(name: str, zone: str) -> dict:
    terms = [{"matchExpressions": [expression(ZONE, "In", zone)]}]
    return {"metadata": {"name": name}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}


VOLUMES = [
    pytest.param(claim("data", volume="pv"), {"b1", "b2"}, "", id="where the volume is"),
    pytest.param(claim("data"), set(), "pod has unbound immediate PersistentVolumeClaims", id="not bound yet"),
    pytest.param(claim("data", cls="late"), {"a1", "a2", "b1", "b2", "nowhere"}, "", id="bound with the first pod"),
    pytest.param(
        claim("data", cls="manual"),
        set(),
        "node(s) didn't find available persistent volumes to bind",
        id="no provisioner",
    ),
    pytest.param(
        claim("data", volume="lost"),
        set(),
        "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        id="the volume is gone",
    ),
    pytest.param(
        claim("data", deletionTimestamp="2026-01-01T00:00:00Z"),
        set(),
        'persistentvolumeclaim "data" is being deleted',
        id="a claim about to go",
    ),
]


@pytest.mark.parametrize("held, expected, message", VOLUMES)
def test_volumes(held, expected, message):
    world = World(ZONED)
    world.has(PERSISTENTVOLUMECLAIMS, held)
    world.has(PERSISTENTVOLUMES, volume("pv", "b"))
    late = {"volumeBindingMode": "WaitForFirstConsumer"}
    world.has(STORAGECLASSES, {"metadata": {"name": "fast"}, "provisioner": "x"})
    world.has(STORAGECLASSES, {"metadata": {"name": "late"}, "provisioner": "x", **late})
    world.has(STORAGECLASSES, {"metadata": {"name": "manual"}, "provisioner": "kubernetes.io/no-provisioner", **late})
    newcomer = pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    assert world.feasible(newcomer) == expected
    assert message in world.decide(newcomer).message
