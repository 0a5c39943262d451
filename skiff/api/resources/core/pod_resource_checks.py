"""Validation of the resources of a pod as a whole. Source: pkg/apis/core/validation/validation.go (validatePodResources)."""

from skiff.api.podresources import pod_limits, pod_requests, quantities
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.core.resource_checks import check_resource_name, check_resource_requirements, is_huge_page
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj


def check_pod_resources(spec: Obj, path: str, errors: ErrorList) -> None:
    resources, here = spec["resources"], f"{path}.resources"
    if get(spec, "os", "name") == "windows":
        errors.forbidden(here, "may not be set for a windows pod")
        return
    if resources.get("claims"):
        errors.forbidden(f"{here}.claims", "claims may not be set for Resources at pod-level")
    check_resource_requirements(resources, here, errors, check_name=_check_name)
    _check_containers(spec, here, errors)


def _check_name(name: str, path: str, errors: ErrorList) -> None:
    before = len(errors)
    check_resource_name(name, path, errors)
    if len(errors) == before and name not in ("cpu", "memory") and not is_huge_page(name):
        errors.one_of(path, name, ("cpu", "hugepages-", "memory"))


def _check_containers(spec: Obj, path: str, errors: ErrorList) -> None:
    """The pod as a whole asks for at least what its containers do, and no container may have more than the pod."""
    alone: Obj = {"spec": {**spec, "resources": None}}
    requests, limits = (quantities(get(spec, "resources", kind)) for kind in ("requests", "limits"))
    for name, sum_ in pod_requests(alone, overhead=False).items():
        if name in requests and sum_ > requests[name]:
            why = f"must be greater than or equal to aggregate container requests of {sum_}"
            errors.invalid(f"{path}.requests[{name}]", str(requests[name]), why)
    for name, sum_ in pod_limits(alone, overhead=False).items():
        if name in limits and is_huge_page(name) and sum_ > limits[name]:
            why = f"must be greater than or equal to aggregate container limits of {sum_}"
            errors.invalid(f"{path}.limits[{name}]", str(limits[name]), why)
    for i, container in enumerate(items(spec, "containers")):
        for name, amount in quantities(get(container, "resources", "limits")).items():
            if name in limits and amount > limits[name]:
                why = f"must be less than or equal to pod limits of {limits[name]}"
                errors.invalid(f"{path}.containers[{i}][{name}].limits", str(amount), why)
