"""Endpoints, the elder of EndpointSlices: one object per service, under its name, with subsets of addresses and ports.

At most 1000 addresses; the rest is cut off and an annotation says so. Source: upstream pkg/controller/endpoint.
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import orjson

from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import ENDPOINTS, PODS, SERVICES
from skiff.api.meta import annotations, is_pod_ready, labels, name, namespace
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, key_of, split_key
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common import services
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.meta import spec
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause

MAX_CAPACITY = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"


def address(pod: Obj, service: Obj) -> Obj | None:
    """None if the pod has no address of the service's first family."""
    found = services.pod_addresses(pod, _family(service, pod))
    if not found:
        return None
    made: Obj = {"ip": found[0], "nodeName": spec(pod).get("nodeName", ""), "targetRef": services.target_ref(pod)}
    if hostname := services.hostname(pod, service):
        made["hostname"] = hostname
    return made


def _family(service: Obj, pod: Obj) -> str:
    if spec(service).get("ipFamilies") or services.has_cluster_ip(service):
        return services.families(service)[0]
    return "IPv6" if ":" in str(pod["status"].get("podIP", "")) else "IPv4"


def endpoint_ports(pod: Obj, service: Obj) -> list[Obj | None]:
    """One None for a headless service without ports: its addresses stand without any."""
    ports = spec(service).get("ports") or []
    if not ports:
        return [None] if spec(service).get("clusterIP") == "None" else []
    found: list[Obj | None] = []
    for port in ports:
        number = services.find_port(pod, port)
        if number is not None:
            made = {"port": number, "protocol": port.get("protocol", "TCP")}
            made.update({key: port[key] for key in ("name", "appProtocol") if port.get(key)})
            found.append(made)
    return found


def subsets(service: Obj, pods: Iterable[Obj]) -> list[Obj]:
    """Addresses with the same ports stand together: first the addresses per port, then the ports per set of
    addresses. Everything sorted, so that equal states are equal lists."""
    not_ready_too = bool(spec(service).get("publishNotReadyAddresses"))
    by_port: dict[bytes, dict[tuple[str, str], tuple[Obj, bool]]] = {}
    for pod in pods:
        if not services.belongs(pod, terminating_too=not_ready_too):
            continue
        found = address(pod, service)
        if found is None:
            continue
        for port in endpoint_ports(pod, service):
            hosts = by_port.setdefault(_dump(port), {})
            hosts[found["ip"], found["targetRef"]["uid"]] = (found, not_ready_too or is_pod_ready(pod))
    by_hosts: dict[bytes, tuple[list[tuple[Obj, bool]], list[Obj]]] = {}
    for key, hosts in sorted(by_port.items()):
        flat = [hosts[host] for host in sorted(hosts)]
        ports = by_hosts.setdefault(_dump(flat), (flat, []))[1]
        if (port := orjson.loads(key)) is not None:
            ports.append(port)
    return [_subset(flat, ports) for _, (flat, ports) in sorted(by_hosts.items())]


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _subset(hosts: list[tuple[Obj, bool]], ports: list[Obj]) -> Obj:
    parts = {
        "addresses": [a for a, ready in hosts if ready],
        "notReadyAddresses": [a for a, ready in hosts if not ready],
        "ports": ports,
    }
    return {key: value for key, value in parts.items() if value}


