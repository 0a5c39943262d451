"""Where packets end. Source: Kubernetes documentation, "Virtual IPs and Service Proxies"; KEP-1669, KEP-2086, KEP-3836."""

import pytest

from skiff.proxy.endpoints import Node
from skiff.proxy.model import service as service_record
from skiff.proxy.model import slice_of as slice_record
from skiff.proxy.rules import Family, piece
from skiff.proxy.ruleset import Ruleset
from tests.proxy.builders import endpoint, service, slice_of
from tests.proxy.nftsim import Nft, Packet

FAMILY = Family(4, "10.244.0.0/16")
NODE = Node("n1", "zone-a", ("10.89.0.1",))
POD, OUTSIDE, HERE = "10.244.0.99", "192.0.2.1", "10.89.0.1"
LOCAL, REMOTE = "10.244.0.5", "10.244.1.5"


def made(obj, slices, node=NODE, family=FAMILY):
    """The piece of one service."""
    endpoints = {}
    for s in slices:
        for port, found in slice_record(s).endpoints.items():
            endpoints.setdefault(port, []).extend(found)
    record = service_record(obj, family.version)
    return piece(record, endpoints, node, family) if record else None


def kernel(*services, node=NODE, family=FAMILY, draw=0, **options):
    """An nftables with these (service, slices)."""
    pieces = {
        (s["metadata"]["namespace"], s["metadata"]["name"]): made(s, slices, node, family) for s, slices in services
    }
    nft = Nft(lambda n: min(draw, n - 1))
    nft.apply(Ruleset(family, **options).replace({k: p for k, p in pieces.items() if p is not None}))
    return nft


def both(**more):
    return [slice_of("web", endpoint(LOCAL, "n1", **more), endpoint(REMOTE, "n2", **more))]


def only_remote():
    return [slice_of("web", endpoint(REMOTE, "n2"))]


NODE_PORT = {"name": "http", "port": 80, "nodePort": 30080}
EXTERNAL = {"ports": [NODE_PORT], "externalIPs": ["198.51.100.1"], "status": ["203.0.113.1"]}

CLUSTER_IP = [
    pytest.param(POD, 0, f"{LOCAL}:8080", id="a pod reaches the first endpoint"),
    pytest.param(POD, 1, f"{REMOTE}:8080", id="a pod reaches the second endpoint"),
    pytest.param(LOCAL, 0, f"{LOCAL}:8080 masqueraded", id="a pod that reaches itself is masqueraded"),
    pytest.param(OUTSIDE, 0, f"{LOCAL}:8080 masqueraded", id="who is no pod is masqueraded"),
]


@pytest.mark.parametrize("src, draw, end", CLUSTER_IP)
def test_cluster_ip(src, draw, end):
    assert kernel((service(), both()), draw=draw).trace(Packet(src, "10.96.0.1", 80)) == end


def test_a_process_of_the_node_reaches_the_cluster_ip():
    nft = kernel((service(), both()))
    assert nft.trace(Packet(HERE, "10.96.0.1", 80, from_here=True)) == f"{LOCAL}:8080 masqueraded"


def test_every_endpoint_is_drawn():
    slices = [slice_of("web", *(endpoint(f"10.244.1.{i}", "n2") for i in range(1, 6)))]
    ends = {kernel((service(), slices), draw=n).trace(Packet(POD, "10.96.0.1", 80)) for n in range(5)}
    assert ends == {f"10.244.1.{i}:8080" for i in range(1, 6)}


def test_masquerade_all():
    nft = kernel((service(), both()), masquerade_all=True)
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == f"{LOCAL}:8080 masqueraded"


OTHER_PORTS = [
    pytest.param(Packet(POD, "10.96.0.1", 81), "reject", id="an unknown port of a cluster IP from a pod"),
    pytest.param(Packet(HERE, "10.96.0.1", 81, from_here=True), "reject", id="and from the node"),
    pytest.param(Packet(POD, "10.96.0.1", 80, "udp"), "reject", id="another protocol"),
    pytest.param(Packet(POD, "192.0.2.7", 80), "192.0.2.7:80", id="what is no service passes"),
    pytest.param(Packet(POD, LOCAL, 8080), f"{LOCAL}:8080", id="an endpoint itself"),
    pytest.param(Packet(OUTSIDE, HERE, 22), f"{HERE}:22", id="the node itself"),
]


@pytest.mark.parametrize("packet, end", OTHER_PORTS)
def test_what_is_not_a_service_port(packet, end):
    assert kernel((service(), both())).trace(packet) == end


DESTINATIONS = [
    pytest.param(HERE, 30080, id="a node port"),
    pytest.param("127.0.0.1", 30080, id="a node port on the loopback"),
    pytest.param("198.51.100.1", 80, id="an external IP"),
    pytest.param("203.0.113.1", 80, id="a load balancer's IP"),
]


