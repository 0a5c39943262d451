"""The demo of `make up`: a small web application that answers, heals, and is updated without a failed request.

Everything goes through the API and the Service's node port, as a user's own application would.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

from skiff.api.gvr import CONFIGMAPS, DEPLOYMENTS, EVENTS, NAMESPACES, PODS, REPLICASETS, SERVICES
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client
from skiff.cluster import image
from skiff.cluster.access import admin_client
from skiff.cluster.layout import Layout
from skiff.cluster.problem import EXIT_NOT_READY, Problem
from skiff.cluster.progress import console, step
from skiff.kubelet.images import busybox_archive

NAMESPACE = "demo"
IMAGE = "docker.io/library/skiff-demo:1"
DEADLINE_SECONDS = 60.0
KINDS: dict[str, GVR] = {g.kind: g for g in (NAMESPACES, CONFIGMAPS, DEPLOYMENTS, SERVICES)}

NEXT = """\
Next:
  source .venv/bin/activate          # puts skiff into the PATH
  skiff status                       # what runs
  skiff kubectl -n demo get all      # kubectl with this cluster's kubeconfig
  skiff kubeconfig --merge           # or make it your own kubectl's current context
  skiff image build DIR -t NAME      # a Dockerfile becomes an image that pods can use
  skiff down                         # stop; --purge leaves nothing behind"""


def demo(layout: Layout) -> None:
    """Runs the whole demo. Raises Problem when a part of it does not come true."""
    settings = layout.load_settings()
    assert settings is not None
    install_image(layout)
    asyncio.run(_demo(layout, settings.node_ip))
    console.print(NEXT, soft_wrap=True)


def install_image(layout: Layout) -> None:
    """The demo's image: Debian's static busybox with all its applets."""
    if IMAGE in image.names(layout):
        return
    archive = layout.run / "demo.tar"
    with step("Building the demo's image from busybox", f"Image {IMAGE}"):
        busybox_archive(archive, IMAGE)
        image.load(layout, [str(archive)])
    archive.unlink()


async def _demo(layout: Layout, node_ip: str) -> None:
    client = admin_client(layout)
    try:
        with step("Deploying 3 pods behind a Service", "3 pods are ready"):
            await deploy(client)
            await settled(client)
            port = (await client.get(SERVICES, "web", NAMESPACE))["spec"]["ports"][0]["nodePort"]
            await all_answer(client, node_ip, port)
        console.print(f"[bold]$ curl http://{node_ip}:{port}[/]\n{await page(node_ip, port)}")
        with step("Killing a pod", "A killed pod was replaced"):
            await kill_one(client)
            await settled(client)
            await all_answer(client, node_ip, port)
        with step("Rolling out a new version under load", "Rolled out a new version"):
            async with visitors(node_ip, port) as visits:
                await roll(client)
                await settled(client)
        console.print(f"  {visits.good} requests answered during the update, {visits.failed} failed")
        console.print(f"[bold]$ curl http://{node_ip}:{port}[/]\n{await page(node_ip, port)}")
    finally:
        await client.transport.close()
    if visits.failed:
        raise Problem("requests failed during the rolling update", visits.reason, "skiff status", str(layout.logs))


def manifests() -> list[Obj]:
    """The demo's objects, as in demo.yaml beside this file."""
    return list(yaml.safe_load_all((files(__package__) / "demo.yaml").read_text()))


async def deploy(client: Client) -> None:
    for obj in manifests():
        await client.apply(KINDS[obj["kind"]], obj, field_manager="skiff-demo", force=True)


