"""Who owns which field: the server's side of managed fields. The sets and merges are skiff.api.apply's.

Also the small encodings that writes share.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from skiff import env
from skiff.api import managedfields, times
from skiff.api.apply import apply
from skiff.api.errors import bad_request
from skiff.api.fieldset import FieldSet
from skiff.api.types import Obj
from skiff.apiserver import metadata
from skiff.apiserver.call import Call
from skiff.apiserver.options import WriteOptions
from skiff.apiserver.served import Served


def encoded(served: Served, obj: Obj) -> bytes:
    """The JSON of an object that is not stored (any more), with the resourceVersion it carries."""
    return orjson.dumps({"kind": served.gvr.kind, "apiVersion": served.gvr.api_version, **obj})


def unversioned(served: Served, obj: Obj) -> bytes:
    """The JSON of an object that was never stored (a dry run)."""
    return encoded(served, obj)


def track(call: Call, new: Obj, old: Obj | None, manager: str) -> Obj:
    """Notes that `manager` (or the User-Agent) set what differs from `old`, in place."""
    managedfields.track_update(
        new,
        old,
        call.served.node,
        manager=call.manager(manager),
        api_version=call.served.gvr.api_version,
        subresource=call.info.subresource,
        now=times.format_time(env.epoch()),
    )
    return new


def keep_old_times(new: Obj, old: Obj) -> None:
    """A write that changes nothing but the times in managedFields changes nothing."""
    managedfields.keep_times_if_unchanged(new, old)


def applier(call: Call, patch: Any, wanted: WriteOptions) -> Callable[[Obj | None], Awaitable[Obj]]:
    """Makes the new object by applying a configuration to the current one; ownership is noted with it."""
    served = call.served
    if not isinstance(patch, dict) or not isinstance(patch.get("metadata", {}), dict):
        raise bad_request("error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}")
    config: Obj = {**patch, "metadata": patch.get("metadata") or {}}

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
            now=times.format_time(env.epoch()),
            reset=_not_from_here(call),
        )
        obj = call.decode(orjson.loads(orjson.dumps(merged)), "Ignore")
        meta = obj["metadata"]
        metadata.match_namespace(meta, call.info.namespace if served.gvr.namespaced else "")
        if not meta.get("name"):
            raise bad_request("name must be provided")
        metadata.check_name(meta, call.info.name)
        return obj

    return make


def _not_from_here(call: Call) -> FieldSet | None:
    """What the endpoint puts back, so that an applier cannot own it."""
    if call.info.subresource == "status":
        return {"f:spec": {}}
    return {"f:status": {}} if not call.info.subresource and call.served.resource.has_status else None
