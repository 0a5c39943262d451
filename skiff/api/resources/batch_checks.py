"""Validation of batch/v1. Source: pkg/apis/batch/validation/validation.go; schedules: robfig/cron, upstream's parser."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skiff.api import names
from skiff.api.resources.checks import (
    IMMUTABLE,
    ErrorList,
    check_domain_path,
    check_label_selector,
    go_struct,
    shown_selector,
)
from skiff.api.resources.core.pod_checks import check_selector_matches, check_template
from skiff.api.resources.fields import get, items
from skiff.api.resources.job_policies import check_failure_policy, check_success_policy
from skiff.api.resources.job_status import conditions
from skiff.api.selectors import from_label_selector
from skiff.api.types import Obj


def check_job(obj: Obj, errors: ErrorList) -> None:
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    if spec.get("manualSelector") is not True:
        _check_generated_selector(spec, metadata, errors)
    check_job_spec(spec, "spec", errors)
    if spec.get("selector") is None:
        errors.required("spec.selector")
    else:
        check_label_selector(spec["selector"], "spec.selector", errors)
    check_selector_matches(spec.get("template") or {}, spec.get("selector"), "spec.template", errors)
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        last = f"{metadata.get('name', '')}-{spec['completions'] - 1}"
        if names.is_dns1123_label(last):
            why = f"will not able to create pod with invalid DNS label: {last}"
            errors.invalid("metadata.name", metadata.get("name", ""), why)


def _check_generated_selector(spec: Obj, metadata: Obj, errors: ErrorList) -> None:
    """The selector and the template's labels that the server made are still there."""
    if metadata.get("uid") is None:
        errors.required("metadata.uid")
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    prefix = "batch.kubernetes.io/"
    expected = {"controller-uid": uid, "job-name": name, f"{prefix}controller-uid": uid, f"{prefix}job-name": name}
    found = get(spec, "template", "metadata", "labels") or {}
    for key, value in expected.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in found:
            errors.required(path, f"must be '{value}'")
        elif found[key] != value:
            errors.invalid(path, dict(sorted(found.items())), f"must be '{value}'")
    try:
        fits = from_label_selector(spec.get("selector")).matches(expected)
    except ValueError:
        return
    if not fits:
        errors.invalid("spec.selector", spec.get("selector"), "`selector` not auto-generated")


