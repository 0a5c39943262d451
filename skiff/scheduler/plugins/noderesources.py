"""Resources: a pod fits where its requests do; it goes rather where much is free and the use of resources is even."""

from collections.abc import Sequence
from math import sqrt

from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo, Resources

Requests = tuple[tuple[str, int], ...]


class Fit:
    """Filters by free resources; scores the least allocated of cpu and memory, where pods without requests count as
    something."""

    name = "NodeResourcesFit"
    scale = fw.Scale.NONE

    def prepare_filter(self, pod: PodInfo) -> Requests:
        return tuple(pod.requests.items())

    def filter_node(self, prepared: Requests, node: NodeInfo) -> fw.Status | None:
        if len(node.pods) < node.pod_limit:
            allocatable, requested = node.allocatable, node.requested
            for resource, amount in prepared:
                if amount > allocatable.get(resource, 0) - requested.get(resource, 0):
                    break
            else:
                return None
        return self._refusal(prepared, node)

    def _refusal(self, wanted: Requests, node: NodeInfo) -> fw.Status:
        reasons = []
        code = fw.Code.UNSCHEDULABLE
        if len(node.pods) >= node.pod_limit:
            reasons.append(fw.Reason("Too many pods", {"used": len(node.pods), "capacity": node.pod_limit}))
        for resource, amount in wanted:
            capacity, used = node.allocatable.get(resource, 0), node.requested.get(resource, 0)
            if amount > capacity - used:
                facts = {"resource": resource, "requested": amount, "used": used, "capacity": capacity}
                reasons.append(fw.Reason(f"Insufficient {resource}", facts))
            if amount > capacity:
                code = fw.Code.UNRESOLVABLE
        return fw.Status(code, self.name, tuple(reasons))

    def prepare_score(self, pod: PodInfo) -> tuple[int, int]:
        return pod.nonzero

    def score_node(self, prepared: tuple[int, int], node: NodeInfo) -> int:
        cpu = (node.nonzero_cpu + prepared[0], node.allocatable.get("cpu", 0))
        memory = (node.nonzero_memory + prepared[1], node.allocatable.get("memory", 0))
        return least_allocated((cpu, memory))

    def events(self) -> list[fw.Interest]:
        return [
            fw.Interest("Pod", fw.Action.DELETE | fw.Action.POD_SCALE_DOWN, _frees),
            fw.Interest("Node", fw.Action.ADD | fw.Action.NODE_ALLOCATABLE, _fits_now),
        ]


class BalancedAllocation:
    """Scores how much evener the use of cpu and memory becomes (50 to 100, 75: as it was)."""

    name = "NodeResourcesBalancedAllocation"
    scale = fw.Scale.NONE

    def prepare_score(self, pod: PodInfo) -> tuple[int, int] | fw.Skip:
        wanted = pod.requests.get("cpu", 0), pod.requests.get("memory", 0)
        return wanted if any(wanted) else fw.SKIP

    def score_node(self, prepared: tuple[int, int], node: NodeInfo) -> int:
        capacities = node.allocatable.get("cpu", 0), node.allocatable.get("memory", 0)
        before = node.requested.get("cpu", 0), node.requested.get("memory", 0)
        after = before[0] + prepared[0], before[1] + prepared[1]
        half = fw.MAX_SCORE // 2
        gain = half + evenness(after, capacities) - evenness(before, capacities)
        return half + gain // 2


def least_allocated(resources: Sequence[tuple[int, int]]) -> int:
    """Mean free share of (used, capacity) pairs, in percent; resources that the node does not have do not count."""
    shares = [
        (capacity - used) * fw.MAX_SCORE // capacity if used <= capacity else 0
        for used, capacity in resources
        if capacity
    ]
    return sum(shares) // len(shares) if shares else 0


def evenness(used: Sequence[int], capacities: Sequence[int]) -> int:
    """100 minus the standard deviation, in percent, of the used shares."""
    shares = [min(u / c, 1.0) for u, c in zip(used, capacities, strict=True) if c]
    if len(shares) < 2:
        return fw.MAX_SCORE
    mean = sum(shares) / len(shares)
    deviation = sqrt(sum((s - mean) ** 2 for s in shares) / len(shares))
    if len(shares) == 2:
        deviation = abs((shares[0] - shares[1]) / 2)
    return int((1 - deviation) * fw.MAX_SCORE)


def _frees(pod: PodInfo, old: PodInfo, new: PodInfo | None) -> bool:
    if new is None:
        return bool(old.node or old.nominated)
    if new.uid == pod.uid:
        return True
    return bool(new.node) and any(old.requests.get(r, 0) > new.requests.get(r, 0) for r in pod.requests)


def _fits_now(pod: PodInfo, old: NodeInfo | None, new: NodeInfo) -> bool:
    if new.pod_limit < 1 or any(amount > new.allocatable.get(r, 0) for r, amount in pod.requests.items()):
        return False
    return old is None or new.pod_limit > old.pod_limit or _grew(pod.requests, old.allocatable, new.allocatable)


def _grew(wanted: Resources, old: Resources, new: Resources) -> bool:
    return any(new.get(r, 0) > old.get(r, 0) for r in wanted)
