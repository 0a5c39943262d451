"""Cluster IPs and node ports: unique, kept, released, and what Services look like with them."""

import asyncio
import ipaddress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.gvr import IPADDRESSES, SERVICECIDRS, SERVICES
from skiff.apiserver.admission.serviceallocation import ServiceAllocation
from skiff.apiserver.allocators import Full, Outside, Pool, Range, ServiceAllocators, Taken, address_range, port_range
from skiff.apiserver.lookup import DictLookup
from tests.apiserver.access import admit, attributes, obj

V4, V6 = "10.96.0.0/24", "fd00:10:96::/112"
PORT = {"port": 80, "protocol": "TCP", "targetPort": 80}


def service(name="web", *, old=None, **spec):
    return obj(name, "default", spec={"type": "ClusterIP", "selector": {"a": "b"}, "ports": [dict(PORT)], **spec})


class World:
    """A cluster whose services are stored as soon as they are admitted."""

    def __init__(self, *cidrs, **options):
        self.lookup = DictLookup()
        self.plugin = ServiceAllocation(ServiceAllocators(self.lookup, service_cidrs=cidrs or [V4], **options))

    def create(self, new, **options):
        made = asyncio.run(admit(self.plugin, attributes("CREATE", SERVICES, new, **options)))
        if not options.get("dry_run"):
            self.lookup.put(SERVICES, made)
        return made["spec"]

    def update(self, name="web", **changed):
        old = self.lookup.get(SERVICES, "default", name)
        spec = {k: v for k, v in {**old["spec"], **changed}.items() if v is not None}
        new = {**old, "spec": {**spec, "ports": [dict(p) for p in spec["ports"]]}}
        made = asyncio.run(admit(self.plugin, attributes("UPDATE", SERVICES, new, old)))
        self.lookup.put(SERVICES, made)
        return made["spec"]

    def refuse(self, new):
        with pytest.raises(StatusError) as caught:
            self.create(new)
        return caught.value


def test_a_service_gets_an_address_of_the_upper_part():
    spec = World("10.96.0.0/12").create(service())
    ip = ipaddress.ip_address(spec["clusterIP"])
    assert ip in ipaddress.ip_network("10.96.0.0/12") and int(ip) - int(ipaddress.ip_address("10.96.0.1")) >= 256
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_an_address_asked_for_is_given_once():
    world = World()
    assert world.create(service(clusterIP="10.96.0.10"))["clusterIPs"] == ["10.96.0.10"]
    error = world.refuse(service("other", clusterIP="10.96.0.10"))
    assert error.message == (
        'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: '
        "provided IP is already allocated"
    )
    world.lookup.remove(SERVICES, "default", "web")
    assert world.create(service("other", clusterIP="10.96.0.10"))["clusterIP"] == "10.96.0.10"


def test_an_address_outside_of_the_range_is_refused():
    assert "failed to allocate IP 192.0.2.1: the provided network does not match the current range" in (
        World().refuse(service(clusterIP="192.0.2.1")).message
    )


def test_the_broadcast_address_is_refused():
    why = "the provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is 10.96.0.0/24"
    assert why in World().refuse(service(clusterIP="10.96.0.255")).message


@pytest.mark.parametrize(
    "spec, expected",
    [
        pytest.param({"clusterIP": "None"}, (["IPv4"], "SingleStack"), id="headless"),
        pytest.param(
            {"clusterIP": "None", "selector": {}},
            (["IPv4", "IPv6"], "RequireDualStack"),
            id="headless without selector",
        ),
        pytest.param({"type": "ExternalName", "externalName": "x"}, (None, None), id="an external name"),
    ],
)
def test_services_without_an_address(spec, expected):
    made = World().create(service(**spec))
    assert (made.get("ipFamilies"), made.get("ipFamilyPolicy")) == expected
    assert made.get("clusterIP", "None") == "None"


