"""pods/ephemeralcontainers and pods/resize: a complete pod is sent, and only that part of it counts."""

from collections.abc import Awaitable, Callable, Mapping

from skiff.api.errors import FieldError
from skiff.api.types import Obj
from skiff.apiserver.call import Call
from skiff.apiserver.served import Served
from skiff.apiserver.verbs import get, patch, update
from skiff.wire.messages import Response

Verb = Callable[[Call], Awaitable[Response]]


def _restore(new: Obj, old: Obj) -> None:
    """Everything as stored; only metadata that guards the write stays as sent."""
    meta = {**old["metadata"], "managedFields": new["metadata"].get("managedFields")}
    for name in ("resourceVersion", "uid"):
        if new["metadata"].get(name):
            meta[name] = new["metadata"][name]
    if meta["managedFields"] is None:
        del meta["managedFields"]
    new.clear()
    new.update(old)
    new["metadata"] = meta
    new["spec"] = dict(old["spec"])


def prepare_ephemeral(served: Served, new: Obj, old: Obj) -> None:
    containers = new.get("spec", {}).get("ephemeralContainers")
    _restore(new, old)
    if containers:
        new["spec"]["ephemeralContainers"] = containers
    else:
        new["spec"].pop("ephemeralContainers", None)


def check_ephemeral(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return served.resource.subresource_rules["ephemeralcontainers"](new, old)


def prepare_resize(served: Served, new: Obj, old: Obj) -> None:
    sent = new.get("spec", {})
    wanted = {kind: {c.get("name"): c for c in sent.get(kind) or ()} for kind in ("containers", "initContainers")}
    _restore(new, old)
    for kind, by_name in wanted.items():
        if old["spec"].get(kind):
            new["spec"][kind] = [_resized(c, by_name.get(c["name"])) for c in old["spec"][kind]]


def _resized(container: Obj, wanted: Obj | None) -> Obj:
    if wanted is None:
        return container
    parts: Obj = {k: wanted[k] for k in ("resources", "resizePolicy") if k in wanted}
    return {**container, **parts}


def check_resize(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return served.resource.subresource_rules["resize"](new, old)


def _verbs(part: update.Part) -> Mapping[str, Verb]:
    async def put(call: Call) -> Response:
        return await update.put(call, part)

    async def patch_part(call: Call) -> Response:
        return await patch.patch_part(call, part)

    return {"get": get.handle, "update": put, "patch": patch_part}


EPHEMERAL = _verbs(update.Part(prepare_ephemeral, check_ephemeral))
RESIZE = _verbs(update.Part(prepare_resize, check_resize))
