"""Mirrors Endpoints that people write by hand into EndpointSlices, which is what proxies and DNS read.

Only for services without a selector; the label endpointslice.kubernetes.io/skip-mirror keeps Endpoints out. At most 1000
addresses of each subset. Source: upstream pkg/controller/endpointslicemirroring.
"""

import ipaddress
from collections.abc import Iterable

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import ENDPOINTS, ENDPOINTSLICES, SERVICES
from skiff.api.meta import annotations, is_being_deleted, labels, name, namespace, new_controller_ref
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import services, slices
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.meta import spec
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MAX_PER_SUBSET = 1000
_NOT_COPIED = frozenset({services.TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration"})
_RESERVED = frozenset({slices.SERVICE_NAME, slices.MANAGED_BY, services.HEADLESS})


def is_mirrored(endpoints: Obj | None, service: Obj | None) -> bool:
    if endpoints is None or service is None or spec(service).get("selector") is not None:
        return False
    return labels(endpoints).get(SKIP) != "true" and LEADER not in annotations(endpoints)


def owner_of(endpoints: Obj) -> slices.Owner:
    own = {k: v for k, v in labels(endpoints).items() if k not in _RESERVED}
    wanted = {**own, slices.SERVICE_NAME: name(endpoints), slices.MANAGED_BY: CONTROLLER}
    reference = new_controller_ref(endpoints, ENDPOINTS)
    return slices.Owner(name(endpoints), namespace(endpoints), reference, wanted, placeholder=False)


def desired(endpoints: Obj) -> dict[str, list[tuple[list[Obj], Obj]]]:
    """Per address type the (ports, endpoint) pairs. Addresses that are none are left out."""
    found: dict[str, list[tuple[list[Obj], Obj]]] = {"IPv4": [], "IPv6": []}
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        ready = [(a, True) for a in subset.get("addresses") or ()]
        other = [(a, False) for a in subset.get("notReadyAddresses") or ()]
        for address, is_ready in [*ready, *other][:MAX_PER_SUBSET]:
            if family := _family(address["ip"]):
                found[family].append((ports, _endpoint(address, is_ready)))
    return found


def _family(ip: str) -> str:
    try:
        return f"IPv{ipaddress.ip_address(ip).version}"
    except ValueError:
        return ""


def _port(port: Obj) -> Obj:
    made = {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
    return {**made, "appProtocol": port["appProtocol"]} if port.get("appProtocol") else made


def _endpoint(address: Obj, ready: bool) -> Obj:
    made = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return made | {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}


class EndpointSliceMirroringController:
    name = "endpointslice-mirroring-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._endpoints = informers.get(ENDPOINTS)
        self._services = informers.get(SERVICES)
        self._slices = slices.slices_by_service(informers)
        self._fresh = Freshness(self._slices)

    def watches(self) -> list[Watch]:
        return [Watch(ENDPOINTS), Watch(SERVICES), Watch(ENDPOINTSLICES, self._slice_changed)]

    def _slice_changed(self, change: Change) -> Iterable[Key]:
        versions = (s for s in (change.old, change.new) if s is not None)
        return {slices.service_key(s) for s in versions if labels(s).get(slices.MANAGED_BY) == CONTROLLER}

    async def reconcile(self, key: Key) -> float | None:
        endpoints, service = self._endpoints.get(*split_key(key)), self._services.get(*split_key(key))
        if not self._fresh.fresh(key):
            return None
        existing = [
            s
            for s in self._slices.by_index(slices.SERVICE_NAME, key)
            if labels(s).get(slices.MANAGED_BY) == CONTROLLER and not is_being_deleted(s)
        ]
        if endpoints is None or not is_mirrored(endpoints, service):
            for s in existing:
                await self._delete(s)
            return None
        todo = slices.plan(owner_of(endpoints), existing, desired(endpoints), maximum=MAX_PER_SUBSET)
        try:
            await self._write(endpoints, todo)
        except StatusError as err:
            if has_cause(err, NAMESPACE_TERMINATING):
                return None
            text = f"Error updating Endpoint Slices for Endpoints {key}: {err.message}"
            self._recorder.event(endpoints, "Warning", "FailedToUpdateEndpointSlices", text)
            raise
        return None

    async def _write(self, endpoints: Obj, todo: slices.Plan) -> None:
        key = key_of(endpoints)
        noted = {k: v for k, v in annotations(endpoints).items() if k not in _NOT_COPIED}
        for s in [] if is_being_deleted(endpoints) else todo.create:
            made = {**s, "metadata": {**s["metadata"], "annotations": noted}}
            self._fresh.wrote(key, await self._client.create(ENDPOINTSLICES, made, namespace(endpoints)))
        for s in todo.update:
            changed = {**s, "metadata": {**s["metadata"], "annotations": noted}}
            self._fresh.wrote(key, await self._client.update(ENDPOINTSLICES, changed))
        for s in todo.delete:
            await self._delete(s)

    async def _delete(self, s: Obj) -> None:
        try:
            await self._client.delete(ENDPOINTSLICES, name(s), namespace(s))
        except StatusError as err:
            if not is_not_found(err):
                raise
