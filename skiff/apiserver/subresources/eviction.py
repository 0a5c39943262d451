"""pods/eviction: deletes a pod if its disruption budget allows. Source: upstream core/pod/storage/eviction.go."""

from dataclasses import replace
from typing import Any

from skiff import env
from skiff.api import meta, selectors
from skiff.api.errors import StatusError, bad_request, conflict, forbidden, is_conflict, not_found, too_many_requests
from skiff.api.gvr import PODDISRUPTIONBUDGETS
from skiff.api.times import format_time
from skiff.api.types import GVR, Obj
from skiff.apiserver import options
from skiff.apiserver.call import Call
from skiff.apiserver.options import DeleteOptions
from skiff.apiserver.served import Served
from skiff.apiserver.subresources.bodies import EVICTION, SUCCESS, admit
from skiff.apiserver.verbs import delete
from skiff.wire.messages import Response

MAX_DISRUPTED_PODS = 2000
ATTEMPTS = 20
VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
MANY_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def create(call: Call) -> Response:
    wanted = options.write_options(call.params, "CreateOptions")
    eviction = EVICTION.decode(call, call.body("Eviction"))
    if eviction["metadata"].get("name") != call.info.name:
        raise bad_request("name in URL does not match name in Eviction object")
    deletion = _deletion(await admit(call, eviction, wanted, call.info.name), wanted)
    failure = await _evict(call, deletion)
    if failure is not None:
        return call.answer_obj(failure, failure["code"])
    return call.answer_obj({**SUCCESS, "code": 201}, 201)


def _deletion(eviction: Obj, wanted: options.WriteOptions) -> DeleteOptions:
    body = eviction.get("deleteOptions")
    found = options.delete_options({}, {k: v for k, v in body.items() if k != "kind"}) if body else DeleteOptions()
    return replace(found, dry_run=found.dry_run or wanted.dry_run)


async def _evict(call: Call, deletion: DeleteOptions) -> Obj | None:
    """None, or the Status that says why not. Raises 404, 409, 429."""
    for _ in range(ATTEMPTS):
        pod = await _pod(call)
        budget = None
        if not _unprotected(pod):
            budgets = await _budgets(call, pod)
            if len(budgets) > 1:
                return {**SUCCESS, "status": "Failure", "message": MANY_BUDGETS, "code": 500}
            budget = budgets[0] if budgets else None
        guarded = budget is not None and await _spend(call, pod, budget, deletion.dry_run)
        pinned = deletion.resource_version is None and not guarded and _is_live(pod)
        try:
            await _remove(call, pod, deletion, pinned)
            return None
        except StatusError as e:
            if not is_conflict(e) or not pinned:
                raise
            if budget is not None:
                raise still_processed(budget["metadata"]["name"]) from None
    raise conflict(call.served.gvr, call.info.name)


async def _pod(call: Call) -> Obj:
    entry = await call.server.registry.current(call.served, call.namespace, call.info.name)
    if entry is None:
        raise not_found(call.served.gvr, call.info.name)
    return call.served.load(entry)


def _is_live(pod: Obj) -> bool:
    return not meta.is_pod_terminal(pod) and not meta.is_being_deleted(pod)


def _unprotected(pod: Obj) -> bool:
    """No budget counts this pod as a disruption."""
    return not _is_live(pod) or meta.pod_phase(pod) == "Pending"


def _budget_resource(call: Call) -> Served:
    served = call.server.registry.served(PODDISRUPTIONBUDGETS)
    assert served is not None
    return served


async def _budgets(call: Call, pod: Obj) -> list[Obj]:
    cache = _budget_resource(call).cache
    await cache.fresh()
    return [e.obj for e in cache.entries(call.namespace) if _covers(e.obj, pod)]


def _covers(budget: Obj, pod: Obj) -> bool:
    try:
        return selectors.from_label_selector(budget.get("spec", {}).get("selector")).matches(meta.labels(pod))
    except selectors.SelectorError:
        return False  # it selects nothing


async def _spend(call: Call, pod: Obj, budget: Obj, dry_run: bool) -> bool:
    """Takes one disruption from the budget. False: the pod is not ready and does not count. Raises 403, 429."""
    status = budget.get("status") or {}
    if not meta.is_pod_ready(pod):
        if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return False
        if status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0:
            return False
    now = format_time(env.epoch())
    name = budget["metadata"]["name"]
    await call.server.registry.amend(
        _budget_resource(call), call.namespace, name, lambda b: spend(b, call.info.name, now), dry_run
    )
    return True


def spend(budget: Obj, pod_name: str, now: str) -> None:
    """One disruption less, in place. Raises 403, 429."""
    name = budget["metadata"]["name"]
    status = budget.setdefault("status", {})
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise still_processed(name)
    allowed = status.get("disruptionsAllowed", 0)
    gvr = GVR("policy", "v1", "poddisruptionbudget", "PodDisruptionBudget")
    if allowed < 0:
        raise forbidden(gvr, name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > MAX_DISRUPTED_PODS:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden(gvr, name, why)
    if allowed == 0:
        raise _with_cause(too_many_requests(VIOLATES, 0), _why_not(name, status))
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        meta.set_condition(
            budget,
            "DisruptionAllowed",
            "False",
            now=now,
            reason="InsufficientPods",
            observedGeneration=status.get("observedGeneration", 0),
        )
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod_name: now}


def _why_not(name: str, status: Obj) -> str:
    condition: Any = meta.find_condition(status.get("conditions"), "DisruptionAllowed") or {}
    refused = condition.get("status") == "False" and condition.get("message")
    if refused and condition.get("reason") == "SyncFailed":
        return (
            f"The disruption budget {name} does not allow evicting pods currently because it failed sync: "
            f"{condition['message']}"
        )
    needed, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    if healthy <= needed:
        return f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
    if refused:
        return (
            f"The disruption budget {name} does not allow evicting pods currently ({condition.get('reason')}): "
            f"{condition['message']}"
        )
    return f"The disruption budget {name} does not allow evicting pods currently"


def still_processed(name: str) -> StatusError:
    return _with_cause(
        too_many_requests(VIOLATES, 10), f"The disruption budget {name} is still being processed by the server."
    )


def _with_cause(error: StatusError, message: str) -> StatusError:
    details = error.status.setdefault("details", {})
    details["causes"] = [{"reason": "DisruptionBudget", "message": message}]
    if not details.get("retryAfterSeconds"):
        error.headers.pop("Retry-After", None)
    return error


async def _remove(call: Call, pod: Obj, deletion: DeleteOptions, pinned: bool) -> None:
    """Notes the disruption in the pod's conditions, then deletes it. pinned: only this very version."""
    version = pod["metadata"]["resourceVersion"] if pinned else deletion.resource_version
    deletion = replace(deletion, resource_version=version)
    now = format_time(env.epoch())

    def condemn(current: Obj) -> None:
        delete.check_preconditions(call.served, current, deletion)
        meta.set_condition(
            current,
            "DisruptionTarget",
            "True",
            now=now,
            reason="EvictionByEvictionAPI",
            message="Eviction API: evicting",
        )

    if not deletion.dry_run:
        updated = await call.server.registry.amend(call.served, call.namespace, call.info.name, condemn, False)
        if version is not None:
            deletion = replace(deletion, resource_version=updated["metadata"]["resourceVersion"])
    await delete.erase(call, call.namespace, call.info.name, deletion, admit=False)
