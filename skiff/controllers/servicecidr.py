"""Ranges of cluster IPs are ready when they are there, and go only when no service has an address of them alone.

The API server gives out addresses of the ranges that are ready. A range that is being deleted keeps its finalizer while
some cluster IP lies in no other range; then it stays a little longer, until every API server knows that it is going.
Source: upstream pkg/controller/servicecidrs.
"""

import ipaddress
from collections.abc import Iterable, Mapping

from skiff import env
from skiff.api.gvr import IPADDRESSES, SERVICECIDRS
from skiff.api.meta import finalizers, get_condition, is_being_deleted, labels, name
from skiff.api.times import epoch, format_time
from skiff.api.types import Obj
from skiff.client.controller import Key, Watch
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec
from skiff.controllers.volumeprotection import add_finalizer, drop_finalizer

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_LABEL, MANAGER = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
GRACE_S = 10.0
FIELD_MANAGER = "service-cidr-controller"

READY = ("True", "", "Kubernetes Service CIDR is ready")
IN_USE = (
    "False",
    "Terminating",
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def networks(cidr: Obj) -> list[Network]:
    return [ipaddress.ip_network(text) for text in spec(cidr).get("cidrs") or ()]


def contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def is_needed(cidr: Obj, others: Iterable[Obj], addresses: Iterable[Address]) -> bool:
    """Whether some address lies in this object's ranges and in nobody else's."""
    own = networks(cidr)
    rest = [n for other in others for n in networks(other)]
    if all(any(contains(outer, inner) for outer in rest) for inner in own):
        return False
    return any(any(a in n for n in own) and not any(a in n for n in rest) for a in addresses)


def applied(cidr_name: str, state: tuple[str, str, str], now: float) -> Obj:
    status, reason, message = state
    condition = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": format_time(now),
    }
    return {
        "apiVersion": SERVICECIDRS.api_version,
        "kind": SERVICECIDRS.kind,
        "metadata": {"name": cidr_name},
        "status": {"conditions": [condition]},
    }


class ServiceCIDRController:
    name = "service-cidr-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._cidrs = informers.get(SERVICECIDRS)
        self._addresses = informers.get(IPADDRESSES, transform=_slim)

    def watches(self) -> list[Watch]:
        return [Watch(SERVICECIDRS, self._cidr_changed), Watch(IPADDRESSES, self._address_changed)]

    def _cidr_changed(self, change: Change) -> Iterable[Key]:
        """A range that comes or goes may free others from being needed, or the reverse."""
        if change.type == "updated":
            return [name(change.object)]
        return [name(change.object), *(name(c) for c in self._cidrs.items() if is_being_deleted(c))]

    def _address_changed(self, change: Change) -> Iterable[Key]:
        return [name(c) for c in self._cidrs.items() if is_being_deleted(c)]

    async def reconcile(self, key: Key) -> float | None:
        cidr = self._cidrs.get("", key)
        if cidr is None:
            return None
        if is_being_deleted(cidr):
            return await self._release(cidr)
        if FINALIZER not in finalizers(cidr):
            await add_finalizer(self._client, SERVICECIDRS, cidr, FINALIZER)
        await self._set_condition(cidr, READY)
        return None

    async def _release(self, cidr: Obj) -> float | None:
        others = [c for c in self._cidrs.items() if name(c) != name(cidr)]
        if is_needed(cidr, others, self._allocated()):
            await self._set_condition(cidr, IN_USE)
            return None
        left = epoch(cidr["metadata"]["deletionTimestamp"]) + GRACE_S - env.epoch()
        if left > 0:
            return left
        if FINALIZER in finalizers(cidr):
            await drop_finalizer(self._client, SERVICECIDRS, cidr, FINALIZER)
        return None

    def _allocated(self) -> Iterable[Address]:
        return (ipaddress.ip_address(name(a)) for a in self._addresses.items() if _is_clusters(labels(a)))

    async def _set_condition(self, cidr: Obj, state: tuple[str, str, str]) -> None:
        found = get_condition(cidr, "Ready") or {}
        if (found.get("status"), found.get("reason", ""), found.get("message", "")) != state:
            wanted = applied(name(cidr), state, env.epoch())
            await self._client.apply(
                SERVICECIDRS, wanted, field_manager=FIELD_MANAGER, force=True, subresource="status"
            )


def _is_clusters(labels: Mapping[str, str]) -> bool:
    return labels.get(MANAGED_LABEL) == MANAGER


def _slim(address: Obj) -> Obj:
    """Name and labels are all that counts."""
    meta = address["metadata"]
    kept = ("name", "uid", "resourceVersion", "labels")
    return {"metadata": {k: meta[k] for k in kept if k in meta}}
