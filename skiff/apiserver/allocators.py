"""Cluster IPs and node ports: which numbers of a range are taken, and which one is next.

What is taken is not stored a second time: it is derived from the services in the API server's cache, so it cannot leak
and needs no repair. A number given to a write that is not in the cache yet is held for a moment, for that service only.
Automatic choices avoid the lower part of a range while there is room above, as upstream (KEP-3070, KEP-3668), so that
people can pick fixed numbers there. The changes to Service objects are in admission/serviceallocation.py.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from skiff import env
from skiff.api.gvr import SERVICES
from skiff.api.resources.core.service_prepare import node_ports
from skiff.api.types import Obj
from skiff.apiserver.lookup import Lookup

HOLD_S = 15
"""How long a number stays with a write that has not shown up in the cache."""

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Taken(Exception):
    """The number asked for belongs to another service."""


class Outside(Exception):
    """The number asked for is not in the range."""


class Full(Exception):
    """The range has no free number."""


@dataclass(frozen=True, slots=True)
class Hold:
    owner: str
    until: float


class Pool:
    """The numbers from `first` to `first + size - 1`; the lowest `fixed` of them are chosen automatically last."""

    def __init__(self, first: int, size: int, fixed: int):
        self.first = first
        self.size = size
        self.fixed = fixed
        self._used: dict[int, set[str]] = {}
        self._held: dict[int, Hold] = {}

    def learn(self, owner: str, before: Iterable[int], after: Iterable[int]) -> None:
        """A service (`namespace/name`) in the cache went from one set of numbers to another."""
        for number in before:
            owners = self._used.get(number, set())
            owners.discard(owner)
            if not owners:
                self._used.pop(number, None)
        for number in after:
            self._used.setdefault(number, set()).add(owner)
            self._held.pop(number, None)

    def take(self, number: int, owner: str, *, dry_run: bool = False) -> None:
        """Gives a certain number to a service. Raises Outside, Taken."""
        if not self.first <= number < self.first + self.size:
            raise Outside
        if not self._is_free(number, owner):
            raise Taken
        self._hold(number, owner, dry_run)

    def take_any(self, owner: str, *, dry_run: bool = False) -> int:
        """Gives some free number to a service. Raises Full."""
        for offset in chain(_ring(self.fixed, self.size), _ring(0, min(self.fixed, self.size))):
            number = self.first + offset
            if self._is_free(number, ""):
                self._hold(number, owner, dry_run)
                return number
        raise Full

    def _is_free(self, number: int, owner: str) -> bool:
        if self._used.get(number, set()) - {owner}:
            return False
        hold = self._held.get(number)
        return hold is None or hold.owner == owner or hold.until < env.epoch()

    def _hold(self, number: int, owner: str, dry_run: bool) -> None:
        if not dry_run:
            self._held[number] = Hold(owner, env.epoch() + HOLD_S)


def _ring(low: int, high: int) -> Iterator[int]:
    """All numbers from low up to high, beginning anywhere."""
    if low < high:
        start = env.rng().randrange(low, high)
        yield from range(start, high)
        yield from range(low, start)


def address_pool(network: IPNetwork) -> Pool:
    """The addresses of a service range but its first and, for IPv4, its last."""
    reserved = 2 if network.version == 4 else 1
    size = min(network.num_addresses, 1 << 64) - reserved
    fixed = min(max(16, network.num_addresses // 16), 256)
    return Pool(int(network.network_address) + 1, size, fixed if size > 16 else 0)


def port_pool(first: int, last: int) -> Pool:
    size = last - first + 1
    return Pool(first, size, min(max(16, size // 32), 128) if size > 16 else 0)


class ServiceAllocators:
    """The pools of a cluster: one per IP family, in the order of preference, and one of node ports."""

    def __init__(self, lookup: Lookup, *, service_cidrs: Iterable[str], node_ports: tuple[int, int] = (30000, 32767)):
        self.networks = {f"IPv{n.version}": n for n in map(ipaddress.ip_network, service_cidrs)}
        self.node_port_range = node_ports
        self.addresses = {family: address_pool(network) for family, network in self.networks.items()}
        self.ports = port_pool(*node_ports)
        self._lookup = lookup
        lookup.subscribe(SERVICES, self._service_changed)

    @property
    def families(self) -> list[str]:
        """The IP families that the cluster has, the default one first."""
        return list(self.addresses)

    async def catch_up(self, namespace: str, name: str) -> None:
        """Until the pools know of every write that was acknowledged so far."""
        await self._lookup.fresh(SERVICES, namespace, name)

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        meta = (new or old or {})["metadata"]
        owner = f"{meta.get('namespace', '')}/{meta['name']}"
        self.ports.learn(owner, _ports(old), _ports(new))
        for family, pool in self.addresses.items():
            pool.learn(owner, _addresses(old, family), _addresses(new, family))


def _addresses(service: Obj | None, family: str) -> list[int]:
    spec = (service or {}).get("spec") or {}
    found = [spec.get("clusterIP") or "", *(spec.get("clusterIPs") or ())]
    return list({int(ip) for ip in map(parse_ip, found) if ip is not None and f"IPv{ip.version}" == family})


def _ports(service: Obj | None) -> set[int]:
    spec = (service or {}).get("spec") or {}
    health = spec.get("healthCheckNodePort")
    return node_ports(spec) | ({health} if health else set())


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
