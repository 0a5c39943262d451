"""Validation of kinds whose rules are few: API services, policy, rbac, scheduling, leases, runtime classes, CRDs.

Source: pkg/apis/<group>/validation/validation.go; apiextensions-apiserver pkg/apis/apiextensions/validation.
"""

from base64 import b64decode
from collections.abc import Callable

from skiff.api import names
from skiff.api.resources.apps_checks import check_at_most_all, check_int_or_percent
from skiff.api.resources.checks import ErrorList, check_label_selector, check_labels, go_struct, shown_selector
from skiff.api.resources.core.resource_checks import check_resource_requirements
from skiff.api.resources.core.scheduling_checks import check_tolerations
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

RBAC = "rbac.authorization.k8s.io"
MAX_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def check_disruption_budget(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = go_struct(spec, "minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")
        if shown["Selector"] is not None:
            shown["Selector"] = shown_selector(shown["Selector"])
        errors.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
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
                before = len(errors)
                check_label_selector(selector, f"{path}[{i}]", errors)
                if len(errors) > before:
                    errors.invalid(f"{path}[{i}]", None, "invalid label selector.")

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
        ref = new.get("roleRef") or {}
        shown = {"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")}
        errors.invalid("roleRef", shown, "cannot change roleRef")  # as upstream prints its internal type


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
    if not obj.get("preemptionPolicy"):
        errors.required("preemptionPolicy")
    else:
        errors.one_of("preemptionPolicy", obj["preemptionPolicy"], ("PreemptLowerPriority", "Never"))


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
        check_resource_requirements({"limits": overhead}, "overhead", errors)
    check_labels(get(obj, "scheduling", "nodeSelector"), "scheduling.nodeSelector", errors)
    tolerations = get(obj, "scheduling", "tolerations") or []
    check_tolerations(tolerations, "scheduling.tolerations", errors)
    keys = [[t.get(f, "") for f in ("key", "operator", "value", "effect")] for t in tolerations]
    for i, toleration in enumerate(tolerations):
        if keys[i] in keys[:i]:
            shown = dict(zip(("Key", "Operator", "Value", "Effect"), keys[i], strict=True))
            shown["TolerationSeconds"] = toleration.get("tolerationSeconds")
            errors.duplicate(f"scheduling.tolerations[{i}]", shown)


def check_runtime_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("handler", new.get("handler", ""), old.get("handler", ""))


def check_api_service(obj: Obj, errors: ErrorList) -> None:
    spec, name = obj.get("spec") or {}, get(obj, "metadata", "name") or ""
    group, version, service = spec.get("group", ""), spec.get("version", ""), spec.get("service")
    if name and not names.is_path_segment(name) and name != f"{version}.{group}":
        errors.invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{version}.{group}"')
    if not group and version != "v1":
        errors.required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    if group:
        errors.rule("spec.group", group, names.is_dns1123_subdomain(group))
    errors.rule("spec.version", version, names.is_dns1035_label(version))
    for field, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not 0 < value <= limit:
            errors.invalid(f"spec.{field}", value, f"must be positive and less than {limit}")
    bundle, skip = spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    if service is None:
        if bundle:
            errors.invalid(
                "spec.caBundle", f"{len(b64decode(bundle))} bytes", "local APIServices may not have a caBundle"
            )
        if skip:
            why = "local APIServices may not have insecureSkipTLSVerify"
            errors.invalid("spec.insecureSkipTLSVerify", True, why)
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            errors.required(f"spec.service.{field}")
    port = service.get("port") or 0
    wrong = names.is_port_number(port)
    if wrong:
        errors.invalid("spec.service.port", port, "port is not valid: " + ", ".join(wrong))
    if skip and bundle:
        errors.invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def check_api_service_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    for i, condition in enumerate(items(new, "status", "conditions")):
        errors.one_of(f"status.conditions[{i}].status", condition.get("status", ""), ("True", "False", "Unknown"))
