"""The daemon set controller. Source: upstream pkg/controller/daemon."""

import asyncio
from collections.abc import Iterable, Sequence

from skiff import env
from skiff.api import selectors
from skiff.api.gvr import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from skiff.api.meta import is_being_deleted, labels, name, namespace
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.expectations import Expectations
from skiff.client.informer import Change, Informers
from skiff.client.queue import backoff_seconds
from skiff.client.rest import Client
from skiff.controllers.common import indexes
from skiff.controllers.common.history import REVISION_LABEL, History, surplus
from skiff.controllers.common.meta import generation, spec, status
from skiff.controllers.common.owners import claim
from skiff.controllers.common.podcontrol import PodControl, in_slow_batches, pod_from_template
from skiff.controllers.common.pods import seconds_until_available
from skiff.controllers.common.routing import OwnerRoutes
from skiff.controllers.daemonset import plan as plans

BURST = 250
FAILED_BASE_S = 1.0
FAILED_CAP_S = 900.0


class DaemonSetController:
    name = "daemonset-controller"
    workers = 2

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._sets = informers.get(DAEMONSETS)
        self._pods = indexes.owned_informer(informers, PODS)
        self._revisions = indexes.owned_informer(informers, CONTROLLERREVISIONS)
        self._nodes = informers.get(NODES)
        self._routes = OwnerRoutes(self._sets, "DaemonSet", self._selector)
        self._control = PodControl(client=client, recorder=recorder, owner_gvr=DAEMONSETS)
        self._history = History(client=client, owner_gvr=DAEMONSETS, hash_label=REVISION_LABEL)
        self._expectations = Expectations()
        self._failures: dict[tuple[Key, str], tuple[int, float]] = {}

    def watches(self) -> list[Watch]:
        return [
            Watch(DAEMONSETS),
            Watch(PODS, self._pod_changed),
            Watch(CONTROLLERREVISIONS, self._routes.keys),
            Watch(NODES, self._node_changed),
        ]

    def _selector(self, owner: Obj) -> selectors.Selector:
        return selectors.from_label_selector(spec(owner).get("selector"))

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        """Also notes what the cache has now shown."""
        pod = change.object
        if (owner := self._routes.owner(pod)) is not None:
            if change.type == "deleted" or is_being_deleted(pod):
                self._expectations.deletion_observed(key_of(owner), key_of(pod))
            elif change.type == "added":
                self._expectations.creation_observed(key_of(owner))
        return self._routes.keys(change)

    def _node_changed(self, change: Change) -> Iterable[Key]:
        """Only labels and taints matter."""
        before, after = change.old, change.new
        if before and after and _placement(before) == _placement(after):
            return []
        return [key_of(ds) for ds in self._sets.items()]

    async def reconcile(self, key: Key) -> float | None:
        ds = self._sets.get(*split_key(key))
        if ds is None:
            self._expectations.forget(key)
            self._failures = {k: v for k, v in self._failures.items() if k[0] != key}
            return None
        if not spec(ds).get("selector"):
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self._recorder.event(ds, "Warning", "SelectingAll", text)
            return None
        if is_being_deleted(ds):
            return None
        revisions = await self._claim(ds, CONTROLLERREVISIONS, indexes.owned_or_orphaned(self._revisions, ds))
        current, old = await self._history.current(ds, revisions)
        revision_hash = labels(current)[REVISION_LABEL]
        template = plans.pod_template(ds, revision_hash)
        nodes = sorted(self._nodes.items(), key=name)
        pods = await self._claim(ds, PODS, indexes.owned_or_orphaned(self._pods, ds))
        again = None
        quiet = self._expectations.satisfied(key)
        try:
            if quiet:
                again = await self._work(key, ds, template, nodes, pods, revision_hash)
                await self._history.clean(_surplus(ds, old, pods))
        finally:
            await self._report(ds, template, nodes, pods, revision_hash, observed=quiet)
        waits = [again, seconds_until_available(pods, int(spec(ds).get("minReadySeconds") or 0), env.epoch())]
        return min((w for w in waits if w is not None), default=None)

    async def _claim(self, ds: Obj, gvr: GVR, found: list[Obj]) -> list[Obj]:
        selector = self._selector(ds)
        return await claim(self._client, ds, DAEMONSETS, gvr, lambda obj: selector.matches(labels(obj)), found)

    async def _work(
        self, key: Key, ds: Obj, template: Obj, nodes: Sequence[Obj], pods: Sequence[Obj], revision_hash: str
    ) -> float | None:
        now = env.epoch()
        there = plans.by_node(pods)
        waits = {node: until - now for (k, node), (_, until) in self._failures.items() if k == key and until > now}
        todo = plans.plan_nodes(ds, template, nodes, there, revision_hash, waits, now)
        for note in todo.notes:
            self._recorder.event(ds, *note)
        self._count_failures(key, pods, todo, now)
        again = todo.again
        if not todo.create and not todo.delete and _rolls(ds):
            todo = plans.plan_rollout(ds, template, nodes, there, revision_hash, now)
        await self._act(key, ds, template, todo)
        return again

    def _count_failures(self, key: Key, pods: Sequence[Obj], todo: plans.Plan, now: float) -> None:
        """A node on which the pod keeps failing is tried ever more slowly."""
        chosen = set(todo.delete)
        for pod in pods:
            if name(pod) in chosen and (status(pod).get("phase") == "Failed"):
                count, until = self._failures.get((key, plans.target_node(pod)), (0, 0.0))
                if now - until > 2 * FAILED_CAP_S:
                    count = 0
                wait = backoff_seconds(count + 1, FAILED_BASE_S, FAILED_CAP_S)
                self._failures[key, plans.target_node(pod)] = (count + 1, now + wait)

    async def _act(self, key: Key, ds: Obj, template: Obj, todo: plans.Plan) -> None:
        create, delete = todo.create[:BURST], todo.delete[:BURST]
        if not create and not delete:
            return
        keys = {pod: f"{namespace(ds)}/{pod}" for pod in delete}
        self._expectations.expect(key, creations=len(create), deletions=set(keys.values()))
        queue = iter(create)

        async def one() -> None:
            pod = pod_from_template(plans.bound_to(template, next(queue)), ds, DAEMONSETS)
            if await self._control.create(ds, pod) is None:
                self._expectations.creation_observed(key)

        successes, error = await in_slow_batches(len(create), one)
        for _ in range(len(create) - successes):
            self._expectations.creation_observed(key)
        results = await asyncio.gather(*(self._delete(key, ds, p, k) for p, k in keys.items()), return_exceptions=True)
        for failure in [error, *results]:
            if isinstance(failure, BaseException):
                raise failure

    async def _delete(self, key: Key, ds: Obj, pod: str, pod_key: str) -> None:
        try:
            if not await self._control.delete(ds, pod):
                self._expectations.deletion_observed(key, pod_key)
        except BaseException:
            self._expectations.deletion_observed(key, pod_key)
            raise

    async def _report(
        self, ds: Obj, template: Obj, nodes: Sequence[Obj], pods: Sequence[Obj], revision_hash: str, *, observed: bool
    ) -> None:
        new = plans.next_status(ds, template, nodes, plans.by_node(pods), revision_hash, env.epoch())
        if not observed and generation(ds) != status(ds).get("observedGeneration"):
            new.pop("observedGeneration", None)
            if status(ds).get("observedGeneration"):
                new["observedGeneration"] = status(ds)["observedGeneration"]
        if new != status(ds):
            await self._client.update(DAEMONSETS, {**ds, "status": new}, subresource="status")


def _rolls(ds: Obj) -> bool:
    return bool((spec(ds).get("updateStrategy") or {}).get("type") == "RollingUpdate")


def _surplus(ds: Obj, old: Sequence[Obj], pods: Sequence[Obj]) -> list[Obj]:
    hashes = {labels(pod).get(REVISION_LABEL) for pod in pods}
    in_use = {name(r) for r in old if labels(r).get(REVISION_LABEL) in hashes}
    limit = spec(ds).get("revisionHistoryLimit")
    return surplus(old, in_use, 10 if limit is None else limit)


def _placement(node: Obj) -> tuple[object, object]:
    return labels(node), spec(node).get("taints")
