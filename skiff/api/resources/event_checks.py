"""Validation of events, core/v1 and events.k8s.io/v1. Source: pkg/apis/core/validation/events.go.

Both are checked in the spelling of the client that writes; upstream words most mistakes in the stored spelling, core/v1.
"""

from collections.abc import Callable

from skiff.api import labels, names
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.core.events import to_core
from skiff.api.resources.fields import get
from skiff.api.types import Obj

MAX_REPORTER = MAX_ACTION = MAX_REASON = 128
MAX_NOTE = 1024
_FIXED = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)
_UNSET = {"count": 0} | dict.fromkeys(
    ("reason", "message", "type", "action", "reportingComponent", "reportingInstance"), ""
)
_SHOWN = {"reportingComponent": "reportingController"}


def check_core_event(obj: Obj, errors: ErrorList) -> None:
    _check(obj, "reportingComponent", errors)


def check_event(obj: Obj, errors: ErrorList) -> None:
    """What both creation and update of an events.k8s.io/v1 Event must satisfy."""
    _check(to_core(obj), "reportingController", errors)


def check_new_event(obj: Obj, errors: ErrorList) -> None:
    """What only a new events.k8s.io/v1 Event must satisfy: the deprecated fields are not used any more."""
    _check_series(obj, errors)
    if not obj.get("eventTime"):
        errors.required("eventTime")
    kind, source = obj.get("type", ""), obj.get("deprecatedSource") or {}
    if kind not in ("Normal", "Warning"):
        errors.invalid("type", "", f"has invalid value: {kind}")
    deprecated = {
        "firstTimestamp": obj.get("deprecatedFirstTimestamp"),
        "lastTimestamp": obj.get("deprecatedLastTimestamp"),
        "count": obj.get("deprecatedCount"),
        "source": source.get("component") or source.get("host"),
    }
    for field, value in deprecated.items():
        if value:
            errors.invalid(field, "", "needs to be unset")


def check_event_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """An events.k8s.io/v1 Event changes only as a series."""
    if new.get("series") != old.get("series"):
        _check_series(new, errors)
    after, before = to_core(new), to_core(old)
    for field in _FIXED:
        unset = _UNSET.get(field)
        errors.immutable(_SHOWN.get(field, field), after.get(field, unset), before.get(field, unset))


def _check_series(obj: Obj, errors: ErrorList) -> None:
    series = obj.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            errors.invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            errors.required("series.lastObservedTime")


def _check(obj: Obj, reporter: str, errors: ErrorList) -> None:
    """obj: in the core spelling; reporter: what the writer calls the reporting component."""
    namespace, about = get(obj, "metadata", "namespace") or "", get(obj, "involvedObject", "namespace") or ""
    if not obj.get("eventTime"):
        allowed: tuple[str, ...] = (about,) if about else ("", "default")
    else:
        allowed = (namespace,) if about else ("default", "kube-system")
    if namespace not in allowed:
        errors.invalid("involvedObject.namespace", about, "does not match event.namespace")
    if obj.get("eventTime"):
        _check_details(obj, reporter, errors)
    errors.rule("namespace", namespace, names.is_dns1123_subdomain(namespace))


def _check_details(obj: Obj, reporter: str, errors: ErrorList) -> None:
    """What an event of the newer form says."""
    component = obj.get("reportingComponent", "")
    if not component:
        errors.required(reporter)
    errors.rule(reporter, component, labels.key_errors(component))
    limits: list[tuple[str, int, Callable[[str], None] | None]] = [
        ("reportingInstance", MAX_REPORTER, errors.required),
        ("action", MAX_ACTION, errors.required),
        ("reason", MAX_REASON, errors.required),
        ("message", MAX_NOTE, None),
    ]
    for field, limit, missing in limits:
        value = obj.get(field) or ""
        if not value and missing is not None:
            missing(field)
        if len(value.encode()) > limit:
            errors.invalid(field, "", f"can have at most {limit} characters")
