"""Validation of PersistentVolume. Source: pkg/apis/core/validation/validation.go (ValidatePersistentVolume…)."""

from typing import Any

from skiff.api import labels, names, quantity
from skiff.api.errors import FieldError
from skiff.api.resources.checks import IMMUTABLE, POSITIVE, ErrorList, go_struct
from skiff.api.resources.core import legacy_volumes as legacy
from skiff.api.resources.core.claim_checks import check_access_modes, check_class_name, check_volume_mode
from skiff.api.resources.core.resource_checks import is_native
from skiff.api.resources.core.scheduling_checks import check_node_selector
from skiff.api.resources.core.volume_checks import (
    SourceCheck,
    check_driver_name,
    check_host_path,
    check_nfs,
    check_no_backsteps,
    needs,
)
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

MAX_PARAMETERS = 512
MAX_PARAMETER_BYTES = 256 << 10
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")


def _local(source: Obj, path: str, errors: ErrorList) -> None:
    if not source.get("path"):
        errors.required(f"{path}.path")
    else:
        check_no_backsteps(source["path"], f"{path}.path", errors)


_CSI_SECRETS = ("controllerPublish", "controllerExpand", "nodePublish", "nodeExpand")


def _csi(source: Obj, path: str, errors: ErrorList) -> None:
    check_driver_name(source.get("driver", ""), f"{path}.driver", errors)
    if not source.get("volumeHandle"):
        errors.required(f"{path}.volumeHandle")
    for use in _CSI_SECRETS:
        reference = source.get(f"{use}SecretRef")
        if reference is not None:
            legacy.check_secret_reference(reference, f"{path}.{use}SecretRef", errors)


SOURCES: dict[str, SourceCheck] = {
    "hostPath": check_host_path,
    "gcePersistentDisk": legacy.check_gce,
    "awsElasticBlockStore": legacy.check_aws,
    "glusterfs": legacy.check_persistent_glusterfs,
    "flocker": legacy.check_flocker,
    "nfs": check_nfs,
    "rbd": needs("monitors", "image"),
    "quobyte": legacy.check_quobyte,
    "cephfs": needs("monitors"),
    "iscsi": legacy.check_persistent_iscsi,
    "cinder": legacy.check_persistent_cinder,
    "fc": legacy.check_fc,
    "flexVolume": legacy.check_flex,
    "azureFile": legacy.check_persistent_azure_file,
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": legacy.check_azure_disk,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "local": _local,
    "storageos": legacy.check_persistent_storageos,
    "csi": _csi,
}
_INLINE = "may not be specified in the context of inline volumes"


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
    _check_source(spec, "spec", get(obj, "metadata", "name") or "", errors)
    check_class_name(spec, "spec", errors)
    check_volume_mode(spec, "spec", errors)
    if spec.get("volumeAttributesClassName") is not None:
        _check_attributes_class(spec, errors)


def _check_attributes_class(spec: Obj, errors: ErrorList) -> None:
    name, path = spec["volumeAttributesClassName"], "spec.volumeAttributesClassName"
    if not name:
        errors.required(path, "an empty string is disallowed")
    else:
        errors.rule(path, name, names.is_dns1123_subdomain(name))
    if spec.get("csi") is None:
        errors.required("spec.csi", "has to be specified when using volumeAttributesClassName")


def check_inline_volume(spec: Obj, path: str, errors: ErrorList) -> None:
    """Of a VolumeAttachment: only CSI, and nothing that belongs to a volume as an object."""
    for field in ("claimRef", "capacity"):
        if spec.get(field):
            errors.forbidden(f"{path}.{field}", _INLINE)
    if spec.get("csi") is None:
        errors.required(f"{path}.csi", "has to be specified in the context of inline volumes")
    check_access_modes(spec, path, errors)
    if spec.get("persistentVolumeReclaimPolicy", "Retain") != "Retain":
        why = "may only be Retain in the context of inline volumes"
        errors.forbidden(f"{path}.persistentVolumeReclaimPolicy", why)
    if spec.get("nodeAffinity") is not None:
        errors.forbidden(f"{path}.nodeAffinity", _INLINE)
    _check_source(spec, path, "", errors)
    if spec.get("storageClassName"):
        errors.forbidden(f"{path}.storageClassName", _INLINE)
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        why = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.forbidden(f"{path}.volumeMode", why)
    if spec.get("volumeAttributesClassName") is not None:
        errors.forbidden(f"{path}.volumeAttributesClassName", _INLINE)


