"""Validation of a pod's volumes. Source: pkg/apis/core/validation/validation.go (ValidateVolumes and what it calls).

Those of clouds and storage systems stand in legacy_volumes.
"""

from collections.abc import Callable
from typing import Any

from skiff.api import names, quantity
from skiff.api.resources.checks import ErrorList, check_template_metadata
from skiff.api.resources.core import legacy_volumes as legacy
from skiff.api.resources.core.claim_checks import check_claim_spec
from skiff.api.resources.core.reference_checks import check_field_reference, check_resource_reference
from skiff.api.types import Obj

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
DOWNWARD_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)

SourceCheck = Callable[[Obj, str, ErrorList], None]


def check_volumes(volumes: Any, path: str, errors: ErrorList, *, pod_name: str = "") -> dict[str, Obj]:
    """The volumes without mistakes, by name."""
    good: dict[str, Obj] = {}
    created = {f"{pod_name}-{v.get('name', '')}" for v in volumes if pod_name and v.get("ephemeral")}
    for i, volume in enumerate(volumes):
        here, name = f"{path}[{i}]", volume.get("name", "")
        found = ErrorList()
        _check_source(volume, here, found)
        if not name:
            found.required(f"{here}.name")
        else:
            found.rule(f"{here}.name", name, names.is_dns1123_label(name))
        if name in good:
            found.duplicate(f"{here}.name", name)
        if found:
            errors.extend(found)
        else:
            good[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in created:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            errors.invalid(f"{here}.persistentVolumeClaim.claimName", claim, why)
    return good


def _check_source(volume: Obj, path: str, errors: ErrorList) -> None:
    given = [s for s in SOURCES if volume.get(s) is not None]
    if not given:
        errors.required(path, "must specify a volume type")
        return
    SOURCES[given[0]](volume[given[0]], f"{path}.{given[0]}", errors)
    for name in given[1:]:
        errors.forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
    iscsi = volume.get("iscsi")
    if iscsi is not None and iscsi.get("initiatorName") is not None:
        name = volume.get("name", "")
        if len(f"{name}:{iscsi.get('targetPortal', '')}") > 64:
            why = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
            errors.invalid(f"{path}.name", name, f"{why}if iscsi.initiatorName is specified.")


def check_no_backsteps(value: str, path: str, errors: ErrorList) -> None:
    if ".." in value.split("/"):
        errors.invalid(path, value, "must not contain '..'")


def check_relative_path(value: str, path: str, errors: ErrorList) -> None:
    if value.startswith("/"):
        errors.invalid(path, value, "must be a relative path")
    check_no_backsteps(value, path, errors)


def check_file_name(value: str, path: str, errors: ErrorList) -> None:
    """A relative path that keeps clear of the names that atomic writing uses."""
    check_relative_path(value, path, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.invalid(path, value, "must not start with '..'")


def _check_mode(source: Obj, name: str, path: str, errors: ErrorList) -> None:
    mode = source.get(name)
    if mode is not None and not 0 <= mode <= 0o777:
        errors.invalid(f"{path}.{name}", mode, FILE_MODE)


def _check_items(items: Any, path: str, errors: ErrorList) -> None:
    for i, item in enumerate(items or ()):
        here = f"{path}[{i}]"
        if not item.get("key"):
            errors.required(f"{here}.key")
        if not item.get("path"):
            errors.required(f"{here}.path")
        check_file_name(item.get("path", ""), f"{here}.path", errors)
        _check_mode(item, "mode", here, errors)


def _empty_dir(source: Obj, path: str, errors: ErrorList) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit) < quantity.ZERO:
        errors.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def check_host_path(source: Obj, path: str, errors: ErrorList) -> None:
    if not source.get("path"):
        errors.required(f"{path}.path")
        return
    check_no_backsteps(source["path"], f"{path}.path", errors)
    if source.get("type") is not None:
        errors.one_of(f"{path}.type", source["type"], HOST_PATH_TYPES)


def _files_of(name_field: str) -> SourceCheck:
    """A secret or config map as files."""

    def check(source: Obj, path: str, errors: ErrorList) -> None:
        if not source.get(name_field):
            errors.required(f"{path}.{name_field}")
        _check_mode(source, "defaultMode", path, errors)
        _check_items(source.get("items"), f"{path}.items", errors)

    return check


def _downward_file(item: Obj, path: str, errors: ErrorList) -> None:
    if not item.get("path"):
        errors.required(f"{path}.path")
    check_file_name(item.get("path", ""), f"{path}.path", errors)
    if item.get("fieldRef") is not None:
        check_field_reference(item["fieldRef"], f"{path}.fieldRef", errors, DOWNWARD_FIELDS)
        if item.get("resourceFieldRef") is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.invalid(path, "resource", why)
    elif item.get("resourceFieldRef") is not None:
        check_resource_reference(item["resourceFieldRef"], f"{path}.resourceFieldRef", errors, in_volume=True)
    else:
        errors.required(path, "one of fieldRef and resourceFieldRef is required")
    _check_mode(item, "mode", path, errors)


def _downward_api(source: Obj, path: str, errors: ErrorList) -> None:
    _check_mode(source, "defaultMode", path, errors)
    for item in source.get("items") or ():
        _downward_file(item, path, errors)


_PROJECTIONS = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")


def _projected(source: Obj, path: str, errors: ErrorList) -> None:
    _check_mode(source, "defaultMode", path, errors)
    taken: set[str] = set()
    for i, projection in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{i}]"
        given = [p for p in _PROJECTIONS if projection.get(p) is not None]
        for name in given:
            _check_projection(name, projection[name], f"{here}.{name}", path, errors, taken)
        if len(given) > 1:
            errors.forbidden(here, "may not specify more than 1 volume type per source")


