"""The network of a node between the API and the machine: what is done when, and again after a failure."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from skiff.api.gvr import NODES, PODS
from skiff.client.informer import Informers
from skiff.network import network
from skiff.network.host import NetworkError
from skiff.network.network import Network
from tests.client.fakeapis import FakeApis
from tests.network.test_pure import node, pod

pytestmark = pytest.mark.virtual


SERVICES = "ip route replace 10.96.0.0/12 dev skiff-cni0 proto static"


class Machine:
    """What was run. routes: those with our mark; failures: errors that the next commands end with."""

    def __init__(self):
        self.commands = []
        self.bridges = []
        self.routes = []
        self.failures = []
        self.chains = []

    async def run(self, *argv, stdin=""):
        if argv == ("nft", "-json", "list", "chains"):
            return json.dumps({"nftables": [{"metainfo": {}}, *({"chain": c} for c in self.chains)]})
        if argv[:2] == ("ip", "-json"):
            return json.dumps(self.routes)
        if argv[0] == "nft":
            stdin = "table"
        if self.failures:
            raise self.failures.pop(0)
        self.commands.append(stdin or " ".join(argv))
        return ""

    def setup_bridge(self, name, address, mtu):
        self.bridges.append((name, address))


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()

    async def at_once(function, *args):
        return function(*args)

    monkeypatch.setattr(network, "run", machine.run)
    monkeypatch.setattr(network, "setup_bridge", machine.setup_bridge)
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    return machine


@asynccontextmanager
async def running(apis, tmp_path, **options):
    client = apis.client()
    informers = Informers(client)
    ours = Network(client, informers, "n1", cni_conf_dir=tmp_path, cni_data_dir=tmp_path / "data", **options)
    tasks = [asyncio.create_task(informers.run()), asyncio.create_task(ours.run())]
    await asyncio.sleep(0.1)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def apis():
    return FakeApis(NODES, PODS)


def config(tmp_path):
    return [p.name for p in tmp_path.iterdir()]


async def test_nothing_is_done_before_the_node_has_its_pod_cidr(apis, machine, tmp_path):
    apis[NODES].put(node("n1"))
    async with running(apis, tmp_path):
        assert (machine.commands, config(tmp_path)) == ([], [])
        apis[NODES].put(node("n1", "10.244.3.0/24", "10.89.0.1"))
        await asyncio.sleep(0.1)
        assert (machine.commands, config(tmp_path)) == (["table", SERVICES], ["10-skiff.conflist"])
        assert machine.bridges == [("skiff-cni0", "10.244.3.1/24")]


async def test_routes_follow_the_nodes(apis, machine, tmp_path):
    machine.routes = [{"dst": "10.244.9.0/24", "gateway": "10.89.0.9"}]
    apis[NODES].put(node("n1", "10.244.0.0/24", "10.89.0.1"))
    apis[NODES].put(node("n2", "10.244.1.0/24", "10.89.0.2"))
    async with running(apis, tmp_path):
        assert machine.commands[-1].splitlines() == [
            "route delete 10.244.9.0/24 proto 189",
            "route replace 10.244.1.0/24 via 10.89.0.2 proto 189",
        ]
        machine.routes = [{"dst": "10.244.1.0/24", "gateway": "10.89.0.2"}]
        apis[NODES].remove("", "n2")
        await asyncio.sleep(0.1)
        assert machine.commands[-1] == "route delete 10.244.1.0/24 proto 189\n"


async def test_heartbeats_cost_nothing(apis, machine, tmp_path):
    apis[NODES].put(node("n1", "10.244.0.0/24", "10.89.0.1"))
    async with running(apis, tmp_path):
        before = len(machine.commands)
        beating = node("n1", "10.244.0.0/24", "10.89.0.1")
        beating["status"]["conditions"] = [{"type": "Ready"}]
        apis[NODES].put(beating)
        await asyncio.sleep(0.1)
        assert len(machine.commands) == before


async def test_host_ports_come_and_go(apis, machine, tmp_path):
    apis[NODES].put(node("n1", "10.244.0.0/24", "10.89.0.1"))
    async with running(apis, tmp_path):
        apis[PODS].put(pod())
        await asyncio.sleep(0.1)
        apis[PODS].remove("default", "a")
        await asyncio.sleep(0.1)
        assert machine.commands == ["table", SERVICES, "table", "table"]


async def test_a_failure_is_tried_again(apis, machine, tmp_path, caplog):
    machine.failures = [NetworkError("nft: busy"), TimeoutError()]
    apis[NODES].put(node("n1", "10.244.0.0/24", "10.89.0.1"))
    async with running(apis, tmp_path):
        await asyncio.sleep(11)
        assert (machine.commands, config(tmp_path)) == (["table", SERVICES], ["10-skiff.conflist"])
    assert "nft: busy" in caplog.text


async def test_a_firewall_that_drops_forwarded_packets_is_named(apis, machine, tmp_path, caplog):
    machine.chains = [
        {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"},
        {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"},
    ]
    async with running(apis, tmp_path):
        assert "chain ip filter FORWARD drops" in caplog.text
        assert "INPUT" not in caplog.text
