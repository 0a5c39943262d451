"""Validation of kinds whose rules are few: autoscaling, policy, rbac, scheduling, leases, runtime classes, CRDs.

Source: pkg/apis/<group>/validation/validation.go; apiextensions-apiserver pkg/apis/apiextensions/validation.
"""

from collections.abc import Callable

from skiff.api import names, quantity
from skiff.api.resources.apps_checks import check_at_most_all, check_int_or_percent
from skiff.api.resources.checks import ErrorList, check_label_selector
from skiff.api.resources.core.resource_checks import check_resource_requirements
from skiff.api.resources.core.scheduling_checks import check_tolerations
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

RBAC = "rbac.authorization.k8s.io"
MAX_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
METRICS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def check_autoscaler(obj: Obj, errors: ErrorList) -> None:
    """HorizontalPodAutoscaler of v1 and v2."""
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
    for field in ("kind", "name"):
        value = get(spec, "scaleTargetRef", field) or ""
        if not value:
            errors.required(f"spec.scaleTargetRef.{field}")
        else:
            errors.rule(f"spec.scaleTargetRef.{field}", value, names.is_path_segment(value))
    for i, metric in enumerate(items(spec, "metrics")):
        _check_metric(metric, f"spec.metrics[{i}]", errors)
    for direction in ("scaleUp", "scaleDown"):
        rules = get(spec, "behavior", direction)
        if rules:
            _check_scaling(rules, f"spec.behavior.{direction}", errors)
    percent = spec.get("targetCPUUtilizationPercentage")
    if percent is not None and percent < 1:
        errors.invalid("spec.targetCPUUtilizationPercentage", percent, "must be greater than 0")


def _check_metric(metric: Obj, path: str, errors: ErrorList) -> None:
    kind = metric.get("type", "")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric source type")
    errors.one_of(f"{path}.type", kind, tuple(METRICS))
    expected = METRICS.get(kind, "")
    given = [f for f in METRICS.values() if metric.get(f) is not None]
    if expected and expected not in given:
        errors.required(f"{path}.{expected}", "must populate information for the given metric source")
    for field in given:
        if field != expected:
            errors.forbidden(f"{path}.{field}", "must populate the given metric source only")
    source = metric.get(expected)
    if not source:
        return
    here = f"{path}.{expected}"
    if expected in ("resource", "containerResource") and not source.get("name"):
        errors.required(f"{here}.name", "must specify a resource name")
    _check_target(source.get("target") or {}, f"{here}.target", errors, expected)


