"""Whether a node's agent is alive, and what its conditions and taints should therefore be.

Pure. Source: upstream pkg/controller/nodelifecycle (tryUpdateNodeHealth, doNoScheduleTaintingPass).
"""

from dataclasses import dataclass

from skiff.api.meta import find_condition, get_condition, labels
from skiff.api.types import Obj
from skiff.controllers.common import taints
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds, timestamp

_KUBELET_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_CONDITION_TAINTS = {
    ("Ready", "False"): taints.NOT_READY,
    ("Ready", "Unknown"): taints.UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_MANAGED = frozenset({*_CONDITION_TAINTS.values(), taints.UNSCHEDULABLE})
_NO_EXECUTE = frozenset({taints.NOT_READY, taints.UNREACHABLE})
_LABEL_PAIRS = (
    ("kubernetes.io/os", "beta.kubernetes.io/os"),
    ("kubernetes.io/arch", "beta.kubernetes.io/arch"),
)


@dataclass(frozen=True, slots=True)
class Health:
    """probe: our own time at which the node last showed life. heartbeat, renewed: what it said then (a clock of its
    own, never compared with ours)."""

    probe: float
    heartbeat: str = ""
    renewed: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of silence after which a node counts as lost: one that has reported before, one that never has."""

    grace_s: float = 50.0
    startup_grace_s: float = 60.0


def observe(before: Health | None, node: Obj, lease: Obj | None, now: float) -> Health:
    """A newer heartbeat in the status or a renewed lease is life. What is seen for the first time counts from now; a
    node that has never reported, from its creation."""
    ready = get_condition(node, "Ready")
    heartbeat = ready.get("lastHeartbeatTime") or "" if ready else ""
    renewed = (spec(lease).get("renewTime") or "") if lease else ""
    if before is None:
        created = seconds(node["metadata"].get("creationTimestamp")) or now
        return Health(now if ready or lease else created, heartbeat, renewed)
    alive = heartbeat != before.heartbeat or renewed > before.renewed
    return Health(now if alive else before.probe, heartbeat, max(renewed, before.renewed))


def deadline(node: Obj, health: Health, limits: Limits) -> float:
    """When silence becomes a verdict."""
    return health.probe + (limits.grace_s if get_condition(node, "Ready") else limits.startup_grace_s)


def silent_conditions(node: Obj, now: float) -> list[Obj] | None:
    """The conditions of a node that has fallen silent; None if they say so already."""
    before = status(node).get("conditions") or []
    after = [dict(c) for c in before]
    for type in _KUBELET_CONDITIONS:
        found = find_condition(after, type)
        if found is None:
            created = node["metadata"].get("creationTimestamp")
            after.append(_unknown(type, "NodeStatusNeverUpdated", "Kubelet never posted node status.", now, created))
        elif found.get("status") != "Unknown":
            text = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
            found.update(_unknown(type, *text, now, found.get("lastHeartbeatTime")))
    return after if after != before else None


def _unknown(type: str, reason: str, message: str, now: float, heartbeat: str | None) -> Obj:
    return {
        "type": type,
        "status": "Unknown",
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": heartbeat,
        "lastTransitionTime": timestamp(now),
    }


def is_ready(node: Obj) -> bool:
    found = get_condition(node, "Ready")
    return found is not None and found.get("status") == "True"


def no_schedule_keys(node: Obj) -> set[str]:
    """What the node's conditions keep new pods away for."""
    conditions = status(node).get("conditions") or ()
    keys = {_CONDITION_TAINTS.get((c.get("type"), c.get("status")), "") for c in conditions}
    if spec(node).get("unschedulable"):
        keys.add(taints.UNSCHEDULABLE)
    return keys - {""}


def no_execute_key(node: Obj) -> str:
    """What running pods should leave for; "" for a node that is ready or has never reported."""
    found = get_condition(node, "Ready")
    return _CONDITION_TAINTS.get(("Ready", found.get("status", "")), "") if found else ""


def has_no_execute(node: Obj) -> str:
    """Which of our two NoExecute taints the node has."""
    keys = (t["key"] for t in taints.with_effect(node, "NoExecute"))
    return next((key for key in keys if key in _NO_EXECUTE), "")


def next_taints(node: Obj, evict: str, now: float) -> list[Obj] | None:
    """All taints as they should be; None if they are. evict: the key of the NoExecute taint, "" for none. Taints of
    others stay, ours that stay keep their age."""
    wanted = [(key, "NoSchedule") for key in sorted(no_schedule_keys(node))]
    if evict:
        wanted.append((evict, "NoExecute"))
    before = spec(node).get("taints") or []
    kept = [t for t in before if not _is_ours(t) or (t.get("key"), t.get("effect")) in wanted]
    present = {(t.get("key"), t.get("effect")) for t in kept}
    added = [
        {"key": key, "effect": effect, "timeAdded": timestamp(now)}
        for key, effect in wanted
        if (key, effect) not in present
    ]
    after = kept + added
    return after if after != before else None


def _is_ours(taint: Obj) -> bool:
    key, effect = taint.get("key"), taint.get("effect")
    return (effect == "NoSchedule" and key in _MANAGED) or (effect == "NoExecute" and key in _NO_EXECUTE)


def missing_labels(node: Obj) -> dict[str, str]:
    """The old names of the labels for system and architecture, kept equal to the new ones."""
    present = labels(node)
    return {old: present[new] for new, old in _LABEL_PAIRS if new in present and present.get(old) != present[new]}


def pod_not_ready(pod: Obj, now: float) -> list[Obj] | None:
    """The pod's conditions once its node cannot vouch for it; None if it was not ready anyway."""
    conditions = status(pod).get("conditions") or []
    ready = find_condition(conditions, "Ready")
    if ready is None or ready.get("status") == "False":
        return None
    changed = {**ready, "status": "False", "lastTransitionTime": timestamp(now)}
    return [changed if c is ready else c for c in conditions]
