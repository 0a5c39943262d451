"""ReplicaSets (and ReplicationControllers): as many pods as wanted, no more and no fewer.

Guarantees: pods are claimed only through a matching selector; a pod is never created twice for one place (expectations);
what is given up is what hurts least. Leaves rollouts to the deployment controller.
Source: upstream pkg/controller/replicaset; a ReplicationController is the same with a plain map as its selector.
"""

import asyncio
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass

from skiff import env
from skiff.api import selectors
from skiff.api.errors import StatusError, is_conflict
from skiff.api.gvr import PODS, REPLICASETS
from skiff.api.meta import (
    controller_of,
    is_being_deleted,
    is_controlled_by,
    is_pod_active,
    is_pod_available,
    is_pod_ready,
    is_pod_terminating,
    labels,
    name,
    namespace,
)
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.expectations import Expectations
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes, pods
from skiff.controllers.common.meta import generation, spec, status, without_zeros
from skiff.controllers.common.owners import claim
from skiff.controllers.common.podcontrol import PodControl, in_slow_batches
from skiff.controllers.common.routing import OwnerRoutes
from skiff.controllers.common.times import timestamp

BURST_REPLICAS = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """create: how many pods; delete: names of those to give up. At most one of them is not empty."""

    create: int = 0
    delete: tuple[str, ...] = ()


def plan(active: list[Obj], replicas: int, related: Iterable[Obj], now: float) -> Plan:
    """At most BURST_REPLICAS at a time. `related`: pods of all sets with the same owner."""
    surplus = len(active) - replicas
    if surplus < 0:
        return Plan(create=min(-surplus, BURST_REPLICAS))
    if surplus == 0:
        return Plan()
    chosen = active if surplus == len(active) else pods.deletion_order(active, related, now)
    return Plan(delete=tuple(name(pod) for pod in chosen[: min(surplus, BURST_REPLICAS)]))


def next_status(owner: Obj, active: list[Obj], terminating: int | None, error: str | None, now: float) -> Obj:
    """The status that the pods amount to. terminating: None where the kind does not report it. error: why the last
    creation or deletion failed, None if it did not."""
    template = selectors.from_set((spec(owner).get("template") or {}).get("metadata", {}).get("labels"))
    min_ready = int(spec(owner).get("minReadySeconds") or 0)
    counts: Obj = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template.matches(labels(pod)) for pod in active),
        "readyReplicas": sum(is_pod_ready(pod) for pod in active),
        "availableReplicas": sum(is_pod_available(pod, min_ready, now) for pod in active),
        "observedGeneration": generation(owner),
    }
    result = without_zeros(counts, keep=("replicas",))
    if terminating is not None:
        result["terminatingReplicas"] = terminating
    surplus = len(active) - int(spec(owner).get("replicas", 1))
    if conditions := next_conditions(status(owner).get("conditions") or [], surplus, error, now):
        result["conditions"] = conditions
    return result


def next_conditions(conditions: list[Obj], surplus: int, error: str | None, now: float) -> list[Obj]:
    """ReplicaFailure is there as long as creating or deleting fails."""
    present = any(c["type"] == "ReplicaFailure" for c in conditions)
    if error is None:
        return [c for c in conditions if c["type"] != "ReplicaFailure"]
    if present:
        return conditions
    failure = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": timestamp(now), "message": error}
    if surplus:
        failure["reason"] = "FailedCreate" if surplus < 0 else "FailedDelete"
    return [*conditions, failure]


