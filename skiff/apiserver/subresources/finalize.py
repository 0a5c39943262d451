"""namespaces/finalize: the one way to change spec.finalizers; the last one gone, a terminating namespace is deleted."""

from skiff.api.errors import FieldError
from skiff.api.types import Obj
from skiff.apiserver.call import Call
from skiff.apiserver.served import Served
from skiff.apiserver.verbs import update as updating
from skiff.wire.messages import Response


def _prepare(served: Served, new: Obj, old: Obj) -> None:
    finalizers = (new.get("spec") or {}).get("finalizers") or []
    new["spec"] = {**(old.get("spec") or {}), "finalizers": finalizers}
    if not finalizers:
        del new["spec"]["finalizers"]
    if "status" in old:
        new["status"] = old["status"]


def _check(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return served.resource.subresource_rules["finalize"](new, old)


PART = updating.Part(_prepare, _check)


async def update(call: Call) -> Response:
    return await updating.put(call, PART)
