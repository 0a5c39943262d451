"""How many pods of a kind are on each node, kept up to date pod by pod.

Spreading and inter-pod affinity ask "how many pods matching this selector are where?" in every cycle. A Counter answers
from a sum that the Cache maintains, instead of looking at all pods again: it costs one match per counter and pod event.
Only the most recently asked counters are kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping

from skiff.scheduler.podinfo import PodInfo

KEPT = 256


class Counter:
    """counts: node name → matching pods on it, only where there are any."""

    __slots__ = ("_matches", "counts", "namespaces")

    def __init__(self, matches: Callable[[PodInfo], bool], namespaces: frozenset[str] | None):
        self._matches = matches
        self.namespaces = namespaces
        self.counts: dict[str, int] = {}

    def change(self, pod: PodInfo, by: int) -> None:
        if self.namespaces is not None and pod.namespace not in self.namespaces:
            return
        if not self._matches(pod):
            return
        count = self.counts.get(pod.node, 0) + by
        if count:
            self.counts[pod.node] = count
        else:
            del self.counts[pod.node]


class Counters:
    """By a key that says what is counted: equal keys must mean equal matches."""

    def __init__(self) -> None:
        self._counters: OrderedDict[Hashable, Counter] = OrderedDict()

    def change(self, pod: PodInfo, by: int) -> None:
        for counter in self._counters.values():
            counter.change(pod, by)

    def get(
        self,
        key: Hashable,
        matches: Callable[[PodInfo], bool],
        namespaces: frozenset[str] | None,
        pods: Callable[[], Iterable[PodInfo]],
    ) -> Mapping[str, int]:
        """node → count. namespaces None: all. `pods` gives all placed pods, asked for when the counter is new."""
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = Counter(matches, namespaces)
            for pod in pods():
                counter.change(pod, 1)
            if len(self._counters) > KEPT:
                self._counters.popitem(last=False)
        self._counters.move_to_end(key)
        return counter.counts
