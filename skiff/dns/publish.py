"""The Service by which pods find this server: kube-system/kube-dns, with an EndpointSlice that leads to us.

There is no pod behind it, so no selector either, and no controller writes the slice.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Sequence

from skiff.api.errors import StatusError, is_already_exists, is_conflict, is_not_found
from skiff.api.gvr import ENDPOINTSLICES, SERVICES
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
NAME = "kube-dns"
RETRY_SECONDS = 1.0
PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def service(cluster_ip: str, port: int) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "clusterIP": cluster_ip,
            "ports": [{"name": n, "port": 53, "protocol": p, "targetPort": port} for n, p in PORTS],
        },
    }


def slice_of(addresses: Sequence[str], port: int) -> Obj:
    """All addresses are of one family."""
    version = ipaddress.ip_address(addresses[0]).version
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{NAME}-skiff",
            "namespace": NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": "dns.skiff",
            },
        },
        "addressType": f"IPv{version}",
        "endpoints": [
            {"addresses": [a], "conditions": {"ready": True, "serving": True, "terminating": False}} for a in addresses
        ],
        "ports": [{"name": n, "port": port, "protocol": p} for n, p in PORTS],
    }


async def publish(client: Client, cluster_ip: str, listen: Sequence[tuple[str, int]]) -> None:
    """Returns when both are there; tries until then."""
    port = listen[0][1]
    while True:
        try:
            await _ensure(client, SERVICES, service(cluster_ip, port), keep=True)
            await _ensure(client, ENDPOINTSLICES, slice_of([host for host, _ in listen], port), keep=False)
            return
        except (StatusError, ConnectionError, TimeoutError) as e:
            log.warning("cannot publish the DNS service yet: %s", e)
            await asyncio.sleep(RETRY_SECONDS)


async def _ensure(client: Client, gvr: GVR, wanted: Obj, *, keep: bool) -> None:
    """keep: what is there is left as it is; it may have been changed on purpose."""
    try:
        found = await client.get(gvr, wanted["metadata"]["name"], NAMESPACE)
    except StatusError as e:
        if not is_not_found(e):
            raise
        try:
            await client.create(gvr, wanted, NAMESPACE)
        except StatusError as e:
            if not is_already_exists(e):
                raise
        return
    if keep or all(found.get(part) == wanted[part] for part in ("endpoints", "ports")):
        return
    try:
        await client.update(gvr, {**found, "endpoints": wanted["endpoints"], "ports": wanted["ports"]})
    except StatusError as e:
        if not is_conflict(e):
            raise
        await _ensure(client, gvr, wanted, keep=keep)
