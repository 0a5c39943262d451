"""Where the store's events come in: one watch over everything, dealt out to the watch caches in revision order.

Because one reader sees all resources, the hub knows up to which revision every cache is current; a consistent read
waits for that. Caches are made on first use; events of resources that nobody reads are dropped unread.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, Protocol

from skiff.api.errors import timeout
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.entries import Codec, Recent
from skiff.apiserver.fanout import Waker
from skiff.apiserver.pages import Pages
from skiff.store import Compacted, Event, Store, StoreError

log = logging.getLogger(__name__)

ROOT = "/registry/"
WAIT_S = 3.0
"""How long a read waits for a revision (upstream: blockTimeout)."""
RETRY_S = 0.5
HORIZON_STEPS = 5

Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]


class Applies(Protocol):
    """Takes the events of one stored resource."""

    def apply(self, event: Event) -> None: ...


class Several:
    """The caches of a resource that has more than one."""

    def __init__(self, *caches: Applies):
        self._caches = list(caches)

    def add(self, cache: Applies) -> None:
        if not any(known is cache for known in self._caches):
            self._caches.append(cache)

    def apply(self, event: Event) -> None:
        for cache in self._caches:
            cache.apply(event)


class Hub:
    """All watch caches of one store. `run` belongs to the server's task group; `spawn` starts a task there."""

    def __init__(self, store: Store, spawn: Spawn):
        self.store = store
        self.spawn = spawn
        self.revision = 0
        self.horizon = 0
        """Nobody is shown the past before this revision (`move_horizon`), though the store may know it."""
        self.recent = Recent()
        self.waker = Waker()
        self.pages = Pages()
        self._caches: dict[str, WatchCache] = {}
        self._attached: dict[str, Applies] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def cache(self, codec: Codec, indexed: tuple[str, ...] = ()) -> WatchCache:
        """The cache of a stored resource, the same one for each caller."""
        found = self._caches.get(codec.prefix)
        if found is None:
            found = self._caches[codec.prefix] = WatchCache(self, codec, indexed)
        return found

    def place(self, name: str, cache: WatchCache) -> WatchCache:
        """Another cache of a stored resource beside the usual one, known as `prefix#name`."""
        return self._caches.setdefault(f"{cache.codec.prefix}#{name}", cache)

    def forget(self, prefix: str) -> None:
        """A resource is served no more, or in another way (a definition changed). Requests that wait on the old cache see
        what it has; its watches end."""
        self._attached.pop(prefix, None)
        for key in [k for k in self._caches if k.partition("#")[0] == prefix]:
            cache = self._caches.pop(key)
            cache.retired = True
            cache.fanout.close()

    def caches(self) -> list[WatchCache]:
        return list(self._caches.values())

    def attach(self, cache: WatchCache) -> None:
        """From now on the cache gets its events, unless another one has taken its place."""
        if cache.retired:
            return
        prefix = cache.codec.prefix
        present = self._attached.get(prefix)
        if present is None or present is cache:
            self._attached[prefix] = cache
        elif isinstance(present, Several):
            present.add(cache)
        else:
            self._attached[prefix] = Several(present, cache)

    async def start(self) -> None:
        self.revision = await self.store.current_revision()

    async def run(self) -> None:
        """Deals out events until cancelled. When history is lost, all caches start anew."""
        while True:
            try:
                async with aclosing(self.store.watch(ROOT, since=self.revision)) as batches:  # type: ignore[type-var]
                    async for batch in batches:
                        self._deal(batch)
            except Compacted as e:
                log.warning("Events were lost, caches start anew", extra={"compacted": e.compacted})
                self._reset(await self.store.current_revision())
            except StoreError as e:
                log.warning("The store's watch broke and is retried", extra={"error": str(e)})
            await asyncio.sleep(RETRY_S)

    def _deal(self, batch: "list[Event] | tuple[Event, ...] | Any") -> None:
        attached = self._attached
        for event in batch:
            key = event.record.key
            cache = attached.get(key[: key.index("/", key.index("/", 10) + 1) + 1])
            if cache is not None:
                try:
                    cache.apply(event)
                except Exception:  # one object that somebody cannot read must not end everybody's events
                    log.exception("A change could not be shown", extra={"key": key})
        self.revision = batch[-1].record.revision
        if self._waiters:
            self._release()

    def _release(self) -> None:
        waiting = []
        for revision, waiter in self._waiters:
            if revision > self.revision:
                waiting.append((revision, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = waiting

    def _reset(self, revision: int) -> None:
        self._attached.clear()
        for cache in self._caches.values():
            cache.reset()
            if cache.subscribers:
                self.spawn(cache.ready(), f"load {cache.codec.prefix}")
        self.revision = revision
        self._release()

    async def move_horizon(self, keep_s: float) -> None:
        """Until cancelled: what is older than `keep_s`, and at most a fifth more, is past for clients. Upstream compacts
        its store that often; ours keeps history by its size, for other uses."""
        noted: deque[int] = deque()
        while True:
            noted.append(self.revision)
            if len(noted) > HORIZON_STEPS:
                self.horizon = noted.popleft()
            await asyncio.sleep(keep_s / HORIZON_STEPS)

    async def caught_up(self) -> None:
        """Returns when every cache shows all that was committed before the call."""
        revision = await self.store.current_revision()
        if revision > self.revision:
            await self.reach(revision)

    async def reach(self, revision: int) -> None:
        """Waits until the caches show a revision. Raises a 504 Status after a while."""
        if revision <= self.revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, waiter))
        try:
            async with asyncio.timeout(WAIT_S):
                await waiter
        except TimeoutError:
            raise too_large(revision, self.revision) from None


def too_large(wanted: int, current: int) -> Exception:
    """504 as upstream words it (storage.NewTooLargeResourceVersionError)."""
    error = timeout(f"Too large resource version: {wanted}, current: {current}", 1)
    details = error.status.setdefault("details", {})
    details["causes"] = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return error


def spawner(tasks: set["asyncio.Task[None]"]) -> Spawn:
    """Starts tasks that their owner's set keeps; an unexpected end is logged, once."""

    def done(task: "asyncio.Task[None]") -> None:
        tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A task ended unexpectedly", exc_info=task.exception(), extra={"task": task.get_name()})

    def spawn(coro: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(coro, name=name)
        tasks.add(task)
        task.add_done_callback(done)
        return task

    return spawn
