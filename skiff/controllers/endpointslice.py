"""EndpointSlices: for each service with a selector, the addresses of its pods in slices of at most a hundred.

Guarantees: slices that need no change are not written; what changes is written with as few writes as can be; slices of
other owners under the same service are not touched. Topology hints are not set.
Source: upstream staging k8s.io/endpointslice (reconciler.go) and pkg/controller/endpointslice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import ENDPOINTSLICES, NODES, PODS, SERVICES
from skiff.api.meta import is_being_deleted, is_pod_ready, labels, name, namespace, new_controller_ref, uid
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.informer import Change, Informer, Informers
from skiff.client.rest import Client
from skiff.controllers.common import services
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.meta import spec
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause

MAX_ENDPOINTS = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
NODE_MISSING_RETRY_S = 1.0
_RESERVED = frozenset({SERVICE_NAME, MANAGED_BY, services.HEADLESS})


@dataclass(slots=True)
class Plan:
    """Writes. update: whole new versions; a slice about to be deleted is rather reused for one about to be created."""

    create: list[Obj] = field(default_factory=list)
    update: list[Obj] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)

    def add(self, other: "Plan") -> None:
        self.create += other.create
        self.update += other.update
        self.delete += other.delete


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


def _ports_key(ports: Iterable[Obj] | None) -> bytes:
    return b",".join(sorted(orjson.dumps(p, option=orjson.OPT_SORT_KEYS) for p in ports or ()))


def _identity(e: Obj) -> tuple[Any, ...]:
    """Endpoints with the same identity are versions of one."""
    ref = e.get("targetRef") or {}
    return tuple(sorted(e["addresses"])), e.get("hostname"), ref.get("namespace"), ref.get("name")


def slice_labels(service: Obj) -> dict[str, str]:
    own = {k: v for k, v in labels(service).items() if k not in _RESERVED}
    if not services.has_cluster_ip(service):
        own[services.HEADLESS] = ""
    return {**own, SERVICE_NAME: name(service), MANAGED_BY: CONTROLLER}


def new_slice(service: Obj, family: str, ports: list[Obj]) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name(service)}-",
            "namespace": namespace(service),
            "labels": slice_labels(service),
            "ownerReferences": [new_controller_ref(service, SERVICES)],
        },
        "addressType": family,
        "ports": ports,
        "endpoints": [],
    }


def _owned_by(s: Obj, service: Obj) -> bool:
    return any(r.get("uid") == uid(service) for r in s["metadata"].get("ownerReferences") or ())


def plan(
    service: Obj,
    existing: Sequence[Obj],
    desired: dict[str, list[tuple[list[Obj], Obj]]],
    *,
    maximum: int = MAX_ENDPOINTS,
) -> Plan:
    """desired: per address type the (ports, endpoint) pairs. existing: the service's slices that we manage."""
    result = Plan(delete=[s for s in existing if s["addressType"] not in desired])
    for family, pairs in desired.items():
        of_family = [s for s in existing if s["addressType"] == family]
        result.add(_plan_family(service, family, of_family, pairs, maximum))
    return result


def _plan_family(
    service: Obj, family: str, existing: list[Obj], pairs: list[tuple[list[Obj], Obj]], maximum: int
) -> Plan:
    result = Plan(delete=[s for s in existing if not _owned_by(s, service)])
    groups: dict[bytes, tuple[list[Obj], dict[tuple[Any, ...], Obj]]] = {}
    for ports, e in pairs:
        group = groups.setdefault(_ports_key(ports), (ports, {}))
        if e["addresses"]:
            group[1][_identity(e)] = e
    by_ports: dict[bytes, list[Obj]] = {}
    for s in existing:
        if _owned_by(s, service):
            by_ports.setdefault(_ports_key(s.get("ports")), []).append(s)
    for key, (ports, endpoints) in groups.items():
        result.add(_plan_group(service, by_ports.pop(key, []), endpoints, new_slice(service, family, ports), maximum))
    result.delete += [s for leftover in by_ports.values() for s in leftover]
    if len(result.delete) == len(existing) and not result.create:
        _keep_placeholder(service, result, new_slice(service, family, []))
    _reuse(service, result)
    return result


