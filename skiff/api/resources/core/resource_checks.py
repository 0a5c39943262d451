"""Names and amounts of resources: containers' limits and requests, quotas. Source: pkg/apis/core/{helper,validation}."""

from collections.abc import Callable, Collection
from typing import Any

from skiff.api import labels, names, quantity
from skiff.api.errors import FieldError
from skiff.api.quantity import Quantity
from skiff.api.resources.checks import NOT_NEGATIVE, ErrorList
from skiff.api.types import Obj

CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")
COUNTED = (
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
STANDARD = (
    *CONTAINER_RESOURCES,
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "storage",
    "requests.storage",
    *COUNTED,
)

NameCheck = Callable[[str, str, ErrorList], None]


def is_huge_page(name: str) -> bool:
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource that a device plugin or an administrator advertises."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not labels.key_errors(f"requests.{name}")


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def check_resource_name(name: str, path: str, errors: ErrorList) -> None:
    wrong = labels.key_errors(name)
    errors.rule(path, name, wrong)
    quota_huge_page = is_huge_page(name) or name.startswith("requests.hugepages-")
    if not wrong and "/" not in name and name not in STANDARD and not quota_huge_page:
        errors.invalid(path, name, "must be a standard resource type or fully qualified")


def check_container_resource_name(name: str, path: str, errors: ErrorList) -> None:
    check_resource_name(name, path, errors)
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not is_huge_page(name):
            errors.invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        errors.invalid(path, name, "doesn't follow extended resource name standard")


def check_amount(name: str, amount: Any, path: str, errors: ErrorList) -> None:
    """Not negative, and whole where things are counted."""
    value = quantity.parse(amount)
    if value < quantity.ZERO:
        errors.invalid(path, amount, NOT_NEGATIVE)
    if (name in COUNTED or is_extended(name)) and value.milli % 1000:
        errors.invalid(path, amount, "must be an integer")


def check_resource_requirements(
    resources: Obj,
    path: str,
    errors: ErrorList,
    *,
    claims: Collection[str] = (),
    check_name: NameCheck = check_container_resource_name,
) -> None:
    """Limits and requests fit one another; claims are among the pod's."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, amount in limits.items():
        _check_entry(name, amount, f"{path}.limits[{name}]", errors, check_name)
    for name, amount in requests.items():
        _check_entry(name, amount, f"{path}.requests[{name}]", errors, check_name)
        if name in limits:
            _check_request_fits(name, quantity.parse(amount), quantity.parse(limits[name]), path, errors)
        elif not may_overcommit(name):
            errors.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
    both = {*limits, *requests}
    if any(is_huge_page(n) for n in both) and not both & {"cpu", "memory"}:
        errors.forbidden(path, "HugePages require cpu or memory")
    _check_claims(resources.get("claims") or [], f"{path}.claims", errors, claims)


def _check_entry(name: str, amount: Any, path: str, errors: ErrorList, check_name: NameCheck) -> None:
    if name not in CONTAINER_RESOURCES:
        check_name(name, path, errors)
    check_amount(name, amount, path, errors)
    if is_huge_page(name):
        size = name.removeprefix("hugepages-")
        try:
            whole = quantity.value(amount) % max(quantity.value(size), 1) == 0
        except ValueError as err:
            errors.invalid(path, amount, str(err))
            return
        if not whole:
            errors.invalid(path, amount, f"{amount} is not positive integer multiple of {size}")


def _check_request_fits(name: str, request: Quantity, limit: Quantity, path: str, errors: ErrorList) -> None:
    if request != limit and not may_overcommit(name):
        errors.invalid(f"{path}.requests", str(request), f"must be equal to {name} limit of {limit}")
    elif limit < request:
        errors.invalid(f"{path}.requests", str(request), f"must be less than or equal to {name} limit of {limit}")


def _check_claims(used: list[Obj], path: str, errors: ErrorList, claims: Collection[str]) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(used):
        here, name, request = f"{path}[{i}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            errors.required(here)
            continue
        key = f"{name}/{request}" if request else name
        if request:
            errors.rule(f"{here}.request", request, names.is_dns1123_label(request))
        if name in seen or key in seen or (not request and any(s.startswith(f"{name}/") for s in seen)):
            errors.duplicate(here, key if key in seen else name)
        seen.add(key)
        if name not in claims:
            known = f": {', '.join(sorted(claims))}" if claims else " which is empty"
            detail = f"must be one of the names in pod.spec.resourceClaims{known}"
            errors.append(FieldError(here, "FieldValueNotFound", name, detail))
