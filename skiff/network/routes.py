"""Routes to the pods of the other nodes: each node's podCIDR goes to its InternalIP. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from skiff.api.types import Obj


def pod_cidr(node: Obj) -> str:
    """The node's IPv4 podCIDR; "" while it has none."""
    spec = node.get("spec", {})
    cidrs = spec.get("podCIDRs") or [spec.get("podCIDR")]
    return next((c for c in cidrs if c and ":" not in c), "")


def internal_ip(node: Obj) -> str:
    """The node's first IPv4 InternalIP; "" if it has none yet."""
    addresses = node.get("status", {}).get("addresses") or []
    return next((a["address"] for a in addresses if a["type"] == "InternalIP" and ":" not in a["address"]), "")


def wanted(nodes: Iterable[Obj], own_name: str) -> dict[str, str]:
    """podCIDR → gateway, for every node but ours. What is no network or no address is left out: it comes from a kubelet
    that may be anybody's."""
    routes = {}
    for node in nodes:
        cidr, gateway = pod_cidr(node), internal_ip(node)
        if node["metadata"]["name"] != own_name and _is_network(cidr) and _is_address(gateway):
            routes[cidr] = gateway
    return routes


def changes(have: Iterable[Mapping[str, Any]], want: Mapping[str, str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Destinations to delete, and (destination, gateway) to set. have: routes as `ip -json route show` gives them."""
    present = {route["dst"]: route.get("gateway", "") for route in have}
    gone = sorted(dst for dst in present if dst not in want)
    new = sorted((dst, gateway) for dst, gateway in want.items() if present.get(dst) != gateway)
    return gone, new


def _is_network(text: str) -> bool:
    try:
        return ipaddress.IPv4Network(text).prefixlen >= 8
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.IPv4Address(text).is_loopback
    except ValueError:
        return False
