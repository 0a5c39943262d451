"""A pod goes only to nodes whose NoSchedule and NoExecute taints it tolerates, and rather to those with few
PreferNoSchedule taints that it does not."""

from collections.abc import Sequence

from skiff.api.taints import tolerates, untolerated
from skiff.api.types import Obj
from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo


class TaintToleration:
    name = "TaintToleration"
    scale = fw.Scale.DOWN

    def prepare_filter(self, pod: PodInfo) -> Sequence[Obj]:
        return pod.tolerations

    def filter_node(self, prepared: Sequence[Obj], node: NodeInfo) -> fw.Status | None:
        taint = untolerated(node.taints, prepared) if node.taints else None
        if taint is None:
            return None
        reason = fw.Reason("node(s) had untolerated taint(s)", {"taint": taint})
        return fw.Status(fw.Code.UNRESOLVABLE, self.name, (reason,))

    def prepare_score(self, pod: PodInfo) -> Sequence[Obj]:
        return [t for t in pod.tolerations if t.get("effect") in (None, "", "PreferNoSchedule")]

    def score_node(self, prepared: Sequence[Obj], node: NodeInfo) -> int:
        soft = (taint for taint in node.taints if taint.get("effect") == "PreferNoSchedule")
        return sum(not any(tolerates(t, taint) for t in prepared) for taint in soft)

    def events(self) -> list[fw.Interest]:
        return [
            fw.Interest("Node", fw.Action.ADD | fw.Action.NODE_TAINT, _tolerated_now),
            fw.Interest("Pod", fw.Action.POD_TOLERATION, _own),
        ]


def _tolerated_now(pod: PodInfo, old: NodeInfo | None, new: NodeInfo) -> bool:
    was_refused = old is None or untolerated(old.taints, pod.tolerations) is not None
    return was_refused and untolerated(new.taints, pod.tolerations) is None


def _own(pod: PodInfo, old: PodInfo, new: PodInfo) -> bool:
    return new.uid == pod.uid
