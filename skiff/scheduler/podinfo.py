"""A pod as the scheduler sees it: parsed once, small, never changed.

`shape` is the pod's signature for everything that only depends on the pod's own spec and one node; pods of one Deployment
share it. A pod that is on a node already keeps only what scheduling others needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from skiff.api.nodeselector import only_names
from skiff.api.podresources import pod_requests, quantities
from skiff.api.quantity import Quantity, from_milli, from_value
from skiff.api.selectors import Selector, from_label_selector
from skiff.api.types import Obj

Resources = Mapping[str, int]
"""Resource name → amount: cpu in thousandths, everything else in whole units."""

HostPort = tuple[str, str, int]
"""(host IP, protocol, port); the IP 0.0.0.0 stands for all."""

NONZERO_DEFAULTS: dict[str, Quantity] = {"cpu": from_milli(100), "memory": from_value(200 * 1024 * 1024)}
"""What a container without requests counts as when nodes are scored."""

DEFAULT_SCHEDULER = "default-scheduler"


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """One podAffinityTerm of the pod whose namespace is `own`. namespaces: named ones; namespace_selector: further ones
    by label (None: none; an empty one: all)."""

    selector: Selector
    topology_key: str
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    weight: int = 0

    def matches(self, pod: "PodInfo", namespace_labels: Mapping[str, str] | None) -> bool:
        """namespace_labels: of the pod's namespace."""
        if pod.namespace not in self.namespaces:
            by_label = self.namespace_selector
            if by_label is None or not by_label.matches(namespace_labels):
                return False
        return self.selector.matches(pod.labels)


@dataclass(frozen=True, slots=True)
class Affinity:
    """The pod's inter-pod terms, parsed."""

    required: tuple[AffinityTerm, ...] = ()
    anti_required: tuple[AffinityTerm, ...] = ()
    preferred: tuple[AffinityTerm, ...] = ()
    anti_preferred: tuple[AffinityTerm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.required or self.anti_required or self.preferred or self.anti_preferred)


NO_AFFINITY = Affinity()


class PodInfo:
    """See the module. Identity (`key`, `uid`) and facts; `obj` is the (slimmed) object they come from."""

    __slots__ = (
        "affinity",
        "deleting",
        "key",
        "labels",
        "name",
        "namespace",
        "node",
        "nominated",
        "nonzero",
        "obj",
        "ports",
        "priority",
        "requests",
        "shape",
        "uid",
    )

    def __init__(self, obj: Obj, *, node: str = ""):
        """node: pretend that the pod is on that node (it is assumed to be)."""
        meta, spec = obj["metadata"], obj["spec"]
        status = obj.get("status") or {}
        self.obj = obj
        self.name: str = meta["name"]
        self.namespace: str = meta.get("namespace", "")
        self.key = f"{self.namespace}/{self.name}"
        self.uid: str = meta.get("uid", "")
        self.labels: Mapping[str, str] = meta.get("labels") or {}
        self.deleting = meta.get("deletionTimestamp") is not None
        self.node: str = node or spec.get("nodeName", "")
        self.nominated: str = status.get("nominatedNodeName", "")
        self.priority: int = spec.get("priority") or 0
        self.requests = _amounts(pod_requests(obj, use_status=bool(self.node)))
        nonzero = _amounts(pod_requests(obj, use_status=bool(self.node), defaults=NONZERO_DEFAULTS))
        self.nonzero = (nonzero.get("cpu", 0), nonzero.get("memory", 0))
        self.ports = host_ports(spec)
        self.affinity = _affinity(self.namespace, spec.get("affinity"))
        self.shape: bytes = b"" if self.node else _shape(self, spec)

    @property
    def spec(self) -> Obj:
        found: Obj = self.obj["spec"]
        return found

    @property
    def scheduler_name(self) -> str:
        return str(self.spec.get("schedulerName") or DEFAULT_SCHEDULER)

    @property
    def gates(self) -> list[str]:
        return [g["name"] for g in self.spec.get("schedulingGates") or ()]

    @property
    def tolerations(self) -> Sequence[Obj]:
        return self.spec.get("tolerations") or ()

    @property
    def start_time(self) -> str:
        """RFC 3339, so it compares as text; "" when it has not started."""
        return str((self.obj.get("status") or {}).get("startTime") or "")

    def on(self, node: str) -> "PodInfo":
        """The same pod, assumed to be on a node. What was parsed is shared."""
        copy = object.__new__(PodInfo)
        for slot in PodInfo.__slots__:
            setattr(copy, slot, getattr(self, slot))
        copy.node = node
        return copy

    def weighs_like(self, other: "PodInfo") -> bool:
        """Whether the same pod counts the same on the same node; what cannot change is not compared."""
        return (
            self.uid == other.uid
            and self.node == other.node
            and self.deleting == other.deleting
            and self.labels == other.labels
            and self.requests == other.requests
            and self.nonzero == other.nonzero
        )

    def __repr__(self) -> str:
        return f"PodInfo({self.key})"


