"""GET of a collection: cached bytes joined, in the order of keys, whole or in pages.

Versions as upstream: none or "" is consistent, "0" whatever the cache has, N not older (or, with match Exact, as of N).
A page after the first shows the collection as it was at the first one: from the cache while nothing has changed since,
otherwise from the store's history, as far as the hub's horizon reaches back. Source: API concepts, "Retrieving large results sets in chunks".
"""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import orjson

from skiff.api.errors import StatusError, bad_request, expired
from skiff.api.types import Obj
from skiff.apiserver import negotiation, options
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Entry
from skiff.apiserver.hub import too_large
from skiff.apiserver.pages import Page
from skiff.apiserver.selection import Selection, select
from skiff.apiserver.served import Served
from skiff.store import Compacted, FutureRevision, Store
from skiff.wire.messages import Items, Pieces, Response

CHUNK = 1000
ENCODED_AT_ONCE = 100
LATEST = -1
"""The revision in a token that continues at whatever is current (upstream's inconsistent continue)."""

TOO_OLD = "The resourceVersion for the provided list is too old."
CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Listing:
    """revision: which state it shows."""

    page: Page
    revision: int

    @property
    def entries(self) -> list[Entry]:
        return self.page.entries

    @property
    def remaining(self) -> int | None:
        """How many follow, None if not known."""
        return self.page.remaining

    @property
    def continue_token(self) -> str:
        """ "": complete."""
        return _token(self.page.last, self.revision) if self.page.last else ""


async def handle(call: Call) -> Response:
    wanted = options.list_options(call.params, False)
    how = call.accepted()
    found = await collect(call.server.registry.store, call.served, call.namespace, call.info.name, wanted)
    if how.plain:
        return call.warned(await negotiation.respond_pieces(call.request, how, encode(call.served, found)))
    if how.media is negotiation.PROTOBUF and not how.form:
        return call.warned(negotiation.respond(call.request, how, await encode_protobuf(call.served, found)))
    from skiff.apiserver import tables

    return call.warned(tables.answer_list(call, how, found))


async def encode_protobuf(served: Served, found: Listing) -> bytes:
    """The list's protobuf; others get their turn while many objects are encoded for the first time."""
    assert served.form is not None
    metadata: Obj = {"resourceVersion": str(found.revision)}
    if found.continue_token:
        metadata["continue"] = found.continue_token
        if found.remaining is not None:
            metadata["remainingItemCount"] = found.remaining
    items: list[bytes] = []
    for start in range(0, len(found.entries), ENCODED_AT_ONCE):
        if start and found.entries[start].raw is None:
            await asyncio.sleep(0)
        items += [served.raw(e) for e in found.entries[start : start + ENCODED_AT_ONCE]]
    return served.form.wrap_list(served.list_kind, metadata, items)


def encode(served: Served, found: Listing) -> Pieces:
    """The list object's JSON. Items of built-in kinds do not repeat their kind, as upstream."""
    head = b'%s%d"' % (served.list_head, found.revision)
    page = found.page
    if page.last:
        head += b',"continue":"%s"' % found.continue_token.encode()
        if page.remaining is not None:
            head += b',"remainingItemCount":%d' % page.remaining
    head += b'},"items":['
    cut = served.item_cut if served.native else 0
    opening = b"{" if cut and page.entries else b""
    if page.items is None:
        if served.native:
            data = [e.data for e in page.entries]
        else:
            data = [orjson.dumps(served.item(served.load(e))) for e in page.entries]
        page.items = Items(data, b"," + opening, cut)
    return Pieces(head + opening, page.items, b"]}")


async def collect(store: Store, served: Served, namespace: str, name: str, wanted: options.ListOptions) -> Listing:
    """Raises 400, 410, 504."""
    selection = select(served, namespace, name, wanted.labels, wanted.fields)
    if wanted.continue_token:
        if wanted.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        return await _continue(store, served, selection, wanted)
    revision = options.revision(wanted.resource_version, "invalid resource version: ")
    await served.cache.fresh() if not wanted.resource_version else await served.cache.ready()
    if wanted.resource_version == "0":  # upstream's cache does not page
        return _page(served, selection, 0, None, served.cache.hub.revision)
    if wanted.match == "Exact" or (wanted.limit and revision and not wanted.match):
        return await _exact(store, served, selection, wanted.limit, revision)
    await served.cache.hub.reach(revision)
    return _page(served, selection, wanted.limit, None, served.cache.hub.revision)


async def _exact(store: Store, served: Served, selection: Selection, limit: int, revision: int) -> Listing:
    hub = served.cache.hub
    if revision > hub.revision:
        await hub.caught_up()
    if revision < hub.horizon:
        raise expired(TOO_OLD)
    if served.cache.changed <= revision <= hub.revision:
        return _page(served, selection, limit, None, revision)
    try:
        return await _history(store, served, selection, limit, None, revision)
    except Compacted:
        raise expired(TOO_OLD) from None
    except FutureRevision:
        raise too_large(revision, hub.revision) from None


