"""The API server as a process runs it: flags, TLS, its own objects, a graceful end. Real sockets on loopback."""

import argparse
import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from skiff.api.errors import StatusError
from skiff.api.gvr import CONFIGMAPS, ENDPOINTS, NAMESPACES, PRIORITYCLASSES, SERVICEACCOUNTS, SERVICES
from skiff.api.types import GVR
from skiff.apiserver import main
from skiff.client.https import HTTPSTransport
from skiff.client.kubeconfig import load, transport_from_kubeconfig
from skiff.client.rest import Client
from skiff.kubeadm import kubeconfig, pki
from skiff.testing.builders import configmap
from skiff.wire.messages import Request

DEADLINE_S = 20
CLUSTERROLES = GVR("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state directory with certificates and kubeconfigs for a free port."""
    directory = tmp_path_factory.mktemp("state")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pki.ensure_pki(directory / "pki", node_name="n1", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
    kubeconfig.write_kubeconfigs(directory, directory / "pki", server=f"https://127.0.0.1:{port}", node_name="n1")
    (directory / "port").write_text(str(port))
    return directory


def flags(state, *more):
    parser = argparse.ArgumentParser()
    main.add_flags(parser)
    certs = state / "pki"
    words = [
        f"--store=sqlite://{state}/state.db",
        "--bind-address=127.0.0.1",
        "--advertise-address=10.89.0.1",
        f"--secure-port={(state / 'port').read_text()}",
        f"--tls-cert-file={certs}/apiserver.crt",
        f"--tls-private-key-file={certs}/apiserver.key",
        f"--client-ca-file={certs}/ca.crt",
        f"--service-account-key-file={certs}/sa.pub",
        f"--service-account-signing-key-file={certs}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--shutdown-grace-seconds=2",
        *more,
    ]
    return parser.parse_args(words)


@asynccontextmanager
async def running(state, *more):
    """The server, ready; its end is awaited."""
    task = asyncio.create_task(main.run(flags(state, *more)))
    transport = transport_from_kubeconfig(state / "admin.conf")
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with suppress(ConnectionError):
                    if (await transport.send(Request("GET", "/readyz"))).status == 200:
                        break
                if task.done():
                    await task
                await asyncio.sleep(0.01)
        yield Client(transport), task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await transport.close()


def test_starts_with_its_own_objects_and_ends_gracefully(state):
    async def scenario():
        async with running(state) as (client, task):
            names = {o["metadata"]["name"] for o in (await client.list(NAMESPACES)).items}
            service = await client.get(SERVICES, "kubernetes", "default")
            endpoints = await client.get(ENDPOINTS, "kubernetes", "default")
            priorities = len((await client.list(PRIORITYCLASSES)).items)
            roles = {o["metadata"]["name"] for o in (await client.list(CLUSTERROLES)).items}
            listed = await client.list(CONFIGMAPS, "default")
            watch = client.watch(CONFIGMAPS, "default", resource_version=listed.resource_version)
            await client.create(CONFIGMAPS, configmap("kept"))
            first = await anext(watch)
            task.cancel()
            rest = [event async for event in watch]
        return names, service, endpoints, priorities, roles, first, rest

    names, service, endpoints, priorities, roles, first, rest = asyncio.run(scenario())
    assert names >= {"default", "kube-system", "kube-public", "kube-node-lease"}
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.89.0.1"}]
    assert priorities == 2
    assert {"cluster-admin", "view", "system:node"} <= roles
    assert (first.type, first.object["metadata"]["name"]) == ("ADDED", "kept")
    assert rest == []


def test_finds_what_it_stored_after_a_restart(state):
    async def scenario():
        async with running(state) as (client, _):
            with suppress(StatusError):
                await client.create(CONFIGMAPS, configmap("kept"))
            before = await client.get(SERVICES, "kubernetes", "default")
        async with running(state) as (client, _):
            kept = await client.get(CONFIGMAPS, "kept", "default")
            after = await client.get(SERVICES, "kubernetes", "default")
        return kept, before, after

    kept, before, after = asyncio.run(scenario())
    assert kept["metadata"]["name"] == "kept"
    assert before["metadata"] == after["metadata"]


def test_brings_back_its_own_objects(state):
    async def scenario():
        async with running(state) as (client, _):
            await client.delete(ENDPOINTS, "kubernetes", "default")
            await client.delete(SERVICES, "kubernetes", "default")
            async with asyncio.timeout(DEADLINE_S):
                for gvr in (SERVICES, ENDPOINTS):
                    while True:
                        with suppress(StatusError):
                            await client.get(gvr, "kubernetes", "default")
                            break
                        await asyncio.sleep(0.01)
            return (await client.get(SERVICES, "kubernetes", "default"))["spec"]["clusterIP"]

    assert asyncio.run(scenario()) == "10.96.0.1"


def test_who_is_who(state):
    """Anonymous callers read health and version only; a component has its role; a token stands for its account."""

    async def scenario():
        async with running(state) as (admin, _):
            with suppress(StatusError):
                await admin.create(SERVICEACCOUNTS, {"metadata": {"name": "me"}}, "default")
            request = await admin.create(SERVICEACCOUNTS, {"spec": {}}, "default", name="me", subresource="token")
            access = load(state / "admin.conf")
            anonymous = HTTPSTransport(access.base_url, _plain(state))
            token = HTTPSTransport(access.base_url, _plain(state), token=request["status"]["token"])
            wrong = HTTPSTransport(access.base_url, _plain(state), token="nonsense")
            scheduler = transport_from_kubeconfig(state / "scheduler.conf")
            try:
                return [
                    await status(anonymous, "/version"),
                    await status(anonymous, "/api/v1/namespaces"),
                    await status(token, "/api/v1/namespaces"),
                    await status(wrong, "/version"),
                    await status(scheduler, "/api/v1/nodes"),
                    await status(scheduler, "/api/v1/secrets"),
                ]
            finally:
                for transport in (anonymous, token, wrong, scheduler):
                    await transport.close()

    assert asyncio.run(scenario()) == [200, 403, 403, 401, 200, 403]


async def status(transport, path):
    return (await transport.send(Request("GET", path))).status


def _plain(state):
    from skiff.wire.tls import client_context

    return client_context(ca_data=(state / "pki" / "ca.crt").read_text())


@pytest.mark.parametrize(
    "flag, message",
    [
        pytest.param("--store=", "one of --store and --etcd-servers is needed", id="no store"),
        pytest.param("--store=foo://x", "unknown store", id="an unknown store"),
        pytest.param("--authorization-mode=ABAC", "unknown authorization mode", id="an unknown mode"),
        pytest.param("--disable-admission-plugins=Foo", "unknown admission plugins: Foo", id="an unknown plugin"),
    ],
)
def test_wrong_flags(state, flag, message):
    with pytest.raises(ValueError, match=message):
        asyncio.run(main.run(flags(state, flag)))
