"""A watch cache whose objects a webhook converts on their way in: each version of such a definition has its own.

An object version is converted once, whoever reads it. Events are converted in order; a reader that wants the present state
waits for that, and gets the webhook's error when it fails. What cannot be converted is tried again until it can be.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from skiff.api.errors import StatusError
from skiff.apiserver.apiextensions.conversion import Webhook
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.entries import Codec
from skiff.store import Event, Record

if TYPE_CHECKING:
    from skiff.apiserver.hub import Hub

log = logging.getLogger(__name__)

RETRY_S = 1.0
MOST_RETRY_S = 30.0
BATCH = 500


class Shown:
    """The hub as the readers of such a cache may see it: no further than the cache is."""

    def __init__(self, hub: "Hub", cache: "ConvertedCache"):
        self._hub = hub
        self._cache = cache
        self.store = hub.store
        self.spawn = hub.spawn
        self.attach = hub.attach
        self.recent = hub.recent
        self.waker = hub.waker
        self.pages = hub.pages

    @property
    def revision(self) -> int:
        pending = self._cache.pending
        return pending[0].record.revision - 1 if pending else self._hub.revision

    @property
    def horizon(self) -> int:
        return self._hub.horizon

    async def caught_up(self) -> None:
        await self._hub.caught_up()
        await self._cache.process()

    async def reach(self, revision: int) -> None:
        await self._hub.reach(revision)
        await self._cache.process()


class ConvertedCache(WatchCache):
    """pending: events that are yet to be converted."""

    def __init__(self, hub: "Hub", codec: Codec, indexed: Sequence[str], webhook: Webhook):
        super().__init__(Shown(hub, self), codec, indexed)  # type: ignore[arg-type]
        self.pending: deque[Event] = deque()
        self._webhook = webhook
        self._lock = asyncio.Lock()
        self._worker: asyncio.Task[None] | None = None

    def reset(self) -> None:
        self.pending.clear()
        super().reset()

    async def translate(self, records: Sequence[Record]) -> list[Record]:
        """Records with values in this cache's version. Raises StatusError."""
        head, result = self.codec.head, list(records)
        foreign = [i for i, r in enumerate(result) if r.value and not r.value.startswith(head)]
        for start in range(0, len(foreign), BATCH):
            part = foreign[start : start + BATCH]
            objects = [orjson.loads(result[i].value) for i in part]
            converted = await self._webhook.convert(objects, self.codec.gvr.api_version)
            for i, obj in zip(part, converted, strict=True):
                result[i] = result[i]._replace(value=self.codec.encode(obj))
        return result

    def apply(self, event: Event) -> None:
        if not self.loaded:
            super().apply(event)
            return
        self.pending.append(event)
        if self._worker is None or self._worker.done():
            self._worker = self.hub.spawn(self._work(), f"convert {self.codec.gvr.group_resource}")

    async def process(self) -> None:
        """Returns when every event that has come so far is shown. Raises StatusError when the webhook fails."""
        async with self._lock:
            while self.pending and self.loaded:
                events = list(self.pending)
                records = await self.translate([e.record for e in events])
                for event, record in zip(events, records, strict=True):
                    if not self.pending or self.pending[0] is not event:
                        break  # reset meanwhile
                    self.pending.popleft()
                    super().apply(event._replace(record=record))

    async def _work(self) -> None:
        delay = RETRY_S
        while self.pending and not self.retired:
            try:
                await self.process()
            except StatusError as e:
                log.warning("%s", e.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, MOST_RETRY_S)
