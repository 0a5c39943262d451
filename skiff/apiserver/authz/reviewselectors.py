"""Field and label selectors in access reviews (KEP-4601): what is wrong with them, and what of them authorizers can use.

Whoever asks may know operators that we do not: what cannot be understood is left out, which makes the question wider, and
the answer says so. Source: upstream pkg/apis/authorization/validation and pkg/registry/authorization/util.
"""

from collections.abc import Sequence
from typing import Any

from skiff.api import fieldselectors, labels, selectors
from skiff.api.resources.checks import ErrorList
from skiff.api.types import Obj

_KINDS = ("fieldSelector", "labelSelector")
_OPERATORS = {"In": "=", "NotIn": "!="}


def check(resource: Obj, path: str) -> ErrorList:
    """The mistakes in both selectors of spec.resourceAttributes."""
    errors = ErrorList()
    for kind in _KINDS:
        selector = resource.get(kind)
        if selector is None:
            continue
        here = f"{path}.{kind}"
        raw, requirements = selector.get("rawSelector"), selector.get("requirements") or ()
        if raw and requirements:
            errors.invalid(f"{here}.rawSelector", raw, "may not specified at the same time as requirements")
        if not raw and not requirements:
            errors.required(
                f"{here}.requirements", f"when {here} is specified, requirements or rawSelector is required"
            )
        for i, requirement in enumerate(requirements):
            _check_requirement(requirement, f"{here}.requirements[{i}]", kind, errors)
    return errors


def _check_requirement(requirement: Obj, path: str, kind: str, errors: ErrorList) -> None:
    key, operator, values = requirement.get("key") or "", requirement.get("operator"), requirement.get("values") or ()
    if kind == "fieldSelector" and not key:
        errors.required(f"{path}.key", "must be specified")
    if operator in ("In", "NotIn") and not values:
        errors.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        errors.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if kind == "labelSelector":
        errors.rule(f"{path}.key", key, labels.key_errors(key))
        for i, value in enumerate(values):
            errors.rule(f"{path}.values[{i}]", value, labels.value_errors(value))


def field_selector(resource: Obj) -> tuple[str, str]:
    """(the selector as text, as far as it is understood; what to say about the rest)."""
    selector = resource.get("fieldSelector") or {}
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or ()
    if raw:
        try:
            fieldselectors.parse(raw)
        except selectors.SelectorError:
            return "", _ignored("fieldSelector", False)
        return raw, ""
    terms = [term for r in requirements if (term := _field_term(r))]
    return ",".join(terms), _ignored("fieldSelector", bool(terms)) if len(terms) < len(requirements) else ""


def label_selector_problem(resource: Obj) -> str:
    """No authorizer of ours looks at labels; the answer still says what was not understood."""
    selector = resource.get("labelSelector") or {}
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or ()
    try:
        selectors.parse(raw)
    except selectors.SelectorError:
        return _ignored("labelSelector", False)
    known = [r for r in requirements if r.get("operator") in ("In", "NotIn", "Exists", "DoesNotExist")]
    return _ignored("labelSelector", bool(known)) if len(known) < len(requirements) else ""


def _field_term(requirement: dict[str, Any]) -> str:
    """`key=value`, "" for what field selectors cannot say."""
    values: Sequence[str] = requirement.get("values") or ()
    operator = _OPERATORS.get(requirement.get("operator") or "")
    if operator is None or len(values) != 1:
        return ""
    return str(fieldselectors.FieldRequirement(requirement["key"], operator, values[0]))


def _ignored(kind: str, partially: bool) -> str:
    return f"spec.resourceAttributes.{kind} {'partially ' if partially else ''}ignored due to parse error"