async def settled(client: Client) -> None:
    """Waits until every replica runs the newest version and no old pod is left."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await _is_settled(client):
        if time.monotonic() > deadline:
            raise Problem(
                "the demo's pods did not become ready",
                await _last_warning(client),
                todo=f"skiff kubectl -n {NAMESPACE} describe pods",
                code=EXIT_NOT_READY,
            )
        await asyncio.sleep(0.05)


async def _last_warning(client: Client) -> str:
    events = (await client.list(EVENTS, NAMESPACE, fields="type=Warning")).items
    newest = max(events, key=lambda e: e.get("lastTimestamp") or "", default=None)
    return f"{newest['reason']}: {newest['message']}" if newest else ""


async def _is_settled(client: Client) -> bool:
    d = await client.get(DEPLOYMENTS, "web", NAMESPACE)
    want, have = d["spec"]["replicas"], d.get("status", {})
    return (
        have.get("observedGeneration") == d["metadata"]["generation"]
        and have.get("updatedReplicas") == want
        and have.get("readyReplicas") == want
        and have.get("replicas") == want
    )


async def kill_one(client: Client) -> None:
    """Deletes one ready pod and waits until the ReplicaSet has noticed."""
    pods = await _living(client)
    victim = pods[0]
    await client.delete(PODS, victim["metadata"]["name"], NAMESPACE, grace_seconds=0)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        now = await _living(client)
        new = {p["metadata"]["uid"] for p in now} - {p["metadata"]["uid"] for p in pods}
        if new and await _replicas_ready(client):
            return
        await asyncio.sleep(0.02)


async def _living(client: Client) -> list[Obj]:
    """The pods that nobody has deleted."""
    pods = (await client.list(PODS, NAMESPACE, labels="app=web")).items
    return [p for p in pods if "deletionTimestamp" not in p["metadata"]]


async def _replicas_ready(client: Client) -> bool:
    sets = (await client.list(REPLICASETS, NAMESPACE, labels="app=web")).items
    return all(s["spec"]["replicas"] == s.get("status", {}).get("readyReplicas", 0) for s in sets)


async def roll(client: Client) -> None:
    stamp = time.strftime("%H:%M:%S")
    patch: Any = {"spec": {"template": {"metadata": {"annotations": {"demo.skiff.dev/version": stamp}}}}}
    await client.patch(DEPLOYMENTS, "web", patch, NAMESPACE)


@dataclass
class Visits:
    good: int = 0
    failed: int = 0
    reason: str = ""


@contextlib.asynccontextmanager
async def visitors(host: str, port: int, count: int = 4) -> AsyncIterator[Visits]:
    """Some clients that ask for the page again and again, each on a new connection, until the block ends."""
    visits = Visits()

    async def visit() -> None:
        while True:
            try:
                async with asyncio.timeout(5):
                    await fetch(host, port)
                visits.good += 1
            except (OSError, TimeoutError, ValueError) as err:
                visits.failed += 1
                visits.reason = str(err) or type(err).__name__
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(visit()) for _ in range(count)]
        try:
            yield visits
        finally:
            for task in tasks:
                task.cancel()


async def all_answer(client: Client, host: str, port: int) -> None:
    """Waits until every pod has answered through the Service, which follows its pods a moment later."""
    silent = {p["metadata"]["name"] for p in await _living(client)}
    deadline = time.monotonic() + DEADLINE_SECONDS
    why = "others do"
    while silent:
        if time.monotonic() > deadline:
            who = ", ".join(sorted(silent))
            raise Problem(f"{who} did not answer on {host}:{port}", why, "skiff status, then skiff up --demo")
        try:
            text = await page(host, port)
            silent = {name for name in silent if name not in text}
        except Problem as err:
            why = err.why
            await asyncio.sleep(0.02)


async def page(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(5):
            return (await fetch(host, port)).strip()
    except (OSError, TimeoutError, ValueError) as err:
        why = str(err) or "no answer in time"
        raise Problem(f"the demo does not answer on {host}:{port}", why, "skiff status, then skiff up --demo") from err


async def fetch(host: str, port: int) -> str:
    """The page's text. Raises OSError or ValueError when there is no good answer."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError(f"answered {head[:60]!r}")
    return body.decode()
