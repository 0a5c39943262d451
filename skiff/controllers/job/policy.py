"""What the ends of pods mean: pod failure policy, success policy, and the wait before a failed pod is replaced.

Pure. Source: upstream pkg/controller/job (pod_failure_policy.go, success_policy.go, backoff_utils.go).
"""

from collections.abc import Iterable, Sequence

from skiff.api.meta import get_condition, is_being_deleted, name, namespace, pod_phase
from skiff.api.types import Obj
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds
from skiff.controllers.job import indexes

BACKOFF_BASE_S = 10.0
BACKOFF_CAP_S = 600.0


def failure_action(job: Obj, pod: Obj) -> tuple[str, str]:
    """(Count, Ignore, FailJob or FailIndex, message for FailJob) of a failed pod. The first rule that matches decides."""
    rules = (spec(job).get("podFailurePolicy") or {}).get("rules") or ()
    for position, rule in enumerate(rules):
        text = _match_codes(rule, pod) or _match_conditions(rule, pod)
        if text:
            where = f"for pod {namespace(pod)}/{name(pod)} matching {rule['action']} rule at index {position}"
            return rule["action"], f"{text} {where}" if rule["action"] == "FailJob" else ""
    return "Count", ""


def _match_codes(rule: Obj, pod: Obj) -> str:
    wanted = rule.get("onExitCodes")
    if not wanted:
        return ""
    statuses = [*(status(pod).get("initContainerStatuses") or ()), *(status(pod).get("containerStatuses") or ())]
    for container in statuses:
        code = ((container.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
        if not code or wanted.get("containerName") not in (None, container["name"]):
            continue
        if (code in (wanted.get("values") or ())) == (wanted["operator"] == "In"):
            return f"Container {container['name']} failed with exit code {code}"
    return ""


def _match_conditions(rule: Obj, pod: Obj) -> str:
    for wanted in rule.get("onPodConditions") or ():
        found = get_condition(pod, wanted["type"])
        if found is not None and found.get("status") == wanted.get("status", "True"):
            return f"Pod {namespace(pod)}/{name(pod)} has condition {wanted['type']} matching"
    return ""


def success_rule(job: Obj, succeeded: set[int]) -> str:
    """The message of the success policy's first rule that holds; "" if none does."""
    for position, rule in enumerate((spec(job).get("successPolicy") or {}).get("rules") or ()):
        wanted = indexes.parse(rule.get("succeededIndexes"), spec(job).get("completions") or 0)
        found = succeeded & wanted if rule.get("succeededIndexes") else succeeded
        needed = rule.get("succeededCount") or (len(wanted) if wanted else 0)
        if needed and len(found) >= needed:
            return f"Matched rules at index {position}"
    return ""


def finished_at(pod: Obj) -> float:
    """When the last of its containers ended, or else what comes closest."""
    ends = []
    for container in status(pod).get("containerStatuses") or ():
        end = seconds(((container.get("state") or {}).get("terminated") or {}).get("finishedAt"))
        if end is not None:
            ends.append(end)
    if ends:
        return max(ends)
    ready = get_condition(pod, "Ready")
    return seconds((ready or {}).get("lastTransitionTime")) or seconds(pod["metadata"].get("creationTimestamp")) or 0.0


def backoff_wait(pods: Iterable[Obj], now: float) -> float:
    """Seconds before a failed pod may be replaced: 10 s after the first failure in a row, doubling, at most 10 min."""
    ended = sorted((finished_at(pod), pod_phase(pod) == "Failed") for pod in pods if _has_ended(pod))
    last_success = max((at for at, failed in ended if not failed), default=0.0)
    failures = [at for at, failed in ended if failed and at > last_success]
    if not failures:
        return 0.0
    wait = min(BACKOFF_BASE_S * 2.0 ** min(len(failures) - 1, 16), BACKOFF_CAP_S)
    return max(0.0, failures[-1] + wait - now)


def _has_ended(pod: Obj) -> bool:
    return pod_phase(pod) in ("Succeeded", "Failed")


def restarts_exhausted(job: Obj, pods: Sequence[Obj]) -> bool:
    """With restartPolicy OnFailure, restarts of containers count against the backoff limit."""
    if (spec(job)["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    limit = spec(job).get("backoffLimit", 6)
    restarts = 0
    for pod in pods:
        if pod_phase(pod) in ("Running", "Pending") and not is_being_deleted(pod):
            kinds = ("initContainerStatuses", "containerStatuses")
            restarts += sum(c.get("restartCount") or 0 for kind in kinds for c in status(pod).get(kind) or ())
    return restarts > 0 if limit == 0 else restarts >= limit
