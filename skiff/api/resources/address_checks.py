"""Validation of ServiceCIDR and IPAddress. Source: pkg/apis/networking/validation, apimachinery pkg/util/validation/ip.go."""

import ipaddress

from skiff.api import names
from skiff.api.resources.checks import ErrorList, check_cidr, check_ip, parse_ip
from skiff.api.resources.fields import get
from skiff.api.types import Obj

ONE_PER_FAMILY = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"


def ip_name(name: str) -> list[str]:
    """A name rule: an address in its canonical form."""
    ip = parse_ip(name)
    if ip is None:
        errors = ErrorList()
        check_ip(name, "", errors)
        return [error.detail for error in errors]
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return [] if name == str(ip) else [f'must be in canonical form ("{ip}")']


def check_ip_address(obj: Obj, errors: ErrorList) -> None:
    path, parent = "spec.parentRef", get(obj, "spec", "parentRef")
    if parent is None:
        errors.required(path)
        return
    if parent.get("group"):
        errors.rule(f"{path}.group", parent["group"], names.is_dns1123_subdomain(parent["group"]))
    for field in ("resource", "name", "namespace"):
        value = parent.get(field) or ""
        if value:
            errors.rule(f"{path}.{field}", value, names.is_path_segment(value))
        elif field != "namespace":
            errors.required(f"{path}.{field}")


def check_ip_address_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    after, before = (get(o, "spec", "parentRef") for o in (new, old))
    errors.immutable("spec.parentRef", _shown_parent(after), _shown_parent(before))


def _shown_parent(parent: Obj | None) -> Obj | None:
    if parent is None:
        return None
    return {f.title(): parent.get(f, "") for f in ("group", "resource", "namespace", "name")}


def check_service_cidr(obj: Obj, errors: ErrorList) -> None:
    path, cidrs = "spec.cidrs", get(obj, "spec", "cidrs") or []
    if not cidrs:
        errors.required(path, "at least one CIDR required")
        return
    if len(cidrs) > 2:
        errors.invalid(path, {"CIDRs": cidrs}, "may only hold up to 2 values")
        return
    for i, cidr in enumerate(cidrs):
        _check_strict_cidr(cidr, f"{path}[{i}]", errors)
    if not errors and len({ipaddress.ip_network(c).version for c in cidrs}) < len(cidrs):
        errors.invalid(path, cidrs, ONE_PER_FAMILY)


def _check_strict_cidr(cidr: str, path: str, errors: ErrorList) -> None:
    before = len(errors)
    check_cidr(cidr, path, errors)
    if len(errors) > before:
        return
    address, _, _ = cidr.partition("/")
    network = ipaddress.ip_network(cidr, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        errors.invalid(path, cidr, "must not have an IPv4-mapped IPv6 address")
    elif ipaddress.ip_address(address) != network.network_address:
        errors.invalid(path, cidr, "must not have bits set beyond the prefix length")
    elif cidr != str(network):
        errors.invalid(path, cidr, f'must be in canonical form ("{network}")')


def check_service_cidr_update(new: Obj, old: Obj, errors: ErrorList) -> None:
    """Ranges stay; a second family may join the first."""
    path = "spec.cidrs"
    cidrs, before = get(new, "spec", "cidrs") or [], get(old, "spec", "cidrs") or []
    joins = (len(before), len(cidrs)) == (1, 2)
    if len(cidrs) == len(before) or joins:
        for i, cidr in enumerate(before):
            errors.immutable(f"{path}[{i}]", cidrs[i], cidr)
        if joins:
            check_service_cidr(new, errors)
    else:
        errors.immutable(path, cidrs or None, before)
