"""Defaults of the core kinds other than pods and services. Source: pkg/apis/core/v1/defaults.go."""

from base64 import b64encode

from skiff.api.resources.core.pod_defaults import default_template, default_volume, round_resource_list
from skiff.api.resources.fields import child, each, empty_status, get, items, nil, rules, struct, zero
from skiff.api.types import Obj


def default_namespace(obj: Obj) -> None:
    """The label that carries the namespace's own name, and the phase."""
    metadata = child(obj, "metadata")
    if metadata.get("name"):
        child(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]
    child(obj, "spec")
    zero(phase="Active")(child(obj, "status"))


def default_node(obj: Obj) -> None:
    """Allocatable is the capacity until the node says otherwise; podCIDR and podCIDRs say the same."""
    spec = child(obj, "spec")
    status = child(obj, "status")
    if spec.get("podCIDR") and spec["podCIDR"] not in (spec.get("podCIDRs") or ())[:1]:
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    if status.get("capacity"):
        round_resource_list(status["capacity"])
        status.setdefault("allocatable", dict(status["capacity"]))
    child(child(status, "daemonEndpoints"), "kubeletEndpoint").setdefault("Port", 0)
    info = child(status, "nodeInfo")
    for name in _NODE_INFO:
        info.setdefault(name, "")


_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def default_secret(obj: Obj) -> None:
    """Opaque unless said otherwise; stringData is written into data and never kept."""
    zero(type="Opaque")(obj)
    plain = obj.pop("stringData", None)
    if plain:
        data = child(obj, "data")
        for key, value in plain.items():
            data[key] = b64encode(value.encode()).decode()


default_endpoints = each("subsets", each("ports", zero(protocol="TCP")))


def default_persistent_volume(obj: Obj) -> None:
    spec = child(obj, "spec")
    zero(phase="Pending")(child(obj, "status"))
    zero(persistentVolumeReclaimPolicy="Retain")(spec)
    nil(volumeMode="Filesystem")(spec)
    for name in ("hostPath", "iscsi", "rbd", "azureDisk", "scaleIO"):
        if spec.get(name) is not None:
            default_volume({name: spec[name]})
    if spec.get("capacity"):
        round_resource_list(spec["capacity"])


def default_claim_spec(spec: Obj) -> None:
    nil(volumeMode="Filesystem")(spec)
    resources = child(spec, "resources")
    for name in ("limits", "requests"):
        if resources.get(name):
            round_resource_list(resources[name])


default_persistent_volume_claim = rules(struct("status", zero(phase="Pending")), struct("spec", default_claim_spec))


def default_replication_controller(obj: Obj) -> None:
    """Selector and labels come from the template when they are not set."""
    spec = child(obj, "spec")
    labels = get(spec, "template", "metadata", "labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not get(obj, "metadata", "labels"):
            child(obj, "metadata")["labels"] = dict(labels)
    nil(replicas=1)(spec)
    if spec.get("template") is not None:
        default_template(spec["template"])
    empty_status("replicas")(obj)


def default_limit_range(obj: Obj) -> None:
    """Container limits: default from max, default request from default and then from min."""
    for item in items(obj, "spec", "limits"):
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            if item.get(name):
                round_resource_list(item[name])
        if item.get("type") != "Container":
            continue
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests


default_resource_quota = rules(struct("spec"), struct("status"))

default_pod_template = struct("template", default_template)
