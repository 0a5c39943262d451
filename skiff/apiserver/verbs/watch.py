"""WATCH of a collection: what there is or what has happened since, then every change as it comes, as shared bytes.

resourceVersion none or "0": the present objects as ADDED first; N: changes after N, 410 when they are no longer known.
sendInitialEvents: the objects, then a bookmark that says so. Source: API concepts, "Efficient detection of changes".
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import orjson

from skiff import env
from skiff.api import protobuf
from skiff.api.errors import StatusError, expired, internal
from skiff.apiserver import options
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Change, Entry
from skiff.apiserver.fanout import Encode, Interest, Watcher
from skiff.apiserver.negotiation import PROTOBUF, YAML, Accepted
from skiff.apiserver.selection import Selection, select
from skiff.apiserver.served import Served
from skiff.apiserver.verbs.list import selected
from skiff.store import Compacted
from skiff.wire.messages import Response

DEFAULT_TIMEOUT_S = 1800.0
"""Without timeoutSeconds a watch ends after this to twice this (upstream: --min-request-timeout)."""
LONGEST_S = 7 * 24 * 3600
BOOKMARK_S = 60.0
CHUNK = 200

HEADERS = {"content-type": "application/json", "cache-control": "no-cache, private"}


async def handle(call: Call) -> Response:
    wanted = options.list_options(call.params, True)
    how = call.accepted()
    served = call.served
    cache = served.cache
    selection = select(served, call.namespace, call.info.name, wanted.labels, wanted.fields)
    revision = options.revision(wanted.resource_version)
    if wanted.resource_version in ("", "0") and wanted.send_initial_events is None:
        await cache.ready()
    elif wanted.send_initial_events and not revision:
        await cache.fresh()
    else:
        await cache.ready()
        if wanted.send_initial_events:
            await cache.hub.reach(revision)
        elif 0 < revision < cache.oldest:
            with contextlib.suppress(Compacted):  # then it is too old, which `_open` tells
                await cache.recall(revision)
    encode, view = _encoder(call, how)
    try:
        watcher, initial = _open(call, served, cache, selection, wanted, revision, encode, view, how)
    except StatusError as e:
        # As upstream: the watch is accepted and its first and only event is the error.
        return call.warned(Response(200, _headers(how), stream=_only(error_event(e, how))))
    _limit_time(watcher, served, how, encode, wanted)
    return call.warned(Response(200, _headers(how), stream=watcher.stream(initial)))


def _headers(how: Accepted) -> dict[str, str]:
    if how.media in (YAML, PROTOBUF):
        return {**HEADERS, "content-type": f"{how.media};stream=watch"}
    return dict(HEADERS)


async def _only(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


def error_event(error: StatusError, how: Accepted) -> bytes:
    if how.media is PROTOBUF:
        return protobuf.frame("ERROR", protobuf.encode(error.status))
    return b'{"type":"ERROR","object":%s}\n' % orjson.dumps(error.status)


def _open(
    call: Call,
    served: Served,
    cache: WatchCache,
    selection: Selection,
    wanted: options.ListOptions,
    revision: int,
    encode: Encode,
    view: object,
    how: Accepted,
) -> tuple[Watcher, Iterable[bytes]]:
    """The registered watcher and what it says first. One step of the loop, so that nothing is missed or doubled."""
    watchers = call.server.watchers
    key = call.namespace, call.info.name, wanted.labels, wanted.fields, served.gvr, view
    interest = Interest(key, matches=selection.matches, encode=encode, view=view)
    watcher = Watcher(selection.slot, interest, cache.hub.waker, lambda w: _closed(cache, w, watchers))
    initial: Iterable[bytes] = ()
    if wanted.send_initial_events or (wanted.send_initial_events is None and not revision):
        entries = list(selected(served, selection, None))
        initial = _added(entries, encode)
        if wanted.send_initial_events and wanted.bookmarks:
            revision = cache.hub.revision
            initial = _then(initial, lambda: bookmark(served, how, encode, revision, initial_end=True))
    elif revision or wanted.send_initial_events is False:
        start = revision or cache.hub.revision
        if start < cache.oldest:
            raise expired(f"too old resource version: {start} ({cache.oldest})")
        for change in cache.since(start):
            if _concerns(selection, change):
                watcher.offer(change)
    cache.fanout.add(watcher)
    watchers[watcher] = None
    if cache.retired:
        watcher.finish()
    return watcher, initial


def _closed(cache: WatchCache, watcher: Watcher, watchers: dict[Watcher, None]) -> None:
    cache.fanout.discard(watcher)
    watchers.pop(watcher, None)
    watcher.cancel_timers()


def _concerns(selection: Selection, change: Change) -> bool:
    """Whether the change lies in the watcher's slot; the fan-out sees to that for later ones."""
    kind, a, b = selection.slot
    entry = change.new or change.old
    assert entry is not None
    if kind == "name":
        return (entry.namespace, entry.name) == (a, b)
    if kind == "space":
        return bool(entry.namespace == a)
    if kind == "field":
        return any(e is not None and e.fields[a] == b for e in (change.old, change.new))
    return True


