"""Keeps this node's pod network as the API says: CNI configuration, nftables table, routes to the other nodes.

Level-triggered: a change of a node or of a pod with host ports marks it dirty; one worker makes everything as it should
be and tries again after a failure. What is there already is adopted, nothing is torn down at the end: pods go on
without us.
"""

import asyncio
import ipaddress
import json
import logging
from pathlib import Path

from skiff import process
from skiff.api.gvr import NODES, PODS
from skiff.api.types import Obj
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.network import cni, routes
from skiff.network.host import POD_BRIDGE, PROTOCOL, NetworkError, setup_bridge
from skiff.network.hostports import HostPort, host_ports, slim_pod
from skiff.network.nftables import table

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
COMMAND_SECONDS = 30.0


def slim_node(node: Obj) -> Obj:
    """For the informer: heartbeats change a node every few seconds, and none of that matters here."""
    meta = {k: node["metadata"].get(k) for k in ("name", "resourceVersion", "uid")}
    spec = {k: node.get("spec", {}).get(k) for k in ("podCIDR", "podCIDRs")}
    return {"metadata": meta, "spec": spec, "status": {"addresses": node.get("status", {}).get("addresses")}}


class Network:
    """`node_name`: whose network this is. cluster_cidr: of all pods; service_cidr: of all services. bridge: of the nodes; its route_localnet is on."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        node_name: str,
        *,
        cluster_cidr: str = "10.244.0.0/16",
        service_cidr: str = "10.96.0.0/12",
        cni_conf_dir: Path = Path("/etc/cni/net.d"),
        cni_data_dir: Path = Path("/var/lib/cni/networks"),
        bridge: str = "skiff0",
        mtu: int = 0,
    ):
        self.node_name = node_name
        self._cluster_cidr = cluster_cidr
        self._service_cidr = service_cidr
        self._cni_conf_dir = cni_conf_dir
        self._cni_data_dir = cni_data_dir
        self._bridge = bridge
        self._mtu = mtu
        self._nodes = informers.get(NODES, transform=slim_node)
        self._pods = informers.get(PODS, fields=f"spec.nodeName={node_name}", transform=slim_pod)
        self._dirty = asyncio.Event()
        self._applied = ""
        self._configured = ""
        self._routed: dict[str, str] | None = None

    async def run(self) -> None:
        """Until cancelled."""
        self._nodes.add_handler(self._node_changed)
        self._pods.add_handler(lambda change: self._dirty.set())
        await self._nodes.wait_synced()
        await self._pods.wait_synced()
        await warn_of_firewall()
        while True:
            self._dirty.clear()
            try:
                await self._reconcile()
            except (NetworkError, OSError, TimeoutError) as e:
                log.error("the node's network is not as it should be, trying again: %s", e)
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._dirty.set)
            await self._dirty.wait()

    def _node_changed(self, change: Change) -> None:
        old, new = change.old, change.new
        if old is None or new is None or (old["spec"], old["status"]) != (new["spec"], new["status"]):
            self._dirty.set()

    async def _reconcile(self) -> None:
        own = self._nodes.get("", self.node_name)
        if own is None or not (cidr := routes.pod_cidr(own)):
            return
        await self._apply_table(cidr, host_ports(self._pods.items()))
        await self._write_cni(cidr)
        await self._apply_routes(routes.wanted(self._nodes.items(), self.node_name))

    async def _apply_table(self, cidr: str, ports: list[HostPort]) -> None:
        text = table(cidr, self._cluster_cidr, ports, self._bridge)
        if text != self._applied:
            await run("nft", "-f", "-", stdin=text)
            self._applied = text

    async def _write_cni(self, cidr: str) -> None:
        """Last of what a pod needs: with this file the node becomes Ready."""
        if cidr == self._configured:
            return
        network = ipaddress.IPv4Network(cidr)
        await asyncio.to_thread(setup_bridge, POD_BRIDGE, f"{network[1]}/{network.prefixlen}", self._mtu)
        # The kernel looks for a route before the proxy's rules see a packet: without one, a node that has no default
        # route (a laptop without network) could not reach its own services.
        await run("ip", "route", "replace", self._service_cidr, "dev", POD_BRIDGE, "proto", "static")
        cni.write(self._cni_conf_dir, cni.conflist(cidr, self._cni_data_dir, self._mtu))
        self._configured = cidr
        log.info("pod network configured: pods=%s", cidr)

    async def _apply_routes(self, want: dict[str, str]) -> None:
        if want == self._routed:
            return
        have = json.loads(await run("ip", "-json", "-4", "route", "show", "proto", PROTOCOL) or "[]")
        gone, new = routes.changes(have, want)
        steps = [f"route delete {destination} proto {PROTOCOL}\n" for destination in gone]
        steps += [f"route replace {destination} via {gateway} proto {PROTOCOL}\n" for destination, gateway in new]
        if steps:
            await run("ip", "-batch", "-", stdin="".join(steps))
        self._routed = want


async def warn_of_firewall() -> None:
    """Another program's forward chain that drops by default would cut off the pods; only its owner can change that."""
    try:
        chains = json.loads(await run("nft", "-json", "list", "chains"))["nftables"]
    except (NetworkError, OSError, TimeoutError, ValueError, KeyError) as e:
        log.warning("cannot see whether a firewall drops forwarded packets: %s", e)
        return
    for chain in (item["chain"] for item in chains if "chain" in item):
        if chain.get("hook") == "forward" and chain.get("policy") == "drop":
            name = f"{chain['family']} {chain['table']} {chain['name']}"
            log.warning("firewall: chain %s drops forwarded packets; let it accept those of %s", name, POD_BRIDGE)


async def run(*argv: str, stdin: str = "") -> str:
    """One command, its output. Raises NetworkError, TimeoutError; a cancelled one is killed."""
    done = await process.run(*argv, stdin=stdin, seconds=COMMAND_SECONDS)
    if done.code:
        raise NetworkError(f"{' '.join(argv)}: {done.err.strip()}")
    return done.out
