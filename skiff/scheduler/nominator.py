"""Pods for which room is being made: where they are going to be placed when their victims are gone."""

from collections.abc import Iterable

from skiff.scheduler.podinfo import PodInfo


class Nominator:
    """A nominated pod counts as if it was on its node for pods of lower or equal priority."""

    def __init__(self) -> None:
        self._node_of: dict[str, str] = {}
        self.nodes: dict[str, dict[str, PodInfo]] = {}

    def set(self, pod: PodInfo, node: str) -> None:
        """node "": no longer nominated."""
        self.remove(pod.key)
        if node:
            self._node_of[pod.key] = node
            self.nodes.setdefault(node, {})[pod.key] = pod

    def remove(self, key: str) -> None:
        node = self._node_of.pop(key, None)
        if node is not None:
            del self.nodes[node][key]
            if not self.nodes[node]:
                del self.nodes[node]

    def node_of(self, key: str) -> str:
        return self._node_of.get(key, "")

    def on(self, node: str) -> Iterable[PodInfo]:
        return self.nodes.get(node, {}).values()

    def rivals(self, pod: PodInfo, node: str) -> list[PodInfo]:
        """Those on the node that `pod` may not take the room of."""
        if node not in self.nodes:
            return []
        return [p for p in self.nodes[node].values() if p.priority >= pod.priority and p.key != pod.key]
