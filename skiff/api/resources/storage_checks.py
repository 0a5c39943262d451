"""Validation of storage.k8s.io/v1, storage classes aside. Source: pkg/apis/storage/validation/validation.go."""

from skiff.api import labels, names
from skiff.api.resources.checks import (
    IMMUTABLE,
    MAX_INT32,
    ErrorList,
    check_label_selector,
    check_not_negative_quantity,
)
from skiff.api.resources.core.storage_checks import check_inline_volume, check_parameters, check_provisioner
from skiff.api.resources.core.volume_checks import check_driver_name
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

MAX_METADATA_BYTES = 256 << 10
MAX_MESSAGE_BYTES = 1024
MAX_NODE_ID = 256
GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLES = ("Persistent", "Ephemeral")
MIN_TOKEN_SECONDS, MAX_TOKEN_SECONDS = 600, 1 << 32


def check_attachment(obj: Obj, errors: ErrorList) -> None:
    """VolumeAttachment."""
    spec = obj.get("spec") or {}
    check_driver_name(spec.get("attacher", ""), "spec.attacher", errors)
    source, path = spec.get("source") or {}, "spec.source"
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    exactly = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and name is None:
        errors.required(path, exactly)
    elif inline is not None and name is not None:
        errors.forbidden(path, exactly)
    elif name == "":
        errors.required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName")
    elif inline is not None:
        check_inline_volume(inline, f"{path}.inlineVolumeSpec", errors)
    node = spec.get("nodeName", "")
    errors.rule("spec.nodeName", node, names.is_dns1123_subdomain(node))
    check_attachment_status(obj, errors)
    if name is not None:
        errors.rule(f"{path}.persistentVolumeName", name, names.is_dns1123_subdomain(name))


def check_attachment_status(obj: Obj, errors: ErrorList) -> None:
    metadata = get(obj, "status", "attachmentMetadata") or {}
    if sum(len(k.encode()) + len(v.encode()) for k, v in metadata.items()) > MAX_METADATA_BYTES:
        errors.too_long("status.attachmentMetadata", MAX_METADATA_BYTES)
    for field in ("attachError", "detachError"):
        error, path = get(obj, "status", field) or {}, f"status.{field}"
        if len(error.get("message", "").encode()) > MAX_MESSAGE_BYTES:
            errors.too_long(f"{path}.message", MAX_METADATA_BYTES)
        if (error.get("errorCode") or 0) < 0:
            errors.invalid(f"{path}.errorCode", error["errorCode"], f"must be between 0 and {MAX_INT32}, inclusive")


def check_attachment_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    after, before = (_shown_attachment(o.get("spec") or {}) for o in (new, old))
    errors.immutable("spec", after, before)


def _shown_attachment(spec: Obj) -> Obj:
    source = spec.get("source") or {}
    shown = {
        "PersistentVolumeName": source.get("persistentVolumeName"),
        "InlineVolumeSpec": source.get("inlineVolumeSpec"),
    }
    return {"Attacher": spec.get("attacher", ""), "Source": shown, "NodeName": spec.get("nodeName", "")}


def check_attachment_status_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    check_attachment_status(new, errors)


def check_csi_node(obj: Obj, errors: ErrorList) -> None:
    taken: set[str] = set()
    for i, driver in enumerate(items(obj, "spec", "drivers")):
        path, name, node = f"spec.drivers[{i}]", driver.get("name", ""), driver.get("nodeID", "")
        check_driver_name(name, f"{path}.name", errors)
        if not node:
            errors.required(f"{path}.nodeID")
        if len(node.encode()) > MAX_NODE_ID:
            errors.invalid(f"{path}.nodeID", node, f"must be {MAX_NODE_ID} characters or less")
        errors.not_negative(f"{path}.allocatable.count", get(driver, "allocatable", "count"))
        if name in taken:
            errors.duplicate(f"{path}.name", name)
        taken.add(name)
        _check_topology_keys(driver.get("topologyKeys") or [], path, errors)


