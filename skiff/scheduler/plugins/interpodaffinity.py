"""Inter-pod affinity and anti-affinity: near some pods, far from others, by the labels of their nodes.

Required terms filter; preferred ones, and the terms of the pods that are there already, score. Where the matching pods are
comes from the cache's counters, so no cycle looks at all pods. Source: plugins/interpodaffinity; API type PodAffinityTerm.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from skiff.api.gvr import NAMESPACES
from skiff.api.selectors import Selector
from skiff.api.types import Obj
from skiff.client.informer import Informers
from skiff.scheduler import framework as fw
from skiff.scheduler.cache import Cache
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import AffinityTerm, PodInfo

HARD_AFFINITY_WEIGHT = 1
Pair = tuple[str, str]
"""A node label's key and value: a topology domain."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A term of the pod to be placed. namespaces None: all."""

    selector: Selector
    topology_key: str
    namespaces: frozenset[str] | None
    weight: int

    def matches(self, pod: PodInfo) -> bool:
        return (self.namespaces is None or pod.namespace in self.namespaces) and self.selector.matches(pod.labels)

    @property
    def what(self) -> tuple[object, ...]:
        """Equal for terms that match the same pods."""
        return str(self.selector), self.selector.nothing, self.namespaces


class AffinityState:
    """Matching pods by topology domain: of the pod's own terms, and of those that want it away."""

    def __init__(self, near: Sequence[Resolved], far: Sequence[Resolved], namespace_labels: Mapping[str, str] | None):
        self.near = near
        self.far = far
        self.namespace_labels = namespace_labels
        self.near_counts: dict[Pair, int] = {}
        self.far_counts: dict[Pair, int] = {}
        self.unwelcome: dict[Pair, int] = {}

    def clone(self) -> "AffinityState":
        copy = AffinityState(self.near, self.far, self.namespace_labels)
        copy.near_counts = dict(self.near_counts)
        copy.far_counts = dict(self.far_counts)
        copy.unwelcome = dict(self.unwelcome)
        return copy

    def change(self, pod: PodInfo, other: PodInfo, node: NodeInfo, by: int) -> None:
        if self.near and all(t.matches(other) for t in self.near):
            for term in self.near:
                _add(self.near_counts, node, term.topology_key, by)
        for term in self.far:
            if term.matches(other):
                _add(self.far_counts, node, term.topology_key, by)
        for theirs in other.affinity.anti_required:
            if theirs.matches(pod, self.namespace_labels):
                _add(self.unwelcome, node, theirs.topology_key, by)


