"""GET of one object: its cached bytes."""

from skiff.api.errors import not_found
from skiff.apiserver import options
from skiff.apiserver.call import Call
from skiff.wire.messages import Response


async def handle(call: Call) -> Response:
    cache = call.served.cache
    version = options.first(call.params, "resourceVersion") if call.params else ""
    if not version:
        entry = await cache.current(call.namespace, call.info.name)
    else:
        await cache.ready()
        await cache.hub.reach(options.revision(version))
        entry = cache.get(call.namespace, call.info.name)
    if entry is None:
        raise not_found(call.served.gvr, call.info.name)
    return call.answer_entry(entry)
