"""Which pod is next, and when a pod that did not fit is worth another try.

Pure: times come in, nothing is awaited. Four places: *active* (ready, in the order of the queue sort plugin), *backoff*
(worth a try, but not yet), *unschedulable* (waits for an event that could help), *gated* (kept out by a pre-enqueue plugin).
A pod that failed goes to unschedulable; a cluster event moves it on when a plugin that refused it says that the event could
help. Nothing is lost: what waits longer than five minutes is tried again. Backing off, a pod is still taken when there is
nothing else to do, unless it failed by an error. Source: pkg/scheduler/backend/queue.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skiff.scheduler.framework import ClusterEvent, Interest, Status
from skiff.scheduler.podinfo import PodInfo

INITIAL_BACKOFF_S = 1.0
MAX_BACKOFF_S = 10.0
MAX_UNSCHEDULABLE_S = 300.0
PLACES = ("active", "backoff", "gated", "unschedulable")
NOBODY = ""
"""The plugin of a refusal that no plugin made."""


@dataclass(slots=True)
class QueuedPod:
    """A pod and its story. since: when it entered the place it is in. tried: when it was tried first. refused_by: the
    plugins (none: any event helps)."""

    pod: PodInfo
    added: float
    since: float
    attempts: int = 0
    tried: float = 0.0
    refusals: int = 0
    errors: int = 0
    refused_by: frozenset[str] = frozenset()
    place: str = ""
    gate: Status | None = None

    @property
    def backoff_until(self) -> float:
        failures = self.errors or self.refusals
        return self.since + backoff_seconds(failures) if failures else self.since


def backoff_seconds(failures: int) -> float:
    """Doubling from 1 s, at most 10 s."""
    return min(MAX_BACKOFF_S, INITIAL_BACKOFF_S * 2.0 ** min(failures - 1, 30))


@dataclass(slots=True)
class Heap:
    """Pods by a sort key, with removal: entries whose pod has moved on are skipped."""

    place: str
    _entries: list[tuple[Any, int, QueuedPod]] = field(default_factory=list)
    _sequence: int = 0

    def push(self, queued: QueuedPod, key: Any) -> None:
        queued.place = self.place
        self._sequence += 1
        heapq.heappush(self._entries, (key, self._sequence, queued))

    def peek(self) -> tuple[Any, QueuedPod] | None:
        while self._entries:
            key, _, queued = self._entries[0]
            if queued.place == self.place:
                return key, queued
            heapq.heappop(self._entries)
        return None

    def pop(self) -> QueuedPod | None:
        found = self.peek()
        if found is None:
            return None
        heapq.heappop(self._entries)
        found[1].place = ""
        return found[1]


class SchedulingQueue:
    """See the module. sort and gates are the profile's; `interests` say by plugin which events could help its refusals."""

    def __init__(self, sort: Any, gates: Sequence[Any], interests: Mapping[str, Sequence[Interest]]):
        self._sort = sort
        self._gates = gates
        self._interests = interests
        self._pods: dict[str, QueuedPod] = {}
        self._active = Heap("active")
        self._backoff = Heap("backoff")
        self._error_backoff = Heap("error backoff")
        self._waiting: dict[str, QueuedPod] = {}  # unschedulable, oldest first
        self._by_plugin: dict[str, dict[str, QueuedPod]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    @property
    def waiting(self) -> int:
        """How many pods wait for an event."""
        return len(self._waiting)

    def places(self) -> Iterator[str]:
        """Where every pod is that is not being tried, by the names of PLACES."""
        return (q.place.removeprefix("error ") for q in self._pods.values() if q.place)

    def get(self, key: str) -> QueuedPod | None:
        return self._pods.get(key)

    # --- what happens to pods

    def add(self, pod: PodInfo, now: float) -> None:
        """A pod that waits for a node was seen (for the first time, or again after a restart of ours)."""
        self.delete(pod.key)
        queued = self._pods[pod.key] = QueuedPod(pod, now, now)
        self._enqueue(queued, now)

    def update(self, old: PodInfo, pod: PodInfo, events: Iterable[ClusterEvent], now: float) -> None:
        """`events`: what changed about it that matters for scheduling."""
        queued = self._pods.get(pod.key)
        if queued is None or queued.pod.uid != pod.uid:
            if queued is not None:
                self.add(pod, now)
            return
        queued.pod = pod
        if queued.place == "gated":
            if self._gate(pod) is None:
                self._leave(queued)
                self._enqueue(queued, now)
        elif queued.place == "unschedulable" and any(self._helps(queued, e) for e in events):
            self._leave(queued)
            self._retry(queued, now)

    def delete(self, key: str) -> None:
        queued = self._pods.pop(key, None)
        if queued is not None:
            self._leave(queued)

    # --- the cycle

    def pop(self, now: float) -> QueuedPod | None:
        """The next pod to try. It stays known until `done`, or comes back by `refused` or `failed`."""
        self.flush(now)
        queued = self._active.pop() or self._backoff.pop()
        if queued is not None:
            queued.tried = queued.tried if queued.attempts else now
            queued.attempts += 1
        return queued

    def done(self, queued: QueuedPod) -> None:
        """Placed (or gone): forget it, unless a namesake has taken its key."""
        if self._pods.get(queued.pod.key) is queued:
            self.delete(queued.pod.key)

    def refused(self, queued: QueuedPod, plugins: frozenset[str], now: float) -> None:
        """No node fits. plugins: those that refused."""
        if not self._still_ours(queued):
            return
        queued.refusals += 1
        queued.errors = 0
        queued.since = now
        queued.refused_by = plugins
        self._wait(queued)

    def failed(self, queued: QueuedPod, now: float) -> None:
        """An error: try again after the back-off, whatever happens."""
        if not self._still_ours(queued):
            return
        queued.errors += 1
        queued.since = now
        self._error_backoff.push(queued, queued.backoff_until)

    def event(self, event: ClusterEvent, now: float) -> int:
        """Moves on the pods that the event could help; returns how many."""
        moved = 0
        for queued in self._concerned(event):
            if self._helps(queued, event):
                self._leave(queued)
                self._retry(queued, now)
                moved += 1
        return moved

    def flush(self, now: float) -> None:
        """Moves on what has waited long enough."""
        for heap in (self._backoff, self._error_backoff):
            while (found := heap.peek()) is not None and found[0] <= now:
                heap.pop()
                self._activate(found[1])
        for queued in list(self._overdue(now)):
            self._leave(queued)
            self._retry(queued, now)

    def next_time(self) -> float | None:
        """When `pop` could find something although nothing happens; None: never."""
        times = [found[0] for heap in (self._backoff, self._error_backoff) if (found := heap.peek()) is not None]
        oldest = next(iter(self._waiting.values()), None)
        if oldest is not None:
            times.append(oldest.since + MAX_UNSCHEDULABLE_S)
        return min(times, default=None)

    # --- places

    def _still_ours(self, queued: QueuedPod) -> bool:
        return self._pods.get(queued.pod.key) is queued and not queued.place

    def _gate(self, pod: PodInfo) -> Status | None:
        return next((s for g in self._gates if (s := g.pre_enqueue(pod)) is not None), None)

    def _enqueue(self, queued: QueuedPod, now: float) -> None:
        """To active, unless a gate is closed."""
        queued.gate = self._gate(queued.pod)
        if queued.gate is not None:
            queued.place = "gated"
        else:
            self._activate(queued)

    def _activate(self, queued: QueuedPod) -> None:
        self._active.push(queued, self._sort.sort_key(queued.pod, queued.since))

    def _retry(self, queued: QueuedPod, now: float) -> None:
        """To backoff while its time is not over, else to active."""
        if queued.backoff_until > now:
            self._backoff.push(queued, queued.backoff_until)
        else:
            self._enqueue(queued, now)

    def _wait(self, queued: QueuedPod) -> None:
        queued.place = "unschedulable"
        self._waiting[queued.pod.key] = queued
        for plugin in queued.refused_by or (NOBODY,):
            self._by_plugin.setdefault(plugin, {})[queued.pod.key] = queued

    def _leave(self, queued: QueuedPod) -> None:
        queued.place = ""
        if self._waiting.pop(queued.pod.key, None) is None:
            return
        for plugin in queued.refused_by or (NOBODY,):
            self._by_plugin.get(plugin, {}).pop(queued.pod.key, None)

    def _overdue(self, now: float) -> Iterable[QueuedPod]:
        for queued in self._waiting.values():
            if queued.since + MAX_UNSCHEDULABLE_S > now:
                return  # the oldest come first
            yield queued

    # --- which events help

    def _concerned(self, event: ClusterEvent) -> list[QueuedPod]:
        """Waiting pods refused by a plugin that is interested in such an event, or by none in particular."""
        found: dict[str, QueuedPod] = {}
        for plugin, waiting in self._by_plugin.items():
            if waiting and (plugin not in self._interests or _interested(self._interests[plugin], event)):
                found.update(waiting)
        return list(found.values())

    def _helps(self, queued: QueuedPod, event: ClusterEvent) -> bool:
        for plugin in queued.refused_by or (NOBODY,):
            if plugin not in self._interests:
                return True
            for interest in _interested(self._interests[plugin], event):
                if interest.hint is None or interest.hint(queued.pod, event.old, event.new):
                    return True
        return False


def _interested(interests: Sequence[Interest], event: ClusterEvent) -> list[Interest]:
    return [i for i in interests if i.kind == event.kind and event.action & i.actions]
