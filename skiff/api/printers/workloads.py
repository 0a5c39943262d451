"""Rows of apps, batch, autoscaling and policy."""

from collections.abc import Mapping
from typing import Any

from skiff.api.meta import controller_of
from skiff.api.printers.text import (
    AGE,
    CONTAINERS,
    EMPTY,
    IMAGES,
    NAME,
    NONE,
    SELECTOR,
    UNKNOWN,
    UNSET,
    age,
    boolean,
    columns,
    condition_status,
    containers,
    epoch,
    human_duration,
    integer,
    labels,
    name,
    since,
    spec,
    status,
    template_spec,
)
from skiff.api.resources import Column, Printer
from skiff.api.selectors import SelectorError, format_label_selector, from_label_selector
from skiff.api.types import Obj

# --- apps


def _deployment(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), status(obj)
    try:
        selector = str(from_label_selector(found.get("selector")))
    except SelectorError:
        selector = "<invalid>"
    return [
        name(obj),
        f"{state.get('readyReplicas') or 0}/{found.get('replicas') or 0}",
        state.get("updatedReplicas") or 0,
        state.get("availableReplicas") or 0,
        age(obj, now),
        *containers(template_spec(found)),
        selector,
    ]


def _replica_set(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), status(obj)
    counts = [found.get("replicas") or 0, state.get("replicas") or 0, state.get("readyReplicas") or 0]
    selector = format_label_selector(found.get("selector"))
    return [name(obj), *counts, age(obj, now), *containers(template_spec(found)), selector]


