"""Validation of Service. Source: pkg/apis/core/validation/validation.go (ValidateService…)."""

from typing import Any

from skiff.api import labels, names
from skiff.api.resources.checks import (
    ErrorList,
    check_cidr,
    check_ip,
    check_labels,
    check_non_special_ip,
    check_port,
    parse_ip,
)
from skiff.api.resources.core.container_checks import PROTOCOLS
from skiff.api.resources.core.service_defaults import externally_accessible
from skiff.api.resources.core.service_prepare import needs_health_check_port
from skiff.api.resources.fields import get
from skiff.api.types import Obj

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
MAX_AFFINITY_SECONDS = 86400
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


def check_service(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    kind, headless = spec.get("type", ""), is_headless(spec)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        errors.required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        errors.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        _check_external_name(spec, errors)
    _check_ports(spec, errors)
    check_labels(spec.get("selector"), "spec.selector", errors)
    _check_affinity(spec, errors)
    if kind != "ExternalName":
        check_cluster_ips(spec, errors)
    for i, ip in enumerate(spec.get("externalIPs") or ()):
        if parse_ip(ip) is None:
            check_ip(ip, f"spec.externalIPs[{i}]", errors)
        else:
            check_non_special_ip(ip, f"spec.externalIPs[{i}]", errors)
    if not kind:
        errors.required("spec.type")
    else:
        errors.one_of("spec.type", kind, TYPES)
    _check_load_balancer(spec, errors)
    _check_traffic(spec, errors)


def is_headless(spec: Obj) -> bool:
    return spec.get("clusterIPs") == ["None"] or (not spec.get("clusterIPs") and spec.get("clusterIP") == "None")


def _check_external_name(spec: Obj, errors: ErrorList) -> None:
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            errors.forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        errors.required("spec.externalName")
    else:
        errors.rule("spec.externalName", name, names.is_dns1123_subdomain(name))


def _check_ports(spec: Obj, errors: ErrorList) -> None:
    ports = spec.get("ports") or []
    seen_names: set[str] = set()
    for i, port in enumerate(ports):
        _check_port(port, f"spec.ports[{i}]", len(ports) > 1, seen_names, errors)
    seen_node: set[Any] = set()
    seen: set[Any] = set()
    for i, port in enumerate(ports):
        path, node, protocol = f"spec.ports[{i}]", port.get("nodePort", 0), port.get("protocol", "")
        if node and spec.get("type") == "ClusterIP":
            errors.forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'")
        if node and (protocol, node) in seen_node:
            errors.duplicate(f"{path}.nodePort", node)
        seen_node.add((protocol, node))
        if (protocol, port.get("port")) in seen:
            zero = {"Name": "", "Protocol": protocol, "AppProtocol": None, "Port": port.get("port", 0)}
            errors.duplicate(path, zero | {"TargetPort": 0, "NodePort": 0})
        seen.add((protocol, port.get("port")))


def _check_port(port: Obj, path: str, needs_name: bool, seen: set[str], errors: ErrorList) -> None:
    name = port.get("name", "")
    if needs_name and not name:
        errors.required(f"{path}.name")
    elif name:
        errors.rule(f"{path}.name", name, names.is_dns1123_label(name))
        if name in seen:
            errors.duplicate(f"{path}.name", name)
        seen.add(name)
    errors.rule(f"{path}.port", port.get("port", 0), names.is_port_number(port.get("port", 0)))
    if not port.get("protocol"):
        errors.required(f"{path}.protocol")
    else:
        errors.one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
    check_port(port.get("targetPort", 0), f"{path}.targetPort", errors)
    if port.get("appProtocol") is not None:
        errors.rule(f"{path}.appProtocol", port["appProtocol"], labels.key_errors(port["appProtocol"]))


def _check_affinity(spec: Obj, errors: ErrorList) -> None:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if not affinity:
        errors.required("spec.sessionAffinity")
    else:
        errors.one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity == "None" and config is not None:
        errors.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")
    if affinity == "ClientIP":
        path, seconds = "spec.sessionAffinityConfig", get(config, "clientIP", "timeoutSeconds")
        if seconds is None:
            errors.required(path, "when session affinity type is ClientIP")
        elif not 0 < seconds <= MAX_AFFINITY_SECONDS:
            why = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
            errors.invalid(f"{path}.clientIP.timeoutSeconds", seconds, why)


def check_cluster_ips(spec: Obj, errors: ErrorList) -> None:
    """Also what an allocation starts from, so it is checked before one too."""
    path, first, ips = "spec.clusterIPs", spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if first and not ips:
        errors.required(path)
    elif first and ips[0] != first:
        errors.invalid(path, ips, "first value must match `clusterIP`")
    elif not first and ips:
        errors.invalid(path, ips, "must be empty when `clusterIP` is not specified")
    families = spec.get("ipFamilies") or []
    for i, family in enumerate(families):
        errors.one_of(f"spec.ipFamilies[{i}]", family, ("IPv4", "IPv6"))
        if family in families[:i]:
            errors.duplicate(f"spec.ipFamilies[{i}]", family)
    if spec.get("ipFamilyPolicy") is not None:
        allowed = ("PreferDualStack", "RequireDualStack", "SingleStack")
        errors.one_of("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], allowed)
    found = ErrorList()
    for i, ip in enumerate(ips):
        if i == 0 and ip == "None":
            if len(ips) > 1:
                found.invalid(path, ips, "'None' must be the first and only value")
            continue
        check_ip(ip, f"{path}[{i}]", found)
    errors.extend(found)
    if len(ips) > 2:
        errors.invalid(path, ips, "may only hold up to 2 values")
    if not found:
        _check_families(ips, families, path, errors)


def _check_families(ips: list[str], families: list[str], path: str, errors: ErrorList) -> None:
    if len(ips) > 1 and len({":" in ip for ip in ips}) != 2:
        errors.invalid(path, ips, "may specify no more than one IP for each IP family")
    if ips == ["None"]:
        return
    for i, (ip, family) in enumerate(zip(ips, families, strict=False)):
        if (family == "IPv6") != (":" in ip):
            errors.invalid(f"{path}[{i}]", ip, f"expected an {family} value as indicated by `ipFamilies[{i}]`")


def _check_load_balancer(spec: Obj, errors: ErrorList) -> None:
    balanced, only = spec.get("type") == "LoadBalancer", "may only be used when `type` is 'LoadBalancer'"
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and not balanced:
        errors.forbidden("spec.LoadBalancerSourceRanges", only)
    for i, cidr in enumerate(ranges):
        check_cidr(cidr.strip(), f"spec.LoadBalancerSourceRanges[{i}]", errors)
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balanced:
        errors.forbidden("spec.allocateLoadBalancerNodePorts", only)
    name = spec.get("loadBalancerClass")
    if name is not None:
        if balanced:
            errors.rule("spec.loadBalancerClass", name, labels.key_errors(name))
        else:
            errors.forbidden("spec.loadBalancerClass", only)


def _check_traffic(spec: Obj, errors: ErrorList) -> None:
    policy, path = spec.get("externalTrafficPolicy", ""), "spec.externalTrafficPolicy"
    if not externally_accessible(spec):
        if policy:
            errors.invalid(path, policy, "may only be set for externally-accessible services")
    elif not policy:
        errors.required(path)
    else:
        errors.one_of(path, policy, ("Cluster", "Local"))
    port, path = spec.get("healthCheckNodePort", 0), "spec.healthCheckNodePort"
    if port and not needs_health_check_port(spec):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.invalid(path, port, why)
    elif port:
        errors.rule(path, port, names.is_port_number(port))
    if spec.get("internalTrafficPolicy") is not None:
        errors.one_of("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], ("Cluster", "Local"))
    if spec.get("trafficDistribution") is not None:
        errors.one_of("spec.trafficDistribution", spec["trafficDistribution"], DISTRIBUTIONS)


def check_service_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """The primary address stays; a second one may come and go."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" not in (spec.get("type"), before.get("type")) and not (is_headless(spec) and is_headless(before)):
        _check_addresses_kept(spec, before, errors)
    balanced = spec.get("type") == before.get("type") == "LoadBalancer"
    if balanced and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        errors.invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set")
    checked = needs_health_check_port(spec) and needs_health_check_port(before)
    if checked and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        errors.forbidden("spec.healthCheckNodePort", "field is immutable")


def _check_addresses_kept(spec: Obj, before: Obj, errors: ErrorList) -> None:
    ips, stored = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if len(ips) < len(stored) and not ips:
        errors.invalid("spec.clusterIPs[0]", ips, "primary clusterIP can not be unset")
    count = len(stored) if len(ips) == len(stored) else min(1, len(ips))
    for i, ip in enumerate(stored[:count]):
        if ips[i] != ip:
            errors.invalid(f"spec.clusterIPs[{i}]", ips, "may not change once set")
    if len(stored) > len(ips) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), why)
