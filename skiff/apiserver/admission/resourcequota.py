"""ResourceQuota: what a request would use is booked on the namespace's quotas before it happens, or it is refused.

Requests of one namespace are booked one after another, each with a compare-and-swap on the quota's status, so that the
bounds hold exactly however many come at once. What a failed request booked is given back by the quota controller.
What objects use is computed in skiff.api.quotausage.
"""

import asyncio
from weakref import WeakValueDictionary

from skiff.api import quotausage
from skiff.api.errors import StatusError, is_conflict
from skiff.api.gvr import RESOURCEQUOTAS
from skiff.api.podresources import quantities
from skiff.api.quantity import Quantity
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup
from skiff.client.rest import Client

ATTEMPTS = 5
Amounts = dict[str, Quantity]


class ResourceQuota(Plugin):
    name = "ResourceQuota"

    def __init__(self, lookup: Lookup, client: Client):
        self._lookup = lookup
        self._client = client
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def validate(self, attrs: Attributes) -> None:
        counted = quotausage.is_counted(attrs.gvr.group_resource, attrs.operation, attrs.subresource)
        if not counted or not attrs.namespace or attrs.obj is None:
            return
        if not any(True for _ in self._lookup.list(RESOURCEQUOTAS, attrs.namespace)):
            return
        lock = self._locks.setdefault(attrs.namespace, asyncio.Lock())
        async with lock:
            await self._book(attrs)

    async def _book(self, attrs: Attributes) -> None:
        for _ in range(ATTEMPTS):
            names = [q["metadata"]["name"] for q in self._lookup.list(RESOURCEQUOTAS, attrs.namespace)]
            found = [await self._lookup.fresh(RESOURCEQUOTAS, attrs.namespace, name) for name in sorted(names)]
            changed = bookings([q for q in found if q is not None], attrs)
            if attrs.dry_run or not changed:
                return
            try:
                for quota in changed:
                    await self._client.update(RESOURCEQUOTAS, quota, subresource="status")
                return
            except StatusError as error:
                if not is_conflict(error):
                    raise
        raise attrs.forbid("the quota of the namespace is under heavy change; try again")


def bookings(quotas: list[Obj], attrs: Attributes) -> list[Obj]:
    """The quotas with what the request would use added, only those that change. Raises StatusError 403."""
    assert attrs.obj is not None
    resource = attrs.gvr.group_resource
    usage = quotausage.usage(resource, attrs.obj)
    changed = []
    for quota in quotas:
        if not quotausage.matches(quota, resource, attrs.obj):
            continue
        name, status = quota["metadata"]["name"], quota.get("status") or {}
        hard, used = quantities(status.get("hard")), quantities(status.get("used"))
        relevant = quotausage.relevant(hard, resource)
        if missing := quotausage.unstated(relevant, resource, attrs.obj):
            raise attrs.forbid(f"failed quota: {name}: must specify {missing}")
        if any(r not in used for r in relevant):
            raise attrs.forbid(f"status unknown for quota: {name}, resources: {','.join(sorted(relevant))}")
        delta = _difference(attrs, quota, resource, usage)
        requested = {r: q for r, q in delta.items() if r in hard and q}
        if not requested:
            continue
        total = {r: used.get(r, Quantity(0)) + q for r, q in requested.items()}
        exceeded = sorted(r for r, q in total.items() if q > hard[r])
        if exceeded and attrs.subresource != "status":
            raise attrs.forbid(
                f"exceeded quota: {name}, requested: {_list(requested, exceeded)}, used: {_list(used, exceeded)}, "
                f"limited: {_list(hard, exceeded)}"
            )
        new_used = {**(status.get("used") or {}), **{r: str(q) for r, q in total.items()}}
        changed.append({**quota, "status": {**status, "used": new_used}})
    return changed


def _difference(attrs: Attributes, quota: Obj, resource: str, usage: Amounts) -> Amounts:
    """What an update uses more than before; giving back is the controller's work."""
    if attrs.operation != "UPDATE" or attrs.old is None or not quotausage.matches(quota, resource, attrs.old):
        return usage
    before = quotausage.usage(resource, attrs.old)
    more = {r: q - before.get(r, Quantity(0)) for r, q in usage.items()}
    return {r: q for r, q in more.items() if q.nanos > 0}


def _list(amounts: Amounts, names: list[str]) -> str:
    return ",".join(f"{n}={amounts[n]}" for n in names)
