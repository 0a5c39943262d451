"""Keeps the nftables tables as the Services and EndpointSlices say.

Everything that changed while one transaction ran goes into the next. At start, after a failure, and when somebody has
flushed our table (looked at now and then), everything is written in one transaction over what is there. Nothing is torn
down at the end: Services work on while no proxy runs.
"""

import asyncio
import logging
from collections.abc import Iterable

from skiff.api.gvr import ENDPOINTSLICES, NODES, SERVICES
from skiff.api.types import Obj
from skiff.client import metrics
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.proxy import conntrack, nft
from skiff.proxy.endpoints import Node
from skiff.proxy.health import Check, HealthServers
from skiff.proxy.metrics import Metrics
from skiff.proxy.model import OTHER_PROXY, SERVICE_NAME, SOURCE_RANGES, Endpoint, Service, ServiceKey, service, slice_of
from skiff.proxy.rules import Family, Piece, piece
from skiff.proxy.ruleset import Ruleset

log = logging.getLogger(__name__)

TABLE = "skiff"
ZONE = "topology.kubernetes.io/zone"

RETRY_SECONDS = 5.0
STALE_SECONDS = 2.0


def slim_service(obj: Obj) -> Obj:
    """For the informer: what model.service reads."""
    meta, spec = obj["metadata"], dict(obj.get("spec") or {})
    for unused in ("selector", "ipFamilies", "ipFamilyPolicy", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
        spec.pop(unused, None)
    kept = _slim_meta(meta, {OTHER_PROXY})
    if SOURCE_RANGES in (meta.get("annotations") or {}):
        kept["annotations"] = {SOURCE_RANGES: meta["annotations"][SOURCE_RANGES]}
    balancer = (obj.get("status") or {}).get("loadBalancer")
    return {"metadata": kept, "spec": spec, **({"status": {"loadBalancer": balancer}} if balancer else {})}


def slim_slice(obj: Obj) -> Obj:
    """For the informer: what model.slice_of reads."""
    used = ("addresses", "conditions", "nodeName", "hints")
    endpoints = [{k: e[k] for k in used if k in e} for e in obj.get("endpoints") or []]
    return {
        "metadata": _slim_meta(obj["metadata"], {SERVICE_NAME}),
        "addressType": obj.get("addressType"),
        "ports": obj.get("ports"),
        "endpoints": endpoints,
    }


def slim_node(obj: Obj) -> Obj:
    meta = _slim_meta(obj["metadata"], {ZONE})
    return {"metadata": meta, "status": {"addresses": (obj.get("status") or {}).get("addresses")}}


def _slim_meta(meta: Obj, labels: set[str]) -> Obj:
    kept: Obj = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion") if k in meta}
    kept["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k in labels}
    return kept


class Proxy:
    """node_name: whose services these are. cluster_cidr: of all pods (of both families, separated by a comma)."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        *,
        node_name: str,
        cluster_cidr: str = "",
        masquerade_all: bool = False,
        sync_seconds: float = 30.0,
        health_host: str = "0.0.0.0",
    ):
        self._node_name = node_name
        self._services = informers.get(SERVICES, transform=slim_service)
        self._slices = informers.get(ENDPOINTSLICES, transform=slim_slice)
        self._nodes = informers.get(NODES, fields=f"metadata.name={node_name}", transform=slim_node)
        self._slices.add_index("service", lambda obj: [_index(_service_of(obj))])
        cidrs = [c for c in cluster_cidr.split(",") if c]
        self._tables = {
            version: _Table(
                Family(version, next((c for c in cidrs if (":" in c) == (version == 6)), "")), masquerade_all
            )
            for version in (4, 6)
        }
        self._sync_seconds = sync_seconds
        self.metrics = Metrics()
        metrics.sources["proxy"] = self.metrics.lines
        self._health = HealthServers(health_host)
        self._checks: dict[ServiceKey, Check] = {}
        self._node = Node(node_name)
        self._changed: set[ServiceKey] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        self._services.add_handler(lambda c: self._mark([_key(c.object)]))
        self._slices.add_handler(self._slice_changed)
        self._nodes.add_handler(self._node_changed)
        for informer in (self._services, self._slices, self._nodes):
            await informer.wait_synced()
        self._node = self._own_node()
        self._mark(map(_key, self._services.items()))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_over_tables(), name="proxy tables")
                group.create_task(self._work(), name="proxy sync")
        finally:
            await self._health.close()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            changed, self._changed = self._changed, set()
            for table in self._tables.values():
                await self._sync(table, changed)
            self._update_checks(changed)
            await self._health.sync(self._checks)
            if not self._changed:
                await self._wake.wait()

    # -- what changed

    def _mark(self, keys: Iterable[ServiceKey]) -> None:
        self._changed.update(keys)
        self._wake.set()

    def _slice_changed(self, change: Change) -> None:
        self._mark({_service_of(obj) for obj in (change.old, change.new) if obj is not None})

    def _node_changed(self, change: Change) -> None:
        """Zone and addresses decide about every service; they hardly ever change."""
        node = self._own_node()
        if node != self._node:
            self._node = node
            self._mark(map(_key, self._services.items()))

    def _own_node(self) -> Node:
        obj = self._nodes.get("", self._node_name)
        if obj is None:
            return Node(self._node_name)
        addresses = (obj["status"].get("addresses")) or []
        ips = tuple(a["address"] for a in addresses if a["type"] in ("InternalIP", "ExternalIP"))
        return Node(self._node_name, obj["metadata"]["labels"].get(ZONE, ""), ips)

    # -- what is wanted

    def _service(self, key: ServiceKey, version: int) -> Service | None:
        obj = self._services.get(*key)
        return service(obj, version) if obj is not None else None

    def _endpoints(self, key: ServiceKey, version: int) -> dict[tuple[str, str], list[Endpoint]]:
        """By port; an address that two slices have for a moment counts once."""
        found: dict[tuple[str, str], dict[tuple[str, int], Endpoint]] = {}
        for obj in self._slices.by_index("service", _index(key)):
            parsed = slice_of(obj)
            if parsed is None or parsed.family != version:
                continue
            for port, endpoints in parsed.endpoints.items():
                at = found.setdefault(port, {})
                for e in endpoints:
                    known = at.get((e.ip, e.port))
                    if known is None or (e.ready, e.serving) > (known.ready, known.serving):
                        at[(e.ip, e.port)] = e
        return {port: sorted(at.values()) for port, at in found.items()}

    def _update_checks(self, keys: Iterable[ServiceKey]) -> None:
        for key in keys:
            found = next((s for v in (4, 6) if (s := self._service(key, v)) is not None), None)
            if found is None or not found.health_check_port:
                self._checks.pop(key, None)
                continue
            ready = {
                e.ip
                for version in (4, 6)
                for endpoints in self._endpoints(key, version).values()
                for e in endpoints
                if e.ready and e.node == self._node_name
            }
            self._checks[key] = Check(found.health_check_port, len(ready))

    # -- acting

    async def _sync(self, table: "_Table", changed: set[ServiceKey]) -> None:
        keys = set(map(_key, self._services.items())) if table.dirty else changed
        pieces: dict[ServiceKey, Piece | None] = {}
        for key in keys:
            found = self._service(key, table.version)
            endpoints = self._endpoints(key, table.version) if found else {}
            pieces[key] = piece(found, endpoints, self._node, table.family) if found else None
            table.note_flows(key, conntrack.flows(found, endpoints, self._node) if found else {})
        time = asyncio.get_running_loop().time
        started = time()
        try:
            await table.apply(pieces)
            self.metrics.synced(table.version, time() - started)
        except (nft.NftError, TimeoutError, OSError) as e:
            log.error("cannot write the %s table, trying again: %s", table.family.table, e)
            table.dirty = True
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake.set)
        if table.ruleset.stale:
            asyncio.get_running_loop().call_later(STALE_SECONDS + 0.1, self._wake.set)

    async def _watch_over_tables(self) -> None:
        while True:
            await asyncio.sleep(self._sync_seconds)
            for table in self._tables.values():
                if not await table.intact():
                    log.warning("somebody removed our rules; writing the %s table again", table.family.table)
                    table.dirty = True
                    self._wake.set()


class _Table:
    """One family's table. dirty: what is in the kernel is not known, everything has to be written."""

    def __init__(self, family: Family, masquerade_all: bool):
        self.family = family
        self.version = family.version
        self.ruleset = Ruleset(family, masquerade_all=masquerade_all)
        self.dirty = True
        self._exists = False
        self._emptied: dict[str, float] = {}
        self._flows: dict[ServiceKey, conntrack.Flows] = {}
        self._cut: list[list[str]] = []

    def note_flows(self, key: ServiceKey, flows: conntrack.Flows) -> None:
        """UDP flows to cut after the next transaction. What runs when we start goes on."""
        old = self._flows.pop(key, {})
        if flows:
            self._flows[key] = flows
        if old != flows and not self.dirty:
            self._cut += conntrack.deletions(old, flows, self.version)

    async def apply(self, pieces: dict[ServiceKey, Piece | None]) -> None:
        if self.dirty or not self._exists:
            await self._replace({key: p for key, p in pieces.items() if p is not None})
        elif script := self.ruleset.change(pieces):
            self.dirty = True  # until it is known to have worked
            await nft.apply(script)
            self.dirty = False
        await self._clean()
        cut, self._cut = self._cut, []
        for arguments in cut:
            await nft.conntrack(arguments)

    async def intact(self) -> bool:
        return not self._exists or await nft.has_rules(self.family.ip, TABLE, "services")

    async def _replace(self, pieces: dict[ServiceKey, Piece]) -> None:
        """IPv6 gets its table with its first service. A table that cannot be adopted, because another version of the
        program shaped it, is exchanged whole; that too is one transaction."""
        if not pieces and not self.dirty:
            return
        there = await nft.contents(self.family.ip, TABLE)
        if there is None and not pieces and self.version == 6:
            self._exists = self.dirty = False
            return
        try:
            await nft.apply(self.ruleset.replace(pieces, there))
        except nft.NftError:
            drop = f"add table {self.family.table}\ndelete table {self.family.table}\n"
            await nft.apply(drop + self.ruleset.replace(pieces))
        self._exists, self.dirty = True, False

    async def _clean(self) -> None:
        """Deletes chains that have been empty for long enough."""
        now = asyncio.get_running_loop().time()
        self._emptied = {name: self._emptied.get(name, now) for name in self.ruleset.stale}
        old = [name for name, since in self._emptied.items() if now - since >= STALE_SECONDS]
        if old and (script := self.ruleset.delete_stale(old)):
            try:
                await nft.apply(script)
            except nft.NftError as e:
                log.warning("emptied chains stay for now: %s", e)
                self.dirty = True  # finds them again


def _key(obj: Obj) -> ServiceKey:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _service_of(slice: Obj) -> ServiceKey:
    return slice["metadata"]["namespace"], slice["metadata"]["labels"].get(SERVICE_NAME, "")


def _index(key: ServiceKey) -> str:
    return "/".join(key)
