"""What a deployment reports: counts, Available, and Progressing with its deadline.

Pure. Source: upstream pkg/controller/deployment/{sync,progress}.go; reasons and messages are its, because
`kubectl rollout status` and people read them.
"""

from collections.abc import Iterable
from typing import Any

from skiff.api.meta import get_condition, name
from skiff.api.types import Obj
from skiff.controllers.common.meta import generation, spec, status, without_zeros
from skiff.controllers.common.times import seconds, timestamp
from skiff.controllers.deployment import sizes

NEW_SET_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"


def has_deadline(deployment: Obj) -> bool:
    return spec(deployment).get("progressDeadlineSeconds") not in (None, sizes.NEVER)


def new_condition(type: str, value: str, reason: str, message: str, now: float) -> Obj:
    moment = timestamp(now)
    return {
        "type": type,
        "status": value,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def with_condition(conditions: list[Obj], new: Obj) -> list[Obj]:
    """Put in place of the one of its type. The same status and reason: nothing changes. The same status: the time of
    the last transition stays."""
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    if old is not None and old["status"] == new["status"]:
        if old.get("reason") == new["reason"]:
            return conditions
        new = {**new, "lastTransitionTime": old.get("lastTransitionTime", new["lastTransitionTime"])}
    return [*without(conditions, new["type"]), new]


def without(conditions: list[Obj], type: str) -> list[Obj]:
    return [c for c in conditions if c["type"] != type]


def conditions_of(deployment: Obj) -> list[Obj]:
    return list(status(deployment).get("conditions") or [])


def set_condition(deployment: Obj, new: Obj) -> bool:
    """In place, on the caller's own copy. Whether anything changed."""
    before = conditions_of(deployment)
    after = with_condition(before, new)
    deployment["status"] = {**status(deployment), "conditions": after}
    return after != before


def _sum(sets: Iterable[Obj], field: str) -> int:
    return sum(int(status(s).get(field) or 0) for s in sets)


def _terminating(sets: Iterable[Obj]) -> int | None:
    """None while a set that has been looked at does not report its terminating pods."""
    count = 0
    for s in sets:
        reported = status(s).get("terminatingReplicas")
        if reported is None and status(s).get("observedGeneration"):
            return None
        count += reported or 0
    return count


def next_status(deployment: Obj, new: Obj | None, old: Iterable[Obj], now: float) -> Obj:
    """The counts, and Available."""
    everything = [*old, *([new] if new else [])]
    available = _sum(everything, "availableReplicas")
    result = without_zeros(
        {
            "observedGeneration": generation(deployment),
            "replicas": _sum(everything, "replicas"),
            "updatedReplicas": _sum([new] if new else [], "replicas"),
            "readyReplicas": _sum(everything, "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, sizes.total(everything) - available),
        }
    )
    for key, value in (
        ("collisionCount", status(deployment).get("collisionCount")),
        ("terminatingReplicas", _terminating(everything)),
    ):
        if value is not None:
            result[key] = value
    if available >= sizes.replicas(deployment) - sizes.max_unavailable(deployment):
        text = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    result["conditions"] = with_condition(conditions_of(deployment), new_condition("Available", *text, now))
    return result


def rollout_status(deployment: Obj, new: Obj | None, old: Iterable[Obj], now: float) -> Obj:
    """`next_status`, with Progressing judged against the former status, and the sets' ReplicaFailure passed on."""
    old = list(old)
    result = next_status(deployment, new, old, now)
    conditions: list[Obj] = result["conditions"]
    if not has_deadline(deployment):
        conditions = without(conditions, "Progressing")
    elif not _was_complete(deployment, result):
        conditions = _progressing(deployment, new, result, conditions, now)
    failure = replica_failure(new, old)
    if failure is None:
        conditions = without(conditions, "ReplicaFailure")
    else:
        conditions = with_condition(conditions, failure)
    result["conditions"] = conditions
    return result


def _was_complete(deployment: Obj, result: Obj) -> bool:
    """Only one set is active and the last rollout has ended: there is no progress to estimate."""
    current = get_condition(deployment, "Progressing")
    same = result.get("replicas", 0) == result.get("updatedReplicas", 0)
    return same and current is not None and current.get("reason") == NEW_SET_AVAILABLE


def _progressing(deployment: Obj, new: Obj | None, result: Obj, conditions: list[Obj], now: float) -> list[Obj]:
    subject = f'ReplicaSet "{name(new)}"' if new else f'Deployment "{name(deployment)}"'

    def verdict(value: str, reason: str, what: str) -> Obj:
        return new_condition("Progressing", value, reason, f"{subject} {what}", now)

    if is_complete(deployment, result):
        return with_condition(conditions, verdict("True", NEW_SET_AVAILABLE, "has successfully progressed."))
    if is_progressing(deployment, result):
        changed = verdict("True", "ReplicaSetUpdated", "is progressing.")
        current = get_condition(deployment, "Progressing")
        if current is not None and current["status"] == "True":
            changed["lastTransitionTime"] = current.get("lastTransitionTime", changed["lastTransitionTime"])
        # Progress moves lastUpdateTime even when the reason stays: the deadline counts from it.
        return [*without(conditions, "Progressing"), changed]
    if is_timed_out(deployment, now):
        return with_condition(conditions, verdict("False", TIMED_OUT, "has timed out progressing."))
    return conditions


def is_complete(deployment: Obj, values: Obj) -> bool:
    wanted = sizes.replicas(deployment)
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    seen = values.get("observedGeneration", 0) >= generation(deployment)
    return seen and all(values.get(key, 0) == wanted for key in counts)


def is_progressing(deployment: Obj, values: Obj) -> bool:
    """More updated, ready or available pods, or fewer old ones, than the deployment last reported."""
    before: dict[str, Any] = status(deployment)

    def grew(key: str) -> bool:
        return bool(values.get(key, 0) > before.get(key, 0))

    old_before = before.get("replicas", 0) - before.get("updatedReplicas", 0)
    old_now = values.get("replicas", 0) - values.get("updatedReplicas", 0)
    return any(map(grew, ("updatedReplicas", "readyReplicas", "availableReplicas"))) or old_now < old_before


def is_timed_out(deployment: Obj, now: float) -> bool:
    current = get_condition(deployment, "Progressing")
    if current is None or not has_deadline(deployment) or current.get("reason") == NEW_SET_AVAILABLE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    since = seconds(current.get("lastUpdateTime"))
    return since is not None and since + spec(deployment)["progressDeadlineSeconds"] < now


def seconds_until_deadline(deployment: Obj, values: Obj, now: float) -> float | None:
    """When to look again at a deployment that may be stuck; None if that cannot be or is settled."""
    current = get_condition(deployment, "Progressing")
    if current is None or not has_deadline(deployment):
        return None
    if is_complete(deployment, values) or current.get("reason") == TIMED_OUT:
        return None
    since = seconds(current.get("lastUpdateTime"))
    if since is None:
        return None
    return max(0.0, since + spec(deployment)["progressDeadlineSeconds"] - now) + 1


def replica_failure(new: Obj | None, old: Iterable[Obj]) -> Obj | None:
    """The new set's, or else the first old set's, as a deployment's condition."""
    for s in [*([new] if new else []), *old]:
        found = get_condition(s, "ReplicaFailure")
        if found is not None:
            moment = found.get("lastTransitionTime", "")
            return {"reason": "", "message": "", **found, "lastUpdateTime": moment, "lastTransitionTime": moment}
    return None


def paused_condition(deployment: Obj, now: float) -> Obj | None:
    """What to note when a deployment with a deadline is paused or resumed; None if it is noted already."""
    current = get_condition(deployment, "Progressing")
    reason = current.get("reason") if current else None
    if not has_deadline(deployment) or reason == TIMED_OUT:
        return None
    paused = bool(spec(deployment).get("paused"))
    if paused and reason != PAUSED:
        return new_condition("Progressing", "Unknown", PAUSED, "Deployment is paused", now)
    if not paused and reason == PAUSED:
        return new_condition("Progressing", "Unknown", RESUMED, "Deployment is resumed", now)
    return None
