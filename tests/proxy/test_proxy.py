"""The proxy between the API and nftables: what it writes when, and what it does when things break."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from skiff.api.gvr import ENDPOINTSLICES, NODES, SERVICES
from skiff.client.informer import Informers
from skiff.proxy import nft
from skiff.proxy.metrics import metrics_answer
from skiff.proxy.proxy import Proxy
from skiff.wire.messages import Request
from tests.client.fakeapis import FakeApis
from tests.proxy.builders import endpoint, service, slice_of
from tests.proxy.nftsim import Machine, Packet

pytestmark = pytest.mark.virtual

POD, WEB = "10.244.0.99", Packet("10.244.0.99", "10.96.0.1", 80)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


@pytest.fixture
def apis():
    apis = FakeApis(SERVICES, ENDPOINTSLICES, NODES)
    apis[NODES].put(
        {"metadata": {"name": "n1"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.89.0.1"}]}}
    )
    apis[SERVICES].put(service())
    apis[ENDPOINTSLICES].put(slice_of("web", endpoint("10.244.0.5")))
    return apis


@asynccontextmanager
async def running(apis, **options):
    client = apis.client()
    informers = Informers(client)
    proxy = Proxy(client, informers, node_name="n1", cluster_cidr="10.244.0.0/16", health_host="127.0.0.1", **options)
    tasks = [asyncio.create_task(informers.run()), asyncio.create_task(proxy.run())]
    await asyncio.sleep(0.1)
    try:
        yield proxy
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_there_at_the_start_is_one_transaction(apis, machine):
    async with running(apis):
        assert machine.trace(WEB) == "10.244.0.5:8080"
        assert len(machine.transactions) == 1
        assert machine.tables["ip6"].state is None


async def test_changes_follow(apis, machine):
    async with running(apis):
        apis[ENDPOINTSLICES].put(slice_of("web", endpoint("10.244.0.6")))
        await asyncio.sleep(0.1)
        assert machine.trace(WEB) == "10.244.0.6:8080"
        apis[ENDPOINTSLICES].remove("default", "web-1")
        await asyncio.sleep(0.1)
        assert machine.trace(WEB) == "reject"
        apis[SERVICES].remove("default", "web")
        await asyncio.sleep(0.1)
        assert machine.trace(WEB) == "10.96.0.1:80"


async def test_what_the_proxy_counts(apis, machine):
    async with running(apis) as proxy:
        lines = proxy.metrics.lines()
        answer = await metrics_answer(Request("GET", "/metrics"))
    assert 'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1' in lines
    assert any(line.startswith('kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}') for line in lines)
    assert set(lines) <= set(answer.body.decode().splitlines())


async def test_an_endpoint_change_writes_nothing_about_other_services(apis, machine):
    for i in range(50):
        apis[SERVICES].put(service(f"other-{i}", ip=f"10.96.1.{i}"))
    async with running(apis):
        apis[ENDPOINTSLICES].put(slice_of("web", endpoint("10.244.0.6")))
        await asyncio.sleep(0.1)
        assert len(machine.transactions) == 2
        assert "other" not in machine.transactions[1]


async def test_many_changes_at_once_are_few_transactions(apis, machine):
    async with running(apis):
        for i in range(50):
            apis[SERVICES].put(service(f"other-{i}", ip=f"10.96.1.{i}"))
        await asyncio.sleep(0.1)
        assert len(machine.transactions) <= 4
        assert machine.trace(Packet(POD, "10.96.1.49", 80)) == "reject"


async def test_a_slice_that_comes_before_its_service(apis, machine):
    async with running(apis):
        apis[ENDPOINTSLICES].put(slice_of("late", endpoint("10.244.0.7")))
        await asyncio.sleep(0.1)
        apis[SERVICES].put(service("late", ip="10.96.0.2"))
        await asyncio.sleep(0.1)
        assert machine.trace(Packet(POD, "10.96.0.2", 80)) == "10.244.0.7:8080"


async def test_emptied_chains_are_deleted_later(apis, machine):
    async with running(apis):
        apis[SERVICES].remove("default", "web")
        await asyncio.sleep(0.1)
        assert "cluster/default/web/tcp/http" in machine.tables["ip"].state.chains
        await asyncio.sleep(5)
        assert "cluster/default/web/tcp/http" not in machine.tables["ip"].state.chains


async def test_a_restart_takes_the_table_over(apis, machine):
    async with running(apis):
        pass
    assert machine.trace(WEB) == "10.244.0.5:8080"
    apis[SERVICES].remove("default", "web")
    apis[SERVICES].put(service("new", ip="10.96.0.3"))
    async with running(apis):
        assert machine.trace(Packet(POD, "10.96.0.3", 80)) == "reject"
        assert "delete table" not in "".join(machine.transactions)
        await asyncio.sleep(5)
        assert not [c for c in machine.tables["ip"].state.chains if "web" in c]


async def test_a_table_that_cannot_be_adopted_is_exchanged_in_one_transaction(apis, machine, monkeypatch):
    machine.tables["ip"].apply(
        "add table ip skiff\nadd chain ip skiff cluster/x\nadd map ip skiff theirs { }\nadd element ip skiff theirs { 1 : goto cluster/x }"
    )
    real = machine.apply

    async def picky(script):
        if "flush chain ip skiff cluster/x" in script:
            raise nft.NftError("Operation not supported")
        await real(script)

    monkeypatch.setattr(nft, "apply", picky)
    async with running(apis):
        assert machine.trace(WEB) == "10.244.0.5:8080"
        assert "cluster/x" not in machine.tables["ip"].state.chains


async def test_nft_that_fails_is_tried_again(apis, machine, caplog):
    machine.broken = "Could not process rule: No buffer space available"
    async with running(apis):
        assert machine.tables["ip"].state is None
        machine.broken = ""
        await asyncio.sleep(10)
        assert machine.trace(WEB) == "10.244.0.5:8080"
    assert "No buffer space" in caplog.text


async def test_a_change_that_fails_is_made_up_for(apis, machine):
    async with running(apis):
        machine.broken = "Interrupted"
        apis[ENDPOINTSLICES].put(slice_of("web", endpoint("10.244.0.6")))
        await asyncio.sleep(0.1)
        assert machine.trace(WEB) == "10.244.0.5:8080"
        machine.broken = ""
        await asyncio.sleep(10)
        assert machine.trace(WEB) == "10.244.0.6:8080"


async def test_a_flushed_ruleset_is_written_again(apis, machine):
    async with running(apis):
        machine.tables["ip"].state = None
        await asyncio.sleep(31)
        assert machine.trace(WEB) == "10.244.0.5:8080"


async def test_ipv6_gets_its_table_with_its_first_service(apis, machine):
    async with running(apis):
        apis[SERVICES].put(service("six", ip="fd00:96::1"))
        apis[ENDPOINTSLICES].put(slice_of("six", endpoint("fd00::5"), family="IPv6"))
        await asyncio.sleep(0.1)
        packet = Packet("fd00::9", "fd00:96::1", 80)
        assert machine.tables["ip6"].trace(packet) == "[fd00::5]:8080"


async def test_the_nodes_zone_decides(apis, machine):
    def hinted(address, zone):
        return endpoint(address, "n2", hints={"forZones": [{"name": zone}]})

    apis[ENDPOINTSLICES].put(slice_of("web", hinted("10.244.1.1", "a"), hinted("10.244.1.2", "b")))
    async with running(apis):
        assert machine.trace(WEB) == "10.244.1.1:8080"
        apis[NODES].put({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "b"}}, "status": {}})
        await asyncio.sleep(0.1)
        assert machine.trace(WEB) == "10.244.1.2:8080"


async def test_udp_flows_to_a_gone_endpoint_are_cut(apis, machine):
    port = {"name": "dns", "port": 53, "protocol": "UDP"}
    apis[SERVICES].put(service("dns", ip="10.96.0.10", ports=[port]))
    apis[ENDPOINTSLICES].put(slice_of("dns", endpoint("10.244.0.5"), ports=[port]))
    async with running(apis):
        assert machine.flows == []
        apis[ENDPOINTSLICES].put(slice_of("dns", endpoint("10.244.0.6"), ports=[port]))
        await asyncio.sleep(0.1)
        gone = "-D -f ipv4 -p udp --orig-dst 10.96.0.10 --orig-port-dst 53"
        assert machine.flows == [f"{gone} --dst-nat 10.244.0.5"]
        apis[ENDPOINTSLICES].remove("default", "dns-1")
        await asyncio.sleep(0.1)
        apis[ENDPOINTSLICES].put(slice_of("dns", endpoint("10.244.0.7"), ports=[port]))
        await asyncio.sleep(0.1)
        assert machine.flows[1:] == [f"{gone} --dst-nat 10.244.0.6", gone]
