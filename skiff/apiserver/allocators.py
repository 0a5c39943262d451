"""Cluster IPs and node ports: which numbers of a range are taken, and which one is next.

The ranges of addresses are those of the ServiceCIDR objects that are ready; those of the flags stand until there is the
default one. Taken is what a service in the API server's cache has, and for addresses also what an IPAddress object names
(serviceips.py writes these). A number given to a write that is not in the cache yet is held for a moment, for that
service only. Automatic choices avoid the lower part of a range while there is room above, as upstream (KEP-3070,
KEP-3668), so that people can pick fixed numbers there. The changes to Service objects are in admission/serviceallocation.py.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from skiff import env
from skiff.api.gvr import IPADDRESSES, SERVICECIDRS, SERVICES
from skiff.api.meta import is_condition_true
from skiff.api.resources.core.service_prepare import node_ports
from skiff.api.types import Obj
from skiff.apiserver.lookup import Lookup

HOLD_S = 15
"""How long a number stays with a write that has not shown up in the cache."""

DEFAULT_SERVICE_CIDR = "kubernetes"
RECORD = " (IPAddress)"

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


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


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `first` to `first + size - 1`; the lowest `fixed` of them are chosen automatically last."""

    first: int
    size: int
    fixed: int

    def __contains__(self, number: int) -> bool:
        return self.first <= number < self.first + self.size


class Pool:
    """The numbers of some ranges, which may overlap; the first range that has room is chosen from."""

    def __init__(self, *ranges: Range):
        self.ranges: Sequence[Range] = ranges
        self._used: dict[int, set[str]] = {}
        self._held: dict[int, Hold] = {}

    def owners(self, number: int) -> set[str]:
        """Who is known to have it."""
        return self._used.get(number, set())

    def learn(self, owner: str, before: Iterable[int], after: Iterable[int]) -> None:
        """An owner in the cache, a service's `namespace/name`, went from one set of numbers to another."""
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
        if not any(number in r for r in self.ranges):
            raise Outside
        if not self._is_free(number, owner):
            raise Taken
        self._hold(number, owner, dry_run)

    def take_any(self, owner: str, *, dry_run: bool = False) -> int:
        """Gives some free number to a service. Raises Full."""
        for r in self.ranges:
            for offset in chain(_ring(r.fixed, r.size), _ring(0, min(r.fixed, r.size))):
                number = r.first + offset
                if self._is_free(number, ""):
                    self._hold(number, owner, dry_run)
                    return number
        raise Full

    def _is_free(self, number: int, owner: str) -> bool:
        if self.owners(number) - {owner, _record_of(owner)}:
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


