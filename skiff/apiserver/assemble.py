"""Gives an API server the parts that need the server itself: its own client, and the admission plugins over both.

server = APIServer(Registry(store, RESOURCES), authentication=..., authorization=..., admission=Chain([]))
admit(server, service_cidrs=["10.96.0.0/12"])
await server.start()
"""

from collections.abc import Sequence

from skiff.api.gvr import (
    IPADDRESSES,
    LIMITRANGES,
    NAMESPACES,
    PRIORITYCLASSES,
    RESOURCEQUOTAS,
    RUNTIMECLASSES,
    SERVICEACCOUNTS,
    SERVICECIDRS,
    STORAGECLASSES,
)
from skiff.api.types import GVR
from skiff.apiserver.admission import Chain
from skiff.apiserver.admission.builtin import plugins
from skiff.apiserver.admission.policies import configuration as policies
from skiff.apiserver.admission.webhooks.configuration import MUTATING, VALIDATING
from skiff.apiserver.allocators import ServiceAllocators
from skiff.apiserver.authz.escalation import Escalation
from skiff.apiserver.server import APIServer
from skiff.apiserver.serviceips import ServiceIPs
from skiff.client.inprocess import InProcess
from skiff.client.rest import Client
from skiff.wire.messages import UserInfo

LOOPBACK = UserInfo("system:apiserver", ("system:masters", "system:authenticated"))
INGRESSCLASSES = GVR("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False)

READ_BY_PLUGINS = (
    NAMESPACES,
    LIMITRANGES,
    RESOURCEQUOTAS,
    SERVICEACCOUNTS,
    PRIORITYCLASSES,
    STORAGECLASSES,
    RUNTIMECLASSES,
    INGRESSCLASSES,
    SERVICECIDRS,
    IPADDRESSES,
    MUTATING,
    VALIDATING,
    policies.MUTATING,
    policies.MUTATING_BINDINGS,
    policies.VALIDATING,
    policies.VALIDATING_BINDINGS,
)
"""What plugins look up without waiting; these caches are filled before the first request."""


def client_of(server: APIServer) -> Client:
    """The server's own client: it asks itself, with every right."""
    return Client(InProcess(server.handler, LOOPBACK), user_agent="kube-apiserver")


def admit(
    server: APIServer,
    *,
    service_cidrs: Sequence[str],
    node_ports: tuple[int, int] = (30000, 32767),
    escalation: bool = False,
    enable: Sequence[str] = (),
    disable: Sequence[str] = (),
) -> None:
    """Before `start`: the built-in admission plugins. escalation: nobody grants more than he has (with RBAC).
    Raises ValueError for an unknown plugin."""
    registry = server.registry
    guard = None
    if escalation and server.identity.rbac is not None:
        guard = Escalation(server.identity.rbac, server.authorization)
    allocators = ServiceAllocators(registry.lookup, service_cidrs=service_cidrs, node_ports=node_ports)
    server.service_ips = ServiceIPs(registry, allocators, client_of(server))
    server.admission = Chain(
        plugins(
            registry.lookup,
            client=client_of(server),
            allocators=allocators,
            registry=registry,
            authorization=server.authorization,
            metrics=server.metrics.admission,
            escalation=guard,
            enable=enable,
            disable=disable,
        )
    )
    for gvr in READ_BY_PLUGINS:
        served = registry.served(gvr)
        if served is not None:
            registry.want(served.cache)
