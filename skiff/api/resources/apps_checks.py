"""Validation of apps/v1. Source: pkg/apis/apps/validation/validation.go."""

from typing import Any

from skiff.api import intstr, names
from skiff.api.errors import FieldError
from skiff.api.resources.checks import ErrorList, check_label_selector, go_struct, is_empty_selector, shown_selector
from skiff.api.resources.core.claim_checks import check_claim_spec
from skiff.api.resources.core.pod_checks import check_selected_template
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj


def check_int_or_percent(value: Any, path: str, errors: ErrorList) -> None:
    """A number that is not negative, or a percentage."""
    if isinstance(value, str):
        errors.rule(path, value, names.is_percent(value))
    else:
        errors.not_negative(path, value)


def check_at_most_all(value: Any, path: str, errors: ErrorList) -> None:
    if isinstance(value, str) and not names.is_percent(value) and int(value[:-1]) > 100:
        errors.invalid(path, value, "must not be greater than 100%")


_ROLLING = "rollingUpdate{maxUnavailable maxSurge}"


def _amount(value: Any) -> int:
    if isinstance(value, str):
        return int(value[:-1]) if not names.is_percent(value) else intstr.int_value(value)
    return int(value or 0)


def _check_selector(spec: Obj, words: str, errors: ErrorList, invalid: str = "invalid label selector") -> None:
    """invalid: what is said of a selector that cannot be used at all."""
    selector = spec.get("selector")
    if selector is None:
        errors.required("spec.selector")
        return
    before = len(errors)
    check_label_selector(selector, "spec.selector", errors)
    if len(errors) > before:
        errors.invalid("spec.selector", shown_selector(selector), invalid)
    if is_empty_selector(selector):
        errors.invalid("spec.selector", shown_selector(selector), f"empty selector is invalid for {words}")