class InterPodAffinity:
    name = "InterPodAffinity"
    not_near = fw.unresolvable(name, "node(s) didn't match pod affinity rules")
    too_near = fw.unschedulable(name, "node(s) didn't match pod anti-affinity rules")
    not_welcome = fw.unschedulable(name, "node(s) didn't satisfy existing pods anti-affinity rules")

    def __init__(self, *, cache: Cache, informers: Informers):
        self._cache = cache
        self._namespaces = informers.get(NAMESPACES, transform=only_labels)

    # --- filter

    def pre_filter(self, state: fw.State, pod: PodInfo) -> fw.PreFilterAnswer:
        near = self._resolve(pod.affinity.required)
        far = self._resolve(pod.affinity.anti_required)
        if not near and not far and not self._cache.with_anti_affinity:
            return fw.SKIP
        found = AffinityState(near, far, self._labels(pod.namespace))
        self._count_unwelcome(found, pod)
        if not near and not far and not found.unwelcome:
            return fw.SKIP
        if near:
            self._spread_out(found.near_counts, self._count_all(near), [t.topology_key for t in near])
        for term in far:
            self._spread_out(found.far_counts, self._count_all([term]), [term.topology_key])
        state[self.name] = found
        return None

    def _count_unwelcome(self, found: AffinityState, pod: PodInfo) -> None:
        for node in self._cache.with_anti_affinity.values():
            for other in node.anti_affinity_pods.values():
                for term in other.affinity.anti_required:
                    if term.matches(pod, found.namespace_labels):
                        _add(found.unwelcome, node, term.topology_key, 1)

    def _count_all(self, terms: Sequence[Resolved]) -> Mapping[str, int]:
        """By node: pods that match all of the terms."""
        namespaces = terms[0].namespaces if len(terms) == 1 else None
        key = ("affinity", *(t.what for t in terms))
        return self._cache.count(key, lambda p: all(t.matches(p) for t in terms), namespaces)

    def _spread_out(self, counts: dict[Pair, int], by_node: Mapping[str, int], keys: Iterable[str]) -> None:
        keys = list(keys)
        for name, count in by_node.items():
            node = self._cache.node(name)
            if node is not None:
                for key in keys:
                    _add(counts, node, key, count)

    def filter(self, state: fw.State, pod: PodInfo, node: NodeInfo) -> fw.Status | None:
        found: AffinityState = state[self.name]
        if found.near and not _near(found, pod, node):
            return self.not_near
        if any(_count(found.far_counts, node, t.topology_key) > 0 for t in found.far):
            return self.too_near
        if any(node.labels.get(key) == value and n > 0 for (key, value), n in found.unwelcome.items()):
            return self.not_welcome
        return None

    def add_pod(self, state: fw.State, pod: PodInfo, other: PodInfo, node: NodeInfo) -> None:
        state[self.name].change(pod, other, node, 1)

    def remove_pod(self, state: fw.State, pod: PodInfo, other: PodInfo, node: NodeInfo) -> None:
        state[self.name].change(pod, other, node, -1)

    # --- score

    def pre_score(self, state: fw.State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> fw.Skip | None:
        if not pod.affinity and not self._cache.with_affinity:
            return fw.SKIP
        scores: dict[str, dict[str, int]] = {}
        for terms, sign in ((pod.affinity.preferred, 1), (pod.affinity.anti_preferred, -1)):
            for term in self._resolve(terms):
                for name, count in self._count_all([term]).items():
                    _weigh(scores, self._cache.node(name), term.topology_key, sign * term.weight * count)
        labels = self._labels(pod.namespace)
        for node in self._cache.with_affinity.values():
            for other in node.affinity_pods.values():
                for theirs, weight in _wishes(other):
                    if theirs.matches(pod, labels):
                        _weigh(scores, node, theirs.topology_key, weight)
        if not scores:
            return fw.SKIP
        state[self.name + " score"] = scores
        return None

    def score(self, state: fw.State, pod: PodInfo, nodes: Sequence[NodeInfo]) -> list[int]:
        scores: dict[str, dict[str, int]] = state[self.name + " score"]
        raw = [sum(values.get(n.labels.get(key, ""), 0) for key, values in scores.items()) for n in nodes]
        least, most = min(raw), max(raw)
        if most == least:
            return [0] * len(raw)
        return [int(fw.MAX_SCORE * ((r - least) / (most - least))) for r in raw]

    # --- namespaces

    def _resolve(self, terms: Sequence[AffinityTerm]) -> list[Resolved]:
        return [Resolved(t.selector, t.topology_key, self._names(t), t.weight) for t in terms]

    def _names(self, term: AffinityTerm) -> frozenset[str] | None:
        by_label = term.namespace_selector
        if by_label is None:
            return term.namespaces
        if by_label.empty:
            return None
        found = (n["metadata"] for n in self._namespaces.items())
        return term.namespaces.union(m["name"] for m in found if by_label.matches(m.get("labels")))

    def _labels(self, namespace: str) -> Mapping[str, str] | None:
        found = self._namespaces.get("", namespace)
        return found["metadata"].get("labels") if found else None

    def events(self) -> list[fw.Interest]:
        pods = fw.Action.ADD | fw.Action.DELETE | fw.Action.POD_LABEL
        return [
            fw.Interest("Pod", pods, self._pod_matters),
            fw.Interest("Node", fw.Action.ADD | fw.Action.NODE_LABEL, _node_matters),
        ]

    def _pod_matters(self, pod: PodInfo, old: PodInfo | None, new: PodInfo | None) -> bool:
        if old is not None and new is not None and new.uid == pod.uid:
            return True
        near, far = self._resolve(pod.affinity.required), self._resolve(pod.affinity.anti_required)
        attracted, repelled = _all_match(near), _all_match(far)
        if new is not None and new.node and attracted(new) and not (old and attracted(old)):
            return True
        if old is None:
            return False
        if repelled(old) and not (new and repelled(new)):
            return True
        theirs = self._resolve(old.affinity.anti_required)
        return new is None and _all_match(theirs)(pod)


def only_labels(obj: Obj) -> Obj:
    """The namespaces informer's transform."""
    return {"metadata": {k: v for k, v in obj["metadata"].items() if k in ("name", "resourceVersion", "labels")}}


def _near(found: AffinityState, pod: PodInfo, node: NodeInfo) -> bool:
    """All terms have a match in the node's domains; or nobody matches anywhere and the pod is the first of its like."""
    if any(t.topology_key not in node.labels for t in found.near):
        return False
    if all(_count(found.near_counts, node, t.topology_key) > 0 for t in found.near):
        return True
    return not found.near_counts and all(t.matches(pod) for t in found.near)


def _count(counts: Mapping[Pair, int], node: NodeInfo, key: str) -> int:
    return counts.get((key, node.labels[key]), 0) if key in node.labels else 0


def _add(counts: dict[Pair, int], node: NodeInfo, key: str, by: int) -> None:
    if key not in node.labels:
        return
    pair = (key, node.labels[key])
    counts[pair] = counts.get(pair, 0) + by
    if not counts[pair]:
        del counts[pair]


def _weigh(scores: dict[str, dict[str, int]], node: NodeInfo | None, key: str, by: int) -> None:
    if node is not None and key in node.labels:
        values = scores.setdefault(key, {})
        values[node.labels[key]] = values.get(node.labels[key], 0) + by


def _wishes(pod: PodInfo) -> Iterable[tuple[AffinityTerm, int]]:
    """A placed pod's terms, and how much they count for a newcomer that they match."""
    for term in pod.affinity.required:
        yield term, HARD_AFFINITY_WEIGHT
    for term in pod.affinity.preferred:
        yield term, term.weight
    for term in pod.affinity.anti_preferred:
        yield term, -term.weight


def _all_match(terms: Sequence[Resolved]) -> Callable[[PodInfo], bool]:
    return lambda pod: bool(terms) and all(t.matches(pod) for t in terms)


def _node_matters(pod: PodInfo, old: NodeInfo | None, new: NodeInfo) -> bool:
    near = {t.topology_key for t in pod.affinity.required}
    far = {t.topology_key for t in pod.affinity.anti_required}
    if old is None:
        return bool(far) or any(key in new.labels for key in near)
    gained = any(key in new.labels and old.labels.get(key) != new.labels[key] for key in near)
    left = any(key in old.labels and old.labels[key] != new.labels.get(key) for key in far)
    return gained or left
