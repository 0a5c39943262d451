"""How fast nodes may be emptied: the more of a zone is lost at once, the likelier the fault is ours and the slower we go.

A zone in which everything is lost is treated normally (the zone is gone), unless every zone is: then it is the control
plane that cannot see, and nothing is evicted at all. Pure but for its counters; times come in.
Source: upstream pkg/controller/nodelifecycle (handleDisruption, ComputeZoneState) and scheduler/rate_limited_queue.go.
"""

from collections import Counter
from dataclasses import dataclass

from skiff.api.meta import labels
from skiff.api.types import Obj

EXCLUDED = "node.kubernetes.io/exclude-disruption"


@dataclass(frozen=True, slots=True)
class Rates:
    """Nodes per second; sizes in nodes. Upstream's flags --node-eviction-rate and so on."""

    normal: float = 0.1
    secondary: float = 0.01
    unhealthy_threshold: float = 0.55
    large_size: int = 50


@dataclass(slots=True)
class _Bucket:
    """One token, refilled at a rate per second."""

    rate: float
    next_at: float = 0.0

    def take(self, now: float) -> float:
        """0 if taken, otherwise seconds to wait; inf when it never refills."""
        if self.rate <= 0:
            return float("inf")
        if now < self.next_at:
            return self.next_at - now
        self.next_at = now + 1 / self.rate
        return 0.0


def zone_of(node: Obj) -> str:
    """Region and zone; "" for nodes without."""
    found = labels(node)
    region = found.get("topology.kubernetes.io/region") or found.get("failure-domain.beta.kubernetes.io/region") or ""
    zone = found.get("topology.kubernetes.io/zone") or found.get("failure-domain.beta.kubernetes.io/zone") or ""
    return f"{region}:\0:{zone}" if region or zone else ""


def zone_state(ready: int, not_ready: int, rates: Rates) -> str:
    if ready == 0 and not_ready > 0:
        return "FullDisruption"
    if not_ready > 2 and not_ready / (ready + not_ready) >= rates.unhealthy_threshold:
        return "PartialDisruption"
    return "Normal"


def eviction_rate(ready: int, not_ready: int, rates: Rates) -> float:
    """Of one zone, as long as some other zone can be seen."""
    if zone_state(ready, not_ready, rates) != "PartialDisruption":
        return rates.normal
    return rates.secondary if ready + not_ready > rates.large_size else 0.0


class Zones:
    """Counts ready and lost nodes per zone and hands out permissions to evict."""

    def __init__(self, rates: Rates):
        self._rates = rates
        self._nodes: dict[str, tuple[str, bool]] = {}
        self._ready: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._buckets: dict[str, _Bucket] = {}

    def note(self, node: Obj, ready: bool) -> bool:
        """Whether this ends a time in which nothing could be seen: whoever keeps times of last life starts anew."""
        blind = self.blind
        self.forget(node["metadata"]["name"])
        if EXCLUDED not in labels(node):
            zone = zone_of(node)
            self._nodes[node["metadata"]["name"]] = (zone, ready)
            (self._ready if ready else self._lost)[zone] += 1
        return blind and not self.blind

    def forget(self, name: str) -> None:
        if known := self._nodes.pop(name, None):
            (self._ready if known[1] else self._lost)[known[0]] -= 1

    @property
    def blind(self) -> bool:
        """Every zone is lost entirely."""
        lost = [zone for zone, count in self._lost.items() if count]
        return bool(lost) and not any(count for count in self._ready.values())

    def seconds_until_eviction(self, node: Obj, now: float) -> float:
        """0: go ahead, the permission is taken. inf: not as things are."""
        if self.blind:
            return float("inf")
        zone = zone_of(node)
        rate = eviction_rate(self._ready[zone], self._lost[zone], self._rates)
        bucket = self._buckets.get(zone)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[zone] = _Bucket(rate)
        return bucket.take(now)
