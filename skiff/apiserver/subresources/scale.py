"""The scale subresource: a workload's replicas as an autoscaling/v1 Scale, whatever kind it is.

Where the figures stand in the object is told by PATHS for built-in kinds and by the CRD for custom ones.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from skiff.api.errors import FieldError, internal, invalid, invalid_object, not_found
from skiff.api.resources.fields import at
from skiff.api.selectors import format_label_selector, from_set
from skiff.api.types import GVR, Obj
from skiff.apiserver import fields, metadata, options
from skiff.apiserver.call import Call
from skiff.apiserver.served import Served
from skiff.apiserver.subresources.bodies import SCALE
from skiff.apiserver.verbs import patch as patching
from skiff.apiserver.verbs import update as updating
from skiff.wire.messages import Response

SCALES = GVR("autoscaling", "v1", "scales", "Scale")


def to_scale(served: Served, obj: Obj) -> Obj:
    """Raises 500 (as upstream) for a custom resource without replicas."""
    if served.resource.scale is not None:
        return _custom_scale(obj, served.resource.scale)
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    text = str(from_set(selector)) if obj["kind"] == "ReplicationController" else format_label_selector(selector)
    scale_status: dict[str, Any] = {"replicas": status.get("replicas", 0)}
    if selector:
        scale_status["selector"] = text
    return _scale(meta, spec.get("replicas", 0), scale_status)


def _custom_scale(obj: Obj, paths: tuple[str, str, str]) -> Obj:
    spec, status, selector = paths
    replicas = at(obj, spec)
    if replicas is None:
        raise internal(f'the spec replicas field "{spec}" does not exist')
    scale_status: dict[str, Any] = {"replicas": at(obj, status) or 0}
    if text := at(obj, selector) if selector else None:
        scale_status["selector"] = text
    return _scale(obj["metadata"], replicas, scale_status)


def _scale(meta: Obj, replicas: int, status: Obj) -> Obj:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: meta[k] for k in kept if k in meta},
        "spec": {"replicas": replicas} if replicas else {},  # upstream leaves a zero out
        "status": status,
    }


def _prepare(served: Served, new: Obj, old: Obj) -> None:
    """`make` has changed nothing but the replicas."""


def _check(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return []


def _taken(served: Served, new: Obj, scale: Obj) -> Obj:
    """What admission made of the scale, in the object. Raises 422."""
    _check_replicas(scale, new["metadata"]["name"])
    return scaled(served, new, scale)


PART = updating.Part(_prepare, _check, to_scale, _taken)


async def get(call: Call) -> Response:
    registry = call.server.registry
    entry = await registry.current(call.served, call.namespace, call.info.name)
    if entry is None:
        raise not_found(call.served.gvr, call.info.name)
    return call.answer_obj(to_scale(call.served, call.served.load(entry)))


async def update(call: Call) -> Response:
    wanted = options.write_options(call.params, "UpdateOptions")
    scale = _decoded(call, call.body("Scale"), wanted.field_validation)

    async def make(old: Obj | None) -> Obj:
        return scaled(call.served, _copied(call, old), scale)

    return await _write(call, make, wanted)


async def patch(call: Call) -> Response:
    kind, wanted, body = patching.read(call)
    if kind == patching.APPLY:
        return await _write(call, _applied(call, body, wanted), wanted, apply=True)
    node = SCALE.node() if kind == patching.STRATEGIC else None

    async def make(old: Obj | None) -> Obj:
        old = _copied(call, old)
        patched = patching.PATCHERS[kind](to_scale(call.served, old), body, node)
        return scaled(call.served, old, _decoded(call, orjson.loads(orjson.dumps(patched)), "Ignore"))

    return await _write(call, make, wanted)


def _applied(call: Call, body: Any, wanted: options.WriteOptions) -> updating.Make:
    """The scale's replicas are applied as those of the object, so that they conflict with who else owns them."""
    scale, gvr = _decoded(call, body, "Strict"), call.served.gvr
    config: Obj = {"apiVersion": gvr.api_version, "kind": gvr.kind, "metadata": {"name": call.info.name}}
    if "replicas" in (body.get("spec") or {}):
        path = call.served.resource.scale[0] if call.served.resource.scale is not None else ".spec.replicas"
        config = _with(config, path, scale["spec"]["replicas"])
    apply = fields.applier(call, config, wanted)

    async def make(old: Obj | None) -> Obj:
        return await apply(_copied(call, old))

    return make


async def _write(call: Call, make: updating.Make, wanted: options.WriteOptions, *, apply: bool = False) -> Response:
    call.accepted()
    written = await updating.write(call, make, PART, wanted, wanted.as_object("UpdateOptions"), apply=apply)
    return call.answer_obj(to_scale(call.served, orjson.loads(written.data)))


def _decoded(call: Call, data: Any, validation: str) -> Obj:
    scale = SCALE.decode(call, data, validation)
    metadata.match_namespace(scale["metadata"], call.namespace)
    metadata.check_name(scale["metadata"], call.info.name)
    _check_replicas(scale, call.info.name)
    return scale


def _check_replicas(scale: Obj, name: str) -> None:
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        why = "must be greater than or equal to 0"
        raise invalid_object(SCALES, name, [invalid("spec.replicas", replicas, why)])


def _with(obj: Obj, path: str, value: int) -> Obj:
    """The object with another value at a simple path; nothing given is changed."""
    *parents, last = path.removeprefix(".").split(".")
    result: Obj = dict(obj)
    here = result
    for name in parents:
        below = here.get(name)
        here[name] = dict(below) if isinstance(below, dict) else {}
        here = here[name]
    here[last] = value
    return result


def _copied(call: Call, old: Obj | None) -> Obj:
    if old is None:
        raise not_found(call.served.gvr, call.info.name)
    copy: Obj = orjson.loads(orjson.dumps(old))
    return copy


def scaled(served: Served, old: Obj, scale: Obj) -> Obj:
    """The current object with the scale's replicas; the scale's resourceVersion and uid stay preconditions."""
    given: Mapping[str, Any] = scale["metadata"]
    meta = {**old["metadata"], "resourceVersion": given.get("resourceVersion") or old["metadata"]["resourceVersion"]}
    if given.get("uid"):
        meta["uid"] = given["uid"]
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if served.resource.scale is not None:
        return {**_with(old, served.resource.scale[0], replicas), "metadata": meta}
    return {**old, "metadata": meta, "spec": {**(old.get("spec") or {}), "replicas": replicas}}
