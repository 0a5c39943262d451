"""apiregistration.k8s.io/v1: APIService."""

from collections.abc import Sequence

from skiff.api import names
from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import get, inside, nil, rules, struct
from skiff.api.types import Obj

default_api_service = rules(inside("spec.service", nil(port=443)), struct("status"))


def condition(status: str, reason: str, message: str) -> Obj:
    """Available, without its time."""
    return {"type": "Available", "status": status, "reason": reason, "message": message}


LOCAL = condition("True", "Local", "Local APIServices are always available")


def prepare_api_service(new: Obj, old: Obj | None) -> None:
    """What this server itself serves is available as soon as it is registered."""
    if old is None and get(new, "spec", "service") is None:
        new["status"] = {"conditions": [{**LOCAL, "lastTransitionTime": new["metadata"].get("creationTimestamp")}]}


RESOURCES: Sequence[Resource] = (
    builtin(
        "apiregistration.k8s.io",
        "v1",
        "apiservices",
        "APIService",
        validate=validator(checks.check_api_service),
        validate_status_update=update_validator(checks.check_api_service_status),
        name_rule=names.is_path_segment,
        namespaced=False,
        categories=("api-extensions",),
        subresources=(STATUS,),
        default=default_api_service,
        prepare=prepare_api_service,
        unconditional_update=False,
    ),
)
