"""Validation of what controllers write into a status. Sources: pkg/apis/{apps,core,networking,policy}/validation/validation.go."""

import re
from collections.abc import Callable

from skiff.api import labels, names
from skiff.api.resources.checks import ErrorList, check_ip, parse_ip
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

Check = Callable[[Obj, Obj, ErrorList], None]


def counters(*numbers: str, parts: tuple[str, ...] = (), ready: str = "") -> Check:
    """Numbers that are not negative, parts that are not larger than all replicas, available ones that are ready ones.

    ready: how the sentence about available replicas names the ready ones. Collisions are only ever added."""

    def check(new: Obj, old: Obj, errors: ErrorList) -> None:
        status = new.get("status") or {}
        for name in numbers:
            errors.not_negative(f"status.{name}", status.get(name))
        for name in parts:
            if status.get(name, 0) > status.get("replicas", 0):
                errors.invalid(f"status.{name}", status[name], "cannot be greater than status.replicas")
        available = status.get("availableReplicas", 0)
        if ready and available > status.get("readyReplicas", 0):
            errors.invalid("status.availableReplicas", available, f"cannot be greater than {ready}")
        collisions = status.get("collisionCount") or 0
        if collisions < (get(old, "status", "collisionCount") or 0):
            errors.invalid("status.collisionCount", collisions, "cannot be decremented")

    return check


check_deployment_status = counters(
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
    parts=("updatedReplicas", "readyReplicas", "availableReplicas"),
    ready="readyReplicas",
)
check_replica_set_status = counters(
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
    parts=("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    ready="readyReplicas",
)
check_stateful_set_status = counters(
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
    parts=("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
    ready="status.readyReplicas",
)
check_daemon_set_status = counters(
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def check_budget_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    check_conditions(new, old, errors)
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        errors.not_negative(f"status.{name}", get(new, "status", name))


MAX_REASON, MAX_MESSAGE = 1024, 32768
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_REASON_RULE = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or "
    "'_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or "
    "'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
)


def check_conditions(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Those of the common form (meta/v1 Condition)."""
    seen: set[str] = set()
    for i, condition in enumerate(items(new, "status", "conditions")):
        path, kind, reason = f"status.conditions[{i}]", condition.get("type", ""), condition.get("reason", "")
        if kind in seen:
            errors.duplicate(f"{path}.type", kind)
        seen.add(kind)
        errors.rule(f"{path}.type", kind, labels.key_errors(kind))
        errors.one_of(f"{path}.status", condition.get("status", ""), ("False", "True", "Unknown"))
        if condition.get("observedGeneration", 0) < 0:
            errors.invalid(
                f"{path}.observedGeneration", condition["observedGeneration"], "must be greater than or equal to zero"
            )
        if not condition.get("lastTransitionTime"):
            errors.required(f"{path}.lastTransitionTime")
        if not reason:
            errors.required(f"{path}.reason")
        elif not _REASON.fullmatch(reason):
            errors.invalid(f"{path}.reason", reason, _REASON_RULE)
        if len(reason) > MAX_REASON:
            errors.too_long(f"{path}.reason", MAX_REASON)
        if len(condition.get("message", "")) > MAX_MESSAGE:
            errors.too_long(f"{path}.message", MAX_MESSAGE)


def check_ingress_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    _check_addresses(new, old, errors, modes=False)


def check_service_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    if get(new, "spec", "type") == "LoadBalancer":
        _check_addresses(new, old, errors, modes=True)
    elif get(new, "status", "loadBalancer", "ingress"):
        errors.forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")


def _check_addresses(new: Obj, old: Obj, errors: ErrorList, *, modes: bool) -> None:
    """modes: each address says how it is reached."""
    place = ("status", "loadBalancer", "ingress")
    before = {point.get("ip") for point in items(old, *place)}
    for i, point in enumerate(items(new, *place)):
        path, ip, name = f"{'.'.join(place)}[{i}]", point.get("ip", ""), point.get("hostname", "")
        if ip and ip not in before:
            check_ip(ip, f"{path}.ip", errors)
        if modes:
            _check_mode(point.get("ipMode"), ip, f"{path}.ipMode", errors)
        if name:
            errors.rule(f"{path}.hostname", name, names.is_dns1123_subdomain(name))
            if parse_ip(name) is not None:
                errors.invalid(f"{path}.hostname", name, "must be a DNS name, not an IP address")


def _check_mode(mode: str | None, ip: str, path: str, errors: ErrorList) -> None:
    if mode is None:
        if ip:
            errors.required(path, "must be specified when `ip` is set")
    elif not ip:
        errors.forbidden(path, "may not be specified when `ip` is not set")
    else:
        errors.one_of(path, mode, ("Proxy", "VIP"))
