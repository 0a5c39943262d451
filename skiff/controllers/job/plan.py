"""What a job needs next: pods to start, pods to end, a verdict, a status.

Pure. Source: upstream pkg/controller/job/job_controller.go (syncJob, manageJob).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from skiff.api.meta import find_condition, is_being_deleted, is_pod_active, is_pod_ready, is_pod_terminating, name
from skiff.api.types import Obj
from skiff.controllers.common import pods as podfacts
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.times import seconds, timestamp
from skiff.controllers.job import indexes
from skiff.controllers.job.policy import backoff_wait, failure_action, restarts_exhausted, success_rule
from skiff.controllers.job.tally import Tally, has_failed, is_indexed, replaces_only_failed, written

MOST_PODS = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the job ends. type: SuccessCriteriaMet or FailureTarget at first, then Complete or Failed."""

    type: str
    reason: str
    message: str

    @property
    def final(self) -> str:
        return "Complete" if self.type == "SuccessCriteriaMet" else "Failed"


@dataclass(slots=True)
class Plan:
    """create: one entry per pod, its index or None. delete: names. again: seconds."""

    create: list[int | None] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    again: float | None = None


def is_suspended(job: Obj) -> bool:
    return bool(spec(job).get("suspend"))


def is_finished(job: Obj) -> bool:
    conditions = status(job).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def verdict(job: Obj, pods: Sequence[Obj], found: Tally, now: float) -> Verdict | None:
    """None while the job goes on."""
    conditions = status(job).get("conditions")
    for type in ("SuccessCriteriaMet", "FailureTarget"):
        noted = find_condition(conditions, type)
        if noted is not None and noted.get("status") == "True":
            return Verdict(type, noted.get("reason", ""), noted.get("message", ""))
    for pod in pods:
        if has_failed(job, pod):
            action, message = failure_action(job, pod)
            if action == "FailJob":
                return Verdict("FailureTarget", "PodFailurePolicy", message)
    limit = spec(job).get("backoffLimit", 6)
    if found.total_failed > limit or restarts_exhausted(job, pods):
        return Verdict("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if (left := seconds_to_deadline(job, now)) is not None and left <= 0:
        return Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    return _by_index(job, found) or _completed(job, pods, found)


def _by_index(job: Obj, found: Tally) -> Verdict | None:
    if not is_indexed(job):
        return None
    most = spec(job).get("maxFailedIndexes")
    if most is not None and len(found.failed_indexes) > most:
        text = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict("FailureTarget", "MaxFailedIndexesExceeded", text)
    if found.failed_indexes and len(found.failed_indexes | found.completed) >= (spec(job).get("completions") or 0):
        return Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")
    if message := success_rule(job, found.completed):
        return Verdict("SuccessCriteriaMet", "SuccessPolicy", message)
    return None


def _completed(job: Obj, pods: Sequence[Obj], found: Tally) -> Verdict | None:
    """With a number of completions: reached. Without: one pod has succeeded and none is at work."""
    completions = spec(job).get("completions")
    done = found.total_succeeded > 0 if completions is None else found.total_succeeded >= completions
    if not done or any(is_pod_active(pod) for pod in pods):
        return None
    return Verdict("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")


def seconds_to_deadline(job: Obj, now: float) -> float | None:
    limit = spec(job).get("activeDeadlineSeconds")
    since = seconds(status(job).get("startTime"))
    if limit is None or since is None or is_suspended(job):
        return None
    return since + limit - now


def plan(job: Obj, pods: Sequence[Obj], found: Tally, now: float) -> Plan:
    left = seconds_to_deadline(job, now)
    result = Plan(verdict=verdict(job, pods, found, now), again=left if left is not None and left > 0 else None)
    active = [pod for pod in pods if is_pod_active(pod)]
    if result.verdict is not None or is_suspended(job):
        result.delete = [name(pod) for pod in active]
        return result
    if is_being_deleted(job):
        return result
    wanted = _wanted(job, found, len(active))
    extra = indexes.duplicates(active, spec(job).get("completions") or 0) if is_indexed(job) else []
    surplus = max(0, len(active) - len(extra) - wanted)
    kept = [pod for pod in active if pod not in extra]
    chosen = podfacts.deletion_order(kept, kept, now)[:surplus] if surplus else []
    result.delete = [name(pod) for pod in [*extra, *chosen][:MOST_PODS]]
    terminating = sum(map(is_pod_terminating, pods)) if replaces_only_failed(job) else 0
    count = min(wanted - len(active) - terminating, MOST_PODS)
    if result.delete or count <= 0:
        return result
    if (wait := backoff_wait(pods, now)) > 0:
        result.again = min(wait, result.again) if result.again is not None else wait
        return result
    result.create = _places(job, pods, found, count)
    return result


def _wanted(job: Obj, found: Tally, active: int) -> int:
    """How many pods should be at work."""
    parallelism = int(spec(job).get("parallelism", 1))
    completions = spec(job).get("completions")
    if completions is None:
        return min(active, parallelism) if found.total_succeeded else parallelism
    left = completions - found.total_succeeded - len(found.failed_indexes - found.completed)
    return int(max(0, min(left, parallelism)))


def _places(job: Obj, pods: Sequence[Obj], found: Tally, count: int) -> list[int | None]:
    if not is_indexed(job):
        return [None] * count
    at_work = {indexes.index_of(pod) for pod in pods if is_pod_active(pod)}
    if replaces_only_failed(job):
        at_work |= {indexes.index_of(pod) for pod in pods if is_pod_terminating(pod)}
    return list(
        indexes.missing(count, spec(job).get("completions") or 0, at_work | found.completed | found.failed_indexes)
    )


# --- status


def next_status(job: Obj, pods: Sequence[Obj], found: Tally, how: Verdict | None, now: float) -> Obj:
    """The verdict becomes final when no pod is left at work and every end is counted; a suspended job has to be resumed for
    that, unless there was nothing to do."""
    active = [pod for pod in pods if is_pod_active(pod)]
    terminating = sum(map(is_pod_terminating, pods))
    before = status(job)
    result: Obj = {k: before[k] for k in ("startTime", "completionTime") if before.get(k)}
    if not is_suspended(job):
        result.setdefault("startTime", timestamp(now))
    result |= {"ready": sum(map(is_pod_ready, active)), "terminating": terminating}
    if active:
        result["active"] = len(active)
    result |= written(job, found)
    conditions = list(before.get("conditions") or ())
    if how is not None:
        conditions = _with(conditions, how.type, "True", how.reason, how.message, now)
        started = "startTime" in result or spec(job).get("completions") == 0
        if started and not active and not terminating and found.flushed:
            conditions = _with(conditions, how.final, "True", how.reason, how.message, now)
            if how.final == "Complete":
                result["completionTime"] = timestamp(now)
    elif is_suspended(job):
        conditions = _with(conditions, "Suspended", "True", "JobSuspended", "Job suspended", now)
        result.pop("startTime", None)
    else:
        if find_condition(conditions, "Suspended") is not None:
            resumed = _with(conditions, "Suspended", "False", "JobResumed", "Job resumed", now)
            if resumed != conditions:
                result["startTime"] = timestamp(now)
            conditions = resumed
    if conditions:
        result["conditions"] = conditions
    return result


def _with(conditions: list[Obj], type: str, value: str, reason: str, message: str, now: float) -> list[Obj]:
    old = find_condition(conditions, type)
    new = {"type": type, "status": value, "reason": reason, "message": message}
    if old is not None and all(old.get(k) == v for k, v in new.items()):
        return conditions
    moment = timestamp(now)
    changed = {**new, "lastProbeTime": moment, "lastTransitionTime": moment}
    return [changed if c is old else c for c in conditions] if old is not None else [*conditions, changed]