@pytest.mark.parametrize("dst, port", DESTINATIONS)
def test_external_addresses_lead_to_any_endpoint_masqueraded(dst, port):
    nft = kernel((service(**EXTERNAL), both()), draw=1)
    for src, from_here in ((OUTSIDE, False), (POD, False), (HERE, True)):
        packet = Packet(src, dst, port, from_here=from_here)
        assert nft.trace(packet) == f"{REMOTE}:8080 masqueraded"


@pytest.mark.parametrize("dst, port", DESTINATIONS)
def test_external_policy_local_keeps_the_source_and_stays_on_the_node(dst, port):
    nft = kernel((service(**EXTERNAL, externalTrafficPolicy="Local"), both()), draw=1)
    assert nft.trace(Packet(OUTSIDE, dst, port)) == f"{LOCAL}:8080"
    assert nft.trace(Packet(POD, dst, port)) == f"{REMOTE}:8080"
    assert nft.trace(Packet(HERE, dst, port, from_here=True)) == f"{REMOTE}:8080 masqueraded"


@pytest.mark.parametrize("dst, port", DESTINATIONS)
def test_external_policy_local_without_a_local_endpoint_drops(dst, port):
    nft = kernel((service(**EXTERNAL, externalTrafficPolicy="Local"), only_remote()))
    assert nft.trace(Packet(OUTSIDE, dst, port)) == "drop"
    assert nft.trace(Packet(POD, dst, port)) == f"{REMOTE}:8080"
    assert nft.trace(Packet(HERE, dst, port, from_here=True)) == f"{REMOTE}:8080 masqueraded"
    assert nft.trace(Packet(OUTSIDE, "10.96.0.1", 80)) == f"{REMOTE}:8080 masqueraded"


@pytest.mark.parametrize("dst, port", [*DESTINATIONS, pytest.param("10.96.0.1", 80, id="the cluster IP")])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_service_without_endpoints_rejects(dst, port, policy):
    nft = kernel((service(**EXTERNAL, externalTrafficPolicy=policy), [slice_of("web")]))
    for src, from_here in ((OUTSIDE, False), (POD, False), (HERE, True)):
        assert nft.trace(Packet(src, dst, port, from_here=from_here)) == "reject"


def test_internal_policy_local():
    obj = service(internalTrafficPolicy="Local", ports=[NODE_PORT])
    assert kernel((obj, both()), draw=1).trace(Packet(POD, "10.96.0.1", 80)) == f"{LOCAL}:8080"
    nft = kernel((obj, only_remote()))
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == "drop"
    assert nft.trace(Packet(OUTSIDE, HERE, 30080)) == f"{REMOTE}:8080 masqueraded"


SOURCE_RANGES = [
    pytest.param("10.1.2.3", "203.0.113.1", 80, f"{LOCAL}:8080 masqueraded", id="a source within"),
    pytest.param(OUTSIDE, "203.0.113.1", 80, "drop", id="a source without"),
    pytest.param(OUTSIDE, HERE, 30080, f"{LOCAL}:8080 masqueraded", id="node ports are not subject to them"),
    pytest.param(OUTSIDE, "198.51.100.1", 80, f"{LOCAL}:8080 masqueraded", id="nor are external IPs"),
    pytest.param("203.0.113.1", "203.0.113.1", 80, f"{LOCAL}:8080 masqueraded", id="the node that has the address"),
]


@pytest.mark.parametrize("src, dst, port, end", SOURCE_RANGES)
def test_load_balancer_source_ranges(src, dst, port, end):
    obj = service(**EXTERNAL, loadBalancerSourceRanges=["10.0.0.0/8", " 10.1.0.0/16"])
    assert kernel((obj, both())).trace(Packet(src, dst, port)) == end


READINESS = [
    pytest.param(
        [endpoint("10.244.0.1"), endpoint("10.244.0.2", ready=False)], "10.244.0.1", id="only ready endpoints"
    ),
    pytest.param(
        [endpoint("10.244.0.1", ready=False, serving=True, terminating=True), endpoint("10.244.0.2")],
        "10.244.0.2",
        id="a ready one before a terminating one",
    ),
    pytest.param(
        [endpoint("10.244.0.1", ready=False), endpoint("10.244.0.2", ready=False, serving=True, terminating=True)],
        "10.244.0.2",
        id="terminating ones that serve when there is nothing else",
    ),
    pytest.param([endpoint("10.244.0.1", ready=False, terminating=True)], "", id="not one that has stopped serving"),
]


@pytest.mark.parametrize("endpoints, chosen", READINESS)
def test_readiness(endpoints, chosen):
    nft = kernel((service(), [slice_of("web", *endpoints)]))
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == (f"{chosen}:8080" if chosen else "reject")


