"""All that is served and where it is stored: the table of resources, their caches, and the writes to the store.

The registry knows nothing of HTTP. Custom resources are added and removed while it runs. Its `lookup` is how access
control and admission read the cluster.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from skiff.api import schema
from skiff.api.errors import StatusError, already_exists, conflict, not_found, service_unavailable
from skiff.api.resources import Resource
from skiff.api.schema import SchemaNode
from skiff.api.types import GVR, Obj
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.entries import Codec, Entry
from skiff.apiserver.hub import Hub, spawner
from skiff.apiserver.lookup import OnChange
from skiff.apiserver.metrics import Histogram, times
from skiff.apiserver.requestinfo import RequestInfo
from skiff.apiserver.served import Decoder, Served
from skiff.store import Delete, Mismatch, Put, Store, Unavailable


def _builtin_node(name: str) -> SchemaNode:
    return schema.load().node(name)


class Registry:
    """table: (group, version) → plural → Served."""

    def __init__(self, store: Store, resources: Iterable[Resource]):
        self.store = store
        self.tasks: set[asyncio.Task[None]] = set()
        self.spawn = spawner(self.tasks)
        self.hub = Hub(store, self.spawn)
        self.table: dict[tuple[str, str], dict[str, Served]] = {}
        self.generation = 0
        self.store_times: dict[tuple[str, str, str], Histogram] = {}
        """(operation, group, resource) → how long writes took."""
        self.remote: dict[tuple[str, str], Any] = {}
        """(group, version) → aggregator.remote.Remote, where another server answers."""
        self.extra_definitions: Mapping[str, Mapping[str, Any]] = {}
        self.extra_digests: Mapping[str, bytes] = {}
        self._wanted: list[WatchCache] = []
        self._started = False
        listed = list(resources)
        by_gvr = {r.gvr: r for r in listed}
        for resource in listed:
            stored = by_gvr.get(resource.storage or resource.gvr, resource)
            self.add(resource, stored)
        self.lookup = CacheLookup(self)

    async def start(self) -> None:
        """Returns when the caches that somebody has asked for already are filled."""
        await self.hub.start()
        self._started = True
        self.spawn(self.hub.run(), "store watch")
        for cache in self._wanted:
            await cache.ready()

    def want(self, cache: WatchCache) -> None:
        """Fills the cache soon, before `start` returns if it has not been called yet."""
        if cache.loaded:
            return
        if self._started:
            self.spawn(cache.ready(), f"load {cache.codec.prefix}")
        else:
            self._wanted.append(cache)

    async def close(self) -> None:
        """Ends all watches and tasks; the store stays open, it is its owner's."""
        for cache in self.hub.caches():
            cache.fanout.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    # --- the table

    def add(
        self,
        resource: Resource,
        stored: Resource | None = None,
        node_of: Callable[[str], SchemaNode] = _builtin_node,
        checker: Decoder | None = None,
        cache: WatchCache | None = None,
    ) -> Served:
        """Serves a resource. stored: the record that owns the stored form, when it is another one. checker: decodes what
        clients send, when the node does not say it all. cache: of its own."""
        owner = stored or resource
        if cache is None:
            cache = self.hub.cache(Codec(owner.gvr, owner.selectable), owner.indexed)
        served = Served(resource, cache.codec, cache, node_of, checker)
        self.table.setdefault((resource.gvr.group, resource.gvr.version), {})[resource.gvr.plural] = served
        self.generation += 1
        return served

    def remove(self, gvr: GVR) -> None:
        """Serves it no more. What is stored stays."""
        plurals = self.table.get((gvr.group, gvr.version), {})
        served = plurals.pop(gvr.plural, None)
        if not plurals:
            self.table.pop((gvr.group, gvr.version), None)
        if served is not None:
            self.generation += 1
            self.hub.forget(served.codec.prefix)

    def find(self, group: str, version: str, plural: str) -> Served | None:
        plurals = self.table.get((group, version))
        return plurals.get(plural) if plurals is not None else None

    def served(self, gvr: GVR) -> Served | None:
        return self.find(gvr.group, gvr.version, gvr.plural)

    def of_kind(self, api_version: str, kind: str) -> Served | None:
        """The resource whose objects are of a kind."""
        group, _, version = api_version.rpartition("/")
        plurals = self.table.get((group, version), {})
        return next((s for s in plurals.values() if s.gvr.kind == kind), None)

    def equivalents(self, gvr: GVR) -> list[GVR]:
        """Of all resources that show the same stored objects, this one among them."""
        served = self.served(gvr)
        if served is None:
            return [gvr]
        prefix = served.codec.prefix
        return [s.gvr for plurals in self.table.values() for s in plurals.values() if s.codec.prefix == prefix]

    def count(self, info: RequestInfo) -> int:
        """How many objects the resource of a request has; 0 as long as that is not known."""
        served = self.find(info.group, info.version, info.resource)
        return served.cache.count if served is not None and served.cache.loaded else 0

    def resources(self) -> list[Resource]:
        return [s.resource for plurals in self.table.values() for s in plurals.values()]

    def definitions(self) -> Mapping[str, Mapping[str, Any]]:
        """OpenAPI definitions of what is not built in, by the names that the records give."""
        return self.extra_definitions

    def digests(self) -> Mapping[str, bytes]:
        """What changes when one of `definitions` does."""
        return self.extra_digests

    # --- reading and writing

    async def current(self, served: Served, namespace: str, name: str) -> Entry | None:
        """The object as of now (consistent)."""
        return await served.cache.current(namespace, name)

    async def insert(self, served: Served, obj: Obj) -> tuple[bytes, int]:
        """Stores a new object; its served JSON and revision. Raises 409 AlreadyExists."""
        meta = obj["metadata"]
        key = served.codec.key(meta.get("namespace", ""), meta["name"])
        value = await self._value(served, obj)
        try:
            put = Put(key, value, expected=0, ttl_seconds=served.resource.ttl_seconds)
            revision = await self._put(served, put, obj, "create", _along(served, None, obj))
        except Mismatch:
            raise already_exists(served.gvr, meta["name"]) from None
        return _shown(served, obj, value, revision), revision

    async def replace(self, served: Served, entry: Entry, obj: Obj) -> bytes:
        """Stores a new version of `entry`; its served JSON. Raises Mismatch when there is a newer one."""
        key = served.codec.key(entry.namespace, entry.name)
        value = await self._value(served, obj)
        put = Put(key, value, expected=entry.revision, ttl_seconds=served.resource.ttl_seconds)
        revision = await self._put(served, put, obj, "update", _along(served, entry, obj))
        return _shown(served, obj, value, revision)

    async def erase(self, served: Served, entry: Entry) -> int:
        """Removes exactly this version. Raises Mismatch."""
        key = served.codec.key(entry.namespace, entry.name)
        return await self._write(
            Delete(key, expected=entry.revision), "delete", served.gvr, _along(served, entry, None)
        )

    async def amend(
        self, served: Served, namespace: str, name: str, change: Callable[[Obj], None], dry_run: bool
    ) -> Obj:
        """Changes the current object in place and stores it, again when somebody else was faster; what `change` raises
        ends it. For what the server itself writes. Raises 404."""
        entry = await self.current(served, namespace, name)
        while entry is not None:
            obj = served.load(entry)
            change(obj)
            if dry_run:
                return obj
            try:
                stored: Obj = orjson.loads(await self.replace(served, entry, obj))
                return stored
            except Mismatch as e:
                entry = self.newer(served, e)
        raise not_found(served.gvr, name)

    async def _value(self, served: Served, obj: Obj) -> bytes:
        return served.value(obj) if served.convert is None else await served.convert(obj)

    async def _put(self, served: Served, put: Put, obj: Obj, operation: str, along: Sequence[Put | Delete]) -> int:
        """Gives the decoded object away to the cache, where that is what the cache would decode."""
        if served.native and not served.resource.custom:
            served.cache.expect(put.key, put.value, obj)
        try:
            return await self._write(put, operation, served.gvr, along)
        except BaseException:
            served.cache.unexpect(put.key)
            raise

    async def _write(self, op: Put | Delete, operation: str, gvr: GVR, along: Sequence[Put | Delete]) -> int:
        time = asyncio.get_running_loop().time
        started = time()
        try:
            return await self.store.txn([op, *along])  # a request has its deadline in server.py
        except Mismatch as e:
            if e.key != op.key:  # nothing is wrong with the object itself: the client may try again
                raise conflict(gvr, op.key.rpartition("/")[2]) from e
            raise
        except Unavailable as e:
            raise unavailable(e) from e
        finally:
            key = (operation, gvr.group, gvr.plural)
            spent = self.store_times.get(key) or self.store_times.setdefault(key, times())
            spent.observe(time() - started)

    def newer(self, served: Served, mismatch: Mismatch) -> Entry | None:
        """What a failed write found in its place. Raises 409 where only a webhook could show it."""
        record = mismatch.current
        if record is not None and served.convert is not None and not record.value.startswith(served.codec.head):
            raise conflict(served.gvr, served.codec.split(record.key)[1])
        return served.codec.entry(record.key, record.value, record.revision) if record is not None else None


