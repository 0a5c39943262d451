"""Validation of networking.k8s.io/v1 and discovery.k8s.io/v1. Source: pkg/apis/{networking,discovery}/validation."""

import ipaddress
from typing import Any

from skiff.api import labels, names
from skiff.api.resources.checks import (
    ErrorList,
    check_cidr,
    check_domain_path,
    check_ip,
    check_label_selector,
    check_non_special_ip,
    check_port,
    parse_ip,
)
from skiff.api.resources.core.container_checks import PROTOCOLS
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
FORBIDDEN_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
FORBIDDEN_AT_END = ("/..", "/.")
MAX_ENDPOINTS, MAX_ADDRESSES, MAX_PORTS = 1000, 100, 20000
MAX_HINTS = 8


def check_network_policy(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    check_label_selector(spec.get("podSelector"), "spec.podSelector", errors)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(items(spec, direction)):
            path = f"spec.{direction}[{i}]"
            for j, port in enumerate(items(rule, "ports")):
                _check_policy_port(port, f"{path}.ports[{j}]", errors)
            for j, peer in enumerate(items(rule, peers)):
                _check_peer(peer, f"{path}.{peers}[{j}]", errors)
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        errors.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes")
        return
    for i, kind in enumerate(kinds):
        errors.one_of(f"spec.policyTypes[{i}]", kind, ("Ingress", "Egress"))


def _check_policy_port(port: Obj, path: str, errors: ErrorList) -> None:
    if port.get("protocol") is not None:
        errors.one_of(f"{path}.protocol", port["protocol"], ("TCP", "UDP", "SCTP"))
    number, end = port.get("port"), port.get("endPort")
    if number is not None:
        check_port(number, f"{path}.port", errors)
    if end is None:
        return
    if number is None:
        errors.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        errors.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
    else:
        if end < number:
            errors.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`")
        errors.rule(f"{path}.endPort", end, names.is_port_number(end))


def _check_peer(peer: Obj, path: str, errors: ErrorList) -> None:
    given = [p for p in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(p) is not None]
    for name in given:
        if name == "ipBlock":
            _check_ip_block(peer["ipBlock"], f"{path}.ipBlock", errors)
        else:
            check_label_selector(peer[name], f"{path}.{name}", errors)
    if not given:
        errors.required(path, "must specify a peer")
    elif "ipBlock" in given and len(given) > 1:
        errors.forbidden(path, "may not specify both ipBlock and another peer")


def _check_ip_block(block: Obj, path: str, errors: ErrorList) -> None:
    cidr = block.get("cidr", "")
    if not cidr:
        errors.required(f"{path}.cidr")
        return
    check_cidr(cidr, f"{path}.cidr", errors)
    network = _network(cidr)
    for i, text in enumerate(block.get("except") or ()):
        here = f"{path}.except[{i}]"
        check_cidr(text, here, errors)
        part = _network(text)
        if network is None or part is None:
            continue
        if not (part.version == network.version and part != network and part.subnet_of(network)):  # type: ignore[arg-type]
            errors.invalid(here, text, "must be a strict subset of `cidr`")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def check_ingress(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        errors.invalid("spec", spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        _check_backend(spec["defaultBackend"], "spec.defaultBackend", errors)
    for i, rule in enumerate(items(spec, "rules")):
        _check_ingress_rule(rule, f"spec.rules[{i}]", errors)
    for i, tls in enumerate(items(spec, "tls")):
        for j, host in enumerate(tls.get("hosts") or ()):
            _check_host(host, f"spec.tls[{i}].hosts[{j}]", errors)
        if tls.get("secretName"):
            errors.rule(f"spec.tls[{i}].secretName", tls["secretName"], names.is_dns1123_subdomain(tls["secretName"]))
    if spec.get("ingressClassName") is not None:
        name = spec["ingressClassName"]
        errors.rule("spec.ingressClassName", name, names.is_dns1123_subdomain(name))


def _check_host(host: str, path: str, errors: ErrorList) -> None:
    rule = names.is_wildcard_dns1123_subdomain if "*" in host else names.is_dns1123_subdomain
    errors.rule(path, host, rule(host))


def _check_ingress_rule(rule: Obj, path: str, errors: ErrorList) -> None:
    host = rule.get("host", "")
    if host:
        if parse_ip(host) is not None:
            errors.invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
        _check_host(host, f"{path}.host", errors)
    if rule.get("http") is None:
        return
    paths = rule["http"].get("paths") or []
    if not paths:
        errors.required(f"{path}.http.paths")
    for i, entry in enumerate(paths):
        _check_ingress_path(entry, f"{path}.http.paths[{i}]", errors)


def _check_ingress_path(entry: Obj, path: str, errors: ErrorList) -> None:
    kind, value = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        errors.required(f"{path}.pathType", "pathType must be specified")
        return
    errors.one_of(f"{path}.pathType", kind, PATH_TYPES)
    if kind in PATH_TYPES and not value.startswith("/") and (value or kind != "ImplementationSpecific"):
        errors.invalid(f"{path}.path", value, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for part in FORBIDDEN_IN_PATHS:
            if part in value:
                errors.invalid(f"{path}.path", value, f"must not contain '{part}'")
        for end in FORBIDDEN_AT_END:
            if value.endswith(end):
                errors.invalid(f"{path}.path", value, f"cannot end with '{end}'")
    _check_backend(entry.get("backend") or {}, f"{path}.backend", errors)


def _check_backend(backend: Obj, path: str, errors: ErrorList) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        _check_object(resource, f"{path}.resource", errors)
    elif service is None:
        errors.invalid(path, "", "resource or service backend is required")
    else:
        _check_service_backend(service, path, errors)


def _check_service_backend(service: Obj, path: str, errors: ErrorList) -> None:
    name = service.get("name", "")
    if not name:
        errors.required(f"{path}.service.name")
    else:
        errors.rule(f"{path}.service.name", name, names.is_dns1123_label(name))
    port_name, number = get(service, "port", "name") or "", get(service, "port", "number") or 0
    if port_name and number:
        errors.invalid(path, "", "cannot set both port name & port number")
    elif port_name:
        errors.rule(f"{path}.service.port.name", port_name, names.is_port_name(port_name))
    elif number:
        errors.rule(f"{path}.service.port.number", number, names.is_port_number(number))
    else:
        errors.required(path, "port name or number is required")


def check_ingress_class(obj: Obj, errors: ErrorList) -> None:
    controller = get(obj, "spec", "controller") or ""
    if len(controller.encode()) > 250:
        errors.too_long("spec.controller", 250)
    check_domain_path(controller, "spec.controller", errors)
    parameters, path = get(obj, "spec", "parameters"), "spec.parameters"
    if parameters is None:
        return
    _check_object(parameters, path, errors)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        errors.required(f"{path}.scope")
    elif scope not in ("Cluster", "Namespace"):
        errors.one_of(f"{path}.scope", scope, ("Cluster", "Namespace"))
    elif scope == "Cluster" and namespace is not None:
        errors.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
    elif scope == "Namespace" and namespace is None:
        errors.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        errors.rule(f"{path}.namespace", namespace, names.is_dns1123_label(namespace))


def _check_object(reference: Obj, path: str, errors: ErrorList) -> None:
    """What an object outside of the group is named by."""
    group = reference.get("apiGroup")
    if group is not None:
        errors.rule(f"{path}.apiGroup", group, names.is_dns1123_subdomain(group))
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if not value:
            errors.required(f"{path}.{field}")
        else:
            errors.rule(f"{path}.{field}", value, names.is_path_segment(value))


def check_ingress_class_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("spec.controller", get(new, "spec", "controller") or "", get(old, "spec", "controller") or "")


def check_endpoint_slice(obj: Obj, errors: ErrorList) -> None:
    kind = obj.get("addressType", "")
    if not kind:
        errors.required("addressType")
    else:
        errors.one_of("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    _check_slice_ports(obj.get("ports") or [], errors)
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > MAX_ENDPOINTS:
        errors.too_many("endpoints", len(endpoints), MAX_ENDPOINTS)
        return
    for i, endpoint in enumerate(endpoints):
        _check_endpoint(endpoint, kind, f"endpoints[{i}]", errors)


def _check_slice_ports(ports: list[Obj], errors: ErrorList) -> None:
    if len(ports) > MAX_PORTS:
        errors.too_many("ports", len(ports), MAX_PORTS)
        return
    seen: set[str] = set()
    for i, port in enumerate(ports):
        path, name = f"ports[{i}]", port.get("name") or ""
        if name:
            errors.rule(f"{path}.name", name, names.is_dns1123_label(name))
        if name in seen:
            errors.duplicate(f"{path}.name", name)
        seen.add(name)
        errors.one_of(f"{path}.protocol", port.get("protocol", ""), PROTOCOLS)
        if port.get("appProtocol") is not None:
            errors.rule(f"{path}.appProtocol", port["appProtocol"], labels.key_errors(port["appProtocol"]))


def _check_endpoint(endpoint: Obj, kind: str, path: str, errors: ErrorList) -> None:
    addresses: Any = endpoint.get("addresses") or []
    if not addresses:
        errors.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > MAX_ADDRESSES:
        errors.too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)
    for i, address in enumerate(addresses):
        here = f"{path}.addresses[{i}]"
        if kind == "FQDN":
            errors.rule(here, address, names.is_dns1123_subdomain(address.removesuffix(".")))
            continue
        ip = parse_ip(address)
        if ip is None:
            check_ip(address, here, errors)
            continue
        if f"IPv{ip.version}" != kind and kind in ("IPv4", "IPv6"):
            errors.invalid(f"{path}.addresses", address, f"must be an {kind} address")
        check_non_special_ip(address, here, errors)
    if endpoint.get("nodeName") is not None:
        errors.rule(f"{path}.nodeName", endpoint["nodeName"], names.is_dns1123_subdomain(endpoint["nodeName"]))
    if endpoint.get("hostname") is not None:
        errors.rule(f"{path}.hostname", endpoint["hostname"], names.is_dns1123_label(endpoint["hostname"]))
    if endpoint.get("hints"):
        _check_hints(endpoint["hints"], f"{path}.hints", errors)


def _check_hints(hints: Obj, path: str, errors: ErrorList) -> None:
    for field, rule in (("forZones", labels.value_errors), ("forNodes", names.is_dns1123_subdomain)):
        found = [hint.get("name", "") for hint in hints.get(field) or ()]
        if len(found) > MAX_HINTS:
            errors.too_many(f"{path}.{field}", len(found), MAX_HINTS)
            return
        for i, name in enumerate(found):
            here = f"{path}.{field}[{i}].name"
            if name in found[:i]:
                errors.duplicate(here, name)
            errors.rule(here, name, rule(name))


def check_endpoint_slice_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    errors.immutable("addressType", new.get("addressType", ""), old.get("addressType", ""))
