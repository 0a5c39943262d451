"""A node as the scheduler sees it: what it offers, which pods are on it, and what they take.

Owned by the Cache, which numbers every change (`generation`). A `clone` is free to be changed for trial.
"""

from collections.abc import Mapping, Sequence

from skiff.api.types import Obj
from skiff.scheduler.podinfo import HostPort, PodInfo, amounts

ANY_IP = "0.0.0.0"


class NodeInfo:
    """`known` is False while pods name a node that has no Node object (yet, or any more)."""

    __slots__ = (
        "affinity_pods",
        "allocatable",
        "anti_affinity_pods",
        "generation",
        "images",
        "known",
        "labels",
        "name",
        "nonzero_cpu",
        "nonzero_memory",
        "pod_limit",
        "pods",
        "ports",
        "requested",
        "taints",
        "unschedulable",
    )

    def __init__(self, name: str):
        self.name = name
        self.known = False
        self.generation = 0
        self.labels: Mapping[str, str] = {}
        self.taints: Sequence[Obj] = ()
        self.unschedulable = False
        self.allocatable: dict[str, int] = {}
        self.pod_limit = 0
        self.images: dict[str, int] = {}
        self.pods: dict[str, PodInfo] = {}
        self.requested: dict[str, int] = {}
        self.nonzero_cpu = 0
        self.nonzero_memory = 0
        self.ports: dict[HostPort, int] = {}
        self.affinity_pods: dict[str, PodInfo] = {}
        self.anti_affinity_pods: dict[str, PodInfo] = {}

    def set_node(self, node: Obj) -> None:
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self.known = True
        self.labels = node["metadata"].get("labels") or {}
        self.taints = spec.get("taints") or ()
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = amounts(status.get("allocatable"))
        self.pod_limit = self.allocatable.pop("pods", 0)
        self.images = {n: i.get("sizeBytes", 0) for i in status.get("images") or () for n in i.get("names") or ()}

    def clear_node(self) -> None:
        """The Node object is gone; its pods may still be."""
        pods = self.pods
        self.__init__(self.name)  # type: ignore[misc]
        for pod in pods.values():
            self.add_pod(pod)

    def add_pod(self, pod: PodInfo) -> None:
        self.pods[pod.key] = pod
        self._count(pod, 1)
        if pod.affinity:
            self.affinity_pods[pod.key] = pod
            if pod.affinity.anti_required:
                self.anti_affinity_pods[pod.key] = pod

    def remove_pod(self, key: str) -> PodInfo | None:
        pod = self.pods.pop(key, None)
        if pod is not None:
            self._count(pod, -1)
            self.affinity_pods.pop(key, None)
            self.anti_affinity_pods.pop(key, None)
        return pod

    def _count(self, pod: PodInfo, sign: int) -> None:
        for resource, amount in pod.requests.items():
            self.requested[resource] = self.requested.get(resource, 0) + sign * amount
        self.nonzero_cpu += sign * pod.nonzero[0]
        self.nonzero_memory += sign * pod.nonzero[1]
        for port in pod.ports:
            count = self.ports.get(port, 0) + sign
            if count > 0:
                self.ports[port] = count
            else:
                self.ports.pop(port, None)

    def port_in_use(self, wanted: HostPort) -> bool:
        """The wildcard address conflicts with every other."""
        ip, protocol, number = wanted
        return any(p == protocol and n == number and (ip == i or ANY_IP in (ip, i)) for i, p, n in self.ports)

    def clone(self) -> "NodeInfo":
        copy = object.__new__(NodeInfo)
        for slot in NodeInfo.__slots__:
            value = getattr(self, slot)
            setattr(copy, slot, value.copy() if slot in _OWN else value)
        return copy

    def __repr__(self) -> str:
        return f"NodeInfo({self.name}, {len(self.pods)} pods)"


_OWN = frozenset(("pods", "requested", "ports", "affinity_pods", "anti_affinity_pods"))


def slim_node(obj: Obj) -> Obj:
    """The informer's transform."""
    status = obj.get("status") or {}
    meta = {k: v for k, v in obj["metadata"].items() if k in ("name", "uid", "resourceVersion", "labels")}
    kept_status = {k: status[k] for k in ("allocatable", "images") if k in status}
    conditions = [{"type": c["type"], "status": c["status"]} for c in status.get("conditions") or ()]
    return {"metadata": meta, "spec": obj.get("spec") or {}, "status": {**kept_status, "conditions": conditions}}
