"""PUT: replaces an object, or one of its parts through a subresource.

`write` is the loop that PUT, every patch and the part-wise subresources share: read the current object, make the new
one from it, admit, check, store on condition that nobody was faster, otherwise begin again where that is allowed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skiff.api.errors import FieldError, conflict, invalid, invalid_object, not_found
from skiff.api.types import GVR, Obj
from skiff.apiserver import fields, metadata, options
from skiff.apiserver.admission import Attributes
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Entry
from skiff.apiserver.options import WriteOptions
from skiff.apiserver.served import Served
from skiff.apiserver.verbs import create
from skiff.store import Mismatch
from skiff.wire.messages import Response

ATTEMPTS = 100
"""Bounds the loop of unconditional writes; each failure means that somebody else has succeeded."""

Make = Callable[[Obj | None], Awaitable[Obj]]
"""From the current object (read-only; None: there is none) to the complete new one, which shares nothing with it."""

Prepare = Callable[[Served, Obj, Obj], None]
"""Keeps what this kind of write may not change, in place: (served, new, old)."""


@dataclass(frozen=True, slots=True)
class Written:
    data: bytes
    created: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of an object a write is about. prepare: keeps, in place, what it may not change. check: the mistakes of
    the new object. seen: how admission sees the object, where that is as another kind; taken: the new object with what
    admission made of that."""

    prepare: Prepare
    check: Callable[[Served, Obj, Obj], list[FieldError]]
    seen: Callable[[Served, Obj], Obj] | None = None
    taken: Callable[[Served, Obj, Obj], Obj] | None = None


async def handle(call: Call) -> Response:
    """PUT of an object."""
    return await put(call, OBJECT)


async def handle_status(call: Call) -> Response:
    return await put(call, STATUS)


async def put(call: Call, part: Part) -> Response:
    """PUT of a complete object of which `part` counts."""
    wanted = options.write_options(call.params, "UpdateOptions")
    call.accepted()
    pending: list[Obj] = [decoded(call, call.body(), wanted.field_validation, call.raw_json())]

    async def make(old: Obj | None) -> Obj:
        # Each attempt changes the object in place, so a repeated one starts from the body again.
        return pending.pop() if pending else decoded(call, call.body(), "Ignore")

    create_missing = part is OBJECT and call.served.resource.create_on_update
    as_object = wanted.as_object("UpdateOptions")
    written = await write(call, make, part, wanted, as_object, create_missing=create_missing)
    return call.answer(written.data, 201 if written.created else 200)


def decoded(call: Call, data: Any, validation: str, raw: bytes = b"") -> Obj:
    obj = call.decode(data, validation, raw)
    meta = obj["metadata"]
    metadata.match_namespace(meta, call.namespace)
    metadata.require_name(meta, call.info.name)
    call.warnings += metadata.single_owners(meta)
    return obj


async def write(
    call: Call,
    make: Make,
    part: Part,
    wanted: WriteOptions,
    as_object: Obj,
    *,
    create_missing: bool = False,
    apply: bool = False,
) -> Written:
    """Raises 404, 409, 422 and what admission refuses. apply: ownership is tracked by `make` itself."""
    served, registry = call.served, call.server.registry
    entry = await registry.current(served, call.namespace, call.info.name)
    for _ in range(ATTEMPTS):
        if entry is None:
            if not create_missing:
                raise not_found(served.gvr, call.info.name)
            return await _create(call, make, wanted, as_object, apply)
        try:
            return Written(await _attempt(call, entry, make, part, wanted, as_object, apply))
        except Mismatch as e:
            entry = registry.newer(served, e)
    raise conflict(served.gvr, call.info.name)


async def _create(call: Call, make: Make, wanted: WriteOptions, as_object: Obj, apply: bool) -> Written:
    """An update of what does not exist, by who may also create."""
    await call.server.may_create(call)
    obj = await make(None)
    meta = obj["metadata"]
    if meta.get("resourceVersion") or meta.get("uid"):
        # Meant for an object that is gone.
        raise (
            not_found(call.served.gvr, call.info.name) if meta.get("uid") else conflict(call.served.gvr, call.info.name)
        )
    metadata.wipe_system_fields(meta)
    if not apply:
        obj = fields.track(call, obj, None, wanted.field_manager)
    resource = call.served.resource
    if resource.has_status and not resource.status_on_create:
        obj.pop("status", None)
        resource.default(obj)
    return Written(await create.store(call, obj, wanted, {**as_object, "kind": "CreateOptions"}), True)


