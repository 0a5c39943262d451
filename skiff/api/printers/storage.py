"""Rows of storage.k8s.io, storagemigration.k8s.io and internal.apiserver.k8s.io."""

from typing import Any

from skiff.api.printers.text import (
    AGE,
    EMPTY,
    NAME,
    NONE,
    UNSET,
    age,
    boolean,
    columns,
    first_three,
    integer,
    name,
    spec,
    status,
)
from skiff.api.resources import Column, Printer
from skiff.api.types import Obj

_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def _storage_class(obj: Obj, now: float) -> list[Any]:
    annotations = obj["metadata"].get("annotations") or EMPTY
    default = any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)
    return [
        f"{name(obj)} (default)" if default else name(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


def _attributes_class(obj: Obj, now: float) -> list[Any]:
    return [name(obj), obj.get("driverName", ""), age(obj, now)]


def _attachment(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    volume = (found.get("source") or EMPTY).get("persistentVolumeName") or ""
    attached = bool(status(obj).get("attached"))
    return [name(obj), found.get("attacher", ""), volume, found.get("nodeName", ""), attached, age(obj, now)]


def _csi_node(obj: Obj, now: float) -> list[Any]:
    return [name(obj), len(spec(obj).get("drivers") or ()), age(obj, now)]


def _csi_driver(obj: Obj, now: float) -> list[Any]:
    found = spec(obj)
    requests = found.get("tokenRequests")
    return [
        name(obj),
        found.get("attachRequired", True),
        bool(found.get("podInfoOnMount")),
        bool(found.get("storageCapacity")),
        UNSET if requests is None else ",".join(r.get("audience", "") for r in requests),
        bool(found.get("requiresRepublish")),
        ",".join(found.get("volumeLifecycleModes") or ()) or NONE,
        age(obj, now),
    ]


STORAGE = {
    "storageclasses": Printer(
        columns(NAME, "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", AGE),
        _storage_class,
    ),
    "volumeattributesclasses": Printer(columns(NAME, "DriverName", AGE), _attributes_class),
    "volumeattachments": Printer(
        columns(NAME, Column("Attacher", format="name"), "PV", "Node", boolean("Attached"), AGE),
        _attachment,
    ),
    "csinodes": Printer(columns(NAME, integer("Drivers"), AGE), _csi_node),
    "csidrivers": Printer(
        columns(
            NAME, boolean("AttachRequired"), boolean("PodInfoOnMount"), boolean("StorageCapacity"), "TokenRequests",
            boolean("RequiresRepublish"), "Modes", AGE,
        ),
        _csi_driver,
    ),
}  # fmt: skip


def _migration(obj: Obj, now: float) -> list[Any]:
    resource = spec(obj).get("resource") or EMPTY
    shown = resource.get("resource", "")
    if resource.get("group"):
        shown = f"{shown}.{resource['group']}"
    state = "Unknown"
    for condition in status(obj).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Running", "Failed", "Succeeded"):
            state = condition["type"]
    return [name(obj), shown, state]


MIGRATION = {"storageversionmigrations": Printer(columns(Column("Name"), "Resource", "Status"), _migration)}


def _storage_version(obj: Obj, now: float) -> list[Any]:
    state = status(obj)
    servers = (f"{v.get('apiServerID', '')}={v.get('encodingVersion', '')}" for v in state.get("storageVersions") or ())
    return [name(obj), state.get("commonEncodingVersion", UNSET), first_three(servers), age(obj, now)]


INTERNAL = {
    "storageversions": Printer(columns(NAME, "CommonEncodingVersion", "StorageVersions", AGE), _storage_version),
}
