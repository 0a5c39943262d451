"""What the scheduler knows of the cluster: nodes, the pods on them, and the pods it has just placed itself.

Updated by every event at the cost of that event, never of the cluster. A scheduling cycle awaits nothing, so it sees this
cache standing still: there is no snapshot to copy; `generation` per node tells what has changed between cycles.
An *assumed* pod counts as placed from the decision on; the informer's confirmation replaces it, `forget` takes it back.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from skiff.api.types import Obj
from skiff.scheduler.counters import Counters
from skiff.scheduler.nodeinfo import NodeInfo
from skiff.scheduler.podinfo import PodInfo

ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")


class Cache:
    """`structure` changes when nodes come, go or change their labels."""

    def __init__(self) -> None:
        self.structure = 0
        self._infos: dict[str, NodeInfo] = {}
        self._pods: dict[str, PodInfo] = {}
        self._assumed: dict[str, PodInfo] = {}
        self._generation = 0
        self._nodes: list[NodeInfo] = []
        self._listed = -1
        self._counters = Counters()
        self._domains: dict[str, frozenset[str]] = {}
        self._domains_of = -1
        self.with_affinity: dict[str, NodeInfo] = {}
        self.with_anti_affinity: dict[str, NodeInfo] = {}
        self.image_nodes: dict[str, int] = {}
        self.soft_taints = 0

    def sizes(self) -> dict[str, int]:
        """How much of each kind there is, for the metrics."""
        return {"nodes": len(self._infos), "pods": len(self._pods), "assumed_pods": len(self._assumed)}

    # --- nodes

    def set_node(self, node: Obj) -> NodeInfo:
        """Adds or replaces a node."""
        info = self._info(node["metadata"]["name"])
        before = (info.known, info.labels)
        self._count_node(info, -1)
        info.set_node(node)
        self._count_node(info, 1)
        self._touch(info)
        if before != (info.known, info.labels):
            self.structure += 1
        return info

    def remove_node(self, name: str) -> None:
        info = self._infos.get(name)
        if info is None:
            return
        self._count_node(info, -1)
        info.clear_node()
        self._touch(info)
        self.structure += 1
        self._drop_if_empty(info)

    def nodes(self) -> list[NodeInfo]:
        """All known nodes, zones taking turns. Not to be changed."""
        if self._listed != self.structure:
            self._nodes = list(_zones_in_turn(i for i in self._infos.values() if i.known))
            self._listed = self.structure
        return self._nodes

    def node(self, name: str) -> NodeInfo | None:
        info = self._infos.get(name)
        return info if info is not None and info.known else None

    def domains(self, topology_key: str) -> frozenset[str]:
        """All values of a label over the nodes."""
        if self._domains_of != self.structure:
            self._domains = {}
            self._domains_of = self.structure
        found = self._domains.get(topology_key)
        if found is None:
            values = (n.labels.get(topology_key) for n in self.nodes())
            found = self._domains[topology_key] = frozenset(v for v in values if v is not None)
        return found

    # --- pods

    def set_pod(self, pod: PodInfo) -> PodInfo | None:
        """Adds, replaces or confirms a placed pod; returns what was known of it before. A pod of which nothing changed
        that matters here leaves its node's generation alone."""
        before = self._pods.get(pod.key)
        self._assumed.pop(pod.key, None)
        if before is not None and before.weighs_like(pod):
            before.obj = pod.obj
            return before
        self._remove(pod.key)
        self._add(pod)
        return before

    def remove_pod(self, key: str) -> PodInfo | None:
        self._assumed.pop(key, None)
        return self._remove(key)

    def assume(self, pod: PodInfo) -> None:
        """`pod.node` is where it is going to be bound."""
        self._remove(pod.key)
        self._add(pod)
        self._assumed[pod.key] = pod

    def forget(self, pod: PodInfo) -> bool:
        """Takes an assumed pod back, unless it has been confirmed meanwhile."""
        if self._assumed.get(pod.key) is not pod:
            return False
        self.remove_pod(pod.key)
        return True

    def pod(self, key: str) -> PodInfo | None:
        return self._pods.get(key)

    def assumed(self, key: str) -> PodInfo | None:
        return self._assumed.get(key)

    def count(
        self, key: Hashable, matches: Callable[[PodInfo], bool], namespaces: frozenset[str] | None = None
    ) -> Mapping[str, int]:
        """Placed pods by node (those with any): see Counters.get."""
        return self._counters.get(key, matches, namespaces, self._pods.values).counts

    def count_by_label(
        self, label: str, key: Hashable, matches: Callable[[PodInfo], bool], namespaces: frozenset[str] | None = None
    ) -> Mapping[str, int]:
        """The same by the value of a node label."""
        counter = self._counters.get(key, matches, namespaces, self._pods.values)
        if counter.structure != self.structure:
            counter.structure = self.structure
            counter.sums = {}
        found = counter.sums.get(label)
        if found is None:
            found = counter.sums[label] = {}
            for name, count in counter.counts.items():
                value = self._infos[name].labels.get(label)
                if value is not None:
                    found[value] = found.get(value, 0) + count
        return found

    def _add(self, pod: PodInfo) -> None:
        info = self._info(pod.node)
        info.add_pod(pod)
        self._pods[pod.key] = pod
        self._counters.change(pod, 1, info.labels)
        self._touch(info)

    def _remove(self, key: str) -> PodInfo | None:
        pod = self._pods.pop(key, None)
        if pod is not None:
            info = self._info(pod.node)
            info.remove_pod(key)
            self._counters.change(pod, -1, info.labels)
            self._touch(info)
            self._drop_if_empty(info)
        return pod

    # --- shared

    def _info(self, name: str) -> NodeInfo:
        found = self._infos.get(name)
        if found is None:
            found = self._infos[name] = NodeInfo(name)
        return found

    def _touch(self, info: NodeInfo) -> None:
        self._generation += 1
        info.generation = self._generation
        for index, has in (
            (self.with_affinity, info.affinity_pods),
            (self.with_anti_affinity, info.anti_affinity_pods),
        ):
            if has and info.known:
                index[info.name] = info
            else:
                index.pop(info.name, None)

    def _count_node(self, info: NodeInfo, sign: int) -> None:
        if not info.known:
            return
        for image in info.images:
            self.image_nodes[image] = self.image_nodes.get(image, 0) + sign
            if not self.image_nodes[image]:
                del self.image_nodes[image]
        self.soft_taints += sign * sum(t.get("effect") == "PreferNoSchedule" for t in info.taints)

    def _drop_if_empty(self, info: NodeInfo) -> None:
        if not info.known and not info.pods:
            del self._infos[info.name]


def _zones_in_turn(nodes: Iterable[NodeInfo]) -> Iterator[NodeInfo]:
    """So that a sample of the first nodes has nodes of every zone."""
    zones: dict[str, list[NodeInfo]] = {}
    for node in nodes:
        zone = next((node.labels[label] for label in ZONE_LABELS if label in node.labels), "")
        zones.setdefault(zone, []).append(node)
    longest = max(map(len, zones.values()), default=0)
    for place in range(longest):
        for members in zones.values():
            if place < len(members):
                yield members[place]
