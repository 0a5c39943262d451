"""Who hears of a change: watchers filed by object, namespace, indexed field or under "all", so that a change costs
O(interested watchers); and the watcher itself, a bounded queue of encoded events that one response stream drains.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skiff.apiserver.entries import Change, Entry

BACKLOG = 10_000
"""Events that a watcher may leave unread before it is closed as too slow."""

Slot = tuple[str, Any, Any]
"""Where a watcher is filed: ("name", namespace, name), ("space", namespace, None), ("field", i, value), ("all", ...)."""

ALL: Slot = ("all", None, None)

Encode = Callable[[str, "Entry"], bytes]
Matches = Callable[["Entry"], bool]


class Fanout:
    """The watchers of one cache."""

    def __init__(self, indexed: tuple[int, ...]):
        self._indexed = indexed
        self._slots: dict[Slot, dict[Watcher, None]] = {}
        self.count = 0
        self._sent = 0

    @property
    def sent(self) -> int:
        """Events that were sent after the initial ones, to all watchers that there ever were."""
        return self._sent + sum(w.sent for filed in self._slots.values() for w in filed)

    def add(self, watcher: "Watcher") -> None:
        self._slots.setdefault(watcher.slot, {})[watcher] = None
        self.count += 1

    def discard(self, watcher: "Watcher") -> None:
        filed = self._slots.get(watcher.slot)
        if filed is not None and filed.pop(watcher, watcher) is None:
            self.count -= 1
            self._sent += watcher.sent
            if not filed:
                del self._slots[watcher.slot]

    def offer(self, change: "Change") -> None:
        slots = self._slots
        if not slots:
            return
        for slot in self._interested(change):
            filed = slots.get(slot)
            if filed:
                for watcher in filed:
                    watcher.offer(change)

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
        for filed in list(self._slots.values()):
            for watcher in list(filed):
                watcher.finish()


class Watcher:
    """One watch. matches: does the selection hold for an entry; None: everything does. view: names the encoding, under
    which an encoded event is shared with the other watchers of the same view."""

    def __init__(
        self,
        slot: Slot,
        *,
        matches: Matches | None,
        encode: Encode,
        view: Any,
        on_close: Callable[["Watcher"], None],
    ):
        self.slot = slot
        self._matches = matches
        self._encode = encode
        self._view = view
        self._on_close = on_close
        self._queue: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False
        self.sent = 0
        self.timers: dict[str, asyncio.TimerHandle] = {}

    def offer(self, change: "Change") -> None:
        """Queues the event that this change is to the watcher, if it is one."""
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
                return
        key = (kind, self._view)
        wire = change.wires.get(key)
        if wire is None:
            entry = change.gone() if kind == "DELETED" else new
            assert entry is not None
            wire = change.wires[key] = self._encode(kind, entry)
        self.push(wire)

    def push(self, wire: bytes) -> None:
        """Queues an encoded event. A watcher that does not read ends instead: its client resumes or lists anew."""
        if len(self._queue) >= BACKLOG:
            self._queue.clear()
            self.finish()
            return
        self._queue.append(wire)
        self._wake()

    def finish(self) -> None:
        """What is queued is still delivered, then the stream ends."""
        self.ended = True
        self._wake()

    def cancel_timers(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()

    def _wake(self) -> None:
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