DUAL = [
    pytest.param({}, 1, id="one stack by default"),
    pytest.param({"ipFamilyPolicy": "PreferDualStack"}, 2, id="preferred"),
    pytest.param({"ipFamilyPolicy": "RequireDualStack"}, 2, id="required"),
    pytest.param({"ipFamilies": ["IPv6"]}, 1, id="the other family"),
    pytest.param({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, 2, id="both, the other first"),
]


@pytest.mark.parametrize("spec, count", DUAL)
def test_dual_stack(spec, count):
    made = World(V4, V6).create(service(**spec))
    families = [f"IPv{ipaddress.ip_address(ip).version}" for ip in made["clusterIPs"]]
    assert made["ipFamilies"] == families and len(families) == count
    assert families[:1] == spec.get("ipFamilies", ["IPv4"])


@pytest.mark.parametrize(
    "spec, message",
    [
        pytest.param({"ipFamilyPolicy": "RequireDualStack"}, "not configured for dual-stack services", id="dual stack"),
        pytest.param({"ipFamilies": ["IPv6"]}, 'Invalid value: "IPv6": not configured on this cluster', id="a family"),
        pytest.param({"clusterIP": "fd00::1"}, "IPv6 is not configured on this cluster", id="an address"),
        pytest.param(
            {"clusterIPs": ["10.96.0.9"]}, "must be empty when `clusterIP` is not specified", id="one spelling"
        ),
        pytest.param({"ipFamilies": [""]}, 'supported values: "IPv4", "IPv6"', id="no family"),
        pytest.param({"ipFamilyPolicy": ""}, 'supported values: "PreferDualStack"', id="no policy"),
    ],
)
def test_one_stack_refuses(spec, message):
    assert message in World().refuse(service(**spec)).message


def test_a_second_stack_comes_and_goes():
    world = World(V4, V6)
    first = world.create(service())["clusterIP"]
    both = world.update(ipFamilyPolicy="PreferDualStack")
    assert both["clusterIPs"][0] == first and len(both["clusterIPs"]) == 2
    assert world.update(ipFamilyPolicy="SingleStack")["clusterIPs"] == [first]


def test_an_update_keeps_what_the_service_has():
    world = World()
    before = world.create(service(type="NodePort"))
    sent_again = world.update(clusterIP=None, clusterIPs=None, ports=[dict(PORT)])
    assert (sent_again["clusterIP"], sent_again["ports"]) == (before["clusterIP"], before["ports"])


def test_external_name_and_back():
    world = World()
    world.create(service())
    gone = world.update(type="ExternalName", externalName="x")
    assert "clusterIP" not in gone and "clusterIPs" not in gone
    assert world.update(type="ClusterIP", externalName=None)["clusterIP"]


def test_node_ports():
    world = World(node_ports=(30000, 32767))
    ports = [dict(PORT), {"port": 80, "protocol": "UDP"}, {"port": 443, "protocol": "TCP"}]
    made = [p["nodePort"] for p in world.create(service(type="NodePort", ports=ports))["ports"]]
    assert made[0] == made[1] != made[2]  # TCP and UDP of one port share a number
    assert all(30086 <= number <= 32767 for number in made)


def test_a_node_port_asked_for_is_given_once():
    world = World()
    world.create(service(type="NodePort", ports=[{**PORT, "nodePort": 30007}]))
    error = world.refuse(service("other", type="NodePort", ports=[{**PORT, "nodePort": 30007}]))
    assert "spec.ports[0].nodePort: Invalid value: 30007: provided port is already allocated" in error.message
    assert (
        "The range of valid ports is 30000-32767"
        in world.refuse(service("far", type="NodePort", ports=[{**PORT, "nodePort": 80}])).message
    )
    world.update(type="ClusterIP")
    assert world.create(service("other", type="NodePort", ports=[{**PORT, "nodePort": 30007}]))


@pytest.mark.parametrize(
    "spec, count",
    [
        pytest.param({}, 1, id="by default"),
        pytest.param({"allocateLoadBalancerNodePorts": False}, 0, id="unless not wanted"),
    ],
)
def test_load_balancers_have_node_ports(spec, count):
    made = World().create(service(type="LoadBalancer", **spec))
    assert sum("nodePort" in p for p in made["ports"]) == count


def test_local_load_balancers_have_a_health_check_port():
    world = World()
    made = world.create(service(type="LoadBalancer", externalTrafficPolicy="Local"))
    number = made["healthCheckNodePort"]
    assert number not in [p["nodePort"] for p in made["ports"]]
    assert world.update()["healthCheckNodePort"] == number
    assert "healthCheckNodePort" not in world.update(externalTrafficPolicy="Cluster")


def test_a_dry_run_takes_nothing():
    world = World("10.96.0.0/30")  # two addresses
    for _ in range(5):
        world.create(service(), dry_run=True)
    assert {world.create(service(n))["clusterIP"] for n in ("a", "b")} == {"10.96.0.1", "10.96.0.2"}
    assert world.refuse(service("c")).code == 500


def test_concurrent_creations_get_different_addresses():
    world = World("10.96.0.0/27")

    async def main():
        tries = [admit(world.plugin, attributes("CREATE", SERVICES, service(f"s{i}"))) for i in range(30)]
        return await asyncio.gather(*tries)

    assert len({s["spec"]["clusterIP"] for s in asyncio.run(main())}) == 30


def test_what_exists_at_the_start_is_known():
    lookup = DictLookup()
    lookup.put(SERVICES, service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1"]))
    allocators = ServiceAllocators(lookup, service_cidrs=[V4])
    with pytest.raises(Taken):
        allocators.addresses["IPv4"].take(int(ipaddress.ip_address("10.96.0.1")), "default/other")


def service_cidr(name, *cidrs, ready=True, **meta):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": {"name": name, **meta}, "spec": {"cidrs": cidrs}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    "objects, wanted, given",
    [
        pytest.param([service_cidr("kubernetes", V4)], "10.96.0.9", True, id="the default range"),
        pytest.param(
            [service_cidr("kubernetes", "10.1.0.0/24")], "10.96.0.9", False, id="the object outweighs the flag"
        ),
        pytest.param([service_cidr("kubernetes", V4, ready=False)], "10.96.0.9", False, id="a range that is not ready"),
        pytest.param([service_cidr("more", "10.1.0.0/24")], "10.1.0.9", True, id="a range that came later"),
        pytest.param(
            [service_cidr("more", "10.1.0.0/24", deletionTimestamp="2026-01-01T00:00:00Z")],
            "10.1.0.9",
            False,
            id="a range that is going",
        ),
        pytest.param(
            [service_cidr("a", "10.1.0.0/24", ready=False), service_cidr("b", "10.1.0.0/24")],
            "10.1.0.9",
            True,
            id="one of two with the range is ready",
        ),
    ],
)
def test_the_ranges_are_those_of_ready_objects(objects, wanted, given):
    world = World()
    world.lookup.put(SERVICECIDRS, *objects)
    if given:
        assert world.create(service(clusterIP=wanted))["clusterIP"] == wanted
    else:
        assert (
            "the provided network does not match the current range" in world.refuse(service(clusterIP=wanted)).message
        )


def test_a_full_range_overflows_into_the_next_one():
    world = World("10.96.0.0/30")
    world.lookup.put(SERVICECIDRS, service_cidr("kubernetes", "10.96.0.0/30"), service_cidr("more", "10.1.0.0/30"))
    made = {world.create(service(f"s{i}"))["clusterIP"] for i in range(4)}
    assert made == {"10.96.0.1", "10.96.0.2", "10.1.0.1", "10.1.0.2"}
    assert "range is full" in world.refuse(service("s4")).message


@pytest.mark.parametrize(
    "parent, free",
    [
        pytest.param({"resource": "services", "namespace": "default", "name": "web"}, True, id="the service's own"),
        pytest.param({"resource": "services", "namespace": "default", "name": "other"}, False, id="another service's"),
        pytest.param({"group": "g", "resource": "gateways", "name": "web"}, False, id="another kind's"),
    ],
)
def test_an_address_object_keeps_its_address(parent, free):
    world = World()
    world.lookup.put(IPADDRESSES, {"metadata": {"name": "10.96.0.9"}, "spec": {"parentRef": parent}})
    if free:
        assert world.create(service(clusterIP="10.96.0.9"))["clusterIP"] == "10.96.0.9"
    else:
        assert "already allocated" in world.refuse(service(clusterIP="10.96.0.9")).message


@pytest.mark.parametrize(
    "pool, size, fixed",
    [
        pytest.param(address_range(ipaddress.ip_network("10.96.0.0/12")), 2**20 - 2, 256, id="/12"),
        pytest.param(address_range(ipaddress.ip_network("10.96.0.0/24")), 254, 16, id="/24"),
        pytest.param(address_range(ipaddress.ip_network("fd00::/112")), 2**16 - 1, 256, id="IPv6"),
        pytest.param(port_range(30000, 32767), 2768, 86, id="node ports"),
    ],
)
def test_the_part_for_fixed_numbers(pool, size, fixed):
    """KEP-3070 and KEP-3668: min(max(16, size / 16), 256) and min(max(16, size / 32), 128)."""
    assert (pool.size, pool.fixed) == (size, fixed)


class PoolMachine(RuleBasedStateMachine):
    """Numbers given and confirmed, against a plain dictionary."""

    def __init__(self):
        super().__init__()
        env.rng().seed(1)  # a failing run must be repeatable
        self.pool = Pool(Range(100, 12, 3))
        self.model: dict[int, str] = {}
        self.count = 0

    @rule()
    def take_any(self):
        self.count += 1
        owner = f"ns/s{self.count}"
        try:
            number = self.pool.take_any(owner)
        except Full:
            assert len(self.model) == 12
            return
        assert number not in self.model and 100 <= number < 112
        if len([n for n in self.model if n >= 103]) < 9:
            assert number >= 103
        self._confirm(number, owner)

    @rule(number=st.integers(98, 113))
    def take(self, number):
        self.count += 1
        owner = f"ns/s{self.count}"
        try:
            self.pool.take(number, owner)
        except Outside:
            assert not 100 <= number < 112
        except Taken:
            assert number in self.model
        else:
            assert number not in self.model
            self._confirm(number, owner)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def release(self, data):
        number = data.draw(st.sampled_from(sorted(self.model)))
        self.pool.learn(self.model.pop(number), [number], [])

    def _confirm(self, number, owner):
        self.pool.learn(owner, [], [number])
        self.model[number] = owner

    @invariant()
    def taken_is_taken(self):
        for number in self.model:
            with pytest.raises(Taken):
                self.pool.take(number, "ns/other", dry_run=True)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
