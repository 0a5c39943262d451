"""DELETE of a collection: every selected object is deleted as if it had been named; the answer lists them.

Admission is asked about each of them, and not told its name, as upstream does it.
"""

import asyncio

import orjson

from skiff.api.errors import StatusError, is_not_found
from skiff.apiserver import negotiation, options
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Entry
from skiff.apiserver.options import DeleteOptions
from skiff.apiserver.pages import Page
from skiff.apiserver.verbs import delete
from skiff.apiserver.verbs.list import Listing, collect, encode
from skiff.wire.messages import Response

AT_ONCE = 16


async def handle(call: Call) -> Response:
    wanted = delete.read_options(call)
    how = call.accepted()
    listing = options.list_options(call.params, False)
    found = await collect(call.server.registry.store, call.served, call.namespace, call.info.name, listing)
    await _erase_all(call, found.entries, wanted)
    page = Page(found.entries, found.page.last, found.remaining)
    body = bytes(encode(call.served, Listing(page, found.revision)))
    if not how.plain:
        body = negotiation.dump(orjson.loads(body), how)
    return call.warned(negotiation.respond(call.request, how, body))


async def _erase_all(call: Call, entries: list[Entry], wanted: DeleteOptions) -> None:
    """The first error is raised after the others have ended."""
    for start in range(0, len(entries), AT_ONCE):
        outcomes = await asyncio.gather(
            *[_erase(call, e, wanted) for e in entries[start : start + AT_ONCE]], return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome


async def _erase(call: Call, entry: Entry, wanted: DeleteOptions) -> None:
    try:
        await delete.erase(call, entry.namespace, entry.name, wanted, named=False)
    except StatusError as e:
        if not is_not_found(e):
            raise
