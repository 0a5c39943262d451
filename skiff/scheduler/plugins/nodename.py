"""A pod that asks for a node by name fits only there."""

from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo


class NodeName:
    name = "NodeName"
    refusal = fw.unresolvable(name, "node(s) didn't match the requested node name")

    def prepare_filter(self, pod: PodInfo) -> str | fw.Skip:
        return pod.node or fw.SKIP

    def filter_node(self, prepared: str, node: NodeInfo) -> fw.Status | None:
        return None if node.name == prepared else self.refusal

    def events(self) -> list[fw.Interest]:
        return [fw.Interest("Node", fw.Action.ADD)]