def truncate(found: list[Obj], maximum: int = MAX_CAPACITY) -> bool:
    """In place; whether anything was cut. Ready addresses come first; subsets lose in proportion to their size."""
    ready, not_ready = (sum(len(s.get(key, ())) for s in found) for key in ("addresses", "notReadyAddresses"))
    if ready + not_ready <= maximum:
        return False
    cut, total, room = (
        ("addresses", ready, maximum) if ready > maximum else ("notReadyAddresses", not_ready, maximum - ready)
    )
    left = room
    for s in found:
        size = len(s.get(cut, ()))
        share = min(left, -(-size * room // total))
        left -= share if share < size else size
        if cut == "addresses":
            s.pop("notReadyAddresses", None)
        _shorten(s, cut, share)
    return True


def _shorten(s: Obj, key: str, size: int) -> None:
    kept = s.get(key, [])[:size]
    if kept:
        s[key] = kept
    else:
        s.pop(key, None)


def wanted_labels(service: Obj) -> dict[str, str]:
    own = {k: v for k, v in labels(service).items() if k != services.HEADLESS}
    if not services.has_cluster_ip(service):
        own[services.HEADLESS] = ""
    return {**own, MANAGED_BY: CONTROLLER}


class EndpointsController:
    name = "endpoints-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._services = informers.get(SERVICES)
        self._pods = informers.get(PODS)
        self._endpoints = informers.get(ENDPOINTS)
        self._triggers = services.Triggers()
        self._freshness = Freshness(self._endpoints)

    def watches(self) -> list[Watch]:
        return [
            Watch(SERVICES),
            Watch(PODS, lambda change: services.service_keys(self._services, change)),
            Watch(ENDPOINTS, self._endpoints_changed),
        ]

    def _endpoints_changed(self, change: Change) -> Iterable[Key]:
        return [key_of(change.object)] if labels(change.object).get(MANAGED_BY) == CONTROLLER else []

    async def reconcile(self, key: Key) -> float | None:
        service = self._services.get(*split_key(key))
        if service is None:
            await self._remove(key)
            return None
        if not services.has_endpoints(service) or not self._freshness.fresh(key):
            return None
        pods = services.selected_pods(service, self._pods)
        trigger = self._triggers.observe(service, pods)
        current = self._endpoints.get(*split_key(key))
        wanted = self._wanted(service, subsets(service, pods), current, trigger)
        if current is not None and _same(current, wanted):
            return None
        await self._write(service, wanted, create=current is None)
        return None

    def _wanted(self, service: Obj, found: list[Obj], current: Obj | None, trigger: str) -> Obj:
        base = current or {"metadata": {"name": name(service), "namespace": namespace(service)}}
        found = deepcopy(found)
        noted = dict(annotations(base))
        for key, value in (
            (services.TRIGGER_TIME, trigger),
            (OVER_CAPACITY, "truncated" if truncate(found) else ""),
        ):
            noted.pop(key, None)
            if value:
                noted[key] = value
        made: Obj = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {**base["metadata"], "labels": wanted_labels(service), "annotations": noted},
        }
        if found:
            made["subsets"] = found
        return made

    async def _write(self, service: Obj, wanted: Obj, *, create: bool) -> None:
        try:
            if create:
                made = await self._client.create(ENDPOINTS, wanted, namespace(service))
            else:
                made = await self._client.update(ENDPOINTS, wanted)
        except StatusError as err:
            if create and has_cause(err, NAMESPACE_TERMINATING):
                return
            what = "create endpoint for service" if create else "update endpoint"
            reason = "FailedToCreateEndpoint" if create else "FailedToUpdateEndpoint"
            text = f"Failed to {what} {namespace(service)}/{name(service)}: {err.message}"
            self._recorder.event(wanted, "Warning", reason, text)
            raise
        self._freshness.wrote(key_of(service), made)

    async def _remove(self, key: Key) -> None:
        self._triggers.forget(key)
        self._freshness.forget(key)
        current = self._endpoints.get(*split_key(key))
        if current is None or labels(current).get(MANAGED_BY) != CONTROLLER:
            return
        try:
            await self._client.delete(ENDPOINTS, name(current), namespace(current))
        except StatusError as err:
            if not is_not_found(err):
                raise


def _same(current: Obj, wanted: Obj) -> bool:
    """Apart from the trigger time, which alone is no reason to write. The headless label is not compared either."""
    over = annotations(current).get(OVER_CAPACITY) == annotations(wanted).get(OVER_CAPACITY)
    mine, theirs = ({k: v for k, v in labels(e).items() if k != services.HEADLESS} for e in (current, wanted))
    return bool(over and mine == theirs and (current.get("subsets") or []) == (wanted.get("subsets") or []))
