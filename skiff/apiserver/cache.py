"""The watch cache: all objects of one stored resource, kept current by the store's events, served as encoded bytes.

Guarantees: an object version is encoded once; entries are immutable and shared; every change is offered to each
interested watcher exactly once and in revision order; nothing here costs O(objects) per write. Loads on first use
(`ready`). The cache holds few decoded objects: those that a reader asked for through `Entry.obj`, and what was written
last (`expect`), so that neither the cache nor the next writer has to decode it.
"""

import asyncio
import logging
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from skiff import env
from skiff.api.types import Obj
from skiff.apiserver import ring
from skiff.apiserver.entries import Change, Codec, Entry
from skiff.apiserver.fanout import Fanout
from skiff.apiserver.labelindex import LabelIndexes, within
from skiff.store import Compacted, Event, Record, Store

if TYPE_CHECKING:
    from skiff.apiserver.hub import Hub

log = logging.getLogger(__name__)

PAGE = 500
SINGLE = 16
"""So many objects are read one by one before the cache is filled."""
RECALLED = 65536
"""So many revisions back the store's history is searched for what a returning client has missed."""


class WatchCache:
    """All objects of one stored resource. Created by the hub, empty until `ready` has been awaited once."""

    def __init__(self, hub: "Hub", codec: Codec, indexed: Sequence[str] = ()):
        self.hub = hub
        self.codec = codec
        self.field_names = codec.field_names
        self.indexed = tuple(codec.field_names.index(f) for f in indexed)
        self.loaded = False
        self.retired = False  # it gets no events any more and serves only the requests that hold it
        self._loading: asyncio.Task[None] | None = None
        self._single = 0
        self._tidying = False
        self._labels = LabelIndexes(self.entries)
        self._clear()
        self.fanout = Fanout(self.indexed)
        self.subscribers: list[Callable[[Obj | None, Obj | None], None]] = []
        self._known: dict[tuple[str, str], Entry] = {}
        self._recalling = asyncio.Lock()

    def _clear(self) -> None:
        self.revision = 0
        self.count = 0
        self.changed = 0
        self._early: list[Event] = []
        self._expected: dict[str, tuple[bytes, Obj]] = {}
        self._spaces: dict[str, dict[str, Entry]] = {}
        self._space_order: list[str] = []
        self._name_order: dict[str, list[str]] = {}
        self._index: dict[int, dict[str, dict[tuple[str, str], Entry]]] = {i: {} for i in self.indexed}
        self._labels.clear()
        self._ring = ring.Ring()

    # --- loading

    async def ready(self) -> None:
        """Returns when the cache has been filled; the first caller starts it."""
        if self.loaded:
            return
        if self._loading is None:
            self.hub.attach(self)
            self._loading = self.hub.spawn(self._load(), f"load {self.codec.prefix}")
        await asyncio.shield(self._loading)

    async def fresh(self) -> None:
        """Like `ready`, and every write that was acknowledged before the call is visible."""
        if not self.loaded:
            await self.ready()
        await self.hub.caught_up()

    async def current(self, namespace: str, name: str) -> Entry | None:
        """The object as of now. Until the cache is filled it comes from the store, and who asks for one object does not
        wait for all the others; who asks for many has them filled in."""
        await self.hub.caught_up()
        if self.loaded:
            return self.get(namespace, name)
        self._single += 1
        if self._single == SINGLE:
            self.hub.spawn(self.ready(), f"load {self.codec.prefix}")
        record = await self.hub.store.get(self.codec.key(namespace, name))
        if record is None:
            return None
        (record,) = await self.translate([record])
        return self.codec.entry(record.key, record.value, record.revision)

    async def _load(self) -> None:
        try:
            await self._fill(self.hub.store)
        finally:
            self._loading = None

    async def _fill(self, store: Store) -> None:
        if self.count:
            self._clear()  # an attempt has failed half-way; from here on the page is newer than any early event
        page = await store.range(self.codec.prefix, limit=PAGE)
        revision = page.revision
        while True:
            for record in await self.translate(page.records):
                self._insert(self.codec.entry(record.key, record.value, record.revision))
            if not page.remaining:
                break
            await asyncio.sleep(0)  # others get their turn, whether or not the store has waited
            page = await store.range(self.codec.prefix, start_after=page.records[-1].key, limit=PAGE, revision=revision)
        self.revision = self.changed = self._ring.floor = revision
        self.loaded = True
        early, self._early = self._early, []
        for event in early:
            self.apply(event)
        if self.subscribers:
            self._tell_all()

    async def translate(self, records: Sequence[Record]) -> Sequence[Record]:
        """Stored records in the form that the codec reads: as they are, but for conversion webhooks."""
        return records

    async def recall(self, since: int) -> None:
        """Takes changes from before the cache was filled out of the store's history, so that a watch can go on from where
        it broke when this server was not there. One at a time: many come back together. Raises Compacted."""
        kept = self._ring
        async with self._recalling:
            while since < kept.floor:
                floor = kept.floor
                if floor - since > RECALLED or since < self.hub.horizon:
                    raise Compacted(floor)
                found = await self._history(await self.hub.store.events(self.codec.prefix, since, floor))
                if kept.floor == floor:  # otherwise the oldest changes were dropped meanwhile
                    kept.restore(found, since)

    async def _history(self, events: Sequence[Event]) -> list[Change]:
        now = env.epoch()
        news = await self.translate([e.record for e in events if not e.deleted])
        olds = await self.translate([e.previous for e in events if e.previous is not None])
        after = {(r.key, r.revision): self.codec.entry(r.key, r.value, r.revision) for r in news}
        before = {(r.key, r.revision): self.codec.entry(r.key, r.value, r.revision) for r in olds}
        changes = []
        for e in events:
            old = before[e.previous.key, e.previous.revision] if e.previous is not None else None
            changes.append(Change(e.record.revision, old, after.get((e.record.key, e.record.revision)), now))
        return [c for c in changes if c.old is not None or c.new is not None]

    def reset(self) -> None:
        """Forget everything; the next reader loads again. Watchers end and resume or list anew."""
        if self.subscribers and self.loaded:
            self._known = {(e.namespace, e.name): e for e in self.entries()}
        self.loaded = False
        self._clear()
        self.fanout.close()

    # --- changing

    def expect(self, key: str, value: bytes, obj: Obj) -> None:
        """This value is about to be written, and this is the object of it, which becomes the cache's."""
        if self.loaded:
            self._expected[key] = value, obj

    def unexpect(self, key: str) -> None:
        """It was not written, or that is not known."""
        self._expected.pop(key, None)

    def apply(self, event: Event) -> None:
        """Called by the hub for each event of this resource, in revision order."""
        if not self.loaded:
            self._early.append(event)
            return
        record = event.record
        if record.revision <= self.revision:
            return  # it was there when the cache was filled
        namespace, name = self.codec.split(record.key)
        space = self._spaces.get(namespace)
        old = space.get(name) if space is not None else None
        if event.deleted:
            if old is None:
                return
            new = None
            self._remove(old)
        else:
            new = self._entry_of(record)
            self._replace(old, new)
        self.changed = record.revision
        change = Change(record.revision, old, new, env.epoch())
        self._remember(change)
        self.fanout.offer(change)
        if self.subscribers:
            self._tell(old, new)
        if old is not None:
            old.raw = None
            self.hub.recent.discard(old)

    def _tell(self, old: Entry | None, new: Entry | None) -> None:
        """Subscribers share one decoded object, which is not kept for them."""
        before = old.peek() if old is not None else None
        after = new.peek() if new is not None else None
        for handler in self.subscribers:
            try:
                handler(before, after)
            except Exception:  # its own matter: the object is served all the same
                log.exception("A change was not understood", extra={"resource": self.codec.gvr.group_resource})

    def _tell_all(self) -> None:
        """What there is after loading; after a reload, how it differs from what the subscribers know."""
        known, self._known = self._known, {}
        for entry in self.entries():
            old = known.pop((entry.namespace, entry.name), None)
            if old is None or old.revision != entry.revision:
                self._tell(old, entry)
        for gone in known.values():
            self._tell(gone, None)

    def _entry_of(self, record: Record) -> Entry:
        value, obj = self._expected.pop(record.key, (None, None)) if self._expected else (None, None)
        if obj is None or value is not record.value:  # written by somebody else, or read from history
            return self.codec.entry(record.key, record.value, record.revision)
        entry = self.codec.written(obj, record.value, record.revision)
        self.hub.recent.add(entry)
        return entry

    def _remember(self, change: Change) -> None:
        self._ring.add(change)
        if len(self._ring) > ring.SOME and not self._tidying:
            self._tidying = True
            asyncio.get_running_loop().call_later(ring.FRESH_S, self._tidy)

    def _tidy(self) -> None:
        """A cache that has become quiet lets go of its past, too."""
        self._tidying = self._ring.trim(env.epoch())
        if self._tidying:
            asyncio.get_running_loop().call_later(ring.FRESH_S, self._tidy)

    def _insert(self, entry: Entry) -> None:
        space = self._spaces.get(entry.namespace)
        if space is None:
            space = self._spaces[entry.namespace] = {}
            self._name_order[entry.namespace] = []
            insort(self._space_order, entry.namespace, key=_with_slash)
        order = self._name_order[entry.namespace]
        if not order or order[-1] < entry.name:
            order.append(entry.name)
        else:
            insort(order, entry.name)
        space[entry.name] = entry
        self.count += 1
        for i in self.indexed:
            self._index[i].setdefault(entry.fields[i], {})[(entry.namespace, entry.name)] = entry
        self._labels.change(None, entry)

    def _replace(self, old: Entry | None, new: Entry) -> None:
        if old is None:
            self._insert(new)
            return
        self._spaces[new.namespace][new.name] = new
        for i in self.indexed:
            if old.fields[i] != new.fields[i]:
                self._unindex(i, old)
            self._index[i].setdefault(new.fields[i], {})[(new.namespace, new.name)] = new
        self._labels.change(old, new)

    def _remove(self, old: Entry) -> None:
        space = self._spaces[old.namespace]
        del space[old.name]
        order = self._name_order[old.namespace]
        del order[bisect_left(order, old.name)]
        self.count -= 1
        if not space:
            del self._spaces[old.namespace]
            del self._name_order[old.namespace]
            del self._space_order[bisect_left(self._space_order, _with_slash(old.namespace), key=_with_slash)]
        for i in self.indexed:
            self._unindex(i, old)
        self._labels.change(old, None)

    def _unindex(self, i: int, old: Entry) -> None:
        bucket = self._index[i][old.fields[i]]
        del bucket[(old.namespace, old.name)]
        if not bucket:
            del self._index[i][old.fields[i]]

    # --- reading

    def get(self, namespace: str, name: str) -> Entry | None:
        space = self._spaces.get(namespace)
        return space.get(name) if space is not None else None

    def entries(self, namespace: str = "", after: tuple[str, str] | None = None) -> Iterator[Entry]:
        """Sorted by key, of one namespace or ("") all, from `after` (namespace, name; exclusive) on."""
        if namespace or not self.codec.gvr.namespaced:
            return self._of_namespace(namespace, after[1] if after else "")
        spaces = self._space_order
        start = 0
        if after:
            start = bisect_left(spaces, _with_slash(after[0]), key=_with_slash)
        return chain.from_iterable(
            self._of_namespace(space, after[1] if after and space == after[0] else "") for space in spaces[start:]
        )

    def _of_namespace(self, namespace: str, after: str) -> Iterator[Entry]:
        space = self._spaces.get(namespace)
        if space is None:
            return iter(())
        order = self._name_order[namespace]
        if after:
            order = order[bisect_right(order, after) :]
        return map(space.__getitem__, order)

    def by_field(self, i: int, value: str) -> list[Entry]:
        """Entries whose indexed field number `i` has the value, sorted by key."""
        bucket = self._index[i].get(value, {})
        return [bucket[k] for k in sorted(bucket, key=_key_order)]

    def by_label(self, key: str, value: str, namespace: str, after: tuple[str, str] | None) -> list[Entry] | None:
        """Entries with the label, sorted by key; None: they have to be looked for."""
        found = self._labels.find(key, value, self.count)
        return within(found, namespace, after) if found is not None else None

    def size(self, namespace: str = "") -> int:
        if not namespace and self.codec.gvr.namespaced:
            return self.count
        return len(self._spaces.get(namespace, ()))

    def following(self, namespace: str, last: tuple[str, str]) -> int:
        """How many objects come after `last`, in one namespace or all."""
        order = self._name_order.get(last[0], [])
        count = len(order) - bisect_right(order, last[1])
        if namespace or not self.codec.gvr.namespaced:
            return count
        spaces = self._space_order
        rest = spaces[bisect_right(spaces, _with_slash(last[0]), key=_with_slash) :]
        return count + sum([len(self._name_order[s]) for s in rest])

    @property
    def oldest(self) -> int:
        """The lowest revision from which a watch can resume."""
        return self._ring.floor

    def since(self, revision: int) -> list[Change]:
        """Changes after a revision that is at least `oldest`."""
        return self._ring.since(revision)


def _with_slash(namespace: str) -> str:
    """Stored keys end the namespace with a slash, which decides their order: `a-b/` sorts before `a/`."""
    return namespace + "/"


def _key_order(key: tuple[str, str]) -> str:
    return f"{key[0]}/{key[1]}"
