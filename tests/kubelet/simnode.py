"""One simulated node against an API server in memory, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from skiff import env
from skiff.api.gvr import EVENTS, NAMESPACES, PODS
from skiff.api.resources.builtin import RESOURCES
from skiff.api.types import Obj
from skiff.apiserver.admission import Chain
from skiff.apiserver.authn import Authentication
from skiff.apiserver.authz import Attributes, Authorization, Decision
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.client.inprocess import InProcess
from skiff.client.rest import Client
from skiff.kubelet.kubelet import Kubelet
from skiff.kubelet.options import Options
from skiff.kubelet.simulated import SimulatedHost, SimulatedRuntime
from skiff.store.memory import MemoryStore
from skiff.wire.messages import UserInfo

ADMIN = UserInfo("admin", ("system:masters", "system:authenticated"))


class AllowAll:
    async def authorize(self, attrs: Attributes) -> Decision:
        return Decision("allow")


@dataclass
class Node:
    """A running kubelet and what to look at. `began` counts the starts of kubelets on the same runtime."""

    client: Client
    runtime: SimulatedRuntime
    host: SimulatedHost
    options: Options
    task: asyncio.Task[None] | None = None
    kubelet: Kubelet = field(init=False)

    async def start(self) -> None:
        self.kubelet = Kubelet(
            client=self.client,
            node_name="node-1",
            runtime=self.runtime,
            host=self.host,
            node_ip="10.0.0.1",
            options=self.options,
        )
        self.task = asyncio.create_task(self.kubelet.run())
        async with asyncio.timeout(60):
            await self.kubelet.ready.wait()

    async def stop(self) -> None:
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def create(self, pod: Obj) -> Obj:
        pod["spec"].setdefault("nodeName", "node-1")
        return await self.client.create(PODS, pod, pod["metadata"]["namespace"])

    async def pod(self, name: str = "a") -> Obj:
        return await self.client.get(PODS, name, "default")

    async def until(self, holds: Callable[[Obj], object], name: str = "a", seconds: float = 600) -> Obj:
        """Polls virtual time away until the pod is as wanted."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(found := await self.pod(name)):  # noqa: ASYNC110 - virtual time
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never came: {found['status']}") from None
        return found

    async def gone(self, name: str = "a", seconds: float = 600) -> float:
        """Seconds until the pod's object is gone."""
        began = env.epoch()
        async with asyncio.timeout(seconds):
            while await self._exists(name):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.05)
        return env.epoch() - began

    async def _exists(self, name: str) -> bool:
        return any(p["metadata"]["name"] == name for p in (await self.client.list(PODS, "default")).items)

    async def events(self) -> list[tuple[str, str]]:
        """(reason, message) of what happened to pods, oldest first. (The node's own come whenever they come.)"""
        await asyncio.sleep(0.01)
        listed = (await self.client.list(EVENTS, "default")).items
        found = [e for e in listed if e["involvedObject"]["kind"] == "Pod"]
        found.sort(key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [(e["reason"], e["message"]) for e in found]


@asynccontextmanager
async def api_client() -> AsyncIterator[Client]:
    store = MemoryStore()
    registry = Registry(store, RESOURCES)
    server = APIServer(
        registry, authentication=Authentication([]), authorization=Authorization([AllowAll()]), admission=Chain([])
    )
    await server.start()
    client = Client(InProcess(server.handler, ADMIN))
    for name in ("default", "kube-node-lease", "kube-system"):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await client.create(NAMESPACES, namespace)
    try:
        yield client
    finally:
        await server.close()
        await store.close()


@asynccontextmanager
async def node(options: Options | None = None, **runtime: object) -> AsyncIterator[Node]:
    async with api_client() as client:
        simulated = SimulatedRuntime(**runtime)  # type: ignore[arg-type]
        n = Node(client, simulated, SimulatedHost(simulated), options or Options(resync_seconds=0))
        await n.start()
        try:
            yield n
        finally:
            await n.stop()
            await simulated.close()


Check = Callable[[Node], Awaitable[None]]


def phase(pod: Obj) -> str:
    return str(pod["status"].get("phase"))


def ready(pod: Obj) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
