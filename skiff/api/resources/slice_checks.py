"""Validation of ResourceSlice, resource.k8s.io/v1. Source: pkg/apis/resource/validation/validation.go."""

import re

from skiff.api import labels, names, quantity
from skiff.api.errors import not_supported
from skiff.api.quantity import Quantity
from skiff.api.resources.checks import IMMUTABLE, ErrorList
from skiff.api.resources.core.scheduling_checks import check_node_selector
from skiff.api.resources.core.volume_checks import check_driver_name
from skiff.api.resources.device_checks import (
    EFFECTS,
    check_binding_conditions,
    check_label,
    check_label_key,
    check_list,
    check_pool_name,
    check_qualified_name,
    check_set,
)
from skiff.api.resources.fields import get
from skiff.api.types import Obj

MAX_DEVICES, MAX_ADVANCED_DEVICES = 128, 64
MAX_COUNTER_SETS, MAX_COUNTERS, MAX_CONSUMPTIONS = 8, 32, 2
MAX_ATTRIBUTES, MAX_VALUE, MAX_TAINTS, MAX_VALUES = 32, 64, 16, 10
_NUMBER, _PRE, _BUILD = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)", r"[0-9a-zA-Z-]+"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+{_BUILD}(\.{_BUILD})*)?\Z", re.ASCII)
_SCALARS = ("int", "bool", "string", "version")
_LISTS = ("ints", "bools", "strings", "versions")


def check_resource_slice(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    check_driver_name(spec.get("driver", ""), "spec.driver", errors)
    pool = spec.get("pool") or {}
    check_pool_name(pool.get("name", ""), "spec.pool.name", errors)
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        errors.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if generation < 0:
        errors.invalid("spec.pool.generation", generation, "must be greater than or equal to zero")
    _check_nodes(spec, errors)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        errors.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    _check_devices(spec, errors)
    check_set(
        spec.get("sharedCounters") or [], MAX_COUNTER_SETS, _check_counter_set, "spec.sharedCounters", errors, "name"
    )


def check_slice_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    for path in (("pool", "name"), ("driver",), ("nodeName",)):
        value = get(new, "spec", *path)
        if value != get(old, "spec", *path):
            errors.invalid(".".join(("spec", *path)), value, IMMUTABLE)


def _check_nodes(spec: Obj, errors: ErrorList) -> None:
    """Which nodes can use the devices: said in one way."""
    given = []
    name, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if name == "":
        errors.invalid("spec.nodeName", name, "must be either unset or set to a non-empty string")
    elif name is not None:
        given.append("`nodeName`")
        errors.rule("spec.nodeName", name, names.is_dns1123_subdomain(name))
    if selector is not None:
        given.append("`nodeSelector`")
        check_node_selector(selector, "spec.nodeSelector", errors)
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            errors.invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term")
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field):
            given.append(f"`{field}`")
        elif spec.get(field) is not None:
            errors.invalid(f"spec.{field}", False, "must be either unset or set to true")
    one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
    if not given:
        errors.required("spec", one)
    elif len(given) > 1:
        errors.invalid("spec", f"{{{', '.join(given)}}}", f"{one}, but multiple fields are set")


def _check_devices(spec: Obj, errors: ErrorList) -> None:
    devices, each = spec.get("devices") or [], spec.get("perDeviceNodeSelection") is True
    advanced = any(
        d.get("taints")
        or d.get("consumesCounters")
        or any(a.get(f) is not None for a in (d.get("attributes") or {}).values() for f in _LISTS)
        for d in devices
    )

    def check(device: Obj, path: str, errors: ErrorList) -> None:
        _check_device(device, path, errors, each)

    check_set(devices, MAX_ADVANCED_DEVICES if advanced else MAX_DEVICES, check, "spec.devices", errors, "name")


def _check_device(device: Obj, path: str, errors: ErrorList, each: bool) -> None:
    """each: devices say themselves which nodes can use them."""
    check_label(device.get("name", ""), f"{path}.name", errors)
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    total = len(attributes) + len(capacity)
    if total > MAX_ATTRIBUTES:
        why = f"the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}"
        errors.invalid(path, total, why)
    for name, attribute in attributes.items():
        check_qualified_name(name, f"{path}.attributes", errors)
        _check_attribute(attribute, f"{path}.attributes[{name}]", errors)
    for name, amount in capacity.items():
        check_qualified_name(name, f"{path}.capacity", errors)
        _check_capacity(amount, f"{path}.capacity[{name}]", errors, device.get("allowMultipleAllocations") is True)
    check_list(device.get("taints") or [], MAX_TAINTS, _check_taint, f"{path}.taints", errors)
    consumed = device.get("consumesCounters") or []
    check_set(consumed, MAX_CONSUMPTIONS, _check_consumption, f"{path}.consumesCounters", errors, "counterSet")
    _check_device_nodes(device, path, errors, each)
    check_binding_conditions(device, path, errors)


def _check_device_nodes(device: Obj, path: str, errors: ErrorList, each: bool) -> None:
    name, selector, all_nodes = (device.get(f) for f in ("nodeName", "nodeSelector", "allNodes"))
    if not each:
        if name is not None or selector is not None or all_nodes is not None:
            why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true"
            errors.invalid(path, None, f"{why} in the ResourceSlice spec")
        return
    given = []
    if name == "":
        errors.invalid(f"{path}.nodeName", name, "must not be empty")
    elif name is not None:
        given.append("`nodeName`")
        errors.rule(f"{path}.nodeName", name, names.is_dns1123_subdomain(name))
    if selector is not None:
        given.append("`nodeSelector`")
        check_node_selector(selector, f"{path}.nodeSelector", errors)
    if all_nodes:
        given.append("`allNodes`")
    elif all_nodes is not None:
        errors.invalid(f"{path}.allNodes", False, "must be either unset or set to true")
    one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required"
    one = f"{one} when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
    if not given:
        errors.required(path, one)
    elif len(given) > 1:
        errors.invalid(path, f"{{{', '.join(given)}}}", one)


