"""POST to a collection: decode, admit, give the object its identity, validate, store.

The steps after decoding are also those of an update that creates (PUT of a missing Lease, apply), see `store`.
"""

from typing import Any

from skiff.api.errors import StatusError, already_exists, bad_request, invalid_object, is_already_exists, status_error
from skiff.api.types import Obj
from skiff.apiserver import fields, metadata, options
from skiff.apiserver.call import Call
from skiff.apiserver.options import WriteOptions
from skiff.apiserver.served import Served
from skiff.wire.messages import Response

NAME_ATTEMPTS = 8


async def handle(call: Call) -> Response:
    wanted = options.write_options(call.params, "CreateOptions")
    call.accepted()
    data = call.body()
    resource = call.served.resource
    if resource.has_status and not resource.status_on_create and isinstance(data, dict):
        data.pop("status", None)
    obj = call.decode(data, wanted.field_validation, call.raw_json())
    meta = obj["metadata"]
    metadata.wipe_system_fields(meta)
    metadata.match_namespace(meta, call.namespace)
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    call.warnings += metadata.single_owners(meta)
    obj = fields.track(call, obj, None, wanted.field_manager)
    return call.answer(await store(call, obj, wanted, wanted.as_object("CreateOptions")), 201)


async def store(call: Call, obj: Obj, wanted: WriteOptions, as_object: Obj) -> bytes:
    """Admission and everything after it, for a new object; returns its JSON."""
    server = call.server
    attrs = call.attributes(
        "CREATE", obj, None, as_object, dry_run=wanted.dry_run, name=obj["metadata"].get("name", "")
    )
    tracked = obj["metadata"].get("managedFields")
    await server.admission.mutate(attrs)
    assert attrs.obj is not None
    obj = attrs.obj
    meta = obj["metadata"]
    if attrs.changed:
        _take_back(call, obj, tracked)
    call.warnings += metadata.single_owners(meta, metadata.AFTER_ADMISSION)
    generated = not meta.get("name") and bool(meta.get("generateName"))
    for attempt in range(NAME_ATTEMPTS):
        if generated:
            meta["name"] = metadata.generate_name(meta["generateName"])
        if attempt == 0:
            _prepare(call.served, obj)
            if call.served.resource.warn is not None:
                call.warnings += call.served.resource.warn(obj, None)
        attrs.name = meta.get("name", "")
        await server.admission.validate(attrs)
        try:
            return await _insert(call, obj, wanted.dry_run)
        except StatusError as e:
            if not is_already_exists(e):
                raise
            if not generated:
                raise await _told_why(call, obj, e) from None
    raise _name_conflict(call.served, meta["name"])


def _take_back(call: Call, obj: Obj, tracked: Any) -> None:
    """What neither a client nor a webhook or a policy may set in a new object, in place. Raises 400."""
    meta, resource = obj["metadata"], call.served.resource
    call.warnings += metadata.sound_managers(meta, tracked)
    metadata.wipe_system_fields(meta)
    metadata.match_namespace(meta, call.namespace)
    if meta.get("resourceVersion"):
        raise status_error(500, "", "resourceVersion should not be set on objects to be created")
    if resource.has_status and not resource.status_on_create and "status" in obj:
        del obj["status"]
        resource.default(obj)


def _prepare(served: Served, obj: Obj) -> None:
    """Identity, what the server sets, and all checks. Raises 422."""
    resource = served.resource
    meta = obj["metadata"]
    metadata.fill(meta)
    if resource.has_generation:
        meta["generation"] = 1
    else:
        meta.pop("generation", None)
    resource.prepare(obj, None)
    errors = [*metadata.validate(resource, meta), *resource.validate(obj), *resource.validate_create(obj)]
    if errors:
        raise invalid_object(served.gvr, meta.get("name", ""), errors)


async def _insert(call: Call, obj: Obj, dry_run: bool) -> bytes:
    served, registry = call.served, call.server.registry
    if dry_run:
        meta = obj["metadata"]
        if await registry.current(served, meta.get("namespace", ""), meta["name"]) is not None:
            raise already_exists(served.gvr, meta["name"])
        return fields.encoded(served, obj)
    data, _ = await registry.insert(served, obj)
    return data


async def _told_why(call: Call, obj: Obj, error: StatusError) -> StatusError:
    """That it exists already is said with more patience when it is about to go."""
    meta = obj["metadata"]
    entry = await call.server.registry.current(call.served, meta.get("namespace", ""), meta["name"])
    if entry is not None and call.served.load(entry)["metadata"].get("deletionTimestamp"):
        error.status["message"] = f"object is being deleted: {error.message}"
    return error


def _name_conflict(served: Served, name: str) -> StatusError:
    error = already_exists(served.gvr, name)
    error.status["message"] = (
        f'{served.gvr.group_resource} "{name}" already exists, the server was not able to generate a unique name for the object'
    )
    error.status["details"]["retryAfterSeconds"] = 1
    error.headers["Retry-After"] = "1"
    return error
