"""discovery.k8s.io/v1: EndpointSlice. Defaults: pkg/apis/discovery/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import networking_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import each, items, nil
from skiff.api.types import Obj


def default_endpoint_slice(obj: Obj) -> None:
    """Ports have a name and a protocol; endpoints and ports are always written, null when there are none."""
    each("ports", nil(name="", protocol="TCP"))(obj)
    obj.setdefault("ports", None)
    obj.setdefault("endpoints", None)
    for endpoint in items(obj, "endpoints"):
        endpoint.setdefault("conditions", {})


RESOURCES: Sequence[Resource] = (
    builtin(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        validate=validator(checks.check_endpoint_slice),
        validate_update=update_validator(checks.check_endpoint_slice_update),
        default=default_endpoint_slice,
        has_generation=True,
    ),
)
