"""The store in a dict: the readable reference, and what tests and `skiff.testing` run on.

Every operation happens in one step of the loop, so a run is a function of the order of calls. Keys with a ttl are
deleted by timers of the loop. Nothing survives the process.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter

from skiff.store import Compacted, Delete, Event, FutureRevision, Page, Put, Record, Unavailable
from skiff.store.changes import Op, check, current_cause, decide, prefix_end
from skiff.store.fanout import Fanout, Subscription

_revision = attrgetter("record.revision")


class MemoryStore:
    """Invariants: `_history[key]` holds the key's events in revision order and is never empty; `_keys` is its sorted
    list of keys; `_log` holds all events after `_compacted` in revision order."""

    def __init__(self, *, history: int = 100_000) -> None:
        """history: how many past revisions are kept at least, unless `compact` is called."""
        self._budget = history
        self._keys: list[str] = []
        self._history: dict[str, list[Event]] = {}
        self._log: list[Event] = []
        self._compacted = 1
        self._leases: dict[str, asyncio.TimerHandle] = {}
        self._fanout = Fanout(1, self.events)
        self._closed = False

    @property
    def revision(self) -> int:
        return self._fanout.revision

    async def current_revision(self) -> int:
        self._check_open()
        return self.revision

    async def get(self, key: str, *, revision: int = 0) -> Record | None:
        return self._at(key, self._resolve(revision))

    async def range(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        at = self._resolve(revision)
        records = list(self._live(prefix, start_after, at))
        limit = limit or len(records)
        return Page(records[:limit], at, max(0, len(records) - limit))

    async def count(self, prefix: str) -> int:
        return sum(1 for _ in self._live(prefix, "", self._resolve(0)))

    async def txn(self, ops: Sequence[Op]) -> int:
        check(ops)
        self._check_open()
        revision = self._commit(ops, current_cause())
        for op in ops:
            if isinstance(op, Put) and op.ttl_seconds is not None:
                loop = asyncio.get_running_loop()
                self._leases[op.key] = loop.call_later(op.ttl_seconds, self._expire, op.key, revision)
        return revision

    def watch(self, prefix: str, *, since: int = 0) -> Subscription:
        if since and since < self._compacted:
            raise Compacted(self._compacted)
        return self._fanout.subscribe(prefix, since)

    def progress(self) -> int:
        return self._fanout.progress()

    def size(self) -> int:
        return 0

    async def compact(self, revision: int) -> None:
        self._check_open()
        if revision > self.revision:
            raise FutureRevision(f"cannot compact at {revision}, the store is at {self.revision}")
        if revision > self._compacted:
            self._forget(revision)

    async def close(self) -> None:
        self._closed = True
        for timer in self._leases.values():
            timer.cancel()
        self._leases.clear()
        self._fanout.close("the store is closed")

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    def _resolve(self, revision: int) -> int:
        self._check_open()
        if revision > self.revision:
            raise FutureRevision(f"revision {revision} has not happened, the store is at {self.revision}")
        if revision and revision < self._compacted:
            raise Compacted(self._compacted)
        return revision or self.revision

    def _at(self, key: str, revision: int) -> Record | None:
        events = self._history.get(key, [])
        seen = bisect_right(events, revision, key=_revision)
        if not seen or events[seen - 1].deleted:
            return None
        return events[seen - 1].record

    def _live(self, prefix: str, start_after: str, revision: int) -> Iterator[Record]:
        first = bisect_left(self._keys, prefix)
        if start_after:
            first = max(first, bisect_right(self._keys, start_after))
        end = prefix_end(prefix)
        last = len(self._keys) if end is None else bisect_left(self._keys, end)
        for key in self._keys[first:last]:
            if record := self._at(key, revision):
                yield record

    def _commit(self, ops: Sequence[Op], cause: str) -> int:
        """Raises Mismatch before anything has changed."""
        revision = self.revision + 1
        events = decide(ops, revision, lambda key: self._at(key, self.revision), cause)
        for event in events:
            key = event.record.key
            if key not in self._history:
                insort(self._keys, key)
            self._history.setdefault(key, []).append(event)
            if lease := self._leases.pop(key, None):
                lease.cancel()
        self._log.extend(events)
        self._fanout.publish(revision, events)
        if revision - self._compacted > 2 * self._budget:
            self._forget(revision - self._budget)
        return revision

    def _expire(self, key: str, revision: int) -> None:
        """A put or deletion cancels the timer, so the key is still as the timer's write left it."""
        self._commit([Delete(key, expected=revision)], "")

    def _forget(self, revision: int) -> None:
        self._compacted = revision
        del self._log[: bisect_right(self._log, revision, key=_revision)]
        for key, events in list(self._history.items()):
            seen = bisect_right(events, revision, key=_revision)
            if seen and events[seen - 1].deleted:
                del events[:seen]
            elif seen:
                del events[: seen - 1]
            if not events:
                del self._history[key]
        self._keys = [key for key in self._keys if key in self._history]

    async def events(self, prefix: str, since: int, until: int) -> Sequence[Event]:
        if since < self._compacted:
            raise Compacted(self._compacted)
        first = bisect_right(self._log, since, key=_revision)
        last = bisect_right(self._log, until, key=_revision)
        return [event for event in self._log[first:last] if event.record.key.startswith(prefix)]
