"""Validation of admissionregistration.k8s.io/v1. Source: pkg/apis/admissionregistration/validation/validation.go."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skiff.api import jsonpath, labels, names
from skiff.api.errors import FieldError, not_supported
from skiff.api.resources.checks import ErrorList, check_label_selector, go_struct, validator
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

if TYPE_CHECKING:
    from skiff.api.resources.policy_expressions import Compiled, Expressions

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
ALL_SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
REINVOCATIONS = ("IfNeeded", "Never")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
REVIEW_VERSIONS = ("v1", "v1beta1")
ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
MAX_CONDITIONS = 64
MAX_ANNOTATIONS = 20
MAX_VALUE_EXPRESSION = 5 * 1024
_VARIABLE = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*\Z", re.ASCII)
_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


def _choice(holder: Obj, field: str, allowed: tuple[str, ...], path: str, errors: ErrorList) -> None:
    value = holder.get(field)
    if value is not None and value not in allowed:
        errors.append(not_supported(f"{path}.{field}", value, allowed))


# Rules: which requests.


def _check_rule(rule: Obj, path: str, errors: ErrorList) -> None:
    operations = rule.get("operations") or []
    _check_alone(operations, f"{path}.operations", errors, "operations")
    for i, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.append(not_supported(f"{path}.operations[{i}]", operation, OPERATIONS))
    _check_alone(rule.get("apiGroups") or [], f"{path}.apiGroups", errors, "API groups")
    versions = rule.get("apiVersions") or []
    _check_alone(versions, f"{path}.apiVersions", errors, "API versions")
    for i, version in enumerate(versions):
        if not version:
            errors.required(f"{path}.apiVersions[{i}]")
    _check_resources(rule.get("resources") or [], f"{path}.resources", errors)
    _choice(rule, "scope", SCOPES, path, errors)


def _check_alone(values: list[str], path: str, errors: ErrorList, others: str) -> None:
    """There are some, and `*` stands alone."""
    if not values:
        errors.required(path)
    if len(values) > 1 and "*" in values:
        errors.invalid(path, values, f"if '*' is present, must not specify other {others}")


def _check_resources(resources: list[str], path: str, errors: ErrorList) -> None:
    if not resources:
        errors.required(path)
    every_sub: set[str] = set()
    every_resource: set[str] = set()
    plain = False
    for i, name in enumerate(resources):
        here = f"{path}[{i}]"
        resource, slash, sub = name.partition("/")
        if not name:
            errors.required(here)
        elif not slash:
            plain = name != "*"
        else:
            if resource in every_sub:
                errors.invalid(here, name, f"if '{resource}/*' is present, must not specify {name}")
            if sub in every_resource:
                errors.invalid(here, name, f"if '*/{sub}' is present, must not specify {name}")
            if sub == "*":
                every_sub.add(resource)
            if resource == "*":
                every_resource.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        errors.invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and plain:
        why = "if '*' is present, must not specify other resources without subresources"
        errors.invalid(path, resources, why)


def _check_named_rule(rule: Obj, path: str, errors: ErrorList) -> None:
    given = rule.get("resourceNames") or []
    for i, name in enumerate(given):
        errors.rule(f"{path}.resourceNames[{i}]", name, names.is_path_segment(name))
        if name in given[:i]:
            errors.duplicate(f"{path}.resourceNames[{i}]", name)
    _check_rule(rule, path, errors)


def _check_match(match: Obj, path: str, errors: ErrorList) -> None:
    """What policies and their bindings match."""
    _choice(match, "matchPolicy", MATCH_POLICIES, path, errors)
    for field in ("namespaceSelector", "objectSelector"):
        check_label_selector(match.get(field), f"{path}.{field}", errors)
    for field in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(items(match, field)):
            _check_named_rule(rule, f"{path}.{field}[{i}]", errors)


def _check_mutating_operations(match: Obj, path: str, errors: ErrorList) -> None:
    for rule in items(match, "resourceRules"):
        for operation in rule.get("operations") or ():
            if operation not in MUTATING_OPERATIONS:
                errors.append(not_supported(f"{path}.resourceRules.operations", operation, MUTATING_OPERATIONS))


# Webhooks.


@dataclass(frozen=True, slots=True)
class _Strictness:
    """What is asked of a configuration; an update may keep what the stored one has."""

    conditions: bool = True
    no_side_effects: bool = True
    known_version: bool = True
    unique_names: bool = True


def check_webhooks(obj: Obj, errors: ErrorList) -> None:
    """A new ValidatingWebhookConfiguration or MutatingWebhookConfiguration."""
    _check_configuration(obj, errors, _Strictness())


def check_webhooks_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    before, after = [*items(old, "webhooks")], [*items(new, "webhooks")]
    names_before = [hook.get("name", "") for hook in before]
    conditions = [[hook.get("matchConditions") or [] for hook in hooks] for hooks in (before, after)]
    versions = [hook.get("admissionReviewVersions") or () for hook in before]
    strictness = _Strictness(
        conditions=conditions[0] != conditions[1],
        no_side_effects=all(hook.get("sideEffects") in SIDE_EFFECTS for hook in before),
        known_version=all({*v} & {*REVIEW_VERSIONS} for v in versions if v),
        unique_names=len(names_before) == len({*names_before}),
    )
    _check_configuration(new, errors, strictness)


def _check_configuration(obj: Obj, errors: ErrorList, strictness: _Strictness) -> None:
    seen: set[str] = set()
    for i, hook in enumerate(items(obj, "webhooks")):
        path, name = f"webhooks[{i}]", hook.get("name", "")
        _check_webhook(hook, path, errors, strictness)
        versions = hook.get("admissionReviewVersions") or []
        _check_versions(versions, f"{path}.admissionReviewVersions", errors, known=strictness.known_version)
        if strictness.unique_names and name and name in seen:
            errors.duplicate(f"{path}.name", name)
        seen.add(name)


def _check_webhook(hook: Obj, path: str, errors: ErrorList, strictness: _Strictness) -> None:
    from skiff.api.structural.definition import check_client

    name, effects, seconds = hook.get("name", ""), hook.get("sideEffects"), hook.get("timeoutSeconds")
    if not name:
        errors.required(f"{path}.name")
    else:
        errors.rule(f"{path}.name", name, names.is_fully_qualified(name))
    for i, rule in enumerate(items(hook, "rules")):
        _check_rule(rule, f"{path}.rules[{i}]", errors)
    _choice(hook, "failurePolicy", FAILURE_POLICIES, path, errors)
    _choice(hook, "matchPolicy", MATCH_POLICIES, path, errors)
    allowed = SIDE_EFFECTS if strictness.no_side_effects else ALL_SIDE_EFFECTS
    if effects is None:
        errors.required(f"{path}.sideEffects", f"must specify one of {', '.join(allowed)}")
    _choice(hook, "sideEffects", allowed, path, errors)
    if seconds is not None and not 1 <= seconds <= 30:
        errors.invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    for field in ("namespaceSelector", "objectSelector"):
        check_label_selector(hook.get(field), f"{path}.{field}", errors)
    _choice(hook, "reinvocationPolicy", REINVOCATIONS, path, errors)
    check_client(hook.get("clientConfig") or {}, f"{path}.clientConfig", errors)
    if strictness.conditions:
        _check_conditions(hook.get("matchConditions") or [], f"{path}.matchConditions", errors, params=False)


def _check_versions(versions: list[str], path: str, errors: ErrorList, *, known: bool) -> None:
    supported = ", ".join(REVIEW_VERSIONS)
    if not versions:
        errors.required(path, f"must specify one of {supported}")
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.invalid(f"{path}[{i}]", version, "duplicate version")
        else:
            errors.rule(f"{path}[{i}]", version, names.is_dns1035_label(version))
    if known and not {*versions} & {*REVIEW_VERSIONS}:
        errors.invalid(path, versions, f"must include at least one of {supported}")


def _report(compiled: "Compiled", text: str, path: str, errors: ErrorList) -> None:
    if compiled.internal:
        errors.append(FieldError(path, "InternalError", None, compiled.error))
    elif compiled.error:
        errors.invalid(path, text, compiled.error)


def _check_conditions(conditions: list[Obj], path: str, errors: ErrorList, *, params: bool) -> None:
    """matchConditions."""
    if len(conditions) > MAX_CONDITIONS:
        errors.too_many(path, len(conditions), MAX_CONDITIONS)
    if not conditions:
        return
    from skiff.api.resources.policy_expressions import Expressions

    expressions, seen = Expressions(params), set()
    for i, condition in enumerate(conditions):
        here, name = f"{path}[{i}]", condition.get("name", "")
        text = condition.get("expression", "").strip()
        if not text:
            errors.required(f"{here}.expression")
        else:
            _report(expressions.compile(text, "bool"), text, f"{here}.expression", errors)
        if not name:
            errors.required(f"{here}.name")
            continue
        errors.rule(f"{here}.name", name, labels.key_errors(name))
        if name in seen:
            errors.duplicate(f"{here}.name", name)
        seen.add(name)


# Policies.


def check_validating_policy(obj: Obj, old: Obj | None, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    expressions = _check_policy(spec, errors, old)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        for field in ("validations", "auditAnnotations"):
            why = "validations or auditAnnotations must contain at least one item"
            errors.required(f"spec.{field}", why)
        return
    for i, validation in enumerate(validations):
        _check_validation(validation, f"spec.validations[{i}]", errors, expressions)
    if len(annotations) > MAX_ANNOTATIONS:
        why = f"must not have more than {MAX_ANNOTATIONS} auditAnnotations"
        shown = [go_struct(a, "key", "valueExpression") for a in annotations]
        errors.invalid("spec.auditAnnotations", shown, why)
    seen: set[str] = set()
    for i, annotation in enumerate(annotations):
        path, key = f"spec.auditAnnotations[{i}]", annotation.get("key", "")
        _check_annotation(annotation, obj["metadata"].get("name") or "", path, errors, expressions)
        if key in seen:
            errors.duplicate(f"{path}.key", key)
        seen.add(key)


def check_type_checking(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Of a policy's status."""
    for i, warning in enumerate(items(new, "status", "typeChecking", "expressionWarnings")):
        path, reference = f"status.typeChecking.expressionWarnings[{i}]", warning.get("fieldRef", "").strip()
        if not warning.get("warning"):
            errors.required(f"{path}.warning")
        if not reference:
            errors.required(f"{path}.fieldRef")
            continue
        try:
            jsonpath.parse(f".{reference}" if reference[0].isalpha() else reference)
        except jsonpath.JSONPathError as e:
            errors.invalid(f"{path}.fieldRef", reference, f"invalid JSONPath: {e}")