def _check_source(spec: Obj, path: str, name: str, errors: ErrorList) -> None:
    """Exactly one. name: of the volume."""
    given = [s for s in SOURCES if spec.get(s) is not None]
    for i, source in enumerate(given):
        if i == 0 or source == "flexVolume":
            SOURCES[source](spec[source], f"{path}.{source}", errors)
        else:
            shown = "cephFS" if source == "cephfs" else source
            errors.forbidden(f"{path}.{shown}", "may not specify more than 1 volume type")
    if not given:
        errors.required(path, "must specify a volume type")
    if "local" in given[:1] and spec.get("nodeAffinity") is None:
        errors.required(f"{path}.nodeAffinity", "Local volume requires node affinity")
    if "iscsi" in given[:1]:
        _check_iscsi_names(spec["iscsi"], f"{path}.iscsi", name, errors)
    root = "hostPath" in given and spec["hostPath"].get("path", "").rstrip("/") == ""
    if root and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        errors.forbidden(f"{path}.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")


def _check_iscsi_names(source: Obj, path: str, name: str, errors: ErrorList) -> None:
    portal = source.get("targetPortal", "")
    if source.get("initiatorName") is not None and len(f"{name}:{portal}".encode()) > 64:
        why = (
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
            "if iscsi.initiatorName is specified."
        )
        errors.invalid(f"{path}.targetportal", portal, why)


def _check_capacity(capacity: Obj, errors: ErrorList) -> None:
    if not capacity:
        errors.required("spec.capacity")
    if "storage" not in capacity or len(capacity) > 1:
        shown = dict(sorted(capacity.items())) or None
        errors.append(FieldError("spec.capacity", "FieldValueNotSupported", shown, 'supported values: "storage"'))
    for name, amount in capacity.items():
        value = quantity.parse(amount)
        if value < quantity.ZERO:
            errors.invalid(f"spec.capacity[{name}]", value.value, "must be a valid resource quantity")
        if not value > quantity.ZERO:
            errors.invalid(f"spec.capacity[{name}]", amount, POSITIVE)


RESIZES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)


def check_claim_status(new: Obj, old: Obj, errors: ErrorList) -> None:
    path = "status.allocatedResourceStatuses"
    for name, state in (get(new, "status", "allocatedResourceStatuses") or {}).items():
        _check_claim_resource(name, path, errors)
        if state not in RESIZES:
            errors.one_of(path, name, RESIZES)
    for name in get(new, "status", "allocatedResources") or ():
        _check_claim_resource(name, "status.allocatedResources", errors)


def _check_claim_resource(name: str, path: str, errors: ErrorList) -> None:
    wrong = labels.key_errors(name)
    errors.rule(path, name, wrong)
    if not wrong and is_native(name):
        errors.one_of(path, name, ("storage",))


_GA_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _check_affinity_kept(fresh: Obj | None, stored: Obj | None, errors: ErrorList) -> None:
    if stored is None or fresh == stored or _with_old_labels(fresh, stored) == stored:
        return
    requirement = "key operator values"
    terms = get(fresh, "required", "nodeSelectorTerms")
    shown_terms = terms and [
        {
            "MatchExpressions": _go_list(term.get("matchExpressions"), requirement),
            "MatchFields": _go_list(term.get("matchFields"), requirement),
        }
        for term in terms
    ]
    required = None if get(fresh, "required") is None else {"NodeSelectorTerms": shown_terms}
    shown = None if fresh is None else {"Required": required}
    errors.invalid("nodeAffinity", shown, f"{IMMUTABLE}, except for updating from beta label to GA")


def _go_list(found: list[Obj] | None, fields: str) -> list[Any] | None:
    return None if found is None else [go_struct(f, *fields.split()) for f in found]


