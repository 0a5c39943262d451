"""Checks of the volume sources of clouds and storage systems: hardly used any more, but still validated.

Source: pkg/apis/core/validation/validation.go. A persistent volume names namespaces where a pod need not.
"""

import re

from skiff.api import names
from skiff.api.errors import not_supported
from skiff.api.resources.checks import ErrorList
from skiff.api.types import Obj

PARTITION = "must be between 1 and 255, inclusive"
UNIT = "must be between 0 and 255, inclusive"
_INITIATORS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9-.]+)(:[^,;*&$|\s]+)$", re.ASCII),
    "eui": re.compile(r"^eui.[0-9A-Za-z]{16}$", re.ASCII),
    "naa": re.compile(r"^naa.[0-9A-Za-z]{32}$", re.ASCII),
}


def require(source: Obj, path: str, errors: ErrorList, *fields: str) -> None:
    for name in fields:
        if not source.get(name):
            errors.required(f"{path}.{name}")


def _partition(source: Obj, path: str, errors: ErrorList) -> None:
    value = source.get("partition", 0)
    if not 0 <= value <= 255:
        errors.invalid(f"{path}.partition", value, PARTITION)


def check_gce(source: Obj, path: str, errors: ErrorList) -> None:
    path = f"{path.rpartition('.')[0]}.persistentDisk"
    require(source, path, errors, "pdName")
    _partition(source, path, errors)


def check_aws(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "volumeID")
    _partition(source, path, errors)


def check_iscsi(source: Obj, path: str, errors: ErrorList) -> None:
    _iscsi(source, path, errors, "must be valid format starting with iqn, eui, or naa")


def check_persistent_iscsi(source: Obj, path: str, errors: ErrorList) -> None:
    """The length of the volume's name is checked by the volume, which knows it."""
    _iscsi(source, path, errors, "must be valid format")
    secret = source.get("secretRef")
    if secret is not None:
        require(secret, f"{path}.secretRef", errors, "name")


def _iscsi(source: Obj, path: str, errors: ErrorList, unknown: str) -> None:
    require(source, path, errors, "targetPortal", "iqn")
    if source.get("iqn"):
        _initiator(source["iqn"], f"{path}.iqn", errors, unknown)
    if not 0 <= source.get("lun", 0) <= 255:
        errors.invalid(f"{path}.lun", source["lun"], UNIT)
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.required(f"{path}.secretRef")
    if source.get("initiatorName") is not None:
        _initiator(source["initiatorName"], f"{path}.initiatorname", errors, unknown)


def _initiator(value: str, path: str, errors: ErrorList, unknown: str) -> None:
    form = _INITIATORS.get(value[:3])
    if form is None:
        errors.invalid(path, value, unknown)
    elif not form.search(value):
        errors.invalid(path, value, "must be valid format")


def check_fc(source: Obj, path: str, errors: ErrorList) -> None:
    targets, ids, here = source.get("targetWWNs"), source.get("wwids"), f"{path}.targetWWNs"
    if not targets and not ids:
        errors.required(here, "must specify either targetWWNs or wwids, but not both")
    if targets and ids:
        errors.invalid(here, targets, "targetWWNs and wwids can not be specified simultaneously")
    if targets and source.get("lun") is None:
        errors.required(f"{path}.lun", "lun is required if targetWWNs is specified")
    elif targets and not 0 <= source["lun"] <= 255:
        errors.invalid(f"{path}.lun", source["lun"], UNIT)


def check_quobyte(source: Obj, path: str, errors: ErrorList) -> None:
    registry, pairs = source.get("registry", ""), "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errors.required(f"{path}.registry", pairs)
    elif len(source.get("tenant", "")) >= 65:
        errors.required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not _is_host_port(pair):
                errors.invalid(f"{path}.registry", registry, pairs)
    require(source, path, errors, "volume")


def _is_host_port(text: str) -> bool:
    host, colon, _ = text.rpartition(":")
    if host.startswith("["):
        return bool(colon) and host.endswith("]")
    return bool(colon) and ":" not in host and "[" not in host and "]" not in text


def check_glusterfs(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "endpoints", "path")


def check_persistent_glusterfs(source: Obj, path: str, errors: ErrorList) -> None:
    check_glusterfs(source, path, errors)
    namespace, here = source.get("endpointsNamespace"), f"{path}.endpointsNamespace"
    if namespace == "":
        errors.invalid(here, namespace, "if the endpointnamespace is set, it must be a valid namespace name")
    elif namespace is not None:
        errors.rule(here, namespace, names.is_dns1123_label(namespace))


def check_flocker(source: Obj, path: str, errors: ErrorList) -> None:
    name = source.get("datasetName", "")
    if not name and not source.get("datasetUUID"):
        errors.required(path, "one of datasetName and datasetUUID is required")
    if name and source.get("datasetUUID"):
        errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        errors.invalid(f"{path}.datasetName", name, "must not contain '/'")


def check_cinder(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "volumeID")
    if source.get("secretRef") is not None:
        require(source["secretRef"], f"{path}.secretRef", errors, "name")


def check_persistent_cinder(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "volumeID")
    if source.get("secretRef") is not None:
        require(source["secretRef"], f"{path}.secretRef", errors, "name", "namespace")


def check_flex(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "driver")
    for key in source.get("options") or ():
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            errors.invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def check_azure_file(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "secretName", "shareName")


def check_persistent_azure_file(source: Obj, path: str, errors: ErrorList) -> None:
    check_azure_file(source, path, errors)
    if source.get("secretNamespace") == "":
        errors.required(f"{path}.secretNamespace")


_MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def check_azure_disk(source: Obj, path: str, errors: ErrorList) -> None:
    require(source, path, errors, "diskName", "diskURI")
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI", "")
    if caching is not None:
        errors.one_of(f"{path}.cachingMode", caching, ("None", "ReadOnly", "ReadWrite"))
    if kind is not None:
        errors.one_of(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared"))
        if kind == "Managed" and not uri.startswith("/subscriptions/"):
            errors.append(not_supported(f"{path}.diskURI", uri, (_MANAGED,)))
        if kind != "Managed" and not uri.startswith("https://"):
            errors.append(not_supported(f"{path}.diskURI", uri, (_BLOB,)))


def check_storageos(source: Obj, path: str, errors: ErrorList) -> None:
    _storageos(source, path, errors, "name")


def check_persistent_storageos(source: Obj, path: str, errors: ErrorList) -> None:
    _storageos(source, path, errors, "name", "namespace")


def _storageos(source: Obj, path: str, errors: ErrorList, *of_secret: str) -> None:
    require(source, path, errors, "volumeName")
    for name in ("volumeName", "volumeNamespace"):
        if source.get(name):
            errors.rule(f"{path}.{name}", source[name], names.is_dns1123_label(source[name]))
    if source.get("secretRef") is not None:
        require(source["secretRef"], f"{path}.secretRef", errors, *of_secret)


def check_secret_reference(reference: Obj, path: str, errors: ErrorList) -> None:
    """Of a persistent CSI volume."""
    for field, rule in (("name", names.is_dns1123_subdomain), ("namespace", names.is_dns1123_label)):
        if reference.get(field):
            errors.rule(f"{path}.{field}", reference[field], rule(reference[field]))
        else:
            errors.required(f"{path}.{field}")