def _check_projection(name: str, source: Obj, path: str, volume: str, errors: ErrorList, taken: set[str]) -> None:
    if name in ("secret", "configMap"):
        if not source.get("name"):
            errors.required(f"{path}.name")
        _check_items(source.get("items"), f"{path}.items", errors)
        for item in source.get("items") or ():
            _take(item.get("path", ""), source.get("name", ""), volume, errors, taken)
    elif name == "downwardAPI":
        for item in source.get("items") or ():
            _downward_file(item, path, errors)
            _take(item.get("path", ""), item.get("path", ""), volume, errors, taken)
    elif name == "serviceAccountToken":
        _check_token(source, path, volume, errors)
    elif name == "clusterTrustBundle":
        if source.get("name") is None and source.get("signerName") is None:
            errors.required(path, "either name or signerName must be specified")
        elif source.get("name") is not None and source.get("signerName") is not None:
            errors.invalid(path, source, "only one of name and signerName may be used")
        if not source.get("path"):
            errors.required(f"{path}.path")
        check_file_name(source.get("path", ""), f"{path}.path", errors)
        _take(source.get("path", ""), source.get("path", ""), volume, errors, taken)


def _check_token(source: Obj, path: str, volume: str, errors: ErrorList) -> None:
    seconds = source.get("expirationSeconds", 0)
    if seconds < 600:
        errors.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > 1 << 32:
        errors.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if not source.get("path"):
        errors.required(f"{volume}.path")
    else:
        check_file_name(source["path"], f"{volume}.path", errors)


def _take(path: str, shown: str, volume: str, errors: ErrorList, taken: set[str]) -> None:
    if path and path in taken:
        errors.invalid(volume, shown, "conflicting duplicate paths")
    taken.add(path)


def _claim(source: Obj, path: str, errors: ErrorList) -> None:
    if not source.get("claimName"):
        errors.required(f"{path}.claimName")


def _ephemeral(source: Obj, path: str, errors: ErrorList) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.required(f"{path}.volumeClaimTemplate")
    else:
        check_template_metadata(template.get("metadata"), f"{path}.volumeClaimTemplate", errors)
        check_claim_spec(template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec", errors)


def _image(source: Obj, path: str, errors: ErrorList) -> None:
    errors.one_of(f"{path}.pullPolicy", source.get("pullPolicy", ""), ("Always", "IfNotPresent", "Never"))


def _git_repo(source: Obj, path: str, errors: ErrorList) -> None:
    legacy.require(source, path, errors, "repository")
    check_relative_path(source.get("directory", ""), f"{path}.directory", errors)


def check_nfs(source: Obj, path: str, errors: ErrorList) -> None:
    if not source.get("server"):
        errors.required(f"{path}.server")
    if not source.get("path"):
        errors.required(f"{path}.path")
    if not source.get("path", "").startswith("/"):
        errors.invalid(f"{path}.path", source.get("path", ""), "must be an absolute path")


def _csi(source: Obj, path: str, errors: ErrorList) -> None:
    check_driver_name(source.get("driver", ""), f"{path}.driver", errors)
    secret = source.get("nodePublishSecretRef")
    if secret is not None:
        name = secret.get("name", "")
        if not name:
            errors.required(f"{path}.nodePublishSecretRef.name")
        else:
            errors.rule(f"{path}.name", name, names.is_dns1123_subdomain(name))


def check_driver_name(value: str, path: str, errors: ErrorList) -> None:
    if not value:
        errors.required(path)
    else:
        if len(value.encode()) > 63:
            errors.too_long(path, 63)
        errors.rule(path, value, names.is_dns1123_subdomain(value.lower()))


def needs(*fields: str) -> SourceCheck:
    """Only that these are there."""

    def check(source: Obj, path: str, errors: ErrorList) -> None:
        legacy.require(source, path, errors, *fields)

    return check


SOURCES: dict[str, SourceCheck] = {
    "emptyDir": _empty_dir,
    "hostPath": check_host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": legacy.check_gce,
    "awsElasticBlockStore": legacy.check_aws,
    "secret": _files_of("secretName"),
    "nfs": check_nfs,
    "iscsi": legacy.check_iscsi,
    "glusterfs": legacy.check_glusterfs,
    "flocker": legacy.check_flocker,
    "persistentVolumeClaim": _claim,
    "rbd": needs("monitors", "image"),
    "cinder": legacy.check_cinder,
    "cephfs": needs("monitors"),
    "quobyte": legacy.check_quobyte,
    "downwardAPI": _downward_api,
    "fc": legacy.check_fc,
    "flexVolume": legacy.check_flex,
    "configMap": _files_of("name"),
    "azureFile": legacy.check_azure_file,
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": legacy.check_azure_disk,
    "storageos": legacy.check_storageos,
    "projected": _projected,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
