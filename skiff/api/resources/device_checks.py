"""Validation of claims and classes of devices, resource.k8s.io/v1. Source: pkg/apis/resource/validation/validation.go."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from skiff.api import labels, names
from skiff.api.errors import FieldError, not_supported
from skiff.api.resources.checks import ErrorList, check_template_metadata
from skiff.api.resources.core.resource_checks import is_extended
from skiff.api.resources.core.scheduling_checks import check_node_selector
from skiff.api.resources.core.volume_checks import check_driver_name
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

MAX_REQUESTS = MAX_CONSTRAINTS = MAX_CONFIG = MAX_SELECTORS = MAX_RESULTS = 32
MAX_SUBREQUESTS = 8
MAX_TOLERATIONS = 16
MAX_EXPRESSION = MAX_PARAMETERS = 10 * 1024
MAX_BINDING_CONDITIONS = 4
MAX_RESERVED = 256
MAX_IDENTIFIER = 32
MAX_POOL_NAME = 253
EFFECTS = ("NoExecute", "NoSchedule", "None")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_NOT_A_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"

ItemCheck = Callable[[Any, str, ErrorList], None]


def check_list(values: Sequence[Any], limit: int, check: ItemCheck, path: str, errors: ErrorList) -> None:
    """At most so many (-1: any number), each of them as it should be."""
    if 0 <= limit < len(values):
        errors.too_many(path, len(values), limit)
        return
    for i, value in enumerate(values):
        check(value, f"{path}[{i}]", errors)


def check_set(values: Sequence[Any], limit: int, check: ItemCheck, path: str, errors: ErrorList, key: str = "") -> None:
    """The same, and none twice; key: the field that tells them apart."""
    before = len(errors)
    check_list(values, limit, check, path, errors)
    if 0 <= limit < len(values) and len(errors) > before:
        return
    seen: set[Any] = set()
    for i, value in enumerate(values):
        one = value.get(key, "") if key else value
        if one in seen:
            errors.duplicate(f"{path}[{i}]", one)
        seen.add(one)


def check_label(value: str, path: str, errors: ErrorList) -> None:
    errors.rule(path, value, names.is_dns1123_label(value))


def check_label_key(value: str, path: str, errors: ErrorList) -> None:
    errors.rule(path, value, labels.key_errors(value))


def check_qualified_name(value: str, path: str, errors: ErrorList) -> None:
    """`domain/identifier` or `identifier`."""
    parts = value.split("/")
    if len(parts) == 1:
        _check_identifier(value, path, errors)
    elif len(parts) == 2:
        if not parts[0]:
            errors.invalid(path, "", "the domain must not be empty")
        else:
            check_driver_name(parts[0], path, errors)
        if not parts[1]:
            errors.invalid(path, "", "the name must not be empty")
        else:
            _check_identifier(parts[1], path, errors)


def _check_identifier(value: str, path: str, errors: ErrorList) -> None:
    if len(value.encode()) > MAX_IDENTIFIER:
        errors.too_long(path, MAX_IDENTIFIER)
    if not _IDENTIFIER.match(value):
        why = names.regex_error(
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
            "characters or '_'",
            "[A-Za-z_][A-Za-z0-9_]*",
            "my_name",
            "MY_NAME",
            "MyName",
        )
        errors.invalid(path, value, why)


def check_full_name(value: str, path: str, errors: ErrorList) -> None:
    check_qualified_name(value, path, errors)
    if "/" not in value:
        why = "a fully qualified name must be a domain and a name separated by a slash"
        errors.invalid(path, value, why)


def check_pool_name(value: str, path: str, errors: ErrorList) -> None:
    if not value:
        errors.required(path)
        return
    if len(value.encode()) > MAX_POOL_NAME:
        errors.too_long(path, MAX_POOL_NAME)
    for part in value.split("/"):
        errors.rule(path, part, names.is_dns1123_subdomain(part))


def check_raw(value: Any, path: str, errors: ErrorList) -> None:
    """Parameters in a form of the driver's own: a JSON object."""
    if value is None:
        errors.required(path)
    elif len(orjson.dumps(value)) > MAX_PARAMETERS:
        errors.too_long(path, MAX_PARAMETERS)
    elif not isinstance(value, dict):
        errors.invalid(path, "<value omitted>", "must be a valid JSON object")


