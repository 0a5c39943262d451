"""DELETE: at once, after a grace period, or when the last finalizer is gone.

`plan` decides what a request means for one object; `erase` performs it and repeats when the object changed meanwhile.
Source: upstream apiserver pkg/registry/rest/delete.go and generic/registry/store.go; pods: pkg/registry/core/pod/strategy.go.
"""

from dataclasses import dataclass, replace
from typing import Literal

import orjson

from skiff import env
from skiff.api.errors import conflict, not_found
from skiff.api.metachecks import FOREGROUND, ORPHAN
from skiff.api.times import epoch, format_time
from skiff.api.types import GVR, Obj
from skiff.apiserver import fields, options
from skiff.apiserver.call import Call
from skiff.apiserver.entries import Entry
from skiff.apiserver.options import DeleteOptions
from skiff.apiserver.served import Served
from skiff.store import Mismatch
from skiff.wire.messages import Response

ATTEMPTS = 100
DEFAULT_POD_GRACE = 30
RETURNS_OBJECT: dict[str, tuple[str, ...]] = {
    "": (
        "namespaces", "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas",
        "serviceaccounts", "services",
    ),
    "resource.k8s.io": ("deviceclasses", "devicetaintrules", "resourceclaims", "resourceclaimtemplates", "resourceslices"),
    "storage.k8s.io": ("csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"),
}  # fmt: skip
"""Group → kinds whose deletion answers with the object rather than a Status (upstream: ReturnDeletedObject)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """action: remove it; update it (marked for deletion); keep it as it is, being deleted already."""

    action: Literal["remove", "update", "keep"]
    obj: Obj


@dataclass(frozen=True, slots=True)
class Outcome:
    """gone: really removed, otherwise only marked."""

    data: bytes
    obj: Obj
    gone: bool


async def handle(call: Call) -> Response:
    wanted = read_options(call)
    call.accepted()
    outcome = await erase(call, call.namespace, call.info.name, wanted)
    gvr = call.served.gvr
    if not outcome.gone or gvr.plural in RETURNS_OBJECT.get(gvr.group, ()):
        return call.answer(outcome.data, 202 if not outcome.gone and wanted.orphan is False else 200)
    return call.answer_obj(success(call.served, outcome.obj))


def read_options(call: Call) -> DeleteOptions:
    body = None
    if call.request.body:
        body = call.body("DeleteOptions")
    return options.delete_options(call.params, body)


def success(served: Served, obj: Obj) -> Obj:
    gvr = served.gvr
    details = {
        "name": obj["metadata"]["name"],
        "group": gvr.group,
        "kind": gvr.plural,
        "uid": obj["metadata"].get("uid"),
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {k: v for k, v in details.items() if v},
    }


async def erase(
    call: Call, namespace: str, name: str, wanted: DeleteOptions, *, admit: bool = True, named: bool = True
) -> Outcome:
    """Raises 404, 409 and what admission refuses. admit: admission is asked; named: and told the object's name."""
    served, registry = call.served, call.server.registry
    entry = await registry.current(served, namespace, name)
    for _ in range(ATTEMPTS):
        if entry is None:
            raise not_found(served.gvr, name)
        try:
            return await _attempt(call, entry, wanted, (name if named else "") if admit else None)
        except Mismatch as e:
            entry = registry.newer(served, e)
    raise conflict(served.gvr, name)


async def _attempt(call: Call, entry: Entry, wanted: DeleteOptions, name: str | None) -> Outcome:
    """name: as admission is told it; None: it is not asked."""
    served, registry = call.served, call.server.registry
    old = served.load(entry)
    check_preconditions(served, old, wanted)
    if name is not None:
        attrs = call.attributes("DELETE", None, old, wanted.as_object(), dry_run=wanted.dry_run, name=name)
        await call.server.admission.mutate(attrs)
        await call.server.admission.validate(attrs)
    decided = plan(served, served.load(entry), wanted, env.epoch())
    obj = decided.obj
    if decided.action == "keep" or (decided.action == "update" and obj == old):
        return Outcome(served.data(entry), obj, False)
    if decided.action == "update":
        data = fields.encoded(served, obj) if wanted.dry_run else await registry.replace(served, entry, obj)
        return Outcome(data, orjson.loads(data), False)
    if not wanted.dry_run:
        obj["metadata"]["resourceVersion"] = str(await registry.erase(served, entry))
    return Outcome(fields.encoded(served, obj), obj, True)


