"""Who owns which field: the server's side of managed fields and server-side apply. Sets and merges are skiff.api's.

Also the small encodings that writes share.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from skiff import env
from skiff.api.apply import apply, track_update
from skiff.api.errors import bad_request
from skiff.api.fieldset import LEAF, FieldSet
from skiff.api.managedfields import keep_times_if_unchanged as keep_old_times
from skiff.api.times import format_time
from skiff.api.types import Obj
from skiff.apiserver import metadata
from skiff.apiserver.call import Call
from skiff.apiserver.options import WriteOptions
from skiff.apiserver.served import Served

__all__ = ["applier", "encoded", "keep_old_times", "track"]

_STATUS: FieldSet = {"f:status": LEAF}
_ALL_BUT_STATUS: FieldSet = {"f:spec": LEAF}
_META_AND_SPEC: FieldSet = {"f:metadata": LEAF, "f:spec": LEAF}
_NOTHING_OF_THE_CLIENT = frozenset(("certificatesigningrequests",))
"""Kinds whose spec is made once, partly by the server, and belongs to nobody."""


def _reset(served: Served, subresource: str) -> FieldSet | None:
    """What a write here cannot set, so that nobody owns it for having sent it."""
    if subresource == "status":
        return _META_AND_SPEC if served.resource.custom else _ALL_BUT_STATUS
    if served.gvr.plural in _NOTHING_OF_THE_CLIENT:
        return {**_ALL_BUT_STATUS, **_STATUS}
    return _STATUS if served.resource.has_status and not subresource else None


def track(call: Call, new: Obj, old: Obj | None, manager: str) -> Obj:
    """Notes that `manager` (or the User-Agent) has set what differs from `old`."""
    track_update(
        new,
        old,
        call.served.node,
        manager=call.manager(manager),
        api_version=call.served.gvr.api_version,
        subresource=call.info.subresource,
        now=format_time(env.epoch()),
        reset=_reset(call.served, call.info.subresource),
    )
    return new


_GO_KINDS: dict[type, str] = {list: "array", str: "string", bool: "bool"}


def applier(call: Call, patch: Any, wanted: WriteOptions) -> Callable[[Obj | None], Awaitable[Obj]]:
    """Makes the new object by applying a configuration to the current one; ownership is noted with it. Raises 400."""
    served = call.served
    for value in (patch, (patch.get("metadata") if isinstance(patch, dict) else None) or {}):
        if not isinstance(value, dict):
            found = _GO_KINDS.get(type(value), "number")
            why = f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
            raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    config: Obj = {**patch, "metadata": dict(patch.get("metadata") or {})}
    place = dict(config["metadata"])
    metadata.match_namespace(place, call.namespace)
    if place.get("name"):
        metadata.check_name(place, call.info.name)

    async def make(old: Obj | None) -> Obj:
        merged = apply(
            old,
            config,
            served.node,
            manager=call.manager(wanted.field_manager),
            force=wanted.force,
            subresource=call.info.subresource,
            api_version=served.gvr.api_version,
            kind=served.gvr.kind,
            now=format_time(env.epoch()),
            reset=_reset(served, call.info.subresource),
        )
        made = served.decode_applied(orjson.loads(orjson.dumps(merged)))
        metadata.require_name(made["metadata"], call.info.name)
        metadata.match_namespace(made["metadata"], call.namespace)
        return made

    return make


def encoded(served: Served, obj: Obj) -> bytes:
    """The JSON of an object that is not stored (any more), with the resourceVersion it carries."""
    return orjson.dumps({"kind": served.gvr.kind, "apiVersion": served.gvr.api_version, **obj})
