"""The scale subresource: a workload's replicas as an autoscaling/v1 Scale, whatever kind it is.

Where the figures stand in the object is told by PATHS for built-in kinds and by the CRD for custom ones.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from skiff.api.errors import FieldError, invalid, invalid_object, not_found
from skiff.api.schema import SchemaNode
from skiff.api.selectors import format_label_selector, from_set
from skiff.api.types import GVR, Obj
from skiff.apiserver import metadata, negotiation, options
from skiff.apiserver.call import Call
from skiff.apiserver.served import Served
from skiff.apiserver.subresources.bodies import SCALE
from skiff.apiserver.verbs import patch as patching
from skiff.apiserver.verbs import update as updating
from skiff.wire.messages import Response

SCALES = GVR("autoscaling", "v1", "scales", "Scale")


def to_scale(obj: Obj) -> Obj:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    text = str(from_set(selector)) if obj["kind"] == "ReplicationController" else format_label_selector(selector)
    scale_status: dict[str, Any] = {"replicas": status.get("replicas", 0)}
    if selector:
        scale_status["selector"] = text
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: meta[k] for k in kept if k in meta},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": scale_status,
    }


def _prepare(served: Served, new: Obj, old: Obj) -> None:
    """`make` has changed nothing but the replicas."""


def _check(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return []


PART = updating.Part(_prepare, _check)


async def get(call: Call) -> Response:
    registry = call.server.registry
    entry = await registry.current(call.served, call.namespace, call.info.name)
    if entry is None:
        raise not_found(call.served.gvr, call.info.name)
    return call.answer_obj(to_scale(call.served.load(entry)))


async def update(call: Call) -> Response:
    wanted = options.write_options(call.params, "UpdateOptions")
    scale = _decoded(call, call.body(), wanted.field_validation)

    async def make(old: Obj | None) -> Obj:
        return scaled(call, old, scale)

    return await _write(call, make, wanted)


async def patch(call: Call) -> Response:
    kind, wanted, body = patching.read(call)
    if kind == patching.APPLY:
        return await _write(call, _applied(call, body), wanted)
    node = _node() if kind == patching.STRATEGIC else None

    async def make(old: Obj | None) -> Obj:
        if old is None:
            raise not_found(call.served.gvr, call.info.name)
        patched = patching.PATCHERS[kind](to_scale(old), body, node)
        return scaled(call, old, _decoded(call, orjson.loads(orjson.dumps(patched)), "Ignore"))

    return await _write(call, make, wanted)


def _applied(call: Call, body: Any) -> updating.Make:
    scale = _decoded(call, body, "Strict")

    async def make(old: Obj | None) -> Obj:
        return scaled(call, old, scale)

    return make


def _node() -> SchemaNode:
    from skiff.api import schema

    return schema.load().node(SCALE.definition)


async def _write(call: Call, make: updating.Make, wanted: options.WriteOptions) -> Response:
    negotiation.accepted(call.request)
    written = await updating.write(call, make, PART, wanted, wanted.as_object("UpdateOptions"))
    return call.answer_obj(to_scale(orjson.loads(written.data)))


def _decoded(call: Call, data: Any, validation: str) -> Obj:
    scale = SCALE.decode(call, data, validation)
    metadata.match_namespace(scale["metadata"], call.namespace)
    metadata.check_name(scale["metadata"], call.info.name)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        why = "must be greater than or equal to 0"
        raise invalid_object(SCALES, call.info.name, [invalid("spec.replicas", replicas, why)])
    return scale


def scaled(call: Call, old: Obj | None, scale: Obj) -> Obj:
    """The current object with the scale's replicas; the scale's resourceVersion and uid stay preconditions."""
    if old is None:
        raise not_found(call.served.gvr, call.info.name)
    given: Mapping[str, Any] = scale["metadata"]
    meta = {**old["metadata"], "resourceVersion": given.get("resourceVersion") or old["metadata"]["resourceVersion"]}
    if given.get("uid"):
        meta["uid"] = given["uid"]
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    return {**old, "metadata": meta, "spec": {**(old.get("spec") or {}), "replicas": replicas}}
