"""One scheduling cycle: from a pod and the cache to a node, or to the reasons why there is none.

Awaits nothing and writes nothing but its own place in the round of nodes. Chance (which of several best nodes) comes from
skiff.env. Source of the rules: pkg/scheduler/schedule_one.go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skiff import env
from skiff.scheduler import framework as fw
from skiff.scheduler.cache import Cache
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.nominator import Nominator
from skiff.scheduler.podinfo import PodInfo
from skiff.scheduler.profile import Profile
from skiff.scheduler.shapes import Entry, Shape, Shapes

MIN_FEASIBLE = 100
MIN_PERCENTAGE = 5
NO_NODES = "no nodes available to schedule pods"


@dataclass(slots=True)
class Decision:
    """node: where the pod goes, or "". Else: why not (`refusals` by node, or `refused` for all of them), `plugins`: whose
    events may change it (none: any event), `nominated` and `victims` as in PostFilterResult."""

    total: int
    node: str = ""
    evaluated: int = 0
    feasible: int = 0
    refusals: Mapping[str, fw.Status] = field(default_factory=dict)
    refused: fw.Status | None = None
    absent: str = ""
    plugins: frozenset[str] = frozenset()
    nominated: str | None = None
    victims: Sequence[PodInfo] = ()
    post_filter: str = ""
    error: fw.Status | None = None
    state: fw.State = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The sentence for the event and the condition."""
        if self.error is not None:
            return self.error.message
        if self.total == 0:
            return NO_NODES
        return unavailable(self.total, self.refusals, self.refused, self.absent, self.post_filter)


