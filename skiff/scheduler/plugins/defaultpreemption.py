"""Preemption: when no node fits, find one where evicting pods of lower priority makes room, at the least cost.

Decides only: the scheduler evicts the victims and notes the nomination. Per candidate node the victims are the fewest:
all pods of lower priority are taken away for trial, then put back in the order of their importance, those first whose
disruption budget would be violated. Source: plugins/defaultpreemption and framework/preemption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skiff import env
from skiff.api.gvr import PODDISRUPTIONBUDGETS
from skiff.api.selectors import SelectorError, from_label_selector
from skiff.api.types import Obj
from skiff.client.informer import Informers
from skiff.scheduler import framework as fw
from skiff.scheduler.algorithm import Cycle, unavailable
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo

MIN_CANDIDATES_PERCENTAGE = 10
MIN_CANDIDATES = 100
NOT_HELPFUL = "Preemption is not helpful for scheduling"
HIGHEST = 2**31
NEVER_STARTED = "~"  # sorts after every time


@dataclass(frozen=True, slots=True)
class Candidate:
    """victims: most important first."""

    node: str
    victims: Sequence[PodInfo]
    violations: int


class DefaultPreemption:
    name = "DefaultPreemption"
    no_victims = fw.unresolvable(name, "No preemption victims found for incoming pod")

    def __init__(self, *, informers: Informers):
        self._budgets = informers.get(PODDISRUPTIONBUDGETS)

    def post_filter(
        self, cycle: Cycle, state: fw.State, pod: PodInfo, refusals: Mapping[str, fw.Status]
    ) -> fw.PostFilterResult:
        ineligible = self._ineligible(cycle, pod, refusals)
        if ineligible:
            return fw.PostFilterResult(message=f"preemption: {ineligible}")
        hopeful = [n for n in cycle.cache.nodes() if _may_help(refusals.get(n.name))]
        candidates, tried = self._candidates(cycle, state, pod, hopeful)
        if not candidates:
            message = unavailable(len(cycle.cache.nodes()), tried, absent=NOT_HELPFUL)
            return fw.PostFilterResult(nominated="", message=f"preemption: {message}")
        best = min(candidates, key=cost)
        return fw.PostFilterResult(nominated=best.node, victims=best.victims)

    def _ineligible(self, cycle: Cycle, pod: PodInfo, refusals: Mapping[str, fw.Status]) -> str:
        if pod.spec.get("preemptionPolicy") == "Never":
            return "not eligible due to preemptionPolicy=Never."
        nominated = cycle.nominator.node_of(pod.key) or pod.nominated
        node = cycle.cache.node(nominated) if nominated else None
        refusal = refusals.get(nominated)
        if node is None or (refusal is not None and refusal.code is fw.Code.UNRESOLVABLE):
            return ""
        if any(p.priority < pod.priority and _ending_for_another(p) for p in node.pods.values()):
            return "not eligible due to a terminating pod on the nominated node."
        return ""

    def _candidates(
        self, cycle: Cycle, state: fw.State, pod: PodInfo, nodes: list[NodeInfo]
    ) -> tuple[list[Candidate], dict[str, fw.Status]]:
        """Enough candidates, from a random place on, and the refusals of the nodes tried in vain."""
        wanted = min(len(nodes), max(MIN_CANDIDATES, len(nodes) * MIN_CANDIDATES_PERCENTAGE // 100))
        start = env.rng().randrange(len(nodes)) if len(nodes) > 1 else 0
        budgets = self._budgets.items()
        found: list[Candidate] = []
        tried: dict[str, fw.Status] = {}
        for node in nodes[start:] + nodes[:start]:
            answer = self._victims(cycle, cycle.clone_state(state), pod, node.clone(), budgets)
            if isinstance(answer, fw.Status):
                tried[node.name] = answer
                continue
            found.append(answer)
            if len(found) >= wanted and any(not c.violations for c in found):
                break
        return found, tried

    def _victims(
        self, cycle: Cycle, state: fw.State, pod: PodInfo, node: NodeInfo, budgets: Sequence[Obj]
    ) -> Candidate | fw.Status:
        """`state` and `node` are copies to be changed."""
        lower = sorted((p for p in node.pods.values() if p.priority < pod.priority), key=importance)
        if not lower:
            return self.no_victims
        for other in lower:
            cycle.remove_pod(state, other, node)
        refusal = cycle.refusal(state, node)
        if refusal is not None:
            return refusal
        violating, others = violations(lower, budgets)
        victims = []
        violated = 0
        for other in violating + others:
            cycle.add_pod(state, other, node)
            if cycle.refusal(state, node) is not None:
                cycle.remove_pod(state, other, node)
                victims.append(other)
                violated += other in violating
        return Candidate(node.name, sorted(victims, key=importance), violated)


def importance(pod: PodInfo) -> tuple[int, str, str]:
    """Sorts the most important first: by priority, then who has been running longest."""
    return -pod.priority, pod.start_time or NEVER_STARTED, pod.key


def cost(candidate: Candidate) -> tuple[int, int, int, int, int]:
    """Smaller is better: violated budgets, the highest priority, the sum of priorities, how many; then those that have
    been running the shortest."""
    victims = candidate.victims
    highest = victims[0].priority if victims else -HIGHEST
    total = sum(v.priority + HIGHEST for v in victims)
    earliest = min((v.start_time or NEVER_STARTED for v in victims if v.priority == highest), default="")
    return candidate.violations, highest, total, len(victims), -_seconds(earliest)


def violations(pods: Sequence[PodInfo], budgets: Sequence[Obj]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(those whose eviction, in this order, violates a disruption budget; the others). Order is kept."""
    left = [(b.get("status") or {}).get("disruptionsAllowed", 0) for b in budgets]
    violating: list[PodInfo] = []
    fine: list[PodInfo] = []
    for pod in pods:
        over = False
        for place, budget in enumerate(budgets):
            if _covers(budget, pod):
                left[place] -= 1
                over = over or left[place] < 0
        (violating if over else fine).append(pod)
    return violating, fine


def _covers(budget: Obj, pod: PodInfo) -> bool:
    if budget["metadata"].get("namespace", "") != pod.namespace or not pod.labels:
        return False
    if pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
        return False
    try:
        selector = from_label_selector(budget["spec"].get("selector"))
    except SelectorError:
        return False
    return not selector.empty and selector.matches(pod.labels)


def _may_help(refusal: fw.Status | None) -> bool:
    return refusal is not None and refusal.code is fw.Code.UNSCHEDULABLE


def _ending_for_another(pod: PodInfo) -> bool:
    """Being deleted because of a preemption."""
    if not pod.deleting:
        return False
    conditions = (pod.obj.get("status") or {}).get("conditions") or ()
    return any(
        c["type"] == "DisruptionTarget" and c["status"] == "True" and c.get("reason") == "PreemptionByScheduler"
        for c in conditions
    )


def _seconds(start_time: str) -> int:
    """RFC 3339 text as a number that grows with it."""
    digits = "".join(c for c in start_time[:19] if c.isdigit())
    return int(digits) if digits else 10**14
