"""Services, host ports and masquerading with the kernel's own nftables: a node, two pods and a client as network
namespaces. What the small nftables of tests/proxy says must be what the kernel does."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from skiff.network.hostports import HostPort
from skiff.network.nftables import table
from skiff.proxy.endpoints import Node
from skiff.proxy.nft import LIST_TABLE, Contents, parse
from skiff.proxy.rules import Family
from skiff.proxy.ruleset import Ruleset
from tests.proxy.builders import endpoint, service, slice_of
from tests.proxy.test_rules import made

ECHO = Path(__file__).with_name("echo.py")
A, B, NODE_IP, CLIENT = "10.244.0.5", "10.244.0.6", "192.0.2.1", "192.0.2.9"
NODE = Node("n1", ips=(NODE_IP,))
FAMILY = Family(4, "10.244.0.0/16")


class Net:
    """Namespaces node, a, b, client; a and b hang on the node's pod bridge, the client on a wire of its own."""

    def __init__(self, stack: ExitStack):
        self._stack = stack
        self.names = {n: f"skiff-{os.getpid()}-{n}" for n in ("node", "a", "b", "client")}
        for name in self.names.values():
            sh("ip", "netns", "add", name)
            stack.callback(sh, "ip", "netns", "delete", name)
        for name in self.names:
            self.run(name, "ip", "link", "set", "lo", "up")
        setup = "from skiff.network.host import setup_bridge as s; s('skiff-cni0', '10.244.0.1/24'); s('skiff0', '10.89.0.1/24')"
        self.run("node", sys.executable, "-c", setup)
        self._wire("a", A, "10.244.0.1", bridge="skiff-cni0")
        self._wire("b", B, "10.244.0.1", bridge="skiff-cni0")
        self._wire("client", CLIENT, NODE_IP)
        self.run("node", "ip", "address", "add", f"{NODE_IP}/24", "dev", "to-client")
        self.run("node", "ip", "route", "add", "default", "via", CLIENT)
        for name in ("a", "b"):
            self.start(name, sys.executable, str(ECHO), "serve", name, "8080")
        self.start("client", sys.executable, str(ECHO), "serve", "client", "9000")

    def _wire(self, name: str, ip: str, gateway: str, bridge: str = "") -> None:
        link = f"to-{name}"
        self.run("node", "ip", "link", "add", link, "type", "veth", "peer", "eth0", "netns", self.names[name])
        if bridge:
            self.run("node", "ip", "link", "set", link, "master", bridge, "up")
            self.run("node", "bridge", "link", "set", "dev", link, "hairpin", "on")
        else:
            self.run("node", "ip", "link", "set", link, "up")
        self.run(name, "ip", "address", "add", f"{ip}/24", "dev", "eth0")
        self.run(name, "ip", "link", "set", "eth0", "up")
        self.run(name, "ip", "route", "add", "default", "via", gateway)

    def run(self, name: str, *argv: str, stdin: str = "") -> str:
        return sh("ip", "netns", "exec", self.names[name], *argv, stdin=stdin)

    def start(self, name: str, *argv: str) -> subprocess.Popen[str]:
        """A process that says one line when it is ready."""
        command = ["ip", "netns", "exec", self.names[name], *argv]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        assert process.stdout.readline()
        return process

    def nft(self, script: str) -> None:
        self.run("node", "nft", "-f", "-", stdin=script)

    def contents(self) -> Contents:
        return parse(json.loads(self.run("node", *LIST_TABLE, "ip", "skiff")))

    def ask(self, name: str, host: str, port: int, proto: str = "tcp", times: int = 1) -> list[str]:
        out = self.run(name, sys.executable, str(ECHO), "ask", proto, host, str(port), str(times))
        return out.splitlines()


