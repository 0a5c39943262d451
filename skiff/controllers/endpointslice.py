"""EndpointSlices: for each service with a selector, the addresses of its pods in slices of at most a hundred.

Guarantees: slices that need no change are not written; what changes is written with as few writes as can be; slices of
other owners under the same service are not touched. Topology hints are not set.
Source: upstream staging k8s.io/endpointslice (reconciler.go) and pkg/controller/endpointslice.
"""

from collections.abc import Iterable

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import ENDPOINTSLICES, NODES, PODS, SERVICES
from skiff.api.meta import is_being_deleted, is_pod_ready, labels, name, namespace, new_controller_ref
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import services, slices
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.meta import spec
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause

MAX_ENDPOINTS = 100
CONTROLLER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
NODE_MISSING_RETRY_S = 1.0
_RESERVED = frozenset({slices.SERVICE_NAME, slices.MANAGED_BY, services.HEADLESS})


def endpoint(pod: Obj, service: Obj, family: str, zone: str) -> Obj:
    serving = is_pod_ready(pod)
    terminating = is_being_deleted(pod)
    ready = bool(spec(service).get("publishNotReadyAddresses")) or (serving and not terminating)
    made: Obj = {
        "addresses": services.pod_addresses(pod, family),
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": services.target_ref(pod),
    }
    for key, value in (
        ("nodeName", spec(pod).get("nodeName")),
        ("zone", zone),
        ("hostname", services.hostname(pod, service)),
    ):
        if value:
            made[key] = value
    return made


def endpoint_ports(pod: Obj, service: Obj) -> list[Obj]:
    """In the service's order. Ports that the pod does not have are left out."""
    found = []
    for port in spec(service).get("ports") or ():
        number = services.find_port(pod, port)
        if number is None:
            continue
        made = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            made["appProtocol"] = port["appProtocol"]
        found.append(made)
    return found


def slice_labels(service: Obj) -> dict[str, str]:
    own = {k: v for k, v in labels(service).items() if k not in _RESERVED}
    if not services.has_cluster_ip(service):
        own[services.HEADLESS] = ""
    return {**own, slices.SERVICE_NAME: name(service), slices.MANAGED_BY: CONTROLLER}


def owner_of(service: Obj) -> slices.Owner:
    reference = new_controller_ref(service, SERVICES)
    return slices.Owner(name(service), namespace(service), reference, slice_labels(service))


class EndpointSliceController:
    name = "endpointslice-controller"
    workers = 5

    def __init__(
        self, *, client: Client, informers: Informers, recorder: Recorder, max_endpoints_per_slice: int = MAX_ENDPOINTS
    ):
        self._client = client
        self._recorder = recorder
        self._maximum = max_endpoints_per_slice
        self._services = informers.get(SERVICES)
        self._pods = informers.get(PODS)
        self._nodes = informers.get(NODES)
        self._slices = slices.slices_by_service(informers)
        self._triggers = services.Triggers()
        self._freshness = Freshness(self._slices)

    def watches(self) -> list[Watch]:
        return [
            Watch(SERVICES),
            Watch(PODS, lambda change: services.service_keys(self._services, change)),
            Watch(ENDPOINTSLICES, self._slice_changed),
            Watch(NODES, lambda change: ()),
        ]

    def _slice_changed(self, change: Change) -> Iterable[Key]:
        versions = (
            s for s in (change.old, change.new) if s is not None and labels(s).get(slices.MANAGED_BY) == CONTROLLER
        )
        return {slices.service_key(s) for s in versions}

    async def reconcile(self, key: Key) -> float | None:
        service = self._services.get(*split_key(key))
        if service is None:
            self._triggers.forget(key)
            self._freshness.forget(key)
            return None
        if not services.has_endpoints(service) or not self._freshness.fresh(key):
            return None
        pods = services.selected_pods(service, self._pods)
        existing = [
            s
            for s in self._slices.by_index(slices.SERVICE_NAME, key)
            if labels(s).get(slices.MANAGED_BY) == CONTROLLER and not is_being_deleted(s)
        ]
        desired, complete = self._desired(service, pods)
        trigger = self._triggers.observe(service, pods)
        try:
            await self._write(
                service, slices.plan(owner_of(service), existing, desired, maximum=self._maximum), trigger
            )
        except StatusError as err:
            if has_cause(err, NAMESPACE_TERMINATING):
                return None
            text = f"Error updating Endpoint Slices for Service {key}: {err.message}"
            self._recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", text)
            raise
        return None if complete else NODE_MISSING_RETRY_S

    def _desired(self, service: Obj, pods: list[Obj]) -> tuple[dict[str, list[tuple[list[Obj], Obj]]], bool]:
        """Per address type; and whether every pod's node was known (one that is not yet leaves its pods out)."""
        complete = True
        desired: dict[str, list[tuple[list[Obj], Obj]]] = {family: [] for family in services.families(service)}
        for pod in pods:
            if not services.belongs(pod, terminating_too=True):
                continue
            node = self._nodes.get("", str(spec(pod).get("nodeName") or ""))
            if node is None and not spec(service).get("publishNotReadyAddresses"):
                complete = False
                continue
            zone = labels(node).get(ZONE, "") if node else ""
            ports = endpoint_ports(pod, service)
            for family, pairs in desired.items():
                pairs.append((ports, endpoint(pod, service, family, zone)))
        return desired, complete

    async def _write(self, service: Obj, todo: slices.Plan, trigger: str) -> None:
        key = key_of(service)
        creations = [] if is_being_deleted(service) else todo.create
        for s in creations:
            made = await self._client.create(ENDPOINTSLICES, _triggered(s, trigger), namespace(service))
            self._freshness.wrote(key, made)
        for s in todo.update:
            self._freshness.wrote(key, await self._client.update(ENDPOINTSLICES, _triggered(s, trigger)))
        for s in todo.delete:
            try:
                await self._client.delete(ENDPOINTSLICES, name(s), namespace(s))
            except StatusError as err:
                if not is_not_found(err):
                    raise


def _triggered(s: Obj, trigger: str) -> Obj:
    annotations = {k: v for k, v in (s["metadata"].get("annotations") or {}).items() if k != services.TRIGGER_TIME}
    if trigger:
        annotations[services.TRIGGER_TIME] = trigger
    return {**s, "metadata": {**s["metadata"], "annotations": annotations}}
