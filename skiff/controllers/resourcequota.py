"""ResourceQuotas: what a namespace uses of each limited thing, for people to see and for admission to go by.

Admission books what a write will use before it happens, so only what is freed is news here: objects that go or shrink.
To count again after a creation would even do harm, for the booking may be there before the object is in the cache, and
a lower count would let others in. All is counted again every few minutes, which gives back what failed writes have
booked. Source: upstream pkg/controller/resourcequota.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from skiff import env
from skiff.api import quotausage
from skiff.api.gvr import PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS, SERVICES
from skiff.api.meta import namespace
from skiff.api.quantity import Quantity, from_value
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Watch, key_of, split_key
from skiff.client.discovery import discover
from skiff.client.informer import Change, Informers
from skiff.client.metadata import MetadataClient
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec, status

RECOUNT_S = 60.0
"""For what is not cached, where nobody says when it goes."""
RESYNC_S = 300.0
RESOURCECLAIMS = GVR("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim")
CACHED = (PODS, SERVICES, PERSISTENTVOLUMECLAIMS, RESOURCECLAIMS)
"""Kinds of which more than the number counts."""
_COUNTED = {"configmaps", "secrets", "replicationcontrollers", "resourcequotas"}
_NOTHING = from_value(0)

Uses = Iterable[tuple[str, Obj]]
"""(group resource, object) pairs."""


def frees(resource: str, old: Obj, new: Obj) -> bool:
    """Whether the change leaves something to others, or moves the object from one scope to another."""
    before, after = quotausage.usage(resource, old), quotausage.usage(resource, new)
    return any(after.get(r, _NOTHING) < q for r, q in before.items()) or _scope(old) != _scope(new)


def _scope(obj: Obj) -> tuple[object, ...]:
    fields = spec(obj)
    return fields.get("activeDeadlineSeconds") is None, fields.get("priorityClassName"), fields.get("storageClassName")


def used(quota: Obj, objects: Uses, now: float) -> dict[str, Quantity]:
    """The sum over those objects that the quota is about."""
    hard = spec(quota).get("hard") or {}
    wanted = {**quota, "status": {"hard": hard}}
    found: dict[str, Quantity] = {}
    for resource, obj in objects:
        if quotausage.matches(wanted, resource, obj):
            usage = quotausage.usage(resource, obj, now=now)
            for name in quotausage.relevant(hard, resource) & usage.keys():
                found[name] = found[name] + usage[name] if name in found else usage[name]
    return found


def next_status(quota: Obj, amounts: Mapping[str, Quantity], counts: Mapping[str, int]) -> Obj:
    """amounts: of what is cached; counts: of other objects, by the names under which quotas count them."""
    hard = spec(quota).get("hard") or {}
    result = {name: str(amounts[name]) if name in amounts else str(counts.get(name, 0)) for name in hard}
    return {"hard": dict(hard), "used": result}


def to_count(quota: Obj, cached: Iterable[str]) -> list[str]:
    """Limited names whose objects have to be counted by asking the server."""
    known = set(cached)
    return [r for r in spec(quota).get("hard") or {} if (r.startswith("count/") or r in _COUNTED) and r not in known]


class ResourceQuotaController:
    name = "resourcequota-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._metadata = MetadataClient(client.transport, user_agent=client.user_agent)
        self._quotas = informers.get(RESOURCEQUOTAS)
        self._cached = {g.group_resource: informers.get(g) for g in CACHED}

    def watches(self) -> list[Watch]:
        cached = (Watch(i.gvr, partial(self._changed, resource)) for resource, i in self._cached.items())
        return [Watch(RESOURCEQUOTAS, self._quota_changed), *cached]

    def _quota_changed(self, change: Change) -> Iterable[Key]:
        """Other bounds; what admission books is right as it is."""
        new = change.new
        same = change.old is not None and new is not None and spec(change.old) == spec(new)
        if new is None or (same and status(new).get("hard") == spec(new).get("hard")):
            return []
        return [key_of(new)]

    def _changed(self, resource: str, change: Change) -> Iterable[Key]:
        quotas = self._quotas.items(namespace(change.object))
        if not quotas or change.type == "added":
            return []
        if change.old and change.new and not frees(resource, change.old, change.new):
            return []
        return [key_of(quota) for quota in quotas]

    async def reconcile(self, key: Key) -> float | None:
        quota = self._quotas.get(*split_key(key))
        if quota is None:
            return None
        scope = namespace(quota)
        objects = ((resource, obj) for resource, informer in self._cached.items() for obj in informer.items(scope))
        asked = to_count(quota, [f"count/{resource}" for resource in self._cached])
        counts = await self._count(scope, asked) if asked else {}
        new = next_status(quota, used(quota, objects, env.epoch()), counts)
        if new != status(quota):
            await self._client.update(RESOURCEQUOTAS, {**quota, "status": new}, subresource="status")
        return RECOUNT_S if asked else RESYNC_S

    async def _count(self, scope: str, names: Sequence[str]) -> dict[str, int]:
        served = {gvr.group_resource: gvr for gvr in (await discover(self._client)).supporting("list")}
        found = {}
        for resource in names:
            gvr: GVR | None = served.get(resource.removeprefix("count/"))
            if gvr is not None:
                found[resource] = len((await self._metadata.list(gvr, scope)).items)
        return found