def _keep_placeholder(service: Obj, result: Plan, placeholder: Obj) -> None:
    """A service without endpoints has one empty slice."""
    only = result.delete[0] if len(result.delete) == 1 else None
    kept = ("labels", "ownerReferences")
    if (
        only is not None
        and not only.get("endpoints")
        and not only.get("ports")
        and all(only["metadata"].get(k) == placeholder["metadata"][k] for k in kept)
    ):
        result.delete.clear()
    else:
        result.create.append(placeholder)


def _reuse(service: Obj, result: Plan) -> None:
    """An update costs watchers less than a deletion and a creation."""
    for s in [s for s in result.delete if _owned_by(s, service)]:
        if not result.create:
            return
        made = result.create.pop()
        metadata = {**s["metadata"], "labels": made["metadata"]["labels"]}
        result.update.append({**made, "metadata": metadata})
        result.delete.remove(s)


def _plan_group(
    service: Obj, existing: list[Obj], desired: dict[tuple[Any, ...], Obj], empty: Obj, maximum: int
) -> Plan:
    """Slices with one set of ports: drop what is gone, then fill up what is written anyway, then one slice that has
    room for all of the rest, then new ones."""
    missing = dict(desired)
    wanted_labels = slice_labels(service)
    changed: list[Obj] = []
    unchanged: list[Obj] = []
    result = Plan()
    for s in existing:
        before = s.get("endpoints") or []
        kept = [missing.pop(_identity(e)) for e in before if _identity(e) in missing]
        relabelled = {**s, "metadata": {**s["metadata"], "labels": wanted_labels}, "endpoints": kept}
        if kept == before and s["metadata"].get("labels") == wanted_labels:
            unchanged.append(s)
        elif before and not kept:
            result.delete.append(s)
        else:
            changed.append(relabelled)
    rest = list(missing.values())
    for s in sorted(changed, key=lambda s: -len(s["endpoints"])):
        _fill(s["endpoints"], rest, maximum)
    while rest:
        fits = [s for s in unchanged if len(s.get("endpoints") or ()) + len(rest) <= maximum]
        if fits:
            fullest = max(fits, key=lambda s: len(s.get("endpoints") or ()))
            unchanged.remove(fullest)
            target = {**fullest, "endpoints": list(fullest.get("endpoints") or ())}
            changed.append(target)
        else:
            target = {**empty, "endpoints": []}
            result.create.append(target)
        _fill(target["endpoints"], rest, maximum)
    result.update = changed
    return result


def _fill(endpoints: list[Obj], rest: list[Obj], maximum: int) -> None:
    room = max(0, maximum - len(endpoints))
    endpoints += rest[:room]
    del rest[:room]


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
        self._slices = slices_by_service(informers)
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
        versions = (s for s in (change.old, change.new) if s is not None and labels(s).get(MANAGED_BY) == CONTROLLER)
        return {service_key(s) for s in versions}

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
            for s in self._slices.by_index(SERVICE_NAME, key)
            if labels(s).get(MANAGED_BY) == CONTROLLER and not is_being_deleted(s)
        ]
        desired, complete = self._desired(service, pods)
        trigger = self._triggers.observe(service, pods)
        try:
            await self._write(service, plan(service, existing, desired, maximum=self._maximum), trigger)
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

    async def _write(self, service: Obj, todo: Plan, trigger: str) -> None:
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


def service_key(s: Obj) -> Key:
    return f"{namespace(s)}/{labels(s).get(SERVICE_NAME, '')}"


def slices_by_service(informers: Informers) -> Informer:
    """The informer of slices, with an index SERVICE_NAME from a service's key to its slices, whoever manages them."""
    informer = informers.get(ENDPOINTSLICES)
    informer.add_index(SERVICE_NAME, lambda s: [service_key(s)])
    return informer
