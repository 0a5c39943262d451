"""Validation of HorizontalPodAutoscaler, v1 and v2. Source: pkg/apis/autoscaling/validation/validation.go."""

from collections.abc import Callable

from skiff.api import names, quantity
from skiff.api.resources.checks import ErrorList, check_not_negative_quantity
from skiff.api.resources.core.resource_checks import check_container_resource_name
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

MAX_WINDOW_SECONDS, MAX_PERIOD_SECONDS = 3600, 1800
TARGETS = ("Utilization", "Value", "AverageValue")


def check_autoscaler(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if low is not None and low < 1:
        errors.invalid("spec.minReplicas", low, "must be greater than or equal to 1")
    if high == 0:
        errors.required("spec.maxReplicas", "must be set and greater than 0")
    elif high < 0:
        errors.invalid("spec.maxReplicas", high, "must be greater than or equal to 1")
    if low is not None and high < low:
        errors.invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    _check_reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef", errors)
    for i, metric in enumerate(items(spec, "metrics")):
        _check_metric(metric, f"spec.metrics[{i}]", errors)
    if low == 0 and not any(m.get("type") in ("Object", "External") for m in items(spec, "metrics")):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.forbidden("spec.metrics", why)
    for direction in ("scaleUp", "scaleDown"):
        rules = get(spec, "behavior", direction)
        if rules is not None:
            _check_scaling(rules, f"spec.behavior.{direction}", errors)
    percent = spec.get("targetCPUUtilizationPercentage")
    if percent is not None and percent < 1:
        path = "spec.metrics[0].resource.target.averageUtilization"
        errors.invalid(path, percent, "must be greater than 0")


def check_target_version(obj: Obj, errors: ErrorList) -> None:
    """Of what is scaled: only looked at when it is new."""
    target = get(obj, "spec", "scaleTargetRef") or {}
    core = target.get("kind") == "ReplicationController"
    _check_version(target, "spec.scaleTargetRef.apiVersion", errors, core=core)


def check_target_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    after, before = (get(o, "spec", "scaleTargetRef") or {} for o in (new, old))
    if any(after.get(f) != before.get(f) for f in ("apiVersion", "kind")):
        check_target_version(new, errors)


def check_autoscaler_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    for field in ("currentReplicas", "desiredReplicas"):
        errors.not_negative(f"status.{field}", get(new, "status", field))


def _check_reference(reference: Obj, path: str, errors: ErrorList) -> None:
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if not value:
            errors.required(f"{path}.{field}")
        else:
            errors.rule(f"{path}.{field}", value, names.is_path_segment(value))


def _check_version(reference: Obj, path: str, errors: ErrorList, *, core: bool) -> None:
    """core: the core group may be meant."""
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        errors.invalid(path, version, f"unexpected GroupVersion string: {version}")
    elif not core and not ("" if version == "/" else version).rpartition("/")[0]:
        errors.invalid(path, version, "apiVersion must specify API group")


def _check_metric(metric: Obj, path: str, errors: ErrorList) -> None:
    kind = metric.get("type", "")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric source type")
    if kind not in KINDS:
        errors.one_of(f"{path}.type", kind, tuple(KINDS))
    given = [f for f in SOURCES if metric.get(f) is not None]
    if given:
        SOURCES[given[0]](metric[given[0]], f"{path}.{given[0]}", errors)
    expected = KINDS.get(kind)
    if expected is None:
        errors.one_of(f"{path}.type", kind, tuple(KINDS))
    elif expected not in given:
        errors.required(f"{path}.{expected}", "must populate information for the given metric source")
    if len(given) != 1:
        for field in given:
            if field != expected:
                errors.forbidden(f"{path}.{field}", "must populate the given metric source only")


def _object(source: Obj, path: str, errors: ErrorList) -> None:
    described = source.get("describedObject") or {}
    _check_reference(described, f"{path}.describedObject", errors)
    _check_version(described, f"{path}.describedObject.apiVersion", errors, core=True)
    _check_identifier(source, path, errors)
    target = _check_target(source, path, errors)
    if target.get("value") is None and target.get("averageValue") is None:
        errors.required(f"{path}.target.averageValue", "must set either a target value or averageValue")


def _external(source: Obj, path: str, errors: ErrorList) -> None:
    _check_identifier(source, path, errors)
    target = _check_target(source, path, errors)
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        why = "must set either a target value for metric or a per-pod target"
        errors.required(f"{path}.target.averageValue", why)
    if value is not None and average is not None:
        why = "may not set both a target value for metric and a per-pod target"
        errors.forbidden(f"{path}.target.value", why)


def _pods(source: Obj, path: str, errors: ErrorList) -> None:
    _check_identifier(source, path, errors)
    if _check_target(source, path, errors).get("averageValue") is None:
        errors.required(f"{path}.target.averageValue", "must specify a positive target averageValue")


def _resource(source: Obj, path: str, errors: ErrorList) -> None:
    if not source.get("name"):
        errors.required(f"{path}.name", "must specify a resource name")
    _check_use(source, path, errors)


def _container_resource(source: Obj, path: str, errors: ErrorList) -> None:
    name, container = source.get("name", ""), source.get("container", "")
    if not name:
        errors.required(f"{path}.name", "must specify a resource name")
    else:
        check_container_resource_name(name, f"{path}.name", errors)
    if not container:
        errors.required(f"{path}.container", "must specify a container")
    else:
        errors.rule(f"{path}.container", container, names.is_dns1123_label(container))
    _check_use(source, path, errors)


SOURCES: dict[str, Callable[[Obj, str, ErrorList], None]] = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}
KINDS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _check_use(source: Obj, path: str, errors: ErrorList) -> None:
    """The target of a resource: a share of the requests or an amount."""
    target = _check_target(source, path, errors)
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    if percent is None and average is None:
        why = "must set either a target raw value or a target utilization"
        errors.required(f"{path}.target.averageUtilization", why)
    if percent is not None and average is not None:
        why = "may not set both a target raw value and a target utilization"
        errors.forbidden(f"{path}.target.averageValue", why)


