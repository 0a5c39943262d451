"""Facts about pods that controllers decide on, and the order in which pods of one set are given up.

Pure functions over pod dicts. Source: upstream pkg/api/v1/pod/util.go and pkg/controller/controller_utils.go.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from skiff.api.meta import annotations, get_condition, is_pod_active, is_pod_ready, pod_phase, uid
from skiff.api.types import Obj
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def node_name(pod: Obj) -> str:
    return str(spec(pod).get("nodeName") or "")


def ready_since(pod: Obj) -> float | None:
    """Epoch seconds at which the pod became ready; None if it is not, or nobody wrote down when."""
    found = get_condition(pod, "Ready")
    return seconds(found.get("lastTransitionTime")) if found and found.get("status") == "True" else None


def seconds_until_available(pods: Iterable[Obj], min_ready_seconds: int, now: float) -> float | None:
    """How long until the next of the ready pods becomes available; None if none is on the way."""
    times = (ready_since(pod) for pod in pods) if min_ready_seconds > 0 else ()
    waits = [since + min_ready_seconds - now for since in times if since is not None]
    return min((wait for wait in waits if wait > 0), default=None)


def deletion_cost(pod: Obj) -> int:
    """The annotation's value; 0 when absent or not a plain 32-bit integer."""
    text = annotations(pod).get(DELETION_COST, "")
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or (digits[0] == "0" and text != "0"):
        return 0
    value = int(text)
    return value if -(2**31) <= value < 2**31 else 0


def restarts(pod: Obj) -> tuple[int, int]:
    """The highest restart count among containers, and among sidecars."""
    sidecars = {c["name"] for c in spec(pod).get("initContainers") or () if c.get("restartPolicy") == "Always"}
    regular = (int(c.get("restartCount") or 0) for c in status(pod).get("containerStatuses") or ())
    init = status(pod).get("initContainerStatuses") or ()
    return max(regular, default=0), max(
        (int(c.get("restartCount") or 0) for c in init if c.get("name") in sidecars), default=0
    )


def deletion_order(pods: Sequence[Obj], related: Iterable[Obj], now: float) -> list[Obj]:
    """Those to be given up first come first. `related`: pods of sibling sets too; sharing a node with many of them is a
    reason to go. Ages count on a logarithmic scale, equal ones are ordered by uid (upstream ActivePodsWithRanks)."""
    on_node = Counter(node_name(pod) for pod in related if is_pod_active(pod))

    def compare(a: Obj, b: Obj) -> int:
        if bool(node_name(a)) != bool(node_name(b)):
            return -1 if not node_name(a) else 1
        for x, y in (
            (_PHASE_ORDER.get(pod_phase(a), 0), _PHASE_ORDER.get(pod_phase(b), 0)),
            (is_pod_ready(a), is_pod_ready(b)),
            (deletion_cost(a), deletion_cost(b)),
            (-on_node[node_name(a)], -on_node[node_name(b)]),
        ):
            if x != y:
                return -1 if x < y else 1
        if is_pod_ready(a) and ready_since(a) != ready_since(b):
            return _younger_first(a, b, ready_since(a), ready_since(b), now)
        if restarts(a) != restarts(b):
            return -1 if restarts(a) > restarts(b) else 1
        created_a, created_b = (seconds(p["metadata"].get("creationTimestamp")) for p in (a, b))
        return _younger_first(a, b, created_a, created_b, now) if created_a != created_b else 0

    return sorted(pods, key=cmp_to_key(compare))


def _younger_first(a: Obj, b: Obj, time_a: float | None, time_b: float | None, now: float) -> int:
    if time_a is None or time_b is None:
        return -1 if time_a is None else 1
    rank_a, rank_b = (_age_rank(now - t) for t in (time_a, time_b))
    if rank_a != rank_b:
        return -1 if rank_a < rank_b else 1
    return -1 if uid(a) < uid(b) else 1


def _age_rank(age: float) -> int:
    """The age in nanoseconds, rounded down to a power of two; -1 for one that lies in the future."""
    return int(math.log2(age * 1e9)) if age > 0 else -1
