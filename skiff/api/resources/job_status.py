"""Validation of what whoever runs a job writes into its status.

Source: pkg/registry/batch/job/strategy.go (when a rule applies), pkg/apis/batch/validation/validation.go. A rule looks at
what has changed, so that a status that was sound stays writable when the spec has changed under it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from skiff.api.errors import OMIT
from skiff.api.resources.checks import ErrorList, go_struct
from skiff.api.resources.fields import get, items
from skiff.api.resources.job_policies import count_indexes, interval
from skiff.api.types import Obj

_NUMBERS = ("active", "succeeded", "failed", "ready", "terminating")
_FIELDS = (*_NUMBERS, "completedIndexes", "failedIndexes", "startTime", "completionTime", "uncountedTerminatedPods")
_LASTING = ("Failed", "Complete", "FailureTarget")


class _Job(NamedTuple):
    """true: the types of the conditions that hold, and Finished."""

    spec: Obj
    status: Obj
    true: frozenset[str]

    @property
    def indexed(self) -> bool:
        return self.spec.get("completionMode") == "Indexed"

    @property
    def completions(self) -> int | None:
        return self.spec.get("completions")


def conditions(obj: Obj, status: str = "True") -> set[str]:
    """Types of the conditions with a status."""
    return {c.get("type", "") for c in items(obj, "status", "conditions") if c.get("status") == status}


def _job(obj: Obj) -> _Job:
    true = conditions(obj)
    finished = {"Finished"} if true & {"Complete", "Failed"} else set()
    return _Job(obj.get("spec") or {}, obj.get("status") or {}, frozenset(true | finished))


def _changed(new: _Job, old: _Job) -> set[str]:
    """Names of fields and of conditions."""
    pointers = ("ready", "terminating", "failedIndexes")  # missing is another value than empty

    def value(job: _Job, name: str) -> Any:
        found = job.status.get(name)
        return found if name in pointers else found or None

    return {name for name in _FIELDS if value(new, name) != value(old, name)} | (new.true ^ old.true)


Rule = Callable[[_Job], str]
"""What is wrong, "" if nothing."""


def _when(wrong: Callable[[_Job], Any], words: str) -> Rule:
    return lambda job: words if wrong(job) else ""


def _conditions(*types: str, without: str = "", words: str) -> Rule:
    """These conditions and not that one."""
    return lambda job: words if job.true.issuperset(types) and without not in job.true else ""


def _indexes(name: str, text: str | None, completions: int | None) -> str:
    if completions is None:
        return ""
    try:
        count_indexes(text or "", completions)
    except ValueError as e:
        return f"error parsing {name}: {e}"
    return ""


def _completed_indexes(job: _Job) -> str:
    return _indexes("completedIndexes", job.status.get("completedIndexes"), job.completions)


def _failed_indexes(job: _Job) -> str:
    if job.spec.get("backoffLimitPerIndex") is None:
        return ""
    return _indexes("failedIndexes", job.status.get("failedIndexes"), job.completions)


def _overlap(job: _Job) -> str:
    """An index that both failed and completed, as far as the lists can be read."""
    done = deque(_intervals(job.status.get("completedIndexes"), job.completions))
    lost = deque(_intervals(job.status.get("failedIndexes"), job.completions))
    while done and lost:
        (c_low, c_high), (f_low, f_high) = done[0], lost[0]
        if c_low <= f_high and f_low <= c_high:
            return f"failedIndexes and completedIndexes overlap at index: {max(c_low, f_low)}"
        (done if c_low <= f_low else lost).popleft()
    return ""


def _intervals(text: str | None, completions: int | None) -> Iterator[tuple[int, int]]:
    for part in text.split(",") if text and completions is not None else ():
        try:
            yield interval(part, completions or 0)
        except ValueError:
            continue


def _ended_before_start(job: _Job) -> bool:
    start, end = job.status.get("startTime"), job.status.get("completionTime")
    return bool(start and end and end < start)  # both in UTC and of one form


def _pods_of(job: _Job) -> list[str]:
    uncounted = job.status.get("uncountedTerminatedPods") or {}
    return [*(uncounted.get("failed") or ()), *(uncounted.get("succeeded") or ())]


def _more_ready(job: _Job) -> bool:
    ready = job.status.get("ready")
    return ready is not None and ready > (job.status.get("active") or 0)


def _no_need_to_start(job: _Job) -> bool:
    return job.spec.get("suspend") is True and job.completions == 0


_RULES: tuple[tuple[str, set[str], Rule], ...] = (
    ("conditions", {"Complete", "Failed"}, _conditions("Complete", "Failed", words="cannot set Complete=True and Failed=true conditions")),
    ("conditions", {"Complete", "FailureTarget"}, _conditions("Complete", "FailureTarget", words="cannot set Complete=True and FailureTarget=true conditions")),
    ("completionTime", {"Complete", "completionTime"}, _when(lambda j: j.status.get("completionTime") and "Complete" not in j.true, "cannot set completionTime when there is no Complete=True condition")),
    ("completionTime", {"Complete", "completionTime"}, _when(lambda j: not j.status.get("completionTime") and "Complete" in j.true, "completionTime is required for Complete jobs")),
    ("completionTime", {"startTime", "completionTime"}, _when(_ended_before_start, "must be equal to or after `startTime`")),
    ("conditions", {"Failed", "failedIndexes"}, _conditions("Failed", without="FailureTarget", words="cannot set Failed=True condition without the FailureTarget=true condition")),
    ("conditions", {"Complete", "SuccessCriteriaMet"}, _conditions("Complete", without="SuccessCriteriaMet", words="cannot set Complete=True condition without the SuccessCriteriaMet=true condition")),
    ("active", {"Finished", "active"}, _when(lambda j: (j.status.get("active") or 0) > 0 and "Finished" in j.true, "active>0 is invalid for finished job")),
    ("startTime", {"Finished", "startTime"}, _when(lambda j: not j.status.get("startTime") and "Finished" in j.true and not _no_need_to_start(j), "startTime is required for finished job")),
    ("uncountedTerminatedPods", {"Finished", "uncountedTerminatedPods"}, _when(lambda j: "Finished" in j.true and _pods_of(j), "must be empty for finished job")),
    ("completedIndexes", {"completedIndexes"}, _completed_indexes),
    ("failedIndexes", {"failedIndexes"}, _failed_indexes),
    ("completedIndexes", {"completedIndexes"}, _when(lambda j: j.status.get("completedIndexes") and not j.indexed, "cannot set non-empty completedIndexes when non-indexed completion mode")),
    ("failedIndexes", {"failedIndexes"}, _when(lambda j: j.status.get("failedIndexes") is not None and j.spec.get("backoffLimitPerIndex") is None, "cannot set non-null failedIndexes when backoffLimitPerIndex is null")),
    ("failedIndexes", {"failedIndexes", "completedIndexes"}, _overlap),
    ("terminating", {"Finished", "terminating"}, _when(lambda j: (j.status.get("terminating") or 0) > 0 and "Finished" in j.true, "terminating>0 is invalid for finished job")),
    ("ready", {"ready", "active"}, _when(_more_ready, "cannot set more ready pods than active")),
    ("conditions", set(), _conditions("SuccessCriteriaMet", "Failed", words="cannot set SuccessCriteriaMet=True and Failed=true conditions")),
    ("conditions", set(), _conditions("SuccessCriteriaMet", "FailureTarget", words="cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")),
    ("conditions", set(), _when(lambda j: j.spec.get("successPolicy") is not None and "Complete" in j.true and "SuccessCriteriaMet" not in j.true, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")),
)  # fmt: skip
"""Field, what must have changed (nothing: the rule always applies), and the rule; in upstream's order."""


