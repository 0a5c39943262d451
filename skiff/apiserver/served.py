"""One served resource: its record together with what is compiled from it once (codec, cache, decoder, list header).

A resource that is stored under another version or group (`Resource.storage`) shares the stored one's cache and is
converted on the way; the usual one is served from the cache's bytes.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson

from skiff.api import protobuf
from skiff.api.decode import Checker, DecodeError, json_kind
from skiff.api.errors import StatusError, bad_request
from skiff.api.resources import Resource
from skiff.api.schema import SchemaNode
from skiff.api.types import GVR, Obj
from skiff.apiserver import kinds
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.entries import Codec, Entry
from skiff.store import Delete, Put


class Decoder(Protocol):
    """As skiff.api.decode.Checker."""

    def check(
        self, obj: Obj, *, validation: str = "Warn", raw: bytes = b"", known: Obj | None = None
    ) -> tuple[Obj, list[str]]: ...

    def check_applied(self, obj: Obj) -> Obj: ...


class Converter(Protocol):
    """As skiff.apiserver.apiextensions.conversion.Webhook."""

    async def convert(self, objects: Sequence[Obj], api_version: str) -> list[Obj]: ...


class Served:
    """native: served from the cache as it is. convert: makes the bytes to store, where a webhook is needed for that;
    webhook: this one.
    companions: from an object before and after a write (None: there is none) what is to be written along with it."""

    __slots__ = (
        "_checker",
        "_form",
        "_formed",
        "_node",
        "cache",
        "codec",
        "companions",
        "convert",
        "gvr",
        "item_cut",
        "list_head",
        "list_kind",
        "native",
        "node_of",
        "resource",
        "webhook",
    )

    def __init__(
        self,
        resource: Resource,
        codec: Codec,
        cache: WatchCache,
        node_of: Callable[[str], SchemaNode],
        checker: Decoder | None = None,
    ):
        self.resource = resource
        self.gvr: GVR = resource.gvr
        self.codec = codec
        self.cache = cache
        self.native = codec.gvr == resource.gvr
        self.node_of = node_of
        self._node: SchemaNode | None = None
        self._checker: Decoder | None = checker
        self._form: protobuf.Form | None = None
        self._formed = False
        self.convert: Callable[[Obj], Awaitable[bytes]] | None = None
        self.webhook: Converter | None = None
        self.companions: Callable[[Obj | None, Obj | None], list[Put | Delete]] | None = None
        self.item_cut = 0 if resource.custom else codec.head.index(b'"metadata"')
        """How much of an object's JSON is left out where it stands in a list: the opening, with version and kind."""
        self.list_kind = resource.list_kind or f"{resource.gvr.kind}List"
        self.list_head = b'{"kind":"%s","apiVersion":"%s","metadata":{"resourceVersion":"' % (
            self.list_kind.encode(),
            resource.gvr.api_version.encode(),
        )

    @property
    def node(self) -> SchemaNode:
        if self._node is None:
            self._node = self.node_of(self.resource.schema)
        return self._node

    @property
    def form(self) -> protobuf.Form | None:
        """The protobuf form, which custom resources have not."""
        if not self._formed:
            self._formed = True
            self._form = None if self.resource.custom else protobuf.form(self.gvr.api_version, self.gvr.kind)
        return self._form

    @property
    def checker(self) -> Decoder:
        if self._checker is None:
            self._checker = Checker(self.node)
        return self._checker

    # --- between stored and served form

    def data(self, entry: Entry) -> bytes:
        """The served JSON."""
        return entry.data if self.native else orjson.dumps(self.load(entry))

    def raw(self, entry: Entry) -> bytes:
        """The served protobuf message without its envelope: made once per version, when first asked for."""
        assert self.form is not None
        if not self.native:
            return self.form.encode(self.load(entry))
        if entry.raw is None:
            entry.raw = self.form.encode(entry.decode())
        return entry.raw

    def shown(self, entry: Entry) -> Obj:
        """The served object, read-only."""
        return entry.peek() if self.native else self.load(entry)

    def load(self, entry: Entry) -> Obj:
        """The served object, the caller's own."""
        obj = entry.decode()
        if self.native:
            return obj
        assert self.resource.from_storage is not None
        converted = self.resource.from_storage(obj)
        converted["apiVersion"], converted["kind"] = self.gvr.api_version, self.gvr.kind
        return converted

    def item(self, obj: Obj) -> Obj:
        """The object as it stands in a list, in place: those of built-in kinds do not repeat version and kind."""
        if self.item_cut:
            obj.pop("apiVersion", None)
            obj.pop("kind", None)
        return obj

    def value(self, obj: Obj) -> bytes:
        """The bytes to store for a served object."""
        if not self.native:
            assert self.resource.to_storage is not None
            obj = self.resource.to_storage(obj)
        return self.codec.encode(obj)

    def data_of(self, value: bytes, revision: int) -> bytes:
        """The served JSON of freshly stored bytes."""
        data = self.codec.splice(value, revision)
        if self.native:
            return data
        return self.data(Entry("", "", revision, data, {}, ()))

    # --- decoding what clients send

    def decode(
        self, data: Any, *, validation: str = "Warn", raw: bytes = b"", known: Obj | None = None
    ) -> tuple[Obj, list[str]]:
        """A checked and defaulted object of this kind, in place, with sentences for Warning headers. known: a decoded
        object of this kind; what `data` has of it is not checked again. Raises 400."""
        try:
            return self.read(data, validation=validation, raw=raw, known=known)
        except DecodeError as e:
            raise self.undecodable(str(e), data, recognized=not isinstance(e, kinds.Unrecognized)) from None

    def decode_applied(self, data: Obj) -> Obj:
        """What apply has made, checked and defaulted, in place. Raises 400."""
        try:
            obj = self.checker.check_applied(data)
        except DecodeError as e:
            raise self.undecodable(str(e), data) from None
        self._complete(obj)
        self.resource.default(obj)
        return obj

    def _complete(self, obj: Obj) -> None:
        """Adds what is never absent."""
        if obj.get("metadata") is None:
            obj["metadata"] = {}
        if obj.get("spec") is None and not self.resource.custom and "spec" in self.node.properties:
            obj["spec"] = {}  # upstream's is a struct, never absent

    def read(
        self, data: Any, *, validation: str = "Warn", raw: bytes = b"", known: Obj | None = None
    ) -> tuple[Obj, list[str]]:
        """The same, raising DecodeError for what is not of this kind (and 400 for another version of it)."""
        if not isinstance(data, dict):
            raise DecodeError(f"json: cannot unmarshal {json_kind(data)} into Go value of type {self._go_type()}")
        if self.resource.custom:
            kinds.check_custom(self.gvr, data, raw=raw, patched=known is not None)
        else:
            kinds.check(self.gvr, data, raw=raw)
        metadata = data.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            place = "value" if self.resource.custom else f"struct field {self.gvr.kind}.metadata"
            have = json_kind(metadata).partition(" ")[0]
            raise DecodeError(f"json: cannot unmarshal {have} into Go {place} of type v1.ObjectMeta")
        if metadata is not None and metadata.get("managedFields") == []:
            metadata["managedFields"] = [{}]  # both mean that they are reset; an empty list would count as none at all
        obj, warnings = self.checker.check(data, validation=validation, raw=raw, known=known)
        self._complete(obj)
        if known is None or not self._has_defaults(obj, known):
            self.resource.default(obj)
        return obj, warnings

    def _has_defaults(self, obj: Obj, known: Obj) -> bool:
        """Whether nothing differs that defaults depend on."""
        if self.resource.custom or self.resource.defaults_by_metadata or len(obj) != len(known):
            return False
        return all(value is known.get(name) or name == "metadata" for name, value in obj.items())

    def _go_type(self) -> str:
        return f"{self.gvr.version}.{self.gvr.kind}"

    def undecodable(self, why: str, data: Any, *, recognized: bool = True) -> StatusError:
        """400 as upstream words it (handlers.transformDecodeError)."""
        kind = data.get("kind") if isinstance(data, dict) else ""
        gvr = self.gvr
        if isinstance(kind, str) and kind and recognized:
            version = str(data.get("apiVersion") or gvr.version).rpartition("/")[2]
            return bad_request(f'{kind} in version "{version}" cannot be handled as a {gvr.kind}: {why}')
        return bad_request(f"the object provided is unrecognized (must be of type {gvr.kind}): {why}")