def check_deployment(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    errors.not_negative("spec.replicas", spec.get("replicas"))
    _check_selector(spec, "deployment", errors)
    check_selected_template(spec.get("template"), spec.get("selector"), "spec.template", errors, owner="ReplicaSet")
    _check_deployment_strategy(spec.get("strategy") or {}, errors)
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    errors.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        errors.not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= spec.get("minReadySeconds", 0):
            errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _check_deployment_strategy(strategy: Obj, errors: ErrorList) -> None:
    kind, rolling, path = strategy.get("type", ""), strategy.get("rollingUpdate"), "spec.strategy"
    if kind == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            errors.forbidden(f"{path}.rollingUpdate", why)
    elif kind == "RollingUpdate":
        rolling, path = rolling or {}, f"{path}.rollingUpdate"
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        check_int_or_percent(unavailable, f"{path}.maxUnavailable", errors)
        check_int_or_percent(surge, f"{path}.maxSurge", errors)
        if _amount(unavailable) == 0 and _amount(surge) == 0:
            errors.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
        check_at_most_all(unavailable, f"{path}.maxUnavailable", errors)
    else:
        listed = 'supported values: "Recreate", "RollingUpdate"'
        errors.append(FieldError(path, "FieldValueNotSupported", go_struct(strategy, "type", _ROLLING), listed))


def check_selector_kept(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("spec.selector", get(new, "spec", "selector"), get(old, "spec", "selector"))


def check_replica_set(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    errors.not_negative("spec.replicas", spec.get("replicas"))
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    _check_selector(spec, "deployment", errors)
    template = spec.get("template") or {}
    check_selected_template(template, spec.get("selector"), "spec.template", errors, owner="ReplicaSet")


def check_daemon_set(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    check_label_selector(spec.get("selector"), "spec.selector", errors)
    template = spec.get("template") or {}
    if spec.get("selector") is not None and is_empty_selector(spec["selector"]):
        errors.invalid("spec.selector", spec["selector"], "empty selector is invalid for daemonset")
    check_selected_template(template, spec.get("selector"), "spec.template", errors, owner="DaemonSet")
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    _check_daemon_strategy(spec.get("updateStrategy") or {}, errors)
    errors.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _check_daemon_strategy(strategy: Obj, errors: ErrorList) -> None:
    kind, path = strategy.get("type", ""), "spec.updateStrategy"
    if kind == "RollingUpdate":
        rolling, path = strategy.get("rollingUpdate") or {}, f"{path}.rollingUpdate"
        for name in ("maxUnavailable", "maxSurge"):
            check_int_or_percent(rolling.get(name), f"{path}.{name}", errors)
            check_at_most_all(rolling.get(name), f"{path}.{name}", errors)
        unavailable, surge = _amount(rolling.get("maxUnavailable")), _amount(rolling.get("maxSurge"))
        if unavailable and surge:
            why = "may not be set when maxUnavailable is non-zero"
            errors.invalid(f"{path}.maxSurge", rolling.get("maxSurge"), why)
        elif not unavailable and not surge:
            errors.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif kind != "OnDelete":
        listed = 'supported values: "RollingUpdate", "OnDelete"'
        errors.append(FieldError(path, "FieldValueNotSupported", go_struct(strategy, "type", _ROLLING), listed))


def check_stateful_set(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    management = spec.get("podManagementPolicy", "")
    if management not in ("OrderedReady", "Parallel"):
        errors.invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'")
    _check_stateful_strategy(spec.get("updateStrategy") or {}, errors)
    for name in ("whenDeleted", "whenScaled"):
        value = get(spec, "persistentVolumeClaimRetentionPolicy", name) or ""
        errors.one_of(f"spec.persistentVolumeClaimRetentionPolicy.{name}", value, ("Retain", "Delete"))
    for i, claim in enumerate(items(spec, "volumeClaimTemplates")):
        check_claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec", errors)
    errors.not_negative("spec.replicas", spec.get("replicas"))
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    errors.not_negative("spec.ordinals.start", get(spec, "ordinals", "start"))
    if spec.get("serviceName"):
        errors.rule("spec.serviceName", spec["serviceName"], names.is_dns1123_label(spec["serviceName"]))
    _check_selector(spec, "statefulset", errors, "")
    template = _as_pods_will_be(spec)
    check_selected_template(template, spec.get("selector"), "spec.template", errors, owner="StatefulSet")


def _as_pods_will_be(spec: Obj) -> Obj:
    """The template with the volumes that its claims become; the controller sets hostname and subdomain itself."""
    template = spec.get("template") or {}
    pod = {k: v for k, v in (template.get("spec") or {}).items() if k not in ("hostname", "subdomain")}
    claimed = list(dict.fromkeys(get(c, "metadata", "name") or "" for c in items(spec, "volumeClaimTemplates")))
    if claimed:
        volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claimed]
        pod["volumes"] = volumes + [v for v in pod.get("volumes") or () if v.get("name") not in claimed]
    return {**template, "spec": pod}


def _check_stateful_strategy(strategy: Obj, errors: ErrorList) -> None:
    kind, rolling, path = strategy.get("type", ""), strategy.get("rollingUpdate"), "spec.updateStrategy"
    if kind == "OnDelete":
        if rolling is not None:
            errors.invalid(f"{path}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        here, value = f"{path}.rollingUpdate.maxUnavailable", get(rolling, "maxUnavailable")
        errors.not_negative(f"{path}.rollingUpdate.partition", get(rolling, "partition"))
        if value is not None:
            check_int_or_percent(value, here, errors)
            if _amount(value) == 0:
                errors.invalid(here, value, "cannot be 0")
            check_at_most_all(value, here, errors)
    else:
        errors.invalid(
            path,
            go_struct(strategy, "type", "rollingUpdate{partition maxUnavailable}"),
            "must be 'RollingUpdate' or 'OnDelete'",
        )


_STATEFUL_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def check_stateful_set_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    fixed = [{k: v for k, v in (o.get("spec") or {}).items() if k not in _STATEFUL_MUTABLE} for o in (new, old)]
    if fixed[0] != fixed[1]:
        why = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
        )
        errors.forbidden("spec", why)


def check_controller_revision(obj: Obj, errors: ErrorList) -> None:
    errors.not_negative("revision", obj.get("revision"))


def check_new_controller_revision(obj: Obj, errors: ErrorList) -> None:
    if obj.get("data") is None:
        errors.required("data", "data is mandatory")


def check_controller_revision_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("data", new.get("data"), old.get("data"))
