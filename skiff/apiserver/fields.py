"""Who owns which field: the server's side of managed fields and server-side apply. Sets and merges are skiff.api's.

Also the small encodings that writes share.
"""

from typing import Any

import orjson

from skiff import env
from skiff.api.apply import apply, track_update
from skiff.api.decode import DecodeError
from skiff.api.fieldset import LEAF, FieldSet
from skiff.api.times import format_time
from skiff.api.types import Obj
from skiff.apiserver import metadata
from skiff.apiserver.call import Call
from skiff.apiserver.options import WriteOptions
from skiff.apiserver.served import Served

_STATUS: FieldSet = {"f:status": LEAF}
_ALL_BUT_STATUS: FieldSet = {"f:spec": LEAF}


def _reset(served: Served, subresource: str) -> FieldSet | None:
    """What a write here cannot set, so that nobody owns it for having sent it."""
    if subresource == "status":
        return _ALL_BUT_STATUS
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


def applier(call: Call, patch: Any, wanted: WriteOptions) -> Any:
    """Makes the new object of a server-side apply. Raises 400, 409."""
    served = call.served
    applied, warnings = _checked(served, patch, wanted.field_validation)
    call.warnings += warnings
    meta = applied.setdefault("metadata", {})
    metadata.match_namespace(meta, call.namespace)
    metadata.check_name(meta, call.info.name)
    text = orjson.dumps(applied)

    async def make(old: Obj | None) -> Obj:
        merged = apply(
            old,
            orjson.loads(text),
            served.node,
            manager=call.manager(wanted.field_manager),
            force=wanted.force,
            subresource=call.info.subresource,
            api_version=served.gvr.api_version,
            kind=served.gvr.kind,
            now=format_time(env.epoch()),
            reset=_reset(served, call.info.subresource),
        )
        made = call.decode(orjson.loads(orjson.dumps(merged)), "Ignore")
        if old is not None and not orjson.loads(text)["metadata"].get("resourceVersion"):
            made["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return made

    return make


def _checked(served: Served, patch: Any, validation: str) -> tuple[Obj, list[str]]:
    """The applied configuration, its types checked but nothing defaulted."""
    if not isinstance(patch, dict):
        raise served.undecodable("the body is not an object", patch)
    try:
        return served.checker.check(patch, validation=validation)
    except DecodeError as e:
        raise served.undecodable(str(e), patch) from None


def keep_old_times(new: Obj, old: Obj) -> None:
    """A write that changes nothing but the times in managedFields changes nothing."""
    entries, before = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if entries == before or not entries or not before or len(entries) != len(before):
        return
    if _timeless(entries) != _timeless(before):
        return
    restored = {**new, "metadata": {**new["metadata"], "managedFields": before}}
    if restored == old:
        new["metadata"]["managedFields"] = before


def _timeless(entries: list[Obj]) -> list[Obj]:
    return [{k: v for k, v in e.items() if k != "time"} for e in entries]


def encoded(served: Served, obj: Obj) -> bytes:
    """The JSON of an object that is not stored (any more), with the resourceVersion it carries."""
    return orjson.dumps({"kind": served.gvr.kind, "apiVersion": served.gvr.api_version, **obj})
