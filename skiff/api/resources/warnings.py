"""Sentences for Warning headers that several kinds share, and those of kinds with few.

A record's `warn(new, old)` is called when an object has passed validation; old is None on create.
Source: the strategies' WarningsOnCreate and WarningsOnUpdate, apimachinery pkg/util/validation/ip.go.
"""

import ipaddress
from collections.abc import Callable, Iterator

from skiff.api import names, quantity
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

Warn = Callable[[Obj, Obj | None], list[str]]


def ip_warnings(value: str, path: str) -> Iterator[str]:
    """About an address that validation lets through but that is not written as it should be."""
    ip = _lenient_ip(value)
    if ip is None:
        return
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        yield f'{path}: non-standard IP address "{value}" is invalid: use "{ip.ipv4_mapped}"'
    elif ip.version == 4 and str(ip) != value:
        yield f'{path}: non-standard IP address "{value}" is invalid: use "{ip}"'
    elif str(ip) != value:
        yield f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{ip}")'


def cidr_warnings(value: str, path: str) -> Iterator[str]:
    address, _, length = value.partition("/")
    ip = _lenient_ip(address)
    if ip is None or not length.isdigit():
        return
    plain = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped else ip
    bits = int(length) - (96 if plain is not ip else 0)
    try:
        network = ipaddress.ip_network(f"{plain}/{bits}", strict=False)
    except ValueError:
        return
    odd = plain is not ip or (ip.version == 4 and str(ip) != address) or str(int(length)) != length
    ambiguous = network.network_address != plain
    if ambiguous:
        single = f"{plain}/{plain.max_prefixlen}"
        yield f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{network}" or "{single}"?)'
    if odd:
        yield f'{path}: non-standard CIDR value "{value}" is invalid: use "{network}"'
    if not ambiguous and not odd and str(network) != value:
        yield f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'


def _lenient_ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """With the leading zeros that old fields may have."""
    if "." in value and ":" not in value:
        value = ".".join(str(int(p)) if p.isdigit() else p for p in value.split("."))
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def pod_name_warnings(obj: Obj) -> Iterator[str]:
    """A workload whose name is no DNS label: its pods' names will not be one either."""
    found = names.is_dns1123_label(get(obj, "metadata", "name") or "")
    if found:
        why = "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended"
        yield f"metadata.name: {why}: [{' '.join(found)}]"


def changed(new: Obj, old: Obj | None) -> bool:
    """Created, or a new generation."""
    return old is None or get(new, "metadata", "generation") != get(old, "metadata", "generation")


def annotation_warnings(obj: Obj, deprecated: dict[str, str]) -> Iterator[str]:
    for key in get(obj, "metadata", "annotations") or ():
        if key in deprecated:
            yield f"metadata.annotations[{key}]: {deprecated[key]}"


def quota_warnings(obj: Obj, old: Obj | None) -> list[str]:
    found: list[str] = []
    hard = get(obj, "spec", "hard") or {}
    for name in ("cpu", "memory", "storage", "ephemeral-storage") if old is None else ():
        request, limit = f"requests.{name}", f"limits.{name}"
        if request not in hard and name in ("cpu", "memory"):
            request = name
        if request in hard and limit in hard and quantity.parse(hard[request]) > quantity.parse(hard[limit]):
            found.append(f"ResourceQuota {request} ({hard[request]}) should be less than {limit} ({hard[limit]})")
    return found


def ingress_warnings(obj: Obj, old: Obj | None) -> list[str]:
    key = "kubernetes.io/ingress.class"
    if (
        old is None
        and key in (get(obj, "metadata", "annotations") or {})
        and get(obj, "spec", "ingressClassName") is None
    ):
        return [f"annotation \"{key}\" is deprecated, please use 'spec.ingressClassName' instead"]
    return []


def network_policy_warnings(obj: Obj, old: Obj | None) -> list[str]:
    found: list[str] = []
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(items(obj, "spec", direction)):
            for j, peer in enumerate(items(rule, peers)):
                block, here = peer.get("ipBlock") or {}, f"spec.{direction}[{i}].{peers}[{j}].ipBlock"
                found += cidr_warnings(block.get("cidr", ""), f"{here}.cidr")
                for k, value in enumerate(block.get("except") or ()):
                    found += cidr_warnings(value, f"{here}.except[{k}]")
    return found


def endpoint_slice_warnings(obj: Obj, old: Obj | None) -> list[str]:
    found: list[str] = []
    if old is None and obj.get("addressType") == "FQDN":
        found.append("spec.addressType: FQDN endpoints are deprecated")
    manager = (get(obj, "metadata", "labels") or {}).get("endpointslice.kubernetes.io/managed-by", "")
    if manager not in ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"):
        for i, endpoint in enumerate(items(obj, "endpoints")):
            for j, address in enumerate(endpoint.get("addresses") or ()):
                found += ip_warnings(address, f"endpoints[{i}].addresses[{j}]")
    return found


def csi_driver_warnings(obj: Obj, old: Obj | None) -> list[str]:
    tokens = get(obj, "spec", "tokenRequests") or []
    before = get(old, "spec", "tokenRequests") or []
    if tokens and tokens != before and get(obj, "spec", "serviceAccountTokenInSecrets") is None:
        advice = "set to true to prevent possible logging of tokens in volume attributes"
        return [f"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, {advice}"]
    return []


def static_name_warnings(obj: Obj, old: Obj | None) -> list[str]:
    """Admission configuration whose name looks as if it came from a file."""
    if not (get(obj, "metadata", "name") or "").endswith(".static.k8s.io"):
        return []
    why = 'names ending with ".static.k8s.io" are reserved for static manifest-based configurations'
    return [f"metadata.name: {why} and cannot be managed via the API"]


def resource_slice_warnings(obj: Obj, old: Obj | None) -> list[str]:
    driver = get(obj, "spec", "driver") or ""
    if driver == driver.lower():
        return []
    return [f'spec.driver: driver names should be lowercase; "{driver}" contains uppercase characters']
