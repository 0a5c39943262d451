"""Validation of what tells the scheduler where: node selectors, affinity, tolerations, spreading, taints.

Source: pkg/apis/core/validation/validation.go.
"""

from typing import Any

from skiff.api import labels, names
from skiff.api.errors import FieldError
from skiff.api.resources.checks import POSITIVE, ErrorList, check_label_selector
from skiff.api.types import Obj

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def check_node_selector(selector: Obj, path: str, errors: ErrorList) -> None:
    terms = selector.get("nodeSelectorTerms") or []
    if not terms:
        errors.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for i, term in enumerate(terms):
        _check_node_term(term, f"{path}.nodeSelectorTerms[{i}]", errors, check_values=True)


def _check_node_term(term: Obj, path: str, errors: ErrorList, *, check_values: bool) -> None:
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        _check_expression(requirement, f"{path}.matchExpressions[{i}]", errors, check_values=check_values)
    for i, requirement in enumerate(term.get("matchFields") or ()):
        _check_field(requirement, f"{path}.matchFields[{i}]", errors)


def _check_expression(requirement: Obj, path: str, errors: ErrorList, *, check_values: bool) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            errors.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    errors.rule(f"{path}.key", requirement.get("key", ""), labels.key_errors(requirement.get("key", "")))
    if check_values:
        for i, value in enumerate(values):
            errors.rule(f"{path}.values[{i}]", value, labels.value_errors(value))


def _check_field(requirement: Obj, path: str, errors: ErrorList) -> None:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if len(values) != 1:
            why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.required(f"{path}.values", why)
    else:
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    if requirement.get("key") != "metadata.name":
        errors.invalid(f"{path}.key", requirement.get("key", ""), "not a valid field selector key")
        return
    for i, value in enumerate(values):
        errors.rule(f"{path}.values[{i}]", value, names.is_dns1123_subdomain(value))


def check_affinity(affinity: Obj | None, path: str, errors: ErrorList) -> None:
    for kind, terms in (affinity or {}).items():
        here = f"{path}.{kind}"
        if kind == "nodeAffinity":
            if terms.get(REQUIRED) is not None:
                check_node_selector(terms[REQUIRED], f"{here}.{REQUIRED}", errors)
            for i, term in enumerate(terms.get(PREFERRED) or ()):
                _check_weight(term, f"{here}.{PREFERRED}[{i}]", errors)
                preference = f"{here}.{PREFERRED}[{i}].preference"
                _check_node_term(term.get("preference") or {}, preference, errors, check_values=False)
            continue
        for i, term in enumerate(terms.get(REQUIRED) or ()):
            _check_pod_term(term, f"{here}.{REQUIRED}[{i}]", errors)
        for i, weighted in enumerate(terms.get(PREFERRED) or ()):
            _check_weight(weighted, f"{here}.{PREFERRED}[{i}]", errors)
            term_path = f"{here}.{PREFERRED}[{i}].podAffinityTerm"
            _check_pod_term(weighted.get("podAffinityTerm") or {}, term_path, errors)


def _check_weight(term: Obj, path: str, errors: ErrorList) -> None:
    weight = term.get("weight", 0)
    if not 0 < weight <= 100:
        errors.invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _check_pod_term(term: Obj, path: str, errors: ErrorList) -> None:
    check_label_selector(term.get("labelSelector"), f"{path}.labelSelector", errors)
    check_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector", errors)
    for name in term.get("namespaces") or ():
        errors.rule(f"{path}.namespace", name, names.is_dns1123_label(name))
    _check_label_keys(term, path, errors)
    key = term.get("topologyKey", "")
    if not key:
        errors.required(f"{path}.topologyKey", "can not be empty")
    errors.rule(f"{path}.topologyKey", key, labels.key_errors(key))


def _check_label_keys(term: Obj, path: str, errors: ErrorList) -> None:
    match, mismatch = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    for field, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and term.get("labelSelector") is None:
            errors.forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set")
        for i, key in enumerate(keys):
            errors.rule(f"{path}.{field}[{i}]", key, labels.key_errors(key))
    selector = term.get("labelSelector") or {}
    seen = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in match and key in seen:
            errors.invalid(f"{path}[{match.index(key)}]", key, "exists in both matchLabelKeys and labelSelector")
        seen.add(key)
    for i, key in enumerate(match):
        if key in mismatch:
            errors.invalid(f"{path}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys")


def check_tolerations(tolerations: Any, path: str, errors: ErrorList) -> None:
    for i, toleration in enumerate(tolerations or ()):
        here = f"{path}[{i}]"
        key, operator, value = (toleration.get(f, "") for f in ("key", "operator", "value"))
        if key:
            errors.rule(f"{here}.key", key, labels.key_errors(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.invalid(f"{here}.operator", operator, why)
        if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.invalid(f"{here}.effect", toleration.get("effect", ""), why)
        if operator in ("Equal", ""):
            wrong = labels.value_errors(value)
            if wrong:
                errors.invalid(f"{here}.operator", value, ";".join(wrong))
        elif operator == "Exists":
            if value:
                errors.invalid(f"{here}.operator", value, "value must be empty when `operator` is 'Exists'")
        else:
            errors.one_of(f"{here}.operator", operator, ("Equal", "Exists"))
        if toleration.get("effect"):
            errors.one_of(f"{here}.effect", toleration["effect"], EFFECTS)


def check_taints(taints: Any, path: str, errors: ErrorList) -> None:
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints or ()):
        here, key, effect = f"{path}[{i}]", taint.get("key", ""), taint.get("effect", "")
        errors.rule(f"{here}.key", key, labels.key_errors(key))
        wrong = labels.value_errors(taint.get("value", ""))
        if wrong:
            errors.invalid(f"{here}.value", taint["value"], ";".join(wrong))
        if not effect:
            errors.required(f"{here}.effect")
        else:
            errors.one_of(f"{here}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            why = "taints must be unique by key and effect pair"
            shown = {"Key": key, "Value": taint.get("value", ""), "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            errors.append(FieldError(here, "FieldValueDuplicate", shown, why))
        seen.add((key, effect))


def check_spread(constraints: Any, path: str, errors: ErrorList) -> None:
    constraints = list(constraints or ())
    for i, constraint in enumerate(constraints):
        here = f"{path}[{i}]"
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if constraint.get("maxSkew", 0) <= 0:
            errors.invalid(f"{here}.maxSkew", constraint.get("maxSkew", 0), POSITIVE)
        if not key:
            errors.required(f"{here}.topologyKey", "can not be empty")
        errors.one_of(f"{here}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        same = [c for c in constraints[i + 1 :] if (c.get("topologyKey"), c.get("whenUnsatisfiable")) == (key, action)]
        if same:
            errors.duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}")
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.invalid(f"{here}.minDomains", domains, POSITIVE)
            if action != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                errors.invalid(f"{here}.minDomains", domains, why)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(field) is not None:
                errors.one_of(f"{here}.{field}", constraint[field], ("Honor", "Ignore"))
        _check_label_keys(constraint, here, errors)
        check_label_selector(constraint.get("labelSelector"), f"{here}.labelSelector", errors)
