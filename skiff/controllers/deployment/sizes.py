"""How many replicas each ReplicaSet of a deployment should have now.

Guarantees of a rolling update: never more than replicas + maxSurge pods, never fewer than replicas - maxUnavailable
available ones through our doing. Pure. Source: upstream pkg/controller/deployment/{rolling,sync}.go and util.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skiff.api.intstr import scaled
from skiff.api.meta import annotations, name
from skiff.api.types import Obj
from skiff.controllers.common.meta import spec, status

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Scale:
    """Give the set this size. always: also when only its size annotations are out of date."""

    name: str
    replicas: int
    always: bool = False


def replicas(obj: Obj) -> int:
    """spec.replicas of a deployment or set."""
    return int(spec(obj).get("replicas", 1))


def available(s: Obj) -> int:
    """Never more than its size: a set that was just made smaller still reports the pods that it is about to delete, and
    to count on those would take away too many. (Upstream counts on them.)"""
    return min(int(status(s).get("availableReplicas") or 0), replicas(s))


def total(sets: Iterable[Obj]) -> int:
    return sum(replicas(s) for s in sets)


def active(sets: Iterable[Obj]) -> list[Obj]:
    return [s for s in sets if replicas(s) > 0]


def by_age(sets: Iterable[Obj]) -> list[Obj]:
    """Oldest first."""
    return sorted(sets, key=lambda s: (s["metadata"].get("creationTimestamp", ""), name(s)))


def is_rolling(deployment: Obj) -> bool:
    return bool((spec(deployment).get("strategy") or {}).get("type") == "RollingUpdate")


def fenceposts(deployment: Obj) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as numbers. Never both 0, because then nothing could move."""
    rolling = (spec(deployment).get("strategy") or {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", 0), replicas(deployment), round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 0), replicas(deployment), round_up=False)
    return surge, unavailable if surge or unavailable else 1


def max_surge(deployment: Obj) -> int:
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Obj) -> int:
    if not is_rolling(deployment) or replicas(deployment) == 0:
        return 0
    return min(fenceposts(deployment)[1], replicas(deployment))


def size_annotations(deployment: Obj) -> dict[str, str]:
    """What a set remembers of the deployment's size, to tell a scaling from a rollout."""
    wanted = replicas(deployment)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + max_surge(deployment))}


def _annotated(s: Obj, key: str) -> int | None:
    text = annotations(s).get(key, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) <= NEVER else None


def is_scaling(deployment: Obj, sets: Iterable[Obj]) -> bool:
    """Whether the deployment's size has changed since the active sets were sized."""
    remembered = (_annotated(s, DESIRED) for s in active(sets))
    return any(size is not None and size != replicas(deployment) for size in remembered)


def new_replicas(deployment: Obj, all_replicas: int, current: int) -> int:
    """The size that the new set, now of size `current`, may grow to."""
    wanted = replicas(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - all_replicas
    return current if room <= 0 else current + min(room, wanted - current)


# --- rolling update


def plan_rolling(deployment: Obj, new: Obj, old: Sequence[Obj]) -> list[Scale]:
    """One step: grow (or shrink) the new set; if that is not possible, shrink old ones."""
    wanted = replicas(deployment)
    size = replicas(new)
    if size > wanted:
        return [Scale(name(new), wanted)]
    if size < wanted:
        grown = new_replicas(deployment, total([*old, new]), size)
        if grown != size:
            return [Scale(name(new), grown)]
    return _shrink_old(deployment, new, by_age(active(old)))


def _shrink_old(deployment: Obj, new: Obj, old: list[Obj]) -> list[Scale]:
    """Pods of old sets that are unavailable go first: that costs nothing. Then available ones, as far as allowed."""
    min_available = replicas(deployment) - max_unavailable(deployment)
    new_unavailable = replicas(new) - available(new)
    budget = total([*old, new]) - min_available - new_unavailable
    if not old or budget <= 0:
        return []
    sizes = {name(s): replicas(s) for s in old}
    scales: list[Scale] = []

    def shrink(s: Obj, count: int) -> int:
        if count > 0:
            sizes[name(s)] -= count
            scales.append(Scale(name(s), sizes[name(s)]))
        return max(count, 0)

    for s in old:
        budget -= shrink(s, min(budget, replicas(s) - available(s)))
    spare = sum(available(s) for s in [*old, new]) - min_available
    for s in old:
        spare -= shrink(s, min(spare, sizes[name(s)]))
    return scales


# --- scaling


def plan_scaling(deployment: Obj, new: Obj | None, old: Sequence[Obj]) -> list[Scale]:
    """The deployment's size changed, or it is paused: the one active (or newest) set takes all of it; several share it
    in proportion, so that a rollout is not hastened."""
    wanted = replicas(deployment)
    only = active_or_latest(new, old)
    if only is not None:
        return [Scale(name(only), wanted)] if replicas(only) != wanted else []
    if new is not None and is_saturated(deployment, new):
        return [Scale(name(s), 0) for s in active(old)]
    if is_rolling(deployment):
        return proportional(deployment, active([*old, *([new] if new else [])]))
    return []


def active_or_latest(new: Obj | None, old: Sequence[Obj]) -> Obj | None:
    """The only set with a size, or the newest if none has one; None if several have, or there is none."""
    everything = [*reversed(by_age(old)), *([new] if new else [])]
    running = active(everything)
    if len(running) > 1:
        return None
    if running:
        return running[0]
    return new or (everything[0] if everything else None)


def is_saturated(deployment: Obj, s: Obj) -> bool:
    """The set has all replicas of the deployment, both know it, and all are available."""
    wanted = replicas(deployment)
    return replicas(s) == wanted and _annotated(s, DESIRED) == wanted and available(s) == wanted


def proportional(deployment: Obj, sets: list[Obj]) -> list[Scale]:
    """Shares what is to be added or removed by the sets' sizes, largest first; what rounding leaves, the largest takes."""
    wanted = replicas(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    to_add = allowed - total(sets)
    ordered = _by_size(sets, newer_first=to_add > 0) if to_add else list(sets)
    added = 0
    sizes: dict[str, int] = {}
    for s in ordered:
        share = _share(deployment, s, to_add, added)
        sizes[name(s)] = replicas(s) + share
        added += share
    if to_add:
        largest = name(ordered[0])
        sizes[largest] = max(0, sizes[largest] + to_add - added)
    return [Scale(name(s), sizes[name(s)], always=True) for s in ordered]


def _by_size(sets: list[Obj], *, newer_first: bool) -> list[Obj]:
    aged = by_age(sets)
    return sorted(reversed(aged) if newer_first else aged, key=replicas, reverse=True)


def _share(deployment: Obj, s: Obj, to_add: int, added: int) -> int:
    if replicas(s) == 0 or to_add == 0 or to_add == added:
        return 0
    fraction = _fraction(deployment, s)
    return min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)


def _fraction(deployment: Obj, s: Obj) -> int:
    """How much the set would grow if it kept its part of the deployment's largest allowed size."""
    if replicas(deployment) == 0:
        return -replicas(s)
    before = _annotated(s, MAXIMUM) or int(status(deployment).get("replicas") or 0)
    if before == 0:
        return 0
    size = replicas(s) * (replicas(deployment) + max_surge(deployment)) / before
    return math.floor(size + 0.5) - replicas(s)
