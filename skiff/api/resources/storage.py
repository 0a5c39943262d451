"""storage.k8s.io/v1. Defaults: pkg/apis/storage/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import storage_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core.storage_checks import check_storage_class, check_storage_class_update
from skiff.api.resources.core.warn import capacity_warnings, storage_class_warnings
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.disabled import disabled
from skiff.api.resources.fields import child, nil, rules, struct, zero
from skiff.api.resources.warnings import csi_driver_warnings
from skiff.api.types import Obj

GROUP = "storage.k8s.io"

default_csi_driver = struct(
    "spec",
    nil(
        attachRequired=True,
        podInfoOnMount=False,
        storageCapacity=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        requiresRepublish=False,
        seLinuxMount=False,
    ),
    zero(volumeLifecycleModes=["Persistent"]),
)

default_storage_class = nil(reclaimPolicy="Delete", volumeBindingMode="Immediate")

default_csi_node = struct("spec", nil(drivers=None))


_drop = disabled("spec.preventPodSchedulingIfMissing")  # gate VolumeLimitScaling


def prepare_csi_driver(new: Obj, old: Obj | None) -> None:
    """The generation counts changes; a driver that never changed has none."""
    _drop(new, old)
    if old is not None and new["spec"] != old["spec"]:
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def default_attachment(obj: Obj) -> None:
    child(child(obj, "spec"), "source")
    child(obj, "status").setdefault("attached", False)


RESOURCES: Sequence[Resource] = (
    builtin(
        GROUP,
        "v1",
        "csidrivers",
        "CSIDriver",
        validate=validator(checks.check_csi_driver),
        validate_update=update_validator(checks.check_csi_driver_update),
        warn=csi_driver_warnings,
        namespaced=False,
        default=default_csi_driver,
        prepare=prepare_csi_driver,
        unconditional_update=False,
    ),
    builtin(
        GROUP,
        "v1",
        "csinodes",
        "CSINode",
        validate=validator(checks.check_csi_node),
        validate_update=update_validator(checks.check_csi_node_update),
        namespaced=False,
        default=default_csi_node,
        unconditional_update=False,
    ),
    builtin(
        GROUP,
        "v1",
        "csistoragecapacities",
        "CSIStorageCapacity",
        validate=validator(checks.check_storage_capacity),
        validate_update=update_validator(checks.check_storage_capacity_update),
        warn=capacity_warnings,
        unconditional_update=False,
    ),
    builtin(
        GROUP,
        "v1",
        "storageclasses",
        "StorageClass",
        validate=validator(check_storage_class),
        validate_update=update_validator(check_storage_class_update),
        namespaced=False,
        short_names=("sc",),
        warn=storage_class_warnings,
        default=default_storage_class,
    ),
    builtin(
        GROUP,
        "v1",
        "volumeattachments",
        "VolumeAttachment",
        validate=validator(checks.check_attachment),
        validate_update=update_validator(checks.check_attachment_update),
        validate_status_update=update_validator(checks.check_attachment_status_update),
        namespaced=False,
        subresources=(STATUS,),
        default=rules(default_attachment),
        unconditional_update=False,
    ),
    builtin(
        GROUP,
        "v1",
        "volumeattributesclasses",
        "VolumeAttributesClass",
        validate=validator(checks.check_attributes_class),
        validate_update=update_validator(checks.check_attributes_class_update),
        namespaced=False,
        short_names=("vac",),
    ),
)
