"""Validation of the core kinds that fit on a page: namespaces, nodes, config, endpoints, quotas, replication controllers.

Source: pkg/apis/core/validation/validation.go.
"""

import re
from base64 import b64decode
from typing import Any

import orjson

from skiff.api import labels, names, quantity
from skiff.api.resources.checks import (
    ErrorList,
    check_cidr,
    check_ip,
    check_non_special_ip,
    go_struct,
    parse_ip,
)
from skiff.api.resources.core.container_checks import PROTOCOLS
from skiff.api.resources.core.pod_checks import check_selected_template, check_template
from skiff.api.resources.core.resource_checks import (
    STANDARD,
    check_amount,
    check_container_resource_name,
    check_resource_name,
    may_overcommit,
)
from skiff.api.resources.core.scheduling_checks import check_taints
from skiff.api.resources.fields import get, items
from skiff.api.selectors import from_set
from skiff.api.types import Obj

MAX_DATA_BYTES = 1 << 20
WHEN_IMMUTABLE = "field is immutable when `immutable` is set"
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def check_namespace(obj: Obj, errors: ErrorList) -> None:
    for finalizer in get(obj, "spec", "finalizers") or ():
        _check_finalizer(finalizer, "spec.finalizers", errors)


def _check_finalizer(finalizer: str, path: str, errors: ErrorList) -> None:
    errors.rule(path, finalizer, labels.key_errors(finalizer))
    if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
        errors.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")


def check_namespace_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    phase, deleted = get(new, "status", "phase"), get(new, "metadata", "deletionTimestamp")
    if not deleted and phase != "Active":
        errors.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
    elif deleted and phase != "Terminating":
        errors.invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")


def check_namespace_finalize(new: Obj, old: Obj, errors: ErrorList) -> None:
    for i, finalizer in enumerate(get(new, "spec", "finalizers") or ()):
        _check_finalizer(finalizer, f"spec.finalizers[{i}]", errors)


