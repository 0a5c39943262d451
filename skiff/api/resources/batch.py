"""batch/v1: jobs. Defaults: pkg/apis/batch/v1/defaults.go; selectors: pkg/registry/batch/job/strategy.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import batch_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core import warn
from skiff.api.resources.core.pod_defaults import default_template
from skiff.api.resources.define import STATUS, builtin, text
from skiff.api.resources.disabled import both, disabled_in_pods
from skiff.api.resources.fields import child, each, empty_status, get, items, nil, rules, struct, zero
from skiff.api.resources.job_status import check_job_status
from skiff.api.types import Obj

MAX_INT32 = 2147483647


def default_job_spec(spec: Obj) -> None:
    """What jobs and the jobs of a cron job share."""
    default_template(child(spec, "template"))
    for rule in items(spec, "podFailurePolicy", "rules"):
        each("onPodConditions", zero(status="True"))(rule)


def default_job(obj: Obj) -> None:
    spec = child(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    nil(parallelism=1, completionMode="NonIndexed", suspend=False, manualSelector=False)(spec)
    nil(backoffLimit=6 if spec.get("backoffLimitPerIndex") is None else MAX_INT32)(spec)
    nil(podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")(spec)
    labels = get(spec, "template", "metadata", "labels")
    if labels and not get(obj, "metadata", "labels"):
        child(obj, "metadata")["labels"] = dict(labels)
    default_job_spec(spec)
    empty_status()(obj)


default_cron_job = rules(
    struct(
        "spec",
        zero(concurrencyPolicy="Allow"),
        nil(suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1),
        struct("jobTemplate", struct("metadata"), struct("spec", default_job_spec)),
    ),
    empty_status(),
)


def prepare_job(new: Obj, old: Obj | None) -> None:
    """A job without a selector of its own selects by its uid and labels its pods with it, under old and new names."""
    if old is not None:
        return
    spec, metadata = new["spec"], new.get("metadata") or {}
    if spec.get("manualSelector"):
        return
    labels = child(child(spec["template"], "metadata"), "labels")
    for prefix in ("", "batch.kubernetes.io/"):
        labels.setdefault(f"{prefix}job-name", metadata.get("name", ""))
        labels.setdefault(f"{prefix}controller-uid", metadata.get("uid", ""))
    selector = child(spec, "selector")
    child(selector, "matchLabels").setdefault("batch.kubernetes.io/controller-uid", metadata.get("uid", ""))
    if not metadata.get("labels"):
        metadata["labels"] = dict(labels)  # upstream: the default of a job that is read again


RESOURCES: Sequence[Resource] = (
    builtin(
        "batch",
        "v1",
        "cronjobs",
        "CronJob",
        validate=validator(checks.check_cron_job),
        short_names=("cj",),
        warn=warn.cron_job,
        categories=("all",),
        subresources=(STATUS,),
        default=default_cron_job,
        prepare=disabled_in_pods("spec.jobTemplate.spec.template.spec"),
        has_generation=True,
    ),
    builtin(
        "batch",
        "v1",
        "jobs",
        "Job",
        warn=warn.job("spec"),
        validate=validator(checks.check_job),
        validate_update=update_validator(checks.check_job_update),
        validate_status_update=update_validator(check_job_status),
        categories=("all",),
        subresources=(STATUS,),
        default=default_job,
        defaults_by_metadata=True,
        prepare=both(disabled_in_pods("spec.template.spec"), prepare_job),
        selectable={"status.successful": lambda obj: text("status.succeeded")(obj) or "0"},
        has_generation=True,
        default_propagation="Orphan",
    ),
)
