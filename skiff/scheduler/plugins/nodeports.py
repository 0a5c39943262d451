"""Two pods of one node cannot have the same host port on the same address and protocol."""

from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import ANY_IP, NodeInfo
from skiff.scheduler.podinfo import HostPort, PodInfo


class NodePorts:
    name = "NodePorts"
    refusal = fw.unschedulable(name, "node(s) didn't have free ports for the requested pod ports")

    def prepare_filter(self, pod: PodInfo) -> tuple[HostPort, ...] | fw.Skip:
        return pod.ports or fw.SKIP

    def filter_node(self, prepared: tuple[HostPort, ...], node: NodeInfo) -> fw.Status | None:
        return self.refusal if any(node.port_in_use(p) for p in prepared) else None

    def events(self) -> list[fw.Interest]:
        return [
            fw.Interest("Pod", fw.Action.DELETE, _frees_a_port),
            fw.Interest("Node", fw.Action.ADD),
        ]


def _frees_a_port(pod: PodInfo, old: PodInfo, new: PodInfo | None) -> bool:
    return bool(old.node or old.nominated) and any(conflict(p, q) for p in pod.ports for q in old.ports)


def conflict(a: HostPort, b: HostPort) -> bool:
    return a[1:] == b[1:] and (a[0] == b[0] or ANY_IP in (a[0], b[0]))
