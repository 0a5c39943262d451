"""Spreading: a pod goes where its like are few, by zone, node or any other label.

Constraints with DoNotSchedule filter, those with ScheduleAnyway score. Pods that state none get the cluster's default
(ScheduleAnyway over nodes and zones) for the pods of their Services and their controlling owner.
Source: pkg/scheduler/framework/plugins/podtopologyspread; API type TopologySpreadConstraint.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from skiff.api.nodeselector import NodeTest, required
from skiff.api.selectors import Selector, from_label_selector
from skiff.api.taints import untolerated
from skiff.api.types import Obj
from skiff.scheduler import framework as fw
from skiff.scheduler.cache import Cache
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.plugins.defaultselector import OwnerSelectors
from skiff.scheduler.podinfo import PodInfo

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Constraint:
    max_skew: int
    key: str
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


class SpreadState:
    """counts: per constraint, matching pods by the label's value, over the nodes that count."""

    def __init__(self, constraints: Sequence[Constraint], counts: list[dict[str, int]], eligible: "Eligible"):
        self.constraints = constraints
        self.counts = counts
        self.eligible = eligible
        self._least: list[int | None] = [None] * len(constraints)

    def clone(self) -> "SpreadState":
        return SpreadState(self.constraints, [dict(c) for c in self.counts], self.eligible)

    def least(self, place: int) -> int:
        """Pods in the emptiest domain; 0 when there are fewer domains than demanded."""
        found = self._least[place]
        if found is None:
            counts = self.counts[place]
            too_few = len(counts) < self.constraints[place].min_domains
            found = self._least[place] = 0 if too_few else min(counts.values(), default=0)
        return found

    def change(self, place: int, value: str, by: int) -> None:
        self.counts[place][value] = self.counts[place].get(value, 0) + by
        self._least[place] = None


class Eligible:
    """Which nodes count for a constraint: by the pod's own node affinity and tolerations, as the constraint says."""

    def __init__(self, pod: PodInfo, constraints: Sequence[Constraint]):
        self._affinity: NodeTest | None = required(pod.spec)
        self._tolerations = pod.tolerations
        self.all_nodes = self._affinity is None and not any(c.honor_taints for c in constraints)

    def __call__(self, constraint: Constraint, node: NodeInfo) -> bool:
        if constraint.honor_affinity and self._affinity and not self._affinity(node.labels, node.name):
            return False
        return not (constraint.honor_taints and untolerated(node.taints, self._tolerations))


@dataclass(slots=True)
class ScoreState:
    constraints: Sequence[Constraint]
    by_node: list[Mapping[str, int]]
    by_value: list[Mapping[str, int]]
    weights: list[float]
    ignored: frozenset[str]


