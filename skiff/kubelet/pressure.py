"""Eviction: looks at what the machine has left, sets the pressure conditions, and ends pods when it runs short.

`rank` and `signals` are pure. Source: Kubernetes docs, "Node-pressure Eviction"; hard thresholds of memory, disk, inodes.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from skiff import env
from skiff.api.types import Obj
from skiff.client import metrics
from skiff.client.metrics import Rows
from skiff.kubelet import qos
from skiff.kubelet.host import Host, Usage
from skiff.kubelet.node import Health, threshold
from skiff.kubelet.options import Options
from skiff.kubelet.parts import Parts
from skiff.kubelet.podmanager import PodManager
from skiff.kubelet.pods import is_static, is_terminal
from skiff.kubelet.runtime import RuntimeFailure
from skiff.kubelet.status import StartFailure
from skiff.kubelet.worker import Phase, Termination

log = logging.getLogger(__name__)

SIGNALS = {"memory": "memory.available", "ephemeral-storage": "nodefs.available", "inodes": "nodefs.inodesFree"}
"""Upstream's name of the signal by what runs short."""
VOLUME_SIGNAL = "emptydirfs.limit"
TRANSITION_SECONDS = 300.0
"""How long a pressure condition stays after the pressure has gone."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A threshold that is crossed. resource: what runs short; amounts in bytes or inodes."""

    resource: str
    available: int
    limit: int


def signals(usage: Usage, options: Options) -> list[Signal]:
    found = [
        Signal("memory", usage.memory_available, threshold(options.memory_available_hard, usage.memory_capacity)),
        Signal("ephemeral-storage", usage.disk_available, threshold(options.disk_available_hard, usage.disk_capacity)),
        Signal("inodes", usage.inodes_free, threshold(options.inodes_free_hard, usage.inodes)),
    ]
    return [s for s in found if s.limit and s.available < s.limit]


def rank(pods: Sequence[Obj], used: Mapping[str, int], resource: str) -> list[Obj]:
    """Who goes first: those above their request, then low priority, then the most above it. used: pod uid → amount."""

    def order(pod: Obj) -> tuple[bool, int, int]:
        request = qos.pod_amounts(pod, "requests").get(resource, 0)
        over = used.get(pod["metadata"]["uid"], 0) - request
        return over <= 0, pod["spec"].get("priority") or 0, -over

    return sorted((p for p in pods if not is_static(p) and not is_terminal(p.get("status"))), key=order)


class Pressure:
    """`changed` is called when a condition turns. evictions: how many, by signal."""

    def __init__(self, *, host: Host, pods: PodManager, options: Options):
        self._host = host
        self._pods = pods
        self._options = options
        self._since: dict[str, float] = {}
        self.changed: Callable[[], None] = lambda: None
        self.evictions: Counter[str] = Counter()
        metrics.sources["eviction"] = self._lines

    def _lines(self) -> list[str]:
        rows = Rows("kubelet_")
        for signal, count in sorted(self.evictions.items()):
            rows.add("evictions", "counter", f'eviction_signal="{signal}"', count)
        return rows.lines()

    def health(self, problem: str) -> Health:
        now = env.epoch()
        on = {r for r, at in self._since.items() if now - at < TRANSITION_SECONDS}
        return Health("memory" in on, bool(on & {"ephemeral-storage", "inodes"}), "pid" in on, problem)

    async def run(self, parts: Parts) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._look(parts)
            except (OSError, RuntimeFailure) as e:
                log.warning("looking at what is left: %s", e)
            await asyncio.sleep(self._options.eviction_seconds)

    async def _look(self, parts: Parts) -> None:
        before = self.health("")
        crossed = signals(await self._host.usage(), self._options)
        for signal in crossed:
            self._since[signal.resource] = env.epoch()
        if self.health("") != before:
            self.changed()
        if crossed:
            await self._evict_one(parts, crossed[0])
        await self._evict_large_volumes(parts)

    async def _evict_one(self, parts: Parts, signal: Signal) -> None:
        used: dict[str, int] = {}
        for s in await parts.runtime.stats():
            amount = s.memory_working_set if signal.resource == "memory" else s.fs_used
            used[s.pod_uid] = used.get(s.pod_uid, 0) + amount
        running = [w.pod for w in self._pods.workers if w.phase is Phase.SYNCING]
        victims = rank(running, used, signal.resource)
        if victims:
            text = (
                f"The node was low on resource: {signal.resource}. Threshold quantity: {signal.limit}, "
                f"available: {signal.available}. "
            )
            self._evict(parts, victims[0], SIGNALS[signal.resource], text, grace_s=0)

    def _evict(self, parts: Parts, pod: Obj, signal: str, message: str, *, grace_s: float) -> None:
        self.evictions[signal] += 1
        parts.recorder.event(pod, "Warning", "Evicted", message)
        self._pods.evict(pod["metadata"]["uid"], Termination(grace_s, StartFailure("Evicted", message)))

    async def _evict_large_volumes(self, parts: Parts) -> None:
        """Pods whose emptyDir is larger than its sizeLimit."""
        from skiff.api import quantity

        for worker in self._pods.workers:
            limits = {
                v["name"]: v["emptyDir"]["sizeLimit"]
                for v in worker.pod["spec"].get("volumes") or []
                if (v.get("emptyDir") or {}).get("sizeLimit")
            }
            if not limits or worker.phase is not Phase.SYNCING:
                continue
            sizes = await parts.volumes.sizes(worker.pod)
            for name, limit in limits.items():
                if sizes.get(name, 0) > quantity.value(limit):
                    text = f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
                    self._evict(parts, worker.pod, VOLUME_SIGNAL, text, grace_s=1)
                    break
