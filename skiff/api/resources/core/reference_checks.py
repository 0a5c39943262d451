"""References out of a pod: downward API fields, containers' resources, keys of ConfigMaps and Secrets.

Source: pkg/apis/core/validation/validation.go (validateObjectFieldSelector, validateContainerResourceFieldSelector, ...).
"""

from skiff.api import labels, names
from skiff.api.resources.checks import ErrorList
from skiff.api.types import Obj

ENVIRONMENT_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_FIELD_ALIASES = {"spec.host": "spec.nodeName"}
_UNITS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def check_field_reference(reference: Obj, path: str, errors: ErrorList, allowed: tuple[str, ...]) -> None:
    """A downward API field: one of `allowed`, or a label or annotation by key."""
    if not reference.get("apiVersion"):
        errors.required(f"{path}.apiVersion")
        return
    field_path = reference.get("fieldPath", "")
    if not field_path:
        errors.required(f"{path}.fieldPath")
        return
    if reference["apiVersion"] != "v1":
        why = f"error converting fieldPath: unsupported pod version: {reference['apiVersion']}"
        errors.invalid(f"{path}.fieldPath", field_path, why)
        return
    base, bracket, rest = field_path.partition("['")
    if bracket and rest.endswith("']"):
        key = rest[:-2]
        if base == "metadata.annotations":
            errors.rule(path, key.lower(), labels.key_errors(key.lower()))
        elif base == "metadata.labels":
            errors.rule(path, key, labels.key_errors(key))
        else:
            errors.invalid(path, base, "does not support subscript")
        return
    known = _FIELD_ALIASES.get(field_path, field_path)
    if known not in (
        *ENVIRONMENT_FIELDS,
        "metadata.labels",
        "metadata.annotations",
        "spec.restartPolicy",
        "status.phase",
    ):
        why = f"error converting fieldPath: field label not supported: {field_path}"
        errors.invalid(f"{path}.fieldPath", field_path, why)
    else:
        errors.one_of(f"{path}.fieldPath", known, allowed)


def check_resource_reference(reference: Obj, path: str, errors: ErrorList, *, in_volume: bool = False) -> None:
    """A container's limit or request as a downward API value."""
    name = reference.get("resource", "")
    if in_volume and not reference.get("containerName"):
        errors.required(f"{path}.containerName")
    elif not name:
        errors.required(f"{path}.resource")
    elif not name.startswith(("limits.hugepages-", "requests.hugepages-")):
        errors.one_of(f"{path}.resource", name, RESOURCE_FIELDS)
    divisor = reference.get("divisor", "0")
    units = ("1m", "1") if name.endswith(".cpu") else _UNITS
    if divisor != "0" and name and divisor not in units:
        kinds = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}
        kind = kinds.get(name.partition(".")[2], "hugepages")
        listed = "1m and 1" if kind == "cpu" else ", ".join(_UNITS)
        why = f"only divisor's values {listed} are supported with the {kind} resource"
        errors.invalid(f"{path}.divisor", name, why)


def check_key_reference(reference: Obj, path: str, errors: ErrorList) -> None:
    """A key of a ConfigMap or Secret."""
    name, key = reference.get("name", ""), reference.get("key", "")
    errors.rule(f"{path}.name", name, names.is_dns1123_subdomain(name))
    if not key:
        errors.required(f"{path}.key")
    else:
        errors.rule(f"{path}.key", key, names.is_config_map_key(key))