class PodTopologySpread:
    name = "PodTopologySpread"
    no_label = fw.unresolvable(name, "node(s) didn't match pod topology spread constraints (missing required label)")
    skewed = fw.unschedulable(name, "node(s) didn't match pod topology spread constraints")

    def __init__(self, *, cache: Cache, owners: OwnerSelectors):
        self._cache = cache
        self._owners = owners

    # --- filter

    def pre_filter(self, state: fw.State, pod: PodInfo) -> fw.PreFilterAnswer:
        constraints = stated(pod, "DoNotSchedule")
        if not constraints:
            return fw.SKIP
        eligible = Eligible(pod, constraints)
        counts = [self._by_value(pod, c, constraints, eligible) for c in constraints]
        state[self.name] = SpreadState(constraints, counts, eligible)
        return None

    def _by_value(
        self, pod: PodInfo, constraint: Constraint, constraints: Sequence[Constraint], eligible: Eligible
    ) -> dict[str, int]:
        """Only nodes that have the labels of all constraints count."""
        if eligible.all_nodes and len(constraints) == 1:
            counts = self._count_by_label(pod, constraint)
            return {value: counts.get(value, 0) for value in self._cache.domains(constraint.key)}
        by_node = self._count(pod, constraint)
        found: dict[str, int] = {}
        for node in self._cache.nodes():
            if has_labels(node, constraints) and eligible(constraint, node):
                value = node.labels[constraint.key]
                found[value] = found.get(value, 0) + by_node.get(node.name, 0)
        return found

    def _count(self, pod: PodInfo, constraint: Constraint) -> Mapping[str, int]:
        return {} if constraint.selector.empty else self._cache.count(*_counted(pod, constraint))

    def _count_by_label(self, pod: PodInfo, constraint: Constraint) -> Mapping[str, int]:
        if constraint.selector.empty:
            return {}
        return self._cache.count_by_label(constraint.key, *_counted(pod, constraint))

    def filter(self, state: fw.State, pod: PodInfo, node: NodeInfo) -> fw.Status | None:
        spread: SpreadState = state[self.name]
        for place, constraint in enumerate(spread.constraints):
            value = node.labels.get(constraint.key)
            if value is None:
                return self.no_label
            itself = constraint.selector.matches(pod.labels)
            skew = spread.counts[place].get(value, 0) + itself - spread.least(place)
            if skew > constraint.max_skew:
                return self.skewed
        return None

    def add_pod(self, state: fw.State, pod: PodInfo, other: PodInfo, node: NodeInfo) -> None:
        self._change(state[self.name], pod, other, node, 1)

    def remove_pod(self, state: fw.State, pod: PodInfo, other: PodInfo, node: NodeInfo) -> None:
        self._change(state[self.name], pod, other, node, -1)

    def _change(self, spread: SpreadState, pod: PodInfo, other: PodInfo, node: NodeInfo, by: int) -> None:
        if other.namespace != pod.namespace or not has_labels(node, spread.constraints):
            return
        for place, constraint in enumerate(spread.constraints):
            if constraint.selector.matches(other.labels) and spread.eligible(constraint, node):
                spread.change(place, node.labels[constraint.key], by)

    # --- score

    def pre_score(self, state: fw.State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> fw.Skip | None:
        own = pod.spec.get("topologySpreadConstraints")
        constraints = stated(pod, "ScheduleAnyway") if own else self._defaults(pod)
        if not constraints:
            return fw.SKIP
        ignored = frozenset(n.name for n in nodes if not has_labels(n, constraints)) if own else frozenset()
        eligible = Eligible(pod, constraints)
        by_node = [self._count(pod, c) if c.key == HOSTNAME else {} for c in constraints]
        by_value, weights = [], []
        for constraint in constraints:
            values = self._values(constraint, nodes, ignored)
            size = len(nodes) - len(ignored) if constraint.key == HOSTNAME else len(values)
            weights.append(math.log(size + 2))
            by_value.append(self._sums(pod, values, constraint, eligible, constraints if own else ()))
        state[self.name + " score"] = ScoreState(constraints, by_node, by_value, weights, ignored)
        return None

    def _defaults(self, pod: PodInfo) -> list[Constraint]:
        selector = self._owners.selector(pod)
        return [] if selector.empty else [Constraint(3, HOSTNAME, selector), Constraint(5, ZONE, selector)]

    def _values(self, constraint: Constraint, nodes: Sequence[NodeInfo], ignored: frozenset[str]) -> set[str]:
        """The domains of the nodes that fit. Nodes are their own domains: they are counted by name."""
        if constraint.key == HOSTNAME or not self._cache.domains(constraint.key):
            return set()
        return {n.labels.get(constraint.key, "") for n in nodes if n.name not in ignored}

    def _sums(
        self,
        pod: PodInfo,
        values: set[str],
        constraint: Constraint,
        eligible: Eligible,
        demanded: Sequence[Constraint],
    ) -> Mapping[str, int]:
        """Matching pods per domain, over the nodes that count: those with the labels of all `demanded` constraints."""
        if not values:
            return {}
        if eligible.all_nodes and len(demanded) < 2:
            counts = self._count_by_label(pod, constraint)
            return {value: counts.get(value, 0) for value in values}
        sums = dict.fromkeys(values, 0)
        for name, count in self._count(pod, constraint).items():
            node = self._cache.node(name)
            if node is not None and has_labels(node, demanded) and eligible(constraint, node):
                value = node.labels.get(constraint.key, "")
                if value in sums:
                    sums[value] += count
        return sums

    def score(self, state: fw.State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        spread: ScoreState = state[self.name + " score"]
        raw = [0.0] * len(nodes)
        for place, constraint in enumerate(spread.constraints):
            key, weight, extra = constraint.key, spread.weights[place], constraint.max_skew - 1
            if key == HOSTNAME:
                counts = spread.by_node[place]
                raw = [
                    r + counts.get(n.name, 0) * weight + extra if key in n.labels else r
                    for r, n in zip(raw, nodes, strict=True)
                ]
            elif values := spread.by_value[place]:
                raw = [
                    r + values[n.labels[key]] * weight + extra
                    if key in n.labels and n.name not in spread.ignored
                    else r
                    for r, n in zip(raw, nodes, strict=True)
                ]
        return _fewest_best([int(r + 0.5) for r in raw], [n.name in spread.ignored for n in nodes])

    def events(self) -> list[fw.Interest]:
        pods = fw.Action.ADD | fw.Action.DELETE | fw.Action.POD_LABEL | fw.Action.POD_TOLERATION
        nodes = fw.Action.ADD | fw.Action.DELETE | fw.Action.NODE_LABEL | fw.Action.NODE_TAINT
        return [fw.Interest("Pod", pods, _pod_matters), fw.Interest("Node", nodes, _node_matters)]


def stated(pod: PodInfo, action: str) -> list[Constraint]:
    """The pod's own constraints of one kind."""
    found = pod.spec.get("topologySpreadConstraints") or ()
    return [_constraint(c, pod) for c in found if c["whenUnsatisfiable"] == action]


def _constraint(c: Obj, pod: PodInfo) -> Constraint:
    selector = c.get("labelSelector")
    keys = [k for k in c.get("matchLabelKeys") or () if k in pod.labels]
    if keys and selector is not None:
        same = [{"key": k, "operator": "In", "values": [pod.labels[k]]} for k in keys]
        selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *same]}
    return Constraint(
        c["maxSkew"],
        c["topologyKey"],
        from_label_selector(selector),
        c.get("minDomains") or 1,
        c.get("nodeAffinityPolicy") != "Ignore",
        c.get("nodeTaintsPolicy") == "Honor",
    )


