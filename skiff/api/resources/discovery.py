"""discovery.k8s.io/v1: EndpointSlice. Defaults: pkg/apis/discovery/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import networking_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import each, get, items, nil
from skiff.api.resources.warnings import endpoint_slice_warnings
from skiff.api.types import Obj


def default_endpoint_slice(obj: Obj) -> None:
    """Ports have a name and a protocol; endpoints and ports are always written, null when there are none."""
    each("ports", nil(name="", protocol="TCP"))(obj)
    obj.setdefault("ports", None)
    obj.setdefault("endpoints", None)
    for endpoint in items(obj, "endpoints"):
        endpoint.setdefault("conditions", {})


def prepare_endpoint_slice(new: Obj, old: Obj | None) -> None:
    """Changed labels count as a new generation too; the topology of v1beta1 cannot be written any more."""
    for endpoint in items(new, "endpoints"):
        endpoint.pop("deprecatedTopology", None)
    if old is not None and (get(new, "metadata", "labels") or {}) != (get(old, "metadata", "labels") or {}):
        new["metadata"]["generation"] = (get(old, "metadata", "generation") or 0) + 1


RESOURCES: Sequence[Resource] = (
    builtin(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        warn=endpoint_slice_warnings,
        validate=validator(checks.check_endpoint_slice),
        validate_update=update_validator(checks.check_endpoint_slice_update),
        default=default_endpoint_slice,
        prepare=prepare_endpoint_slice,
        has_generation=True,
    ),
)
