"""resource.k8s.io/v1: dynamic resource allocation. Defaults: pkg/apis/resource/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource, device_checks, slice_checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin, selectable
from skiff.api.resources.disabled import disabled
from skiff.api.resources.fields import child, each, inside, items, nil, rules, struct, zero
from skiff.api.resources.warnings import resource_slice_warnings
from skiff.api.types import Obj

GROUP = "resource.k8s.io"


def _request(request: Obj) -> None:
    zero(allocationMode="ExactCount")(request)
    if request["allocationMode"] == "ExactCount":
        zero(count=1)(request)
    _tolerations(request)


def _tolerations(holder: Obj) -> None:
    each("tolerations", zero(operator="Equal"))(holder)


def default_claim_spec(spec: Obj) -> None:
    for request in items(child(spec, "devices"), "requests"):
        inside("exactly", _request)(request)
        each("firstAvailable", _request)(request)


default_resource_claim = rules(struct("spec", default_claim_spec), struct("status"))

default_claim_template = struct("spec", struct("metadata"), struct("spec", default_claim_spec))


def default_resource_slice(obj: Obj) -> None:
    for device in items(obj, "spec", "devices"):
        for mapping in (device.get("nodeAllocatableResourceMappings") or {}).values():
            nil(allocationMultiplier="1")(mapping)


_drop_disabled = disabled(
    *(f"spec.devices[].attributes{{}}.{kind}" for kind in ("bools", "ints", "strings", "versions")),
    "spec.devices[].nodeAllocatableResourceMappings",
)
"""Gates DRAListTypeAttributes and DRANodeAllocatableResources."""

RESOURCES: Sequence[Resource] = (
    builtin(
        GROUP,
        "v1",
        "deviceclasses",
        "DeviceClass",
        validate=validator(device_checks.check_device_class),
        namespaced=False,
        default=struct("spec"),
        has_generation=True,
    ),
    builtin(
        GROUP,
        "v1",
        "resourceclaims",
        "ResourceClaim",
        validate=validator(device_checks.check_resource_claim),
        validate_update=update_validator(device_checks.check_claim_update),
        validate_status_update=update_validator(device_checks.check_claim_status),
        subresources=(STATUS,),
        default=default_resource_claim,
    ),
    builtin(
        GROUP,
        "v1",
        "resourceclaimtemplates",
        "ResourceClaimTemplate",
        validate=validator(device_checks.check_claim_template),
        validate_update=update_validator(device_checks.check_claim_update),
        default=default_claim_template,
    ),
    builtin(
        GROUP,
        "v1",
        "resourceslices",
        "ResourceSlice",
        validate=validator(slice_checks.check_resource_slice),
        validate_update=update_validator(slice_checks.check_slice_update),
        warn=resource_slice_warnings,
        namespaced=False,
        default=default_resource_slice,
        prepare=_drop_disabled,
        selectable=selectable("spec.nodeName", "spec.driver"),
        has_generation=True,
    ),
)
