"""pods/binding and the older bindings collection: gives a pod its node, once. Source: core/pod/storage/storage.go."""

from skiff import env
from skiff.api import meta
from skiff.api.errors import StatusError, bad_request, conflict, invalid_object, not_supported, required
from skiff.api.gvr import PODS
from skiff.api.times import format_time
from skiff.api.types import GVR, Obj
from skiff.apiserver import options
from skiff.apiserver.call import Call
from skiff.apiserver.subresources.bodies import BINDING, SUCCESS, admit
from skiff.wire.messages import Response

BINDINGS = GVR("", "v1", "bindings", "Binding")


async def create(call: Call) -> Response:
    wanted = options.write_options(call.params, "CreateOptions")
    binding = BINDING.decode(call, call.body("Binding"))
    given = binding["metadata"]
    if given.get("name") != call.info.name:
        raise bad_request("name in URL does not match name in Binding object")
    await _bind(call, call.info.name, binding, wanted)
    return call.answer_obj({**SUCCESS, "code": 201}, 201)


async def create_unnamed(call: Call) -> Response:
    """POST to the bindings collection; the body names the pod."""
    wanted = options.write_options(call.params, "CreateOptions")
    binding = BINDING.decode(call, call.body("Binding"))
    await _bind(call, binding["metadata"].get("name", ""), binding, wanted)
    return call.answer_obj({**SUCCESS, "code": 201}, 201)


async def _bind(call: Call, name: str, binding: Obj, wanted: options.WriteOptions) -> None:
    namespace = binding["metadata"].get("namespace")
    if namespace and namespace != call.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    binding = await admit(call, binding, wanted, name)
    _check(binding)
    pods = call.server.registry.served(PODS)
    assert pods is not None
    now = format_time(env.epoch())
    await call.server.registry.amend(pods, call.namespace, name, lambda pod: assign(pod, binding, now), wanted.dry_run)


def _check(binding: Obj) -> None:
    target = binding.get("target") or {}
    errors = []
    if target.get("kind") not in (None, "", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        errors.append(required("target.name"))
    if errors:
        raise invalid_object(BINDINGS, binding["metadata"].get("name", ""), errors)


def assign(pod: Obj, binding: Obj, now: str) -> None:
    """The pod on its node, in place. Raises 409."""
    own, given = pod["metadata"], binding["metadata"]
    for field, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if given.get(field) and given[field] != own.get(field):
            why = (
                f"Precondition failed: {what} in precondition: {given[field]}, {what} in object meta: {own.get(field)}"
            )
            raise conflict(PODS, own["name"], why)
    spec = pod["spec"]
    if own.get("deletionTimestamp"):
        raise _refused(own["name"], f"pod {own['name']} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refused(own["name"], f'pod {own["name"]} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(own["name"], f"pod {own['name']} has non-empty .spec.schedulingGates")
    spec["nodeName"] = binding["target"]["name"]
    pod.setdefault("status", {}).pop("nominatedNodeName", None)
    for field in ("annotations", "labels"):
        if given.get(field):
            own[field] = {**(own.get(field) or {}), **given[field]}
    meta.set_condition(pod, "PodScheduled", "True", now=now)


def _refused(name: str, why: str) -> StatusError:
    return conflict(GVR("", "v1", "pods/binding", "Binding"), name, why)
