"""Defaults of Service. Source: pkg/apis/core/v1/defaults.go. Cluster IPs and node ports come from the API server."""

from skiff.api.resources.fields import child, get, items
from skiff.api.types import Obj

CLIENT_IP_TIMEOUT_SECONDS = 10800


def default_service(obj: Obj) -> None:
    spec = child(obj, "spec")
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    _default_affinity(spec)
    for port in items(spec, "ports"):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    balancer = child(child(obj, "status"), "loadBalancer")
    if spec["type"] == "LoadBalancer":
        for ingress in items(balancer, "ingress"):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def externally_accessible(spec: Obj) -> bool:
    """Whether clients outside the cluster can reach the service."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _default_affinity(spec: Obj) -> None:
    affinity = spec.get("sessionAffinity")
    if not affinity or affinity == "None":
        spec["sessionAffinity"] = "None"
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP" and get(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds") is None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_TIMEOUT_SECONDS}}
