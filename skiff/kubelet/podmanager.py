"""Which pods this node has: a worker for each, fed by the API's watch and the manifest directory; what the runtime has and
nobody wants is ended."""

import asyncio
import logging
from collections.abc import Sequence

from skiff.api.types import Obj
from skiff.client.informer import Change, Informer
from skiff.kubelet import admission, qos
from skiff.kubelet.admission import Rejection
from skiff.kubelet.killer import Killer
from skiff.kubelet.options import Options
from skiff.kubelet.parts import Parts
from skiff.kubelet.pods import HASH, MIRROR, is_mirror, is_static, is_terminal
from skiff.kubelet.runtime import PodState, RuntimeFailure
from skiff.kubelet.worker import Phase, PodWorker, Termination

log = logging.getLogger(__name__)


class PodManager:
    """Workers are tasks of the kubelet's task group."""

    def __init__(self, *, tasks: asyncio.TaskGroup, options: Options):
        self._tasks = tasks
        self._options = options
        self._parts: Parts | None = None
        self._source: Informer | None = None
        self._workers: dict[str, PodWorker] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._orphans: set[str] = set()
        self._adopted = False

    def begin(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def workers(self) -> Sequence[PodWorker]:
        return list(self._workers.values())

    def pods(self) -> list[Obj]:
        """As each worker knows it, with the status that it last gave."""
        assert self._parts is not None
        return [{**w.pod, "status": self._parts.statuses.get(w.uid) or w.pod.get("status") or {}} for w in self.workers]

    def worker(self, uid: str) -> PodWorker | None:
        return self._workers.get(uid)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        for w in self._workers.values():
            meta = w.pod["metadata"]
            if meta["name"] == name and meta.get("namespace", "default") == namespace:
                return w
        return None

    def api_pod(self, pod: Obj) -> Obj | None:
        """The API's object: the pod itself, or the mirror of a static one. None if there is none of that identity."""
        if self._source is None:
            return None if is_static(pod) else pod
        meta = pod["metadata"]
        found = self._source.get(meta.get("namespace", "default"), meta["name"])
        if is_static(pod):
            own = (
                found is not None
                and (found["metadata"].get("annotations") or {}).get(MIRROR) == meta["annotations"][HASH]
            )
            return found if own else None
        return found if found is not None and found["metadata"]["uid"] == meta["uid"] else None

    def burstable_milli(self) -> int:
        """What the Burstable pods that run ask for together, in thousandths of a CPU."""
        pods = [w.pod for w in self.workers if w.phase is Phase.SYNCING and qos.qos_class(w.pod) == "Burstable"]
        return sum(qos.pod_amounts(p, "requests").get("cpu", 0) for p in pods)

    def mirrors(self) -> list[Obj]:
        """The API's mirrors of this node's static pods."""
        return [p for p in self._source.items() if is_mirror(p)] if self._source is not None else []

    def node(self) -> Obj | None:
        """This node's object as last seen."""
        return self._parts.node() if self._parts is not None else None

    # Wakers

    def wake(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()
        elif self._adopted and uid not in self._orphans:
            self._orphans.add(uid)
            self._tasks.create_task(self._end_orphan(uid), name=f"orphan {uid}")

    def gone(self, uid: str) -> None:
        """The API says that there is no such pod (any more)."""
        worker = self._workers.get(uid)
        if worker is not None and not is_static(worker.pod):
            worker.removed()

    # Sources

    async def adopt(self, source: Informer) -> None:
        """Takes over what the watch has now and follows it from here on."""
        self._source = source
        source.add_handler(self._changed)
        self._adopted = True

    def _changed(self, change: Change) -> None:
        pod = change.object
        if is_mirror(pod):
            self._mirror_changed(pod)
        elif change.type == "deleted":
            worker = self._workers.get(pod["metadata"]["uid"])
            if worker is not None:
                worker.pod = pod
                worker.removed()
        else:
            if change.old is not None and change.old["metadata"]["uid"] != pod["metadata"]["uid"]:
                self.gone(change.old["metadata"]["uid"])
            self.put(pod)

    def _mirror_changed(self, mirror: Obj) -> None:
        worker = self.find(mirror["metadata"]["namespace"], mirror["metadata"]["name"])
        if worker is not None:
            worker.wake()

    def put(self, pod: Obj) -> None:
        """A pod to run, new or changed."""
        assert self._parts is not None
        self._parts.statuses.observe(pod)
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is not None:
            if worker.pod is not pod:
                changed = relevant(worker.pod) != relevant(pod)
                if changed:
                    worker.update(pod)
                else:
                    worker.pod = pod
            return
        worker = self._workers[uid] = PodWorker(pod=pod, parts=self._parts, admit=self._admit)
        if pod["metadata"].get("deletionTimestamp"):
            worker.update(pod)
        self._running[uid] = self._tasks.create_task(self._work(worker), name=f"pod {uid}")

    async def _work(self, worker: PodWorker) -> None:
        try:
            await self._share_cpu()
            await worker.run()
        finally:
            self._workers.pop(worker.uid, None)
            self._running.pop(worker.uid, None)
        await self._share_cpu()

    async def _share_cpu(self) -> None:
        """Weighs the classes of pods against each other; whenever a pod comes or goes."""
        assert self._parts is not None
        if not self._options.cgroup_root:
            return
        active = [w.pod for w in self.workers if w.phase in (Phase.PENDING, Phase.SYNCING)]
        for path, limits in qos.class_cgroups(self._options.cgroup_root, active):
            try:
                await self._parts.host.make_cgroup(path, limits)
            except OSError as e:
                log.warning("cgroup %s: %s", path, e)

    def drop(self, uid: str) -> None:
        """A static pod whose manifest is gone."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.removed()

    def _admit(self, pod: Obj) -> Rejection | None:
        assert self._parts is not None
        node = self._parts.node()
        if node is None:
            return Rejection("InvalidNodeInfo", "Kubelet cannot get node info.")
        # A pod that was deleted at once, by force, may still be ending here; for the scheduler its place is free already.
        taken = [
            w.pod
            for w in self.workers
            if w.uid != pod["metadata"]["uid"] and not w.gone and w.phase in (Phase.SYNCING, Phase.TERMINATING)
        ]
        return admission.admit(pod, node, [p for p in taken if not is_terminal(p.get("status"))])

    def evict(self, uid: str, how: Termination) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.terminate(how)

    # What nobody wants

    async def run(self) -> None:
        """Once at the start, then now and then: directories and containers of pods that are no more. Until cancelled."""
        assert self._parts is not None
        while True:
            for uid in self._parts.cache.uids():
                if uid not in self._workers:
                    self.wake(uid)
            await self._sweep_directories()
            self._parts.objects.sweep()
            await asyncio.sleep(60.0)

    async def _sweep_directories(self) -> None:
        assert self._parts is not None
        for uid in await self._parts.host.pod_directories():
            if uid not in self._workers and not self._parts.cache.get(uid).running:
                try:
                    await self._parts.host.remove_pod(uid)
                except OSError as e:
                    log.warning("directory of pod %s not removed: %s", uid, e)

    async def _end_orphan(self, uid: str) -> None:
        """A pod that the API removed while no kubelet ran: end it as it asked to be ended, then forget it."""
        assert self._parts is not None
        p = self._parts
        killer = Killer(runtime=p.runtime, hooks=p.hooks, recorder=p.recorder)
        try:
            state = await p.cache.refresh(uid)
            if uid in self._workers:
                return
            await killer.pod(None, state)
            await p.host.remove_pod(uid)
            await self._remove_cgroups(state)
            for s in state.sandboxes:
                await p.host.remove_logs(f"{self._options.logs}/{s.namespace}_{s.name}_{uid}")
                await p.runtime.remove_sandbox(s.id)
            await p.cache.refresh(uid)
        except (RuntimeFailure, OSError, ExceptionGroup) as e:
            log.warning("orphaned pod %s not removed: %s", uid, e)
        finally:
            self._orphans.discard(uid)

    async def _remove_cgroups(self, state: PodState) -> None:
        assert self._parts is not None
        root = self._options.cgroup_root
        if root:
            for middle in ("", "/burstable", "/besteffort"):
                await self._parts.host.remove_cgroup(f"{root}{middle}/pod{state.uid}")


def relevant(pod: Obj) -> tuple[object, ...]:
    """What of a pod concerns its worker: everything but the status that the kubelet itself writes."""
    meta = pod["metadata"]
    foreign = [
        (c["type"], c["status"])
        for c in (pod.get("status") or {}).get("conditions") or []
        if any(g["conditionType"] == c["type"] for g in pod["spec"].get("readinessGates") or [])
    ]
    return (
        pod["spec"], meta.get("labels"), meta.get("annotations"), meta.get("deletionTimestamp"),
        meta.get("deletionGracePeriodSeconds"), foreign, (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"),
    )  # fmt: skip