def _along(served: Served, entry: Entry | None, new: Obj | None) -> Sequence[Put | Delete]:
    """What is written together with the object."""
    if served.companions is None:
        return ()
    return served.companions(served.load(entry) if entry is not None else None, new)


def _shown(served: Served, obj: Obj, value: bytes, revision: int) -> bytes:
    """The served JSON of what has been stored."""
    if served.convert is not None:
        return served.codec.splice(served.codec.encode(obj), revision)
    return served.data_of(value, revision)


def unavailable(error: Exception) -> StatusError:
    return service_unavailable(f"the store is not available: {error}")


class CacheLookup:
    """`skiff.apiserver.lookup.Lookup` over the watch caches. Asking for a resource starts its cache."""

    def __init__(self, registry: Registry):
        self._registry = registry

    def _cache(self, gvr: GVR) -> WatchCache | None:
        served = self._registry.served(gvr)
        if served is None:
            return None
        if not served.cache.loaded:
            self._registry.want(served.cache)
        return served.cache

    def get(self, gvr: GVR, namespace: str, name: str) -> Obj | None:
        cache = self._cache(gvr)
        entry = cache.get(namespace, name) if cache is not None else None
        return entry.obj if entry is not None else None

    def list(self, gvr: GVR, namespace: str = "") -> list[Obj]:
        cache = self._cache(gvr)
        return [e.obj for e in cache.entries(namespace)] if cache is not None else []

    async def ready(self, gvr: GVR) -> None:
        served = self._registry.served(gvr)
        if served is not None:
            await served.cache.ready()

    async def fresh(self, gvr: GVR, namespace: str, name: str) -> Obj | None:
        served = self._registry.served(gvr)
        if served is None:
            return None
        entry = await self._registry.current(served, namespace, name)
        return entry.decode() if entry is not None else None

    def subscribe(self, gvr: GVR, handler: OnChange) -> None:
        cache = self._cache(gvr)
        if cache is None:
            return

        for entry in cache.entries() if cache.loaded else ():
            handler(None, entry.decode())
        cache.subscribers.append(handler)