# Claims.


def check_resource_claim(obj: Obj, errors: ErrorList) -> None:
    check_devices(get(obj, "spec", "devices") or {}, "spec.devices", errors)


def check_claim_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """ResourceClaim and ResourceClaimTemplate."""
    errors.immutable("spec", new.get("spec"), old.get("spec"))


def check_claim_template(obj: Obj, errors: ErrorList) -> None:
    check_template_metadata(get(obj, "spec", "metadata"), "spec", errors, path_of_rest="spec.metadata")
    check_devices(get(obj, "spec", "spec", "devices") or {}, "spec.spec.devices", errors)


def check_device_class(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    check_list(spec.get("selectors") or [], MAX_SELECTORS, _check_selector, "spec.selectors", errors)
    check_list(spec.get("config") or [], MAX_CONFIG, _check_configuration, "spec.config", errors)
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        errors.invalid("spec.extendedResourceName", name, "must be a valid extended resource name")


def request_names(devices: Obj) -> set[str]:
    """`request` and `request/subrequest`."""
    found: set[str] = set()
    for request in items(devices, "requests"):
        name = request.get("name", "")
        found |= {name, *(f"{name}/{s.get('name', '')}" for s in items(request, "firstAvailable"))}
    return found


def check_devices(devices: Obj, path: str, errors: ErrorList) -> None:
    known = request_names(devices)
    check_set(devices.get("requests") or [], MAX_REQUESTS, _check_request, f"{path}.requests", errors, "name")

    def check_constraint(constraint: Obj, here: str, errors: ErrorList) -> None:
        _check_references(constraint, here, errors, known)
        _check_attribute(constraint, here, errors)

    def check_configuration(config: Obj, here: str, errors: ErrorList) -> None:
        _check_references(config, here, errors, known)
        _check_configuration(config, here, errors)

    check_list(devices.get("constraints") or [], MAX_CONSTRAINTS, check_constraint, f"{path}.constraints", errors)
    check_list(devices.get("config") or [], MAX_CONFIG, check_configuration, f"{path}.config", errors)


def _check_request(request: Obj, path: str, errors: ErrorList) -> None:
    check_label(request.get("name", ""), f"{path}.name", errors)
    exactly, first = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not first:
        errors.required(path, "exactly one of `exactly` or `firstAvailable` is required")
    elif exactly is not None and first:
        why = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
        errors.invalid(path, None, why)
    elif first:
        check_set(first, MAX_SUBREQUESTS, _check_subrequest, f"{path}.firstAvailable", errors, "name")
    elif exactly is not None:
        _check_wanted(exactly, f"{path}.exactly", errors)


def _check_subrequest(request: Obj, path: str, errors: ErrorList) -> None:
    check_label(request.get("name", ""), f"{path}.name", errors)
    _check_wanted(request, path, errors)


def _check_wanted(request: Obj, path: str, errors: ErrorList) -> None:
    """What a request asks for: a class, selectors, how many."""
    device_class, mode, count = (
        request.get("deviceClassName", ""),
        request.get("allocationMode", ""),
        request.get("count", 0),
    )
    if not device_class:
        errors.required(f"{path}.deviceClassName")
    else:
        errors.rule(f"{path}.deviceClassName", device_class, names.is_dns1123_subdomain(device_class))
    check_list(request.get("selectors") or [], MAX_SELECTORS, _check_selector, f"{path}.selectors", errors)
    if mode == "All":
        if count:
            errors.invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'")
    elif mode == "ExactCount":
        if count <= 0:
            errors.invalid(f"{path}.count", count, "must be greater than zero")
    else:
        errors.append(not_supported(f"{path}.allocationMode", mode, ("All", "ExactCount")))
    check_list(request.get("tolerations") or [], MAX_TOLERATIONS, check_toleration, f"{path}.tolerations", errors)


def _check_selector(selector: Obj, path: str, errors: ErrorList) -> None:
    from skiff.api.resources.device_selectors import selector_error

    cel = selector.get("cel")
    if cel is None:
        errors.required(f"{path}.cel")
        return
    expression, here = cel.get("expression", ""), f"{path}.cel.expression"
    if len(expression.encode()) > MAX_EXPRESSION:
        errors.too_long(here, MAX_EXPRESSION)
        return
    cause, why = selector_error(expression)
    if cause:
        errors.append(FieldError(here, cause, expression, why))


def check_toleration(toleration: Obj, path: str, errors: ErrorList) -> None:
    key, value, operator = (toleration.get(f, "") for f in ("key", "value", "operator"))
    if key:
        check_label_key(key, f"{path}.key", errors)
    if operator == "Exists":
        if value:
            errors.invalid(f"{path}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        errors.rule(f"{path}.value", value, labels.value_errors(value))
    elif not operator:
        errors.required(f"{path}.operator")
    else:
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    effect = toleration.get("effect", "")
    if effect and effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))