def _with_old_labels(fresh: Any, stored: Any) -> Any:
    """What is new with the old names of labels, where only the names have changed."""
    if isinstance(fresh, dict) and isinstance(stored, dict):
        if "key" in fresh and _GA_LABELS.get(stored.get("key", "")) == fresh["key"]:
            fresh = {**fresh, "key": stored["key"]}
        return {k: _with_old_labels(v, stored.get(k)) for k, v in fresh.items()}
    if isinstance(fresh, list) and isinstance(stored, list) and len(fresh) == len(stored):
        return [_with_old_labels(a, b) for a, b in zip(fresh, stored, strict=True)]
    return fresh


def check_persistent_volume_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Where the volume is never changes."""
    fresh, stored = new.get("spec") or {}, old.get("spec") or {}
    if any(_source(fresh, s) != _source(stored, s) for s in SOURCES):
        errors.forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    if fresh.get("volumeMode") != stored.get("volumeMode"):
        errors.invalid("volumeMode", fresh.get("volumeMode"), IMMUTABLE)
    _check_affinity_kept(fresh.get("nodeAffinity"), stored.get("nodeAffinity"), errors)


def _source(spec: Obj, name: str) -> object:
    source = spec.get(name)
    if name == "csi" and source:
        return {k: v for k, v in source.items() if k != "controllerExpandSecretRef"}
    return source


def check_provisioner(value: str, path: str, errors: ErrorList) -> None:
    """Of storage and attributes classes: a qualified name in any case."""
    if not value:
        errors.required(path)
    else:
        errors.rule(path, value.lower(), labels.key_errors(value.lower()))


def check_parameters(parameters: Obj, errors: ErrorList) -> None:
    if len(parameters) > MAX_PARAMETERS:
        errors.too_long("parameters", MAX_PARAMETERS)
        return
    if "" in parameters:
        errors.invalid("parameters", "", "field can not be empty.")
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > MAX_PARAMETER_BYTES:
        errors.too_long("parameters", MAX_PARAMETER_BYTES)


def check_storage_class(obj: Obj, errors: ErrorList) -> None:
    """storage.k8s.io/v1 StorageClass."""
    check_provisioner(obj.get("provisioner", ""), "provisioner", errors)
    check_parameters(obj.get("parameters") or {}, errors)
    if obj.get("reclaimPolicy"):
        errors.one_of("reclaimPolicy", obj["reclaimPolicy"], ("Delete", "Retain"))
    errors.one_of("volumeBindingMode", obj.get("volumeBindingMode", ""), ("Immediate", "WaitForFirstConsumer"))
    seen: list[dict[str, set[str]]] = [{} for _ in obj.get("allowedTopologies") or ()]
    for i, term in enumerate(items(obj, "allowedTopologies")):
        found = _check_topology(term, f"allowedTopologies[{i}].matchLabelExpressions", errors)
        if found in seen:
            errors.duplicate(f"allowedTopologies[{i}].matchLabelExpressions", "")
        seen.append(found)


def _check_topology(term: Obj, path: str, errors: ErrorList) -> dict[str, set[str]]:
    """The values by key."""
    found: dict[str, set[str]] = {}
    for i, requirement in enumerate(items(term, "matchLabelExpressions")):
        here, key, values = f"{path}[{i}]", requirement.get("key", ""), requirement.get("values") or []
        if not values:
            errors.required(f"{here}.values")
        for j, value in enumerate(values):
            if value in values[:j]:
                errors.duplicate(f"{here}.values[{j}]", value)
        errors.rule(f"{here}.key", key, labels.key_errors(key))
        if key in found:
            errors.duplicate(f"{here}.key", key)
        found[key] = {*values}
    return found


def check_storage_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    after, before = (dict(sorted((o.get("parameters") or {}).items())) for o in (new, old))
    errors.immutable("parameters", after, before)
    errors.immutable("provisioner", new.get("provisioner", ""), old.get("provisioner", ""))
    for field in ("reclaimPolicy", "volumeBindingMode"):
        errors.immutable(field, new.get(field), old.get(field))
