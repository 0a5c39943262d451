"""The APIService objects of what this server answers for itself. Pure.

Source: upstream kube-apiserver app/aggregator.go and kube-aggregator autoregister.
"""

from collections.abc import Iterable

from skiff.api.gvr import SERVICES
from skiff.api.types import GVR, Obj

__all__ = ["APISERVICES", "MANAGED", "SERVICES", "local_service", "same_spec"]

APISERVICES = GVR("apiregistration.k8s.io", "v1", "apiservices", "APIService", False)
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"

_GROUPS = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
_VERSIONS = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21}
_VERSIONS |= {("resource.k8s.io", "v1"): 21}


def local_service(group: str, version: str, builtin: bool) -> Obj:
    """builtin: made at the start and then left alone; otherwise (custom resources) made and deleted with its version."""
    if builtin:
        priority, order = _GROUPS.get(group, 15000), _VERSIONS.get((group, version), 15 if version == "v1" else 9)
    else:
        priority, order = 1000, 100
    return {
        "apiVersion": APISERVICES.api_version,
        "kind": APISERVICES.kind,
        "metadata": {"name": f"{version}.{group}", "labels": {MANAGED: ON_START if builtin else ALWAYS}},
        "spec": {
            **({"group": group} if group else {}),
            "version": version,
            "groupPriorityMinimum": priority,
            "versionPriority": order,
        },
    }


def same_spec(wanted: Obj, found: Obj) -> bool:
    return all(found["spec"].get(k) == v for k, v in wanted["spec"].items()) and not found["spec"].get("service")


def available(conditions: Iterable[Obj]) -> bool:
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)
