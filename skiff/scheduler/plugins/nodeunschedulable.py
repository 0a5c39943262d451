"""A cordoned node takes no pods but those that tolerate its being unschedulable."""

from typing import Any

from skiff.api.taints import tolerates
from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo

TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable:
    name = "NodeUnschedulable"
    refusal = fw.unresolvable(name, "node(s) were unschedulable")

    def prepare_filter(self, pod: PodInfo) -> bool | fw.Skip:
        return fw.SKIP if any(tolerates(t, TAINT) for t in pod.tolerations) else True

    def filter_node(self, prepared: Any, node: NodeInfo) -> fw.Status | None:
        return self.refusal if node.unschedulable else None

    def events(self) -> list[fw.Interest]:
        return [
            fw.Interest("Node", fw.Action.ADD | fw.Action.NODE_TAINT, _schedulable_now),
            fw.Interest("Pod", fw.Action.POD_TOLERATION, _tolerates_now),
        ]


def _schedulable_now(pod: PodInfo, old: NodeInfo | None, new: NodeInfo) -> bool:
    return not new.unschedulable and (old is None or old.unschedulable)


def _tolerates_now(pod: PodInfo, old: PodInfo, new: PodInfo) -> bool:
    return new.uid == pod.uid and any(tolerates(t, TAINT) for t in new.tolerations)
