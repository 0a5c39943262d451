"""The cron job controller: starts each job at its time, once, and keeps the history short.

Source: upstream pkg/controller/cronjob (cronjob_controllerv2.go, utils.go).
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_not_found
from skiff.api.gvr import CRONJOBS, JOBS
from skiff.api.meta import (
    get_condition,
    is_being_deleted,
    is_controlled_by,
    name,
    namespace,
    new_controller_ref,
    object_reference,
    uid,
)
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch, owner_keys, split_key
from skiff.client.informer import Informers
from skiff.client.rest import Client
from skiff.controllers.common import indexes
from skiff.controllers.common.freshness import Freshness
from skiff.controllers.common.meta import spec, status
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause
from skiff.controllers.common.times import seconds, timestamp
from skiff.controllers.cronjob.schedule import Every, Schedule, ScheduleError, parse, zone

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY_MISSED = 100
SLACK_S = 0.1


@dataclass(slots=True)
class Review:
    """What the present jobs mean: the status they lead to, and what there is to say about them."""

    status: Obj
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    missing: list[Obj] = field(default_factory=list)


def finished(job: Obj) -> str:
    """Complete or Failed; "" while it goes on."""
    for type in ("Complete", "Failed"):
        found = get_condition(job, type)
        if found is not None and found.get("status") == "True":
            return type
    return ""


def review(cron: Obj, jobs: Sequence[Obj]) -> Review:
    """missing: entries of status.active without a job in the cache; the server is asked about them."""
    result = Review(dict(status(cron)))
    active = {ref["uid"]: ref for ref in status(cron).get("active") or ()}
    for job in sorted(jobs, key=name):
        how = finished(job)
        if not how and uid(job) not in active:
            text = f"Saw a job that the controller did not create or forgot: {name(job)}"
            result.notes.append(("Warning", "UnexpectedJob", text))
        elif how and active.pop(uid(job), None):
            result.notes.append(("Normal", "SawCompletedJob", f"Saw completed job: {name(job)}, condition: {how}"))
        end = status(job).get("completionTime")
        if how == "Complete" and end and end > (result.status.get("lastSuccessfulTime") or ""):
            result.status["lastSuccessfulTime"] = end
    known = {uid(job) for job in jobs}
    result.missing = [ref for ref in active.values() if ref["uid"] not in known]
    _set_active(result.status, active.values())
    return result


def _set_active(new: Obj, refs: Iterable[Obj]) -> None:
    kept = list(refs)
    if kept:
        new["active"] = kept
    else:
        new.pop("active", None)


def earliest(cron: Obj, now: float, *, with_deadline: bool) -> float:
    """Times up to this one are settled."""
    since = status(cron).get("lastScheduleTime") or cron["metadata"].get("creationTimestamp")
    found = seconds(since) or now
    deadline = spec(cron).get("startingDeadlineSeconds")
    return max(found, now - deadline) if with_deadline and deadline is not None else found


def due(cron: Obj, schedule: Schedule | Every, now: float) -> tuple[float | None, bool]:
    """(the time whose job should run now, whether suspiciously many were missed)."""
    since = earliest(cron, now, with_deadline=True)
    found = schedule.latest(since, now)
    if found is None:
        return None, False
    first = schedule.next(since)
    distance = schedule.next(first) - first
    return found, (now - first) / distance + 1 > MANY_MISSED if distance > 0 else False


def seconds_until_next(cron: Obj, schedule: Schedule | Every, now: float) -> float | None:
    since = earliest(cron, now, with_deadline=False)
    at = schedule.next(max(now, since) if isinstance(schedule, Schedule) else schedule.latest(since, now) or since)
    return None if at == float("inf") else max(0.0, at - now) + SLACK_S


def job_for(cron: Obj, at: float) -> Obj:
    """Its name follows from the time, so that it cannot be made twice."""
    template = spec(cron).get("jobTemplate") or {}
    metadata = template.get("metadata") or {}
    where = zone(spec(cron).get("timeZone") or "")
    moment = datetime.fromtimestamp(at, UTC).astimezone(where)
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ") if where is UTC else moment.isoformat()
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name(cron)}-{int(at) // 60}",
            "namespace": namespace(cron),
            "labels": dict(metadata.get("labels") or {}),
            "annotations": {**(metadata.get("annotations") or {}), SCHEDULED: text},
            "ownerReferences": [new_controller_ref(cron, CRONJOBS)],
        },
        "spec": deepcopy(template.get("spec") or {}),
    }


def old_jobs(cron: Obj, jobs: Sequence[Obj]) -> list[Obj]:
    """Finished jobs beyond the history limits, oldest first."""
    result: list[Obj] = []
    for how, key in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        limit = spec(cron).get(key)
        ended = [job for job in jobs if finished(job) == how]
        ended.sort(key=lambda job: (status(job).get("startTime") or "", name(job)))
        if limit is not None:
            result += ended[: max(0, len(ended) - limit)]
    return result


class CronJobController:
    name = "cronjob-controller"
    workers = 5

    def __init__(self, *, client: Client, informers: Informers, recorder: Recorder):
        self._client = client
        self._recorder = recorder
        self._crons = informers.get(CRONJOBS)
        self._jobs = indexes.owned_informer(informers, JOBS)
        self._fresh = Freshness(self._crons)

    def watches(self) -> list[Watch]:
        return [Watch(CRONJOBS), Watch(JOBS, owner_keys("CronJob"))]

    async def reconcile(self, key: Key) -> float | None:
        cron = self._crons.get(*split_key(key))
        if cron is None:
            self._fresh.forget(key)
            return None
        if not self._fresh.fresh(key):
            return None
        jobs = [job for job in indexes.owned_by(self._jobs, cron) if is_controlled_by(job, cron)]
        found = review(cron, jobs)
        for note in found.notes:
            self._recorder.event(cron, *note)
        await self._look_for(cron, found)
        again = None
        try:
            again = await self._start(cron, found.status)
        finally:
            if found.status != status(cron):
                changed = {**cron, "status": found.status}
                self._fresh.wrote(key, await self._client.update(CRONJOBS, changed, subresource="status"))
        for job in old_jobs(cron, jobs):
            await self._delete(cron, job)
        return again

    async def _look_for(self, cron: Obj, found: Review) -> None:
        for ref in found.missing:
            try:
                await self._client.get(JOBS, ref["name"], namespace(cron))
            except StatusError as err:
                if not is_not_found(err):
                    raise
                self._recorder.event(cron, "Normal", "MissingJob", f"Active job went missing: {ref['name']}")
                _set_active(found.status, [r for r in found.status.get("active") or () if r["uid"] != ref["uid"]])

    async def _start(self, cron: Obj, new: Obj) -> float | None:
        """Starts the job that is due, noting it in the new status; seconds until the next one."""
        if is_being_deleted(cron) or spec(cron).get("suspend"):
            return None
        try:
            schedule = parse(spec(cron)["schedule"], spec(cron).get("timeZone") or "")
        except ScheduleError as err:
            text = f'unparseable schedule: "{spec(cron)["schedule"]}" : {err}'
            self._recorder.event(cron, "Warning", "UnparseableSchedule", text)
            return None
        now = env.epoch()
        at, many = due(cron, schedule, now)
        if many:
            text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self._recorder.event(cron, "Warning", "TooManyMissedTimes", text)
        if at is not None and not self._is_hindered(cron, new, at, now):
            await self._create(cron, new, at)
        return seconds_until_next({**cron, "status": new}, schedule, now)

    def _is_hindered(self, cron: Obj, new: Obj, at: float, now: float) -> bool:
        deadline = spec(cron).get("startingDeadlineSeconds")
        if deadline is not None and at + deadline < now:
            when = format_datetime(datetime.fromtimestamp(at, UTC))
            text = f"Missed scheduled time to start a job: {when}"
            self._recorder.event(cron, "Warning", "MissSchedule", text)
            return True
        own = f"{name(cron)}-{int(at) // 60}"
        if any(ref["name"] == own for ref in new.get("active") or ()) or new.get("lastScheduleTime") == timestamp(at):
            return True
        if spec(cron).get("concurrencyPolicy") == "Forbid" and new.get("active"):
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._recorder.event(cron, "Normal", "JobAlreadyActive", text)
            return True
        return False

    async def _create(self, cron: Obj, new: Obj, at: float) -> None:
        if spec(cron).get("concurrencyPolicy") == "Replace":
            for ref in list(new.get("active") or ()):
                await self._delete(cron, {"metadata": {**ref, "namespace": namespace(cron)}})
            _set_active(new, [])
        wanted = job_for(cron, at)
        try:
            made = await self._client.create(JOBS, wanted, namespace(cron))
            self._recorder.event(cron, "Normal", "SuccessfulCreate", f"Created job {name(made)}")
        except StatusError as err:
            if has_cause(err, NAMESPACE_TERMINATING):
                return
            if not is_already_exists(err):
                self._recorder.event(cron, "Warning", "FailedCreate", f"Error creating job: {err.message}")
                raise
            made = await self._client.get(JOBS, name(wanted), namespace(cron))
            if not is_controlled_by(made, cron):
                return
        _set_active(new, [*(new.get("active") or ()), object_reference(made, JOBS)])
        new["lastScheduleTime"] = timestamp(at)

    async def _delete(self, cron: Obj, job: Obj) -> None:
        try:
            await self._client.delete(JOBS, name(job), namespace(job), propagation="Background")
        except StatusError as err:
            if is_not_found(err):
                return
            self._recorder.event(cron, "Warning", "FailedDelete", f"Deleted job: {err.message}")
            raise
        self._recorder.event(cron, "Normal", "SuccessfulDelete", f"Deleted job {name(job)}")
