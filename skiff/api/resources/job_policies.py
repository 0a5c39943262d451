"""Validation of a job's policies: which failures count, and when enough indexes succeeded.

Source: pkg/apis/batch/validation/validation.go.
"""

from skiff.api import labels
from skiff.api.errors import OMIT
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

MAX_RULES = 20
MAX_CODES = 255
MAX_INDEXES_BYTES = 64 * 1024
MAX_INT64 = 2**63 - 1
MAX_DIGITS = len(str(MAX_INT64))
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")


def _choice(value: str, allowed: tuple[str, ...], path: str, errors: ErrorList) -> None:
    if not value:
        errors.required(path, "valid values: [" + " ".join(f'"{a}"' for a in allowed) + "]")
    else:
        errors.one_of(path, value, allowed)


def check_failure_policy(spec: Obj, path: str, errors: ErrorList) -> None:
    """path: of podFailurePolicy."""
    rules = get(spec, "podFailurePolicy", "rules") or []
    if len(rules) > MAX_RULES:
        errors.too_many(f"{path}.rules", len(rules), MAX_RULES)
    pod = get(spec, "template", "spec") or {}
    containers = {c.get("name", "") for field in ("containers", "initContainers") for c in items(pod, field)}
    for i, rule in enumerate(rules):
        here, action = f"{path}.rules[{i}]", rule.get("action", "")
        if action == "FailIndex":
            if spec.get("backoffLimitPerIndex") is None:
                errors.invalid(f"{here}.action", action, "requires the backoffLimitPerIndex to be set")
        else:
            _choice(action, ACTIONS, f"{here}.action", errors)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if codes is not None:
            _check_codes(codes, f"{here}.onExitCodes", errors, containers)
        _check_conditions(conditions, f"{here}.onPodConditions", errors)
        if codes is not None and conditions:
            errors.invalid(here, OMIT, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            errors.invalid(here, OMIT, "specifying one of OnExitCodes and OnPodConditions is required")


def _check_codes(codes: Obj, path: str, errors: ErrorList, containers: set[str]) -> None:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    _choice(operator, OPERATORS, f"{path}.operator", errors)
    name = codes.get("containerName")
    if name is not None and name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        errors.invalid(f"{path}.containerName", name, why)
    if not values:
        errors.invalid(f"{path}.values", codes.get("values"), "at least one value is required")
    elif len(values) > MAX_CODES:
        errors.too_many(f"{path}.values", len(values), MAX_CODES)
    seen: set[int] = set()
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.invalid(f"{path}.values[{i}]", value, "must not be 0 for the In operator")
        if value in seen:
            errors.duplicate(f"{path}.values[{i}]", value)
        seen.add(value)
    if values != sorted(values):
        errors.invalid(f"{path}.values", values, "must be ordered")


def _check_conditions(conditions: list[Obj], path: str, errors: ErrorList) -> None:
    if len(conditions) > MAX_RULES:
        errors.too_many(path, len(conditions), MAX_RULES)
    for i, pattern in enumerate(conditions):
        kind = pattern.get("type", "")
        errors.rule(f"{path}[{i}].type", kind, labels.key_errors(kind))
        _choice(pattern.get("status", ""), STATUSES, f"{path}[{i}].status", errors)


def check_success_policy(spec: Obj, path: str, errors: ErrorList) -> None:
    """Of an indexed job."""
    rules, completions = get(spec, "successPolicy", "rules") or [], spec.get("completions") or 0
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        errors.required(f"{path}.rules", why)
    if len(rules) > MAX_RULES:
        errors.too_many(f"{path}.rules", len(rules), MAX_RULES)
    for i, rule in enumerate(rules):
        _check_success_rule(rule, f"{path}.rules[{i}]", errors, completions)


def _check_success_rule(rule: Obj, path: str, errors: ErrorList, completions: int) -> None:
    count, indexes, total = rule.get("succeededCount"), rule.get("succeededIndexes"), 0
    if count is None and indexes is None:
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified")
    if indexes is not None:
        here = f"{path}.succeededIndexes"
        if len(indexes.encode()) > MAX_INDEXES_BYTES:
            errors.too_long(here, MAX_INDEXES_BYTES)
        try:
            total = count_indexes(indexes, completions)
        except ValueError as e:
            errors.invalid(here, indexes, f"error parsing succeededIndexes: {e}")
    if count is None:
        return
    here, most = f"{path}.succeededCount", "must be less than or equal to"
    errors.not_negative(here, count)
    if count > completions:
        errors.invalid(here, count, f"{most} {completions} (the number of specified completions)")
    if indexes is not None and count > total:
        why = "the number of indexes in the specified succeededIndexes field"
        errors.invalid(here, count, f"{most} {total} ({why})")


def count_indexes(text: str, completions: int) -> int:
    """How many indexes `1,3-5` names. Raises ValueError with upstream's words for what is wrong."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        low, high = interval(part, completions)
        if total and last >= low:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        total, last = total + high - low + 1, high
    return total


def interval(text: str, completions: int) -> tuple[int, int]:
    """The first and the last index of `3-5` or `1`. Raises ValueError with upstream's words for what is wrong."""
    limits = text.split("-")
    if len(limits) > 2:
        rule = "the requirement that an index interval can have at most two parts separated by '-'"
        raise ValueError(f'the fragment "{text}" violates {rule}')
    low = _index(limits[0], completions)
    if len(limits) == 1:
        return low, low
    high = _index(limits[1], completions)
    if low >= high:
        raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
    return low, high


def _index(text: str, completions: int) -> int:
    digits = text.removeprefix("+")
    number = digits.lstrip("0") or "0"
    if not (digits.isascii() and digits.isdigit()) or len(number) > MAX_DIGITS or int(number) > MAX_INT64:
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(number) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(number)
