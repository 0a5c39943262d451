"""Services and names, from the node and from inside pods: real packets through the kernel's nftables, real lookups."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from kube import Kube, until
from space import Obj, Space, holds, pod, space

NODE = "10.89.0.1"
SERVE = "mkdir /www; hostname > /www/index.html; touch /tmp/ready; exec httpd -f -p 8080 -h /www"
READY: Obj = {"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}


def server(name: str, app: str, spec: Obj | None = None, **container: object) -> Obj:
    found = pod(name, SERVE, pod_spec=spec, readinessProbe=READY, **container)
    found["metadata"]["labels"] = {"app": app}
    return found


def service(name: str, app: str = "", **spec: object) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    selector = {"selector": {"app": app}} if app else {}
    return {"kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **selector, **spec}}


def objects() -> list[Obj]:
    return [
        service("web", "web"),
        service("open", "web", type="NodePort"),
        service("sticky", "web", sessionAffinity="ClientIP"),
        service("sticky-open", "web", type="NodePort", sessionAffinity="ClientIP"),
        service("solo", "solo"),
        service("headless", "web", clusterIP="None"),
        service("empty", "nobody", type="NodePort"),
        service("elsewhere", type="ExternalName", externalName="kubernetes.default.svc.cluster.local", ports=[]),
        service(
            "lookups", type="NodePort", ports=[{"name": "dns", "port": 5300, "protocol": "UDP", "targetPort": 5353}]
        ),
        service("scaled", "scaled"),
        server("web-a", "web", {"hostname": "a", "subdomain": "headless"}),
        server("web-b", "web", {"hostname": "b", "subdomain": "headless"}),
        server("alone", "solo"),
        server(
            "ports",
            "ports",
            {"hostAliases": [{"ip": "192.0.2.7", "hostnames": ["seven", "sieben"]}]},
            ports=[{"containerPort": 8080, "hostPort": 18080}],
        ),
        deployment(),
    ]


def deployment() -> Obj:
    container = {
        "name": "main",
        "image": "skiff-demo:1",
        "command": ["sh", "-c", SERVE],
        "readinessProbe": READY,
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    template = {
        "metadata": {"labels": {"app": "scaled"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 3},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "scaled"}}, "template": template}
    return {"kind": "Deployment", "metadata": {"name": "scaled"}, "spec": spec}


@pytest.fixture(scope="module")
def services(kube: Kube) -> Iterator[Space]:
    with space(kube, "services") as here:
        here.create(*objects())
        slice = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "lookups", "labels": {"kubernetes.io/service-name": "lookups"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE]}],
            "ports": [{"name": "dns", "port": 5353, "protocol": "UDP"}],
        }
        here.api("POST", "apis/discovery.k8s.io/v1/namespaces/services/endpointslices", slice)
        here.ready("web-a", "web-b", "alone", "ports")
        addresses = {address(here, n) for n in ("web-a", "web-b")}
        until(lambda: endpoints(here, "web") == addresses, "both servers are endpoints")
        yield here


def get(host: str, port: int, seconds: float = 5) -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=seconds) as answer:
        text: str = answer.read().decode().strip()
        return text


def answers(host: str, port: int, count: int = 40) -> set[str]:
    return {get(host, port) for _ in range(count)}


def address(services: Space, name: str) -> str:
    found: str = services.get("Pod", name)["status"]["podIP"]
    return found


def cluster_ip(services: Space, name: str) -> str:
    found: str = services.get("Service", name)["spec"]["clusterIP"]
    return found


def node_port(services: Space, name: str) -> int:
    found: int = services.get("Service", name)["spec"]["ports"][0]["nodePort"]
    return found


def endpoints(services: Space, name: str) -> set[str]:
    """The ready addresses."""
    subsets = services.get("Endpoints", name).get("subsets") or []
    return {a["ip"] for s in subsets for a in s.get("addresses") or []}


BOTH = {"a", "b"}


# Packets


def test_cluster_ip(services: Space) -> None:
    ip = cluster_ip(services, "web")
    assert answers(ip, 80) == BOTH
    asked = services.sh("alone", f"for i in $(seq 40); do wget -qO- http://{ip}; done | sort -u")
    assert set(asked.split()) == BOTH


@pytest.mark.parametrize(
    "host", [pytest.param(NODE, id="the node's address"), pytest.param("127.0.0.1", id="loopback")]
)
def test_node_port(services: Space, host: str) -> None:
    port = node_port(services, "open")
    assert 30000 <= port < 32768
    assert answers(host, port) == BOTH


def test_a_node_port_from_a_pod(services: Space) -> None:
    port = node_port(services, "open")
    assert services.sh("alone", f"wget -qO- http://{NODE}:{port}") in BOTH


def test_session_affinity(services: Space) -> None:
    assert len(answers(cluster_ip(services, "sticky"), 80)) == 1
    assert len(answers(NODE, node_port(services, "sticky-open"))) == 1


def test_a_pod_reaches_itself_through_its_service(services: Space) -> None:
    assert services.sh("alone", "timeout 5 wget -qO- http://solo") == "alone"


def test_no_endpoints_refuse_at_once(services: Space) -> None:
    began = time.monotonic()
    for host, port in ((cluster_ip(services, "empty"), 80), (NODE, node_port(services, "empty"))):
        with pytest.raises(urllib.error.URLError, match="refused"):
            get(host, port)
    assert time.monotonic() - began < 1
    assert "Connection refused" in services.sh("alone", "timeout 5 wget -qO- http://empty", check=False)


def test_endpoints_follow_readiness(services: Space) -> None:
    ip = cluster_ip(services, "web")
    services.sh("web-b", "rm /tmp/ready")
    holds(lambda: endpoints(services, "web") == {address(services, "web-a")}, "one endpoint is left")
    until(lambda: answers(ip, 80) == {"a"}, "only a answers", 10)
    services.sh("web-b", "touch /tmp/ready")
    holds(lambda: len(endpoints(services, "web")) == 2, "both are back")
    until(lambda: answers(ip, 80) == BOTH, "both answer", 10)


def test_udp(services: Space) -> None:
    for server_ in (f"{cluster_ip(services, 'lookups')}:5300", f"{NODE}:{node_port(services, 'lookups')}"):
        said = services.sh("alone", f"nslookup -type=a kubernetes.default.svc.cluster.local. {server_}")
        assert "Address: 10.96.0.1" in said


def test_host_port(services: Space) -> None:
    assert get(NODE, 18080) == get("127.0.0.1", 18080) == "ports"


class Visitors:
    """Ask a page again and again, each time on a new connection, until stopped."""

    def __init__(self, host: str, port: int, count: int = 4):
        self.good = 0
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(host, port)) for _ in range(count)]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, host: str, port: int) -> None:
        while not self._stop.wait(0.01):
            try:
                get(host, port)
                self.good += 1
            except OSError as err:
                self.failed.append(repr(err))


def test_no_request_fails_while_endpoints_come_and_go(services: Space) -> None:
    ip = cluster_ip(services, "scaled")
    services.kubectl("rollout", "status", "deployment/scaled", "--timeout=60s")
    until(lambda: len(endpoints(services, "scaled")) == 1, "one endpoint")
    until(lambda: len(answers(ip, 80, 1)) == 1, "it answers")
    with Visitors(ip, 80) as visitors:
        for replicas in (4, 1):
            services.patch("Deployment", "scaled", {"spec": {"replicas": replicas}})
            until(lambda n=replicas: len(endpoints(services, "scaled")) == n, f"{replicas} endpoints")
        services.kubectl("rollout", "restart", "deployment/scaled")
        services.kubectl("rollout", "status", "deployment/scaled", "--timeout=60s")
    assert visitors.failed == []
    assert visitors.good > 50


# Names


def test_resolv_conf_and_hosts(services: Space) -> None:
    lines = services.sh("alone", "cat /etc/resolv.conf").splitlines()
    assert lines[0].split()[:4] == ["search", "services.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    assert lines[1:] == ["nameserver 10.96.0.10", "options ndots:5"]
    hosts = services.sh("ports", "cat /etc/hosts").splitlines()
    assert hosts[0] == "# Kubernetes-managed hosts file."
    assert f"{address(services, 'ports')}\tports" in hosts
    assert hosts[-2:] == ["# Entries added by HostAliases.", "192.0.2.7\tseven\tsieben"]
    own = f"{address(services, 'web-a')}\ta.headless.services.svc.cluster.local\ta"
    assert own in services.sh("web-a", "cat /etc/hosts").splitlines()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("web", id="in the own namespace"),
        pytest.param("web.services", id="with the namespace"),
        pytest.param("web.services.svc", id="with svc"),
        pytest.param("web.services.svc.cluster.local", id="in full"),
        pytest.param("web.services.svc.cluster.local.", id="with the final dot"),
    ],
)
def test_search_list(services: Space, name: str) -> None:
    assert services.sh("alone", f"wget -qO- http://{name}") in BOTH


def lookup(services: Space, name: str, kind: str = "a") -> str:
    return services.sh("alone", f"nslookup -type={kind} {name}", check=False)


def test_records(services: Space) -> None:
    suffix = "services.svc.cluster.local."
    ip, a, b = cluster_ip(services, "web"), address(services, "web-a"), address(services, "web-b")
    assert f"Address: {ip}" in lookup(services, f"web.{suffix}")
    headless = lookup(services, f"headless.{suffix}")
    assert f"Address: {a}" in headless and f"Address: {b}" in headless
    assert f"Address: {a}" in lookup(services, f"a.headless.{suffix}")
    assert f"service = 0 100 80 web.{suffix[:-1]}" in lookup(services, f"_http._tcp.web.{suffix}", "srv")
    peers = lookup(services, f"_http._tcp.headless.{suffix}", "srv")
    assert all(f"8080 {h}.headless.{suffix[:-1]}" in peers for h in BOTH)
    assert f"name = web.{suffix[:-1]}" in services.sh("alone", f"nslookup {ip}")
    assert f"Address: {a}" in lookup(services, f"{a.replace('.', '-')}.services.pod.cluster.local.")
    assert "kubernetes.default.svc.cluster.local" in lookup(services, f"elsewhere.{suffix}")
    assert "Address: 10.96.0.1" in lookup(services, f"elsewhere.{suffix}")
    assert "NXDOMAIN" in lookup(services, f"nothing.{suffix}")