def _stateful_set(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    ready = f"{status(obj).get('readyReplicas') or 0}/{found.get('replicas') or 0}"
    return [name(obj), ready, age(obj, now), *containers(template_spec(found))]


_DAEMON_COUNTS = (
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
)


def _daemon_set(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), status(obj)
    pod = template_spec(found)
    return [
        name(obj),
        *(state.get(field) or 0 for field in _DAEMON_COUNTS),
        labels(pod.get("nodeSelector")),
        age(obj, now),
        *containers(pod),
        format_label_selector(found.get("selector")),
    ]


def _controller_revision(obj: Obj, now: float) -> list[Any]:
    owner = controller_of(obj)
    controller = NONE
    if owner is not None:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        kind = f"{owner['kind']}.{group}" if group else owner["kind"]
        controller = f"{kind.lower()}/{owner['name']}"
    return [name(obj), controller, obj.get("revision") or 0, age(obj, now)]


APPS = {
    "deployments": Printer(
        columns(NAME, "Ready", "Up-to-date", "Available", AGE, CONTAINERS, IMAGES, SELECTOR),
        _deployment,
    ),
    "replicasets": Printer(
        columns(NAME, integer("Desired"), integer("Current"), integer("Ready"), AGE, CONTAINERS, IMAGES, SELECTOR),
        _replica_set,
    ),
    "statefulsets": Printer(columns(NAME, "Ready", AGE, CONTAINERS, IMAGES), _stateful_set),
    "daemonsets": Printer(
        columns(
            NAME, integer("Desired"), integer("Current"), integer("Ready"), integer("Up-to-date"),
            integer("Available"), "Node Selector", AGE, CONTAINERS, IMAGES, SELECTOR,
        ),
        _daemon_set,
    ),
    "controllerrevisions": Printer(columns(NAME, "Controller", "Revision", AGE), _controller_revision),
}  # fmt: skip


# --- batch

_JOB_STATES = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _job(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    return [
        name(obj),
        _job_status(obj),
        _completions(obj),
        _job_duration(status(obj), now),
        age(obj, now),
        *containers(template_spec(found)),
        format_label_selector(found.get("selector")),
    ]


def _job_status(obj: Obj) -> str:
    for word in ("Complete", "Failed"):
        if condition_status(obj, word) == "True":
            return word
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return next((word for word in _JOB_STATES if condition_status(obj, word) == "True"), "Running")


def _completions(obj: Obj) -> str:
    found, succeeded = spec(obj), status(obj).get("succeeded") or 0
    if found.get("completions") is not None:
        return f"{succeeded}/{found['completions']}"
    parallelism = found.get("parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(state: Mapping[str, Any], now: float) -> str:
    if not state.get("startTime"):
        return ""
    end = state.get("completionTime")
    return human_duration((epoch(end) if end else now) - epoch(state["startTime"]))


def _cron_job(obj: Obj, now: float) -> list[Any]:
    found, state = spec(obj), status(obj)
    job = (found.get("jobTemplate") or EMPTY).get("spec") or EMPTY
    last = state.get("lastScheduleTime")
    return [
        name(obj),
        found.get("schedule", ""),
        found.get("timeZone", NONE),
        str(found.get("suspend", UNSET)),
        len(state.get("active") or ()),
        since(last, now) if last else NONE,
        age(obj, now),
        *containers(template_spec(job)),
        format_label_selector(job.get("selector")),
    ]


BATCH = {
    "jobs": Printer(
        columns(NAME, "Status", "Completions", "Duration", AGE, CONTAINERS, IMAGES, SELECTOR),
        _job,
    ),
    "cronjobs": Printer(
        columns(
            NAME, "Schedule", "Timezone", boolean("Suspend"), integer("Active"), "Last Schedule", AGE, CONTAINERS,
            IMAGES, SELECTOR,
        ),
        _cron_job,
    ),
}  # fmt: skip


# --- autoscaling


def _autoscaler(obj: Obj, now: float) -> list[Any]:
    """Takes autoscaling/v2, and v1 with its CPU target."""
    found, state = spec(obj), status(obj)
    target = found.get("scaleTargetRef") or EMPTY
    minimum = found.get("minReplicas")
    return [
        name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(obj),
        UNSET if minimum is None else str(minimum),
        found.get("maxReplicas") or 0,
        state.get("currentReplicas") or 0,
        age(obj, now),
    ]


def _targets(obj: Obj) -> str:
    metrics, current = spec(obj).get("metrics") or [], status(obj).get("currentMetrics") or []
    percent = spec(obj).get("targetCPUUtilizationPercentage")
    if percent is not None:
        used = status(obj).get("currentCPUUtilizationPercentage")
        return f"cpu: {UNKNOWN if used is None else f'{used}%'}/{percent}%"
    if not metrics:
        return NONE
    shown = [_metric(m, current[i] if i < len(current) else EMPTY) for i, m in enumerate(metrics)]
    text = ", ".join(shown[:2])
    return f"{text} + {len(shown) - 2} more..." if len(shown) > 2 else text


_METRIC_FIELDS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _metric(metric: Obj, current: Mapping[str, Any]) -> str:
    kind = metric.get("type", "")
    if kind not in _METRIC_FIELDS:
        return "<unknown type>"
    source = metric.get(_METRIC_FIELDS[kind]) or EMPTY
    found = current.get(_METRIC_FIELDS[kind])
    target, now = source.get("target") or EMPTY, (found or EMPTY).get("current") or EMPTY
    if kind in ("Resource", "ContainerResource"):
        return f"{source.get('name', '')}: {_resource_metric(target, now, found is not None)}"
    average = target.get("averageValue")
    if kind == "Pods":
        return f"{now.get('averageValue', '<nil>') if found is not None else UNKNOWN}/{average or '<nil>'}"
    if average is not None:
        return f"{now.get('averageValue', UNKNOWN)}/{average} (avg)"
    return f"{now.get('value', '<nil>') if found is not None else UNKNOWN}/{target.get('value', '<nil>')}"


def _resource_metric(target: Mapping[str, Any], now: Mapping[str, Any], found: bool) -> str:
    if target.get("averageValue") is not None:
        return f"{now.get('averageValue', '<nil>') if found else UNKNOWN}/{target['averageValue']}"
    used, wanted = now.get("averageUtilization"), target.get("averageUtilization")
    return f"{UNKNOWN if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"


def _scale(obj: Obj, now: float) -> list[Any]:
    return [name(obj), spec(obj).get("replicas") or 0, status(obj).get("replicas") or 0, age(obj, now)]


SCALE = Printer(columns(Column("Name"), integer("Desired"), integer("Available"), AGE), _scale)
"""For the scale subresource of any kind."""

AUTOSCALING = {
    "horizontalpodautoscalers": Printer(
        columns(NAME, "Reference", "Targets", "MinPods", "MaxPods", "Replicas", AGE),
        _autoscaler,
    ),
}


# --- policy


def _disruption_budget(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    return [
        name(obj),
        str(found.get("minAvailable", "N/A")),
        str(found.get("maxUnavailable", "N/A")),
        status(obj).get("disruptionsAllowed") or 0,
        age(obj, now),
    ]


POLICY = {
    "poddisruptionbudgets": Printer(
        columns(NAME, "Min Available", "Max Unavailable", integer("Allowed Disruptions"), AGE),
        _disruption_budget,
    ),
}
