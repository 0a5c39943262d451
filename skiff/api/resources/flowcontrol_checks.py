"""Validation of flowcontrol.apiserver.k8s.io/v1. Source: pkg/apis/flowcontrol/validation/validation.go."""

import math
from collections.abc import Callable

from skiff.api import names
from skiff.api.errors import FieldError, not_supported
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.fields import items
from skiff.api.types import Obj

MAX_PRECEDENCE = 10_000
MAX_QUEUES = 10_000_000
MAX_HASH_BITS = 60
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
"""Kind of a subject → its field."""

_EVERYTHING = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def _groups(*named: str) -> list[Obj]:
    return [{"kind": "Group", "group": {"name": name}} for name in named]


MANDATORY_SCHEMAS: dict[str, Obj] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{"subjects": _groups("system:masters"), **_EVERYTHING}],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": MAX_PRECEDENCE,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": _groups("system:unauthenticated", "system:authenticated"), **_EVERYTHING}],
    },
}
CATCH_ALL_LEVEL: Obj = {
    "type": "Limited",
    "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
}


def check_flow_schema(obj: Obj, errors: ErrorList) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name", "")
    precedence, path = spec.get("matchingPrecedence", 0), "spec.matchingPrecedence"
    if precedence <= 0:
        errors.invalid(path, precedence, "must be a positive value")
    if precedence > MAX_PRECEDENCE:
        errors.invalid(path, precedence, f"must not be greater than {MAX_PRECEDENCE}")
    if precedence == 1 and name != "exempt":
        errors.invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = {"Type": method.get("type", "")}
        errors.append(not_supported("spec.distinguisherMethod.type", shown, ("ByNamespace", "ByUser")))
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    if level:
        errors.rule("spec.priorityLevelConfiguration.name", level, names.is_dns1123_subdomain(level))
    else:
        errors.required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    for i, rule in enumerate(items(spec, "rules")):
        _check_rule(rule, f"spec.rules[{i}]", errors)
    if name in MANDATORY_SCHEMAS and spec != MANDATORY_SCHEMAS[name]:
        errors.invalid("spec", spec, f"spec of '{name}' must equal the fixed value")
    check_conditions(obj, errors)


def _check_rule(rule: Obj, path: str, errors: ErrorList) -> None:
    if not rule.get("subjects"):
        errors.required(f"{path}.subjects", "subjects must contain at least one value")
    for i, subject in enumerate(items(rule, "subjects")):
        _check_subject(subject, f"{path}.subjects[{i}]", errors)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for i, resources in enumerate(items(rule, "resourceRules")):
        _check_resources(resources, f"{path}.resourceRules[{i}]", errors)
    for i, urls in enumerate(items(rule, "nonResourceRules")):
        _check_urls(urls, f"{path}.nonResourceRules[{i}]", errors)


def _check_subject(subject: Obj, path: str, errors: ErrorList) -> None:
    kind = subject.get("kind", "")
    field = SUBJECTS.get(kind)
    if field is None:
        errors.append(not_supported(f"{path}.kind", kind, tuple(SUBJECTS)))
        return
    who = subject.get(field)
    if who is None:
        errors.required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'")
    elif not who.get("name"):
        errors.required(f"{path}.{field}.name")
    elif field == "serviceAccount" and who["name"] != "*":
        errors.rule(f"{path}.{field}.name", who["name"], names.is_dns1123_subdomain(who["name"]))
    if who is not None and field == "serviceAccount":
        namespace = who.get("namespace", "")
        if namespace:
            errors.rule(f"{path}.{field}.namespace", namespace, names.is_dns1123_label(namespace))
        else:
            errors.required(f"{path}.{field}.namespace", "must specify namespace for service account")
    for other_kind, other in SUBJECTS.items():
        if other != field and subject.get(other) is not None:
            errors.forbidden(f"{path}.{other}", f"{other} is forbidden when subject kind is not '{other_kind}'")


def _check_all(values: list[str], path: str, errors: ErrorList, missing: str, others: str) -> bool:
    """There are some, and `*` stands alone. Whether the values themselves are still to be checked."""
    if not values:
        errors.required(path, missing)
    elif "*" in values:
        if len(values) > 1:
            errors.invalid(path, values, f"if '*' is present, must not specify other {others}")
    else:
        return True
    return False


def _check_verbs(rule: Obj, path: str, errors: ErrorList) -> None:
    verbs, here = rule.get("verbs") or [], f"{path}.verbs"
    if _check_all(verbs, here, errors, "verbs must contain at least one value", "verbs") and not {*verbs} <= {*VERBS}:
        errors.append(not_supported(here, verbs, VERBS))


def _check_resources(rule: Obj, path: str, errors: ErrorList) -> None:
    _check_verbs(rule, path, errors)
    for field, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        missing = f"resource rules must supply at least one {one}"
        _check_all(rule.get(field) or [], f"{path}.{field}", errors, missing, many)
    namespaces, here = rule.get("namespaces") or [], f"{path}.namespaces"
    if not namespaces and rule.get("clusterScope"):
        return
    missing = "resource rules that are not cluster scoped must supply at least one namespace"
    if _check_all(namespaces, here, errors, missing, "namespaces"):
        for i, name in enumerate(namespaces):
            for why in names.is_dns1123_label(name):
                intro = "each member of this list must be '*' or a DNS-1123 label; "
                errors.invalid(f"{here}[{i}]", name, intro + why)


