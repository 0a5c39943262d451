"""certificatesigningrequests: approval changes the conditions, status everything else in the status.

Source: upstream registry/certificates/certificates/strategy.go.
"""

from collections.abc import Awaitable, Callable, Mapping

from skiff import env
from skiff.api.errors import FieldError
from skiff.api.times import format_time
from skiff.api.types import Obj
from skiff.apiserver.call import Call
from skiff.apiserver.served import Served
from skiff.apiserver.verbs import get, patch, update
from skiff.wire.messages import Response

Verb = Callable[[Call], Awaitable[Response]]

DECISIONS = ("Approved", "Denied")


def _conditions(obj: Obj) -> list[Obj]:
    return (obj.get("status") or {}).get("conditions") or []


def _set_conditions(obj: Obj, conditions: list[Obj]) -> None:
    status = {**(obj.get("status") or {})}
    if conditions:
        status["conditions"] = conditions
    else:
        status.pop("conditions", None)
    obj["status"] = status


def stamp(conditions: list[Obj], before: list[Obj], now: str) -> None:
    """New conditions get their times, in place."""
    known = {c.get("type"): c for c in before}
    for condition in conditions:
        old = known.get(condition.get("type"))
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = now
        if not condition.get("lastTransitionTime"):
            same = old is not None and old.get("status") == condition.get("status")
            condition["lastTransitionTime"] = old.get("lastTransitionTime", now) if old and same else now


def prepare_approval(served: Served, new: Obj, old: Obj) -> None:
    conditions = _conditions(new)
    stamp(conditions, _conditions(old), format_time(env.epoch()))
    new["spec"] = old.get("spec", {})
    new["status"] = dict(old.get("status") or {})
    _set_conditions(new, conditions)


def check_approval(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    """A decision is never taken back and never both ways."""
    return served.resource.subresource_rules["approval"](new, old)


def prepare_status(served: Served, new: Obj, old: Obj) -> None:
    """Decisions stay as they are: they belong to approval. One more or one less is refused later."""
    new["spec"] = old.get("spec", {})
    conditions = list(_conditions(new))
    for kind in DECISIONS:
        before = [c for c in _conditions(old) if c.get("type") == kind]
        places = [i for i, c in enumerate(conditions) if c.get("type") == kind]
        if len(places) == len(before):
            for i, condition in zip(places, before, strict=True):
                conditions[i] = condition
    stamp(conditions, _conditions(old), format_time(env.epoch()))
    _set_conditions(new, conditions)


def check_status(served: Served, new: Obj, old: Obj) -> list[FieldError]:
    return served.resource.validate_status_update(new, old)


def _verbs(part: update.Part) -> Mapping[str, Verb]:
    async def put(call: Call) -> Response:
        return await update.put(call, part)

    async def patch_part(call: Call) -> Response:
        return await patch.patch_part(call, part)

    return {"get": get.handle, "update": put, "patch": patch_part}


APPROVAL = _verbs(update.Part(prepare_approval, check_approval))
STATUS = _verbs(update.Part(prepare_status, check_status))
