"""Who hears of a change: watchers filed by object, namespace, indexed field or under "all", so that a change costs
O(interested watchers); and the watcher itself, a bounded queue of encoded events that one response stream drains.

Watchers that want the same (`Interest`) are asked once. What a change costs per watcher is an append; the streams are
woken together, and the more time that takes, the longer the next time waits, so that each writes several events at once and
requests get their turn.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skiff.apiserver.entries import Change, Entry

BACKLOG = 10_000
"""Events that a watcher may leave unread before it is closed as too slow."""

SLICE = 128
"""Streams that are woken in one turn of the loop."""

REST = 1.5
"""For each second spent on waking streams, so many pass before they are woken again ..."""

MOST_REST_S = 0.008
"""... but no more than this."""

Slot = tuple[str, Any, Any]
"""Where a watcher is filed: ("name", namespace, name), ("space", namespace, None), ("field", i, value), ("all", ...)."""

ALL: Slot = ("all", None, None)

Encode = Callable[[str, "Entry"], bytes]
Matches = Callable[["Entry"], bool]


class Interest:
    """What a watcher wants to hear. key: those with an equal one hear the same. matches: does the selection hold for an
    entry; None: everything does. view: names the encoding, under which an encoded event is shared with the watchers of
    other selections."""

    __slots__ = ("_encode", "_matches", "_view", "key")

    def __init__(self, key: Hashable, *, matches: Matches | None, encode: Encode, view: Any):
        self.key = key
        self._matches = matches
        self._encode = encode
        self._view = view

    def event(self, change: "Change") -> bytes | None:
        """The event that this change is, if it is one."""
        old, new = change.old, change.new
        matches = self._matches
        if matches is None:
            kind = "MODIFIED" if old is not None and new is not None else "ADDED" if new is not None else "DELETED"
        else:
            was = old is not None and matches(old)
            now = new is not None and matches(new)
            if now:
                kind = "MODIFIED" if was else "ADDED"
            elif was:
                kind = "DELETED"
            else:
                return None
        key = (kind, self._view)
        wire = change.wires.get(key)
        if wire is None:
            entry = change.gone() if kind == "DELETED" else new
            assert entry is not None
            wire = change.wires[key] = self._encode(kind, entry)
        return wire


class Fanout:
    """The watchers of one cache."""

    def __init__(self, indexed: tuple[int, ...]):
        self._indexed = indexed
        self._slots: dict[Slot, dict[Hashable, dict[Watcher, None]]] = {}
        self.count = 0
        self._sent = 0

    @property
    def sent(self) -> int:
        """Events that were sent after the initial ones, to all watchers that there ever were."""
        return self._sent + sum(w.sent for w in self._all())

    def _all(self) -> "list[Watcher]":
        return [w for filed in self._slots.values() for same in filed.values() for w in same]

    def add(self, watcher: "Watcher") -> None:
        self._slots.setdefault(watcher.slot, {}).setdefault(watcher.interest.key, {})[watcher] = None
        self.count += 1

    def discard(self, watcher: "Watcher") -> None:
        filed = self._slots.get(watcher.slot, {})
        same = filed.get(watcher.interest.key)
        if same is None or watcher not in same:
            return
        del same[watcher]
        self.count -= 1
        self._sent += watcher.sent
        if not same:
            del filed[watcher.interest.key]
            if not filed:
                del self._slots[watcher.slot]

    def offer(self, change: "Change") -> None:
        slots = self._slots
        if not slots:
            return
        for slot in self._interested(change):
            for same in slots.get(slot, {}).values():
                wire = next(iter(same)).interest.event(change)
                if wire is not None:
                    for watcher in same:
                        watcher.push(wire)

    def _interested(self, change: "Change") -> list[Slot]:
        entry = change.new or change.old
        assert entry is not None
        found: list[Slot] = [ALL, ("space", entry.namespace, None), ("name", entry.namespace, entry.name)]
        for i in self._indexed:
            values = {e.fields[i]: None for e in (change.old, change.new) if e is not None}
            found.extend([("field", i, v) for v in values])
        return found

    def close(self) -> None:
        """Ends every watch."""
        for watcher in self._all():
            watcher.finish()


class Waker:
    """Wakes the streams of watchers that have something to send, in rounds; one per server."""

    def __init__(self) -> None:
        self._next: list[Watcher] = []
        self._round: list[Watcher] = []
        self._busy = False
        self._began = self._spent = 0.0

    def add(self, watcher: "Watcher") -> None:
        self._next.append(watcher)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._round, self._next = self._next, []
        self._spent = 0.0
        self._wake()

    def _wake(self) -> None:
        """One slice. What its streams do comes before `_after`, for the loop keeps the order."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        for watcher in self._round[:SLICE]:
            watcher.wake()
        del self._round[:SLICE]
        loop.call_soon(self._after)

    def _after(self) -> None:
        loop = asyncio.get_running_loop()
        self._spent += loop.time() - self._began
        if self._round:
            loop.call_soon(self._wake)
        else:
            loop.call_later(min(self._spent * REST, MOST_REST_S), self._again)

    def _again(self) -> None:
        if self._next:
            self._start()
        else:
            self._busy = False


class Watcher:
    """One watch."""

    def __init__(self, slot: Slot, interest: Interest, waker: Waker, on_close: Callable[["Watcher"], None]):
        self.slot = slot
        self.interest = interest
        self._waker = waker
        self._on_close = on_close
        self._queue: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_waiting = False
        """For the waker."""
        self.ended = False
        self.sent = 0
        self.timers: dict[str, asyncio.TimerHandle] = {}

    def offer(self, change: "Change") -> None:
        """Queues the event that this change is to the watcher, if it is one."""
        wire = self.interest.event(change)
        if wire is not None:
            self.push(wire)

    def push(self, wire: bytes) -> None:
        """Queues an encoded event. A watcher that does not read ends instead: its client resumes or lists anew."""
        queue = self._queue
        if len(queue) >= BACKLOG:
            queue.clear()
            self.finish()
            return
        queue.append(wire)
        if not self._is_waiting:
            self._is_waiting = True
            self._waker.add(self)

    def finish(self) -> None:
        """What is queued is still delivered, then the stream ends."""
        self.ended = True
        self.wake()

    def cancel_timers(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()

    def wake(self) -> None:
        self._is_waiting = False
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def stream(self, initial: Iterable[bytes] = ()) -> AsyncIterator[bytes]:
        """Chunks of encoded events until the watch ends. The initial ones come first."""
        queue = self._queue
        loop = asyncio.get_running_loop()
        try:
            for chunk in initial:
                yield chunk
            while True:
                if queue:
                    chunk = queue[0] if len(queue) == 1 else b"".join(queue)
                    self.sent += len(queue)
                    queue.clear()
                    yield chunk
                elif self.ended:
                    return
                else:
                    self._waiter = loop.create_future()
                    await self._waiter
        finally:
            self._on_close(self)