MAX_INDEXES = 100_000
MAX_MANAGED_BY = 63
_JOB_NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def check_job_spec(spec: Obj, path: str, errors: ErrorList) -> None:
    for name in _JOB_NUMBERS:
        errors.not_negative(f"{path}.{name}", spec.get(name))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    mode = spec.get("completionMode", "NonIndexed")
    errors.one_of(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
    managed = spec.get("managedBy")
    if managed is not None:
        check_domain_path(managed, f"{path}.managedBy", errors)
        if len(managed.encode()) > MAX_MANAGED_BY:
            errors.too_long(f"{path}.managedBy", MAX_MANAGED_BY)
    if mode == "Indexed":
        _check_indexed(spec, path, errors)
    elif mode == "NonIndexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                errors.invalid(f"{path}.{name}", spec[name], "requires indexed completion mode")
    if spec.get("podFailurePolicy") is not None:
        check_failure_policy(spec, f"{path}.podFailurePolicy", errors)
    if spec.get("successPolicy") is not None:
        if mode == "Indexed":
            check_success_policy(spec, f"{path}.successPolicy", errors)
        else:
            shown = go_struct(spec["successPolicy"], "rules{succeededIndexes succeededCount}")
            errors.invalid(f"{path}.successPolicy", shown, "requires indexed completion mode")
    if spec.get("podReplacementPolicy") is not None:
        with_failures = spec.get("podFailurePolicy") is not None
        allowed = ("Failed",) if with_failures else ("Failed", "TerminatingOrFailed")
        errors.one_of(f"{path}.podReplacementPolicy", spec["podReplacementPolicy"], allowed)
    template = spec.get("template") or {}
    check_template(template, f"{path}.template", errors)
    here, policy = f"{path}.template.spec.restartPolicy", get(template, "spec", "restartPolicy") or ""
    if policy in ("Always", ""):
        errors.required(here, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        errors.one_of(here, policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        errors.invalid(here, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _check_indexed(spec: Obj, path: str, errors: ErrorList) -> None:
    if spec.get("completions") is None:
        errors.required(f"{path}.completions", "when completion mode is Indexed")
    if (spec.get("parallelism") or 0) > 100000:
        why = "must be less than or equal to 100000 when completion mode is Indexed"
        errors.invalid(f"{path}.parallelism", spec["parallelism"], why)
    failed, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    if failed is not None and completions is not None and failed > completions:
        errors.invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > MAX_INDEXES:
        errors.invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {MAX_INDEXES}")
    if (completions or 0) > MAX_INDEXES and spec.get("backoffLimitPerIndex") is not None:
        _check_many(spec, path, errors)


def _check_many(spec: Obj, path: str, errors: ErrorList) -> None:
    """Of very many indexes few may fail."""
    if spec.get("maxFailedIndexes") is None:
        errors.required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {MAX_INDEXES}")
    why = f"must be less than or equal to 10000 when completions are above {MAX_INDEXES} and used with backoff limit per index"
    for name in ("parallelism", "maxFailedIndexes"):
        if (spec.get(name) or 0) > 10_000:
            errors.invalid(f"{path}.{name}", spec[name], why)


def check_job_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec.get("completionMode") != "Indexed":
        errors.immutable("spec.completions", spec.get("completions"), before.get("completions"))
    elif spec.get("completions") != before.get("completions") and spec.get("completions") != spec.get("parallelism"):
        why = "can only be modified in tandem with spec.parallelism"
        errors.invalid("spec.completions", spec.get("completions"), why)
    errors.immutable("spec.selector", spec.get("selector"), before.get("selector"))
    if not _waits(old):
        errors.immutable("spec.template", spec.get("template"), before.get("template"))
    elif _settled(spec) != _settled(before):
        errors.invalid("spec.template.spec", get(spec, "template", "spec"), IMMUTABLE)
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        errors.immutable(f"spec.{name}", spec.get(name), before.get(name))


def _waits(job: Obj) -> bool:
    """Suspended, with no pods of its template left."""
    status = job.get("status") or {}
    started = status.get("startTime") is not None and "Suspended" not in conditions(job)
    return get(job, "spec", "suspend") is True and not started and not status.get("active")


def _settled(spec: Obj) -> Obj:
    """What stays while a job waits: all but where its pods may run, and what their containers get."""
    pod = get(spec, "template", "spec") or {}
    dropped = ("nodeSelector", "tolerations", "schedulingGates")
    kept = {k: v for k, v in pod.items() if k not in dropped}
    for kind in ("containers", "initContainers"):
        kept[kind] = [{k: v for k, v in c.items() if k != "resources"} for c in items(pod, kind)]
    affinity = pod.get("affinity") or {}
    kept["affinity"] = {k: v for k, v in affinity.items() if k != "nodeAffinity"}
    return kept


def check_cron_job(obj: Obj, errors: ErrorList) -> None:
    spec, name = obj.get("spec") or {}, get(obj, "metadata", "name") or ""
    schedule = spec.get("schedule", "")
    if not schedule:
        errors.required("spec.schedule")
    else:
        _check_schedule(schedule, errors)
    errors.not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    _check_time_zone(spec.get("timeZone"), errors)
    policy = spec.get("concurrencyPolicy", "")
    errors.one_of("spec.concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    template = get(spec, "jobTemplate", "spec") or {}
    check_job_spec(template, "spec.jobTemplate.spec", errors)
    if template.get("selector") is not None:
        errors.invalid(
            "spec.jobTemplate.spec.selector", shown_selector(template["selector"]), "`selector` will be auto-generated"
        )
    if template.get("manualSelector"):
        errors.one_of("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    errors.not_negative("spec.successfulJobsHistoryLimit", spec.get("successfulJobsHistoryLimit"))
    errors.not_negative("spec.failedJobsHistoryLimit", spec.get("failedJobsHistoryLimit"))
    if len(name) > 52:
        errors.invalid("metadata.name", name, "must be no more than 52 characters")


def _check_time_zone(zone: str | None, errors: ErrorList) -> None:
    if zone is None:
        return
    if not zone:
        errors.invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
        return
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.invalid("spec.timeZone", zone, why)
    if zone not in ("Local", "UTC") and not _zone_exists(zone):
        errors.invalid("spec.timeZone", zone, f"unknown time zone {zone}")


def _zone_exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_RANGES = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 6, _DAYS))


_schedule_zone = re.compile(r"(CRON_)?TZ=\S* ")


def _check_schedule(schedule: str, errors: ErrorList) -> None:
    zone = _schedule_zone.match(schedule)
    why = schedule_error(schedule[zone.end() :] if zone else schedule)
    if why:
        errors.invalid("spec.schedule", schedule, why)
    if "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.invalid("spec.schedule", schedule, why)


def schedule_error(schedule: str) -> str:
    """Why a cron schedule does not parse, "" when it does; the words are those of upstream's parser."""
    if schedule.startswith("@"):
        known = schedule in _DESCRIPTORS or schedule.startswith("@every ")
        return "" if known else f"unrecognized descriptor: {schedule}"
    fields = schedule.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (low, high, words) in zip(fields, _RANGES, strict=True):
        for part in field.split(","):
            why = _range_error(part, low, high, words)
            if why:
                return why
    return ""


def _range_error(part: str, low: int, high: int, words: tuple[str, ...]) -> str:
    bounds, *steps = part.split("/")
    if len(steps) > 1:
        return f"too many slashes: {part}"
    ends = bounds.split("-")
    if len(ends) > 2:
        return f"too many hyphens: {part}"
    numbers: list[int] = []
    for end in ends if ends[0] not in ("*", "?") else ():
        if end.lower() in words:
            numbers.append(words.index(end.lower()) + low)
        elif end.isascii() and end.isdigit():
            numbers.append(int(end))
        else:
            return f'failed to parse int from {end}: strconv.Atoi: parsing "{end}": invalid syntax'
    start, stop = (numbers[0], numbers[-1]) if numbers else (low, high)
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {part}"
    if stop > high:
        return f"end of range ({stop}) above maximum ({high}): {part}"
    if start > stop:
        return f"beginning of range ({start}) beyond end of range ({stop}): {part}"
    if steps and not (steps[0].isascii() and steps[0].isdigit()):
        return f'failed to parse int from {steps[0]}: strconv.Atoi: parsing "{steps[0]}": invalid syntax'
    if steps and int(steps[0]) == 0:
        return f"step of range should be a positive number: {part}"
    return ""
