"""Component statuses: whether controller manager and scheduler answer on this machine, and the store.

Deprecated upstream, and still what `kubectl get cs` shows. Source: upstream pkg/registry/core/componentstatus.
"""

import asyncio
from collections.abc import Mapping, Sequence

from skiff.api.types import Obj
from skiff.client.https import HTTPSTransport
from skiff.store import Store, StoreError
from skiff.wire.messages import Request
from skiff.wire.tls import client_context

PORTS = {"controller-manager": 10257, "scheduler": 10259}
STORE = "etcd-0"
PROBE_S = 5.0

NAMES: Sequence[str] = ("controller-manager", STORE, "scheduler")


class Components:
    """ports: where components listen on the loopback address; those that are not named are thought healthy."""

    def __init__(self, store: Store, ports: Mapping[str, int] = PORTS):
        self._store = store
        self._ports = ports

    async def statuses(self) -> list[Obj]:
        return await asyncio.gather(*[self.status(name) for name in NAMES])

    async def status(self, name: str) -> Obj:
        wrong = await (self._ask_store() if name == STORE else self._probe(name))
        return component(name, wrong)

    async def _ask_store(self) -> str:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._store.current_revision()
        except (StoreError, TimeoutError) as e:
            return str(e) or "context deadline exceeded"
        return ""

    async def _probe(self, name: str) -> str:
        if name not in self._ports:
            return ""
        url = f"https://127.0.0.1:{self._ports[name]}"
        transport = HTTPSTransport(url, client_context(verify=False), timeout_s=PROBE_S)
        try:
            answer = await transport.send(Request("GET", "/healthz"))
        except ConnectionError as e:
            return f'Get "{url}/healthz": {e}'
        finally:
            await transport.close()
        return "" if 200 <= answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"


def component(name: str, wrong: str) -> Obj:
    condition = {"type": "Healthy", "status": "False" if wrong else "True", "message": wrong or "ok"}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}
