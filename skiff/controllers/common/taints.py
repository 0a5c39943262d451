"""Taints as controllers ask about them; what a toleration tolerates is in skiff.api.taints. Pure."""

from collections.abc import Iterable

from skiff.api.taints import tolerates
from skiff.api.types import Obj
from skiff.controllers.common.meta import spec

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def with_effect(node: Obj, effect: str) -> list[Obj]:
    return [t for t in spec(node).get("taints") or () if t.get("effect") == effect]


def matching_tolerations(taints: Iterable[Obj], tolerations: Iterable[Obj]) -> list[Obj] | None:
    """For each taint the first toleration for it; None if a taint is not tolerated."""
    tolerations = list(tolerations)
    used = []
    for taint in taints:
        found = next((t for t in tolerations if tolerates(t, taint)), None)
        if found is None:
            return None
        used.append(found)
    return used


def toleration_seconds(used: Iterable[Obj]) -> float | None:
    """How long the shortest of the tolerations holds; None: forever."""
    limits = [float(max(0, t["tolerationSeconds"])) for t in used if t.get("tolerationSeconds") is not None]
    return min(limits, default=None)
