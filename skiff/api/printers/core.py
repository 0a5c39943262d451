"""Rows of the core group."""

from collections.abc import Mapping
from typing import Any

from skiff.api.printers.pod import POD
from skiff.api.printers.text import (
    AGE,
    CONTAINERS,
    EMPTY,
    IMAGES,
    NAME,
    NONE,
    SELECTOR,
    UNKNOWN,
    UNSET,
    age,
    columns,
    containers,
    integer,
    labels,
    name,
    since,
    spec,
    status,
    template_spec,
    wide,
)
from skiff.api.resources import Column, Printer
from skiff.api.types import Obj


def _config_map(obj: Obj, now: float) -> list[Any]:
    return [name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(obj, now)]


def _secret(obj: Obj, now: float) -> list[Any]:
    return [name(obj), obj.get("type", ""), len(obj.get("data") or ()), age(obj, now)]


def _service_account(obj: Obj, now: float) -> list[Any]:
    return [name(obj), age(obj, now)]


def _namespace(obj: Obj, now: float) -> list[Any]:
    return [name(obj), status(obj).get("phase", ""), age(obj, now)]


def _component_status(obj: Obj, now: float) -> list[Any]:
    healthy = next((c for c in obj.get("conditions") or () if c.get("type") == "Healthy"), None)
    if healthy is None:
        return [name(obj), "Unknown", "", ""]
    word = "Healthy" if healthy.get("status") == "True" else "Unhealthy"
    return [name(obj), word, healthy.get("message", ""), healthy.get("error", "")]


def _pod_template(obj: Obj, now: float) -> list[Any]:
    template = obj.get("template") or EMPTY
    pod_labels = (template.get("metadata") or EMPTY).get("labels")
    return [name(obj), *containers(template.get("spec") or EMPTY), labels(pod_labels)]


def _replication_controller(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), status(obj)
    counts = [found.get("replicas") or 0, state.get("replicas") or 0, state.get("readyReplicas") or 0]
    return [name(obj), *counts, age(obj, now), *containers(template_spec(found)), labels(found.get("selector"))]


# --- services


