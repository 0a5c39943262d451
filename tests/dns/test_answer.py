"""The cluster's zone: questions and answers as zone-file text. Source: Kubernetes DNS specification 1.1.0."""

from collections.abc import Sequence

import pytest

from skiff.dns import wire
from skiff.dns.answer import answer
from skiff.dns.records import Endpoint, Port, Service, Slice, slim_service, slim_slice
from skiff.testing.builders import meta

SOA = "cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 30"


class FakeView:
    serial = 7

    def __init__(self, services: Sequence[Service], slices: Sequence[Slice], namespaces: Sequence[str]):
        self._services = services
        self._slices = slices
        self._namespaces = namespaces

    def has_namespace(self, name):
        return name in self._namespaces

    def service(self, namespace, name):
        return next((s for s in self._services if (s.namespace, s.name) == (namespace, name)), None)

    def slices(self, namespace, service):
        return [s for s in self._slices if (s.namespace, s.service) == (namespace, service)]

    def services_at(self, address):
        return [s for s in self._services if address in s.addresses]

    def endpoints_at(self, address):
        return [(s, e) for s in self._slices for e in s.endpoints if e.address == address]


HTTP = Port("http", "tcp", 80)
VIEW = FakeView(
    [
        Service("default", "web", ("10.96.0.7", "fd00:96::7"), (HTTP, Port("metrics", "udp", 9090))),
        Service("default", "db", (), (HTTP,)),
        Service("default", "empty", (), (HTTP,)),
        Service("default", "out", external_name="www.example.com"),
        Service("default", "alias", external_name="web.default.svc.cluster.local"),
        Service("default", "ring", external_name="ring.default.svc.cluster.local"),
        Service("kube-system", "kube-dns", ("10.96.0.10",), (Port("dns", "udp", 53),)),
    ],
    [
        Slice("default", "web", (Endpoint("10.244.0.9", "10-244-0-9"),), (Port("http", "tcp", 8080),)),
        Slice(
            "default",
            "db",
            (Endpoint("10.244.0.5", "db-0"), Endpoint("10.244.1.5", "10-244-1-5")),
            (Port("http", "tcp", 5432),),
        ),
        Slice("default", "db", (Endpoint("fd00::5", "db-0"),), (Port("http", "tcp", 5432),)),
    ],
    ["default", "kube-system"],
)

CASES = [
    pytest.param("web.default.svc A", ["web.default.svc A 10.96.0.7"], id="2.3.1: a cluster IP"),
    pytest.param("web.default.svc AAAA", ["web.default.svc AAAA fd00:96::7"], id="2.3.1: an IPv6 cluster IP"),
    pytest.param("WEB.Default.SVC A", ["WEB.Default.SVC A 10.96.0.7"], id="case does not matter and comes back"),
    pytest.param(
        "_http._tcp.web.default.svc SRV",
        [
            "_http._tcp.web.default.svc SRV 0 100 80 web.default.svc",
            "+ web.default.svc A 10.96.0.7",
            "+ web.default.svc AAAA fd00:96::7",
        ],
        id="2.3.2: a named port with its addresses",
    ),
    pytest.param("_http._udp.web.default.svc SRV", "NXDOMAIN", id="2.3.2: no such port"),
    pytest.param(
        "web.default.svc SRV",
        [
            "web.default.svc SRV 0 50 80 web.default.svc",
            "web.default.svc SRV 0 50 9090 web.default.svc",
            "+ web.default.svc A 10.96.0.7",
            "+ web.default.svc AAAA fd00:96::7",
        ],
        id="all ports of a service",
    ),
    pytest.param("web.default.svc TXT", "NODATA", id="a name without records of the type exists"),
    pytest.param("7.0.96.10.in-addr.arpa. PTR", ["7.0.96.10.in-addr.arpa. PTR web.default.svc"], id="2.3.3: reverse"),
    pytest.param("7.0.96.10.in-addr.arpa. A", "NODATA", id="reverse, another type"),
    pytest.param(
        "db.default.svc A",
        ["db.default.svc A 10.244.0.5", "db.default.svc A 10.244.1.5"],
        id="2.4.1: the endpoints of a headless service",
    ),
    pytest.param("db.default.svc AAAA", ["db.default.svc AAAA fd00::5"], id="2.4.1: IPv6 endpoints"),
    pytest.param("db-0.db.default.svc A", ["db-0.db.default.svc A 10.244.0.5"], id="2.4.1: an endpoint by hostname"),
    pytest.param(
        "10-244-1-5.db.default.svc A", ["10-244-1-5.db.default.svc A 10.244.1.5"], id="an endpoint by address"
    ),
    pytest.param("db-1.db.default.svc A", "NXDOMAIN", id="no such endpoint"),
    pytest.param(
        "_http._tcp.db.default.svc SRV",
        [
            "_http._tcp.db.default.svc SRV 0 50 5432 db-0.db.default.svc",
            "_http._tcp.db.default.svc SRV 0 50 5432 10-244-1-5.db.default.svc",
            "+ db-0.db.default.svc A 10.244.0.5",
            "+ 10-244-1-5.db.default.svc A 10.244.1.5",
            "+ db-0.db.default.svc AAAA fd00::5",
        ],
        id="2.4.2: SRV of a headless service",
    ),
    pytest.param(
        "5.0.244.10.in-addr.arpa. PTR",
        ["5.0.244.10.in-addr.arpa. PTR db-0.db.default.svc"],
        id="2.4.3: reverse of an endpoint",
    ),
    pytest.param(
        "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR",
        ["5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. PTR db-0.db.default.svc"],
        id="reverse of an IPv6 address",
    ),
    pytest.param("empty.default.svc A", "NXDOMAIN", id="2.4.1: a headless service without ready endpoints"),
    pytest.param(
        "out.default.svc A",
        ["out.default.svc CNAME www.example.com.", "> www.example.com"],
        id="2.5: an external name is to be chased",
    ),
    pytest.param(
        "out.default.svc CNAME", ["out.default.svc CNAME www.example.com."], id="2.5: the external name itself"
    ),
    pytest.param(
        "alias.default.svc A",
        ["alias.default.svc CNAME web.default.svc", "web.default.svc A 10.96.0.7"],
        id="an external name inside the cluster",
    ),
    pytest.param(
        "ring.default.svc A", ["ring.default.svc CNAME ring.default.svc"] * 9, id="a ring of external names ends"
    ),
    pytest.param("10-244-0-77.default.pod A", ["10-244-0-77.default.pod A 10.244.0.77"], id="a pod by its address"),
    pytest.param("fd00--1.default.pod AAAA", ["fd00--1.default.pod AAAA fd00::1"], id="a pod by its IPv6 address"),
    pytest.param("10-244-0-77.default.pod AAAA", "NODATA", id="a pod has one address"),
    pytest.param("10-244-0-77.nowhere.pod A", "NXDOMAIN", id="a pod in no namespace"),
    pytest.param("10-244-0-777.default.pod A", "NXDOMAIN", id="a pod with no address"),
    pytest.param("none.default.svc A", "NXDOMAIN", id="no such service"),
    pytest.param("web.nowhere.svc A", "NXDOMAIN", id="no such namespace"),
    pytest.param("a.b.c.web.default.svc A", "NXDOMAIN", id="too deep"),
    pytest.param("default.svc A", "NODATA", id="a namespace exists"),
    pytest.param("nowhere.svc A", "NXDOMAIN", id="a namespace that does not"),
    pytest.param("svc A", "NODATA", id="the name above namespaces exists"),
    pytest.param("other A", "NXDOMAIN", id="nothing else below the domain"),
    pytest.param("dns-version TXT", ['dns-version TXT "1.1.0"'], id="2.2: the version of the specification"),
    pytest.param("ns.dns A", ["ns.dns A 10.96.0.10"], id="the server's own name"),
    pytest.param("cluster.local. NS", ["cluster.local. NS ns.dns"], id="the apex: NS"),
    pytest.param("cluster.local. SOA", [SOA.replace("30 IN ", "")], id="the apex: SOA"),
    pytest.param("example.com. A", None, id="somebody else's zone"),
    pytest.param("notcluster.local. A", None, id="a zone with the same ending"),
    pytest.param("9.9.9.9.in-addr.arpa. PTR", None, id="the reverse of an address that is not ours"),
]