class ReplicaSetController:
    """Works on ReplicaSets; ReplicationControllerController changes what differs."""

    name = "replicaset-controller"
    workers = 5
    gvr: GVR = REPLICASETS
    reports_terminating = True

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._sets = indexes.owned_informer(informers, self.gvr)
        self._pods = indexes.owned_informer(informers, PODS)
        self._routes = OwnerRoutes(self._sets, self.gvr.kind, self.selector)
        self._control = PodControl(client=client, recorder=recorder, owner_gvr=self.gvr)
        self._expectations = Expectations()

    def watches(self) -> list[Watch]:
        return [Watch(self.gvr, self._set_changed), Watch(PODS, self._pod_changed)]

    def selector(self, owner: Obj) -> selectors.Selector:
        return selectors.from_label_selector(spec(owner).get("selector"))

    def _set_changed(self, change: Change) -> Iterable[Key]:
        replaced = change.old and change.new and change.old["metadata"]["uid"] != change.new["metadata"]["uid"]
        if change.new is None or replaced:
            self._expectations.forget(key_of(change.object))
        return [key_of(change.object)]

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        """Also notes what the cache has now shown."""
        pod = change.object
        if (owner := self._routes.owner(pod)) is not None:
            if change.type == "deleted" or is_being_deleted(pod):
                self._expectations.deletion_observed(key_of(owner), key_of(pod))
            elif change.type == "added":
                self._expectations.creation_observed(key_of(owner))
        return self._routes.keys(change)

    async def reconcile(self, key: Key) -> float | None:
        owner = self._sets.get(*split_key(key))
        if owner is None:
            self._expectations.forget(key)
            return None
        quiet = self._expectations.satisfied(key)
        selector = self.selector(owner)
        everything = indexes.owned_or_orphaned(self._pods, owner)
        candidates = [pod for pod in everything if is_pod_active(pod)]
        active = await claim(self._client, owner, self.gvr, PODS, lambda pod: selector.matches(labels(pod)), candidates)
        error = None
        if quiet and not is_being_deleted(owner):
            error = await self._manage(key, owner, active)
        now = env.epoch()
        terminating = [
            pod
            for pod in everything
            if is_pod_terminating(pod) and is_controlled_by(pod, owner) and selector.matches(labels(pod))
        ]
        reported = len(terminating) if self.reports_terminating else None
        text = None if error is None else _message(error)
        await self._write_status(owner, next_status(owner, active, reported, text, now))
        if error is not None:
            raise error
        return pods.seconds_until_available(active, int(spec(owner).get("minReadySeconds") or 0), now)

    async def _manage(self, key: Key, owner: Obj, active: list[Obj]) -> Exception | None:
        todo = plan(active, int(spec(owner).get("replicas", 1)), self._related(owner), env.epoch())
        if todo.create:
            return await self._create(key, owner, todo.create)
        if todo.delete:
            return await self._delete(key, owner, todo.delete)
        return None

    def _related(self, owner: Obj) -> list[Obj]:
        """Pods of all sets with the owner's owner (for a ReplicaSet: those of its deployment)."""
        ref = controller_of(owner)
        if ref is None:
            return []
        siblings = indexes.owned_by_uid(self._sets, ref["uid"])
        return [pod for sibling in siblings for pod in indexes.owned_by(self._pods, sibling)]

    async def _create(self, key: Key, owner: Obj, count: int) -> Exception | None:
        self._expectations.expect(key, creations=count)

        async def one() -> None:
            made = await self._control.create_from_template(owner, spec(owner).get("template") or {})
            if made is None:
                self._expectations.creation_observed(key)

        successes, error = await in_slow_batches(count, one)
        for _ in range(count - successes):
            self._expectations.creation_observed(key)
        return error

    async def _delete(self, key: Key, owner: Obj, names: tuple[str, ...]) -> Exception | None:
        pod_keys = [f"{namespace(owner)}/{pod}" for pod in names]
        self._expectations.expect(key, deletions=set(pod_keys))

        async def one(pod: str, pod_key: str) -> None:
            try:
                if not await self._control.delete(owner, pod):
                    self._expectations.deletion_observed(key, pod_key)
            except BaseException:
                self._expectations.deletion_observed(key, pod_key)
                raise

        work = (one(pod, pod_key) for pod, pod_key in zip(names, pod_keys, strict=True))
        results = await asyncio.gather(*work, return_exceptions=True)
        return next((r for r in results if isinstance(r, Exception)), None)

    async def _write_status(self, owner: Obj, new: Obj) -> None:
        """Once more with the newest version if another writer came first."""
        if status(owner) == new:
            return
        try:
            await self._client.update(self.gvr, {**owner, "status": new}, subresource="status")
        except StatusError as err:
            if not is_conflict(err):
                raise
            fresh = await self._client.get(self.gvr, name(owner), namespace(owner))
            await self._client.update(self.gvr, {**deepcopy(fresh), "status": new}, subresource="status")


def _message(error: Exception) -> str:
    return error.message if isinstance(error, StatusError) else str(error)
