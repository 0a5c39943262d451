"""nodeSelector and node affinity: required terms filter, preferred ones score by their weights."""

from skiff.api.nodeselector import NodeTest, one_term, only_names, required
from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo

Weighted = list[tuple[NodeTest, int]]


class NodeAffinity:
    name = "NodeAffinity"
    scale = fw.Scale.UP
    refusal = fw.unresolvable(name, "node(s) didn't match Pod's node affinity/selector")
    conflict = fw.unresolvable(name, "pod affinity terms conflict")

    def pre_filter(self, state: fw.State, pod: PodInfo) -> fw.PreFilterAnswer:
        """Pods of a DaemonSet name their one node."""
        names = only_names(pod.spec)
        if names is None:
            return None
        return fw.OnlyNodes(names) if names else self.conflict

    def prepare_filter(self, pod: PodInfo) -> NodeTest | fw.Skip:
        return required(pod.spec) or fw.SKIP

    def filter_node(self, prepared: NodeTest, node: NodeInfo) -> fw.Status | None:
        return None if prepared(node.labels, node.name) else self.refusal

    def prepare_score(self, pod: PodInfo) -> Weighted | fw.Skip:
        affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
        terms = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        weighted = [(one_term(t["preference"]), t["weight"]) for t in terms if t["weight"]]
        return weighted or fw.SKIP

    def score_node(self, prepared: Weighted, node: NodeInfo) -> int:
        return sum(weight for test, weight in prepared if test(node.labels, node.name))

    def events(self) -> list[fw.Interest]:
        return [fw.Interest("Node", fw.Action.ADD | fw.Action.NODE_LABEL, _matches_now)]


def _matches_now(pod: PodInfo, old: NodeInfo | None, new: NodeInfo) -> bool:
    test = required(pod.spec)
    if test is None or not test(new.labels, new.name):
        return False
    return old is None or not test(old.labels, old.name)