def full(name: str) -> str:
    """Names in the table end at `svc`, `pod`, ...; those with a final dot are complete."""
    return name[:-1] if name.endswith(".") else f"{name}.cluster.local"


def expected(lines, question):
    if isinstance(lines, list):
        return [" ".join(expand(line.split())) for line in lines]
    return lines


def expand(words):
    if words[0] == ">":
        return words
    at = 1 if words[0] == "+" else 0
    words[at] = full(words[at])
    if words[at + 1] in ("CNAME", "PTR", "SRV", "NS"):
        words[-1] = full(words[-1])
    return words


def told(found):
    if found is None:
        return None
    names = {number: name for name, number in wire.TYPES.items()}
    if not found.answers:
        assert [line(r, names) for r in found.authority] == [line_of_soa()]
        return {wire.NOERROR: "NODATA", wire.NXDOMAIN: "NXDOMAIN"}[found.rcode]
    assert found.rcode == wire.NOERROR
    assert {r.ttl for r in (*found.answers, *found.additional)} == {30}
    extra = [f"+ {line(r, names)}" for r in found.additional]
    return [line(r, names) for r in found.answers] + extra + ([f"> {found.chase}"] if found.chase else [])


def line(record, names):
    return f"{record.name} {names[record.type]} {record.data}"


def line_of_soa():
    return "cluster.local SOA ns.dns.cluster.local hostmaster.cluster.local 7 7200 1800 86400 30"


@pytest.mark.parametrize("question, lines", CASES)
def test_answer(question, lines):
    name, type = question.split()
    wanted = [line_of_soa()] if lines and "SOA" in lines[0] else expected(lines, question)
    assert told(answer(full(name), wire.TYPES[type], VIEW, "cluster.local")) == wanted


SLICE = {
    "metadata": meta("web-1", "default", {"kubernetes.io/service-name": "web"}),
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "", "port": 53, "protocol": "UDP"}],
    "endpoints": [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "hostname": "web-0"},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
        {"addresses": ["10.0.0.3"]},
        {"addresses": ["not an address"]},
    ],
}


def test_an_endpoint_slice_becomes_a_record_of_its_ready_addresses():
    assert slim_slice(SLICE)["record"] == Slice(
        "default",
        "web",
        (Endpoint("10.0.0.1", "web-0"), Endpoint("10.0.0.3", "10-0-0-3")),
        (Port("http", "tcp", 80), Port("", "udp", 53)),
    )


@pytest.mark.parametrize(
    "spec, record",
    [
        pytest.param(
            {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]},
            Service("ns", "s", ("10.96.0.1", "fd00::1")),
            id="two families",
        ),
        pytest.param({"clusterIP": "None", "clusterIPs": ["None"]}, Service("ns", "s"), id="headless"),
        pytest.param(
            {"type": "ExternalName", "externalName": "a.b."},
            Service("ns", "s", external_name="a.b"),
            id="an external name",
        ),
        pytest.param({}, None, id="no address yet"),
    ],
)
def test_a_service_becomes_a_record(spec, record):
    found = slim_service({"metadata": meta("s", "ns"), "spec": spec})
    assert (found and found["record"]) == record