def _check_topology_keys(keys: list[str], path: str, errors: ErrorList) -> None:
    seen: set[str] = set()
    for key in keys:
        if not key:
            errors.required(path)
        if key in seen:
            errors.duplicate(path, key)
        seen.add(key)
        errors.rule(path, key, labels.key_errors(key))


def check_csi_node_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Of a driver that stays only the number of volumes may change."""
    stored = {d.get("name"): d for d in items(old, "spec", "drivers")}
    for driver in items(new, "spec", "drivers"):
        before = stored.get(driver.get("name"))
        if before is not None and _but_count(driver) != _but_count(before):
            shown = {"Name": driver.get("name", ""), "NodeID": driver.get("nodeID", "")}
            shown |= {"TopologyKeys": driver.get("topologyKeys"), "Allocatable": None}
            errors.invalid("spec.drivers", shown, IMMUTABLE)


def _but_count(driver: Obj) -> Obj:
    return {k: v for k, v in driver.items() if k != "allocatable"}


def check_csi_driver(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    policy, seconds = spec.get("fsGroupPolicy"), spec.get("nodeAllocatableUpdatePeriodSeconds")
    if policy is not None:
        errors.one_of("spec.fsGroupPolicy", policy, GROUP_POLICIES)
    _check_tokens(spec, errors)
    for mode in spec.get("volumeLifecycleModes") or ():
        errors.one_of("spec.volumeLifecycleModes", mode, LIFECYCLES)
    if seconds is not None and seconds < 10:
        path = "spec.nodeAllocatableUpdatePeriodSeconds"
        errors.invalid(path, seconds, "must be greater than or equal to 10 seconds")
    in_secrets, path = spec.get("serviceAccountTokenInSecrets"), "spec.serviceAccountTokenInSecrets"
    if in_secrets is not None and not spec.get("tokenRequests"):
        errors.invalid(path, in_secrets, "serviceAccountTokenInSecrets is set but no tokenRequests are specified")


def _check_tokens(spec: Obj, errors: ErrorList) -> None:
    seen: set[str] = set()
    for i, request in enumerate(items(spec, "tokenRequests")):
        path, audience = f"spec.tokenRequests[{i}]", request.get("audience", "")
        if audience in seen:
            errors.duplicate(f"{path}.audience", audience)
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < MIN_TOKEN_SECONDS:
            errors.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > MAX_TOKEN_SECONDS:
            why = "may not specify a duration larger than 2^32 seconds"
            errors.invalid(f"{path}.expirationSeconds", seconds, why)


def check_csi_driver_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    for field, shown in (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")):
        errors.immutable(f"spec.{shown}", get(new, "spec", field), get(old, "spec", field))


def check_storage_capacity(obj: Obj, errors: ErrorList) -> None:
    """CSIStorageCapacity."""
    check_label_selector(obj.get("nodeTopology"), "nodeTopology", errors)
    name = obj.get("storageClassName", "")
    errors.rule("storageClassName", name, names.is_dns1123_subdomain(name))
    if obj.get("capacity") is not None:
        check_not_negative_quantity(obj["capacity"], "capacity", errors)


def check_storage_capacity_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("nodeTopology", new.get("nodeTopology"), old.get("nodeTopology"))
    errors.immutable("storageClassName", new.get("storageClassName", ""), old.get("storageClassName", ""))


def check_attributes_class(obj: Obj, errors: ErrorList) -> None:
    """VolumeAttributesClass."""
    check_provisioner(obj.get("driverName", ""), "driverName", errors)
    check_parameters(obj.get("parameters") or {}, errors)
    if not obj.get("parameters"):
        errors.required("parameters", "must contain at least one key/value pair")


def check_attributes_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    for field in ("driverName", "parameters"):
        if new.get(field) != old.get(field):
            errors.forbidden(field, f"updates to {field} are forbidden.")
