"""What is remembered between cycles: for each pod shape and node, the answer of the node filters and node scores.

Pods of one Deployment have one shape; from one pod to the next only the node that got the last one has changed. So a cycle
asks the plugins about one node instead of hundreds. An entry holds as long as the node's generation does.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from skiff.scheduler import framework as fw
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo
from skiff.scheduler.profile import Profile

KEPT = 64
KEPT_ENTRIES = 200_000


class Entry:
    """status: None if the node fits. base: the weighted sum of the scores that need no scaling. raw: the others."""

    __slots__ = ("base", "generation", "raw", "status")

    def __init__(self, generation: int, status: fw.Status | None, base: int, raw: tuple[int, ...]):
        self.generation = generation
        self.status = status
        self.base = base
        self.raw = raw


class Shape:
    """One shape's prepared plugins and its entries by node name."""

    def __init__(self, profile: Profile, pod: PodInfo):
        self.filters = _prepared([(p, p.prepare_filter(pod)) for p in profile.node_filter])
        scores = [(p, p.prepare_score(pod), weight) for p, weight in profile.node_score]
        active = [(p, prepared, weight) for p, prepared, weight in scores if prepared is not fw.SKIP]
        self.plain = [(p.score_node, prepared, w) for p, prepared, w in active if p.scale is fw.Scale.NONE]
        self.scaled = [
            (p.score_node, prepared, w, p.scale) for p, prepared, w in active if p.scale is not fw.Scale.NONE
        ]
        self.entries: dict[str, Entry] = {}

    def look(self, node: NodeInfo) -> Entry:
        """The entry of a node of the cache, made anew and remembered."""
        entry = self.entries[node.name] = self.evaluate(node)
        return entry

    def evaluate(self, node: NodeInfo) -> Entry:
        status = self.refusal(node)
        if status is not None:
            return Entry(node.generation, status, 0, ())
        base = sum(weight * score(prepared, node) for score, prepared, weight in self.plain)
        raw = tuple(score(prepared, node) for score, prepared, _, _ in self.scaled)
        return Entry(node.generation, None, base, raw)

    def refusal(self, node: NodeInfo) -> fw.Status | None:
        """The first node filter's refusal; remembers nothing (for nodes changed on trial)."""
        for check, prepared in self.filters:
            status = check(prepared, node)
            if status is not None:
                return status
        return None


def _prepared(pairs: list[tuple[Any, Any]]) -> list[tuple[Callable[[Any, NodeInfo], fw.Status | None], Any]]:
    return [(plugin.filter_node, prepared) for plugin, prepared in pairs if prepared is not fw.SKIP]


class Shapes:
    """The most recently used shapes of one profile."""

    def __init__(self, profile: Profile):
        self._profile = profile
        self._shapes: OrderedDict[bytes, Shape] = OrderedDict()

    def get(self, pod: PodInfo, nodes: int) -> Shape:
        """nodes: of the cluster; the more there are, the fewer shapes are kept."""
        if not pod.shape:
            return Shape(self._profile, pod)
        shape = self._shapes.get(pod.shape)
        if shape is None:
            shape = self._shapes[pod.shape] = Shape(self._profile, pod)
            keep = max(1, min(KEPT, KEPT_ENTRIES // max(nodes, 1)))
            while len(self._shapes) > keep:
                self._shapes.popitem(last=False)
        elif len(shape.entries) > nodes + 100:
            shape.entries.clear()  # nodes that are gone
        self._shapes.move_to_end(pod.shape)
        return shape
