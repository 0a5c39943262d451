"""On which nodes a DaemonSet's pods belong, which pods go, and in which order a new template is rolled out.

Pure. Source: upstream pkg/controller/daemon (daemon_controller.go, update.go, util/daemonset_util.go).
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from skiff.api import nodeselector
from skiff.api.intstr import scaled
from skiff.api.meta import (
    annotations,
    is_being_deleted,
    is_pod_available,
    is_pod_ready,
    is_pod_terminal,
    labels,
    name,
    pod_phase,
)
from skiff.api.taints import untolerated
from skiff.api.types import Obj
from skiff.controllers.common.history import REVISION_LABEL
from skiff.controllers.common.meta import generation, spec, status, without_zeros
from skiff.controllers.common.pods import node_name

GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


@dataclass(slots=True)
class Plan:
    """create: nodes that get a pod; delete: names of pods; notes: events about pods that ended by themselves, as
    (type, reason, message). again: seconds after which a failed pod may be replaced."""

    create: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    again: float | None = None


def pod_template(ds: Obj, revision_hash: str) -> Obj:
    """The template with the labels by which pods are told apart and what every daemon tolerates."""
    template = deepcopy(spec(ds)["template"])
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), REVISION_LABEL: revision_hash}
    if annotations(ds).get(GENERATION):
        metadata["labels"][GENERATION_LABEL] = annotations(ds)[GENERATION]
    wanted = [*_TOLERATED, *([_HOST_NETWORK] if template["spec"].get("hostNetwork") else [])]
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    own = template["spec"].get("tolerations") or []
    template["spec"]["tolerations"] = [*own, *(t for t in added if t not in own)]
    return template


def bound_to(template: Obj, node: str) -> Obj:
    """The template for one node: required affinity to its name, in place of other field terms."""
    made = deepcopy(template)
    node_affinity = made["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    required = node_affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    here = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    terms = required.get("nodeSelectorTerms") or [{}]
    required["nodeSelectorTerms"] = [{**term, "matchFields": here} for term in terms]
    return made


def target_node(pod: Obj) -> str:
    """Where the pod is, or is meant to be; "" if that cannot be said."""
    if node_name(pod):
        return node_name(pod)
    names = nodeselector.only_names(spec(pod))
    return next(iter(names)) if names is not None and len(names) == 1 else ""


def belongs(template: Obj, node: Obj) -> tuple[bool, bool]:
    """(should a pod run on the node, may one that runs there stay). template: as from `pod_template`."""
    wanted = template["spec"]
    test = nodeselector.required(wanted)
    if wanted.get("nodeName", name(node)) != name(node) or (test and not test(labels(node), name(node))):
        return False, False
    taints, tolerations = spec(node).get("taints") or [], wanted.get("tolerations") or []
    if untolerated(taints, tolerations) is None:
        return True, True
    evicting = [t for t in taints if t.get("effect") == "NoExecute"]
    return False, untolerated(evicting, tolerations) is None


def by_node(pods: Iterable[Obj]) -> dict[str, list[Obj]]:
    found: dict[str, list[Obj]] = {}
    for pod in sorted(pods, key=_rank):
        if not (is_pod_terminal(pod) and is_being_deleted(pod)) and (node := target_node(pod)):
            found.setdefault(node, []).append(pod)
    return found


def _rank(pod: Obj) -> tuple[bool, str, str]:
    """Bound pods first, then the oldest."""
    return not node_name(pod), pod["metadata"].get("creationTimestamp", ""), name(pod)


def is_updated(ds: Obj, pod: Obj, revision_hash: str) -> bool:
    own = annotations(ds).get(GENERATION)
    same = own is not None and labels(pod).get(GENERATION_LABEL) == own
    return same or (bool(revision_hash) and labels(pod).get(REVISION_LABEL) == revision_hash)


def limits(ds: Obj, desired: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) of a rolling update in pods. Never both 0."""
    strategy = spec(ds).get("updateStrategy") or {}
    if strategy.get("type") != "RollingUpdate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 0), desired, round_up=True)
    return surge, 1 if desired and not surge and not unavailable else unavailable


def plan_nodes(
    ds: Obj,
    template: Obj,
    nodes: Sequence[Obj],
    pods: Mapping[str, Sequence[Obj]],
    revision_hash: str,
    waits: Mapping[str, float],
    now: float,
) -> Plan:
    """One pod where one should be, none where it may not stay. waits: per node, seconds before a failed pod there may be
    replaced."""
    result = Plan()
    known = {name(node) for node in nodes}
    surge = limits(ds, 1)[0] > 0
    for node in nodes:
        should, may = belongs(template, node)
        there = pods.get(name(node), ())
        if should and not there:
            result.create.append(name(node))
        elif may:
            _plan_node(ds, result, name(node), there, surge and should, revision_hash, waits, now)
        else:
            result.delete += [name(pod) for pod in there if not is_being_deleted(pod)]
    for node_gone in sorted(pods.keys() - known):
        result.delete += [name(pod) for pod in pods[node_gone] if not node_name(pod) and not is_being_deleted(pod)]
    return result