def _check_identifier(source: Obj, path: str, errors: ErrorList) -> None:
    name = get(source, "metric", "name") or ""
    if not name:
        errors.required(f"{path}.metric.name", "must specify a metric name")
    else:
        errors.rule(f"{path}.metric.name", name, names.is_path_segment(name))


def _check_target(source: Obj, path: str, errors: ErrorList) -> Obj:
    target: Obj = source.get("target") or {}
    kind, here = target.get("type", ""), f"{path}.target"
    if not kind:
        errors.required(f"{here}.type", "must specify a metric target type")
    if kind not in TARGETS:
        errors.invalid(f"{here}.type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        if target.get(field) is not None and not quantity.parse(target[field]) > quantity.ZERO:
            errors.invalid(f"{here}.{field}", target[field], "must be positive")
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        errors.invalid(f"{here}.averageUtilization", percent, "must be greater than 0")
    return target


def _check_scaling(rules: Obj, path: str, errors: ErrorList) -> None:
    window, here = rules.get("stabilizationWindowSeconds"), f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.invalid(here, window, "must be greater than or equal to zero")
    if window is not None and window > MAX_WINDOW_SECONDS:
        errors.invalid(here, window, f"must be less than or equal to {MAX_WINDOW_SECONDS}")
    if rules.get("selectPolicy") is not None:
        errors.one_of(f"{path}.selectPolicy", rules["selectPolicy"], ("Disabled", "Max", "Min"))
    if not rules.get("policies"):
        errors.required(f"{path}.policies", "must specify at least one Policy")
    for i, policy in enumerate(items(rules, "policies")):
        here = f"{path}.policies[{i}]"
        errors.one_of(f"{here}.type", policy.get("type", ""), ("Percent", "Pods"))
        for field in ("value", "periodSeconds"):
            if policy.get(field, 0) <= 0:
                errors.invalid(f"{here}.{field}", policy.get(field, 0), "must be greater than zero")
        if policy.get("periodSeconds", 0) > MAX_PERIOD_SECONDS:
            why = f"must be less than or equal to {MAX_PERIOD_SECONDS}"
            errors.invalid(f"{here}.periodSeconds", policy["periodSeconds"], why)
    if rules.get("tolerance") is not None:
        check_not_negative_quantity(rules["tolerance"], f"{path}.tolerance", errors)
