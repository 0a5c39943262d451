"""Validation of PersistentVolumeClaim. Source: pkg/apis/core/validation/validation.go (ValidatePersistentVolumeClaim…)."""

from skiff.api import names, quantity
from skiff.api.resources.checks import IMMUTABLE, POSITIVE, ErrorList, check_label_selector
from skiff.api.resources.fields import get
from skiff.api.types import Obj

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def check_access_modes(spec: Obj, path: str, errors: ErrorList, detail: str = "") -> None:
    modes = spec.get("accessModes") or []
    if not modes:
        errors.required(f"{path}.accessModes", detail)
    for mode in modes:
        errors.one_of(f"{path}.accessModes", mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(m in ACCESS_MODES and m != "ReadWriteOncePod" for m in modes):
        errors.forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")


def check_class_name(spec: Obj, path: str, errors: ErrorList, field: str = "storageClassName") -> None:
    if spec.get(field):
        errors.rule(f"{path}.{field}", spec[field], names.is_dns1123_subdomain(spec[field]))


def check_volume_mode(spec: Obj, path: str, errors: ErrorList) -> None:
    if spec.get("volumeMode") is not None:
        errors.one_of(f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)


def check_claim(obj: Obj, errors: ErrorList) -> None:
    check_claim_spec(obj.get("spec") or {}, "spec", errors)


def check_claim_spec(spec: Obj, path: str, errors: ErrorList) -> None:
    check_access_modes(spec, path, errors, "at least 1 access mode is required")
    check_label_selector(spec.get("selector"), f"{path}.selector", errors)
    here, size = f"{path}.resources[storage]", get(spec, "resources", "requests", "storage")
    if size is None:
        errors.required(here)
    elif not quantity.parse(size) > quantity.ZERO:
        errors.invalid(here, size, POSITIVE)
    check_class_name(spec, path, errors)
    check_volume_mode(spec, path, errors)
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            _check_source(spec[field], f"{path}.{field}", errors)
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference and reference.get("namespace"):
        if source is not None:
            errors.invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified")
    elif source is not None and reference is not None:
        same = all((source.get(f) or "") == (reference.get(f) or "") for f in ("apiGroup", "kind", "name"))
        if not same:
            errors.invalid(path, {}, "must match dataSourceRef")
    check_class_name(spec, path, errors, "volumeAttributesClassName")


def _check_source(source: Obj, path: str, errors: ErrorList) -> None:
    for field in ("name", "kind"):
        if not source.get(field):
            errors.required(f"{path}.{field}")
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if group:
        errors.rule(f"{path}.apiGroup", group, names.is_dns1123_subdomain(group))
    elif kind != "PersistentVolumeClaim":
        errors.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if source.get("namespace"):
        errors.rule(f"{path}.namespace", source["namespace"], names.is_dns1123_label(source["namespace"]))


def check_claim_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Immutable but for the volume's name (once), and for size and attributes class of a bound claim."""
    fresh, stored = new.get("spec") or {}, old.get("spec") or {}
    compared, reference = _comparable(fresh), _comparable(stored)
    if not stored.get("volumeName"):
        reference["volumeName"] = compared.get("volumeName")
    bound = get(new, "status", "phase") == "Bound"
    if not bound:
        compared["size"], reference["size"] = fresh.get("resources"), stored.get("resources")
        compared["attributes"], reference["attributes"] = (s.get("volumeAttributesClassName") for s in (fresh, stored))
    if {k: v for k, v in compared.items() if v} != {k: v for k, v in reference.items() if v}:
        why = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        errors.forbidden("spec", why)
    size, before = (get(s, "resources", "requests", "storage") or "0" for s in (fresh, stored))
    have = get(old, "status", "capacity", "storage") or "0"
    if quantity.parse(size) < quantity.parse(before) and not quantity.parse(have) < quantity.parse(size):
        errors.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    if fresh.get("volumeMode") != stored.get("volumeMode"):
        errors.invalid("volumeMode", fresh.get("volumeMode"), IMMUTABLE)


def _comparable(spec: Obj) -> Obj:
    """The spec without size and attributes class."""
    out = {k: v for k, v in spec.items() if k not in ("resources", "volumeAttributesClassName")}
    resources = spec.get("resources") or {}
    out["limits"] = resources.get("limits")
    out["requests"] = {k: v for k, v in (resources.get("requests") or {}).items() if k != "storage"}
    return out
