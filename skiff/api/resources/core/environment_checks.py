"""Validation of a container's environment. Source: pkg/apis/core/validation/validation.go (ValidateEnv, ValidateEnvFrom)."""

from typing import Any

from skiff.api import names
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.core.reference_checks import (
    ENVIRONMENT_FIELDS,
    check_field_reference,
    check_key_reference,
    check_resource_reference,
)
from skiff.api.resources.core.volume_checks import check_no_backsteps
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj


def check_environment(variables: Any, path: str, errors: ErrorList) -> None:
    for i, variable in enumerate(variables):
        here, name = f"{path}[{i}]", variable.get("name", "")
        if not name:
            errors.required(f"{here}.name")
        else:
            errors.rule(f"{here}.name", name, names.is_environment_name(name))
        if variable.get("valueFrom") is not None:
            _check_value_source(variable, f"{here}.valueFrom", errors)


_ENVIRONMENT_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def _check_value_source(variable: Obj, path: str, errors: ErrorList) -> None:
    source = variable["valueFrom"]
    given = [s for s in _ENVIRONMENT_SOURCES if source.get(s) is not None]
    for name in given:
        here, reference = f"{path}.{name}", source[name]
        if name == "fieldRef":
            check_field_reference(reference, here, errors, ENVIRONMENT_FIELDS)
        elif name == "resourceFieldRef":
            check_resource_reference(reference, here, errors)
        elif name == "fileKeyRef":
            _check_file_reference(reference, here, errors)
        else:
            check_key_reference(reference, here, errors)
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        errors.invalid(path, "", f"must specify one of: {listed}")
    elif variable.get("value"):
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        errors.invalid(path, "", "may not have more than one field specified at a time")


def check_file_volumes(spec: Obj, path: str, errors: ErrorList) -> None:
    """Files that variables are read from lie in volumes of the pod that containers can write."""
    volumes = {v.get("name", ""): v for v in items(spec, "volumes")}
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(items(spec, field)):
            for j, variable in enumerate(items(container, "env")):
                reference = get(variable, "valueFrom", "fileKeyRef")
                if reference is None:
                    continue
                here, name = (
                    f"{path}.{field}[{i}].env[{j}].valueFrom.fileKeyRef.volumeName",
                    reference.get("volumeName", ""),
                )
                if name not in volumes:
                    errors.not_found(here, name)
                elif volumes[name].get("emptyDir") is None:
                    errors.invalid(here, name, "referenced volume must be of type emptyDir")


def _check_file_reference(reference: Obj, path: str, errors: ErrorList) -> None:
    if not reference.get("key"):
        errors.required(f"{path}.key")
    else:
        errors.rule(f"{path}.key", reference["key"], names.is_environment_name(reference["key"]))
    if not reference.get("volumeName"):
        errors.required(f"{path}.volumeName")
    else:
        errors.rule(f"{path}.volumeName", reference["volumeName"], names.is_dns1123_label(reference["volumeName"]))
    if not reference.get("path"):
        errors.required(f"{path}.path")
    else:
        check_no_backsteps(reference["path"], f"{path}.path", errors)


def check_environment_sources(sources: Any, path: str, errors: ErrorList) -> None:
    for i, source in enumerate(sources):
        here = f"{path}[{i}]"
        if source.get("prefix"):
            errors.rule(f"{here}.prefix", source["prefix"], names.is_environment_name(source["prefix"]))
        given = [s for s in ("configMapRef", "secretRef") if source.get(s) is not None]
        for name in given:
            if not source[name].get("name"):
                errors.required(f"{here}.{name}.name")
            else:
                errors.rule(
                    f"{here}.{name}.name", source[name]["name"], names.is_dns1123_subdomain(source[name]["name"])
                )
        if not given:
            errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            errors.invalid(path, "", "may not have more than one field specified at a time")