def check_mutating_policy(obj: Obj, old: Obj | None, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    expressions = _check_policy(spec, errors, old, composed=True, mutating=True)
    if not spec.get("mutations"):
        errors.required("spec.mutations", "mutations must contain at least one item")
    for i, mutation in enumerate(items(spec, "mutations")):
        _check_mutation(mutation, f"spec.mutations[{i}]", errors, expressions)
    if not spec.get("reinvocationPolicy"):
        errors.required("spec.reinvocationPolicy")
    else:
        _choice(spec, "reinvocationPolicy", REINVOCATIONS, "spec", errors)


def of_new(check: Callable[[Obj, Obj | None, ErrorList], None]) -> Callable[[Obj], list[FieldError]]:
    return validator(lambda obj, errors: check(obj, None, errors))


def _check_policy(
    spec: Obj, errors: ErrorList, old: Obj | None, *, composed: bool = False, mutating: bool = False
) -> "Expressions":
    """What both kinds have. Returns what their expressions can refer to. Conditions that are stored as they are stay."""
    from skiff.api.resources.policy_expressions import Expressions

    _choice(spec, "failurePolicy", FAILURE_POLICIES, "spec", errors)
    kind, match = spec.get("paramKind"), spec.get("matchConstraints")
    if kind is not None:
        _check_param_kind(kind, "spec.paramKind", errors)
    if match is None:
        errors.required("spec.matchConstraints")
    else:
        _check_match(match, "spec.matchConstraints", errors)
        if not match.get("resourceRules"):
            errors.required("spec.matchConstraints.resourceRules")
        if mutating:
            _check_mutating_operations(match, "spec.matchConstraints", errors)
    before = (old or {}).get("spec") or {}
    if old is None or any(before.get(f) != spec.get(f) for f in ("paramKind", "matchConditions")):
        conditions = spec.get("matchConditions") or []
        _check_conditions(conditions, "spec.matchConditions", errors, params=kind is not None)
    variables = spec.get("variables") or []
    expressions = Expressions(kind is not None, composed or bool(variables))
    for i, variable in enumerate(variables):
        _check_variable(variable, f"spec.variables[{i}]", errors, expressions)
    return expressions


def _check_param_kind(kind: Obj, path: str, errors: ErrorList) -> None:
    version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    here = f"{path}.apiVersion"
    if not version:
        errors.required(here)
    elif version.count("/") > 1:
        errors.invalid(here, version, f"unexpected GroupVersion string: {version}")
    else:
        group, _, number = ("" if version == "/" else version).rpartition("/")
        wrong = names.is_dns1123_subdomain(group) if group else []
        if wrong:
            errors.invalid(here, group, ",".join(wrong))
        if not number:
            errors.invalid(here, version, "version must be specified")
        elif names.is_dns1035_label(number):
            errors.invalid(here, number, ",".join(names.is_dns1035_label(number)))
    if not name:
        errors.required(f"{path}.kind")
    elif names.is_dns1035_label(name.lower()):
        why = ",".join(names.is_dns1035_label(name.lower()))
        errors.invalid(f"{path}.kind", name, f"may have mixed case, but should otherwise match: {why}")


def _check_variable(variable: Obj, path: str, errors: ErrorList, expressions: "Expressions") -> None:
    name, text = variable.get("name", ""), variable.get("expression", "")
    if not name.strip():
        errors.required(f"{path}.name", "name is not specified")
    elif not _VARIABLE.match(name) or name in _RESERVED:
        errors.invalid(f"{path}.name", name, "must be a valid CEL identifier")
    if not text.strip():
        errors.required(f"{path}.expression", "expression is not specified")
    else:
        _report(expressions.declare(name, text), text, f"{path}.expression", errors)


def _check_validation(validation: Obj, path: str, errors: ErrorList, expressions: "Expressions") -> None:
    text, shown = validation.get("expression", ""), validation.get("messageExpression", "")
    if not text.strip():
        errors.required(f"{path}.expression", "expression is not specified")
    else:
        _report(expressions.compile(text, "bool"), text, f"{path}.expression", errors)
    if shown and not shown.strip():
        errors.invalid(f"{path}.messageExpression", shown, "must be non-empty if specified")
    elif shown:
        compiled = expressions.compile(shown, "string", authorizer=False)
        _report(compiled, shown, f"{path}.messageExpression", errors)
    message = validation.get("message", "")
    if message and not message.strip():
        errors.invalid(f"{path}.message", message, "must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        errors.invalid(f"{path}.message", message, "must not contain line breaks")
    _choice(validation, "reason", REASONS, path, errors)


def _check_annotation(annotation: Obj, name: str, path: str, errors: ErrorList, expressions: "Expressions") -> None:
    key, text = annotation.get("key", ""), annotation.get("valueExpression", "")
    if name:
        errors.rule(f"{path}.key", f"{name}/{key}", labels.key_errors(f"{name}/{key}"))
    else:
        errors.invalid(f"{path}.key", key, "requires metadata.name be non-empty")
    if not text.strip():
        errors.required(f"{path}.valueExpression", "valueExpression is not specified")
    elif len(text.strip().encode()) > MAX_VALUE_EXPRESSION:
        errors.required(f"{path}.valueExpression", f"must not exceed {MAX_VALUE_EXPRESSION} bytes in length")
    else:
        compiled = expressions.compile(text.strip(), "string", "null_type")
        _report(compiled, text, f"{path}.valueExpression", errors)


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
PATCH_TYPES = {"ApplyConfiguration": "Object", "JSONPatch": "list(JSONPatch)"}
"""What the expression of a mutation evaluates to."""


def _check_mutation(mutation: Obj, path: str, errors: ErrorList, expressions: "Expressions") -> None:
    kind = mutation.get("patchType", "")
    if not kind:
        errors.required(f"{path}.patchType")
        return
    if kind not in _PATCHES:
        errors.append(not_supported(f"{path}.patchType", kind, tuple(_PATCHES)))
        return
    field = _PATCHES[kind]
    (other,) = (f for f in _PATCHES.values() if f != field)
    text = get(mutation, field, "expression") or ""
    if mutation.get(field) is None:
        errors.required(f"{path}.{field}", f"must be specified when patchType is {kind}")
    elif not text.strip():
        errors.required(f"{path}.{field}.expression")
    else:
        compiled = expressions.compile(text.strip(), PATCH_TYPES[kind], patches=True)
        _report(compiled, text.strip(), f"{path}.{field}.expression", errors)
    if mutation.get(other) is not None:
        errors.invalid(f"{path}.{other}", f"{{{other}}}", f"must not be specified when patchType is {kind}")


# Bindings.


def check_binding(*, mutating: bool) -> Callable[[Obj, ErrorList], None]:
    def check(obj: Obj, errors: ErrorList) -> None:
        spec = obj.get("spec") or {}
        policy, match = spec.get("policyName", ""), spec.get("matchResources")
        if not policy:
            errors.required("spec.policyName")
        else:
            errors.rule("spec.policyName", policy, names.is_dns1123_subdomain(policy))
        if spec.get("paramRef") is not None:
            _check_param_ref(spec["paramRef"], "spec.paramRef", errors)
        if match is not None:
            _check_match(match, "spec.matchResources", errors)
        if mutating:
            _check_mutating_operations(match or {}, "spec.matchResources", errors)
        else:
            _check_actions(spec.get("validationActions") or [], "spec.validationActions", errors)

    return check


def _check_param_ref(reference: Obj, path: str, errors: ErrorList) -> None:
    name, selector, action = (
        reference.get("name", ""),
        reference.get("selector"),
        reference.get("parameterNotFoundAction"),
    )
    both = "name and selector are mutually exclusive"
    if name:
        errors.rule(f"{path}.name", name, names.is_path_segment(name))
        if selector is not None:
            errors.forbidden(f"{path}.name", both)
    if selector is not None:
        check_label_selector(selector, f"{path}.selector", errors)
        if name:
            errors.forbidden(f"{path}.selector", both)
    if not name and selector is None:
        errors.required(path, "one of name or selector must be specified")
    if not action:
        errors.required(f"{path}.parameterNotFoundAction")
    else:
        errors.one_of(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow"))


def _check_actions(actions: list[str], path: str, errors: ErrorList) -> None:
    for i, action in enumerate(actions):
        if action not in ACTIONS:
            errors.append(not_supported(f"{path}[{i}]", action, ACTIONS))
        if action in actions[:i]:
            errors.duplicate(f"{path}[{i}]", action)
    if "Deny" in actions and "Warn" in actions:
        why = "repeating the same validation failure information in the API response and headers serves no purpose"
        errors.invalid(path, actions, f"must not contain both Deny and Warn ({why})")
    if not actions:
        errors.required(path, "at least one validation action is required")
