"""What one service needs in the table: chains, map elements, affinity sets. Pure; ruleset.py puts the pieces together.

For every port there is at most a chain `cluster/ID` and `local/ID` with the endpoints of that traffic policy, and
`external/ID` before them for what arrives at an external address. A packet meets one map lookup, then one rule,
however many services and endpoints there are. With session affinity there is a chain and a set per endpoint.
Source: upstream pkg/proxy/nftables/README.md for what must happen to which packet.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skiff.proxy.endpoints import Choice, Node, choose
from skiff.proxy.model import Endpoint, Service, ServicePort

MARK = "0x4000"
SET_MARK = f"meta mark set meta mark or {MARK}"
LOCAL_SOURCE = "fib saddr type local"

Element = tuple[str, str]
"""(name of the map or set, key)"""


@dataclass(frozen=True, slots=True)
class Family:
    """How IPv4 and IPv6 differ in nftables' language. cluster_cidr: of all pods, "" if unknown."""

    version: int
    cluster_cidr: str = ""

    @property
    def table(self) -> str:
        return "ip skiff" if self.version == 4 else "ip6 skiff"

    @property
    def ip(self) -> str:
        return "ip" if self.version == 4 else "ip6"

    @property
    def type(self) -> str:
        return f"ipv{self.version}_addr"


@dataclass(slots=True)
class Piece:
    """One service's part. elements: (map or set, key) → verdict, "" in a set. chains: name → rules. affinity: set →
    seconds."""

    elements: dict[Element, str] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)


PortEndpoints = Mapping[tuple[str, str], Sequence[Endpoint]]
"""(port name, protocol) → endpoints, each address and port once."""


def piece(service: Service, endpoints: PortEndpoints, node: Node, family: Family) -> Piece:
    made = Piece()
    for port in service.ports:
        _Port(port, choose(port, endpoints.get((port.port_name, port.protocol), ()), node), node, family, made).write()
    return made


