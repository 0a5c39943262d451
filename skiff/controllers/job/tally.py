"""Counting each pod's end exactly once, across crashes, although pods may vanish.

Every pod carries a finalizer. When it has ended its uid goes into status.uncountedTerminatedPods; then the finalizer is
taken off; when that is seen, the uid becomes one more in status.succeeded or status.failed. At any moment a pod's end is
in exactly one of the three places. Pure. Source: upstream trackJobStatusAndRemoveFinalizers, KEP-2307.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from skiff.api.meta import finalizers, is_being_deleted, pod_phase, uid
from skiff.api.types import Obj
from skiff.controllers.common.meta import spec, status
from skiff.controllers.job import indexes
from skiff.controllers.job.policy import failure_action

FINALIZER = "batch.kubernetes.io/job-tracking"
MOST_UNCOUNTED = 500


@dataclass(slots=True)
class Tally:
    """succeeded, failed: counted for good. uncounted_*: uids on their way. release: pods whose finalizer may go once
    this is written. new_*: ended pods that this tally takes in for the first time."""

    succeeded: int = 0
    failed: int = 0
    uncounted_succeeded: list[str] = field(default_factory=list)
    uncounted_failed: list[str] = field(default_factory=list)
    release: list[Obj] = field(default_factory=list)
    completed: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)

    @property
    def total_succeeded(self) -> int:
        return self.succeeded + len(self.uncounted_succeeded)

    @property
    def total_failed(self) -> int:
        return self.failed + len(self.uncounted_failed)

    @property
    def flushed(self) -> bool:
        return not (self.uncounted_succeeded or self.uncounted_failed or self.release)


def replaces_only_failed(job: Obj) -> bool:
    return bool(spec(job).get("podReplacementPolicy") == "Failed")


def has_failed(job: Obj, pod: Obj) -> bool:
    """Also a pod that is being deleted, unless the job waits for its real end."""
    if pod_phase(pod) == "Failed":
        return True
    return is_being_deleted(pod) and pod_phase(pod) != "Succeeded" and not replaces_only_failed(job)


def is_indexed(job: Obj) -> bool:
    return bool(spec(job).get("completionMode") == "Indexed")


def tally(job: Obj, pods: Sequence[Obj], released: Iterable[str], *, ending: bool) -> Tally:
    """released: uids whose finalizers were taken off already, which the cache may not show yet. ending: the job is about
    to finish, so that pods which are still active count as failed."""
    before = status(job)
    result = Tally(succeeded=before.get("succeeded") or 0, failed=before.get("failed") or 0)
    held = {uid(pod) for pod in pods if FINALIZER in finalizers(pod)} - set(released)
    _settle(before, held, result)
    completions = int(spec(job).get("completions") or 0)
    if is_indexed(job):
        result.completed = indexes.parse(before.get("completedIndexes"), completions)
        result.failed_indexes = indexes.parse(before.get("failedIndexes"), completions)
    known = {*result.uncounted_succeeded, *result.uncounted_failed}
    for pod in pods:
        if uid(pod) not in held:
            continue
        if uid(pod) in known:
            result.release.append(pod)
        elif len(known) < MOST_UNCOUNTED and _take_in(job, pod, result, completions, ending):
            known.add(uid(pod))
    return result


def _settle(before: Obj, held: set[str], result: Tally) -> None:
    """Uids whose finalizer is gone become numbers."""
    waiting = before.get("uncountedTerminatedPods") or {}
    result.uncounted_succeeded = [u for u in waiting.get("succeeded") or () if u in held]
    result.uncounted_failed = [u for u in waiting.get("failed") or () if u in held]
    result.succeeded += len(waiting.get("succeeded") or ()) - len(result.uncounted_succeeded)
    result.failed += len(waiting.get("failed") or ()) - len(result.uncounted_failed)


def _take_in(job: Obj, pod: Obj, result: Tally, completions: int, ending: bool) -> bool:
    """Whether the pod's uid became one of the uncounted."""
    if pod_phase(pod) == "Succeeded":
        return _take_success(job, pod, result, completions)
    if not has_failed(job, pod) and not (ending and is_being_deleted(pod)):
        return False
    action, _ = failure_action(job, pod)
    if action != "Ignore":
        result.uncounted_failed.append(uid(pod))
        _note_failed_index(job, pod, action, result, completions)
    result.release.append(pod)
    return action != "Ignore"


def _take_success(job: Obj, pod: Obj, result: Tally, completions: int) -> bool:
    """Of an indexed job each index counts once, and its number of successes is that of its indexes."""
    if not is_indexed(job):
        result.uncounted_succeeded.append(uid(pod))
        result.release.append(pod)
        return True
    index = indexes.index_of(pod)
    if 0 <= index < completions:
        result.completed.add(index)
        result.succeeded = len(result.completed)
    result.release.append(pod)
    return False


def _note_failed_index(job: Obj, pod: Obj, action: str, result: Tally, completions: int) -> None:
    limit = spec(job).get("backoffLimitPerIndex")
    index = indexes.index_of(pod)
    if limit is None or not 0 <= index < completions or index in result.completed:
        return
    if action == "FailIndex" or indexes.failure_count(pod) >= limit:
        result.failed_indexes.add(index)


def written(job: Obj, found: Tally) -> Obj:
    """The part of the status that this is."""
    waiting = {
        key: uids
        for key, uids in (("succeeded", found.uncounted_succeeded), ("failed", found.uncounted_failed))
        if uids
    }
    result: Obj = {"uncountedTerminatedPods": waiting}
    for key, count in (("succeeded", found.succeeded), ("failed", found.failed)):
        if count:
            result[key] = count
    if is_indexed(job):
        if found.completed:
            result["completedIndexes"] = indexes.write(found.completed)
        if spec(job).get("backoffLimitPerIndex") is not None:
            result["failedIndexes"] = indexes.write(found.failed_indexes)
    return result