async def _continue(store: Store, served: Served, selection: Selection, wanted: options.ListOptions) -> Listing:
    start, revision = decode_token(served, selection, wanted.continue_token)
    await served.cache.fresh()
    hub = served.cache.hub
    if revision == LATEST:
        return _page(served, selection, wanted.limit, start, hub.revision)
    if revision < hub.horizon:
        raise _continue_expired(start)
    if served.cache.changed <= revision <= hub.revision:
        return _page(served, selection, wanted.limit, start, revision)
    try:
        return await _history(store, served, selection, wanted.limit, start, revision)
    except Compacted:
        raise _continue_expired(start) from None
    except FutureRevision:
        raise too_large(revision, hub.revision) from None


def _continue_expired(start: tuple[str, str]) -> StatusError:
    """410 with a token that goes on at whatever is current."""
    error = expired(CONTINUE_TOO_OLD)
    error.status["metadata"] = {"continue": _token(start, LATEST)}
    return error


# --- pages from the cache


def _page(served: Served, selection: Selection, limit: int, after: tuple[str, str] | None, revision: int) -> Listing:
    """Of the cache as it is; revision: of any state that was the same."""
    cache, pages = served.cache, served.cache.hub.pages
    key = (served, selection.key, limit, after)
    page = pages.find(key, cache.changed) or pages.keep(key, cache.changed, _look(served, selection, limit, after))
    return Listing(page, revision)


def _look(served: Served, selection: Selection, limit: int, after: tuple[str, str] | None) -> Page:
    found = selected(served, selection, after)
    if not limit:
        return Page(list(found))
    entries = list(islice(found, limit + 1))
    if len(entries) <= limit:
        return Page(entries)
    entries.pop()
    last = entries[-1]
    remaining = None if selection.selective else _following(served, selection.namespace, last)
    return Page(entries, (last.namespace, last.name), remaining)


def selected(served: Served, selection: Selection, after: tuple[str, str] | None) -> Iterable[Entry]:
    """What is selected, sorted by key."""
    if selection.label is not None and selection.slot[0] in ("space", "all"):
        indexed = served.cache.by_label(*selection.label, selection.namespace, after)
        if indexed is not None:
            return indexed
    return selection.of(candidates(served, selection, after))


def candidates(served: Served, selection: Selection, after: tuple[str, str] | None = None) -> Iterator[Entry]:
    """What lies in the selection's slot, sorted by key."""
    cache = served.cache
    kind, a, b = selection.slot
    if kind == "name":
        entry = cache.get(a, b)
        return iter([entry] if entry is not None and (after is None or (a, b) > after) else [])
    if kind == "field":
        indexed = cache.by_field(a, b)
        return iter(indexed if after is None else [e for e in indexed if _order(e) > f"{after[0]}/{after[1]}"])
    return cache.entries(selection.namespace, after)


def _order(entry: Entry) -> str:
    return f"{entry.namespace}/{entry.name}"


def _following(served: Served, namespace: str, last: Entry) -> int:
    return served.cache.following(namespace, (last.namespace, last.name))


# --- pages from the store's history


async def _history(
    store: Store, served: Served, selection: Selection, limit: int, after: tuple[str, str] | None, revision: int
) -> Listing:
    codec = served.codec
    prefix = codec.prefix + (selection.namespace + "/" if selection.namespace else "")
    start = codec.key(*after) if after else ""
    entries: list[Entry] = []
    while True:
        page = await store.range(prefix, start_after=start, limit=CHUNK, revision=revision)
        for i, record in enumerate(await served.cache.translate(page.records)):
            entry = codec.entry(record.key, record.value, record.revision)
            if not _selected(selection, entry):
                continue
            if limit and len(entries) == limit:
                last = entries[-1]
                remaining = None if selection.selective else len(page.records) - i + page.remaining
                return Listing(Page(entries, (last.namespace, last.name), remaining), revision)
            entries.append(entry)
        if not page.remaining:
            return Listing(Page(entries), revision)
        start = page.records[-1].key


def _selected(selection: Selection, entry: Entry) -> bool:
    kind, a, b = selection.slot
    if kind == "name" and (entry.namespace, entry.name) != (a, b):
        return False
    if kind == "field" and entry.fields[a] != b:
        return False
    return selection.matches is None or selection.matches(entry)


# --- tokens


def _token(after: tuple[str, str], revision: int) -> str:
    namespace, name = after
    start = (f"{namespace}/{name}" if namespace else name) + "\0"
    token = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def decode_token(served: Served, selection: Selection, token: str) -> tuple[tuple[str, str], int]:
    """After which (namespace, name) to go on, at which revision. Raises 400."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        content = orjson.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise _invalid("continue key is not valid") from None
    if not isinstance(content, dict) or content.get("v") != "meta.k8s.io/v1":
        raise _invalid("continue key is not valid: server does not recognize this encoded version")
    revision, start = content.get("rv"), content.get("start")
    if not isinstance(revision, int) or isinstance(revision, bool) or revision == 0 or revision < LATEST:
        raise _invalid("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not isinstance(start, str) or not start:
        raise _invalid("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)")
    parts = start.removesuffix("\0").removeprefix("/").split("/")
    if len(parts) != (2 if served.gvr.namespaced else 1) or "" in parts or "." in parts or ".." in parts:
        raise _invalid(f"continue key is not valid: {start}")
    if selection.namespace and parts[0] != selection.namespace:
        raise _invalid(f"continue key is not valid: {start}")
    return (parts[0] if len(parts) == 2 else "", parts[-1]), revision


def _invalid(why: str) -> StatusError:
    return bad_request(f"invalid continue token: {why}")
