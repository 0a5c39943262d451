"""Watches: one published stream of events, handed to those who asked for a prefix.

A subscriber that keeps up takes events from its buffer. One that starts in the past, or whose buffer ran over, is
`behind`: it reads what it missed from the backend's history, a window of revisions at a time, and then joins the stream
without a gap. So a slow consumer costs a bounded buffer and never holds up a writer. Publishing costs one lookup per
distinct length of prefix, not one per subscriber.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from skiff.store import Compacted, Event, Unavailable

BUFFER = 8192
"""Events that wait for one consumer before it has to read them from history."""

WINDOW = 2000
"""Revisions that one read of the history covers."""

History = Callable[[str, int, int], Awaitable[Sequence[Event]]]
"""(prefix, since, until) → the events with since < revision <= until, in order. Raises Compacted."""


class Fanout:
    """Knows the published revision and the subscribers. All methods run on the loop."""

    def __init__(self, revision: int, history: History):
        self.revision = revision
        self._history = history
        self._tables: dict[int, dict[str, dict[Subscription, None]]] = {}
        self._closed: Exception | None = None

    def subscribe(self, prefix: str, since: int) -> "Subscription":
        subscription = Subscription(self, self._history, prefix, since or self.revision)
        if self._closed is None:
            self._tables.setdefault(len(prefix), {}).setdefault(prefix, {})[subscription] = None
        else:
            subscription.fail(self._closed)
        return subscription

    def unsubscribe(self, subscription: "Subscription") -> None:
        prefix = subscription.prefix
        table = self._tables.get(len(prefix), {})
        same = table.get(prefix, {})
        same.pop(subscription, None)
        if not same:
            table.pop(prefix, None)
        if not table:
            self._tables.pop(len(prefix), None)

    def publish(self, revision: int, events: Sequence[Event]) -> None:
        """The events of the next revision; called for revisions without events too."""
        self.revision = revision
        for length, table in self._tables.items():
            for event in events:
                for subscription in table.get(event.record.key[:length], ()):
                    subscription.offer(event)

    def progress(self) -> int:
        return min((s.handed for s in self._subscriptions()), default=self.revision)

    def close(self, reason: str) -> None:
        self._closed = Unavailable(reason)
        for subscription in self._subscriptions():
            subscription.fail(self._closed)
        self._tables.clear()

    def _subscriptions(self) -> list["Subscription"]:
        return [s for table in self._tables.values() for same in table.values() for s in same]


class Subscription:
    """The iterator that `Store.watch` returns. One consumer; `aclose()` ends it."""

    def __init__(self, fanout: Fanout, history: History, prefix: str, since: int):
        self.prefix = prefix
        self._fanout = fanout
        self._history = history
        self._position = since  # all events up to here were handed over or are not wanted
        self._behind = since < fanout.revision
        self._buffer: list[Event] = []
        self._wake: asyncio.Future[None] | None = None
        self._failure: Exception | None = None

    @property
    def handed(self) -> int:
        """The revision up to which the consumer has been handed everything."""
        if self._behind or self._buffer:
            return self._position
        return self._fanout.revision

    def offer(self, event: Event) -> None:
        if self._behind or event.record.revision <= self._position:
            return
        if len(self._buffer) >= BUFFER and self._buffer[-1].record.revision != event.record.revision:
            self._fall_behind()
            return
        self._buffer.append(event)
        self._notify()

    def fail(self, error: Exception) -> None:
        self._failure = error
        self._notify()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Sequence[Event]:
        while True:
            if self._behind:
                if events := await self._catch_up():
                    return events
            elif self._buffer:
                events, self._buffer = self._buffer, []
                self._position = self._fanout.revision
                return events
            elif self._failure is not None:
                raise self._failure
            else:
                await self._wait()

    async def aclose(self) -> None:
        self._fanout.unsubscribe(self)
        self.fail(StopAsyncIteration())
        self._behind = False
        self._buffer = []

    async def _catch_up(self) -> Sequence[Event]:
        """One window of history; the stream is joined when the window ends at the published revision."""
        until = min(self._position + WINDOW, self._fanout.revision)
        try:
            events = await self._history(self.prefix, self._position, until)
        except Compacted:
            self._fanout.unsubscribe(self)
            raise
        self._position = until
        if until == self._fanout.revision:
            self._behind = False
        return events

    def _fall_behind(self) -> None:
        """Forget the buffer: history has it, from the position on."""
        self._buffer = []
        self._behind = True

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _wait(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None