def _added(entries: list[Entry], encode: Encode) -> Iterator[bytes]:
    for i in range(0, len(entries), CHUNK):
        yield b"".join([encode("ADDED", e) for e in entries[i : i + CHUNK]])


def _then(chunks: Iterable[bytes], last: Callable[[], bytes]) -> Iterator[bytes]:
    yield from chunks
    yield last()


def _encoder(call: Call, how: Accepted) -> tuple[Encode, object]:
    """How an event becomes bytes, and a name for it under which these bytes are shared."""
    served = call.served
    if how.media is PROTOBUF and not how.form:
        return _framer(served), (PROTOBUF, served.gvr)
    if how.plain or not (how.form or how.media is YAML):
        if served.native:
            return encode_native, None
        return (lambda kind, entry: wrap(kind, served.data(entry))), served.gvr
    from skiff.apiserver import tables

    shared = how.form.startswith("PartialObjectMetadata")  # a table's columns come with its watcher's first event
    return tables.watch_encoder(call, how), how if shared else object()


def _framer(served: Served) -> Encode:
    form = served.form
    assert form is not None

    def encode(kind: str, entry: Entry) -> bytes:
        try:
            return protobuf.frame(kind, form.wrap(served.raw(entry)))
        except protobuf.ProtobufError as e:
            # The stored object is broken; its writers' and the other readers' business goes on.
            return protobuf.frame("ERROR", protobuf.encode(internal(str(e)).status))

    return encode


def encode_native(kind: str, entry: Entry) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), entry.data)


def wrap(kind: str, data: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), data)


def bookmark(served: Served, how: Accepted, encode: Encode, revision: int, *, initial_end: bool = False) -> bytes:
    meta: dict[str, object] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    obj = {"kind": served.gvr.kind, "apiVersion": served.gvr.api_version, "metadata": meta}
    if how.form.startswith("PartialObjectMetadata"):
        obj |= {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{how.form_version}"}
    if how.media is PROTOBUF:
        return protobuf.frame("BOOKMARK", protobuf.encode(obj))
    data = orjson.dumps(obj)
    if how.form == "Table" or how.media is YAML:
        return encode("BOOKMARK", Entry("", "", revision, data, {}, ()))
    return wrap("BOOKMARK", data)


def _limit_time(watcher: Watcher, served: Served, how: Accepted, encode: Encode, wanted: options.ListOptions) -> None:
    """Sets the end of the watch and, where wanted, a bookmark each minute and at the end."""
    loop = asyncio.get_running_loop()
    seconds = float(min(wanted.timeout_seconds or 0, LONGEST_S))
    if seconds <= 0:
        seconds = DEFAULT_TIMEOUT_S * (1 + env.rng().random())

    watcher.timers["end"] = loop.call_later(seconds, _end, watcher, served, how, encode, wanted.bookmarks)
    if wanted.bookmarks:
        watcher.timers["bookmark"] = loop.call_later(BOOKMARK_S, _remind, watcher, served, how, encode)


def _end(watcher: Watcher, served: Served, how: Accepted, encode: Encode, bookmarks: bool) -> None:
    if bookmarks and not watcher.ended:
        watcher.push(bookmark(served, how, encode, served.cache.hub.revision))
    watcher.finish()


def _remind(watcher: Watcher, served: Served, how: Accepted, encode: Encode) -> None:
    if not watcher.ended:
        watcher.push(bookmark(served, how, encode, served.cache.hub.revision))
        loop = asyncio.get_running_loop()
        watcher.timers["bookmark"] = loop.call_later(BOOKMARK_S, _remind, watcher, served, how, encode)
