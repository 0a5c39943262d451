"""The scheduler at work: informers feed cache and queue, the loop decides pod by pod, tasks write the decisions.

One pod is decided at a time, in memory; binding it, reporting why it does not fit, and evicting for it happen in tasks of
their own (a bounded number) while the next pod is decided. Restarted at any moment it goes on from what the API server
has: a pod is bound or it is not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import NODES, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, PODS, STORAGECLASSES
from skiff.client import metrics
from skiff.client.controller import Recorder
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.scheduler import events, writes
from skiff.scheduler import framework as fw
from skiff.scheduler.algorithm import Algorithm, Decision
from skiff.scheduler.cache import Cache
from skiff.scheduler.metrics import Metrics
from skiff.scheduler.nodeinfo import slim_node
from skiff.scheduler.nominator import Nominator
from skiff.scheduler.plugins.registry import default_profile
from skiff.scheduler.podinfo import DEFAULT_SCHEDULER, PodInfo, slim_pod
from skiff.scheduler.queue import QueuedPod, SchedulingQueue

log = logging.getLogger(__name__)

LIVING = "status.phase!=Succeeded,status.phase!=Failed"
CONCURRENT_WRITES = 64
MESSAGE_LIMIT = 1024
NAME = "scheduler"


class Scheduler:
    """`await Scheduler(...).run()` until cancelled; the caller runs the informers."""

    def __init__(
        self,
        *,
        client: Client,
        informers: Informers,
        recorder: Recorder | None = None,
        name: str = DEFAULT_SCHEDULER,
        percentage_of_nodes: int = 0,
    ):
        self.cache = Cache()
        self.nominator = Nominator()
        self.profile = default_profile(client, informers, self.cache, name)
        self.algorithm = Algorithm(self.cache, self.profile, self.nominator, percentage=percentage_of_nodes)
        self.queue = SchedulingQueue(self.profile.queue_sort, self.profile.pre_enqueue, self.profile.interests)
        self.metrics = Metrics(name, self.queue, self.cache)
        metrics.sources[NAME] = self.metrics.lines
        self._client = client
        self._recorder = recorder or Recorder(client, name)
        self._wake = asyncio.Event()
        self._writes = asyncio.Semaphore(CONCURRENT_WRITES)
        self._group: asyncio.TaskGroup | None = None
        self._nodes = informers.get(NODES, transform=slim_node)
        self._pods = informers.get(PODS, fields=LIVING, transform=slim_pod)
        self._informers = informers
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(self._pod_changed)
        for gvr in (PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES):
            informers.get(gvr).add_handler(self._other_changed)

    async def run(self) -> None:
        await self._informers.wait_synced()
        try:
            async with asyncio.TaskGroup() as self._group:
                while True:
                    queued = await self._next()
                    await self._writes.acquire()  # released by the task, if the pod leads to one
                    if not self._schedule(queued):
                        self._writes.release()
                    await asyncio.sleep(0)
        finally:
            self._group = None

    async def _next(self) -> QueuedPod:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            queued = self.queue.pop(loop.time())
            if queued is not None:
                return queued
            when = self.queue.next_time()
            try:
                async with asyncio.timeout_at(when):
                    await self._wake.wait()
            except TimeoutError:
                continue

    # --- deciding

    def _schedule(self, queued: QueuedPod) -> bool:
        """One cycle; whether it started a task (which then owns one of the permitted writes)."""
        pod = queued.pod
        if pod.deleting or self.cache.assumed(pod.key) is not None:
            self.queue.done(queued)
            return False
        time = asyncio.get_running_loop().time
        started = time()
        decision = self.algorithm.schedule(pod)
        self.metrics.algorithm.observe(time() - started)
        if decision.node:
            status = self._reserve(decision, pod)
            if status is None:
                placed = pod.on(decision.node)
                self.cache.assume(placed)
                self.nominator.remove(pod.key)
                self._start(self._bind(queued, placed, decision, started), f"bind {pod.key}")
                return True
            decision.error = status
        self._start(self._report(queued, decision, started), f"report {pod.key}")
        return True

    def _reserve(self, decision: Decision, pod: PodInfo) -> fw.Status | None:
        for plugin in self.profile.reserve:
            status: fw.Status | None = plugin.reserve(decision.state, pod, decision.node)
            if status is not None:
                self._unreserve(decision, pod)
                return status
        return None

    def _unreserve(self, decision: Decision, pod: PodInfo) -> None:
        for plugin in reversed(self.profile.reserve):
            plugin.unreserve(decision.state, pod, decision.node)

    def _start(self, work: Any, name: str) -> None:
        assert self._group is not None
        self._group.create_task(self._with_permit(work), name=name)

    async def _with_permit(self, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._writes.release()

    # --- writing what was decided

    async def _bind(self, queued: QueuedPod, pod: PodInfo, decision: Decision, started: float) -> None:
        try:
            status = await self._binding_cycle(pod, decision)
        except (StatusError, ConnectionError) as e:
            status = fw.Status(fw.Code.ERROR, "", (fw.Reason(f"binding rejected: {e}"),))
        if status is None:
            now = asyncio.get_running_loop().time()
            self.metrics.attempted("scheduled", now - started)
            self.metrics.bound(queued, now)
            self.queue.done(queued)
            message = f"Successfully assigned {pod.key} to {pod.node}"
            self._recorder.event(pod.obj, "Normal", "Scheduled", message)
            for plugin in self.profile.post_bind:
                plugin.post_bind(decision.state, pod, pod.node)
            return
        self._unreserve(decision, pod)
        if self.cache.forget(pod):
            self._event(fw.ClusterEvent("Pod", fw.Action.DELETE, pod, None))
        failed = Decision(decision.total, error=status, nominated="")
        await self._report_later(queued, failed, started)

    async def _binding_cycle(self, pod: PodInfo, decision: Decision) -> fw.Status | None:
        for moment in ("permit", "pre_bind"):
            for plugin in getattr(self.profile, moment):
                call: Callable[..., Awaitable[fw.Status | None]] = getattr(plugin, moment)
                status = await call(decision.state, pod, pod.node)
                if status is not None:
                    return status
        for plugin in self.profile.bind:
            await plugin.bind(decision.state, pod, pod.node)
        return None

    def _report(self, queued: QueuedPod, decision: Decision, started: float) -> Awaitable[None]:
        """Puts the pod back at once (no event may be missed in between); the rest is written by the task."""
        now = asyncio.get_running_loop().time()
        pod = queued.pod
        if decision.nominated is not None:
            self.nominator.set(pod, decision.nominated)
        error = decision.error
        if error is not None and not error.rejected:
            self.metrics.attempted("error", now - started)
            self.queue.failed(queued, now)
        else:
            self.metrics.attempted("unschedulable", now - started)
            self.queue.refused(queued, decision.plugins if error is None else frozenset((error.plugin,)), now)
        self._wake.set()  # the loop may be waiting for less
        return self._write_refusal(pod, decision)

    async def _report_later(self, queued: QueuedPod, decision: Decision, started: float) -> None:
        current = self.queue.get(queued.pod.key)
        if current is queued:
            await self._report(queued, decision, started)

    async def _write_refusal(self, pod: PodInfo, decision: Decision) -> None:
        message = decision.message
        error = decision.error is not None and not decision.error.rejected
        log.log(logging.WARNING if error else logging.DEBUG, "pod %s: %s", pod.key, message)
        self._recorder.event(pod.obj, "Warning", "FailedScheduling", _shortened(message))
        reason = "SchedulerError" if error else "Unschedulable"
        try:
            for victim in decision.victims:
                await self._evict(pod, victim, decision.nominated or "")
            if decision.victims:
                self.metrics.preempts(len(decision.victims))
                await self._clear_nominations(pod, decision.nominated or "")
            await writes.report(self._client, pod, reason, message, decision.nominated)
        except (StatusError, ConnectionError) as e:
            if not is_not_found(e):
                log.warning("pod %s: reporting or making room failed: %s", pod.key, e)
                self._wake_up(pod)

    async def _evict(self, pod: PodInfo, victim: PodInfo, node: str) -> None:
        if victim.deleting:
            return
        if await writes.evict(self._client, pod, victim):
            self._recorder.event(victim.obj, "Normal", "Preempted", f"Preempted by pod {pod.uid} on node {node}")

    async def _clear_nominations(self, pod: PodInfo, node: str) -> None:
        """Pods of lower priority that were to come to the node look for another place."""
        for other in list(self.nominator.on(node)):
            if other.priority < pod.priority:
                self.nominator.remove(other.key)
                await writes.clear_nomination(self._client, other)

    def _wake_up(self, pod: PodInfo) -> None:
        """Evicting failed half-way: the events that the pod waits for may never come."""
        queued = self.queue.get(pod.key)
        if queued is not None and queued.place == "unschedulable":
            self.queue.add(queued.pod, asyncio.get_running_loop().time())
            self._wake.set()

    # --- what the informers tell

    def _event(self, event: fw.ClusterEvent) -> None:
        if self.queue.waiting and self.queue.event(event, asyncio.get_running_loop().time()):
            self._wake.set()

    def _node_changed(self, change: Change) -> None:
        name = change.object["metadata"]["name"]
        if change.new is not None:
            self.cache.set_node(change.new)
        else:
            self.cache.remove_node(name)
        if self.queue.waiting and (event := events.node_event(change)) is not None:
            self._event(event)

    def _other_changed(self, change: Change) -> None:
        if self.queue.waiting:
            self._event(events.other_event(change))

    def _pod_changed(self, change: Change) -> None:
        if change.new is None:
            self._pod_gone(change.object)
            return
        pod = PodInfo(change.new)
        if pod.node:
            self._pod_placed(pod)
        elif pod.scheduler_name == self.profile.name:
            self._pod_waits(pod)

    def _pod_placed(self, pod: PodInfo) -> None:
        self.queue.delete(pod.key)
        self.nominator.remove(pod.key)
        confirmed = self.cache.assumed(pod.key) is not None
        before = self.cache.set_pod(pod)
        if not self.queue.waiting:
            return
        if before is None or confirmed or before.uid != pod.uid:
            self._event(fw.ClusterEvent("Pod", fw.Action.ADD, None, pod))
        elif actions := events.pod_actions(before, pod):
            self._event(fw.ClusterEvent("Pod", actions, before, pod))

    def _pod_waits(self, pod: PodInfo) -> None:
        now = asyncio.get_running_loop().time()
        assumed = self.cache.assumed(pod.key)
        if assumed is not None and assumed.uid == pod.uid:
            if pod.deleting and self.cache.forget(assumed):
                self._event(fw.ClusterEvent("Pod", fw.Action.DELETE, assumed, None))
            return
        queued = self.queue.get(pod.key)
        if queued is None:
            self.queue.add(pod, now)
            if pod.nominated:
                self.nominator.set(pod, pod.nominated)
        else:
            old = queued.pod
            actions = events.pod_actions(old, pod)
            changed = [fw.ClusterEvent("Pod", actions, old, pod)] if actions else []
            self.queue.update(old, pod, changed, now)
        self._wake.set()

    def _pod_gone(self, obj: dict[str, Any]) -> None:
        meta = obj["metadata"]
        key = f"{meta['namespace']}/{meta['name']}"
        self.queue.delete(key)
        nominated = self.nominator.node_of(key)
        self.nominator.remove(key)
        gone = self.cache.remove_pod(key)
        if gone is None and nominated:
            gone = PodInfo(obj, node=nominated)
        if gone is not None:
            self._event(fw.ClusterEvent("Pod", fw.Action.DELETE, gone, None))


def _shortened(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 4] + " ..."
