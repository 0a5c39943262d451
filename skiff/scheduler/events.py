"""From changed objects to cluster events: what about the change matters for scheduling.

Source: pkg/scheduler/framework/events.go.
"""

from skiff.api.types import Obj
from skiff.client.informer import Change
from skiff.scheduler.framework import Action, ClusterEvent
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo


def pod_actions(old: PodInfo, new: PodInfo) -> Action:
    """What changed about a pod; no flag: nothing that matters."""
    found = Action(0)
    if old.labels != new.labels:
        found |= Action.POD_LABEL
    if any(new.requests.get(r, 0) < amount for r, amount in old.requests.items()):
        found |= Action.POD_SCALE_DOWN
    if not new.node and len(old.tolerations) != len(new.tolerations):
        found |= Action.POD_TOLERATION
    if old.gates and not new.gates:
        found |= Action.POD_GATES
    return found


def node_actions(old: Obj, new: Obj) -> Action:
    """The same for a node (as slim_node keeps it)."""
    found = Action(0)
    old_spec, new_spec = old.get("spec") or {}, new.get("spec") or {}
    if old["status"].get("allocatable") != new["status"].get("allocatable"):
        found |= Action.NODE_ALLOCATABLE
    if old["metadata"].get("labels") != new["metadata"].get("labels"):
        found |= Action.NODE_LABEL
    if old_spec.get("taints") != new_spec.get("taints") or old_spec.get("unschedulable") != new_spec.get(
        "unschedulable"
    ):
        found |= Action.NODE_TAINT
    if old["status"].get("conditions") != new["status"].get("conditions"):
        found |= Action.NODE_CONDITION
    return found


def node_event(change: Change) -> ClusterEvent | None:
    """With NodeInfos of the node before and after, without pods."""
    old, new = (_bare(obj) for obj in (change.old, change.new))
    if change.type == "added":
        return ClusterEvent("Node", Action.ADD, None, new)
    if change.type == "deleted":
        return ClusterEvent("Node", Action.DELETE, old, None)
    assert change.old is not None and change.new is not None
    action = node_actions(change.old, change.new)
    return ClusterEvent("Node", action, old, new) if action else None


def other_event(change: Change) -> ClusterEvent:
    """Of any other kind: it came, went or changed."""
    action = {"added": Action.ADD, "deleted": Action.DELETE, "updated": Action.UPDATE}[change.type]
    return ClusterEvent(change.object.get("kind", ""), action, change.old, change.new)


def _bare(node: Obj | None) -> NodeInfo | None:
    if node is None:
        return None
    info = NodeInfo(node["metadata"]["name"])
    info.set_node(node)
    return info
