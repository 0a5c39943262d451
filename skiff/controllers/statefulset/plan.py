"""The next step of a StatefulSet: which pod to create, delete, or wait for.

OrderedReady makes one step at a time, lowest ordinal first, and waits for each pod to be ready; Parallel makes all of
them. Scaling down and updating go from the highest ordinal. Pure. Source: upstream stateful_set_control.go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from skiff.api.intstr import scaled
from skiff.api.meta import is_being_deleted, is_pod_available, is_pod_ready, labels, name, pod_phase
from skiff.api.types import Obj
from skiff.controllers.common.history import REVISION_LABEL
from skiff.controllers.common.meta import generation, spec, status
from skiff.controllers.statefulset.identity import ordinal, start


@dataclass(slots=True)
class Plan:
    """create: (ordinal, revision name); delete: pods; recreate: failed pods, deleted so that they come again; condemned:
    those of `delete` that scaling down gives up."""

    create: list[tuple[int, str]] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    recreate: list[Obj] = field(default_factory=list)
    condemned: list[Obj] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.create or self.delete or self.recreate)


def replicas(sts: Obj) -> int:
    return int(spec(sts).get("replicas", 1))


def _healthy(sts: Obj, pod: Obj, now: float) -> bool:
    """Running, ready long enough, and staying."""
    min_ready = int(spec(sts).get("minReadySeconds") or 0)
    return _running_and_ready(pod) and not is_being_deleted(pod) and is_pod_available(pod, min_ready, now)


def _running_and_ready(pod: Obj) -> bool:
    return pod_phase(pod) == "Running" and is_pod_ready(pod)


def _partition(sts: Obj) -> int | None:
    rolling = (spec(sts).get("updateStrategy") or {}).get("rollingUpdate")
    return None if rolling is None else int(rolling.get("partition") or 0)


def revision_for(sts: Obj, index: int, current: str, update: str) -> str:
    """Which revision a pod created now gets: below the partition the current one."""
    if (spec(sts).get("updateStrategy") or {}).get("type") != "RollingUpdate":
        return update
    partition = _partition(sts)
    if partition is None:
        old = index < start(sts) + int(status(sts).get("currentReplicas") or 0)
    else:
        old = index < start(sts) + partition
    return current if old else update


def split(sts: Obj, pods: Iterable[Obj]) -> tuple[dict[int, Obj], list[Obj]]:
    """(pods in range by ordinal, condemned ones from the highest)."""
    low, high = start(sts), start(sts) + replicas(sts)
    found = {ordinal(sts, pod): pod for pod in pods if ordinal(sts, pod) >= 0}
    wanted = {i: pod for i, pod in found.items() if low <= i < high}
    return wanted, [found[i] for i in sorted(found.keys() - wanted.keys(), reverse=True)]


def plan(sts: Obj, pods: Sequence[Obj], current: str, update: str, now: float) -> Plan:
    """current, update: names of revisions."""
    wanted, condemned = split(sts, pods)
    ordered = spec(sts).get("podManagementPolicy") != "Parallel"
    result = Plan()
    if not _plan_replicas(sts, result, wanted, ordered, current, update, now):
        return result
    if not _plan_condemned(sts, result, wanted, condemned, ordered, now):
        return result
    if (spec(sts).get("updateStrategy") or {}).get("type") == "RollingUpdate" and result.empty:
        _plan_update(sts, result, wanted, update, now)
    return result


def _plan_replicas(
    sts: Obj, result: Plan, wanted: dict[int, Obj], ordered: bool, current: str, update: str, now: float
) -> bool:
    """False: nothing further for now."""
    for index in range(start(sts), start(sts) + replicas(sts)):
        pod = wanted.get(index)
        if pod is None:
            result.create.append((index, revision_for(sts, index, current, update)))
        elif pod_phase(pod) in ("Failed", "Succeeded"):
            if not is_being_deleted(pod):
                result.recreate.append(pod)
        elif _healthy(sts, pod, now):
            continue
        if ordered:
            return False
    return True


def _plan_condemned(
    sts: Obj, result: Plan, wanted: dict[int, Obj], condemned: list[Obj], ordered: bool, now: float
) -> bool:
    unhealthy = [pod for _, pod in sorted(wanted.items()) if not _healthy(sts, pod, now)]
    unhealthy += [pod for pod in reversed(condemned) if not _healthy(sts, pod, now)]
    for pod in condemned:
        if is_being_deleted(pod):
            if ordered:
                return False
            continue
        if ordered and not _running_and_ready(pod) and unhealthy and name(pod) != name(unhealthy[0]):
            return False
        result.delete.append(pod)
        result.condemned.append(pod)
        if ordered:
            return False
    return True


def _plan_update(sts: Obj, result: Plan, wanted: dict[int, Obj], update: str, now: float) -> None:
    """From the highest ordinal down to the partition, as many at once as may be unavailable."""
    lowest = start(sts) + (_partition(sts) or 0)
    rolling = (spec(sts).get("updateStrategy") or {}).get("rollingUpdate") or {}
    allowed = max(1, scaled(rolling.get("maxUnavailable", 1), replicas(sts), round_up=False))
    allowed -= sum(
        not _healthy(sts, pod, now) for i, pod in wanted.items() if labels(pod).get(REVISION_LABEL) == update
    )
    for index in sorted((i for i in wanted if i >= lowest), reverse=True):
        pod = wanted[index]
        if allowed <= 0:
            return
        if labels(pod).get(REVISION_LABEL) == update:
            continue
        if not is_being_deleted(pod):
            result.delete.append(pod)
        allowed -= 1


def next_status(sts: Obj, pods: Sequence[Obj], current: str, update: str, collisions: int | None, now: float) -> Obj:
    min_ready = int(spec(sts).get("minReadySeconds") or 0)
    ready = [pod for pod in pods if _running_and_ready(pod)]
    counts = {
        "replicas": sum(bool(pod_phase(pod)) for pod in pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_pod_available(pod, min_ready, now) for pod in ready),
        "currentReplicas": _of(pods, current),
        "updatedReplicas": _of(pods, update),
    }
    if _complete(sts, counts):
        current = update
        counts["currentReplicas"] = counts["updatedReplicas"]
    kept = ("replicas", "availableReplicas")
    result: Obj = {k: v for k, v in counts.items() if v or k in kept}
    result |= {
        "observedGeneration": generation(sts),
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": collisions or 0,
    }
    if conditions := status(sts).get("conditions"):
        result["conditions"] = conditions
    return result


def _of(pods: Sequence[Obj], revision: str) -> int:
    return sum(labels(pod).get(REVISION_LABEL) == revision and not is_being_deleted(pod) for pod in pods)


def _complete(sts: Obj, counts: dict[str, int]) -> bool:
    """Everything runs the new revision and is ready: it is the current one from now on."""
    rolls = (spec(sts).get("updateStrategy") or {}).get("type") == "RollingUpdate"
    return rolls and counts["updatedReplicas"] == counts["replicas"] == counts["readyReplicas"] == replicas(sts)