def _check_attribute(attribute: Obj, path: str, errors: ErrorList) -> None:
    given = [f for f in (*_SCALARS, *_LISTS) if attribute.get(f) is not None]
    if len(attribute.get("string") or "") > MAX_VALUE:
        errors.too_long(f"{path}.string", MAX_VALUE)
    version = attribute.get("version")
    if version is not None:
        if not _SEMVER.match(version):
            errors.invalid(f"{path}.version", version, "must be a string compatible with semver.org spec 2.0.0")
        if len(version.encode()) > MAX_VALUE:
            errors.too_long(f"{path}.version", MAX_VALUE)
    if len(given) != 1:
        shown = {
            f"{f.title().removesuffix('s')}Value{'s' * f.endswith('s')}": attribute.get(f) for f in (*_SCALARS, *_LISTS)
        }
        errors.invalid(path, shown if given else "", "exactly one value must be specified")


def _check_taint(taint: Obj, path: str, errors: ErrorList) -> None:
    check_label_key(taint.get("key", ""), f"{path}.key", errors)
    if taint.get("value"):
        errors.rule(f"{path}.value", taint["value"], labels.value_errors(taint["value"]))
    effect = taint.get("effect", "")
    if not effect:
        errors.required(f"{path}.effect")
    elif effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))


def _check_counters(counters: Obj, path: str, errors: ErrorList) -> None:
    if not counters:
        errors.required(path)
    elif len(counters) > MAX_COUNTERS:
        errors.too_many(path, len(counters), MAX_COUNTERS)
    else:
        for name in counters:
            check_label(name, path, errors)


def _check_counter_set(counters: Obj, path: str, errors: ErrorList) -> None:
    _check_counter_name(counters.get("name", ""), f"{path}.name", errors)
    _check_counters(counters.get("counters") or {}, f"{path}.counters", errors)


def _check_consumption(consumption: Obj, path: str, errors: ErrorList) -> None:
    _check_counter_name(consumption.get("counterSet", ""), f"{path}.counterSet", errors)
    _check_counters(consumption.get("counters") or {}, f"{path}.counters", errors)


def _check_counter_name(name: str, path: str, errors: ErrorList) -> None:
    if not name:
        errors.required(path)
    else:
        check_label(name, path, errors)


# How much of a capacity a request may ask for.


def _check_capacity(capacity: Obj, path: str, errors: ErrorList, shared: bool) -> None:
    policy, path = capacity.get("requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return
    if not shared:
        errors.forbidden(path, "allowMultipleAllocations must be true")
        return
    values, valid_range = policy.get("validValues") or [], policy.get("validRange")
    if values and valid_range is not None:
        why = 'cannot specify "validValues" and "validRange" at the same time'
        errors.forbidden(path, f"exactly one policy can be specified, {why}")
        return
    most, default = quantity.parse(capacity.get("value", "0")), policy.get("default")
    field = "validValues" if values else "validRange"
    if (values or valid_range is not None) and default is None:
        errors.required(f"{path}.default", f"required when {field} is defined")
    elif values:
        _check_values([quantity.parse(v) for v in values], quantity.parse(default), most, f"{path}.validValues", errors)
    elif valid_range is not None:
        _check_range(valid_range, quantity.parse(default), most, f"{path}.validRange", errors)


def _check_values(values: list[Quantity], default: Quantity, most: Quantity, path: str, errors: ErrorList) -> None:
    for i in range(1, len(values)):
        if values[i - 1] > values[i]:
            errors.invalid(f"{path}[{i}]", str(values[i]), "values must be sorted in ascending order")
    if len(values) > MAX_VALUES:
        errors.too_many(path, len(values), MAX_VALUES)
    else:
        for i, value in enumerate(values):
            if value > most:
                errors.invalid(f"{path}[{i}]", str(value), f"option is larger than capacity value: {most}")
        for i, value in enumerate(values):
            if value.value in [v.value for v in values[:i]]:
                errors.duplicate(f"{path}[{i}]", str(value.value))
    if len(values) > MAX_VALUES or default not in values:
        errors.invalid(path, str(default), "default value is not valid according to the requestPolicy")


def _check_range(given: Obj, default: Quantity, capacity: Quantity, path: str, errors: ErrorList) -> None:
    if given.get("min") is None:
        errors.required(f"{path}.min", "required when validRange is defined")
        return
    least = quantity.parse(given["min"])
    most = quantity.parse(given["max"]) if given.get("max") is not None else None
    if least > capacity:
        errors.invalid(f"{path}.min", str(least), f"min is larger than capacity value: {capacity}")
    if default < least:
        errors.invalid(f"{path}.min", str(default), f"default is less than min: {least}")
    if most is not None:
        if least > most:
            errors.invalid(f"{path}.max", str(least), f"min is larger than max: {most}")
        if most > capacity:
            errors.invalid(f"{path}.max", str(most), f"max is larger than capacity value: {capacity}")
        if default > most:
            errors.invalid(f"{path}.max", str(default), f"default is more than max: {most}")
    if given.get("step") is not None:
        step, here = quantity.parse(given["step"]), f"{path}.step"
        if least + step > capacity:
            why = f"one step {least + step} is larger than capacity value: {capacity}"
            errors.invalid(here, str(step), why)
        for value in (default, most):
            if value is not None and (step.value == 0 or (value.value - least.value) % step.value):
                why = f"value is not a multiple of a given step ({step}) from ({least})"
                errors.invalid(here, str(value), why)
