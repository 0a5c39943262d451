"""The cluster's DNS server: informers, the view on them, resolver and sockets."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from skiff.api.gvr import ENDPOINTSLICES, NAMESPACES, SERVICES
from skiff.api.types import Obj
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.dns.forward import Forwarder, ResolvConf
from skiff.dns.publish import publish
from skiff.dns.records import Endpoint, Service, Slice, slim_namespace, slim_service, slim_slice
from skiff.dns.resolver import Resolver
from skiff.dns.server import Server


class DNS:
    """listen: (address, port) pairs. service_ip: also publish the kube-dns Service there; "": somebody else does."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        *,
        listen: Sequence[tuple[str, int]],
        domain: str = "cluster.local",
        service_ip: str = "",
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ):
        self._client = client
        self._listen = listen
        self._service_ip = service_ip
        self.view = ClusterView(informers)
        ours = {service_ip, *(host for host, _ in listen)}
        self._resolver = Resolver(self.view, Forwarder(ResolvConf(resolv_conf, ours)), domain)
        self.server = Server(listen, self._resolver.resolve)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.server.run(), name="dns server")
            if self._service_ip:
                group.create_task(self._publish(), name="dns service")
            await self.view.wait_synced()
            self._resolver.ready = True

    async def _publish(self) -> None:
        await self.server.listening.wait()
        await publish(self._client, self._service_ip, self.server.addresses)


class ClusterView:
    """answer.View over informers that keep records only."""

    def __init__(self, informers: Informers):
        self._services = informers.get(SERVICES, transform=slim_service)
        self._slices = informers.get(ENDPOINTSLICES, transform=slim_slice)
        self._namespaces = informers.get(NAMESPACES, transform=slim_namespace)
        self._services.add_index("address", lambda obj: obj["record"].addresses)
        self._slices.add_index("address", lambda obj: {e.address for e in obj["record"].endpoints})
        self._slices.add_index("service", lambda obj: [f"{obj['record'].namespace}/{obj['record'].service}"])
        self._serial = 1
        for informer in (self._services, self._slices):
            informer.add_handler(self._changed)

    def _changed(self, change: Change) -> None:
        self._serial += 1

    async def wait_synced(self) -> None:
        for informer in (self._services, self._slices, self._namespaces):
            await informer.wait_synced()

    @property
    def serial(self) -> int:
        return self._serial

    def has_namespace(self, name: str) -> bool:
        return self._namespaces.get("", name) is not None

    def service(self, namespace: str, name: str) -> Service | None:
        return _record(self._services.get(namespace, name))

    def slices(self, namespace: str, service: str) -> Sequence[Slice]:
        return [obj["record"] for obj in self._slices.by_index("service", f"{namespace}/{service}")]

    def services_at(self, address: str) -> Sequence[Service]:
        return [obj["record"] for obj in self._services.by_index("address", address)]

    def endpoints_at(self, address: str) -> Sequence[tuple[Slice, Endpoint]]:
        slices: list[Slice] = [obj["record"] for obj in self._slices.by_index("address", address)]
        return [(s, e) for s in slices for e in s.endpoints if e.address == address]


def _record(obj: Obj | None) -> Service | None:
    return obj["record"] if obj is not None else None
