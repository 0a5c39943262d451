"""What an object counts for in a ResourceQuota, and which quotas it counts for. Pure.

Used twice: by admission, before a write, and by the quota controller, which adds everything up. A quota resource is a
name as in `spec.hard`: `pods`, `requests.cpu`, `count/deployments.apps`, `services.nodeports`, ...
Source: pkg/quota/v1/evaluator/core.
"""

from collections.abc import Iterable, Mapping

from skiff.api import podresources, times
from skiff.api.quantity import Quantity, from_value
from skiff.api.types import Obj

Amounts = dict[str, Quantity]

_BY_COUNT = {
    "configmaps": "configmaps",
    "secrets": "secrets",
    "replicationcontrollers": "replicationcontrollers",
    "resourcequotas": "resourcequotas",
}
_POD_RESOURCES = frozenset(
    (
        "pods",
        "count/pods",
        *(f"{p}{r}" for r in ("cpu", "memory", "ephemeral-storage") for p in ("", "requests.", "limits.")),
    )
)
_MUST_BE_STATED = frozenset(("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
"""If one of these is bounded, every container must state it (upstream regrets it, and keeps it)."""
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_DEVICES_SUFFIX = ".deviceclass.resource.k8s.io/devices"
CLAIMS = "resourceclaims.resource.k8s.io"
MOST_DEVICES = 32
"""That a claim can be given: what a request for all of them counts for."""
_NEVER = frozenset(("events", "events.events.k8s.io", "bindings", "tokenreviews.authentication.k8s.io"))
_REVIEWS = ("authorization.k8s.io", "authentication.k8s.io")


def is_counted(resource: str, operation: str, subresource: str) -> bool:
    """Whether a write of this kind can change what is used. resource: `pods`, `deployments.apps`."""
    if resource in _NEVER or resource.endswith(_REVIEWS):
        return False
    if subresource:
        return (resource, subresource, operation) in (("pods", "resize", "UPDATE"),)
    return operation == "CREATE" or (
        operation == "UPDATE" and resource in ("pods", "services", "persistentvolumeclaims")
    )


def usage(resource: str, obj: Obj, *, now: float | None = None) -> Amounts:
    """What the object uses. now: epoch seconds, to leave out pods whose deletion is overdue."""
    found: Amounts = {f"count/{resource}": from_value(1)}
    if resource == "pods":
        if _is_alive(obj, now):
            found.update(_pod_usage(obj))
    elif resource == "services":
        found.update(_service_usage(obj["spec"]))
    elif resource == "persistentvolumeclaims":
        found.update(_claim_usage(obj))
    elif resource == CLAIMS:
        found.update(_device_usage(obj))
    elif resource in _BY_COUNT:
        found[_BY_COUNT[resource]] = from_value(1)
    return found


def relevant(hard: Iterable[str], resource: str) -> set[str]:
    """Those names of `spec.hard` that objects of this resource count for."""
    count = f"count/{resource}"
    if resource == "pods":
        return {n for n in hard if n in _POD_RESOURCES or _is_extended(n)}
    if resource == "services":
        names = {count, "services", "services.nodeports", "services.loadbalancers"}
        return {n for n in hard if n in names}
    if resource == "persistentvolumeclaims":
        names = {count, "persistentvolumeclaims", "requests.storage"}
        return {n for n in hard if n in names or _CLASS_SUFFIX in n}
    if resource == CLAIMS:
        return {n for n in hard if n == count or n.endswith(_DEVICES_SUFFIX)}
    return {n for n in hard if n in (count, _BY_COUNT.get(resource))}


def matches(quota: Obj, resource: str, obj: Obj) -> bool:
    """Whether the quota bounds anything of the object, and all of its scopes apply to it."""
    hard = (quota.get("status") or {}).get("hard") or quota["spec"].get("hard") or {}
    if not relevant(hard, resource):
        return False
    return all(_in_scope(scope, resource, obj) for scope in scopes(quota))


def scopes(quota: Obj) -> list[Obj]:
    """Scopes and scope selector as one list of expressions."""
    spec = quota["spec"]
    plain = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    return [*plain, *((spec.get("scopeSelector") or {}).get("matchExpressions") or ())]


def unstated(names: Iterable[str], resource: str, obj: Obj) -> str:
    """Which bounded amounts containers do not state: `limits.cpu for: web,proxy; ...`, "" if none."""
    spec = obj.get("spec") or {}
    wanted = sorted(_MUST_BE_STATED.intersection(names))
    if resource != "pods" or not wanted or (spec.get("resources") or {}):
        return ""
    lacking: dict[str, set[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        stated = _compute(*(podresources.quantities(resources.get(k)) for k in ("requests", "limits")))
        for name in wanted:
            if name not in stated:
                lacking.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in lacking.items())


def _is_alive(pod: Obj, now: float | None) -> bool:
    """A pod that has ended, or should have been gone already, takes no resources."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return False
    meta = pod["metadata"]
    if now is None or not meta.get("deletionTimestamp") or meta.get("deletionGracePeriodSeconds") is None:
        return True
    return now <= times.epoch(meta["deletionTimestamp"]) + int(meta["deletionGracePeriodSeconds"])


def _pod_usage(pod: Obj) -> Amounts:
    requests = podresources.pod_requests(pod, use_status=True)
    return {"pods": from_value(1), **_compute(requests, podresources.pod_limits(pod, use_status=True))}


def _compute(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Amounts:
    found: Amounts = {}
    for name, amount in requests.items():
        found[f"requests.{name}"] = amount
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            found[name] = amount
    for name in ("cpu", "memory", "ephemeral-storage"):
        if name in limits:
            found[f"limits.{name}"] = limits[name]
    return found


def _service_usage(spec: Obj) -> Amounts:
    type, ports = spec.get("type"), spec.get("ports") or []
    node_ports = 0
    if type == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        node_ports = sum(1 for p in ports if p.get("nodePort"))
    elif type in ("NodePort", "LoadBalancer"):
        node_ports = len(ports)
    return {
        "services": from_value(1),
        "services.nodeports": from_value(node_ports),
        "services.loadbalancers": from_value(int(type == "LoadBalancer")),
    }


def _claim_usage(claim: Obj) -> Amounts:
    spec = claim["spec"]
    found: Amounts = {"persistentvolumeclaims": from_value(1)}
    size = podresources.quantities((spec.get("resources") or {}).get("requests")).get("storage")
    annotations = claim["metadata"].get("annotations") or {}
    class_name = annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName") or ""
    if class_name:
        found[f"{class_name}{_CLASS_SUFFIX}persistentvolumeclaims"] = from_value(1)
    if size is not None:
        found["requests.storage"] = size
        if class_name:
            found[f"{class_name}{_CLASS_SUFFIX}requests.storage"] = size
    return found


def _device_usage(claim: Obj) -> Amounts:
    """Devices by class; of alternatives the most that each class may have to give."""
    found: dict[str, int] = {}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for choice in request.get("firstAvailable") or [request.get("exactly") or {}]:
            name, mode = choice.get("deviceClassName", ""), choice.get("allocationMode")
            count = MOST_DEVICES if mode == "All" else int(choice.get("count") or 0) if mode == "ExactCount" else 0
            most[name] = max(most.get(name, 0), count)
        for name, count in most.items():
            found[name] = found.get(name, 0) + count
    return {f"{name}{_DEVICES_SUFFIX}": from_value(count) for name, count in found.items() if name}


def _is_extended(name: str) -> bool:
    """`requests.example.com/gpu`, `hugepages-2Mi`, `requests.hugepages-2Mi`."""
    rest = name.removeprefix("requests.")
    return rest.startswith("hugepages-") or (rest != name and "/" in rest and not rest.startswith("kubernetes.io/"))


def _in_scope(scope: Obj, resource: str, obj: Obj) -> bool:
    name, spec = scope.get("scopeName"), obj.get("spec") or {}
    if resource == "persistentvolumeclaims" and name == "VolumeAttributesClass":
        return _selected(scope, spec.get("volumeAttributesClassName") or "")
    if resource != "pods":
        return False
    if name in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) == (name == "Terminating")
    if name in ("BestEffort", "NotBestEffort"):
        return (podresources.qos_class(obj) == "BestEffort") == (name == "BestEffort")
    if name == "PriorityClass":
        return _selected(scope, spec.get("priorityClassName") or "")
    return name == "CrossNamespacePodAffinity" and _crosses_namespaces(spec.get("affinity") or {})


def _selected(scope: Obj, value: str) -> bool:
    operator, values = scope.get("operator"), scope.get("values") or ()
    if operator in ("Exists", "DoesNotExist"):
        return bool(value) == (operator == "Exists")
    return (value in values if value else False) if operator == "In" else value not in values or not value


def _crosses_namespaces(affinity: Obj) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = [
            *(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()),
            *(
                p.get("podAffinityTerm") or {}
                for p in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
            ),
        ]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
