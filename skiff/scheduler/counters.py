"""How many pods of a kind are on each node, kept up to date pod by pod.

Spreading and inter-pod affinity ask "how many pods matching this selector are where?" in every cycle. A Counter answers
from a sum that the Cache maintains, instead of looking at all pods again: it costs one match per counter and pod event.
Only the most recently asked counters are kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

from skiff.api.types import Labels
from skiff.scheduler.podinfo import PodInfo

KEPT = 256


class Counter:
    """counts: node name → matching pods on it, only where there are any. sums: the same by the values of those node
    labels that were asked for, as of `structure`."""

    __slots__ = ("_matches", "counts", "namespaces", "structure", "sums")

    def __init__(self, matches: Callable[[PodInfo], bool], namespaces: frozenset[str] | None):
        self._matches = matches
        self.namespaces = namespaces
        self.counts: dict[str, int] = {}
        self.sums: dict[str, dict[str, int]] = {}
        self.structure = -1

    def change(self, pod: PodInfo, by: int, labels: Labels) -> None:
        """labels: of the pod's node."""
        if self.namespaces is not None and pod.namespace not in self.namespaces:
            return
        if not self._matches(pod):
            return
        count = self.counts.get(pod.node, 0) + by
        if count:
            self.counts[pod.node] = count
        else:
            del self.counts[pod.node]
        for label, values in self.sums.items():
            if (value := labels.get(label)) is not None:
                values[value] = values.get(value, 0) + by


class Counters:
    """By a key that says what is counted: equal keys must mean equal matches."""

    def __init__(self) -> None:
        self._counters: OrderedDict[Hashable, Counter] = OrderedDict()

    def change(self, pod: PodInfo, by: int, labels: Labels) -> None:
        for counter in self._counters.values():
            counter.change(pod, by, labels)

    def get(
        self,
        key: Hashable,
        matches: Callable[[PodInfo], bool],
        namespaces: frozenset[str] | None,
        pods: Callable[[], Iterable[PodInfo]],
    ) -> Counter:
        """namespaces None: all. `pods` gives all placed pods, asked for when the counter is new."""
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = Counter(matches, namespaces)
            for pod in pods():
                counter.change(pod, 1, {})
            if len(self._counters) > KEPT:
                self._counters.popitem(last=False)
        self._counters.move_to_end(key)
        return counter