def sh(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def net():
    with ExitStack() as stack:
        made_net = Net(stack)
        made_net.nft(
            table(
                "10.244.0.0/24",
                "10.244.0.0/16",
                [HostPort("tcp", 8081, "", A, 8080), HostPort("udp", 8081, NODE_IP, A, 8080)],
            )
        )
        yield made_net


PORTS = [
    {"name": "http", "port": 80, "nodePort": 30080},
    {"name": "udp", "port": 80, "nodePort": 30080, "protocol": "UDP"},
]
SLICE_PORTS = [{"name": "http", "port": 8080}, {"name": "udp", "port": 8080, "protocol": "UDP"}]


def web(*endpoints, name="web", ip="10.96.0.1", ports=PORTS, **spec):
    return made(
        service(name, ip=ip, ports=ports, **spec), [slice_of(name, *endpoints, ports=SLICE_PORTS)], NODE, FAMILY
    )


@pytest.fixture
def rules(net):
    """Writes services into the node's kernel, in one transaction."""
    ruleset = Ruleset(FAMILY)

    def write(**pieces):
        net.nft(
            "add table ip skiff\ndelete table ip skiff\n"
            + ruleset.replace({("default", k): p for k, p in pieces.items()})
        )
        return ruleset

    return write


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_service_of_one_pod(net, rules, proto):
    rules(web=web(endpoint(A)))
    assert net.ask("b", "10.96.0.1", 80, proto) == [f"a {B}"]  # across the bridge: answers are translated back
    assert net.ask("a", "10.96.0.1", 80, proto) == ["a 10.244.0.1"]  # hairpin
    assert net.ask("node", "10.96.0.1", 80, proto) == ["a 10.244.0.1"]
    assert net.ask("node", "127.0.0.1", 30080, proto) == ["a 10.244.0.1"]
    assert net.ask("node", NODE_IP, 30080, proto) == ["a 10.244.0.1"]
    assert net.ask("client", NODE_IP, 30080, proto) == ["a 10.244.0.1"]
    assert net.ask("b", NODE_IP, 30080, proto) == ["a 10.244.0.1"]


def test_both_endpoints_are_used(net, rules):
    rules(web=web(endpoint(A), endpoint(B)))
    answers = {line.split()[0] for line in net.ask("client", NODE_IP, 30080, times=40)}
    assert answers == {"a", "b"}


def test_external_policy_local_keeps_the_clients_address(net, rules):
    rules(web=web(endpoint(A), externalTrafficPolicy="Local"))
    assert net.ask("client", NODE_IP, 30080) == [f"a {CLIENT}"]
    rules(web=web(endpoint("10.244.1.5", "n2"), externalTrafficPolicy="Local"))
    assert net.ask("client", NODE_IP, 30080) == ["timeout"]


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_without_endpoints_the_answer_is_refused_at_once(net, rules, proto):
    rules(web=web())
    assert net.ask("b", "10.96.0.1", 80, proto) == ["refused"]
    assert net.ask("node", "10.96.0.1", 80, proto) != ["timeout"]  # refused, or for UDP "not permitted"
    assert net.ask("client", NODE_IP, 30080, proto) == ["refused"]
    assert net.ask("b", "10.96.0.1", 81, proto) == ["refused"]


def test_session_affinity(net, rules):
    ruleset = rules(web=web(endpoint(A), endpoint(B), sessionAffinity="ClientIP"))
    first = net.ask("client", NODE_IP, 30080, times=20)
    assert len(set(first)) == 1
    both = web(endpoint(A), endpoint(B), sessionAffinity="ClientIP")
    net.nft(Ruleset(FAMILY).replace({("default", "web"): both}, net.contents()))
    assert net.ask("client", NODE_IP, 30080, times=5) == first[:5]
    other = A if first[0].startswith("b") else B
    net.nft(ruleset.change({("default", "web"): web(endpoint(other), sessionAffinity="ClientIP")}))
    assert set(net.ask("client", NODE_IP, 30080, times=5)) != set(first)


def test_connections_outlast_changes_replacements_and_deletions(net, rules):
    ruleset = rules(web=web(endpoint(A)))
    looping = net.start("client", sys.executable, str(ECHO), "loop", NODE_IP, "30080")
    for i in range(60):
        chosen = [endpoint(A)] if i % 2 else [endpoint(A), endpoint(B)]
        other = web(name="other", ip="10.96.0.2", ports=PORTS[:1]) if i % 3 else None
        net.nft(
            ruleset.change(
                {
                    ("default", "web"): web(*chosen),
                    ("default", "other"): None if other is None else without_node_port(other),
                }
            )
        )
        if i % 10 == 0:  # as a proxy that was killed and started again
            ruleset = Ruleset(FAMILY)
            net.nft(ruleset.replace({("default", "web"): web(*chosen)}, net.contents()))
    out, _ = looping.communicate(timeout=20)
    *failures, count = out.splitlines()
    assert failures == []
    assert int(count) > 50


def test_a_restart_leaves_every_element_that_stays(net, rules):
    """The kernel's own words are understood: of nothing else it could be said that it is there already."""
    services = {
        "web": web(endpoint(A), endpoint(B), sessionAffinity="ClientIP", externalIPs=["198.51.100.1"]),
        "none": web(name="none", ip="10.96.0.2", ports=[{"name": "s", "port": 99, "protocol": "SCTP"}]),
        "local": without_node_port(
            web(endpoint("10.244.1.5", "n2"), name="local", ip="10.96.0.3", externalTrafficPolicy="Local")
        ),
    }
    rules(**services)
    there = net.contents()
    wanted = {element: verdict for piece in services.values() for element, verdict in piece.elements.items()}
    assert {e: v for e, v in there.elements.items() if not e[0].startswith("affinity/")} == wanted
    script = Ruleset(FAMILY).replace({("default", name): piece for name, piece in services.items()}, there)
    assert [line for line in script.splitlines() if " element " in line] == []


def without_node_port(piece):
    piece.elements = {k: v for k, v in piece.elements.items() if "nodeports" not in k[0]}
    return piece


def test_host_ports(net, rules):
    rules(web=web(endpoint(A)))
    assert net.ask("client", NODE_IP, 8081) == [f"a {CLIENT}"]
    assert net.ask("client", NODE_IP, 8081, "udp") == [f"a {CLIENT}"]
    assert net.ask("node", "127.0.0.1", 8081) == ["a 10.244.0.1"]
    assert net.ask("b", NODE_IP, 8081) == [f"a {B}"]
    assert net.ask("a", NODE_IP, 8081) == ["a 10.244.0.1"]


def test_pods_reach_the_world_as_the_node_and_each_other_as_themselves(net, rules):
    rules()
    assert net.ask("a", CLIENT, 9000) == [f"client {NODE_IP}"]
    assert net.ask("a", B, 8080) == [f"b {A}"]


def test_the_nodes_loopback_is_not_reached_from_pods(net, rules):
    rules()
    net.start("node", sys.executable, str(ECHO), "serve", "secret", "7070")
    net.run("a", "ip", "route", "add", "127.0.0.0/8", "via", "10.244.0.1", "table", "100")
    assert net.ask("node", "127.0.0.1", 7070) == ["secret 127.0.0.1"]
    net.run("a", "ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
    net.run("a", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet")
    net.run("a", "ip", "rule", "add", "to", "127.0.0.0/8", "lookup", "100", "priority", "0")
    net.run("a", "ip", "route", "flush", "table", "local", "to", "127.0.0.0/8")
    assert net.ask("a", "127.0.0.1", 7070) == ["timeout"]
    net.nft("flush chain ip skiff-network loopback\n")  # and it is our rule that keeps it out
    assert net.ask("a", "127.0.0.1", 7070) == [f"secret {A}"]


def test_the_tables_are_removed_without_a_trace(net):
    net.run("node", sys.executable, "-c", "from skiff.proxy.main import cleanup; cleanup(); cleanup()")
    net.run("node", sys.executable, "-c", "from skiff.network.host import teardown; teardown(); teardown()")
    assert net.run("node", "nft", "list", "ruleset") == ""
    links = net.run("node", "ls", "/sys/class/net").split()
    assert not {"skiff0", "skiff-cni0"}.intersection(links)
