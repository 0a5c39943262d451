"""Services through the whole control plane, with real authorization: what the proxy writes and DNS answers for pods that
come and go."""

import asyncio

import pytest

from skiff.api.gvr import DEPLOYMENTS, PODS, SERVICES
from skiff.client.informer import Informers
from skiff.dns import wire
from skiff.dns.answer import answer
from skiff.dns.dns import ClusterView
from skiff.dns.publish import publish
from skiff.proxy.proxy import Proxy
from skiff.testing.builders import deployment
from skiff.testing.cluster import Cluster
from skiff.wire.messages import UserInfo
from tests.proxy.nftsim import Machine, Packet

pytestmark = pytest.mark.virtual

PROXY = UserInfo("system:kube-proxy", ("system:authenticated",))
DNS = UserInfo("system:dns", ("system:authenticated",))


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def web(**spec):
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


async def proxy(cluster, tasks):
    client = cluster.client_for(PROXY)
    informers = Informers(client)
    ours = Proxy(client, informers, node_name="node-1", cluster_cidr="10.244.0.0/16", health_host="127.0.0.1")
    tasks += [asyncio.create_task(informers.run()), asyncio.create_task(ours.run())]


async def dns(cluster, tasks):
    client = cluster.client_for(DNS)
    informers = Informers(client)
    view = ClusterView(informers)
    tasks.append(asyncio.create_task(informers.run()))
    await view.wait_synced()
    await publish(client, "10.96.0.10", [("10.89.0.1", 5353)])
    return lambda name, type: answer(f"{name}.cluster.local", type, view, "cluster.local")


async def stop(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def pod_ips(cluster):
    return {p["status"]["podIP"] for p in cluster.select_pods("app=web") if "deletionTimestamp" not in p["metadata"]}


async def test_a_service_follows_its_pods(machine):
    async with Cluster(nodes=2, rbac=True) as cluster:
        tasks = []
        try:
            await proxy(cluster, tasks)
            ask = await dns(cluster, tasks)
            service = await cluster.client.create(SERVICES, web(), "default")
            packet = Packet("10.244.9.9", service["spec"]["clusterIP"], 80)
            await cluster.until(lambda: machine.trace(packet) == "reject")
            await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3), "default")
            await cluster.until(lambda: cluster.ready_pods("app=web") == 3)

            def reached():
                ends = set()
                for i in range(3):
                    machine.tables["ip"].draw = lambda n, i=i: i % n
                    ends.add(machine.trace(packet).removesuffix(" masqueraded").removesuffix(":8080"))
                return ends

            await cluster.until(lambda: reached() == pod_ips(cluster))
            assert [r.data for r in ask("web.default.svc", wire.A).answers] == [service["spec"]["clusterIP"]]
            gone = cluster.select_pods("app=web")[0]["metadata"]["name"]
            await cluster.client.delete(PODS, gone, "default")
            await cluster.until(lambda: cluster.ready_pods("app=web") == 3 and reached() == pod_ips(cluster))
        finally:
            await stop(tasks)


async def test_a_headless_service_names_its_pods():
    async with Cluster(nodes=1, rbac=True) as cluster:
        tasks = []
        try:
            ask = await dns(cluster, tasks)
            await cluster.client.create(SERVICES, web(clusterIP="None"), "default")
            await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=2), "default")
            await cluster.until(lambda: cluster.ready_pods("app=web") == 2)
            await cluster.until(lambda: len(ask("web.default.svc", wire.A).answers) == 2)
            assert {r.data for r in ask("web.default.svc", wire.A).answers} == pod_ips(cluster)
            assert len(ask("_http._tcp.web.default.svc", wire.SRV).answers) == 2
        finally:
            await stop(tasks)


async def test_the_dns_service_leads_to_the_server(machine):
    async with Cluster(nodes=1, rbac=True) as cluster:
        tasks = []
        try:
            await proxy(cluster, tasks)
            ask = await dns(cluster, tasks)
            packet = Packet("10.244.9.9", "10.96.0.10", 53, "udp")
            await cluster.until(lambda: machine.trace(packet) == "10.89.0.1:5353")
            assert [r.data for r in ask("kube-dns.kube-system.svc", wire.A).answers] == ["10.96.0.10"]
            assert [r.data for r in ask("ns.dns", wire.A).answers] == ["10.96.0.10"]
        finally:
            await stop(tasks)
