"""Which endpoints a service port may use from this node. Pure.

Source: upstream pkg/proxy/topology.go; KEP-1669 (terminating endpoints), KEP-2433 and KEP-3015 (hints).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skiff.proxy.model import Endpoint, ServicePort


@dataclass(frozen=True, slots=True)
class Node:
    """Where we are. ips: addresses of this node, for load balancers' source ranges."""

    name: str
    zone: str = ""
    ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """cluster, local: endpoints for the traffic policy of that name. exist: there is a usable one on some node."""

    cluster: tuple[Endpoint, ...] = ()
    local: tuple[Endpoint, ...] = ()
    exist: bool = False

    @property
    def reachable(self) -> tuple[Endpoint, ...]:
        return tuple(dict.fromkeys((*self.cluster, *self.local)))


def choose(port: ServicePort, endpoints: Sequence[Endpoint], node: Node) -> Choice:
    """Ready endpoints; where there are none, those that still serve while they terminate."""
    ready = [e for e in endpoints if e.ready]
    fallback = [e for e in endpoints if not e.ready and e.serving and e.terminating]
    cluster: Sequence[Endpoint] = ()
    local: Sequence[Endpoint] = ()
    if port.uses_cluster:
        cluster = _near(ready, node) or fallback
    if port.uses_local:
        local = [e for e in ready if e.node == node.name] or [e for e in fallback if e.node == node.name]
    exist = bool(cluster) or (port.uses_local and bool(ready or fallback))
    return Choice(tuple(cluster), tuple(local), exist)


def _near(ready: Sequence[Endpoint], node: Node) -> Sequence[Endpoint]:
    """Those hinted for this node, or else for this zone, if every endpoint has such a hint and one is for us."""

    def hinted(hints: Callable[[Endpoint], tuple[str, ...]], place: str) -> Sequence[Endpoint]:
        return [e for e in ready if place in hints(e)] if all(hints(e) for e in ready) else ()

    return hinted(lambda e: e.node_hints, node.name) or hinted(lambda e: e.zone_hints, node.zone) or ready
