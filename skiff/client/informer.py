"""List, then watch: a local, indexed, read-only copy of one resource, kept current.

Guarantees: handlers see each object's changes in order; after a broken connection the watch resumes from the last version
seen; after a 410 the cache is relisted and handlers get the differences; objects in the cache are shared and must not be
mutated. Nothing costs O(cached objects) per event, only per relist.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Protocol

from skiff import env
from skiff.api.errors import StatusError, is_gone
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client, WatchEvent

log = logging.getLogger(__name__)

Index = Callable[[Obj], Iterable[str]]
"""From an object to the values under which it is found, for example `lambda pod: [pod["spec"].get("nodeName", "")]`."""

Transform = Callable[[Obj], Obj | None]
"""From a decoded object (which it may change) to what the cache keeps; it must have metadata.name and .namespace. None:
leave the object out."""


class CacheObserver(Protocol):
    """Is told what enters and leaves the caches of informers: how tests find code that changes cached objects."""

    def cached(self, gvr: GVR, obj: Obj) -> None: ...

    def dropped(self, obj: Obj) -> None: ...


cache_observer: ContextVar[CacheObserver | None] = ContextVar("skiff.cache_observer", default=None)

WATCH_SECONDS = (300, 600)
RETRY_BASE_S = 0.2
RETRY_CAP_S = 15.0
SHORT_WATCH_S = 1.0
RELIST_SLICE = 500


def drop_managed_fields(obj: Obj) -> Obj:
    """The default transform: managedFields are often half of an object, and only the API server reads them."""
    obj["metadata"].pop("managedFields", None)
    return obj


@dataclass(frozen=True, slots=True)
class Change:
    type: Literal["added", "updated", "deleted"]
    old: Obj | None
    new: Obj | None

    @property
    def object(self) -> Obj:
        """The object as last known: new, or for a deletion old."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


