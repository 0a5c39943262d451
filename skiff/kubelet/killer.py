"""Ends containers and pods gracefully: event, preStop hook, stop signal, and after the grace period the kill.

Sidecars end after the other containers, the last one first. Source: Kubernetes docs, "Pod Lifecycle", termination.
"""

import asyncio
import json
from collections.abc import Sequence

from skiff import env
from skiff.api.types import Obj
from skiff.client.controller import Recorder
from skiff.kubelet.lifecycle import HookFailed, Hooks
from skiff.kubelet.pods import field_path, find_container, grace_seconds, init_containers, is_sidecar
from skiff.kubelet.prober import FIELDS
from skiff.kubelet.runtime import POD_GRACE, PRE_STOP, Container, PodState, Sandboxes

MINIMUM_SECONDS = 2.0
"""Every container gets at least so long between the signal and the kill."""


def grace_for(pod: Obj | None, container: Container, reason: str = "") -> float:
    """Seconds for one container: the pod's, unless the probe that failed has its own. Without a pod: as once recorded."""
    if pod is None:
        text = container.annotations.get(POD_GRACE, "")
        return float(text) if text.isdecimal() else 30.0
    spec = find_container(pod, container.name) or {}
    if reason in ("liveness", "startup") and pod["metadata"].get("deletionGracePeriodSeconds") is None:
        own = (spec.get(FIELDS[reason]) or {}).get("terminationGracePeriodSeconds")  # type: ignore[index]
        if own is not None:
            return float(own)
    return float(grace_seconds(pod))


def pre_stop(pod: Obj | None, container: Container) -> Obj | None:
    if pod is not None:
        spec = find_container(pod, container.name) or {}
        return (spec.get("lifecycle") or {}).get("preStop")
    try:
        found = json.loads(container.annotations.get(PRE_STOP, "null"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Killer:
    def __init__(self, *, runtime: Sandboxes, hooks: Hooks, recorder: Recorder):
        self._runtime = runtime
        self._hooks = hooks
        self._recorder = recorder

    async def container(
        self, pod: Obj | None, container: Container, *, message: str = "", grace_s: float, ip: str = ""
    ) -> None:
        """Returns when it has ended. Raises RuntimeFailure."""
        if pod is not None:
            text = message or f"Stopping container {container.name}"
            self._recorder.event(pod, "Normal", "Killing", text, field_path=field_path(pod, container.name))
        hook = pre_stop(pod, container)
        if hook and grace_s > 0 and container.state == "running":
            grace_s -= await self._pre_stop(pod, container, hook, grace_s, ip)
        await self._runtime.stop_container(container.id, max(grace_s, MINIMUM_SECONDS))

    async def _pre_stop(self, pod: Obj | None, container: Container, hook: Obj, grace_s: float, ip: str) -> float:
        """The seconds it took, at most all of them."""
        began = env.epoch()
        spec = (find_container(pod, container.name) if pod else None) or {"name": container.name}
        about = pod or {"metadata": {"name": "", "uid": container.pod_uid}, "spec": {}}
        try:
            async with asyncio.timeout(grace_s):
                await self._hooks.run(about, spec, container, hook, ip)
        except (HookFailed, TimeoutError):
            if pod is not None:
                path = field_path(pod, container.name)
                self._recorder.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", field_path=path)
        return env.epoch() - began

    async def pod(self, pod: Obj | None, state: PodState, *, grace_s: float | None = None) -> None:
        """Ends all that runs of a pod and its sandboxes. grace_s None: what the pod says. Raises RuntimeFailure."""
        ip = state.ips[0] if state.ips else ""
        ordered = [c["name"] for c in init_containers(pod) if is_sidecar(c)] if pod else []
        running = state.running
        gone = {c.name: asyncio.Event() for c in running}
        async with asyncio.TaskGroup() as tasks:
            for c in running:
                tasks.create_task(self._in_turn(pod, c, _before(c.name, ordered, gone), gone, grace_s, ip))
        for sandbox in state.sandboxes:
            if sandbox.ready:
                await self._runtime.stop_sandbox(sandbox.id)

    async def _in_turn(
        self,
        pod: Obj | None,
        container: Container,
        before: Sequence[asyncio.Event],
        gone: dict[str, asyncio.Event],
        grace_s: float | None,
        ip: str,
    ) -> None:
        grace = grace_for(pod, container) if grace_s is None else grace_s
        began = env.epoch()
        try:
            async with asyncio.timeout(grace if before else None):
                for event in before:
                    await event.wait()
        except TimeoutError:
            pass  # the time is used up: the sidecar ends now, though others still run
        try:
            await self.container(pod, container, grace_s=grace - (env.epoch() - began), ip=ip)
        finally:
            gone[container.name].set()


def _before(name: str, ordered: Sequence[str], gone: dict[str, asyncio.Event]) -> list[asyncio.Event]:
    """What must have ended before a container of that name is stopped."""
    if name not in ordered:
        return []
    later = set(ordered[ordered.index(name) + 1 :])
    return [event for other, event in gone.items() if other in later or other not in ordered]
