"""The health and metrics endpoint of components: who may read what, and that it never stops a component."""

import argparse
import asyncio
import socket
from contextlib import suppress

import pytest

from skiff.apiserver.components import Components
from skiff.client import health
from skiff.client.flags import boolean
from skiff.client.https import HTTPSTransport
from skiff.kubeadm import pki
from skiff.store.memory import MemoryStore
from skiff.testing import run
from skiff.wire.messages import Request


class Reviews:
    """A client whose API server knows two tokens, of which one may read metrics."""

    async def create(self, gvr, obj):
        if gvr.plural == "tokenreviews":
            token = obj["spec"]["token"]
            known = token in ("reader", "other")
            return {"status": {"authenticated": known, **({"user": {"username": token}} if known else {})}}
        assert obj["spec"]["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}
        return {"status": {"allowed": obj["spec"]["user"] == "reader"}}


@pytest.mark.parametrize(
    "path, token, code",
    [
        pytest.param("/healthz", "", 200, id="health is for everybody"),
        pytest.param("/readyz", "", 200, id="readiness too"),
        pytest.param("/metrics", "", 401, id="metrics of nobody"),
        pytest.param("/metrics", "unknown", 401, id="metrics for a wrong token"),
        pytest.param("/metrics", "other", 403, id="metrics without the right"),
        pytest.param("/metrics", "reader", 200, id="metrics"),
        pytest.param("/secrets", "reader", 404, id="another path"),
    ],
)
def test_who_may_read(path, token, code):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    response = run(health.Face(Reviews()).handle(Request("GET", path, headers=headers)))
    assert response.status == code
    if (path, code) == ("/metrics", 200):
        assert b"process_resident_memory_bytes" in response.body


def flags(*words):
    parser = argparse.ArgumentParser()
    health.add_flags(parser, 0)
    parser.add_argument("--x", type=boolean)
    return parser.parse_args(words)


def test_component_statuses_ask_the_endpoint(tmp_path, caplog):
    pki.ensure_pki(tmp_path, node_name="n1", node_ips=["127.0.0.1"], service_ip="10.96.0.1")

    async def scenario():
        probe = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        port = probe.sockets[0].getsockname()[1]
        given = [f"--secure-port={port}", f"--tls-cert-file={tmp_path}/kubelet.crt"]
        args = flags(*given, f"--tls-private-key-file={tmp_path}/kubelet.key")
        async with health.serving(args, Reviews()):
            pass  # the port is taken: the component works on without
        probe.close()
        await probe.wait_closed()
        store = MemoryStore()
        components = Components(store, {"scheduler": port})
        async with health.serving(args, Reviews()):
            up = await components.statuses()
        down = await components.status("scheduler")
        await store.close()
        return port, up, down

    port, up, down = asyncio.run(scenario())
    assert "There is no health endpoint" in caplog.text
    assert [(c["metadata"]["name"], c["conditions"][0]["status"]) for c in up] == [
        ("controller-manager", "True"),
        ("etcd-0", "True"),
        ("scheduler", "True"),
    ]
    assert down["conditions"][0]["status"] == "False"
    assert f"127.0.0.1:{port}" in down["conditions"][0]["message"]


def test_the_plain_endpoint_knows_health_only():
    async def scenario():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        task = asyncio.create_task(health.serve_plain("127.0.0.1", port))
        transport = HTTPSTransport(f"http://127.0.0.1:{port}")
        try:
            async with asyncio.timeout(10):
                while True:
                    with suppress(ConnectionError):
                        healthy = await transport.send(Request("GET", "/healthz"))
                        break
                    await asyncio.sleep(0.01)
                return healthy.status, (await transport.send(Request("GET", "/metrics"))).status
        finally:
            await transport.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    assert asyncio.run(scenario()) == (200, 404)
