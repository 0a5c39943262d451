"""What a pod asks for and may use: requests and limits over all of its containers, and the QoS class that follows.

The rules (ordinary containers add up, init containers count by their largest moment, sidecars stay beside what starts
after them, pod-level values win, overhead comes on top) are upstream's: component-helpers/resource and pkg/apis/core/
v1/helper/qos. Quantities that do not parse raise QuantityError; validation has refused those before.
"""

from collections.abc import Mapping
from typing import Any

from skiff.api.meta import is_sidecar
from skiff.api.quantity import Quantity, parse
from skiff.api.types import Obj

Resources = dict[str, Quantity]

_QOS_RESOURCES = ("cpu", "memory")


def quantities(texts: Mapping[str, Any] | None) -> Resources:
    """A ResourceList, parsed."""
    return {k: parse(v) for k, v in texts.items()} if texts else {}


def add(total: Resources, more: Mapping[str, Quantity]) -> None:
    """In place."""
    for k, q in more.items():
        total[k] = total[k] + q if k in total else q


def raise_to(total: Resources, other: Mapping[str, Quantity]) -> None:
    """In place: the larger of the two, resource by resource."""
    for k, q in other.items():
        if k not in total or q > total[k]:
            total[k] = q


def is_pod_level(resource: str) -> bool:
    """Whether the resource may be set for the pod as a whole."""
    return resource in _QOS_RESOURCES or resource.startswith("hugepages-")


def pod_requests(
    pod: Obj, *, overhead: bool = True, use_status: bool = False, defaults: Mapping[str, Quantity] | None = None
) -> Resources:
    """What the scheduler reserves. use_status: count what containers really hold during an in-place resize.
    defaults: for containers that do not name a resource (the scheduler's non-zero requests)."""
    spec = pod["spec"]
    total = _containers(pod, "requests", use_status, defaults or {})
    total.update(_pod_level(spec, "requests"))
    if overhead:
        add(total, quantities(spec.get("overhead")))
    return total


def pod_limits(pod: Obj, *, overhead: bool = True, use_status: bool = False) -> Resources:
    """What the pod may use at most. Overhead is added only to resources that have a limit."""
    spec = pod["spec"]
    total = _containers(pod, "limits", use_status, {})
    total.update(_pod_level(spec, "limits"))
    if overhead:
        for k, q in quantities(spec.get("overhead")).items():
            if total.get(k):
                total[k] = total[k] + q
    return total


def _pod_level(spec: Obj, kind: str) -> Resources:
    texts = (spec.get("resources") or {}).get(kind) or {}
    return {k: parse(v) for k, v in texts.items() if is_pod_level(k)}


def _containers(pod: Obj, kind: str, use_status: bool, defaults: Mapping[str, Quantity]) -> Resources:
    spec = pod["spec"]
    statuses = _statuses(pod) if use_status else {}
    total: Resources = {}
    for container in spec.get("containers") or ():
        add(total, _container(pod, container, kind, statuses, defaults))
    sidecars: Resources = {}
    start: Resources = {}
    for container in spec.get("initContainers") or ():
        sidecar = is_sidecar(container)
        own = _container(pod, container, kind, statuses if sidecar else {}, defaults)
        if sidecar:
            add(total, own)
            add(sidecars, own)
            raise_to(start, sidecars)
        else:
            add(own, sidecars)
            raise_to(start, own)
    raise_to(total, start)
    return total


def _container(
    pod: Obj, container: Obj, kind: str, statuses: Mapping[str, Obj], defaults: Mapping[str, Quantity]
) -> Resources:
    """A fresh dict: the spec's resources, or during a resize the largest of spec, actuated and allocated."""
    own = quantities((container.get("resources") or {}).get(kind))
    status = statuses.get(container.get("name", ""))
    if status and status.get("resources") is not None:
        own = {} if _resize_infeasible(pod) else own
        raise_to(own, quantities(status["resources"].get(kind)))
        if kind == "requests":
            raise_to(own, quantities(status.get("allocatedResources")))
    return {**defaults, **own}


def _statuses(pod: Obj) -> dict[str, Obj]:
    status = pod.get("status") or {}
    found = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    return {s.get("name", ""): s for s in found}


def _resize_infeasible(pod: Obj) -> bool:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodResizePending":
            return condition.get("reason") == "Infeasible"
    return False


def qos_class(pod: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, computed from the spec."""
    requests: Resources = {}
    limits: Resources = {}
    guaranteed = True
    for resources in _qos_parts(pod["spec"]):
        add(requests, _positive(resources.get("requests")))
        own_limits = _positive(resources.get("limits"))
        add(limits, own_limits)
        guaranteed = guaranteed and len(own_limits) == len(_QOS_RESOURCES)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _qos_parts(spec: Obj) -> list[Obj]:
    """The resource requirements that decide: the pod's own if it has them, else every container's."""
    if spec.get("resources") is not None:
        return [spec["resources"]]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return [c.get("resources") or {} for c in containers]


def _positive(texts: Mapping[str, Any] | None) -> Resources:
    if not texts:
        return {}
    found = {k: parse(texts[k]) for k in _QOS_RESOURCES if k in texts}
    return {k: q for k, q in found.items() if q.nanos > 0}
