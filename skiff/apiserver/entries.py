"""What a watch cache keeps: entries (one version of one object), changes, and how stored values become entries."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any

import orjson

from skiff.api.types import GVR, Obj

DECODED = 4 << 20
"""Bytes of JSON whose decoded form is kept."""

_RV = b'"resourceVersion":"'
_NO_LABELS: Mapping[str, str] = {}


class Entry:
    """One version of one object. data: its JSON with resourceVersion. fields: the selectable values, in the order of
    `WatchCache.field_names`. raw: its protobuf message, once somebody has asked for it. Immutable otherwise."""

    __slots__ = ("_obj", "data", "fields", "labels", "name", "namespace", "raw", "revision")

    def __init__(
        self,
        namespace: str,
        name: str,
        revision: int,
        data: bytes,
        labels: Mapping[str, str],
        fields: tuple[str, ...],
    ):
        self.namespace = namespace
        self.name = name
        self.revision = revision
        self.data = data
        self.labels = labels
        self.fields = fields
        self.raw: bytes | None = None
        self._obj: Obj | None = None

    @property
    def obj(self) -> Obj:
        """The decoded object, shared and read-only; kept once asked for."""
        if self._obj is None:
            self._obj = orjson.loads(self.data)
        return self._obj

    def peek(self) -> Obj:
        """The decoded object, read-only; not kept for this."""
        return self._obj if self._obj is not None else self.decode()

    def keep(self, obj: Obj | None) -> None:
        """The decoded object becomes shared and read-only; None: forget it."""
        self._obj = obj

    def decode(self) -> Obj:
        """The decoded object, the caller's own."""
        decoded: Obj = orjson.loads(self.data)
        return decoded


class Change:
    """One change of one object as the cache saw it. wires: encoded watch events, made once per type and view."""

    __slots__ = ("_gone", "at", "new", "old", "revision", "wires")

    def __init__(self, revision: int, old: Entry | None, new: Entry | None, at: float):
        self.revision = revision
        self.old = old
        self.new = new
        self.at = at
        self._gone: Entry | None = None
        self.wires: dict[tuple[str, Any], bytes] = {}

    def gone(self) -> Entry:
        """The old version as a DELETED event shows it: with this change's resourceVersion."""
        if self._gone is None:
            assert self.old is not None
            old = self.old
            data = old.data.replace(b'%s%d"' % (_RV, old.revision), b'%s%d"' % (_RV, self.revision), 1)
            self._gone = Entry(old.namespace, old.name, self.revision, data, old.labels, old.fields)
        return self._gone


class Codec:
    """Between stored values and entries of one resource. A stored value is the object's JSON without resourceVersion,
    kind, apiVersion and metadata first, so that the version can be spliced in without decoding."""

    def __init__(self, gvr: GVR, selectable: Mapping[str, Callable[[Obj], str]]):
        self.gvr = gvr
        self.head = b'{"kind":"%s","apiVersion":"%s","metadata":{' % (
            gvr.kind.encode(),
            gvr.api_version.encode(),
        )
        self._cut = len(self.head)
        self.field_names = tuple(selectable)
        self._getters = tuple(selectable.values())
        self.prefix = f"/registry/{gvr.group or 'core'}/{gvr.plural}/"
        self.upgrade: Callable[[Obj], Obj] | None = None

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.gvr.namespaced else self.prefix + name

    def split(self, key: str) -> tuple[str, str]:
        """(namespace, name) of a stored key."""
        namespace, _, name = key[len(self.prefix) :].rpartition("/")
        return namespace, name

    def encode(self, obj: Obj) -> bytes:
        """The stored value. The object's own resourceVersion is left out; the object is not changed."""
        meta = obj["metadata"]
        if "resourceVersion" in meta:
            meta = {k: v for k, v in meta.items() if k != "resourceVersion"}
        ordered = {"kind": self.gvr.kind, "apiVersion": self.gvr.api_version, "metadata": meta}
        for k, v in obj.items():
            if k not in ordered:
                ordered[k] = v
        return orjson.dumps(ordered)

    def splice(self, value: bytes, revision: int) -> bytes:
        """The served JSON of a stored value."""
        if value.startswith(self.head):
            return b'%s"resourceVersion":"%d",%s' % (self.head, revision, value[self._cut :])
        obj = orjson.loads(value)
        if self.upgrade is not None:
            obj = self.upgrade(obj)
        obj["apiVersion"], obj["kind"] = self.gvr.api_version, self.gvr.kind
        return self.splice(self.encode(obj), revision)

    def entry(self, key: str, value: bytes, revision: int) -> Entry:
        data = self.splice(value, revision)
        return self._entry(orjson.loads(data), data, revision)

    def written(self, obj: Obj, value: bytes, revision: int) -> Entry:
        """The entry of what was just written, with the decoded object, which gets its resourceVersion."""
        obj["metadata"]["resourceVersion"] = str(revision)
        entry = self._entry(obj, self.splice(value, revision), revision)
        entry.keep(obj)
        return entry

    def _entry(self, obj: Obj, data: bytes, revision: int) -> Entry:
        meta = obj["metadata"]
        fields = tuple([get(obj) for get in self._getters])
        labels = meta.get("labels") or _NO_LABELS
        return Entry(intern(meta.get("namespace", "")), meta["name"], revision, data, labels, fields)


class Recent:
    """The entries that keep the decoded object they were written from, since what was just written is soon written
    again: the last ones, within `budget` bytes of JSON (decoded it takes some five times as much)."""

    def __init__(self, budget: int = DECODED):
        self._budget = budget
        self._size = 0
        self._entries: OrderedDict[Entry, None] = OrderedDict()

    def add(self, entry: Entry) -> None:
        self._entries[entry] = None
        self._size += len(entry.data)
        while self._size > self._budget:
            self._forget(self._entries.popitem(last=False)[0])

    def discard(self, entry: Entry) -> None:
        """It has been replaced."""
        if self._entries.pop(entry, entry) is None:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        self._size -= len(entry.data)
        entry.keep(None)