async def _attempt(
    call: Call, entry: Entry, make: Make, part: Part, wanted: WriteOptions, as_object: Obj, apply: bool
) -> bytes:
    served = call.served
    # Parts that put what is stored below what is new take an object of their own: admission may change it.
    old = served.shown(entry) if part is OBJECT or part is STATUS else served.load(entry)
    new = await make(old)
    if call.request.method == "PUT":  # a patch with another UID is one that changes the UID
        metadata.check_uid(served.gvr, call.info.name, new["metadata"].get("uid"), old["metadata"])
    _check_version(served, new, old)
    part.prepare(served, new, old)
    if not apply:
        new = fields.track(call, new, old, wanted.field_manager)
    attrs = _attributes(call, new, old, part, as_object, wanted.dry_run)
    new = await _admitted(call, attrs, new, old, part)
    call.warnings += metadata.single_owners(new["metadata"], metadata.AFTER_ADMISSION)
    finish(served, new, old, part)
    warn = served.resource.warn if part is OBJECT else served.resource.warn_status if part is STATUS else None
    if warn is not None:
        call.warnings += warn(new, old)
    attrs.obj = new if part.seen is None else part.seen(served, new)
    await call.server.admission.validate(attrs)
    return await commit(call, entry, new, old, wanted.dry_run)


def _attributes(call: Call, new: Obj, old: Obj, part: Part, as_object: Obj, dry_run: bool) -> Attributes:
    if part.seen is not None:
        new, old = part.seen(call.served, new), part.seen(call.served, old)
    return call.attributes("UPDATE", new, old, as_object, dry_run=dry_run, name=call.info.name)


async def _admitted(call: Call, attrs: Attributes, new: Obj, old: Obj, part: Part) -> Obj:
    """The new object as mutating admission left it. What a write may not change is kept once more."""
    tracked = new["metadata"].get("managedFields")
    await call.server.admission.mutate(attrs)
    assert attrs.obj is not None
    if part.taken is not None:
        return part.taken(call.served, new, attrs.obj) if attrs.changed else new
    new = attrs.obj
    if attrs.changed:
        call.warnings += metadata.sound_managers(new["metadata"], tracked)
        part.prepare(call.served, new, old)
    return new


async def commit(call: Call, entry: Entry, new: Obj, old: Obj, dry_run: bool) -> bytes:
    """Stores the new version, or nothing if there is no difference, or deletes what was only waiting for its last
    finalizer. Raises Mismatch."""
    served, registry = call.served, call.server.registry
    fields.keep_old_times(new, old)
    if is_released(new, old):
        if not dry_run:
            revision = await registry.erase(served, entry)
            new["metadata"]["resourceVersion"] = str(revision)
        return fields.encoded(served, new)
    if new == old or dry_run:
        return served.data(entry) if new == old else fields.encoded(served, new)
    return await registry.replace(served, entry, new)


def is_released(new: Obj, old: Obj) -> bool:
    """Whether the object was marked for deletion and this write removes its last finalizer."""
    before = old["metadata"]
    if new["metadata"].get("finalizers") or not before.get("deletionTimestamp"):
        return False
    return not before.get("deletionGracePeriodSeconds") and not _keeps_namespace(new)


def _keeps_namespace(obj: Obj) -> bool:
    """A namespace has finalizers of its own in its spec."""
    return (
        obj.get("kind") == "Namespace" and obj.get("apiVersion") == "v1" and bool(obj.get("spec", {}).get("finalizers"))
    )


def _check_version(served: Served, new: Obj, old: Obj) -> None:
    given = new["metadata"].get("resourceVersion") or ""
    current = old["metadata"]["resourceVersion"]
    name = old["metadata"]["name"]
    if given in ("", "0"):
        if served.resource.unconditional_update:
            return
        gvr = served.gvr
        error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise invalid_object(GVR(gvr.group, gvr.version, gvr.plural, gvr.plural), name, [error])
    if given != current:
        raise conflict(served.gvr, name)


# --- what a write may change