def _service(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    addresses = found.get("clusterIPs") or [NONE]
    ports = ",".join(map(_port, found.get("ports") or ())) or NONE
    selector = labels(found.get("selector"))
    return [name(obj), found.get("type", ""), addresses[0], _external(obj), ports, age(obj, now), selector]


def _port(port: Obj) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port', 0)}{node}/{port.get('protocol', '')}"


def load_balancer(obj: Obj) -> str:
    """The addresses that a load balancer was given, sorted."""
    ingress = (status(obj).get("loadBalancer") or EMPTY).get("ingress") or ()
    found = {i.get("ip") or i.get("hostname") for i in ingress}
    return ",".join(sorted(a for a in found if a))


def _external(obj: Obj) -> str:
    found = spec(obj)
    kind, external = found.get("type"), list(found.get("externalIPs") or ())
    if kind == "ExternalName":
        return found.get("externalName", "")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or NONE
    if kind == "LoadBalancer":
        given = load_balancer(obj)
        return ",".join([given, *external] if given else external) or "<pending>"
    return UNKNOWN


def _endpoints(obj: Obj, now: float) -> list[Any]:
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [a.get("ip", "") for a in subset.get("addresses") or ()]
        ports = subset.get("ports")
        found += [_host_port(a, p.get("port", 0)) for p in ports for a in addresses] if ports else addresses
    text = ",".join(found[:3])
    if len(found) > 3:
        text = f"{text} + {len(found) - 3} more..."
    return [name(obj), text if obj.get("subsets") else NONE, age(obj, now)]


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --- nodes


def _node(obj: Obj, now: float) -> list[Any]:
    info = status(obj).get("nodeInfo") or EMPTY
    kernel = info.get("kernelVersion") or UNKNOWN
    if info.get("architecture"):
        kernel += f" ({info['architecture']})"
    return [
        name(obj),
        _node_status(obj),
        ",".join(sorted(_roles(obj["metadata"].get("labels") or EMPTY))) or NONE,
        age(obj, now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(obj: Obj) -> str:
    word = "Unknown"
    for condition in status(obj).get("conditions") or ():
        if condition.get("type") == "Ready":
            word = "Ready" if condition.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if spec(obj).get("unschedulable") else word


def _roles(found: Mapping[str, str]) -> set[str]:
    prefix = "node-role.kubernetes.io/"
    roles = {k.removeprefix(prefix) for k in found if k.startswith(prefix)}
    roles.add(found.get("kubernetes.io/role", ""))
    return roles - {""}


def _address(obj: Obj, kind: str) -> str:
    addresses = status(obj).get("addresses") or ()
    return next((a.get("address", "") for a in addresses if a.get("type") == kind), NONE)


# --- storage

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _access_modes(modes: list[str] | None) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))


def _storage_class(obj: Obj) -> str:
    annotations = obj["metadata"].get("annotations") or EMPTY
    return annotations.get("volume.beta.kubernetes.io/storage-class", spec(obj).get("storageClassName", ""))


def _phase(obj: Obj) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else status(obj).get("phase", "")


def _persistent_volume(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    claim = found.get("claimRef")
    return [
        name(obj),
        (found.get("capacity") or EMPTY).get("storage", "0"),
        _access_modes(found.get("accessModes")),
        found.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _storage_class(obj),
        found.get("volumeAttributesClassName", UNSET),
        status(obj).get("reason", ""),
        age(obj, now),
        found.get("volumeMode", UNSET),
    ]


def _persistent_volume_claim(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), status(obj)
    bound = bool(found.get("volumeName"))
    return [
        name(obj),
        _phase(obj),
        found.get("volumeName", ""),
        (state.get("capacity") or EMPTY).get("storage", "0") if bound else "",
        _access_modes(state.get("accessModes")) if bound else "",
        _storage_class(obj),
        found.get("volumeAttributesClassName", UNSET),
        age(obj, now),
        found.get("volumeMode", UNSET),
    ]


# --- events and quotas


def _event(obj: Obj, now: float) -> list[Any]:
    """Takes core/v1 and events.k8s.io/v1 shapes."""
    about = obj.get("involvedObject") or obj.get("regarding") or EMPTY
    source = obj.get("source") or obj.get("deprecatedSource") or EMPTY
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if obj.get("series") is not None:
        last, count = obj["series"].get("lastObservedTime"), obj["series"].get("count") or 0
    kind = about.get("kind", "").lower()
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance")
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        (obj.get("message") or obj.get("note") or "").strip(),
        since(first, now),
        count,
        name(obj),
    ]


def _resource_quota(obj: Obj, now: float) -> list[Any]:
    requests: list[str] = []
    limits: list[str] = []
    used = status(obj).get("used") or EMPTY
    for resource, hard in sorted((status(obj).get("hard") or EMPTY).items()):
        column = limits if resource.startswith("limits.") else requests
        column.append(f"{resource}: {used.get(resource, '0')}/{hard}")
    return [name(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


EVENT = Printer(
    columns(
        "Last Seen", "Type", "Reason", "Object", wide("Subobject"), wide("Source"), "Message",
        wide("First Seen"), wide("Count"), Column("Name", format="name", priority=1),
    ),
    _event,
)  # fmt: skip

PRINTERS = {
    "pods": POD,
    "configmaps": Printer(columns(NAME, "Data", AGE), _config_map),
    "secrets": Printer(columns(NAME, "Type", "Data", AGE), _secret),
    "serviceaccounts": Printer(columns(NAME, AGE), _service_account),
    "namespaces": Printer(columns(NAME, "Status", AGE), _namespace),
    "componentstatuses": Printer(columns(NAME, "Status", "Message", "Error"), _component_status),
    "podtemplates": Printer(columns(NAME, "Containers", "Images", "Pod Labels"), _pod_template),
    "replicationcontrollers": Printer(
        columns(NAME, integer("Desired"), integer("Current"), integer("Ready"), AGE, CONTAINERS, IMAGES, SELECTOR),
        _replication_controller,
    ),
    "services": Printer(
        columns(NAME, "Type", "Cluster-IP", "External-IP", "Port(s)", AGE, SELECTOR),
        _service,
    ),
    "endpoints": Printer(columns(NAME, "Endpoints", AGE), _endpoints),
    "nodes": Printer(
        columns(
            NAME, "Status", "Roles", AGE, "Version", wide("Internal-IP"), wide("External-IP"), wide("OS-Image"),
            wide("Kernel-Version"), wide("Container-Runtime"),
        ),
        _node,
    ),
    "persistentvolumes": Printer(
        columns(
            NAME, "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass",
            "VolumeAttributesClass", "Reason", AGE, wide("VolumeMode"),
        ),
        _persistent_volume,
    ),
    "persistentvolumeclaims": Printer(
        columns(
            NAME, "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", AGE,
            wide("VolumeMode"),
        ),
        _persistent_volume_claim,
    ),
    "events": EVENT,
    "resourcequotas": Printer(columns(NAME, "Request", "Limit", AGE), _resource_quota),
}  # fmt: skip