def _check_references(holder: Obj, path: str, errors: ErrorList, known: Collection[str]) -> None:
    """The requests that a constraint or configuration is about."""

    def check(name: str, here: str, errors: ErrorList) -> None:
        check_request_reference(name, here, errors, known)

    check_set(holder.get("requests") or [], MAX_REQUESTS, check, f"{path}.requests", errors)


def check_request_reference(name: str, path: str, errors: ErrorList, known: Collection[str]) -> None:
    parts = name.split("/")
    if len(parts) <= 2:
        for part in parts:
            check_label(part, path, errors)
    if len(parts) > 2 or name not in known:
        errors.invalid(path, name, _NOT_A_REQUEST)


def _check_attribute(constraint: Obj, path: str, errors: ErrorList) -> None:
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            check_full_name(constraint[field], f"{path}.{field}", errors)
            return
    why = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    errors.required(path, why)


def _check_configuration(config: Obj, path: str, errors: ErrorList) -> None:
    opaque = config.get("opaque")
    if opaque is None:
        errors.required(f"{path}.opaque")
        return
    check_driver_name(opaque.get("driver", ""), f"{path}.opaque.driver", errors)
    check_raw(opaque.get("parameters"), f"{path}.opaque.parameters", errors)


def check_binding_conditions(holder: Obj, path: str, errors: ErrorList) -> None:
    """Of a device and of its allocation: conditions to wait for and those that end the wait, both or none."""
    wanted, failures = holder.get("bindingConditions") or [], holder.get("bindingFailureConditions") or []
    check_list(wanted, MAX_BINDING_CONDITIONS, check_label_key, f"{path}.bindingConditions", errors)
    check_list(failures, MAX_BINDING_CONDITIONS, check_label_key, f"{path}.bindingFailureConditions", errors)
    for i, condition in enumerate(wanted):
        if condition in wanted[:i]:
            errors.duplicate(f"{path}.bindingConditions[{i}]", condition)
    for i, condition in enumerate(failures):
        here = f"{path}.bindingFailureConditions[{i}]"
        if condition in failures[:i]:
            errors.duplicate(here, condition)
        if condition in wanted:
            errors.invalid(here, condition, "bindingFailureConditions must not overlap with bindingConditions")
    if failures and not wanted:
        why = "bindingConditions are required to use bindingFailureConditions"
        errors.invalid(f"{path}.bindingConditions", holder.get("bindingConditions"), why)
    if wanted and not failures:
        why = "bindingFailureConditions are required to use bindingConditions"
        errors.invalid(f"{path}.bindingFailureConditions", holder.get("bindingFailureConditions"), why)