def check_node(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    check_taints(spec.get("taints"), "metadata.taints", errors)
    for field in ("capacity", "allocatable"):
        for name, amount in (get(obj, "status", field) or {}).items():
            check_amount(name, amount, f"status.{field}[{name}]", errors)
    cidrs = spec.get("podCIDRs") or []
    for i, cidr in enumerate(cidrs):
        check_cidr(cidr, f"spec.podCIDRs[{i}]", errors)
    if len(cidrs) > 2 or (len(cidrs) == 2 and len({":" in c for c in cidrs}) == 1):
        errors.invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family")


MAX_FEATURE = 253
_FEATURE = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*")
_FEATURE_RULE = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or "
    "MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)


def _check_features(features: list[str], errors: ErrorList) -> None:
    path, before = "status.declaredFeatures", ""
    for i, feature in enumerate(features):
        if i and feature == before:
            errors.duplicate(f"{path}[{i}]", feature)
        elif feature < before:
            errors.invalid(f"{path}[{i}]", feature, "list must be sorted alphabetically")
        before, why = feature, ""
        if len(feature) > MAX_FEATURE:
            why = f"must be no more than {MAX_FEATURE} characters"
        elif not _FEATURE.fullmatch(feature):
            why = _FEATURE_RULE
        if why:
            errors.invalid(f"{path}[{i}]", feature, f'invalid feature name "{feature}": {why}')


def check_node_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    _check_features(get(new, "status", "declaredFeatures") or [], errors)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    seen: list[Obj] = []
    for i, address in enumerate(get(new, "status", "addresses") or ()):
        if address in seen:
            errors.duplicate(f"status.addresses[{i}]", address)
        seen.append(address)
    if before.get("podCIDRs") and before["podCIDRs"] != spec.get("podCIDRs"):
        errors.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if before.get("providerID") and before["providerID"] != spec.get("providerID"):
        errors.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')
    if (spec.get("externalID") or "") != (before.get("externalID") or ""):
        errors.forbidden("spec.externalID", "may not be updated")


def check_config_map(obj: Obj, errors: ErrorList) -> None:
    size, data, binary = 0, obj.get("data") or {}, obj.get("binaryData") or {}
    for key, value in data.items():
        errors.rule(f"data[{key}]", key, names.is_config_map_key(key))
        if key in binary:
            errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += len(value.encode())
    for key, value in binary.items():
        errors.rule(f"binaryData[{key}]", key, names.is_config_map_key(key))
        size += len(value) * 3 // 4
    if size > MAX_DATA_BYTES:
        errors.too_long("", MAX_DATA_BYTES)


def check_config_map_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    _check_immutable(new, old, errors, "data", "binaryData")


def _check_immutable(new: Obj, old: Obj, errors: ErrorList, *fields: str) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        errors.forbidden("immutable", WHEN_IMMUTABLE)
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            errors.forbidden(field, WHEN_IMMUTABLE)


_NEEDED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def check_secret(obj: Obj, errors: ErrorList) -> None:
    data, kind, size = obj.get("data") or {}, obj.get("type", ""), 0
    for key, value in data.items():
        errors.rule(f"data[{key}]", key, names.is_config_map_key(key))
        size += len(value) * 3 // 4
    if size > MAX_DATA_BYTES:
        errors.too_long("data", MAX_DATA_BYTES)
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if not (get(obj, "metadata", "annotations") or {}).get(name):
            errors.required(f"metadata.annotations[{name}]")
    elif kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        errors.required("data[username]")
        errors.required("data[password]")
    for key in _NEEDED_KEYS.get(kind, ()):
        if key not in data or (kind.endswith("ssh-auth") and not data[key]):
            errors.required(f"data[{key}]")
        elif kind.startswith("kubernetes.io/dockerc"):
            _check_json(data[key], f"data[{key}]", errors)


def _check_json(encoded: str, path: str, errors: ErrorList) -> None:
    try:
        value = orjson.loads(b64decode(encoded))
    except ValueError as err:
        errors.invalid(path, "<secret contents redacted>", str(err))
        return
    if not isinstance(value, dict):
        why = "json: cannot unmarshal into Go value of type map[string]interface {}"
        errors.invalid(path, "<secret contents redacted>", why)


def check_secret_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("type", new.get("type", ""), old.get("type", ""))
    _check_immutable(new, old, errors, "data")


def check_endpoints(obj: Obj, errors: ErrorList) -> None:
    for i, subset in enumerate(items(obj, "subsets")):
        path = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(items(subset, field)):
                _check_address(address, f"{path}.{field}[{j}]", errors)
        ports = list(items(subset, "ports"))
        for j, port in enumerate(ports):
            _check_endpoint_port(port, len(ports) > 1, f"{path}.ports[{j}]", errors)


def _check_address(address: Obj, path: str, errors: ErrorList) -> None:
    ip = address.get("ip", "")
    if parse_ip(ip) is None:
        check_ip(ip, f"{path}.ip", errors)
    if address.get("hostname"):
        errors.rule(f"{path}.hostname", address["hostname"], names.is_dns1123_label(address["hostname"]))
    if address.get("nodeName") is not None:
        errors.rule(f"{path}.nodeName", address["nodeName"], names.is_dns1123_subdomain(address["nodeName"]))
    check_non_special_ip(ip, f"{path}.ip", errors)


def _check_endpoint_port(port: Obj, needs_name: bool, path: str, errors: ErrorList) -> None:
    name = port.get("name", "")
    if needs_name and not name:
        errors.required(f"{path}.name")
    elif name:
        errors.rule(f"{path}.name", name, names.is_dns1123_label(name))
    errors.rule(f"{path}.port", port.get("port", 0), names.is_port_number(port.get("port", 0)))
    errors.one_of(f"{path}.protocol", port.get("protocol", ""), PROTOCOLS)
    if port.get("appProtocol") is not None:
        errors.rule(f"{path}.appProtocol", port["appProtocol"], labels.key_errors(port["appProtocol"]))


def check_limit_range(obj: Obj, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, limit in enumerate(items(obj, "spec", "limits")):
        path, kind = f"spec.limits[{i}]", limit.get("type", "")
        wrong = labels.key_errors(kind)
        errors.rule(f"{path}.type", kind, wrong)
        if not wrong and "/" not in kind and kind not in ("Pod", "Container", "PersistentVolumeClaim"):
            errors.invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            errors.duplicate(f"{path}.type", kind)
        seen.add(kind)
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            check = check_container_resource_name if kind in ("Pod", "Container") else check_resource_name
            for name in limit.get(field) or ():
                check(name, f"{path}.{field}[{name}]", errors)
        if kind == "Pod":
            for field in ("default", "defaultRequest"):
                if limit.get(field):
                    errors.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
        elif kind == "PersistentVolumeClaim" and not any("storage" in (limit.get(f) or {}) for f in ("min", "max")):
            why = "either minimum or maximum storage value is required, but neither was provided"
            errors.required(f"{path}.limits", why)
        _check_limits_fit(limit, path, errors)


_ORDERED = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)


def _check_limits_fit(limit: Obj, path: str, errors: ErrorList) -> None:
    """Smaller and larger amounts of one resource stand in order. Upstream names a field and shows a value, at times another's."""
    for name in sorted({n for row in _ORDERED for f in row[:2] for n in limit.get(f) or ()}):
        for low, high, at, shown, words in _ORDERED:
            small, large = (get(limit, f, name) for f in (low, high))
            if small is not None and large is not None and quantity.parse(large) < quantity.parse(small):
                errors.invalid(f"{path}.{at}[{name}]", get(limit, shown, name), words.format(small, large))
        usual, asked = get(limit, "default", name), get(limit, "defaultRequest", name)
        if usual is not None and asked is not None and usual != asked and not may_overcommit(name):
            why = f"default value {usual} must equal to defaultRequest value {asked} in {name}"
            errors.invalid(f"{path}.defaultRequest[{name}]", asked, why)
    for name, ratio in (limit.get("maxLimitRequestRatio") or {}).items():
        if quantity.parse(ratio) < quantity.from_value(1):
            errors.invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, f"ratio {ratio} is less than 1")
        low, high = (get(limit, f, name) for f in ("min", "max"))
        most = quantity.parse(high).milli / quantity.parse(low).milli if low and high and quantity.parse(low) else None
        if most is not None and quantity.parse(ratio).milli / 1000 > most:
            why = f"ratio {ratio} is greater than max/min = {most:.6f}"
            errors.invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, why)


SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)


def check_resource_quota(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    _check_quota_amounts(spec.get("hard"), "spec.hard", errors)
    _check_scopes(spec, errors)
    _check_scope_selector(spec, errors)


def check_resource_quota_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    for field in ("hard", "used"):
        _check_quota_amounts(get(new, "status", field), f"status.{field}", errors)


def _check_quota_amounts(amounts: Obj | None, place: str, errors: ErrorList) -> None:
    for name, amount in (amounts or {}).items():
        path = f"{place}[{name}]"
        wrong = labels.key_errors(name)
        errors.rule(path, name, wrong)
        known = name in STANDARD or name.startswith(("hugepages-", "requests.", "limits."))
        if not wrong and "/" not in name and not known:
            errors.invalid(path, name, "must be a standard resource for quota")
        check_amount(name, amount, path, errors)


_CONFLICTING = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
_COMPUTE = ("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
_CLAIMS = ("persistentvolumeclaims", "requests.storage")
_SCOPED = {
    "BestEffort": ("pods",),
    "VolumeAttributesClass": _CLAIMS,
    **dict.fromkeys(
        ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"),
        ("pods", *_COMPUTE),
    ),
}
"""Scope → the resources that it can be about."""
_ONLY_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def _misplaced(scope: str, spec: Obj) -> list[str]:
    """Limited resources that a scope cannot be about."""
    fine = _SCOPED.get(scope)
    return [n for n in sorted(spec.get("hard") or ()) if fine is not None and "/" not in n and n not in fine]


def _check_scopes(spec: Obj, errors: ErrorList) -> None:
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in SCOPES:
            errors.invalid("spec.scopes", scopes, "unsupported scope")
        for _ in _misplaced(scope, spec):
            errors.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for pair in _CONFLICTING:
        if {*pair} <= {*scopes}:
            errors.invalid("spec.scopes", scopes, "conflicting scopes")


def _check_scope_selector(spec: Obj, errors: ErrorList) -> None:
    path, found = "spec.scopeSelector.matchExpressions", set()
    for requirement in items(spec, "scopeSelector", "matchExpressions"):
        scope, operator, values = (
            requirement.get("scopeName", ""),
            requirement.get("operator", ""),
            requirement.get("values"),
        )
        found.add(scope)
        if scope not in SCOPES:
            errors.invalid(f"{path}.scopeName", scope, "unsupported scope")
        for _ in _misplaced(scope, spec):
            shown = go_struct(spec["scopeSelector"], "matchExpressions{scopeName operator values}")
            errors.invalid(path, shown, "unsupported scope applied to resource")
        if scope in SCOPES and scope not in ("PriorityClass", "VolumeAttributesClass") and operator != "Exists":
            errors.invalid(f"{path}.operator", operator, _ONLY_EXISTS)
        if operator in ("In", "NotIn"):
            if not values:
                why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.required(f"{path}.values", why)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.invalid(f"{path}.values", values, why)
        else:
            errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    for pair in _CONFLICTING:
        if {*pair} <= found:
            errors.invalid(path, spec.get("scopes"), "conflicting scopes")


def check_resource_quota_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    after, before = (get(o, "spec", "scopes") or [] for o in (new, old))
    if {*after} != {*before}:
        errors.invalid("spec.scopes", after or None, "field is immutable")


def check_pod_template(obj: Obj, errors: ErrorList) -> None:
    check_template(obj.get("template") or {}, "template", errors)


def check_replication_controller(obj: Obj, errors: ErrorList) -> None:
    spec: Any = obj.get("spec") or {}
    errors.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    errors.not_negative("spec.replicas", spec.get("replicas"))
    if not spec.get("selector"):
        errors.required("spec.selector")
    selector = from_set(spec.get("selector"))
    check_selected_template(spec.get("template"), selector, "spec.template", errors, owner="ReplicationController")
