"""The stateful set controller. Source: upstream pkg/controller/statefulset."""

import asyncio
from collections.abc import Sequence

from skiff import env
from skiff.api import selectors
from skiff.api.errors import StatusError, is_already_exists, is_not_found
from skiff.api.gvr import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS
from skiff.api.meta import is_being_deleted, labels, name, namespace
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Recorder, Watch, split_key
from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.history import REVISION_LABEL, History, surplus
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.owners import claim
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause
from skiff.controllers.common.pods import seconds_until_available
from skiff.controllers.common.routing import OwnerRoutes
from skiff.controllers.statefulset import identity
from skiff.controllers.statefulset.plan import Plan, next_status, plan

HASH_LABEL = "controller.kubernetes.io/hash"


class StatefulSetController:
    name = "statefulset-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._sets = informers.get(STATEFULSETS)
        self._pods = indexes.owned_informer(informers, PODS)
        self._revisions = indexes.owned_informer(informers, CONTROLLERREVISIONS)
        self._claims = informers.get(PERSISTENTVOLUMECLAIMS)
        self._routes = OwnerRoutes(self._sets, "StatefulSet", self._selector)
        self._history = History(client=client, owner_gvr=STATEFULSETS, hash_label=HASH_LABEL)
        self._fresh = Freshness(self._pods)

    def watches(self) -> list[Watch]:
        return [
            Watch(STATEFULSETS),
            Watch(PODS, self._routes.keys),
            Watch(CONTROLLERREVISIONS, self._routes.keys),
            Watch(PERSISTENTVOLUMECLAIMS, lambda change: ()),
        ]

    def _selector(self, owner: Obj) -> selectors.Selector:
        return selectors.from_label_selector(spec(owner).get("selector"))

    async def reconcile(self, key: Key) -> float | None:
        sts = self._sets.get(*split_key(key))
        if sts is None:
            self._fresh.forget(key)
            return None
        if not self._fresh.fresh(key):
            return None
        revisions = await self._claim(sts, CONTROLLERREVISIONS, indexes.owned_or_orphaned(self._revisions, sts))
        owned = await self._claim(sts, PODS, indexes.owned_or_orphaned(self._pods, sts))
        pods = [pod for pod in owned if identity.ordinal(sts, pod) >= 0]
        update, old = await self._history.current(sts, revisions)
        known = {name(r): r for r in [update, *old]}
        current = known.get(str(status(sts).get("currentRevision") or ""), update)
        try:
            if not is_being_deleted(sts):
                todo = plan(sts, pods, name(current), name(update), env.epoch())
                await self._act(key, sts, todo, known)
        finally:
            await self._report(sts, pods, name(current), name(update))
        in_use = {name(current), name(update), *(labels(pod).get(REVISION_LABEL, "") for pod in pods)}
        limit = spec(sts).get("revisionHistoryLimit")
        await self._history.clean(surplus(old, in_use, 10 if limit is None else limit))
        return seconds_until_available(pods, int(spec(sts).get("minReadySeconds") or 0), env.epoch())

    async def _claim(self, sts: Obj, gvr: GVR, found: list[Obj]) -> list[Obj]:
        selector = self._selector(sts)

        def matches(obj: Obj) -> bool:
            named = gvr != PODS or identity.ordinal(sts, obj) >= 0
            return named and selector.matches(labels(obj))

        return await claim(self._client, sts, STATEFULSETS, gvr, matches, found)

    async def _act(self, key: Key, sts: Obj, todo: Plan, revisions: dict[str, Obj]) -> None:
        await self._keep_claims(sts, todo)
        for pod in todo.recreate:
            text = f"StatefulSet {key} is recreating failed Pod {name(pod)}"
            self._recorder.event(sts, "Warning", "RecreatingFailedPod", text)
            await self._delete(key, sts, pod)
        steps = [self._create(key, sts, index, revision, revisions) for index, revision in todo.create]
        steps += [self._delete(key, sts, pod) for pod in todo.delete]
        results = await asyncio.gather(*steps, return_exceptions=True)
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure

    async def _create(self, key: Key, sts: Obj, index: int, revision: str, revisions: dict[str, Obj]) -> None:
        own = identity.pod_name(sts, index)
        for wanted in identity.claims(sts, own):
            await self._create_claim(sts, own, wanted)
        template = {k: v for k, v in revisions[revision]["data"]["spec"]["template"].items() if k != "$patch"}
        pod = identity.new_pod(sts, template, index, revision)
        try:
            self._fresh.wrote(key, await self._client.create(PODS, pod, namespace(sts)))
        except StatusError as err:
            if has_cause(err, NAMESPACE_TERMINATING):
                return
            text = f"create Pod {own} in StatefulSet {name(sts)} failed error: {err.message}"
            self._recorder.event(sts, "Warning", "FailedCreate", text)
            raise
        text = f"create Pod {own} in StatefulSet {name(sts)} successful"
        self._recorder.event(sts, "Normal", "SuccessfulCreate", text)

    async def _create_claim(self, sts: Obj, pod: str, wanted: Obj) -> None:
        if self._claims.get(namespace(sts), name(wanted)) is not None:
            return
        about = f"create Claim {name(wanted)} Pod {pod} in StatefulSet {name(sts)}"
        try:
            await self._client.create(PERSISTENTVOLUMECLAIMS, wanted, namespace(sts))
        except StatusError as err:
            if is_already_exists(err) or has_cause(err, NAMESPACE_TERMINATING):
                return
            self._recorder.event(sts, "Warning", "FailedCreate", f"{about} failed error: {err.message}")
            raise
        self._recorder.event(sts, "Normal", "SuccessfulCreate", f"{about} success")

    async def _delete(self, key: Key, sts: Obj, pod: Obj) -> None:
        try:
            gone = await self._client.delete(PODS, name(pod), namespace(pod), uid=pod["metadata"]["uid"])
        except StatusError as err:
            if is_not_found(err):
                return
            text = f"delete Pod {name(pod)} in StatefulSet {name(sts)} failed error: {err.message}"
            self._recorder.event(sts, "Warning", "FailedDelete", text)
            raise
        if (gone.get("metadata") or {}).get("deletionTimestamp"):
            self._fresh.wrote(key, gone)
        text = f"delete Pod {name(pod)} in StatefulSet {name(sts)} successful"
        self._recorder.event(sts, "Normal", "SuccessfulDelete", text)

    async def _keep_claims(self, sts: Obj, todo: Plan) -> None:
        """The owners of the claims of pods that are about to go, as the retention policy says."""
        for pod in todo.condemned:
            for template in spec(sts).get("volumeClaimTemplates") or ():
                found = self._claims.get(namespace(sts), identity.claim_name(template, name(pod)))
                owners = identity.claim_owners(sts, found, pod) if found else None
                if found is not None and owners is not None:
                    changed = {**found, "metadata": {**found["metadata"], "ownerReferences": owners}}
                    await self._client.update(PERSISTENTVOLUMECLAIMS, changed)

    async def _report(self, sts: Obj, pods: Sequence[Obj], current: str, update: str) -> None:
        new = next_status(sts, pods, current, update, status(sts).get("collisionCount"), env.epoch())
        if new != status(sts):
            await self._client.update(STATEFULSETS, {**sts, "status": new}, subresource="status")
