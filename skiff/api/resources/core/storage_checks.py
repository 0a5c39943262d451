"""Validation of PersistentVolume. Source: pkg/apis/core/validation/validation.go (ValidatePersistentVolume…)."""

from skiff.api import names, quantity
from skiff.api.errors import FieldError
from skiff.api.resources.checks import IMMUTABLE, NOT_NEGATIVE, POSITIVE, ErrorList
from skiff.api.resources.core.claim_checks import check_access_modes, check_class_name, check_volume_mode
from skiff.api.resources.core.scheduling_checks import check_node_selector
from skiff.api.resources.core.volume_checks import (
    SourceCheck,
    check_driver_name,
    check_host_path,
    check_nfs,
    check_no_backsteps,
    needs,
)
from skiff.api.types import Obj

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")


def _local(source: Obj, path: str, errors: ErrorList) -> None:
    if not source.get("path"):
        errors.required(f"{path}.path")
    else:
        check_no_backsteps(source["path"], f"{path}.path", errors)


def _csi(source: Obj, path: str, errors: ErrorList) -> None:
    check_driver_name(source.get("driver", ""), f"{path}.driver", errors)
    if not source.get("volumeHandle"):
        errors.required(f"{path}.volumeHandle")


SOURCES: dict[str, SourceCheck] = {
    "hostPath": check_host_path,
    "gcePersistentDisk": needs("pdName"),
    "awsElasticBlockStore": needs("volumeID"),
    "glusterfs": needs("endpoints", "path"),
    "flocker": needs(),
    "nfs": check_nfs,
    "rbd": needs("monitors", "image"),
    "quobyte": needs("registry", "volume"),
    "cephfs": needs("monitors"),
    "iscsi": needs("targetPortal", "iqn"),
    "cinder": needs("volumeID"),
    "fc": needs(),
    "flexVolume": needs("driver"),
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": needs("diskName", "diskURI"),
    "scaleIO": needs("gateway", "system", "volumeName"),
    "local": _local,
    "storageos": needs(),
    "csi": _csi,
}


def check_persistent_volume(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    check_access_modes(spec, "spec", errors)
    _check_capacity(spec.get("capacity") or {}, errors)
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if policy:
        errors.one_of("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is not None:
            check_node_selector(affinity["required"], "spec.nodeAffinity.required", errors)
        else:
            errors.required("spec.nodeAffinity.required", "must specify required node constraints")
    given = [s for s in SOURCES if spec.get(s) is not None]
    for i, name in enumerate(given):
        if i == 0:
            SOURCES[name](spec[name], f"spec.{name}", errors)
        else:
            errors.forbidden(f"spec.{name}", "may not specify more than 1 volume type")
    if not given:
        errors.required("spec", "must specify a volume type")
    if "local" in given[:1] and affinity is None:
        errors.required("spec.nodeAffinity", "Local volume requires node affinity")
    if policy == "Recycle" and (spec.get("hostPath") or {}).get("path", "").rstrip("/") == "" and "hostPath" in given:
        errors.forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    check_class_name(spec, "spec", errors)
    check_volume_mode(spec, "spec", errors)


def _check_capacity(capacity: Obj, errors: ErrorList) -> None:
    if not capacity:
        errors.required("spec.capacity")
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(FieldError("spec.capacity", "FieldValueNotSupported", capacity, 'supported values: "storage"'))
    for name, amount in capacity.items():
        value = quantity.parse(amount)
        if value < quantity.ZERO:
            errors.invalid(f"spec.capacity[{name}]", amount, NOT_NEGATIVE)
        if not value > quantity.ZERO:
            errors.invalid(f"spec.capacity[{name}]", amount, POSITIVE)


def check_persistent_volume_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Where the volume is never changes."""
    fresh, stored = new.get("spec") or {}, old.get("spec") or {}
    if any(_source(fresh, s) != _source(stored, s) for s in SOURCES):
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    if fresh.get("volumeMode") != stored.get("volumeMode"):
        errors.invalid("volumeMode", fresh.get("volumeMode"), IMMUTABLE)


def _source(spec: Obj, name: str) -> object:
    source = spec.get(name)
    if name == "csi" and source:
        return {k: v for k, v in source.items() if k != "controllerExpandSecretRef"}
    return source


def check_storage_class(obj: Obj, errors: ErrorList) -> None:
    """storage.k8s.io/v1 StorageClass."""
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        errors.required("provisioner")
    else:
        errors.rule("provisioner", provisioner, names.is_qualified_name(provisioner.lower()))
    parameters = obj.get("parameters") or {}
    if len(parameters) > 512:
        errors.too_long("parameters", 512)
    for key in parameters:
        if not key:
            errors.invalid("parameters", key, "field can not be empty.")
    if obj.get("reclaimPolicy"):
        errors.one_of("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    errors.one_of("volumeBindingMode", obj.get("volumeBindingMode", ""), ("Immediate", "WaitForFirstConsumer"))


def check_storage_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    for field in ("parameters", "provisioner"):
        if (new.get(field) or None) != (old.get(field) or None):
            errors.forbidden(field, f"updates to {field} are forbidden.")
    for field in ("reclaimPolicy", "volumeBindingMode"):
        if new.get(field) != old.get(field):
            if field == "reclaimPolicy":
                errors.forbidden(field, "updates to reclaimPolicy are forbidden.")
            else:
                errors.invalid(field, new.get(field), IMMUTABLE)
