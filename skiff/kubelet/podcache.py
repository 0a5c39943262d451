"""What the runtime has, pod by pod, kept current by its events, by relisting, and by whoever has just acted (the PLEG).

A container's full status is asked for once per state: created and running ones do not change otherwise. Exited ones
are asked for again after an event: that a container was killed for its memory may be told after its end.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from skiff.kubelet.host import Host
from skiff.kubelet.runtime import (
    TERMINATION_PATH,
    TERMINATION_POLICY,
    Container,
    NotFound,
    PodState,
    RuntimeFailure,
    Sandbox,
    Sandboxes,
)

log = logging.getLogger(__name__)

MESSAGE_BYTES = 4096
MESSAGE_LOG_BYTES = 2048


class PodCache:
    """`wake(uid)` is called when a pod has changed in a way that nobody asked for."""

    def __init__(
        self, *, runtime: Sandboxes, host: Host, logs: str, wake: Callable[[str], None], relist_seconds: float
    ):
        self._runtime = runtime
        self._host = host
        self._logs = logs
        self._wake = wake
        self._relist_seconds = relist_seconds
        self._states: dict[str, PodState] = {}
        self._details: dict[tuple[str, str], Container] = {}
        self._addresses: dict[str, Sandbox] = {}
        self._seen: dict[str, frozenset[tuple[str, str]]] = {}
        self.healthy_at = 0.0
        self.problem = "container runtime is down"

    def get(self, uid: str) -> PodState:
        """As last seen."""
        return self._states.get(uid) or PodState(uid)

    def uids(self) -> list[str]:
        return list(self._states)

    async def refresh(self, uid: str) -> PodState:
        """Ask the runtime about one pod now. Raises RuntimeFailure."""
        sandboxes, containers = await asyncio.gather(
            self._runtime.list_sandboxes(uid), self._runtime.list_containers(uid)
        )
        return await self._store(uid, sandboxes, containers)

    async def run(self) -> None:
        """Until cancelled: follow events, relist now and then."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._relist_forever(), name="relist")
            tasks.create_task(self._follow(), name="runtime events")

    async def _follow(self) -> None:
        async with aclosing(self._runtime.events()) as events:  # type: ignore[type-var]
            async for uid in events:
                if uid:
                    self._forget_exits(uid)
                    self._wake(uid)
                else:
                    await self._try_relist()

    def _forget_exits(self, uid: str) -> None:
        for c in self.get(uid).containers:
            self._details.pop((c.id, "exited"), None)

    async def _relist_forever(self) -> None:
        while True:
            await self._try_relist()
            await asyncio.sleep(self._relist_seconds)

    async def _try_relist(self) -> None:
        try:
            await self.relist()
        except RuntimeFailure as e:
            if not self.problem:
                log.warning("relisting containers: %s", e)
            self.problem = str(e)

    async def relist(self) -> None:
        """Compare everything with what was seen before; wake the pods that differ. Raises RuntimeFailure."""
        sandboxes, containers = await asyncio.gather(self._runtime.list_sandboxes(), self._runtime.list_containers())
        self.problem = ""
        grouped: dict[str, tuple[list[Sandbox], list[Container]]] = {}
        for s in sandboxes:
            grouped.setdefault(s.uid, ([], []))[0].append(s)
        for c in containers:
            grouped.setdefault(c.pod_uid, ([], []))[1].append(c)
        for uid in set(self._states) | set(grouped):
            mine = grouped.get(uid, ([], []))
            if self._seen.get(uid, frozenset()) != signature(*mine):
                await self._store(uid, *mine)
                self._wake(uid)
        self._forget_details(sandboxes, containers)

    async def _store(self, uid: str, sandboxes: Sequence[Sandbox], containers: Sequence[Container]) -> PodState:
        detailed = await asyncio.gather(*(self._detail(c) for c in containers))
        addressed = await asyncio.gather(*(self._address(s) for s in sandboxes))
        state = PodState(
            uid,
            tuple(sorted((s for s in addressed if s), key=lambda s: (-s.created, -s.attempt))),
            tuple(sorted((c for c in detailed if c), key=lambda c: (-c.created, -c.attempt))),
        )
        if state.sandboxes or state.containers:
            self._states[uid] = state
            self._seen[uid] = signature(sandboxes, containers)
        else:
            self._states.pop(uid, None)
            self._seen.pop(uid, None)
        return state

    async def _detail(self, c: Container) -> Container | None:
        key = (c.id, c.state)
        if key not in self._details or c.state == "unknown":
            try:
                found = await self._runtime.container_status(c.id)
            except NotFound:
                return None
            found = replace(found, sandbox_id=c.sandbox_id)
            if found.state == "exited":
                found = await self._with_message(found)
            self._details.pop((c.id, "created"), None)
            if found.state != "running":
                self._details.pop((c.id, "running"), None)
            self._details[found.id, found.state] = found
            return found
        return self._details[key]

    async def _with_message(self, c: Container) -> Container:
        """The termination message: what the container wrote to its file, else the end of its log if it asks for that."""
        path = c.annotations.get(TERMINATION_PATH)
        source = next((m.host_path for m in c.mounts if m.container_path == path), "") if path else ""
        data = await self._host.read_file(source, MESSAGE_BYTES) if source else b""
        fall_back = c.annotations.get(TERMINATION_POLICY) == "FallbackToLogsOnError" and c.exit_code != 0
        if not data and fall_back and c.log_path:
            from skiff.kubelet.logs import plain

            data = plain(await self._host.read_file(c.log_path, MESSAGE_LOG_BYTES, tail=True))
        text = data.decode("utf-8", "replace")
        return replace(c, message=text) if text else c

    async def _address(self, s: Sandbox) -> Sandbox | None:
        if not s.ready:
            return s
        kept = self._addresses.get(s.id)
        if kept is None or not kept.ready:
            try:
                kept = self._addresses[s.id] = await self._runtime.sandbox_status(s.id)
            except NotFound:
                return None
        return kept

    def _forget_details(self, sandboxes: Sequence[Sandbox], containers: Sequence[Container]) -> None:
        here = {c.id for c in containers}
        for key in [k for k in self._details if k[0] not in here]:
            del self._details[key]
        ready = {s.id for s in sandboxes if s.ready}
        for id in [i for i in self._addresses if i not in ready]:
            del self._addresses[id]


def signature(sandboxes: Sequence[Sandbox], containers: Sequence[Container]) -> frozenset[tuple[str, str]]:
    return frozenset([(s.id, str(s.ready)) for s in sandboxes] + [(c.id, c.state) for c in containers])
