"""Defaults of pods and pod templates. Written out by hand rather than with rules: every pod write passes here.

Source: pkg/apis/core/v1/defaults.go and the generated zz_generated.defaults.go beside it.
"""

import re
from typing import Any

from skiff.api import quantity
from skiff.api.resources.core.pod_resources import default_pod_level_resources
from skiff.api.resources.fields import child, items
from skiff.api.types import Obj

CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/@+A-Z_-]*")
_VOLUME_SOURCE_DEFAULTS: dict[str, dict[str, Any]] = {
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_EMPTY_IS_UNSET = ("iscsi", "rbd", "scaleIO")
"""Their fields are texts by value upstream, the others' are pointers."""


def default_pod(pod: Obj) -> None:
    """A Pod: the template's defaults and those that only a pod gets."""
    spec = child(pod, "spec")
    default_pod_spec(spec)
    for field in ("containers", "initContainers"):
        for container in items(spec, field):
            _requests_from_limits(container)
    default_pod_level_resources(spec)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for field in ("containers", "initContainers"):
            for container in items(spec, field):
                for port in items(container, "ports"):
                    if not port.get("hostPort") and port.get("containerPort"):
                        port["hostPort"] = port["containerPort"]
    for condition in items(child(pod, "status"), "conditions"):
        condition.setdefault("lastProbeTime", None)  # a time by value upstream: its absence is written out


def default_template(template: Obj) -> None:
    """A pod template (of a workload, or the `template` of a PodTemplate)."""
    child(template, "metadata")
    default_pod_spec(child(template, "spec"))


def default_pod_spec(spec: Obj) -> None:
    """What pods and templates share."""
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    _mirror_service_account(spec)
    for volume in items(spec, "volumes"):
        default_volume(volume)
    for field in CONTAINER_FIELDS:
        for container in items(spec, field):
            default_container(container)
    if spec.get("overhead"):
        round_resource_list(spec["overhead"])


def _mirror_service_account(spec: Obj) -> None:
    """`serviceAccount` is the old name of `serviceAccountName`; the new one wins."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def default_container(container: Obj) -> None:
    """A container of any sort."""
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    resources = child(container, "resources")
    for name in ("limits", "requests"):
        if name in resources:
            round_resource_list(resources[name])
    for port in items(container, "ports"):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in items(container, "env"):
        source = variable.get("valueFrom")
        if source:
            _default_environment_source(source)
    for name in PROBES:
        if container.get(name):
            default_probe(container[name])
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _default_http_get(handler)


def _default_environment_source(source: Obj) -> None:
    field, resource, file = (source.get(name) for name in ("fieldRef", "resourceFieldRef", "fileKeyRef"))
    if field is not None and not field.get("apiVersion"):
        field["apiVersion"] = "v1"
    if resource is not None:
        resource.setdefault("divisor", "0")
    if file is not None and file.get("optional") is None:
        file["optional"] = False


def default_probe(probe: Obj) -> None:
    if not probe.get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    if not probe.get("periodSeconds"):
        probe["periodSeconds"] = 10
    if not probe.get("successThreshold"):
        probe["successThreshold"] = 1
    if not probe.get("failureThreshold"):
        probe["failureThreshold"] = 3
    _default_http_get(probe)
    if probe.get("grpc") is not None and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _default_http_get(handler: Obj) -> None:
    get = handler.get("httpGet")
    if get is not None:
        if not get.get("path"):
            get["path"] = "/"
        if not get.get("scheme"):
            get["scheme"] = "HTTP"


def default_volume(volume: Obj) -> None:
    """A volume without a source is an emptyDir."""
    sources = [name for name in volume if name != "name"]
    if not sources:
        volume["emptyDir"] = {}
        return
    for name in sources:
        source = volume[name]
        if not isinstance(source, dict):
            continue
        for field, value in _VOLUME_SOURCE_DEFAULTS.get(name, {}).items():
            if source.get(field) is None or (name in _EMPTY_IS_UNSET and not source[field]):
                source[field] = value
        if name == "projected":
            for projection in items(source, "sources"):
                _default_projection(projection)
        elif name == "downwardAPI":
            _default_downward_items(source)
        elif name == "ephemeral" and source.get("volumeClaimTemplate") is not None:
            child(child(source, "volumeClaimTemplate"), "spec").setdefault("volumeMode", "Filesystem")
        elif name == "image" and not source.get("pullPolicy"):
            source["pullPolicy"] = pull_policy(source.get("reference", ""))


def _default_projection(projection: Obj) -> None:
    if projection.get("downwardAPI"):
        _default_downward_items(projection["downwardAPI"])
    token = projection.get("serviceAccountToken")
    if token is not None and token.get("expirationSeconds") is None:
        token["expirationSeconds"] = 3600


def _default_downward_items(source: Obj) -> None:
    for item in items(source, "items"):
        _default_environment_source(item)


def _requests_from_limits(container: Obj) -> None:
    resources = child(container, "resources")
    limits = resources.get("limits")
    if limits:
        requests = child(resources, "requests")
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def pull_policy(image: str) -> str:
    """Always for the tag `latest`, said or implied; IfNotPresent for any other, a digest, or an unreadable reference."""
    name, at, _ = image.partition("@")
    last = name.rpartition("/")[2]
    tag = last.partition(":")[2] or ("" if at else "latest")
    readable = bool(_REFERENCE.fullmatch(image)) and not any(c.isupper() for c in last.partition(":")[0])
    return "Always" if readable and tag == "latest" else "IfNotPresent"


def round_resource_list(amounts: Obj) -> None:
    """Amounts finer than a thousandth are rounded up to it."""
    for name, amount in amounts.items():
        if isinstance(amount, str) and amount[-1:] in ("n", "u"):
            amounts[name] = str(quantity.from_milli(quantity.milli(amount)))
