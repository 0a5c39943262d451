"""What the proxy keeps of Services and EndpointSlices: small records, checked, per address family. Pure.

The text of rules is made of these records, so nothing gets in that is not a valid name, address, port or protocol.
Source: upstream pkg/proxy/servicechangetracker.go, serviceport.go, endpointslicecache.go.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from skiff.api.types import Obj

PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}
SERVICE_NAME = "kubernetes.io/service-name"
OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
AFFINITY_SECONDS = 10800

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PORT_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|")

ServiceKey = tuple[str, str]
"""(namespace, name)"""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service in one family. affinity_seconds 0: none. virtual_ips: of the load balancer."""

    namespace: str
    name: str
    port_name: str
    protocol: str
    port: int
    cluster_ip: str
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    virtual_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False

    @property
    def id(self) -> str:
        """Names the port's chains and sets: unique, and fit for nftables' language."""
        return f"{self.namespace}/{self.name}/{self.protocol}/{self.port_name or self.port}"

    @property
    def external(self) -> bool:
        return bool(self.node_port or self.external_ips or self.virtual_ips)

    @property
    def uses_cluster(self) -> bool:
        """May it use endpoints of other nodes? (Also local clients of an external address may.)"""
        return not self.internal_local or self.external

    @property
    def uses_local(self) -> bool:
        return self.internal_local or (self.external_local and self.external)


@dataclass(frozen=True, slots=True)
class Service:
    """health_check_port 0: none."""

    key: ServiceKey
    ports: tuple[ServicePort, ...]
    health_check_port: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    zone_hints: tuple[str, ...] = ()
    node_hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """Endpoints by (port name, protocol)."""

    service: ServiceKey
    family: int
    endpoints: dict[tuple[str, str], tuple[Endpoint, ...]]


def service(obj: Obj, family: int) -> Service | None:
    """None: not ours, or nothing to do in this family."""
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    cluster_ip = next((ip for ip in _cluster_ips(spec) if version(ip) == family), "")
    if not cluster_ip or spec.get("type") == "ExternalName" or OTHER_PROXY in (meta.get("labels") or {}):
        return None
    if not _NAME.fullmatch(meta["namespace"]) or not _NAME.fullmatch(meta["name"]):
        return None
    shared = _shared(obj, family)
    ports = tuple(
        ServicePort(
            namespace=meta["namespace"],
            name=meta["name"],
            port_name=p.get("name") or "",
            protocol=PROTOCOLS[p.get("protocol", "TCP")],
            port=p["port"],
            node_port=p.get("nodePort") or 0,
            cluster_ip=cluster_ip,
            **shared,
        )
        for p in spec.get("ports") or []
        if _valid_port(p)
    )
    if not ports:
        return None
    local = shared["external_local"] and spec.get("type") == "LoadBalancer"
    return Service((meta["namespace"], meta["name"]), ports, (spec.get("healthCheckNodePort") or 0) if local else 0)


def _shared(obj: Obj, family: int) -> dict[str, Any]:
    """What all ports of a service have in common."""
    spec = obj["spec"]
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    ranges = spec.get("loadBalancerSourceRanges") or (obj["metadata"].get("annotations") or {}).get(SOURCE_RANGES, "")
    affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    return {
        "external_ips": _addresses(spec.get("externalIPs") or [], family),
        "virtual_ips": _addresses((i.get("ip", "") for i in ingress if i.get("ipMode", "VIP") == "VIP"), family),
        "source_ranges": _networks(ranges.split(",") if isinstance(ranges, str) else ranges, family),
        "affinity_seconds": (affinity or AFFINITY_SECONDS) if spec.get("sessionAffinity") == "ClientIP" else 0,
        "internal_local": spec.get("internalTrafficPolicy") == "Local",
        "external_local": spec.get("externalTrafficPolicy") == "Local",
    }


def slice_of(obj: Obj) -> Slice | None:
    """None: it belongs to no service, or to no family that we serve."""
    family = {"IPv4": 4, "IPv6": 6}.get(obj.get("addressType", ""))
    name = (obj["metadata"].get("labels") or {}).get(SERVICE_NAME)
    if family is None or not name:
        return None
    found = {}
    for port in obj.get("ports") or []:
        if _valid_port(port):
            endpoints = tuple(_endpoints(obj.get("endpoints") or [], port["port"], family))
            found[(port.get("name") or "", PROTOCOLS[port.get("protocol") or "TCP"])] = endpoints
    return Slice((obj["metadata"]["namespace"], name), family, found)


def _endpoints(endpoints: list[Obj], port: int, family: int) -> Iterable[Endpoint]:
    for e in endpoints:
        conditions, hints = e.get("conditions") or {}, e.get("hints") or {}
        ready = conditions.get("ready") is not False
        serving = conditions.get("serving")
        addresses = e.get("addresses") or [""]
        if version(addresses[0]) == family:
            yield Endpoint(
                ip=addresses[0],
                port=port,
                ready=ready,
                serving=ready if serving is None else serving,
                terminating=bool(conditions.get("terminating")),
                node=e.get("nodeName") or "",
                zone_hints=tuple(z["name"] for z in hints.get("forZones") or []),
                node_hints=tuple(n["name"] for n in hints.get("forNodes") or []),
            )


def version(ip: str) -> int:
    """4, 6, or 0 for what is no address."""
    try:
        return ipaddress.ip_address(ip).version if "%" not in ip else 0
    except ValueError:
        return 0


def _cluster_ips(spec: Obj) -> list[str]:
    return spec.get("clusterIPs") or [spec.get("clusterIP") or ""]


def _valid_port(port: Obj) -> bool:
    number = port.get("port")
    return (
        isinstance(number, int)
        and 0 < number < 65536
        and (port.get("protocol") or "TCP") in PROTOCOLS
        and bool(_PORT_NAME.fullmatch(port.get("name") or ""))
    )


def _addresses(texts: Iterable[str], family: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t for t in texts if version(t) == family))


def _networks(texts: Iterable[str], family: int) -> tuple[str, ...]:
    found = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            continue
        if network.version == family:
            found.append(str(network))
    return tuple(found)