def _plan_node(
    ds: Obj,
    result: Plan,
    node: str,
    there: Sequence[Obj],
    surge: bool,
    revision_hash: str,
    waits: Mapping[str, float],
    now: float,
) -> None:
    running = []
    for pod in there:
        where = f"{pod['metadata']['namespace']}/{name(pod)} on node {node}"
        if is_being_deleted(pod):
            continue
        if pod_phase(pod) == "Failed":
            if wait := waits.get(node, 0.0):
                result.again = min(wait, result.again or wait)
                continue
            note = f"Found failed daemon pod {where}, will try to kill it"
            result.notes.append(("Warning", "FailedDaemonPod", note))
            result.delete.append(name(pod))
        elif pod_phase(pod) == "Succeeded":
            note = f"Found succeeded daemon pod {where}, will try to delete it"
            result.notes.append(("Normal", "SucceededDaemonPod", note))
            result.delete.append(name(pod))
        else:
            running.append(pod)
    if not surge:
        result.delete += [name(pod) for pod in running[1:]]
    elif not running:
        result.create.append(node)
    elif len(running) > 1:
        _replace_surged(ds, result, running, revision_hash, now)


def _replace_surged(ds: Obj, result: Plan, running: list[Obj], revision_hash: str, now: float) -> None:
    """At most one old and one new pod; the old one goes when it no longer serves, or the new one does."""
    new = [pod for pod in running if labels(pod).get(REVISION_LABEL) == revision_hash]
    old = [pod for pod in running if labels(pod).get(REVISION_LABEL) != revision_hash]
    result.delete += [name(pod) for pod in [*new[1:], *old[1:]]]
    if new and old and (not is_pod_ready(old[0]) or is_pod_available(new[0], _min_ready(ds), now)):
        result.delete.append(name(old[0]))


def _min_ready(ds: Obj) -> int:
    return int(spec(ds).get("minReadySeconds") or 0)


def plan_rollout(
    ds: Obj, template: Obj, nodes: Sequence[Obj], pods: Mapping[str, Sequence[Obj]], revision_hash: str, now: float
) -> Plan:
    """The next pods to bring to the new template, within maxUnavailable (delete first) or maxSurge (create first)."""
    here = {name(node): list(pods.get(name(node), ())) for node in nodes if belongs(template, node)[0]}
    surge, unavailable = limits(ds, len(here))
    if surge:
        return _plan_surge(ds, {**pods, **here}, set(here), revision_hash, surge, now)
    return _plan_replacement(ds, {**pods, **here}, revision_hash, unavailable, now)


def _old_and_new(ds: Obj, pods: Sequence[Obj], revision_hash: str) -> tuple[list[Obj], list[Obj]]:
    alive = [pod for pod in pods if not is_being_deleted(pod)]
    new = [pod for pod in alive if is_updated(ds, pod, revision_hash)]
    return [pod for pod in alive if not is_updated(ds, pod, revision_hash)], new


def _plan_replacement(ds: Obj, pods: Mapping[str, Sequence[Obj]], revision_hash: str, most: int, now: float) -> Plan:
    result = Plan()
    candidates = []
    missing = 0
    for _, there in sorted(pods.items()):
        old, new = _old_and_new(ds, there, revision_hash)
        if len(old) + len(new) != 1:
            missing += 1  # on its way, or too many: the node is being worked on
        elif not is_pod_available((old or new)[0], _min_ready(ds), now):
            missing += 1
            result.delete += [name(pod) for pod in old]
        else:
            candidates += [name(pod) for pod in old]
    result.delete += candidates[: max(0, most - missing)]
    return result


def _plan_surge(
    ds: Obj, pods: Mapping[str, Sequence[Obj]], wanted: set[str], revision_hash: str, most: int, now: float
) -> Plan:
    result = Plan()
    candidates: list[str] = []
    leaving: list[str] = []
    surging = serving = 0
    for node, there in sorted(pods.items()):
        old, new = _old_and_new(ds, there, revision_hash)
        if len(old) > 1 or len(new) > 1:
            surging += 1
            continue
        fine = bool(old or new) and is_pod_available((old or new)[0], _min_ready(ds), now)
        serving += fine
        if not old:
            continue
        if new:
            if is_pod_available(new[0], _min_ready(ds), now):
                result.delete.append(name(old[0]))
            else:
                surging += 1
        elif node not in wanted:
            (leaving if fine else result.delete).append(name(old[0]))
        elif not fine:
            result.create.append(node)
        else:
            candidates.append(node)
    result.delete += leaving[: max(0, serving - len(wanted))]
    result.create += candidates[: max(0, most - surging)]
    return result


def next_status(
    ds: Obj, template: Obj, nodes: Sequence[Obj], pods: Mapping[str, Sequence[Obj]], revision_hash: str, now: float
) -> Obj:
    """observedGeneration is the caller's to say."""
    counts = dict.fromkeys(("desired", "current", "misscheduled", "ready", "available", "updated"), 0)
    for node in nodes:
        there = pods.get(name(node), ())
        if not belongs(template, node)[0]:
            counts["misscheduled"] += bool(there)
            continue
        counts["desired"] += 1
        if not there:
            continue
        counts["current"] += 1
        counts["ready"] += is_pod_ready(there[0])
        counts["available"] += is_pod_available(there[0], _min_ready(ds), now)
        counts["updated"] += is_updated(ds, there[0], revision_hash)
    required = {
        "currentNumberScheduled": counts["current"],
        "numberMisscheduled": counts["misscheduled"],
        "desiredNumberScheduled": counts["desired"],
        "numberReady": counts["ready"],
    }
    optional = {
        "updatedNumberScheduled": counts["updated"],
        "numberAvailable": counts["available"],
        "numberUnavailable": counts["desired"] - counts["available"],
        "observedGeneration": generation(ds),
    }
    kept = {k: v for k, v in status(ds).items() if k in ("collisionCount", "conditions")}
    return {**required, **without_zeros(optional), **kept}