def test_external_policy_local_falls_back_to_local_terminating_endpoints():
    slices = [slice_of("web", endpoint(LOCAL, ready=False, serving=True, terminating=True), endpoint(REMOTE, "n2"))]
    nft = kernel((service(**EXTERNAL, externalTrafficPolicy="Local"), slices))
    assert nft.trace(Packet(OUTSIDE, HERE, 30080)) == f"{LOCAL}:8080"
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == f"{REMOTE}:8080"


def zone(name):
    return {"hints": {"forZones": [{"name": name}]}}


def node(name):
    return {"hints": {"forNodes": [{"name": name}], "forZones": [{"name": "zone-a"}]}}


HINTS = [
    pytest.param([zone("zone-b"), zone("zone-a")], f"{REMOTE}:8080", id="those of this zone"),
    pytest.param([zone("zone-b"), zone("zone-b")], f"{LOCAL}:8080", id="none for this zone: all"),
    pytest.param([{}, zone("zone-a")], f"{LOCAL}:8080", id="one without hints: all"),
    pytest.param([node("n2"), node("n1")], f"{REMOTE}:8080", id="those of this node first"),
]


@pytest.mark.parametrize("hints, end", HINTS)
def test_topology_hints(hints, end):
    slices = [slice_of("web", endpoint(LOCAL, "n1", **hints[0]), endpoint(REMOTE, "n2", **hints[1]))]
    assert kernel((service(), slices)).trace(Packet(POD, "10.96.0.1", 80)) == end


def test_session_affinity_brings_a_client_back():
    nft = kernel((service(sessionAffinity="ClientIP", ports=[NODE_PORT]), both()))
    nft.draw = lambda n: 1
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == f"{REMOTE}:8080"
    nft.draw = lambda n: 0
    assert nft.trace(Packet(POD, "10.96.0.1", 80)) == f"{REMOTE}:8080"
    assert nft.trace(Packet("10.244.0.98", "10.96.0.1", 80)) == f"{LOCAL}:8080"
    assert nft.trace(Packet(POD, HERE, 30080)) == f"{REMOTE}:8080 masqueraded"


def test_session_affinity_has_its_timeout():
    config = {"clientIP": {"timeoutSeconds": 77}}
    nft = kernel((service(sessionAffinity="ClientIP", sessionAffinityConfig=config), both()))
    assert nft.transactions[0].count("timeout 77s") == 2


def test_several_ports_and_protocols():
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    slices = [
        slice_of(
            "web",
            endpoint(LOCAL),
            ports=[{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5354}],
        )
    ]
    nft = kernel((service(ports=ports), slices))
    assert nft.trace(Packet(POD, "10.96.0.1", 53, "udp")) == f"{LOCAL}:5353"
    assert nft.trace(Packet(POD, "10.96.0.1", 53)) == f"{LOCAL}:5354"


def test_two_slices_of_one_service():
    slices = [slice_of("web", endpoint(LOCAL)), slice_of("web", endpoint(REMOTE, "n2"), suffix="2")]
    assert kernel((service(), slices), draw=1).trace(Packet(POD, "10.96.0.1", 80)) == f"{REMOTE}:8080"


def test_ipv6():
    family = Family(6, "fd00:10::/56")
    obj = service(ip="fd00:96::1", ports=[NODE_PORT])
    slices = [slice_of("web", endpoint("fd00:10::5"), endpoint("fd00:10::6"), family="IPv6")]
    nft = kernel((obj, slices), family=family, draw=1)
    assert nft.trace(Packet("fd00:10::9", "fd00:96::1", 80)) == "fd00:10::6:8080".replace("fd00:10::6", "[fd00:10::6]")
    assert "ip6 skiff" in nft.transactions[0]
    one = kernel((obj, [slice_of("web", endpoint("fd00:10::5"), family="IPv6")]), family=family)
    assert one.trace(Packet("2001:db8::1", "fd00::1", 30080, local=("fd00::1",))) == "[fd00:10::5]:8080 masqueraded"


NOT_OURS = [
    pytest.param(service(ip="None"), id="headless"),
    pytest.param(service(type="ExternalName", externalName="x"), id="an external name"),
    pytest.param(service(ip=""), id="without an address"),
    pytest.param(service(ip="10.96.0.1; drop"), id="an address that is none"),
    pytest.param(service(name="web}"), id="a name that is none"),
    pytest.param(service(ports=[{"name": "x y", "port": 80}]), id="a port name that is none"),
    pytest.param(service(ports=[{"port": 0}]), id="a port that is none"),
]


@pytest.mark.parametrize("obj", NOT_OURS)
def test_services_that_are_not_ours(obj):
    assert service_record(obj, 4) is None


def test_a_service_of_another_proxy_is_not_ours():
    obj = service()
    obj["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    assert service_record(obj, 4) is None
