"""Namespaces that are being deleted: empties them, reports what is in the way, and lets them go.

Pods go first; the rest follows when they have ended (their config and secrets serve them until then). What is served is
discovered each time, so custom resources are emptied too. Source: upstream pkg/controller/namespace/deletion.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from skiff import env
from skiff.api.errors import StatusError, is_conflict, is_not_found, is_reason
from skiff.api.gvr import NAMESPACES, PODS
from skiff.api.meta import finalizers, find_condition, is_being_deleted, is_pod_terminal, name, namespace
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Watch
from skiff.client.discovery import Served, discover
from skiff.client.informer import Change, Informers
from skiff.client.metadata import MetadataClient
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds, timestamp

log = logging.getLogger(__name__)

FINALIZER = "kubernetes"
FINALIZER_ESTIMATE_S = 15.0
RETRY_S = 5.0

_OK = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@dataclass(slots=True)
class Findings:
    """What emptying a namespace met with. estimate: seconds until what remains may be gone; 0: nothing known."""

    stale: tuple[str, ...] = ()
    remaining: dict[str, int] = field(default_factory=dict)
    finalizers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    estimate: float = 0.0


def problems(found: Findings) -> dict[str, tuple[str, str]]:
    """Condition type → (reason, message), for the conditions that are true."""
    result: dict[str, tuple[str, str]] = {}
    if found.stale:
        listed = ", ".join(f"{gv}: stale GroupVersion discovery: {gv}" for gv in found.stale)
        text = f"unable to retrieve the complete list of server APIs: {listed}"
        message = f"Discovery failed for some groups, {len(found.stale)} failing: {text}"
        result["NamespaceDeletionDiscoveryFailure"] = ("DiscoveryFailed", message)
    if found.errors:
        count = len(found.errors)
        message = f"Failed to delete all resource types, {count} remaining: {', '.join(sorted(found.errors))}"
        result["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
    if found.remaining:
        listed = ", ".join(f"{what} has {count} resource instances" for what, count in sorted(found.remaining.items()))
        result["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {listed}")
    if found.finalizers:
        listed = ", ".join(f"{what} in {count} resource instances" for what, count in sorted(found.finalizers.items()))
        message = f"Some content in the namespace has finalizers remaining: {listed}"
        result["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return result


def next_conditions(conditions: Iterable[Obj], wrong: dict[str, tuple[str, str]], now: float) -> list[Obj]:
    """All five conditions, those of other writers kept."""
    result = [dict(c) for c in conditions]
    for type, fine in _OK.items():
        value = "True" if type in wrong else "False"
        reason, message = wrong.get(type, fine)
        old = find_condition(result, type)
        if old is None:
            old = {"type": type, "lastTransitionTime": timestamp(now)}
            result.append(old)
        elif old.get("status") != value:
            old["lastTransitionTime"] = timestamp(now)
        old.update(status=value, reason=reason, message=message)
    return result


def grace_estimate(pods: Iterable[Obj], deleted_at: float, now: float) -> float:
    """How long the pods may take to end, 0 once they should have."""
    longest = max(
        (spec(p).get("terminationGracePeriodSeconds") or 0 for p in pods if not is_pod_terminal(p)), default=0
    )
    return float(longest) if now - deleted_at < longest else 0.0


class NamespaceController:
    name = "namespace-controller"
    workers = 10

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._metadata = MetadataClient(client.transport, user_agent=client.user_agent)
        self._namespaces = informers.get(NAMESPACES)
        self._pods = informers.get(PODS)

    def watches(self) -> list[Watch]:
        return [Watch(NAMESPACES), Watch(PODS, self._pod_gone)]

    def _pod_gone(self, change: Change) -> Iterable[Key]:
        """The last pod of a namespace that waits for it."""
        if change.type != "deleted":
            return []
        found = self._namespaces.get("", namespace(change.object))
        waits = found is not None and is_being_deleted(found) and not self._pods.items(name(found))
        return [name(found)] if found is not None and waits else []

    async def reconcile(self, key: Key) -> float | None:
        cached = self._namespaces.get("", key)
        if cached is None or not is_being_deleted(cached):
            return None
        try:
            ns = await self._client.get(NAMESPACES, key)
            if not is_being_deleted(ns) or not spec(ns).get("finalizers"):
                return None
            return await self._empty(ns)
        except StatusError as err:
            if is_not_found(err):
                return None
            raise

    async def _empty(self, ns: Obj) -> float | None:
        served = await discover(self._client)
        found = Findings(stale=served.stale)
        await self._empty_resource(ns, PODS, found)
        if not found.remaining:
            for gvr in _deletable(served):
                await self._empty_resource(ns, gvr, found)
        ns = await self._report(ns, problems(found))
        if found.errors or found.stale:
            log.warning("namespace %s is not empty yet: %s", name(ns), "; ".join([*found.errors, *found.stale]))
            return RETRY_S
        if found.remaining:
            return found.estimate / 2 + 1
        await self._finalize(ns)
        return None

    async def _empty_resource(self, ns: Obj, gvr: GVR, found: Findings) -> None:
        try:
            before = (await self._metadata.list(gvr, name(ns))).items
            if not before:
                return
            estimate = await self._estimate(ns) if gvr == PODS else 0.0
            await self._delete_all(gvr, name(ns), before)
            left = (await self._metadata.list(gvr, name(ns))).items
        except StatusError as err:
            if not is_reason(err, "MethodNotAllowed", "NotFound"):
                found.errors.append(err.message)
            return
        if not left:
            return
        found.remaining[f"{gvr.plural}.{gvr.group}"] = len(left)
        blocking = Counter(f for obj in left for f in finalizers(obj))
        found.finalizers += blocking
        if not estimate and not blocking:
            what = f"{gvr.group}/{gvr.version}, Resource={gvr.plural}"
            found.errors.append(f"unexpected items still remain in namespace: {name(ns)} for gvr: {what}")
        found.estimate = max(found.estimate, estimate or (FINALIZER_ESTIMATE_S if blocking else 0.0))

    async def _estimate(self, ns: Obj) -> float:
        pods = (await self._client.list(PODS, name(ns))).items
        deleted_at = seconds(ns["metadata"].get("deletionTimestamp")) or 0.0
        return grace_estimate(pods, deleted_at, env.epoch())

    async def _delete_all(self, gvr: GVR, ns: str, items: list[Obj]) -> None:
        try:
            await self._client.delete_collection(gvr, ns, propagation="Background")
        except StatusError as err:
            if not is_reason(err, "MethodNotAllowed", "NotFound"):
                raise
            for obj in items:
                try:
                    await self._client.delete(gvr, name(obj), ns, propagation="Background")
                except StatusError as gone:
                    if not is_reason(gone, "MethodNotAllowed", "NotFound"):
                        raise

    async def _report(self, ns: Obj, wrong: dict[str, tuple[str, str]]) -> Obj:
        before = status(ns).get("conditions") or []
        after = next_conditions(before, wrong, env.epoch())
        if after == before and status(ns).get("phase") == "Terminating":
            return ns
        changed = {**ns, "status": {**status(ns), "phase": "Terminating", "conditions": after}}
        return await self._client.update(NAMESPACES, changed, subresource="status")

    async def _finalize(self, ns: Obj) -> None:
        """Retried at a conflict: other finalizers are other people's."""
        for _ in range(5):
            kept = [f for f in spec(ns).get("finalizers") or () if f != FINALIZER]
            try:
                await self._client.update(
                    NAMESPACES, {**ns, "spec": {**spec(ns), "finalizers": kept}}, subresource="finalize"
                )
                return
            except StatusError as err:
                if not is_conflict(err):
                    raise
            ns = await self._client.get(NAMESPACES, name(ns))


def _deletable(served: Served) -> list[GVR]:
    return [gvr for gvr in served.supporting("delete", "list") if gvr.namespaced and gvr.group_resource != "pods"]
