"""One task per pod: brings it from what it is to what it should be, again and again, until it is gone.

    PENDING ──admitted──▶ SYNCING ──terminate──▶ TERMINATING ──stopped──▶ TERMINATED ──cleaned──▶ FINISHED
       └──────────────────terminate─────────────────▲

Level-triggered: `wake` says only "look again". A request to terminate interrupts what is going on, as does a shorter grace
period while terminating. A pod never goes back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.types import Obj
from skiff.kubelet import plan as planning
from skiff.kubelet import qos
from skiff.kubelet.admission import Rejection
from skiff.kubelet.containerconfig import log_directory
from skiff.kubelet.killer import Killer, grace_for
from skiff.kubelet.parts import Parts
from skiff.kubelet.pods import (
    every_container,
    grace_seconds,
    is_host_network,
    is_static,
    is_terminal,
    parse_time,
)
from skiff.kubelet.resize import Limits
from skiff.kubelet.runtime import PodState, Resources, RuntimeFailure
from skiff.kubelet.starter import Ground, PostStartFailed, SandboxProblem, Starter, StartProblem, backoff_key, kind_of
from skiff.kubelet.status import REJECTED, Facts, StartFailure, pod_status, rejected_status
from skiff.kubelet.volumes.manager import Mounted, VolumeError

log = logging.getLogger(__name__)


class Phase(Enum):
    PENDING = "pending"
    SYNCING = "syncing"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    FINISHED = "finished"


TRANSITIONS: Mapping[tuple[Phase, str], Phase] = {
    (Phase.PENDING, "admitted"): Phase.SYNCING,
    (Phase.PENDING, "terminate"): Phase.TERMINATING,
    (Phase.SYNCING, "terminate"): Phase.TERMINATING,
    (Phase.TERMINATING, "stopped"): Phase.TERMINATED,
    (Phase.TERMINATED, "cleaned"): Phase.FINISHED,
}


def retry_seconds(failures: int) -> float:
    """Until the next look after something did not work: 0.5 s doubling to 10 s."""
    return float(min(0.5 * 2 ** min(failures, 10), 10.0))


def _leaves(error: BaseException) -> list[BaseException]:
    """What went wrong, without the groups around it."""
    return [x for e in error.exceptions for x in _leaves(e)] if isinstance(error, BaseExceptionGroup) else [error]


@dataclass(frozen=True, slots=True)
class Termination:
    """Why and how a pod ends. grace_s None: what the pod says. override: its phase becomes Failed with that reason."""

    grace_s: float | None = None
    override: StartFailure | None = None


class PodWorker:
    """admit: asks whether the node takes the pod (called until it does, at most twice; may look at the other pods)."""

    def __init__(self, *, pod: Obj, parts: Parts, admit: Callable[[Obj], Rejection | None]):
        self.pod = pod
        self.phase = Phase.PENDING
        self.gone = False
        """The API no longer has the pod."""
        self._parts = parts
        self._admit = admit
        self._starter = Starter(parts)
        self._limits = Limits()
        self._killer = Killer(runtime=parts.runtime, hooks=parts.hooks, recorder=parts.recorder)
        self._wake = asyncio.Event()
        self._step: asyncio.Task[float | None] | None = None
        self._termination: Termination | None = None
        self._rejection: StartFailure | None = None
        """Why the node did not take the pod."""
        self._failures: dict[str, StartFailure] = {}
        self._retries = 0
        self._start_failures = 0
        self._clean = False

    # From outside

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    def wake(self) -> None:
        self._wake.set()

    def update(self, pod: Obj) -> None:
        """A new version of the object."""
        before = grace_seconds(self.pod) if self.pod["metadata"].get("deletionTimestamp") else None
        self.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            shorter = before is not None and grace_seconds(pod) < before
            self.terminate(Termination(override=self._override), again=shorter)
        self._wake.set()

    def removed(self) -> None:
        """The object is gone from the API (or the manifest from the directory)."""
        self.gone = True
        self.terminate(Termination(override=self._override))
        self._wake.set()

    def terminate(self, how: Termination, *, again: bool = False) -> None:
        """End the pod. A second request counts only if it is `again`: with less time."""
        if self._termination is None:
            self._termination = how
            if self.phase is Phase.SYNCING and self._step:
                self._step.cancel()
        elif again and self.phase is Phase.TERMINATING and self._step:
            self._termination = how
            self._step.cancel()
        self._wake.set()

    @property
    def _override(self) -> StartFailure | None:
        return self._termination.override if self._termination else None

    # The loop

    async def run(self) -> None:
        """Until the pod is finished or the task is cancelled."""
        steps: Mapping[Phase, Callable[[], Awaitable[float | None]]] = {
            Phase.PENDING: self._begin,
            Phase.SYNCING: self._sync,
            Phase.TERMINATING: self._end,
            Phase.TERMINATED: self._clean_up,
        }
        while self.phase is not Phase.FINISHED:
            self._wake.clear()
            if self._termination and self.phase in (Phase.PENDING, Phase.SYNCING):
                self._move("terminate")
            before = self.phase
            delay = await self._perform(steps[self.phase])
            if self.phase is before and not (self._termination and before is Phase.SYNCING):
                await self._pause(delay)

    def _move(self, event: str) -> None:
        following = TRANSITIONS.get((self.phase, event))
        if following is None:
            raise RuntimeError(f"pod {self.uid}: {event} while {self.phase.value}")
        self.phase = following
        self._retries = 0

    async def _pause(self, delay: float | None) -> None:
        resync = self._parts.options.resync_seconds
        waits = [w for w in (delay, resync or None) if w is not None]
        try:
            async with asyncio.timeout(min(waits) if waits else None):
                await self._wake.wait()
        except TimeoutError:
            pass  # time to look again, as asked for

    async def _perform(self, step: Callable[[], Awaitable[float | None]]) -> float | None:
        """Runs a step that `terminate` may cancel; seconds until the next look, None for no hurry."""
        result: float | None = None
        async with asyncio.TaskGroup() as tasks:
            self._step = tasks.create_task(self._guarded(step), name=f"pod {self.uid}")
        if not self._step.cancelled():
            result = self._step.result()
        elif self._termination is not None:
            result = 0.0
        self._step = None
        return result

    async def _guarded(self, step: Callable[[], Awaitable[float | None]]) -> float | None:
        try:
            delay = await step()
            self._retries = 0
            return delay
        except (RuntimeFailure, StatusError, ConnectionError, OSError, VolumeError, SandboxProblem) as e:
            log.warning("pod %s %s: %s", self._name, self.phase.value, e)
        except ExceptionGroup as e:
            log.warning("pod %s %s: %s", self._name, self.phase.value, "; ".join(map(str, _leaves(e))))
        except Exception:
            log.exception("pod %s: %s failed", self._name, self.phase.value)  # our bug; the pod is tried again
        self._retries += 1
        return retry_seconds(self._retries - 1)

    @property
    def _name(self) -> str:
        return f"{self.pod['metadata'].get('namespace', '')}/{self.pod['metadata']['name']}"

    # PENDING

    async def _begin(self) -> float | None:
        state = await self._parts.cache.refresh(self.uid)
        status = self.pod.get("status") or {}
        if is_terminal(status):
            if status.get("message", "").startswith(REJECTED):
                self._rejection = StartFailure(status.get("reason", ""), status["message"])
            self.terminate(Termination())
            return 0.0
        if not state.containers:
            rejection = self._admit(self.pod)
            if rejection is not None:
                await self._parts.refresh_node()  # what we knew of the node may be old
                rejection = self._admit(self.pod)
            if rejection is not None:
                self._parts.recorder.event(self.pod, "Warning", rejection.reason, rejection.message)
                self._rejection = StartFailure(rejection.reason, REJECTED + rejection.message)
                self.terminate(Termination(grace_s=0))
                return 0.0
        self._move("admitted")
        return 0.0

    # SYNCING

    async def _sync(self) -> float | None:
        p, pod = self._parts, self.pod
        state = await self._resize(await p.cache.refresh(self.uid))
        status = self._publish(state)
        if self._over(status):
            return 0.0
        await self._prepare()
        volumes = await self._mount()
        delays = [self._deadline()]
        for _ in range(3 + 2 * sum(1 for _ in every_container(pod))):
            plan = planning.compute(pod, state, p.prober.verdict)
            if plan.empty or (plan.kill_pod and not plan.create_sandbox and not state.running):
                break
            retry_at = await self._apply(plan, state, volumes)
            state = await p.cache.refresh(self.uid)
            if self._over(self._publish(state)):
                return 0.0
            if retry_at is not None:
                delays.append(max(0.0, retry_at - env.epoch()))
                break
        return min((d for d in delays if d is not None), default=None)

    async def _resize(self, state: PodState) -> PodState:
        """Gives running containers the limits that the pod asks for now; the pod's cgroup makes room before and after."""
        p, pod = self._parts, self.pod
        changes = self._limits.changes(pod, state.running, p.memory)
        if not changes:
            return state
        await self._prepare()
        for change in changes:
            if change.restart:
                message = f"Container {change.container.name} resize requires restart"
                grace = grace_for(pod, change.container)
                ip = state.ips[0] if state.ips else ""
                await self._killer.container(pod, change.container, message=message, grace_s=grace, ip=ip)
            else:
                await p.runtime.update_resources(change.container.id, change.limits)
            self._limits.gave(change)
        await self._prepare()
        return await p.cache.refresh(self.uid)

    def _over(self, status: Obj) -> bool:
        """Whether the pod has come to its end by itself or by its deadline; then it will be terminated."""
        if is_terminal(status):
            self.terminate(Termination())
            return True
        left = self._deadline()
        if left is not None and left <= 0:
            message = "Pod was active on the node longer than the specified deadline"
            self._parts.recorder.event(self.pod, "Normal", "DeadlineExceeded", message)
            self.terminate(Termination(override=StartFailure("DeadlineExceeded", message)))
            return True
        return False

    def _deadline(self) -> float | None:
        """Seconds left of activeDeadlineSeconds."""
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        status = self._parts.statuses.get(self.uid) or self.pod.get("status") or {}
        started = parse_time(status.get("startTime"))
        return None if limit is None or not started else started + float(limit) - env.epoch()

    async def _prepare(self) -> None:
        p, uid = self._parts, self.uid
        root = p.options.cgroup_root
        if root:
            await p.host.make_cgroup(f"{root}/burstable", Resources(cpu_shares=qos.cpu_shares(p.burstable_milli())))
            await p.host.make_cgroup(f"{root}/besteffort", Resources(cpu_shares=qos.MIN_SHARES))
            await p.host.make_cgroup(qos.cgroup_path(root, self.pod), qos.pod_cgroup(self.pod))
        await p.host.make_directory(f"{p.options.root}/pods/{uid}", 0o750)

    async def _mount(self) -> Mapping[str, Mounted]:
        try:
            return await self._parts.volumes.mount(self.pod)
        except VolumeError as e:
            self._parts.recorder.event(self.pod, "Warning", "FailedMount", str(e))
            raise

    async def _apply(self, plan: planning.Plan, state: PodState, volumes: Mapping[str, Mounted]) -> float | None:
        """Performs a plan; epoch seconds at which to try what failed again, None if nothing failed."""
        p, pod = self._parts, self.pod
        ips = tuple(p.node_ips) if is_host_network(pod) else state.ips
        if plan.kill_pod:
            if plan.create_sandbox and state.sandboxes:
                text = "Pod sandbox changed, it will be killed and re-created."
                p.recorder.event(pod, "Normal", "SandboxChanged", text)
            await self._killer.pod(pod, state)
            if not plan.create_sandbox:
                return None
        for kill in plan.kill:
            grace = grace_for(pod, kill.container, kill.reason)
            await self._killer.container(
                pod, kill.container, message=kill.message, grace_s=grace, ip=ips[0] if ips else ""
            )
        if plan.kill:
            state = await p.cache.refresh(self.uid)
        config = await self._starter.sandbox_config(pod, plan.attempt)
        sandbox_id = plan.sandbox_id
        if plan.create_sandbox:
            sandbox_id, ips = await self._starter.sandbox(pod, config)
            state = await p.cache.refresh(self.uid)
            self._publish(state)
        await self._prune(state)
        ground = Ground(sandbox_id, config, ips, volumes, state)
        return await self._start(plan, ground)

    async def _start(self, plan: planning.Plan, ground: Ground) -> float | None:
        """Containers in order. An init container that does not start holds up all after it; others do not."""
        retry: list[float] = []
        for spec in [*plan.ephemeral, *plan.init, *plan.start]:
            kind = kind_of(self.pod, spec["name"])
            try:
                await self._starter.container(self.pod, spec, kind, ground)
                self._failures.pop(spec["name"], None)
            except StartProblem as e:
                self._failures[spec["name"]] = e.failure
                if isinstance(e, PostStartFailed):
                    grace = grace_for(self.pod, e.container)
                    await self._killer.container(self.pod, e.container, message="FailedPostStartHook", grace_s=grace)
                retry.append(e.retry_at or env.epoch() + retry_seconds(self._start_failures))
                if kind == "init":
                    break
        self._start_failures = self._start_failures + 1 if retry else 0
        return min(retry, default=None)

    async def _prune(self, state: PodState) -> None:
        """Of each container keep the newest and one dead one before it; of sandboxes those that still have containers."""
        seen: dict[str, int] = {}
        for c in state.containers:
            seen[c.name] = seen.get(c.name, 0) + 1
            if seen[c.name] > 2 and c.state == "exited":
                await self._parts.runtime.remove_container(c.id)
        used = {c.sandbox_id for c in state.containers}
        for sandbox in state.sandboxes[1:]:
            if not sandbox.ready and sandbox.id not in used:
                await self._parts.runtime.remove_sandbox(sandbox.id)

    def _publish(self, state: PodState, *, terminal: bool = False) -> Obj:
        """Generates the status and hands it to the status manager; follows the running containers with probes."""
        p, pod = self._parts, self.pod
        api = p.api_pod(pod)
        current = p.statuses.get(self.uid) or (api or pod).get("status") or {}
        facts = Facts(
            now=env.epoch(),
            node_ips=p.node_ips,
            failures=self._failures,
            started=p.prober.started,
            ready=p.prober.ready,
            runtime_name=p.runtime_name,
            terminal=terminal,
            override=self._override,
        )
        known = {**pod, "status": (api or pod).get("status") or {}}
        rejection = self._rejection
        status = rejected_status(known, rejection, facts.now) if rejection else pod_status(known, state, current, facts)
        if api is not None:
            p.statuses.set(api, status)
        if self.phase is not Phase.TERMINATED:
            ips = status.get("podIPs") or []
            listed = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
            running = [c for c in state.containers if c.state == "running"]
            p.prober.update(pod, running, ip=ips[0]["ip"] if ips else "", statuses=listed)
        return status

    # TERMINATING

    async def _end(self) -> float | None:
        p = self._parts
        how = self._termination or Termination()
        state = await p.cache.refresh(self.uid)
        self._publish(state)
        async with asyncio.TaskGroup() as tasks:
            follower = tasks.create_task(self._follow(), name=f"status of {self.uid}")
            await self._killer.pod(self.pod, state, grace_s=how.grace_s)
            follower.cancel()
        state = await p.cache.refresh(self.uid)
        if state.running:
            raise RuntimeFailure(f"still running: {', '.join(c.name for c in state.running)}")
        self._failures.clear()
        self._publish(state, terminal=True)
        self._move("stopped")
        return 0.0

    async def _follow(self) -> None:
        """While containers end, tell what has changed: some end before others, and readiness may change."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._publish(await self._parts.cache.refresh(self.uid))

    # TERMINATED

    async def _clean_up(self) -> float | None:
        """Gives back what the pod held on the node; when nobody wants the object any more, removes that too."""
        p, uid = self._parts, self.uid
        if not self._clean:
            p.prober.drop_pod(uid)
            self._publish(p.cache.get(uid), terminal=True)
            await p.host.remove_pod(uid)
            p.volumes.forget(uid)
            p.objects.forget_pod(uid)
            p.images.forget(uid)
            for _, c in every_container(self.pod):
                p.backoff.forget(backoff_key(self.pod, c))
            if p.options.cgroup_root:
                await p.host.remove_cgroup(qos.cgroup_path(p.options.cgroup_root, self.pod))
            self._clean = True
        deleted = self.gone or bool(self.pod["metadata"].get("deletionTimestamp"))
        if not deleted:
            self._publish(await p.cache.refresh(uid), terminal=True)  # the runtime may tell late why a container ended
            return None
        api = p.api_pod(self.pod)
        if api is not None and not self.gone and not is_static(self.pod):
            p.statuses.delete(api)
        # The sandboxes go last: as long as they are there, the next kubelet knows that there is something to clean.
        await p.host.remove_logs(log_directory(self.pod, p.options.logs))
        for sandbox in (await p.cache.refresh(uid)).sandboxes:
            await p.runtime.remove_sandbox(sandbox.id)
        await p.cache.refresh(uid)
        if not self.gone and not is_static(self.pod):
            return None  # until the watch says that it is
        p.statuses.forget(uid)
        self._move("cleaned")
        return None
