"""IPAddress objects of services: there is one for each cluster IP, and it comes and goes with it.

They are written in the transaction that writes the service (`Served.companions`), so none is left over and no two
services, not even of two API servers, get one address. What people do to these objects is put right by `run`, which also
makes those that a state from before lacks. Source: upstream pkg/registry/core/service/ipallocator.
"""

import asyncio
import ipaddress
import logging

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from skiff.api.gvr import IPADDRESSES, SERVICES
from skiff.api.managedfields import track_update
from skiff.api.times import format_time
from skiff.api.types import Obj
from skiff.apiserver import metadata
from skiff.apiserver.allocators import (
    DEFAULT_SERVICE_CIDR,
    IPAddress,
    ServiceAllocators,
    parent_of,
    parse_ip,
    service_addresses,
)
from skiff.apiserver.registry import Registry
from skiff.apiserver.served import Served
from skiff.client.rest import Client
from skiff.store import Delete, Put

log = logging.getLogger(__name__)

FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGER = "ipallocator.k8s.io"
RETRY_S = 1.0


def ip_address(ip: IPAddress, service: Obj) -> Obj:
    """The object for a service's address. service: as far as its name."""
    meta = service["metadata"]
    return {
        "apiVersion": IPADDRESSES.api_version,
        "kind": IPADDRESSES.kind,
        "metadata": {"name": str(ip), "labels": {FAMILY_LABEL: f"IPv{ip.version}", MANAGED_LABEL: MANAGER}},
        "spec": {"parentRef": {"resource": "services", "namespace": meta["namespace"], "name": meta["name"]}},
    }


class ServiceIPs:
    def __init__(self, registry: Registry, allocators: ServiceAllocators, client: Client):
        self._registry = registry
        self._allocators = allocators
        self._client = client
        self._served = registry.served(IPADDRESSES)
        self._suspects: set[str] = set()
        self._changed = asyncio.Event()
        services = registry.served(SERVICES)
        if services is not None and self._served is not None:
            services.companions = self.companions
            registry.lookup.subscribe(IPADDRESSES, self._address_changed)

    # --- with the service

    def companions(self, old: Obj | None, new: Obj | None) -> list[Put | Delete]:
        """What is to be written together with this change of a service."""
        before, after = service_addresses(old), service_addresses(new)
        ops: list[Put | Delete] = []
        for ip in before:
            if ip not in after and self._parent(ip) == _key(old):
                ops.append(Delete(self._need().codec.key("", str(ip))))
        for ip in after:
            if ip not in before and self._parent(ip) != _key(new):
                assert new is not None
                ops.append(self._put(ip_address(ip, new)))
        return ops

    def _put(self, obj: Obj) -> Put:
        served = self._need()
        served.resource.default(obj)
        manager, now = "kube-apiserver", format_time(env.epoch())
        track_update(obj, None, served.node, manager=manager, api_version=served.gvr.api_version, now=now)
        metadata.fill(obj["metadata"])
        return Put(served.codec.key("", obj["metadata"]["name"]), served.value(obj), expected=0)

    def _need(self) -> Served:
        assert self._served is not None
        return self._served

    def _parent(self, ip: IPAddress) -> str:
        found = self._registry.lookup.get(IPADDRESSES, "", str(ip))
        return parent_of(found) if found is not None else ""

    # --- putting right

    def _address_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Nothing happens to most of them apart from their service."""
        ip = parse_ip((new or old or {})["metadata"]["name"])
        if ip is not None and self._is_wrong(ip):
            self._suspects.add(str(ip))
            self._changed.set()

    def _is_wrong(self, ip: IPAddress) -> bool:
        """Whether the object and the services do not agree, as the caches know it now."""
        owner = self._allocators.owner(ip)
        found = self._registry.lookup.get(IPADDRESSES, "", str(ip))
        if found is None or not owner:
            return bool(owner) if found is None else _is_ours(found)
        return parent_of(found) != owner or not _is_ours(found)

    async def run(self) -> None:
        """Until cancelled."""
        lookup = self._registry.lookup
        everything = [ip for service in lookup.list(SERVICES) for ip in service_addresses(service)]
        self._suspects |= {str(ip) for ip in everything} | {a["metadata"]["name"] for a in lookup.list(IPADDRESSES)}
        while True:
            await self._allocators.catch_up("default", DEFAULT_SERVICE_CIDR)
            try:
                while self._suspects:
                    text = next(iter(sorted(self._suspects)))
                    await self._repair(ipaddress.ip_address(text))
                    self._suspects.discard(text)
            except (StatusError, ConnectionError) as e:
                log.warning("A cluster IP's object could not be put right", extra={"error": str(e)})
                await asyncio.sleep(RETRY_S)
                continue
            await self._changed.wait()
            self._changed.clear()

    async def _repair(self, ip: IPAddress) -> None:
        if not self._is_wrong(ip):
            return
        owner = self._allocators.owner(ip)
        found = self._registry.lookup.get(IPADDRESSES, "", str(ip))
        log.warning("The object of a cluster IP is put right", extra={"address": str(ip), "service": owner})
        try:
            if found is not None:
                await self._client.delete(IPADDRESSES, str(ip), uid=found["metadata"]["uid"])
            if owner:
                namespace, _, name = owner.partition("/")
                await self._client.create(
                    IPADDRESSES, ip_address(ip, {"metadata": {"namespace": namespace, "name": name}})
                )
        except StatusError as e:
            if not (is_not_found(e) or is_already_exists(e) or is_conflict(e)):
                raise


def _key(service: Obj | None) -> str:
    meta = (service or {})["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _is_ours(address: Obj) -> bool:
    return (address["metadata"].get("labels") or {}).get(MANAGED_LABEL) == MANAGER