class _Port:
    """One port's part of a piece."""

    def __init__(self, port: ServicePort, choice: Choice, node: Node, family: Family, made: Piece):
        self.port = port
        self.choice = choice
        self.node = node
        self.family = family
        self.made = made

    def write(self) -> None:
        port, choice = self.port, self.choice
        self.made.elements[("cluster-ips", port.cluster_ip)] = ""
        if choice.cluster:
            self._policy("cluster", choice.cluster)
        if choice.local:
            self._policy("local", choice.local)
        self._internal()
        if port.external:
            self._external()
        for e in choice.reachable:
            if e.node == self.node.name:
                self.made.elements[("hairpin", f"{e.ip} . {e.ip} . {port.protocol} . {e.port}")] = ""

    def _internal(self) -> None:
        policy, found = ("local", self.choice.local) if self.port.internal_local else ("cluster", self.choice.cluster)
        key = self._at(self.port.cluster_ip)
        if found:
            self.made.elements[("service-ips", key)] = f"goto {policy}/{self.port.id}"
        else:
            self.made.elements[("no-endpoint-services", key)] = self._refusal()

    def _external(self) -> None:
        """External addresses. Without an endpoint that the policy allows, what local clients cannot short-circuit is
        dropped; without any endpoint at all, everything is rejected."""
        port, choice = self.port, self.choice
        found = choice.local if port.external_local else choice.cluster
        node_port = f"{port.protocol} . {port.node_port}"
        keys = [("services", self._at(ip)) for ip in (*port.external_ips, *port.virtual_ips)]
        keys += [("nodeports", node_port)] if port.node_port else []
        for kind, key in keys:
            if choice.exist:
                into = "service-ips" if kind == "services" else "service-nodeports"
                self.made.elements[(into, key)] = f"goto external/{port.id}"
            if not found:
                self.made.elements[(f"no-endpoint-{kind}", key)] = self._refusal()
        if choice.exist:
            self.made.chains[f"external/{port.id}"] = self._external_rules(bool(found))
        if port.virtual_ips and port.source_ranges:
            self._firewall()

    def _external_rules(self, found: bool) -> list[str]:
        cluster = [f"goto cluster/{self.port.id}"] if self.choice.cluster else []
        if not self.port.external_local:
            return [SET_MARK, *cluster]
        rules = []
        if cluster:
            # Pods and this node's own processes are as if they went out and came back: no policy applies to them.
            if self.family.cluster_cidr:
                rules.append(f"{self.family.ip} saddr {self.family.cluster_cidr} {cluster[0]}")
            rules += [f"{LOCAL_SOURCE} {SET_MARK}", f"{LOCAL_SOURCE} {cluster[0]}"]
        return [*rules, f"goto local/{self.port.id}"] if found else rules

    def _firewall(self) -> None:
        port = self.port
        sources = list(port.source_ranges)
        networks = [ipaddress.ip_network(s) for s in sources]
        if any(ipaddress.ip_address(ip) in network for ip in self.node.ips for network in networks):
            sources += port.virtual_ips  # this node's own requests to the address come back with it as their source
        for ip in port.virtual_ips:
            self.made.elements[("firewall-ips", self._at(ip))] = f"goto firewall/{port.id}"
        ranges = ", ".join(str(n) for n in ipaddress.collapse_addresses(map(ipaddress.ip_network, sources)))  # type: ignore[type-var]
        self.made.chains[f"firewall/{port.id}"] = [f"{self.family.ip} saddr != {{ {ranges} }} drop"]

    def _policy(self, policy: str, endpoints: Sequence[Endpoint]) -> None:
        if self.port.affinity_seconds:
            rules = self._sticky(endpoints)
        elif len(endpoints) == 1:
            rules = [f"meta l4proto {self.port.protocol} dnat to {self._address(endpoints[0])}"]
        else:
            choices = ", ".join(f"{i} : {e.ip} . {e.port}" for i, e in enumerate(endpoints))
            to = f"dnat {self.family.ip} addr . port to numgen random mod {len(endpoints)} map {{ {choices} }}"
            # The kernel empties a replaced rule's map before the last packet has left that rule: that one misses it.
            missed = f"dnat to {self._address(endpoints[0])}"
            rules = [f"meta l4proto {self.port.protocol} {to}", f"meta l4proto {self.port.protocol} {missed}"]
        self.made.chains[f"{policy}/{self.port.id}"] = rules

    def _sticky(self, endpoints: Sequence[Endpoint]) -> list[str]:
        """A client that an endpoint has in its set goes there again; the others draw."""
        names = [f"{self.port.id}/{e.ip.replace(':', '.')}__{e.port}" for e in endpoints]
        for name, endpoint in zip(names, endpoints, strict=True):
            self.made.affinity[f"affinity/{name}"] = self.port.affinity_seconds
            self.made.chains[f"endpoint/{name}"] = [
                f"update @affinity/{name} {{ {self.family.ip} saddr }}",
                f"meta l4proto {self.port.protocol} dnat to {self._address(endpoint)}",
            ]
        known = [f"{self.family.ip} saddr @affinity/{name} goto endpoint/{name}" for name in names]
        choices = ", ".join(f"{i} : goto endpoint/{name}" for i, name in enumerate(names))
        draw = [f"numgen random mod {len(names)} vmap {{ {choices} }}"] if len(names) > 1 else []
        return [*known, *draw, f"goto endpoint/{names[0]}"]  # as above: of use when the map is being replaced

    def _refusal(self) -> str:
        return "drop" if self.choice.exist else "goto refuse"

    def _at(self, ip: str) -> str:
        return f"{ip} . {self.port.protocol} . {self.port.port}"

    def _address(self, e: Endpoint) -> str:
        return f"{e.ip}:{e.port}" if self.family.version == 4 else f"[{e.ip}]:{e.port}"
