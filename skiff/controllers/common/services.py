"""From services and pods to endpoints: what the two endpoint controllers share.

Pure, apart from `Triggers`, which remembers. Source: upstream staging k8s.io/endpointslice (utils.go, util/).
"""

import ipaddress
from collections.abc import Iterable

from skiff.api import selectors
from skiff.api.meta import is_being_deleted, is_pod_ready, is_pod_terminal, labels, name, namespace, uid
from skiff.api.types import Obj
from skiff.client.controller import Key, key_of
from skiff.client.informer import Change, Informer
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds, timestamp

HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def has_endpoints(service: Obj) -> bool:
    """Whether its endpoints are ours to write: it selects pods and is not a mere name."""
    return bool(spec(service).get("selector")) and spec(service).get("type") != "ExternalName"


def has_cluster_ip(service: Obj) -> bool:
    return spec(service).get("clusterIP") not in (None, "", "None")


def selects(service: Obj, pod_labels: dict[str, str] | None) -> bool:
    return selectors.from_set(spec(service)["selector"]).matches(pod_labels)


def selected_pods(service: Obj, pods: Informer) -> list[Obj]:
    """In order of name, so that equal states give equal endpoints."""
    matches = selectors.from_set(spec(service)["selector"]).matches
    found = [pod for pod in pods.items(namespace(service)) if matches(labels(pod))]
    return sorted(found, key=name)


def belongs(pod: Obj, *, terminating_too: bool) -> bool:
    """Whether the pod is an endpoint at all: it has an address and may still answer."""
    has_ip = bool(status(pod).get("podIP") or status(pod).get("podIPs"))
    return has_ip and not is_pod_terminal(pod) and (terminating_too or not is_being_deleted(pod))


def service_keys(services: Informer, change: Change) -> list[Key]:
    """Services whose endpoints a pod's change may alter; none for a change that endpoints do not show."""
    if change.old and change.new and _facts(change.old) == _facts(change.new):
        return []
    versions = [pod for pod in (change.old, change.new) if pod is not None]
    return sorted(
        key_of(service)
        for service in services.items(namespace(change.object))
        if spec(service).get("selector") and any(selects(service, dict(labels(pod))) for pod in versions)
    )


def _facts(pod: Obj) -> tuple[object, ...]:
    ips = [ip.get("ip") for ip in status(pod).get("podIPs") or ()]
    names = (spec(pod).get("hostname"), spec(pod).get("subdomain"), spec(pod).get("nodeName"))
    return labels(pod), is_being_deleted(pod), is_pod_terminal(pod), is_pod_ready(pod), ips, names, uid(pod)


def pod_addresses(pod: Obj, family: str) -> list[str]:
    """The pod's IPs of a family (IPv4, IPv6), in canonical text."""
    wanted = 6 if family == "IPv6" else 4
    parsed = (ipaddress.ip_address(ip["ip"]) for ip in status(pod).get("podIPs") or () if ip.get("ip"))
    return [str(ip) for ip in parsed if ip.version == wanted]


def families(service: Obj) -> list[str]:
    """The address types of its slices, in the service's order."""
    if found := spec(service).get("ipFamilies"):
        return list(found)
    if has_cluster_ip(service):
        return ["IPv6" if ":" in spec(service)["clusterIP"] else "IPv4"]
    return ["IPv4", "IPv6"]


def hostname(pod: Obj, service: Obj) -> str:
    """The name under which DNS shows the pod within the service; "" for none."""
    if spec(pod).get("subdomain") == name(service) and namespace(pod) == namespace(service):
        return str(spec(pod).get("hostname") or "")
    return ""


def find_port(pod: Obj, service_port: Obj) -> int | None:
    """The container port behind a service port; None if the pod has none of the wanted name."""
    target = service_port.get("targetPort", service_port.get("port"))
    if isinstance(target, int):
        return target
    sidecars = [c for c in spec(pod).get("initContainers") or () if c.get("restartPolicy") == "Always"]
    protocol = service_port.get("protocol", "TCP")
    for container in [*(spec(pod).get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def target_ref(pod: Obj) -> Obj:
    return {"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod)}


class Triggers:
    """Since when a change of endpoints has been due: the earliest new readiness among the pods. For measuring latency;
    it stands in an annotation of what is written."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[float, dict[str, float]]] = {}

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    def observe(self, service: Obj, pods: Iterable[Obj]) -> str:
        """The time as text, "" if nothing new has happened."""
        created = seconds(service["metadata"].get("creationTimestamp")) or 0.0
        now = {name(pod): time for pod in pods if (time := _ready_changed(pod)) is not None}
        before = self._known.get(key_of(service))
        self._known[key_of(service)] = (created, now)
        if before is None:
            return timestamp(created) if created else ""
        changed = [time for pod, time in now.items() if time > before[1].get(pod, 0.0)]
        if created > before[0]:
            changed.append(created)
        return timestamp(min(changed)) if changed else ""


def _ready_changed(pod: Obj) -> float | None:
    found = next((c for c in status(pod).get("conditions") or () if c["type"] == "Ready"), None)
    return seconds(found.get("lastTransitionTime")) if found else None
