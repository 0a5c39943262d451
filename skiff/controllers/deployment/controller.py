"""The deployment controller: which of its tasks is due (pause, scaling, recreate, rolling update), step by step.

One reconcile makes at most one step; the sets' changes bring the next. Source: upstream deployment_controller.go.
"""

from collections.abc import Iterable, Sequence

from skiff import env
from skiff.api import selectors
from skiff.api.gvr import DEPLOYMENTS, PODS, REPLICASETS
from skiff.api.meta import is_being_deleted, is_pod_terminal, labels, name
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, split_key
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes
from skiff.controllers.common.meta import generation, spec, status
from skiff.controllers.common.owners import claim
from skiff.controllers.common.routing import OwnerRoutes
from skiff.controllers.deployment import sizes
from skiff.controllers.deployment import status as reports
from skiff.controllers.deployment.sync import Sync


def old_pods_running(new: Obj | None, old: Iterable[Obj], pods_by_set: dict[str, list[Obj]]) -> bool:
    """Whether a pod of an old set may still run, terminating ones included (keyed by the set's name)."""
    if any(status(s).get("replicas") for s in old):
        return True
    others = (found for key, found in pods_by_set.items() if new is None or key != name(new))
    return any(not is_pod_terminal(pod) for found in others for pod in found)


class DeploymentController:
    name = "deployment-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._deployments = informers.get(DEPLOYMENTS)
        self._sets = indexes.owned_informer(informers, REPLICASETS)
        self._pods = indexes.owned_informer(informers, PODS)
        self._routes = OwnerRoutes(self._deployments, "Deployment", self._selector)
        self._set_routes = OwnerRoutes(self._sets, "ReplicaSet", self._selector)
        self._sync = Sync(client=client, recorder=recorder)

    def watches(self) -> list[Watch]:
        return [
            Watch(DEPLOYMENTS),
            Watch(REPLICASETS, self._routes.keys),
            Watch(PODS, self._pod_changed),
        ]

    def _pod_changed(self, change: Change) -> Iterable[Key]:
        """A Recreate deployment waits for the last old pod to end; nothing else depends on pods directly."""
        ended = change.type == "deleted" or is_pod_terminal(change.object)
        owner = self._set_routes.owner(change.object) if ended else None
        deployment = self._routes.owner(owner) if owner else None
        if deployment is None or (spec(deployment).get("strategy") or {}).get("type") != "Recreate":
            return []
        return [f"{deployment['metadata']['namespace']}/{name(deployment)}"]

    def _selector(self, owner: Obj) -> selectors.Selector:
        return selectors.from_label_selector(spec(owner).get("selector"))

    async def reconcile(self, key: Key) -> float | None:
        cached = self._deployments.get(*split_key(key))
        if cached is None:
            return None
        d = {**cached, "metadata": dict(cached["metadata"]), "status": dict(status(cached))}
        if not spec(d).get("selector"):
            await self._refuse(d)
            return None
        selector = self._selector(d)
        candidates = indexes.owned_or_orphaned(self._sets, d)
        sets = await claim(self._client, d, DEPLOYMENTS, REPLICASETS, lambda s: selector.matches(labels(s)), candidates)
        if is_being_deleted(d):
            new, old = await self._sync.find_sets(d, sets, create=False)
            return await self._report(d, reports.next_status(d, new, old, env.epoch()))
        if (noted := reports.paused_condition(d, env.epoch())) and reports.set_condition(d, noted):
            await self._sync.write_status(d, status(d))
        if spec(d).get("paused"):
            return await self._scale(d, sets)
        if sizes.is_scaling(d, sets):
            return await self._scale(d, sets)
        if sizes.is_rolling(d):
            return await self._roll(d, sets)
        return await self._recreate(d, sets)

    async def _refuse(self, d: Obj) -> None:
        text = "This deployment is selecting all pods. A non-empty selector is required."
        self._recorder.event(d, "Warning", "SelectingAll", text)
        if status(d).get("observedGeneration", 0) < generation(d):
            await self._sync.write_status(d, {**status(d), "observedGeneration": generation(d)})

    async def _scale(self, d: Obj, sets: Sequence[Obj]) -> float | None:
        new, old = await self._sync.find_sets(d, sets, create=False)
        await self._sync.scale(d, _all(new, old), sizes.plan_scaling(d, new, old))
        if spec(d).get("paused"):
            await self._sync.clean_history(d, old)
        return await self._report(d, reports.next_status(d, new, old, env.epoch()))

    async def _roll(self, d: Obj, sets: Sequence[Obj]) -> float | None:
        new, old = await self._sync.find_sets(d, sets, create=True)
        assert new is not None
        scaled = await self._sync.scale(d, _all(new, old), sizes.plan_rolling(d, new, old))
        if not scaled and reports.is_complete(d, status(d)):
            await self._sync.clean_history(d, old)
        return await self._report(d, reports.rollout_status(d, new, old, env.epoch()))

    async def _recreate(self, d: Obj, sets: Sequence[Obj]) -> float | None:
        new, old = await self._sync.find_sets(d, sets, create=False)
        down = [sizes.Scale(name(s), 0) for s in sizes.active(old)]
        scaled = await self._sync.scale(d, old, down)
        pods_by_set = {name(s): indexes.owned_by(self._pods, s) for s in sets}
        if not scaled and not old_pods_running(new, old, pods_by_set):
            new, old = await self._sync.find_sets(d, sets, create=True) if new is None else (new, old)
            assert new is not None
            await self._sync.scale(d, [new], [sizes.Scale(name(new), sizes.replicas(d))])
            if reports.is_complete(d, status(d)):
                await self._sync.clean_history(d, old)
        return await self._report(d, reports.rollout_status(d, new, old, env.epoch()))

    async def _report(self, d: Obj, new: Obj) -> float | None:
        if new != status(d):
            await self._sync.write_status(d, new)
        return reports.seconds_until_deadline(d, new, env.epoch())


def _all(new: Obj | None, old: Sequence[Obj]) -> list[Obj]:
    return [*old, *([new] if new else [])]