def check_preconditions(served: Served, obj: Obj, wanted: DeleteOptions) -> None:
    """Raises 409, which names the kind here instead of the resource (upstream's strategy does); not for namespaces."""
    meta = obj["metadata"]
    if served.gvr.group_resource == "namespaces":
        for what, given, found in (
            ("UID", wanted.uid, meta.get("uid")),
            ("ResourceVersion", wanted.resource_version, meta.get("resourceVersion")),
        ):
            if given is not None and given != found:
                why = f"Precondition failed: {what} in precondition: {given}, {what} in object meta: {found}"
                raise conflict(served.gvr, meta["name"], why)
    kind = GVR(served.gvr.group, served.gvr.version, served.gvr.kind, served.gvr.kind)
    if wanted.uid is not None and wanted.uid != meta.get("uid"):
        raise conflict(
            kind,
            meta["name"],
            f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({meta.get('uid')}). "
            "The object might have been deleted and then recreated",
        )
    if wanted.resource_version is not None and wanted.resource_version != meta.get("resourceVersion"):
        raise conflict(
            kind,
            meta["name"],
            f"the ResourceVersion in the precondition ({wanted.resource_version}) does not match the ResourceVersion in "
            f"record ({meta.get('resourceVersion')}). The object might have been modified",
        )


# --- deciding


def plan(served: Served, obj: Obj, wanted: DeleteOptions, now: float) -> Plan:
    """What a deletion means for this object, which is changed in place."""
    if wanted.grace_seconds is not None and wanted.grace_seconds < 0:
        wanted = replace(wanted, grace_seconds=1)
    graceful, pending, grace = False, False, 0
    if served.gvr.plural == "pods" and not served.gvr.group:
        graceful, pending, grace = _pod_grace(obj, wanted, now)
    if pending:
        return Plan("keep", obj)
    served.resource.prepare_delete(obj, now)
    meta = obj["metadata"]
    finalizers = _finalizers(served, meta.get("finalizers") or [], wanted)
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    if graceful:
        return Plan("update" if finalizers or grace > 0 else "remove", obj)
    if finalizers or _namespace_content(served, obj):
        _mark(served, obj, now)
        return Plan("update", obj)
    return Plan("remove", obj)


def _pod_grace(obj: Obj, wanted: DeleteOptions, now: float) -> tuple[bool, bool, int]:
    """(graceful, already pending, seconds); sets the deletion fields, in place."""
    meta = obj["metadata"]
    if meta.get("deletionTimestamp"):
        return _shorten(meta, wanted, now)
    grace = _grace_period(obj, wanted)
    meta["deletionTimestamp"] = format_time(now + grace)
    meta["deletionGracePeriodSeconds"] = grace
    if meta.get("generation"):
        meta["generation"] += 1
    return True, False, grace


def _grace_period(pod: Obj, wanted: DeleteOptions) -> int:
    """What was asked for, or the pod's own; 0 for a pod that never started on a node or has ended."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    grace = wanted.grace_seconds
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds")
        grace = DEFAULT_POD_GRACE if grace is None else grace
    if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if grace < 0 else int(grace)


def _shorten(meta: Obj, wanted: DeleteOptions, now: float) -> tuple[bool, bool, int]:
    """A second deletion can only make the grace period shorter."""
    before = meta.get("deletionGracePeriodSeconds") or 0
    if not before:
        return False, False, 0
    if wanted.grace_seconds is None or wanted.grace_seconds >= before:
        return False, True, 0
    grace = wanted.grace_seconds
    at = epoch(meta["deletionTimestamp"]) - before + grace
    if at < now:
        at = now
        grace = 1 if grace else 0
    meta["deletionTimestamp"] = format_time(at)
    meta["deletionGracePeriodSeconds"] = grace
    return True, False, wanted.grace_seconds


def _finalizers(served: Served, present: list[str], wanted: DeleteOptions) -> list[str]:
    """With those of the garbage collector put in or taken out as the propagation policy says."""
    default = served.resource.default_propagation
    orphan, foreground = FOREGROUND not in present and (ORPHAN in present or default == "Orphan"), FOREGROUND in present
    if wanted.orphan is not None:
        orphan, foreground = wanted.orphan, False
    elif wanted.propagation:
        orphan, foreground = wanted.propagation == "Orphan", wanted.propagation == "Foreground"
    if default == "Unsupported":
        orphan = foreground = False
    kept = [f for f in present if f not in (ORPHAN, FOREGROUND)]
    return [*kept, *([ORPHAN] if orphan else []), *([FOREGROUND] if foreground else [])]


PLAINLY_MARKED = frozenset(("namespaces", "customresourcedefinitions.apiextensions.k8s.io"))
"""What upstream deletes in ways of their own: without a grace period, and the generation stays."""


def _mark(served: Served, obj: Obj, now: float) -> None:
    meta = obj["metadata"]
    already, plain = meta.get("deletionTimestamp"), served.gvr.group_resource in PLAINLY_MARKED
    if not already and meta.get("generation") and not plain:
        meta["generation"] += 1
    if not already or epoch(already) > now:
        meta["deletionTimestamp"] = format_time(now)
    if not plain:
        meta["deletionGracePeriodSeconds"] = 0
    elif served.gvr.plural == "namespaces":
        obj.setdefault("status", {})["phase"] = "Terminating"


def _namespace_content(served: Served, obj: Obj) -> bool:
    """A namespace goes through Terminating until its spec has no finalizer left."""
    if served.gvr.plural != "namespaces" or served.gvr.group:
        return False
    return bool(obj.get("spec", {}).get("finalizers"))