def _check_target(target: Obj, path: str, errors: ErrorList, source: str) -> None:
    kind = target.get("type", "")
    if not kind:
        errors.required(f"{path}.type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        errors.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        if target.get(field) is not None and not quantity.parse(target[field]) > quantity.ZERO:
            errors.invalid(f"{path}.{field}", target[field], "must be positive")
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    if percent is not None and percent < 1:
        errors.invalid(f"{path}.averageUtilization", percent, "must be greater than 0")
    if source in ("resource", "containerResource"):
        if percent is None and average is None:
            why = "must set either a target raw value or a target utilization"
            errors.required(f"{path}.averageUtilization", why)
        elif percent is not None and average is not None:
            why = "may not set both a target raw value and a target utilization"
            errors.forbidden(f"{path}.averageValue", why)


def _check_scaling(rules: Obj, path: str, errors: ErrorList) -> None:
    window = rules.get("stabilizationWindowSeconds")
    errors.not_negative(f"{path}.stabilizationWindowSeconds", window)
    if window is not None and window > 3600:
        errors.invalid(f"{path}.stabilizationWindowSeconds", window, "must be less than or equal to 3600")
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
        if policy.get("periodSeconds", 0) > 1800:
            errors.invalid(f"{here}.periodSeconds", policy["periodSeconds"], "must be less than or equal to 1800")


def check_disruption_budget(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        errors.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if spec.get(field) is not None:
            check_int_or_percent(spec[field], f"spec.{field}", errors)
            check_at_most_all(spec[field], f"spec.{field}", errors)
    check_label_selector(spec.get("selector"), "spec.selector", errors)
    if spec.get("unhealthyPodEvictionPolicy") is not None:
        allowed = ("AlwaysAllow", "IfHealthyBudget")
        errors.one_of("spec.unhealthyPodEvictionPolicy", spec["unhealthyPodEvictionPolicy"], allowed)


def check_role(*, namespaced: bool) -> Callable[[Obj, ErrorList], None]:
    def check(obj: Obj, errors: ErrorList) -> None:
        for i, rule in enumerate(items(obj, "rules")):
            _check_rule(rule, f"rules[{i}]", errors, namespaced=namespaced)
        aggregation = obj.get("aggregationRule")
        if aggregation is not None:
            path, selectors = "aggregationRule.clusterRoleSelectors", aggregation.get("clusterRoleSelectors") or []
            if not selectors:
                why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
                errors.required(path, why)
            for i, selector in enumerate(selectors):
                check_label_selector(selector, f"{path}[{i}]", errors)

    return check


def _check_rule(rule: Obj, path: str, errors: ErrorList, *, namespaced: bool) -> None:
    if not rule.get("verbs"):
        errors.required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls:
        here = f"{path}.nonResourceURLs"
        if namespaced:
            errors.invalid(here, urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.invalid(here, urls, "rules cannot apply to both regular resources and non-resource URLs")
        return
    if not rule.get("apiGroups"):
        errors.required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        errors.required(f"{path}.resources", "resource rules must supply at least one resource")


def check_binding(*, namespaced: bool) -> Callable[[Obj, ErrorList], None]:
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)

    def check(obj: Obj, errors: ErrorList) -> None:
        reference = obj.get("roleRef") or {}
        errors.one_of("roleRef.apiGroup", reference.get("apiGroup", ""), (RBAC,))
        errors.one_of("roleRef.kind", reference.get("kind", ""), kinds)
        name = reference.get("name", "")
        if not name:
            errors.required("roleRef.name")
        else:
            errors.rule("roleRef.name", name, names.is_path_segment(name))
        for i, subject in enumerate(items(obj, "subjects")):
            _check_subject(subject, f"subjects[{i}]", errors, namespaced=namespaced)

    return check


def _check_subject(subject: Obj, path: str, errors: ErrorList, *, namespaced: bool) -> None:
    kind, name, group = (subject.get(f, "") for f in ("kind", "name", "apiGroup"))
    if not name:
        errors.required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            errors.rule(f"{path}.name", name, names.is_dns1123_subdomain(name))
        errors.one_of(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            errors.required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        errors.one_of(f"{path}.apiGroup", group, (RBAC,))
    else:
        errors.one_of(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))


def check_binding_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    if new.get("roleRef") != old.get("roleRef"):
        errors.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def check_priority_class(obj: Obj, errors: ErrorList) -> None:
    name, value = get(obj, "metadata", "name") or "", obj.get("value", 0)
    if name.startswith("system-"):
        if SYSTEM_PRIORITIES.get(name) != value or obj.get("globalDefault"):
            why = "priority class names with 'system-' prefix are reserved for system use only. error: "
            if name not in SYSTEM_PRIORITIES:
                why += f"{name} is not a known system priority class"
            elif SYSTEM_PRIORITIES[name] != value:
                why += f"value of {name} PriorityClass must be {SYSTEM_PRIORITIES[name]}"
            else:
                why += f"globalDefault of {name} PriorityClass must be false"
            errors.forbidden("metadata.name", why)
    elif value > MAX_USER_PRIORITY:
        errors.forbidden("value", f"maximum allowed value of a user defined priority is {MAX_USER_PRIORITY}")
    errors.one_of("preemptionPolicy", obj.get("preemptionPolicy", ""), ("PreemptLowerPriority", "Never"))


def check_priority_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    if new.get("value", 0) != old.get("value", 0):
        errors.forbidden("value", "may not be changed in an update.")
    errors.immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))


def check_lease(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        errors.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    errors.not_negative("spec.leaseTransitions", transitions)
    if spec.get("preferredHolder") and not spec.get("strategy"):
        errors.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")


def check_runtime_class(obj: Obj, errors: ErrorList) -> None:
    handler = obj.get("handler", "")
    if not handler:
        errors.required("handler")
    else:
        errors.rule("handler", handler, names.is_dns1123_label(handler))
    overhead = get(obj, "overhead", "podFixed")
    if overhead:
        check_resource_requirements({"limits": overhead}, "overhead.podFixed", errors)
    check_tolerations(get(obj, "scheduling", "tolerations"), "scheduling.tolerations", errors)


def check_runtime_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("handler", new.get("handler"), old.get("handler"))
