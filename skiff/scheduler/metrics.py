"""What the scheduler tells of itself: upstream's names and buckets (pkg/scheduler/metrics)."""

from collections import Counter

from skiff.client.metrics import Histogram, Rows, powers
from skiff.scheduler.cache import Cache
from skiff.scheduler.queue import PLACES, QueuedPod, SchedulingQueue

_TIMES = powers(0.001, 2, 15)
_WAITS = powers(0.01, 2, 20)
_TRIES = powers(1, 2, 5)
_VICTIMS = powers(1, 2, 7)
_MOST_ATTEMPTS = 15
"""Attempts beyond this many are not told apart."""


class Metrics:
    """Counts attempts; queue and cache are looked at when somebody asks (`lines`)."""

    def __init__(self, profile: str, queue: SchedulingQueue, cache: Cache):
        self._profile = profile
        self._queue = queue
        self._cache = cache
        self._attempts: dict[str, Histogram] = {}
        self._waits: dict[str, Histogram] = {}
        self._tries = Histogram(_TRIES)
        self._victims = Histogram(_VICTIMS)
        self.algorithm = Histogram(_TIMES)

    def attempted(self, result: str, seconds: float) -> None:
        """result: scheduled, unschedulable, error."""
        times = self._attempts.get(result) or self._attempts.setdefault(result, Histogram(_TIMES))
        times.observe(seconds)

    def bound(self, queued: QueuedPod, now: float) -> None:
        attempts = f"{_MOST_ATTEMPTS}+" if queued.attempts >= _MOST_ATTEMPTS else str(queued.attempts)
        waits = self._waits.get(attempts) or self._waits.setdefault(attempts, Histogram(_WAITS))
        waits.observe(now - queued.tried)
        self._tries.observe(queued.attempts)

    def preempts(self, victims: int) -> None:
        self._victims.observe(victims)

    def lines(self) -> list[str]:
        rows = Rows("scheduler_")
        for result, times in self._attempts.items():
            labels = f'profile="{self._profile}",result="{result}"'
            rows.add("schedule_attempts_total", "counter", labels, sum(times.buckets))
            rows.histogram("scheduling_attempt_duration_seconds", labels, times)
        rows.histogram("scheduling_algorithm_duration_seconds", "", self.algorithm)
        for attempts, waits in self._waits.items():
            rows.histogram("pod_scheduling_sli_duration_seconds", f'attempts="{attempts}"', waits)
        rows.histogram("pod_scheduling_attempts", "", self._tries)
        rows.histogram("preemption_victims", "", self._victims)
        rows.add("preemption_attempts_total", "counter", "", sum(self._victims.buckets))
        found = Counter(self._queue.places())
        for place in PLACES:
            rows.add("pending_pods", "gauge", f'queue="{place}"', found[place])
        for kind, count in self._cache.sizes().items():
            rows.add("cache_size", "gauge", f'type="{kind}"', count)
        return rows.lines()
