"""UDP has no end of connection: flows to endpoints that are gone, or that began before there was one, are cut. Pure.

Source: upstream pkg/proxy/conntrack/cleanup.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from skiff.proxy.endpoints import Node, choose
from skiff.proxy.model import Service
from skiff.proxy.rules import PortEndpoints


@dataclass(frozen=True, slots=True)
class Target:
    """Where UDP packets are sent before translation. ip "": any address of this node."""

    ip: str
    port: int


Flows = Mapping[Target, frozenset[str]]
"""Target → addresses of the endpoints that its packets may go to."""


def flows(service: Service, endpoints: PortEndpoints, node: Node) -> Flows:
    """Of the service's UDP ports; empty for most services."""
    found = {}
    for port in service.ports:
        if port.protocol == "udp":
            reachable = choose(port, endpoints.get((port.port_name, "udp"), ()), node).reachable
            addresses = frozenset(e.ip for e in reachable)
            for ip in (port.cluster_ip, *port.external_ips, *port.virtual_ips):
                found[Target(ip, port.port)] = addresses
            if port.node_port:
                found[Target("", port.node_port)] = addresses
    return found


def deletions(old: Flows, new: Flows, version: int) -> list[list[str]]:
    """Arguments for `conntrack`, one list per call."""
    calls = []
    base = ["-D", "-f", f"ipv{version}", "-p", "udp"]
    for target in sorted(old.keys() | new.keys(), key=lambda t: (t.ip, t.port)):
        before, after = old.get(target, frozenset()), new.get(target, frozenset())
        where = ["--orig-dst", target.ip] if target.ip else []
        where += ["--orig-port-dst", str(target.port)]
        calls += [[*base, *where, "--dst-nat", ip] for ip in sorted(before - after)]
        if after and not before:
            calls.append([*base, *where])
    return calls
