"""PATCH: JSON patch, merge patch, strategic merge patch, and server-side apply.

The first three make the new object from the current one and write it on condition that it is still current; when it is
not, the patch is made again on the newer one, unless it names a resourceVersion itself.
"""

from collections.abc import Callable
from typing import Any

import orjson

from skiff.api.decode import DecodeError
from skiff.api.errors import StatusError, bad_request, conflict, invalid_patch, not_found, unsupported_media_type
from skiff.api.patch import json_patch, merge_patch
from skiff.api.schema import SchemaNode
from skiff.api.strategic import strategic_merge_patch
from skiff.api.types import Obj
from skiff.apiserver import fields, metadata, negotiation, options
from skiff.apiserver.call import Call
from skiff.apiserver.verbs import update
from skiff.wire.messages import Response

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
ATTEMPTS = 5

PATCHERS: dict[str, Callable[[Obj, Any, SchemaNode | None], Obj]] = {
    JSON_PATCH: lambda document, patch, _: json_patch(document, patch),
    MERGE: lambda document, patch, _: merge_patch(document, patch),
    STRATEGIC: strategic_merge_patch,
}


async def handle(call: Call) -> Response:
    """PATCH of an object."""
    return await patch_part(call, update.OBJECT)


async def handle_status(call: Call) -> Response:
    return await patch_part(call, update.STATUS)


async def patch_part(call: Call, part: update.Part) -> Response:
    """PATCH of a complete object of which `part` counts."""
    kind, wanted, patch = read(call)
    call.accepted()
    apply = kind == APPLY
    if apply:
        make = fields.applier(call, patch, wanted)
    else:
        make = patcher(call, kind, patch, wanted.field_validation)
    as_object = wanted.as_object("UpdateOptions")
    create_missing = apply and part is update.OBJECT
    written = await update.write(call, make, part, wanted, as_object, create_missing=create_missing, apply=apply)
    return call.answer(written.data, 201 if written.created else 200)


def read(call: Call) -> tuple[str, options.WriteOptions, Any]:
    """The patch's type, the options and the decoded patch. Raises 400, 413, 415, 422."""
    kind = negotiation.media_type(call.request.headers.get("content-type", ""))
    if kind not in PATCHERS and kind != APPLY:
        raise unsupported_media_type("415: Unsupported Media Type", {})
    if kind == STRATEGIC and call.served.resource.custom:
        raise _unknown_type([JSON_PATCH, MERGE, APPLY])
    wanted = options.write_options(call.params, "PatchOptions", apply=kind == APPLY)
    body = call.request.body
    return kind, wanted, _configuration(call, body, wanted.field_validation) if kind == APPLY else load_patch(body)


def _configuration(call: Call, body: bytes, validation: str) -> Any:
    """Of an apply. Raises 400 for keys that stand twice, if that was asked for."""
    data, repeated = negotiation.load_configuration(body)
    if repeated and validation == "Strict":
        words = "\n  ".join(repeated)
        raise bad_request(
            f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {words}"
        )
    if validation == "Warn":
        call.warnings += repeated
    return data


def _unknown_type(known: list[str]) -> StatusError:
    return unsupported_media_type(
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(known)}"
    )


def load_patch(body: bytes) -> Any:
    negotiation.check_size(body)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise bad_request(f"error decoding patch: {negotiation.json_error(e)}") from None
    negotiation.check_depth(body, data)
    return data


def patcher(call: Call, kind: str, patch: Any, validation: str) -> update.Make:
    """Makes the new object by patching the current one; checks it as a body is checked."""
    served = call.served
    versioned = kind != JSON_PATCH and _names_version(patch)
    attempts = 0

    async def make(old: Obj | None) -> Obj:
        nonlocal attempts
        if old is None:
            raise not_found(served.gvr, call.info.name)
        if attempts and (versioned or attempts >= ATTEMPTS):
            raise conflict(served.gvr, call.info.name)
        again, attempts = attempts > 0, attempts + 1
        # The new object has parts of the patch, so that a repeated attempt needs it anew.
        own = _own(kind, old)
        made = _patched(call, kind, own, load_patch(call.request.body) if again else patch)
        try:
            obj, warnings = served.read(made, validation="Ignore" if again else validation, known=own)
        except DecodeError as e:
            why = e.converted if kind == STRATEGIC and e.converted else str(e)
            raise invalid_patch(_shown(call, kind, old), why) from None
        call.warnings += warnings
        meta = obj["metadata"]
        metadata.match_namespace(meta, call.namespace)
        metadata.require_name(meta, call.info.name)
        return obj

    return make


def _own(kind: str, old: Obj) -> Obj:
    """A copy that the result may have parts of. Who sends no managed fields keeps what is stored, and they are half of many
    objects; but a JSON patch may name them, and its result is a copy anyway."""
    if kind == JSON_PATCH:
        return old
    meta = {k: v for k, v in old["metadata"].items() if k != "managedFields"}
    own: Obj = orjson.loads(orjson.dumps({**old, "metadata": meta}))
    return own


def _patched(call: Call, kind: str, old: Obj, patch: Any) -> Obj:
    """Shares with `old` what the patch leaves alone, but for JSON patches."""
    patched = PATCHERS[kind](old, patch, call.served.node if kind == STRATEGIC else None)
    # A JSON patch may put one value in several places, and nest values in values.
    return orjson.loads(_dump(patched)) if kind == JSON_PATCH else patched


def _shown(call: Call, kind: str, old: Obj) -> str:
    """What upstream names in the message: the patch, if it is strategic, otherwise what it makes. Both are made anew, for
    decoding has left its marks on them."""
    patch = load_patch(call.request.body)
    if kind == STRATEGIC:
        return go_value(patch)
    made = _patched(call, kind, old, patch)
    return (
        orjson.dumps(made, option=orjson.OPT_SORT_KEYS).decode()
        if call.served.resource.custom
        else _dump(made).decode()
    )


def go_value(value: Any) -> str:
    """JSON data as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_value(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_value, value)) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _names_version(patch: Any) -> bool:
    meta = patch.get("metadata") if isinstance(patch, dict) else None
    return isinstance(meta, dict) and bool(meta.get("resourceVersion"))


def _dump(obj: Obj) -> bytes:
    try:
        return orjson.dumps(obj)
    except TypeError as e:
        raise _too_deep() from e


def _too_deep() -> StatusError:
    return bad_request("the patched object cannot be encoded: exceeded max depth")