def address_range(network: IPNetwork) -> Range:
    """The addresses of a service range but its first and, for IPv4, its last."""
    reserved = 2 if network.version == 4 else 1
    size = min(network.num_addresses, 1 << 64) - reserved
    fixed = min(max(16, network.num_addresses // 16), 256)
    return Range(int(network.network_address) + 1, size, fixed if size > 16 else 0)


def port_range(first: int, last: int) -> Range:
    size = last - first + 1
    return Range(first, size, min(max(16, size // 32), 128) if size > 16 else 0)


class ServiceAllocators:
    """The pools of a cluster: one per IP family, in the order of preference, and one of node ports."""

    def __init__(self, lookup: Lookup, *, service_cidrs: Iterable[str], node_ports: tuple[int, int] = (30000, 32767)):
        self._default: list[IPNetwork] = [ipaddress.ip_network(cidr) for cidr in service_cidrs]
        self.addresses = {f"IPv{network.version}": Pool() for network in self._default}
        self.node_port_range = node_ports
        self.ports = Pool(port_range(*node_ports))
        self.networks: list[IPNetwork] = []
        self._has_default_object = False
        self._ready: dict[str, list[IPNetwork]] = {}
        self._arrange()
        self._lookup = lookup
        lookup.subscribe(SERVICECIDRS, self._service_cidr_changed)
        lookup.subscribe(IPADDRESSES, self._address_changed)
        lookup.subscribe(SERVICES, self._service_changed)

    @property
    def families(self) -> list[str]:
        """The IP families that the cluster has, the default one first."""
        return list(self.addresses)

    def network_of(self, ip: IPAddress) -> IPNetwork | None:
        """A range that is ready and holds the address."""
        return next((n for n in self.networks if ip in n), None)

    def owner(self, ip: IPAddress) -> str:
        """The service that has the address, "" for none."""
        pool = self.addresses.get(f"IPv{ip.version}")
        owners = pool.owners(int(ip)) if pool is not None else set()
        return min((o for o in owners if not o.endswith(RECORD)), default="")

    async def catch_up(self, namespace: str, name: str) -> None:
        """Until the pools know of every write that was acknowledged so far."""
        await self._lookup.fresh(SERVICES, namespace, name)
        await self._lookup.fresh(SERVICECIDRS, "", DEFAULT_SERVICE_CIDR)
        await self._lookup.fresh(IPADDRESSES, "", "")

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        meta = (new or old or {})["metadata"]
        owner = f"{meta.get('namespace', '')}/{meta['name']}"
        self.ports.learn(owner, _ports(old), _ports(new))
        before, after = service_addresses(old), service_addresses(new)
        for family, pool in self.addresses.items():
            pool.learn(owner, _numbers(before, family), _numbers(after, family))

    def _address_changed(self, old: Obj | None, new: Obj | None) -> None:
        ip = parse_ip((new or old or {})["metadata"]["name"])
        pool = self.addresses.get(f"IPv{ip.version}") if ip is not None else None
        if ip is not None and pool is not None:
            for obj, before, after in ((old, [int(ip)], []), (new, [], [int(ip)])):
                if obj is not None:
                    pool.learn(_record_of(parent_of(obj)), before, after)

    def _service_cidr_changed(self, old: Obj | None, new: Obj | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        self._ready.pop(name, None)
        if new is not None:
            self._has_default_object |= name == DEFAULT_SERVICE_CIDR
            if is_condition_true(new, "Ready") and not new["metadata"].get("deletionTimestamp"):
                self._ready[name] = [ipaddress.ip_network(cidr) for cidr in new["spec"]["cidrs"]]
        self._arrange()

    def _arrange(self) -> None:
        """The default range comes first, then the others by name."""
        names = sorted(self._ready, key=lambda name: (name != DEFAULT_SERVICE_CIDR, name))
        found = [network for name in names for network in self._ready[name]]
        self.networks = list(dict.fromkeys([*([] if self._has_default_object else self._default), *found]))
        for family, pool in self.addresses.items():
            pool.ranges = [address_range(n) for n in self.networks if f"IPv{n.version}" == family]


def parent_of(address: Obj) -> str:
    """`namespace/name` of the service that an IPAddress is for; for another parent something no service is called."""
    parent = (address.get("spec") or {}).get("parentRef") or {}
    kind = "" if not parent.get("group") and parent.get("resource") == "services" else "other "
    return f"{kind}{parent.get('namespace', '')}/{parent.get('name', '')}"


def _record_of(owner: str) -> str:
    """As whom an IPAddress object owns a number: it may come and go apart from the service."""
    return owner + RECORD


def service_addresses(service: Obj | None) -> list[IPAddress]:
    """The cluster IPs that a service has."""
    spec = (service or {}).get("spec") or {}
    found = dict.fromkeys([spec.get("clusterIP") or "", *(spec.get("clusterIPs") or ())])
    return [ip for ip in map(parse_ip, found) if ip is not None]


def _numbers(addresses: Iterable[IPAddress], family: str) -> list[int]:
    return [int(ip) for ip in addresses if f"IPv{ip.version}" == family]


def _ports(service: Obj | None) -> set[int]:
    spec = (service or {}).get("spec") or {}
    health = spec.get("healthCheckNodePort")
    return node_ports(spec) | ({health} if health else set())


def parse_ip(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