# What is allocated.


def check_claim_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved, allocation = status.get("reservedFor") or [], status.get("allocation")
    check_set(reserved, MAX_RESERVED, _check_consumer, "status.reservedFor", errors, "uid")
    _check_statuses(status, errors)
    if reserved and allocation is None:
        errors.forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif get(new, "metadata", "deletionTimestamp") and any(
        r not in (before.get("reservedFor") or ()) for r in reserved
    ):
        why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.forbidden("status.reservedFor", why)
    if allocation is not None and before.get("allocation") is not None:
        errors.immutable("status.allocation", allocation, before["allocation"])
    elif allocation is not None:
        _check_allocation(allocation, request_names(get(new, "spec", "devices") or {}), errors)


def _check_consumer(consumer: Obj, path: str, errors: ErrorList) -> None:
    for field in ("resource", "name", "uid"):
        if not consumer.get(field):
            errors.required(f"{path}.{field}")


def _check_allocation(allocation: Obj, known: Collection[str], errors: ErrorList) -> None:
    path, devices = "status.allocation", allocation.get("devices") or {}

    def check_result(result: Obj, here: str, errors: ErrorList) -> None:
        check_request_reference(result.get("request", ""), f"{here}.request", errors, known)
        _check_device_name(result, here, errors)
        check_binding_conditions(result, here, errors)

    def check_configuration(config: Obj, here: str, errors: ErrorList) -> None:
        source = config.get("source", "")
        if not source:
            errors.required(f"{here}.source")
        elif source not in ("FromClaim", "FromClass"):
            errors.append(not_supported(f"{here}.source", source, ("FromClaim", "FromClass")))
        _check_references(config, here, errors, known)
        _check_configuration(config, here, errors)

    check_list(devices.get("results") or [], MAX_RESULTS, check_result, f"{path}.devices.results", errors)
    check_list(devices.get("config") or [], 2 * MAX_CONFIG, check_configuration, f"{path}.devices.config", errors)
    if allocation.get("nodeSelector") is not None:
        check_node_selector(allocation["nodeSelector"], f"{path}.nodeSelector", errors)


_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def _check_device_name(device: Obj, path: str, errors: ErrorList) -> None:
    """Driver, pool, device and share."""
    check_driver_name(device.get("driver", ""), f"{path}.driver", errors)
    check_pool_name(device.get("pool", ""), f"{path}.pool", errors)
    check_label(device.get("device", ""), f"{path}.device", errors)
    share = device.get("shareID")
    if share is not None and not _UID.match(share):
        form = "`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
        errors.invalid(f"{path}.shareID", share, f"uid must be in RFC 4122 normalized form, {form}")


def _identity(device: Obj) -> str:
    parts = [device.get("driver", ""), device.get("pool", ""), device.get("device", "")]
    return "/".join([*parts, device["shareID"]] if device.get("shareID") else parts)


def _check_statuses(status: Obj, errors: ErrorList) -> None:
    allocated = {_identity(r) for r in items(status, "allocation", "devices", "results")}
    seen: set[str] = set()
    for i, device in enumerate(items(status, "devices")):
        path, identity = f"status.devices[{i}]", _identity(device)
        _check_device_name(device, path, errors)
        if identity not in allocated:
            errors.invalid(path, identity, "must be an allocated device in the claim")
        if device.get("data") is not None:
            check_raw(device["data"], f"{path}.data", errors)
        network = device.get("networkData") or {}
        for field, limit in (("interfaceName", 256), ("hardwareAddress", 128)):
            if len(network.get(field, "").encode()) > limit:
                errors.too_long(f"{path}.networkData.{field}", limit)
        if identity in seen:
            errors.duplicate(path, identity)
        seen.add(identity)