METADATA = ("annotations", "finalizers", "labels", "ownerReferences")
KEPT_WITH_STATUS: Mapping[str, tuple[str, ...]] = {
    "apiservices": METADATA,
    "deployments": ("labels",),
    "flowschemas": METADATA,
    "pods": ("ownerReferences",),
    "prioritylevelconfigurations": METADATA,
    "resourceclaims": METADATA,
    "servicecidrs": METADATA,
    "validatingadmissionpolicies": METADATA,
    "volumeattachments": METADATA,
}
"""Kind → what of its metadata a write to the status leaves alone (upstream's status strategies; most leave nothing)."""
KEPT_IN_STATUS: Mapping[str, tuple[str, ...]] = {"pods": ("qosClass",)}
"""Kind → fields of the status that stay as they are when a write does not have them."""


def prepare_object(served: Served, new: Obj, old: Obj) -> None:
    """The main resource: status stays, unless the kind has no status of its own."""
    if served.resource.has_status:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)


def prepare_status(served: Served, new: Obj, old: Obj) -> None:
    """The status subresource: status and a few things in metadata change, the rest stays."""
    for name in [n for n in new if n not in ("metadata", "status", "kind", "apiVersion")]:
        del new[name]
    for name, value in old.items():
        if name not in ("metadata", "status"):
            new[name] = value
    meta, before = new["metadata"], old["metadata"]
    if served.resource.custom:
        _keep_metadata(meta, before)
        return
    was = old.get("status") or {}
    for name in KEPT_IN_STATUS.get(served.gvr.plural, ()):
        if name in was:
            new.setdefault("status", {}).setdefault(name, was[name])
    for name in KEPT_WITH_STATUS.get(served.gvr.plural, ()):
        if name in before:
            meta[name] = before[name]
        else:
            meta.pop(name, None)


def _keep_metadata(meta: Obj, before: Obj) -> None:
    """Of a custom resource's metadata nothing but the managed fields changes with the status."""
    tracked, version = meta.get("managedFields"), meta.get("resourceVersion")
    meta.clear()
    meta.update({k: v for k, v in before.items() if k != "managedFields"})
    if version:
        meta["resourceVersion"] = version
    if tracked is not None:
        meta["managedFields"] = tracked


def check_object(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    """Of what has changed. (All that a custom resource's schema says is in its validate_update.)"""
    resource = served.resource
    if resource.custom:
        return resource.validate_update(new, old)
    return [*resource.validate(new), *resource.validate_update(new, old)]


def check_status(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return served.resource.validate_status_update(new, old)


OBJECT = Part(prepare_object, check_object)
STATUS = Part(prepare_status, check_status)


def finish(served: Served, new: Obj, old: Obj, part: Part) -> None:
    """System fields, generation and all checks, after admission. Raises 422."""
    resource = served.resource
    metadata.keep_system_fields(new["metadata"], old["metadata"])
    new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    if part is OBJECT:
        resource.prepare(new, old)
    elif part is STATUS:
        resource.prepare_status(new, old)
    same = part is not STATUS and _content(new, served) == (content := _content(old, served))
    if same:
        new.update(content)  # one object from here on: nothing compares it again, and the cache keeps it once
    if part is not STATUS and resource.has_generation and not same:
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    # What has not changed was valid when it was stored.
    errors = metadata.validate_update(resource, new["metadata"], old["metadata"])
    if part is not OBJECT or resource.custom or not same:
        errors += part.check(served, new, old)
    elif not _same_words(new["metadata"], old["metadata"]):
        errors += [*(resource.validate_words or resource.validate)(new), *resource.validate_update(new, old)]
    if errors:
        raise invalid_object(served.gvr, old["metadata"]["name"], errors)


def _same_words(new: Obj, old: Obj) -> bool:
    """Whether what kinds have rules for in the metadata is as it was."""
    return all(new.get(k) == old.get(k) for k in ("annotations", "labels"))


def _content(obj: Obj, served: Served) -> dict[str, Any]:
    """What makes a new generation. The status of a custom resource without status subresource does."""
    plain = served.resource.custom and not served.resource.has_status
    left_out = ("metadata", "apiVersion", "kind") if plain else ("metadata", "status", "apiVersion", "kind")
    return {k: v for k, v in obj.items() if k not in left_out}
