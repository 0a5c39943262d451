"""Registers the node, keeps its lease alive, and writes its status when something has changed (or every five minutes)."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from skiff.api.gvr import LEASES, NODES
from skiff.api.types import Obj
from skiff.client.controller import Recorder
from skiff.client.rest import Client
from skiff.kubelet import node as pure
from skiff.kubelet.host import Machine
from skiff.kubelet.options import Options
from skiff.kubelet.pods import micro_timestamp
from skiff.kubelet.runtime import Runtime, RuntimeFailure, RuntimeInfo

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
UNREADY_S = 0.2
"""A node that is not ready looks again soon: often only the network's configuration is missing."""
UNREADY_SECONDS = 0.05
"""The first wait before looking again at a node that is not ready (at start its network is about to come); it grows."""


class NodeStatus:
    """health: asked before each look. `node` is the object as last read or written, None before registration."""

    def __init__(
        self,
        *,
        client: Client,
        node_name: str,
        node_ips: Sequence[str],
        machine: Machine,
        runtime: Runtime,
        recorder: Recorder,
        options: Options,
        health: Callable[[], pure.Health],
    ):
        self._client = client
        self._name = node_name
        self._ips = node_ips
        self._machine = machine
        self._runtime = runtime
        self._recorder = recorder
        self._options = options
        self._health = health
        self._look = asyncio.Event()
        self._written_at = 0.0
        self._lease: Obj | None = None
        self.node: Obj | None = None

    def look(self) -> None:
        """Something may have changed: pressure, the runtime's health."""
        self._look.set()

    @property
    def pod_cidr(self) -> str:
        return str(((self.node or {}).get("spec") or {}).get("podCIDR") or "")

    @property
    def ready(self) -> bool:
        conditions = ((self.node or {}).get("status") or {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    async def register(self) -> None:
        """Until it has succeeded: create the node or take over the one there is."""
        wait = 0.1
        while True:
            try:
                await self._register()
                return
            except (StatusError, ConnectionError) as e:
                log.warning("registering node %s: %s", self._name, e)
                await asyncio.sleep(wait)
                wait = min(wait * 2, 7.0)

    async def _register(self) -> None:
        wanted = pure.node_object(self._machine, self._name, self._options)
        try:
            if not self._options.register_node:
                self.node = await self._client.get(NODES, self._name)
                return
            self.node = await self._client.create(NODES, {**wanted, "status": await self._status([])})
        except StatusError as e:
            if not is_already_exists(e):
                raise
            self.node = await self._client.get(NODES, self._name)
            labels = self.node["metadata"].get("labels") or {}
            missing = {k: v for k, v in wanted["metadata"]["labels"].items() if labels.get(k) != v}
            if missing:
                self.node = await self._client.patch(NODES, self._name, {"metadata": {"labels": missing}})
        self._recorder.event(self._reference(), "Normal", "Starting", "Starting kubelet.")

    def _reference(self) -> Obj:
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name, "uid": self._name}}

    async def run(self) -> None:
        """Status and lease, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_status(), name="node status")
            tasks.create_task(self._keep_lease(), name="node lease")

    async def _keep_status(self) -> None:
        unready = UNREADY_SECONDS
        while True:
            wait = self._options.status_seconds
            try:
                await self.update()
                if not self.ready:
                    wait = UNREADY_S
                unready = UNREADY_SECONDS if self._is_ready() else min(unready * 1.5, wait)
                wait = wait if self._is_ready() else unready
            except (StatusError, ConnectionError, RuntimeFailure) as e:
                log.warning("status of node %s not written: %s", self._name, e)
                wait = 1.0
            try:
                async with asyncio.timeout(wait):
                    await self._look.wait()
            except TimeoutError:
                pass  # the regular look
            self._look.clear()

    def _is_ready(self) -> bool:
        conditions = ((self.node or {}).get("status") or {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    async def refresh(self) -> None:
        """Read the node again, if that is possible now."""
        try:
            self.node = await self._client.get(NODES, self._name)
        except (StatusError, ConnectionError) as e:
            log.debug("reading node %s: %s", self._name, e)

    async def update(self) -> None:
        """Reads the node, writes its status if that differs or is old. Registers anew if someone deleted it."""
        try:
            self.node = await self._client.get(NODES, self._name)
        except StatusError as e:
            if not is_not_found(e):
                raise
            await self.register()
            assert self.node is not None
        old = self.node.get("status") or {}
        new = await self._status(old.get("conditions") or [])
        due = env.epoch() - self._written_at >= self._options.status_report_seconds
        if not due and not pure.differs(old, new):
            return
        changes = {k: v for k, v in new.items() if (old.get(k) or None) != (v or None)}
        self.node = await self._client.patch(
            NODES, self._name, {"status": changes}, type="strategic", subresource="status"
        )
        self._written_at = env.epoch()
        self._tell(old.get("conditions") or [], new["conditions"])

    def _tell(self, old: Sequence[Obj], new: Sequence[Obj]) -> None:
        """An event for each condition that has turned."""
        before = {c["type"]: c["status"] for c in old}
        for c in new:
            if before.get(c["type"]) == c["status"]:
                continue
            if c["type"] == "Ready":
                reason = "NodeReady" if c["status"] == "True" else "NodeNotReady"
            elif c["type"] in ("MemoryPressure", "DiskPressure", "PIDPressure"):
                reason = c["reason"].replace("Kubelet", "Node")
            else:
                continue
            text = f"Node {self._name} status is now: {reason}"
            self._recorder.event(self._reference(), "Normal", reason, text)

    async def _status(self, before: Sequence[Obj]) -> Obj:
        health = self._health()
        try:
            info, images = await asyncio.gather(self._runtime.info(), self._runtime.list_images())
        except RuntimeFailure as e:
            info, images = RuntimeInfo("containerd", "", runtime_problem=f"container runtime is down: {e}"), []
        problem = health.problem or problem_of(info)
        health = pure.Health(health.memory_pressure, health.disk_pressure, health.pid_pressure, problem)
        return pure.node_status(
            self._machine, self._name, self._ips, self._options,
            info=info, images=images, health=health, before=before, now=env.epoch(),
        )  # fmt: skip

    async def _keep_lease(self) -> None:
        interval = self._options.lease_seconds / 4
        while True:
            wait = interval * (1 + 0.04 * (env.rng().random() - 0.5))
            try:
                await self._renew()
            except (StatusError, ConnectionError) as e:
                log.warning("lease of node %s not renewed: %s", self._name, e)
                wait = 1.0
                self._lease = None
            await asyncio.sleep(wait)

    async def _renew(self) -> None:
        now = micro_timestamp(env.epoch())
        if self._lease is None:
            try:
                self._lease = await self._client.get(LEASES, self._name, LEASE_NAMESPACE)
            except StatusError as e:
                if not is_not_found(e):
                    raise
                self._lease = await self._client.create(LEASES, self._new_lease(now), LEASE_NAMESPACE)
                return
        spec = {**self._lease["spec"], "holderIdentity": self._name, "renewTime": now}
        spec["leaseDurationSeconds"] = self._options.lease_seconds
        try:
            self._lease = await self._client.update(LEASES, {**self._lease, "spec": spec})
        except StatusError as e:
            if not is_conflict(e):
                raise
            self._lease = await self._client.get(LEASES, self._name, LEASE_NAMESPACE)

    def _new_lease(self, now: str) -> Obj:
        meta: Obj = {"name": self._name, "namespace": LEASE_NAMESPACE}
        if self.node is not None:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": self.node["metadata"]["uid"]}
            meta["ownerReferences"] = [owner]
        spec = {"holderIdentity": self._name, "leaseDurationSeconds": self._options.lease_seconds, "renewTime": now}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def problem_of(info: RuntimeInfo) -> str:
    """As upstream words it in the Ready condition."""
    found = [info.runtime_problem]
    if info.network_problem:
        found.append(f"container runtime network not ready: {info.network_problem}")
    return ", ".join(f for f in found if f)
