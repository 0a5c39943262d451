"""Whether this node takes a pod that was bound to it. Pure. Reasons and messages are upstream's: the pod fails with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from skiff.api import nodeselector
from skiff.api.taints import tolerates
from skiff.api.types import Obj
from skiff.kubelet import qos
from skiff.kubelet.pods import containers, init_containers, is_static, is_terminal


@dataclass(frozen=True, slots=True)
class Rejection:
    reason: str
    message: str


_OUT_OF = {
    "cpu": "OutOfcpu",
    "memory": "OutOfmemory",
    "ephemeral-storage": "OutOfephemeral-storage",
    "pods": "OutOfpods",
}

_ANY = "0.0.0.0"


def admit(pod: Obj, node: Obj, others: Sequence[Obj]) -> Rejection | None:
    """others: the pods that the node has taken already (terminal ones do not count)."""
    if node["metadata"].get("labels", {}).get("kubernetes.io/os", "linux") != (
        (pod["spec"].get("nodeSelector") or {}).get("kubernetes.io/os", "linux")
    ):
        text = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
        return Rejection("PodOSSelectorNodeLabelDoesNotMatch", text)
    if ((pod["spec"].get("os") or {}).get("name") or "linux") != "linux":
        return Rejection("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    rejection = _resources(pod, node, [p for p in others if not is_terminal(p.get("status"))])
    if rejection is None and not matches_node(pod, node):
        text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        rejection = Rejection("NodeAffinity", text)
    taken = {p for o in others if not is_terminal(o.get("status")) for p in host_ports(o)}
    if rejection is None and any(_collide(a, b) for a in host_ports(pod) for b in taken):
        text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
        rejection = Rejection("NodePorts", text)
    if rejection is None and not is_static(pod):
        rejection = _taints(pod, node)
    return rejection


def host_ports(pod: Obj) -> set[tuple[str, int, str]]:
    """(protocol, port, address) that the pod takes on the node; 0.0.0.0 for all addresses."""
    ports = [p for c in (*containers(pod), *init_containers(pod)) for p in c.get("ports") or [] if p.get("hostPort")]
    return {(p.get("protocol", "TCP"), p["hostPort"], p.get("hostIP") or _ANY) for p in ports}


def _collide(a: tuple[str, int, str], b: tuple[str, int, str]) -> bool:
    return a[:2] == b[:2] and (a[2] == b[2] or _ANY in (a[2], b[2]))


def _resources(pod: Obj, node: Obj, others: Sequence[Obj]) -> Rejection | None:
    capacity = qos.amounts((node.get("status") or {}).get("allocatable"))
    if "pods" in capacity and len(others) + 1 > capacity["pods"]:
        return _out_of("pods", 1, len(others), capacity["pods"])
    used: dict[str, int] = {}
    for other in others:
        for name, amount in qos.pod_amounts(other, "requests").items():
            used[name] = used.get(name, 0) + amount
    for name, amount in qos.pod_amounts(pod, "requests").items():
        if amount and name in capacity and amount > capacity[name] - used.get(name, 0):
            return _out_of(name, amount, used.get(name, 0), capacity[name])
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Rejection:
    text = f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
    return Rejection(_OUT_OF.get(name, f"OutOf{name}"), text)


def _taints(pod: Obj, node: Obj) -> Rejection | None:
    """Only NoExecute: what is merely not to be scheduled here may be bound here."""
    for taint in node["spec"].get("taints") or []:
        if taint["effect"] == "NoExecute" and not any(
            tolerates(t, taint) for t in pod["spec"].get("tolerations") or []
        ):
            text = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
            return Rejection("TaintToleration", text)
    return None


def matches_node(pod: Obj, node: Obj) -> bool:
    """nodeSelector and required node affinity."""
    test = nodeselector.required(pod["spec"])
    return test is None or test(node["metadata"].get("labels") or {}, node["metadata"]["name"])
