"""What follows from what on a Service that is written: the two spellings of the cluster IP, values allocated earlier,
fields that a change of type makes meaningless. Source: pkg/registry/core/service/{strategy,storage/storage}.go.
Addresses and ports themselves are allocated by the API server.
"""

from skiff.api.resources.core.service_defaults import externally_accessible
from skiff.api.resources.fields import child, get, items
from skiff.api.types import Obj


def prepare_service(new: Obj, old: Obj | None) -> None:
    spec = child(new, "spec")
    if old is None:
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        new["status"] = {"loadBalancer": {}}
        return
    before = old.get("spec") or {}
    _normalize_cluster_ips(spec, before)
    _keep_allocated(spec, before)
    _drop_meaningless(spec, before)
    if spec.get("type") != "LoadBalancer" and get(new, "status", "loadBalancer"):
        new["status"] = {**new["status"], "loadBalancer": {}}


def _normalize_cluster_ips(spec: Obj, before: Obj) -> None:
    """Clients that know only clusterIP mean clusterIPs too."""
    same_plural = spec.get("clusterIPs") == before.get("clusterIPs")
    if spec.get("clusterIP") == before.get("clusterIP"):
        if before.get("clusterIPs") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = list(before["clusterIPs"])
    elif same_plural:
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        else:
            spec.pop("clusterIPs", None)


def _keep_allocated(spec: Obj, before: Obj) -> None:
    """The same manifest sent again must not lose what was allocated for it."""
    if needs_cluster_ip(spec) and needs_cluster_ip(before):
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and before.get("clusterIPs"):
            spec["clusterIPs"] = list(before["clusterIPs"])
    if needs_node_port(spec) and needs_node_port(before):
        taken = node_ports(spec) & node_ports(before)
        known = {port.get("name", ""): port.get("nodePort") for port in items(before, "ports")}
        for port in items(spec, "ports"):
            remembered = known.get(port.get("name", ""))
            if not port.get("nodePort") and remembered and remembered not in taken:
                port["nodePort"] = remembered
    if needs_health_check_port(spec) and needs_health_check_port(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)


def _drop_meaningless(spec: Obj, before: Obj) -> None:
    """Fields that only the old type used and that the client did not touch."""

    def unchanged(name: str) -> bool:
        return bool(spec.get(name) == before.get(name))

    if needs_cluster_ip(before) and not needs_cluster_ip(spec):
        if unchanged("clusterIP") and unchanged("clusterIPs"):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        _drop_unchanged(spec, before, "ipFamilies", "ipFamilyPolicy")
    had_ports = before.get("type") in ("NodePort", "LoadBalancer")
    if had_ports and spec.get("type") not in ("NodePort", "LoadBalancer") and node_ports(spec) <= node_ports(before):
        for port in items(spec, "ports"):
            port.pop("nodePort", None)
    if needs_health_check_port(before) and not needs_health_check_port(spec):
        _drop_unchanged(spec, before, "healthCheckNodePort")
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_unchanged(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if externally_accessible(before) and not externally_accessible(spec):
        _drop_unchanged(spec, before, "externalTrafficPolicy")


def _drop_unchanged(spec: Obj, before: Obj, *names: str) -> None:
    for name in names:
        if spec.get(name) == before.get(name):
            spec.pop(name, None)


def needs_cluster_ip(spec: Obj) -> bool:
    return bool(spec.get("type") != "ExternalName")


def needs_node_port(spec: Obj) -> bool:
    """Whether node ports are allocated for every port."""
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return bool(spec.get("type") == "NodePort")


def needs_health_check_port(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def node_ports(spec: Obj) -> set[int]:
    return {port["nodePort"] for port in items(spec, "ports") if port.get("nodePort")}
