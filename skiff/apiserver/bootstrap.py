"""What a cluster has from its first moment: system namespaces, priority classes, the default ServiceCIDR, and the
`kubernetes` service with its endpoints, so that pods reach the API.

All of it is brought back when it is deleted or changed: `Bootstrap.run` waits for changes of these few objects and
makes sure again. It works through a Client like everybody else. Source: upstream pkg/controlplane.
"""

import asyncio
import ipaddress
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from skiff.api.gvr import (
    CONFIGMAPS,
    ENDPOINTS,
    ENDPOINTSLICES,
    NAMESPACES,
    PRIORITYCLASSES,
    SERVICECIDRS,
    SERVICES,
)
from skiff.api.meta import get_condition
from skiff.api.times import format_time
from skiff.api.types import GVR, Obj
from skiff.apiserver.lookup import Lookup
from skiff.client.rest import Client

log = logging.getLogger(__name__)

SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
NAME = "kubernetes"
TOKEN_TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
EXTENSION_AUTH = "extension-apiserver-authentication"
CIDR_MANAGER = "kubernetes-service-cidr-controller"
LABELS = {"component": "apiserver", "provider": "kubernetes"}
PRIORITIES = (
    (
        "system-cluster-critical",
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)
ATTEMPTS = 5
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the API is reached. service_ip: the first address of the service range; "" makes no service.
    advertise: the server's own address, port: its secure port. service_cidrs: the ranges of cluster IPs;
    none makes no ServiceCIDR."""

    service_ip: str
    advertise: str
    port: int
    service_cidrs: tuple[str, ...] = ()


def advertised(wanted: str, bound: Sequence[str]) -> str:
    """The address to publish: the one asked for, else one that is listened on, else that of the default route (as
    upstream's ResolveBindAddress). Loopback when the machine has no other."""
    for address in (wanted, *bound):
        if address and not _is_local(address):
            return address
    return wanted or _default_address() or bound[-1]


def _is_local(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address == "localhost"
    return ip.is_loopback or ip.is_unspecified


def _default_address() -> str:
    """From where this machine would reach the world; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def system_objects() -> Iterator[tuple[GVR, Obj]]:
    for name in SYSTEM_NAMESPACES:
        yield NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, value, description in PRIORITIES:
        yield (
            PRIORITYCLASSES,
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": description,
            },
        )


def service(addresses: Addresses) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": "default", "labels": dict(LABELS)},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": addresses.service_ip,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": addresses.port}],
            "sessionAffinity": "None",
        },
    }


def endpoints(addresses: Addresses) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": NAME,
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": addresses.advertise}],
                "ports": [{"name": "https", "port": addresses.port, "protocol": "TCP"}],
            }
        ],
    }


def endpoint_slice(addresses: Addresses) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": "default", "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv6" if ":" in addresses.advertise else "IPv4",
        "endpoints": [{"addresses": [addresses.advertise], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": addresses.port, "protocol": "TCP"}],
    }


def service_cidr(addresses: Addresses) -> Obj:
    return {
        "apiVersion": SERVICECIDRS.api_version,
        "kind": SERVICECIDRS.kind,
        "metadata": {"name": NAME},
        "spec": {"cidrs": list(addresses.service_cidrs)},
    }


def readiness(now: float) -> Obj:
    """The status of the default ServiceCIDR, as it is applied."""
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
        "lastTransitionTime": format_time(now),
    }
    head = {"apiVersion": SERVICECIDRS.api_version, "kind": SERVICECIDRS.kind, "metadata": {"name": NAME}}
    return {**head, "status": {"conditions": [condition]}}


class Bootstrap:
    """`ensure` brings everything into the cluster once; `run` keeps it there."""

    def __init__(self, client: Client, lookup: Lookup, addresses: Addresses | None):
        self._client = client
        self._changed = asyncio.Event()
        self._addresses = addresses
        self.done = False
        for gvr in (NAMESPACES, *((SERVICECIDRS, SERVICES, ENDPOINTS, ENDPOINTSLICES) if addresses else ())):
            lookup.subscribe(gvr, self._look)

    def _look(self, old: Obj | None, new: Obj | None) -> None:
        """One of ours was changed or deleted."""
        if old is None or not self.done:
            return
        name = old["metadata"]["name"]
        if name == NAME or (new is None and name in SYSTEM_NAMESPACES):
            self._changed.set()

    async def ensure(self) -> None:
        """Raises StatusError, ConnectionError."""
        for gvr, obj in system_objects():
            await self._ensure(gvr, obj)
        if self._addresses is not None:
            if self._addresses.service_cidrs:
                await self._ensure_service_cidr(self._addresses)
            await self._ensure(SERVICES, service(self._addresses))
            if _is_local(self._addresses.advertise):
                log.warning(
                    "The kubernetes service gets no endpoints: pods cannot reach %s; give another --advertise-address",
                    self._addresses.advertise,
                )
                self.done = True
                return
            await self._ensure(ENDPOINTS, endpoints(self._addresses), "subsets")
            await self._ensure(ENDPOINTSLICES, endpoint_slice(self._addresses), "endpoints", "ports")
        self.done = True

    async def _ensure_service_cidr(self, addresses: Addresses) -> None:
        """Only what is missing: a second family, the condition. Who changes the ranges or the condition has reasons."""
        wanted = service_cidr(addresses)
        await self._ensure(SERVICECIDRS, wanted)
        found = await self._client.get(SERVICECIDRS, NAME)
        cidrs = list(addresses.service_cidrs)
        if len(cidrs) == 2 and found["spec"]["cidrs"] == cidrs[:1]:
            found = await self._client.update(SERVICECIDRS, {**found, "spec": wanted["spec"]})
        if found["spec"]["cidrs"] != cidrs:
            log.warning(
                "The default ServiceCIDR does not match the flags",
                extra={"found": found["spec"]["cidrs"], "flags": cidrs},
            )
        elif get_condition(found, "Ready") is None and not found["metadata"].get("deletionTimestamp"):
            status = readiness(env.epoch())
            await self._client.apply(SERVICECIDRS, status, field_manager=CIDR_MANAGER, force=True, subresource="status")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.ensure()
            except (StatusError, ConnectionError) as e:
                log.warning("The cluster's own objects could not be made", extra={"error": str(e)})
                self._changed.set()
                await asyncio.sleep(RETRY_S)

    async def _ensure(self, gvr: GVR, wanted: Obj, *owned: str) -> None:
        """Creates what is missing; of what exists only the `owned` fields are ours to set."""
        name, namespace = wanted["metadata"]["name"], wanted["metadata"].get("namespace", "")
        for _ in range(ATTEMPTS):
            try:
                existing = await self._client.get(gvr, name, namespace)
            except StatusError as e:
                if not is_not_found(e):
                    raise
                try:
                    await self._client.create(gvr, wanted)
                    return
                except StatusError as e:
                    if not is_already_exists(e):
                        raise
                continue
            if all(_same(wanted[f], existing.get(f)) for f in owned):
                return
            try:
                await self._client.update(gvr, {**existing, **{f: wanted[f] for f in owned}})
                return
            except StatusError as e:
                if not is_conflict(e):
                    raise


def _same(wanted: object, found: object) -> bool:
    """Whether everything wanted is there; defaults that the server has added do not count."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_same(v, found.get(k)) for k, v in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(wanted) != len(found):
            return False
        return all(_same(w, f) for w, f in zip(wanted, found, strict=True))
    return wanted == found


async def ensure_config_map(client: Client, name: str, data: dict[str, str]) -> None:
    """A config map of kube-system that holds (at least) this. Raises StatusError, ConnectionError."""
    for _ in range(ATTEMPTS):
        try:
            found = await client.get(CONFIGMAPS, name, "kube-system")
            if not _same(data, found.get("data") or {}):
                await client.update(CONFIGMAPS, {**found, "data": {**(found.get("data") or {}), **data}})
            return
        except StatusError as e:
            if is_conflict(e):
                continue
            if not is_not_found(e):
                raise
        try:
            meta = {"name": name, "namespace": "kube-system"}
            await client.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
            return
        except StatusError as e:
            if not is_already_exists(e):
                raise


async def ensure_token_tracking(client: Client) -> None:
    """Since when tokens in secrets are known to be used or not: a day that is written once. Upstream's
    legacytokentracking controller. Raises StatusError, ConnectionError."""
    today = format_time(env.epoch())[:10]
    try:
        found = await client.get(CONFIGMAPS, TOKEN_TRACKING, "kube-system")
        since = (found.get("data") or {}).get("since", "")
    except StatusError as e:
        if not is_not_found(e):
            raise
        since = ""
    if not _DAY.fullmatch(since) or since > today:
        await ensure_config_map(client, TOKEN_TRACKING, {"since": today})


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