class _IndexedBy:
    """One index: value → the objects that have it, keyed by (namespace, name)."""

    def __init__(self, index: Index):
        self._index = index
        self._found: dict[str, dict[tuple[str, str], Obj]] = {}

    def replace(self, key: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        before = set(self._index(old)) if old is not None else set()
        after = list(self._index(new)) if new is not None else []
        for value in sorted(before.difference(after)):
            bucket = self._found[value]
            bucket.pop(key, None)
            if not bucket:
                del self._found[value]
        for value in after:
            self._found.setdefault(value, {})[key] = new  # type: ignore[assignment]

    def get(self, value: str) -> list[Obj]:
        return list(self._found.get(value, {}).values())


class Informer:
    """One resource, optionally narrowed by namespace and selectors (as the API takes them).

    transform: what the cache keeps of each object; by default all but managedFields.
    """

    def __init__(
        self,
        client: Client,
        gvr: GVR,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        transform: Transform = drop_managed_fields,
    ):
        self.gvr = gvr
        self._client = client
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._transform = transform
        self._objects: dict[str, dict[str, Obj]] = {}  # namespace → name → object
        self._indices: dict[str, _IndexedBy] = {}
        self._handlers: list[Callable[[Change], None]] = []
        self._synced = asyncio.Event()
        self._version = ""  # the last one seen; a watch resumes from it
        self._observer = cache_observer.get()
        self._list_from = "0"  # resourceVersion of the next list: any, then at least as new as seen, then the newest

    def get(self, namespace: str, name: str) -> Obj | None:
        return self._objects.get(namespace, {}).get(name)

    def items(self, namespace: str = "") -> list[Obj]:
        """All, or those of one namespace (indexed), in no promised order."""
        if namespace:
            return list(self._objects.get(namespace, {}).values())
        return [obj for of_namespace in self._objects.values() for obj in of_namespace.values()]

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def add_index(self, name: str, index: Index) -> None:
        """Before or after start; existing objects are indexed at once. Adding a name again keeps the first."""
        if name in self._indices:
            return
        self._indices[name] = by = _IndexedBy(index)
        for obj in self.items():
            by.replace(_name(obj), None, obj)

    def by_index(self, name: str, value: str) -> list[Obj]:
        return self._indices[name].get(value)

    def add_handler(self, handler: Callable[[Change], None]) -> None:
        """Called synchronously for each change; must be quick and must not raise. Late handlers get `added` for all
        that is cached."""
        self._handlers.append(handler)
        for obj in self.items():
            handler(Change("added", None, obj))

    @property
    def complete(self) -> bool:
        """Holds every object of the resource, and whole."""
        return not (self._namespace or self._labels or self._fields) and self._transform is drop_managed_fields

    @property
    def synced(self) -> bool:
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    @property
    def resource_version(self) -> str:
        """Up to which version the cache is known to be current."""
        return self._version

    async def run(self) -> None:
        """Until cancelled. Lists, watches, and does so again with growing waits when the server cannot be reached."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            error: Exception | None = None
            try:
                if not self._version:
                    await self._relist()
                await self._follow()
            except (StatusError, ConnectionError) as e:
                error = e
                self._after_failure(e)
            if loop.time() - started > SHORT_WATCH_S:
                failures = 0
                if error is None:
                    continue
            failures += 1
            await asyncio.sleep(_retry_wait(failures))

    def _after_failure(self, error: Exception) -> None:
        """Decides where to go on from: after the loss of a connection or of a busy server, where the watch stood."""
        what = self.gvr.group_resource
        if is_gone(error):
            log.info("relisting %s: %s", what, error)
            self._list_from = self._version  # a list that says so itself must ask for the newest
            self._version = ""
        elif not isinstance(error, StatusError):
            log.debug("list and watch of %s: %s", what, error)
        elif error.code == 429 or error.code in (500, 502, 503):
            log.info("list and watch of %s: %s", what, error)
        else:  # refused, or a version that this server does not know (it has another store)
            log.warning("list and watch of %s: %s", what, error)
            self._version = self._list_from = ""

    async def _relist(self) -> None:
        """Replaces the cache by what the server has; handlers get the differences."""
        found = await self._client.list(
            self.gvr, self._namespace, labels=self._labels, fields=self._fields, resource_version=self._list_from
        )
        seen: set[tuple[str, str]] = set()
        items = found.items
        items.reverse()
        for count in range(len(items), 0, -1):
            kept = self._transform(items.pop())  # what the transform leaves out is freed at once
            if kept is not None:
                seen.add(_name(kept))
                self._upsert(kept)
            if count % RELIST_SLICE == 0:
                await asyncio.sleep(0)
        for obj in self.items():
            if _name(obj) not in seen:
                self._remove(obj, None)
        self._version = self._list_from = found.resource_version
        self._synced.set()

    async def _follow(self) -> None:
        """One watch, from the last version seen to its end."""
        events = self._client.watch(
            self.gvr,
            self._namespace,
            resource_version=self._version,
            labels=self._labels,
            fields=self._fields,
            timeout_seconds=env.rng().randint(*WATCH_SECONDS),
        )
        async with aclosing(events):
            async for event in events:
                self._apply(event)

    def _apply(self, event: WatchEvent) -> None:
        version = event.object["metadata"]["resourceVersion"]
        if event.type == "DELETED":
            self._remove(event.object, self._transform(event.object))
        elif event.type in ("ADDED", "MODIFIED"):
            kept = self._transform(event.object)
            if kept is not None:
                self._upsert(kept)
            else:
                self._remove(event.object, None)
        self._version = self._list_from = version

    def _upsert(self, obj: Obj) -> None:
        namespace, name = key = _name(obj)
        bucket = self._objects.setdefault(namespace, {})
        old = bucket.get(name)
        if old is not None and _same(old, obj):
            return
        bucket[name] = obj
        if self._observer:
            self._observe(old, obj)
        for index in self._indices.values():
            index.replace(key, old, obj)
        self._notify(Change("added" if old is None else "updated", old, obj))

    def _remove(self, obj: Obj, last: Obj | None) -> None:
        """Takes the object out; handlers get `last`, its final state, or what was cached."""
        namespace, name = key = _name(obj)
        bucket = self._objects.get(namespace, {})
        old = bucket.pop(name, None)
        if old is None:
            return
        if not bucket:
            del self._objects[namespace]
        if self._observer:
            self._observe(old, None)
        for index in self._indices.values():
            index.replace(key, old, None)
        self._notify(Change("deleted", last if last is not None else old, None))

    def _observe(self, old: Obj | None, new: Obj | None) -> None:
        assert self._observer is not None
        if old is not None:
            self._observer.dropped(old)
        if new is not None:
            self._observer.cached(self.gvr, new)

    def _notify(self, change: Change) -> None:
        for handler in self._handlers:
            try:
                handler(change)
            except Exception:
                # Our bug, told with its traceback; the cache and the other handlers go on.
                log.exception("a handler of %s failed on %s", self.gvr.group_resource, _name(change.object))


class Informers:
    """Shared informers of one client: each (gvr, namespace, labels, fields, transform) is listed and watched once."""

    def __init__(self, client: Client):
        self._client = client
        self._informers: dict[tuple[object, ...], Informer] = {}
        self._group: asyncio.TaskGroup | None = None

    def get(
        self,
        gvr: GVR,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        transform: Transform = drop_managed_fields,
    ) -> Informer:
        key = (gvr, namespace, labels, fields, transform)
        found = self._informers.get(key)
        if found is None:
            found = Informer(self._client, gvr, namespace=namespace, labels=labels, fields=fields, transform=transform)
            self._informers[key] = found
            if self._group:
                self._start(found)
        return found

    def all(self) -> list[Informer]:
        return list(self._informers.values())

    async def run(self) -> None:
        """Runs all informers, those asked for later too, until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            try:
                for informer in self._informers.values():
                    self._start(informer)
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def wait_synced(self) -> None:
        """All that have been asked for by now."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    def _start(self, informer: Informer) -> None:
        assert self._group is not None
        self._group.create_task(informer.run(), name=f"informer {informer.gvr.group_resource}")


def _name(obj: Obj) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _same(old: Obj, new: Obj) -> bool:
    version = new["metadata"].get("resourceVersion")
    return old["metadata"].get("resourceVersion") == version if version else old == new


def _retry_wait(failures: int) -> float:
    """Doubling, and each client at its own time, so that a server that comes back is not met by all at once."""
    return min(RETRY_CAP_S, RETRY_BASE_S * 2.0 ** min(failures - 1, 16)) * env.rng().uniform(0.5, 1.0)