def check_job_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    job, before = _job(new), _job(old)
    for name in _NUMBERS:
        errors.not_negative(f"status.{name}", job.status.get(name))
    _check_uncounted(job.status, errors)
    changed = _changed(job, before)
    for field, triggers, rule in _RULES:
        if (not triggers or triggers & changed) and (words := rule(job)):
            _add(field, job.status, words, errors)
    _check_transition(job, before, "Suspended" in conditions(new, "False") & before.true, errors)


def _add(field: str, status: Obj, words: str, errors: ErrorList) -> None:
    path, value = f"status.{field}", status.get(field)
    if field == "conditions":
        errors.invalid(path, OMIT, words)
    elif value is None:
        errors.required(path, words)
    elif field == "uncountedTerminatedPods":
        errors.invalid(path, go_struct(value, "succeeded", "failed"), words)
    else:
        errors.invalid(path, value, words)


def _check_uncounted(status: Obj, errors: ErrorList) -> None:
    """A pod is counted once."""
    seen: set[str] = set()
    for name in ("succeeded", "failed"):
        for i, uid in enumerate(get(status, "uncountedTerminatedPods", name) or ()):
            path = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                errors.invalid(path, uid, "must not be empty")
            elif uid in seen:
                errors.duplicate(path, uid)
            seen.add(uid)


def _check_transition(job: _Job, before: _Job, resumes: bool, errors: ErrorList) -> None:
    """What was reached is not taken back. resumes: was suspended, is no more."""
    for type in _LASTING:
        if type in before.true - job.true:
            errors.invalid("status.conditions", OMIT, f"cannot disable the terminal {type}=True condition")
    _check_counter("failed", job, before, errors)
    if not job.indexed or job.completions != job.spec.get("parallelism"):  # else it can be scaled down
        _check_counter("succeeded", job, before, errors)
    end, ended = job.status.get("completionTime"), before.status.get("completionTime")
    if end and ended:
        errors.immutable("status.completionTime", end, ended)
    start, started = job.status.get("startTime"), before.status.get("startTime")
    if started and start != started and not job.spec.get("suspend") and not resumes:
        errors.invalid("status.startTime", start, "field is immutable for unsuspended job once set")
    if "SuccessCriteriaMet" in before.true - job.true:
        errors.invalid("status.conditions", OMIT, "cannot disable the SuccessCriteriaMet=True condition")
    if "Complete" in before.true and "SuccessCriteriaMet" in job.true - before.true:
        words = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.invalid("status.conditions", OMIT, words)


def _check_counter(name: str, job: _Job, before: _Job, errors: ErrorList) -> None:
    count = job.status.get(name) or 0
    if count < (before.status.get(name) or 0):
        errors.invalid(f"status.{name}", count, f"cannot decrease the {name} counter")
