"""What the server keeps of Services, EndpointSlices and Namespaces: as little as its answers need.

The transforms are for informers: an object with its metadata and one record.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from skiff.api.types import Obj

SERVICE_NAME = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Port:
    """name "" if it has none; protocol: tcp, udp, sctp."""

    name: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class Service:
    """addresses: the cluster IPs; none for a headless service, nor for one with an external name."""

    namespace: str
    name: str
    addresses: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    external_name: str = ""

    @property
    def headless(self) -> bool:
        return not self.addresses and not self.external_name


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ready address. label: its name below the service, the hostname or the address with dashes."""

    address: str
    label: str


@dataclass(frozen=True, slots=True)
class Slice:
    namespace: str
    service: str
    endpoints: tuple[Endpoint, ...]
    ports: tuple[Port, ...]


def slim_service(obj: Obj) -> Obj | None:
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    external = spec.get("externalName", "") if spec.get("type") == "ExternalName" else ""
    ips = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    if not external and not any(ips):
        return None  # it has no address yet
    addresses = () if external else tuple(ip for ip in ips if _is_address(ip))
    record = Service(meta["namespace"], meta["name"], addresses, _ports(spec.get("ports")), external.rstrip("."))
    return {"metadata": _meta(meta), "record": record}


def slim_slice(obj: Obj) -> Obj | None:
    meta = obj["metadata"]
    service = (meta.get("labels") or {}).get(SERVICE_NAME)
    if not service or obj.get("addressType") not in ("IPv4", "IPv6"):
        return None
    endpoints = tuple(
        Endpoint(address, e.get("hostname") or dashed(address))
        for e in obj.get("endpoints") or []
        if (e.get("conditions") or {}).get("ready") is not False
        for address in e.get("addresses", [])[:1]
        if _is_address(address)
    )
    return {"metadata": _meta(meta), "record": Slice(meta["namespace"], service, endpoints, _ports(obj.get("ports")))}


def slim_namespace(obj: Obj) -> Obj:
    return {"metadata": _meta(obj["metadata"])}


def dashed(address: str) -> str:
    """10.1.2.3 → 10-1-2-3, fd00::1 → fd00--1."""
    return address.replace(".", "-").replace(":", "-")


def undashed(label: str) -> str:
    """The address that a pod's label stands for; "" if it is none."""
    for text in (label.replace("-", "."), label.replace("-", ":")):
        if _is_address(text):
            return str(ipaddress.ip_address(text))
    return ""


def _meta(meta: Obj) -> Obj:
    return {k: meta[k] for k in ("name", "namespace", "resourceVersion") if k in meta}


def _ports(ports: Iterable[Obj] | None) -> tuple[Port, ...]:
    return tuple(
        Port(p.get("name") or "", (p.get("protocol") or "TCP").lower(), p["port"]) for p in ports or [] if p.get("port")
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
