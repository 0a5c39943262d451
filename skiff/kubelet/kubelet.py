"""The node agent, assembled: its parts meet in `Kubelet.run()`.

The watch of this node's pods feeds `PodManager`, which has one worker per pod; the runtime's events and the probes wake
workers; workers act through `Parts` and hand statuses to the status manager.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from skiff.api.gvr import PODS, SERVICES
from skiff.client.controller import Recorder
from skiff.client.informer import Informer, Informers
from skiff.client.rest import Client
from skiff.kubelet import node as node_objects
from skiff.kubelet.backoff import Backoff
from skiff.kubelet.host import Host, Machine
from skiff.kubelet.imagegarbage import ImageGarbage
from skiff.kubelet.imagepuller import ImagePuller
from skiff.kubelet.lifecycle import Hooks
from skiff.kubelet.logfiles import LogRotation
from skiff.kubelet.netfiles import parse_resolv_conf
from skiff.kubelet.nodestatus import NodeStatus
from skiff.kubelet.objects import ApiObjects
from skiff.kubelet.options import Options
from skiff.kubelet.parts import Parts
from skiff.kubelet.podcache import PodCache
from skiff.kubelet.podmanager import PodManager
from skiff.kubelet.pressure import Pressure
from skiff.kubelet.prober import Prober
from skiff.kubelet.runtime import Runtime, RuntimeFailure, RuntimeInfo
from skiff.kubelet.staticpods import StaticPods
from skiff.kubelet.statusmanager import StatusManager
from skiff.kubelet.volumes.manager import VolumeManager
from skiff.wire.messages import Handler

log = logging.getLogger(__name__)


class Kubelet:
    """One node. node_ips: its addresses, the first one the node's IP. informers: shared ones, for services; the kubelet
    runs its own when none are given. `on_pod_cidr` is told the node's pod CIDR once the API has one."""

    def __init__(
        self,
        *,
        client: Client,
        node_name: str,
        runtime: Runtime,
        host: Host,
        node_ip: str | Sequence[str],
        options: Options | None = None,
        informers: Informers | None = None,
        on_pod_cidr: Callable[[str], None] | None = None,
    ):
        self.client = client
        self.node_name = node_name
        self.node_ips = (node_ip,) if isinstance(node_ip, str) else tuple(node_ip)
        self.runtime = runtime
        self.host = host
        self.options = options or Options()
        self.recorder = Recorder(client, "kubelet", node_name)
        self.pods: PodManager | None = None
        self.parts: Parts | None = None
        self.nodes: NodeStatus | None = None
        self.assembled = asyncio.Event()
        self.ready = asyncio.Event()
        """Set when the node is registered and the pods' workers run."""
        self._own_informers = informers is None
        self._informers = informers or Informers(client)
        self._on_pod_cidr = on_pod_cidr

    async def run(self) -> None:
        """Until cancelled. Containers keep running when it ends; the next kubelet adopts them."""
        machine = self.host.machine()
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._assemble(tasks, machine)
        finally:
            await self.recorder.close()

    async def _assemble(self, tasks: asyncio.TaskGroup, machine: Machine) -> None:
        options = self.options
        services = self._informers.get(SERVICES)
        source = Informer(self.client, PODS, fields=f"spec.nodeName={self.node_name}")
        info = await self._runtime_info()
        pods = self.pods = PodManager(tasks=tasks, options=options)
        cache = PodCache(
            runtime=self.runtime,
            host=self.host,
            logs=options.logs,
            wake=pods.wake,
            relist_seconds=options.relist_seconds,
        )
        pressure = Pressure(host=self.host, pods=pods, options=options)
        nodes = self.nodes = NodeStatus(
            client=self.client, node_name=self.node_name, node_ips=self.node_ips, machine=machine, runtime=self.runtime,
            recorder=self.recorder, options=options, health=lambda: pressure.health(cache.problem),
        )  # fmt: skip
        pressure.changed = nodes.look
        self.parts = self._parts(tasks, machine, info.name, cache, pods, services, await self._node_files())
        pods.begin(self.parts)
        self.assembled.set()
        if self._own_informers:
            tasks.create_task(self._informers.run(), name="informers")
        tasks.create_task(cache.run(), name="pod cache")
        tasks.create_task(source.run(), name="pods of this node")
        await nodes.register()
        tasks.create_task(nodes.run(), name="node")
        tasks.create_task(self._watch_cidr(nodes), name="pod CIDR")
        await asyncio.gather(source.wait_synced(), services.wait_synced())
        await pods.adopt(source)
        tasks.create_task(pressure.run(self.parts), name="eviction")
        tasks.create_task(pods.run(), name="pods")
        if options.manifest_dir:
            static = StaticPods(client=self.client, pods=pods, options=options, node_name=self.node_name)
            tasks.create_task(static.run(), name="static pods")
        if self.host.keeps_files:
            garbage = ImageGarbage(images=self.runtime, host=self.host, pods=pods, options=options)
            tasks.create_task(garbage.run(), name="image garbage")
            rotation = LogRotation(cache=cache, runtime=self.runtime, options=options)
            tasks.create_task(rotation.run(), name="log rotation")
        self.ready.set()

    async def _runtime_info(self) -> RuntimeInfo:
        """As soon as the runtime answers."""
        while True:
            try:
                return await self.runtime.info()
            except RuntimeFailure as e:
                log.warning("waiting for the container runtime: %s", e)
                await asyncio.sleep(0.2)

    async def server_handler(self) -> Handler:
        """The HTTP face (logs, exec, stats), once the kubelet has begun."""
        from skiff.kubelet.access import Access
        from skiff.kubelet.server import KubeletServer
        from skiff.kubelet.stats import Stats

        await self.assembled.wait()
        assert self.pods is not None and self.parts is not None
        access = Access(client=self.client, node_name=self.node_name)
        stats = Stats(pods=self.pods, parts=self.parts)
        return KubeletServer(pods=self.pods, parts=self.parts, access=access, stats=stats).handler

    async def _node_files(self) -> tuple[str, str]:
        """resolv.conf and /etc/hosts of the node."""
        resolv = await self.host.read_file(self.options.resolv_conf, 1 << 16)
        hosts = await self.host.read_file("/etc/hosts", 1 << 20)
        return resolv.decode("utf-8", "replace"), hosts.decode("utf-8", "replace")

    def _parts(
        self,
        tasks: asyncio.TaskGroup,
        machine: Machine,
        runtime_name: str,
        cache: PodCache,
        pods: PodManager,
        services: Informer,
        files: tuple[str, str],
    ) -> Parts:
        options, host, runtime = self.options, self.host, self.runtime
        objects = ApiObjects(self.client)
        given = node_objects.allocatable(machine, options)
        return Parts(
            node_name=self.node_name,
            node_ips=self.node_ips,
            runtime_name=runtime_name,
            options=options,
            runtime=runtime,
            host=host,
            recorder=self.recorder,
            cache=cache,
            objects=objects,
            volumes=VolumeManager(
                host=host, objects=objects, root=options.root, node_name=self.node_name, allocatable=given
            ),
            images=ImagePuller(images=runtime, recorder=self.recorder, parallel=options.max_parallel_pulls),
            hooks=Hooks(runtime=runtime, host=host),
            prober=Prober(runtime=runtime, host=host, recorder=self.recorder, wake=pods.wake, tasks=tasks),
            statuses=StatusManager(client=self.client, tasks=tasks, on_gone=pods.gone),
            backoff=Backoff(),
            services=services.items,
            node=lambda: self.nodes.node if self.nodes else None,
            refresh_node=self._refresh_node,
            api_pod=pods.api_pod,
            burstable_milli=pods.burstable_milli,
            allocatable=given,
            memory=machine.memory,
            resolver=parse_resolv_conf(files[0]),
            hosts_text=files[1],
        )

    async def _refresh_node(self) -> None:
        if self.nodes is not None:
            await self.nodes.refresh()

    async def _watch_cidr(self, nodes: NodeStatus) -> None:
        """Tells the network once which addresses this node's pods get."""
        if self._on_pod_cidr is None:
            return
        while not nodes.pod_cidr:
            await asyncio.sleep(0.2)
            await nodes.refresh()
        self._on_pod_cidr(nodes.pod_cidr)