def _amounts(resources: Mapping[str, Quantity]) -> dict[str, int]:
    return {name: q.milli if name == "cpu" else q.value for name, q in resources.items() if q.nanos}


def amounts(texts: Mapping[str, Any] | None) -> dict[str, int]:
    """A ResourceList as Resources."""
    return _amounts(quantities(texts))


def host_ports(spec: Obj) -> tuple[HostPort, ...]:
    """Host ports of ordinary containers and sidecars."""
    found = []
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                found.append((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"]))
    return tuple(found)


def _affinity(namespace: str, affinity: Obj | None) -> Affinity:
    if not affinity or not ("podAffinity" in affinity or "podAntiAffinity" in affinity):
        return NO_AFFINITY
    attract, repel = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    return Affinity(
        tuple(_term(namespace, t) for t in attract.get(required) or ()),
        tuple(_term(namespace, t) for t in repel.get(required) or ()),
        tuple(_term(namespace, t["podAffinityTerm"], t["weight"]) for t in attract.get(preferred) or ()),
        tuple(_term(namespace, t["podAffinityTerm"], t["weight"]) for t in repel.get(preferred) or ()),
    )


def _term(own: str, term: Obj, weight: int = 0) -> AffinityTerm:
    names = frozenset(term.get("namespaces") or ())
    by_label = term.get("namespaceSelector")
    if not names and by_label is None:
        names = frozenset((own,))
    return AffinityTerm(
        from_label_selector(term.get("labelSelector")),
        term["topologyKey"],
        names,
        from_label_selector(by_label) if by_label is not None else None,
        weight,
    )


def _shape(pod: PodInfo, spec: Obj) -> bytes:
    """Empty for a pod that no other will be like: one that names its nodes."""
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity")
    if only_names(spec) is not None:
        return b""
    parts = [
        spec.get("tolerations"),
        spec.get("nodeSelector"),
        node_affinity,
        pod.requests,
        pod.nonzero,
        pod.ports,
    ]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def slim_pod(obj: Obj) -> Obj | None:
    """The informer's transform: a pod as small as scheduling allows; finished pods hold nothing and are left out."""
    status = obj.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return None
    meta, spec = obj["metadata"], obj["spec"]
    kept_meta = {k: meta[k] for k in _META if k in meta}
    kept_spec = {k: spec[k] for k in _SPEC if k in spec}
    for group in ("containers", "initContainers"):
        if group in spec:
            kept_spec[group] = [{k: c[k] for k in _CONTAINER if k in c} for c in spec[group]]
    if "volumes" in spec:
        kept_spec["volumes"] = [v for v in spec["volumes"] if not _VOLUMES.isdisjoint(v)]
    if spec.get("nodeName"):
        for name in _ONLY_WHEN_WAITING:
            kept_spec.pop(name, None)
    kept_status = {k: status[k] for k in _STATUS if k in status}
    resized = [s for s in status.get("containerStatuses") or () if s.get("resources")]
    if resized:
        kept_status["containerStatuses"] = [{k: s[k] for k in _RESIZE if k in s} for s in resized]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept_meta, "spec": kept_spec, "status": kept_status}


_META = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "labels",
    "ownerReferences",
    "deletionTimestamp",
    "creationTimestamp",
)
_SPEC = (
    "affinity",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "resources",
    "schedulerName",
    "schedulingGates",
    "tolerations",
    "topologySpreadConstraints",
)
_ONLY_WHEN_WAITING = ("nodeSelector", "tolerations", "topologySpreadConstraints", "schedulingGates", "preemptionPolicy")
_CONTAINER = ("name", "image", "ports", "resources", "restartPolicy")
_VOLUMES = frozenset(("persistentVolumeClaim", "ephemeral", "image"))
_STATUS = ("phase", "nominatedNodeName", "conditions", "startTime")
_RESIZE = ("name", "resources", "allocatedResources")
