"""The work queue: keys to look at, each worked on by one worker at a time, none lost and none twice.

`KeyQueue` is the pure core: an order, a dirty set and an in-progress set give de-duplication, one worker per key and no
lost wake-up; beside it a heap of delayed keys and the failures that back-off counts. It reads no clock: times come in.
`WorkQueue` adds the loop's timers and waiting.

Guarantees: keys come out in the order in which they became ready; a key added while it is worked on comes again after
`done`; of several delayed adds of a key the earliest wins.
"""

import asyncio
import heapq
from collections import deque

from skiff import env
from skiff.client import metrics

BASE_DELAY_S = 0.005
MAX_DELAY_S = 1000.0
CLOCK_SLACK_S = 1e-6


def backoff_seconds(failures: int, base: float = BASE_DELAY_S, cap: float = MAX_DELAY_S) -> float:
    """Wait before the next try after `failures` (from 1) failures in a row: doubling from `base`, at most `cap`."""
    return min(cap, base * 2.0 ** min(failures - 1, 64))


class KeyQueue:
    """The queue's state. `cause` of a key is what led to its (latest) add; it travels to whoever pops it."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._dirty: dict[str, str] = {}  # key → cause; every key in _order is dirty, and dirty ones in progress wait
        self._working: set[str] = set()
        self._due: dict[str, tuple[float, str]] = {}  # key → when, cause
        self._heap: list[tuple[float, int, str]] = []  # entries that _due no longer confirms are stale
        self._sequence = 0
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        """Keys ready to be popped."""
        return len(self._order)

    @property
    def idle(self) -> bool:
        """Nothing ready and nothing in progress; delayed keys may be waiting."""
        return not self._order and not self._working

    def add(self, key: str, cause: str = "") -> None:
        if key in self._dirty:
            self._dirty[key] = cause or self._dirty[key]
            return
        self._dirty[key] = cause
        if key not in self._working:
            self._order.append(key)

    def pop(self) -> tuple[str, str] | None:
        """The next key, now in progress, and its cause."""
        if not self._order:
            return None
        key = self._order.popleft()
        self._working.add(key)
        return key, self._dirty.pop(key)

    def done(self, key: str) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._order.append(key)

    def add_at(self, key: str, when: float, cause: str = "") -> None:
        """Add the key at time `when`, or earlier if it is already to be added earlier."""
        if key in self._due and self._due[key][0] <= when:
            return
        self._due[key] = (when, cause)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, key))

    def next_due(self) -> float | None:
        """When the next delayed key becomes ready."""
        while self._heap and self._due.get(self._heap[0][2], (None,))[0] != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def advance(self, now: float) -> None:
        """Adds the delayed keys whose time has come."""
        while (when := self.next_due()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            self.add(key, self._due.pop(key)[1])

    def failed(self, key: str) -> int:
        """Counts one more failure in a row; returns how many there are."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key]

    def forget(self, key: str) -> None:
        """The key succeeded: its next failure is the first again."""
        self._failures.pop(key, None)


class WorkQueue:
    """A KeyQueue on the running event loop. Used from one loop only; nothing to start, `close` stops its timer.
    name: under which it is measured; "": it is not."""

    def __init__(self, *, base_delay_s: float = BASE_DELAY_S, max_delay_s: float = MAX_DELAY_S, name: str = "") -> None:
        self._keys = KeyQueue()
        self._since: dict[str, float] = {}
        self._metrics = metrics.QueueMetrics(self.__len__)
        if name:
            metrics.queues[name] = self._metrics
        self._base = base_delay_s
        self._max = max_delay_s
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0  # kept here: a loop may return a handle that does not know its time

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def idle(self) -> bool:
        return self._keys.idle

    def add(self, key: str) -> None:
        if key not in self._since:
            self._since[key] = env.epoch()
            self._metrics.adds += 1
        self._keys.add(key, env.cause.get())
        self._wake()

    def add_after(self, key: str, seconds: float) -> None:
        if seconds <= 0:
            self.add(key)
            return
        self._keys.add_at(key, asyncio.get_running_loop().time() + seconds, env.cause.get())
        self._arm()

    def retry(self, key: str) -> float:
        """Add the key after its back-off; returns the wait in seconds."""
        self._metrics.retries += 1
        wait = backoff_seconds(self._keys.failed(key), self._base, self._max)
        self.add_after(key, wait)
        return wait

    def forget(self, key: str) -> None:
        self._keys.forget(key)

    async def get(self) -> tuple[str, str]:
        """Waits for a key; returns it and its cause. The caller owes `done(key)`."""
        while (found := self._keys.pop()) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():
                    self._wake()  # the wake-up was ours: pass it on
                raise
        now = self._metrics.working[found[0]] = env.epoch()
        self._metrics.waited.observe(now - self._since.pop(found[0], now))
        return found

    def done(self, key: str) -> None:
        now = env.epoch()
        self._metrics.worked.observe(now - self._metrics.working.pop(key, now))
        self._keys.done(key)
        self._wake()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        """One waiter per ready key. Who was woken before takes the first keys, so waking once too often is harmless."""
        if not len(self._keys):
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        """One timer, for the earliest delayed key."""
        due = self._keys.next_due()
        if due is None or (self._timer and self._timer_due <= due):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._fire)
        self._timer_due = due

    def _fire(self) -> None:
        self._timer = None
        before = len(self._keys)
        now = asyncio.get_running_loop().time()
        self._keys.advance(now + CLOCK_SLACK_S)  # a loop may fire a little early
        for _ in range(len(self._keys) - before):
            self._wake()
        self._arm()