def unavailable(
    total: int,
    refusals: Mapping[str, fw.Status],
    refused: fw.Status | None = None,
    absent: str = "",
    post_filter: str = "",
) -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 ....` absent: the reason for nodes without a refusal."""
    text = f"0/{total} nodes are available:"
    if refused is not None:
        text += f" {refused.message}."
    else:
        reasons = Counter(r.text for status in refusals.values() for r in status.reasons)
        if absent and len(refusals) < total:
            reasons[absent] += total - len(refusals)
        if counted := sorted(f"{count} {reason}" for reason, count in reasons.items()):
            text += f" {', '.join(counted)}."
    return f"{text} {post_filter}" if post_filter else text


def nodes_wanted(total: int, percentage: int) -> int:
    """How many nodes that fit are enough to choose from. percentage 0: fewer the larger the cluster, at least 5 %."""
    if total < MIN_FEASIBLE:
        return total
    share = percentage or max(MIN_PERCENTAGE, 50 - total // 125)
    return max(MIN_FEASIBLE, total * share // 100)


class Algorithm:
    """Schedules pods of one profile, one at a time. Remembers the shapes and where the last round ended."""

    def __init__(self, cache: Cache, profile: Profile, nominator: Nominator, *, percentage: int = 0):
        self.cache = cache
        self.profile = profile
        self.nominator = nominator
        self._percentage = percentage
        self._shapes = Shapes(profile)
        self._start = 0

    def schedule(self, pod: PodInfo) -> Decision:
        nodes = self.cache.nodes()
        if not nodes:
            return Decision(0, nominated="")
        cycle = Cycle(self, pod, self._shapes.get(pod, len(nodes)))
        decision = cycle.run(nodes, nodes_wanted(len(nodes), self._percentage), self._start % len(nodes))
        self._start = (self._start + decision.evaluated) % len(nodes)
        return decision


class Cycle:
    """The work on one pod."""

    def __init__(self, algorithm: Algorithm, pod: PodInfo, shape: Shape):
        self.cache = algorithm.cache
        self.profile = algorithm.profile
        self.nominator = algorithm.nominator
        self.pod = pod
        self.shape = shape
        self.state: fw.State = {}
        self.refusals: dict[str, fw.Status] = {}
        self._filters: list[fw.Filter] = []
        self._simulates: list[fw.SimulatesPods] = []
        self._only_by: list[str] = []

    def run(self, nodes: list[NodeInfo], wanted: int, start: int) -> Decision:
        only, refused = self._pre_filter()
        if refused is not None:
            return self._no_node(len(nodes), refused=refused)
        absent = ""
        candidates = nodes
        if only is not None:
            candidates = [n for n in nodes if n.name in only.names]
            absent = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(self._only_by))}]"
            start = 0
        fitting = self._nominated_fits() or self._filter(candidates, wanted, start)
        evaluated = len(fitting) + len(self.refusals)
        if not fitting:
            return self._no_node(len(nodes), absent=absent)
        node = self._choose(fitting)
        return Decision(len(nodes), node, evaluated, len(fitting), self.refusals, state=self.state)

    # --- filtering

    def _pre_filter(self) -> tuple[fw.OnlyNodes | None, fw.Status | None]:
        only: fw.OnlyNodes | None = None
        skipped = set()
        for plugin in self.profile.pre_filter:
            answer = plugin.pre_filter(self.state, self.pod)
            if isinstance(answer, fw.Status):
                return None, answer
            if isinstance(answer, fw.OnlyNodes):
                only = answer if only is None else fw.OnlyNodes(only.names & answer.names)
                self._only_by.append(plugin.name)
            elif answer is fw.SKIP:
                skipped.add(plugin.name)
        self._filters = [p for p in self.profile.filter if p.name not in skipped]
        self._simulates = [p for p in self.profile.simulates if p.name not in skipped]
        return only, None

    def _nominated_fits(self) -> list[tuple[NodeInfo, Entry]]:
        """The node on which room was made for this pod is likely to be the only one: try it first."""
        name = self.nominator.node_of(self.pod.key) or self.pod.nominated
        node = self.cache.node(name) if name else None
        return self._filter([node], 1, 0) if node is not None else []

    def _filter(self, nodes: list[NodeInfo], wanted: int, start: int) -> list[tuple[NodeInfo, Entry]]:
        """The first `wanted` nodes that fit, in turn from `start`; refusals are noted."""
        fitting = []
        refusals, remembered = self.refusals, self.shape.entries
        others, nominated = bool(self._filters), self.nominator.nodes
        for node in nodes[start:] + nodes[:start] if start else nodes:
            entry = remembered.get(node.name)
            if entry is None or entry.generation != node.generation:
                entry = self.shape.look(node)
            status = entry.status
            if status is None and (others or node.name in nominated):
                status = self._dynamic_refusal(node)
            if status is not None:
                refusals[node.name] = status
                continue
            fitting.append((node, entry))
            if len(fitting) == wanted:
                break
        return fitting

    def _dynamic_refusal(self, node: NodeInfo) -> fw.Status | None:
        """What the remembered node filters do not say: the other filters, and nominated pods."""
        rivals = self.nominator.rivals(self.pod, node.name)
        if rivals:
            status = self._refusal_beside(self.state, node, rivals)
            if status is not None:
                return status
        return self._filter_refusal(self.state, node)

    def _filter_refusal(self, state: fw.State, node: NodeInfo) -> fw.Status | None:
        for plugin in self._filters:
            status = plugin.filter(state, self.pod, node)
            if status is not None:
                return status
        return None

    def _refusal_beside(self, state: fw.State, node: NodeInfo, others: list[PodInfo]) -> fw.Status | None:
        """Would the node refuse if these pods were on it already?"""
        state, node = self.clone_state(state), node.clone()
        for other in others:
            self.add_pod(state, other.on(node.name), node)
        return self.shape.refusal(node) or self._filter_refusal(state, node)

    # --- trial, for preemption

    def refusal(self, state: fw.State, node: NodeInfo) -> fw.Status | None:
        """All filters, nothing remembered: for a cloned node and state."""
        rivals = self.nominator.rivals(self.pod, node.name)
        if rivals and (status := self._refusal_beside(state, node, rivals)) is not None:
            return status
        return self.shape.refusal(node) or self._filter_refusal(state, node)

    def clone_state(self, state: fw.State) -> fw.State:
        return {k: v.clone() if hasattr(v, "clone") else v for k, v in state.items()}

    def add_pod(self, state: fw.State, other: PodInfo, node: NodeInfo) -> None:
        node.add_pod(other)
        for plugin in self._simulates:
            plugin.add_pod(state, self.pod, other, node)

    def remove_pod(self, state: fw.State, other: PodInfo, node: NodeInfo) -> None:
        node.remove_pod(other.key)
        for plugin in self._simulates:
            plugin.remove_pod(state, self.pod, other, node)

    def _no_node(self, total: int, *, refused: fw.Status | None = None, absent: str = "") -> Decision:
        plugins = {status.plugin for status in self.refusals.values()}
        if refused is not None:
            plugins = {refused.plugin}
        elif absent:
            plugins.update(self._only_by)
        decision = Decision(total, "", len(self.refusals), 0, self.refusals, refused, absent, frozenset(plugins))
        if refused is not None and not refused.rejected:
            decision.error = refused
            return decision
        for plugin in self.profile.post_filter:
            result = plugin.post_filter(self, self.state, self.pod, {} if refused else self.refusals)
            decision.nominated, decision.victims = result.nominated, result.victims
            decision.post_filter = result.message
        return decision

    # --- scoring

    def _choose(self, fitting: list[tuple[NodeInfo, Entry]]) -> str:
        if len(fitting) == 1:
            return fitting[0][0].name
        totals = self._totals(fitting)
        best = max(totals)
        winners = [i for i, total in enumerate(totals) if total == best]
        chosen = winners[0] if len(winners) == 1 else env.rng().choice(winners)
        return fitting[chosen][0].name

    def _totals(self, fitting: list[tuple[NodeInfo, Entry]]) -> list[int]:
        totals = [entry.base for _, entry in fitting]
        for place, (_, _, weight, scale) in enumerate(self.shape.scaled):
            raw = [entry.raw[place] for _, entry in fitting]
            if any(raw):
                scaled = fw.scale_scores(raw, reverse=scale is fw.Scale.DOWN)
                totals = [t + weight * s for t, s in zip(totals, scaled, strict=True)]
        nodes = [node for node, _ in fitting]
        for plugin, weight in self.profile.score:
            if plugin.pre_score(self.state, self.pod, nodes) is not fw.SKIP:
                scores = plugin.score(self.state, self.pod, nodes)
                totals = [t + weight * s for t, s in zip(totals, scores, strict=True)]
        return totals