def _check_urls(rule: Obj, path: str, errors: ErrorList) -> None:
    _check_verbs(rule, path, errors)
    urls, here = rule.get("nonResourceURLs") or [], f"{path}.nonResourceURLs"
    missing = "nonResourceURLs must contain at least one value"
    if _check_all(urls, here, errors, missing, "non-resource URLs"):
        for i, url in enumerate(urls):
            why = url_error(url)
            if why:
                errors.invalid(f"{here}[{i}]", url, why)


def url_error(url: str) -> str:
    """What is wrong with the path of a non-resource rule, "" if nothing."""
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars == 1 and not url.endswith("/*")) else ""


def check_conditions(obj: Obj, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, condition in enumerate(items(obj, "status", "conditions")):
        path, kind = f"status.conditions[{i}].type", condition.get("type", "")
        if kind in seen:
            errors.duplicate(path, kind)
        seen.add(kind)
        if not kind:
            errors.required(path)


def check_conditions_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    check_conditions(new, errors)


def check_priority_level(obj: Obj, errors: ErrorList) -> None:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name", "")
    annotation = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
    if annotation in (obj["metadata"].get("annotations") or {}):
        errors.forbidden("metadata.annotations", f"annotation '{annotation}' is forbidden")
    kind = spec.get("type", "")
    if (name == "exempt") != (kind == "Exempt"):
        errors.invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    check = _LEVELS.get(kind)
    if check is None:
        errors.append(not_supported("spec.type", kind, tuple(_LEVELS)))
    else:
        check(spec, errors)
    _check_mandatory_level(spec, name, errors)
    check_conditions(obj, errors)


def _check_mandatory_level(spec: Obj, name: str, errors: ErrorList) -> None:
    if name == "exempt" and {k: v for k, v in spec.items() if k != "exempt"} != {"type": "Exempt"}:
        errors.invalid("spec", spec, "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value")
    elif name == "catch-all" and spec != CATCH_ALL_LEVEL:
        errors.invalid("spec", spec, "spec of 'catch-all' must equal the fixed value")


def _check_exempt(spec: Obj, errors: ErrorList) -> None:
    if spec.get("limited") is not None:
        errors.forbidden("spec.limited", "must be nil if the type is not Limited")
    if spec.get("exempt") is not None:
        _check_shares(spec["exempt"], "spec.exempt", errors)
        _check_lendable(spec["exempt"], "spec.exempt", errors)


def _check_limited(spec: Obj, errors: ErrorList) -> None:
    if spec.get("exempt") is not None:
        errors.forbidden("spec.exempt", "must be nil if the type is Limited")
    limited, path = spec.get("limited"), "spec.limited"
    if limited is None:
        errors.required(path, "must not be empty when type is Limited")
        return
    _check_shares(limited, path, errors)
    _check_response(limited.get("limitResponse") or {}, f"{path}.limitResponse", errors)
    _check_lendable(limited, path, errors)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        errors.invalid(f"{path}.borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer")


_LEVELS: dict[str, Callable[[Obj, ErrorList], None]] = {"Exempt": _check_exempt, "Limited": _check_limited}


def _check_shares(level: Obj, path: str, errors: ErrorList) -> None:
    shares = level.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        errors.invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")


def _check_lendable(level: Obj, path: str, errors: ErrorList) -> None:
    lendable = level.get("lendablePercent")
    if lendable is not None and not 0 <= lendable <= 100:
        errors.invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive")


def _check_response(response: Obj, path: str, errors: ErrorList) -> None:
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            errors.forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind != "Queue":
        errors.append(not_supported(f"{path}.type", kind, ("Queue", "Reject")))
    elif queuing is None:
        errors.required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
    else:
        _check_queuing(queuing, f"{path}.queuing", errors)


def _check_queuing(queuing: Obj, path: str, errors: ErrorList) -> None:
    limit, queues, hand = (queuing.get(f, 0) for f in ("queueLengthLimit", "queues", "handSize"))
    if limit <= 0:
        errors.invalid(f"{path}.queueLengthLimit", limit, "must be positive")
    if queues <= 0:
        errors.invalid(f"{path}.queues", queues, "must be positive")
    elif queues > MAX_QUEUES:
        errors.invalid(f"{path}.queues", queues, f"must not be greater than {MAX_QUEUES}")
    why = ""
    if hand <= 0:
        why = "must be positive"
    elif hand > queues:
        why = f"should not be greater than queues ({queues})"
    elif math.ceil(math.log2(queues) * hand) > MAX_HASH_BITS:
        bits = f"required entropy bits of deckSize {queues} and handSize {hand}"
        why = f"{bits} should not be greater than {MAX_HASH_BITS}"
    if why:
        errors.append(FieldError(f"{path}.handSize", "FieldValueInvalid", hand, why))
