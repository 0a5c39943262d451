"""Pod CIDRs: every node gets its own block of the cluster's range (/24 of IPv4, /64 of IPv6), for as long as it exists.

Guarantees: a block is never given to two nodes; what nodes already have is respected.
Source: upstream pkg/controller/nodeipam/ipam (range allocator).
"""

import ipaddress
from collections.abc import Iterable, Sequence

from skiff.api.gvr import NODES
from skiff.api.meta import name
from skiff.api.types import Obj
from skiff.client.controller import Key, Recorder, Watch
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import spec

MASK_V4 = 24
MASK_V6 = 64

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Blocks:
    """The blocks of one range. They are handed out in turn, so that one just given back rests for a while."""

    def __init__(self, cidr: str, mask: int, reserved: Iterable[str] = ()):
        self._range: Network = ipaddress.ip_network(cidr)
        if mask < self._range.prefixlen:
            raise ValueError(f"a block of /{mask} does not fit into {cidr}")
        self._mask = mask
        self._bits = self._range.max_prefixlen - mask
        self._size: int = 1 << (mask - self._range.prefixlen)
        self._used: set[int] = set()
        self._next = 0
        for other in reserved:
            self.occupy(other)

    def occupy(self, cidr: str) -> None:
        """Every block that shares an address with it. What lies outside the range is nobody's here."""
        self._used.update(self._indices(cidr))

    def release(self, cidr: str) -> None:
        self._used.difference_update(self._indices(cidr))

    def allocate(self) -> str | None:
        """None when all are taken."""
        if len(self._used) >= self._size:
            return None
        while self._next in self._used:
            self._next = (self._next + 1) % self._size
        index = self._next
        self._used.add(index)
        self._next = (index + 1) % self._size
        base = int(self._range.network_address) + (index << self._bits)
        return f"{type(self._range.network_address)(base)}/{self._mask}"

    def _indices(self, cidr: str) -> range:
        other: Network = ipaddress.ip_network(cidr, strict=False)
        if other.version != self._range.version or not other.overlaps(self._range):
            return range(0)
        base = int(self._range.network_address)
        first = max(0, int(other.network_address) - base) >> self._bits
        last = (int(other.broadcast_address) - base) >> self._bits
        return range(first, min(last, self._size - 1) + 1)


def default_mask(cidr: str) -> int:
    return MASK_V6 if ":" in cidr else MASK_V4


def pod_cidrs(node: Obj) -> list[str]:
    found = spec(node).get("podCIDRs") or []
    return list(found) if found else [spec(node)["podCIDR"]] if spec(node).get("podCIDR") else []


class NodeIPAMController:
    """cluster_cidrs: one, or one per family. service_cidrs: kept out of the blocks."""

    name = "node-ipam-controller"
    workers = 1

    def __init__(
        self,
        *,
        client: Client,
        informers: Informers,
        recorder: Recorder,
        cluster_cidrs: Sequence[str],
        service_cidrs: Sequence[str] = (),
        masks: Sequence[int] = (),
    ):
        self._client = client
        self._recorder = recorder
        self._nodes = informers.get(NODES)
        sizes = masks or [default_mask(cidr) for cidr in cluster_cidrs]
        pairs = zip(cluster_cidrs, sizes, strict=True)
        self._blocks = [Blocks(cidr, mask, service_cidrs) for cidr, mask in pairs]
        self._known: dict[str, list[str]] = {}
        self._started = False

    def watches(self) -> list[Watch]:
        return [Watch(NODES, _matters)]

    async def reconcile(self, key: Key) -> float | None:
        self._start()
        node = self._nodes.get("", key)
        if node is None:
            self._release(key)
        elif cidrs := pod_cidrs(node):
            self._occupy(key, cidrs)
        else:
            await self._allocate(node)
        return None

    def _start(self) -> None:
        """Once, with the cache full: what is taken must be known before the first block is given away."""
        if self._started:
            return
        self._started = True
        for node in self._nodes.items():
            self._occupy(name(node), pod_cidrs(node))

    def _occupy(self, key: Key, cidrs: list[str]) -> None:
        if self._known.get(key) == cidrs:
            return
        self._release(key)
        self._known[key] = cidrs
        for blocks in self._blocks:
            for cidr in cidrs:
                blocks.occupy(cidr)

    def _release(self, key: Key) -> None:
        for cidr in self._known.pop(key, []):
            for blocks in self._blocks:
                blocks.release(cidr)

    async def _allocate(self, node: Obj) -> None:
        """A block whose write fails stays with the node, so that the next attempt writes the same one."""
        cidrs = self._known.get(name(node)) or []
        if not cidrs:
            found = [blocks.allocate() for blocks in self._blocks]
            cidrs = [cidr for cidr in found if cidr is not None]
            self._known[name(node)] = cidrs
            if len(cidrs) < len(found):
                self._release(name(node))
                text = f"Node {name(node)} status is now: CIDRNotAvailable"
                self._recorder.event(node, "Normal", "CIDRNotAvailable", text)
                raise RuntimeError(f"no pod CIDR is left for node {name(node)}")
        await self._client.patch(NODES, name(node), {"spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}})


def _matters(change: Change) -> list[Key]:
    """Heartbeats do not."""
    if change.old and change.new and pod_cidrs(change.old) == pod_cidrs(change.new) != []:
        return []
    return [name(change.object)]