def _counted(pod: PodInfo, constraint: Constraint) -> tuple[Hashable, Callable[[PodInfo], bool], frozenset[str]]:
    """What Cache.count takes: pods of the same namespace that the selector selects and that are not about to go."""
    selector = constraint.selector
    key = ("spread", pod.namespace, str(selector), selector.nothing)
    return key, lambda p: not p.deleting and selector.matches(p.labels), frozenset((pod.namespace,))


def has_labels(node: NodeInfo, constraints: Sequence[Constraint]) -> bool:
    return all(c.key in node.labels for c in constraints)


def _fewest_best(raw: list[int], ignored: list[bool]) -> list[int]:
    counted = [r for r, i in zip(raw, ignored, strict=True) if not i]
    most, least = max(counted, default=0), min(counted, default=0)
    if most == 0:
        return [0 if i else fw.MAX_SCORE for i in ignored]
    return [0 if i else fw.MAX_SCORE * (most + least - r) // most for r, i in zip(raw, ignored, strict=True)]


def _pod_matters(pod: PodInfo, old: PodInfo | None, new: PodInfo | None) -> bool:
    constraints = stated(pod, "DoNotSchedule")
    for other in (old, new):
        if other is not None and other.uid != pod.uid and (not other.node or other.namespace != pod.namespace):
            return False
    if old is None or new is None:
        other = new or old
        return other is not None and any(c.selector.matches(other.labels) for c in constraints)
    if new.uid == pod.uid and new.tolerations != old.tolerations and any(c.honor_taints for c in constraints):
        return True
    return any(c.selector.matches(old.labels) != c.selector.matches(new.labels) for c in constraints)


def _node_matters(pod: PodInfo, old: NodeInfo | None, new: NodeInfo | None) -> bool:
    constraints = stated(pod, "DoNotSchedule")
    was, now = (node is not None and has_labels(node, constraints) for node in (old, new))
    if old is None or new is None or was != now:
        return was or now
    moved = any(old.labels.get(c.key) != new.labels.get(c.key) for c in constraints)
    return now and (moved or old.taints != new.taints)
