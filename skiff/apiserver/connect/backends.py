"""Where a node's kubelet, a pod or a service is reached, and a transport to there.

Kubelets are reached with the API server's client certificate and verified; transports to them are kept. Pods and
services are reached as upstream does: any certificate is fine, addresses that are not global are refused.
"""

import ipaddress
import ssl
from dataclasses import dataclass

from skiff import env
from skiff.api.errors import StatusError, bad_request, not_found, service_unavailable, status_error
from skiff.api.gvr import ENDPOINTS, NODES, PODS, SERVICES
from skiff.api.types import Obj
from skiff.apiserver.lookup import Lookup
from skiff.client.https import HTTPSTransport

KUBELET_PORT = 10250
ADDRESS_TYPES = ("InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", "Hostname")
_SCHEMES = ("", "http", "https")


@dataclass(frozen=True, slots=True)
class Target:
    """One backend. insecure: any certificate will do. kubelet: reached with the API server's own certificate."""

    scheme: str
    host: str
    port: int
    kubelet: bool = False
    insecure: bool = False

    @property
    def base_url(self) -> str:
        literal = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{literal}:{self.port}"


class Backends:
    """kubelet_tls: with the client certificate and the kubelets' CA. kubelet_insecure: the same without verification."""

    def __init__(
        self,
        lookup: Lookup,
        *,
        kubelet_tls: ssl.SSLContext | None = None,
        kubelet_insecure: ssl.SSLContext | None = None,
    ):
        self._lookup = lookup
        self._kubelet_tls = kubelet_tls
        self._kubelet_insecure = kubelet_insecure
        self._any_tls: ssl.SSLContext | None = None
        self._kept: dict[Target, HTTPSTransport] = {}

    async def close(self) -> None:
        for transport in self._kept.values():
            await transport.close()

    def transport(self, target: Target) -> HTTPSTransport:
        """A transport to the target. Those to kubelets are kept; others are closed by `done`."""
        found = self._kept.get(target)
        if found is None:
            found = HTTPSTransport(target.base_url, self._tls(target))
            if target.kubelet:
                self._kept[target] = found
        return found

    async def done(self, target: Target, transport: HTTPSTransport) -> None:
        if not target.kubelet:
            await transport.close()

    def _tls(self, target: Target) -> ssl.SSLContext | None:
        if target.scheme != "https":
            return None
        if target.kubelet:
            return self._kubelet_insecure if target.insecure else self._kubelet_tls
        if self._any_tls is None:
            from skiff.wire.tls import client_context

            self._any_tls = client_context(verify=False)
        return self._any_tls

    # where

    async def kubelet(self, node_name: str, *, insecure: bool = False) -> Target:
        """Raises StatusError 404 for a node that does not exist, 500 for one without an address."""
        node = await self._lookup.fresh(NODES, "", node_name)
        if node is None:
            raise not_found(NODES, node_name)
        status = node.get("status") or {}
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        return Target("https", preferred_address(node), endpoint.get("Port") or KUBELET_PORT, True, insecure)

    async def node(self, request_name: str) -> Target:
        """For nodes/proxy: `name`, `name:port`, `scheme:name:port`; the kubelet unless another port is named."""
        scheme, name, port = split_name("node", request_name)
        kubelet = await self.kubelet(name)
        _check_address(kubelet.host)
        if not port or port == str(kubelet.port):
            return kubelet
        return Target(scheme or "http", kubelet.host, _number(port))

    async def pod(self, namespace: str, request_name: str) -> Target:
        """For pods/proxy; without a port the first one that a container declares."""
        scheme, name, port = split_name("pod", request_name)
        pod = await self.existing_pod(namespace, name)
        declared = (p["containerPort"] for c in pod["spec"].get("containers") or () for p in c.get("ports") or ())
        number = _number(port) if port else next(declared, 443 if scheme == "https" else 80)
        status = pod.get("status") or {}
        ips = status.get("podIPs") or [{"ip": status.get("podIP", "")}]
        _check_address(ips[0].get("ip", ""))
        return Target(scheme or "http", ips[0]["ip"], number)

    async def service(self, namespace: str, request_name: str) -> Target:
        """For services/proxy: one of the ready pods behind the service, by chance. port: a number or a name."""
        scheme, name, port = split_name("service", request_name)
        if port.isdigit():
            service = await self._lookup.fresh(SERVICES, namespace, name)
            if service is None:
                raise not_found(SERVICES, name)
            ports = [p for p in service["spec"].get("ports") or () if p["port"] == int(port)]
            if not ports:
                raise service_unavailable(f'no service port {port} found for service "{name}"')
            port = ports[0].get("name", "")
        endpoints = await self._lookup.fresh(ENDPOINTS, namespace, name)
        if endpoints is None:
            service = await self._lookup.fresh(SERVICES, namespace, name)
            raise not_found(SERVICES if service is None else ENDPOINTS, name)
        choices = [
            (address, p["port"])
            for subset in endpoints.get("subsets") or ()
            for p in subset.get("ports") or ()
            if p.get("name", "") == port
            for address in subset.get("addresses") or ()
        ]
        env.rng().shuffle(choices)
        for address, number in choices:
            if await self._is_pods_own(address):
                return Target(scheme or "http", address["ip"], number)
        raise service_unavailable(f'no endpoints available for service "{request_name}"')

    async def existing_pod(self, namespace: str, name: str) -> Obj:
        pod = await self._lookup.fresh(PODS, namespace, name)
        if pod is None:
            raise not_found(PODS, name)
        return pod

    async def _is_pods_own(self, address: Obj) -> bool:
        """Only addresses of pods are reached: an Endpoints object is anybody's text."""
        ref = address.get("targetRef") or {}
        if ref.get("kind") != "Pod":
            return False
        pod = await self._lookup.fresh(PODS, ref.get("namespace", ""), ref.get("name", ""))
        status = (pod or {}).get("status") or {}
        return address.get("ip") in [status.get("podIP"), *(p.get("ip") for p in status.get("podIPs") or ())]


def split_name(what: str, request_name: str) -> tuple[str, str, str]:
    """(scheme, name, port) of `name`, `name:port` or `scheme:name:port`. Raises StatusError 400."""
    parts = request_name.split(":")
    if len(parts) <= 2:
        parts = ["", *parts, ""][:3]
    if len(parts) == 3 and parts[1] and parts[0] in _SCHEMES:
        return parts[0], parts[1], parts[2]
    raise bad_request(f'invalid {what} request "{request_name}"')


def preferred_address(node: Obj) -> str:
    """Raises StatusError 500 when the node has not reported any."""
    addresses = (node.get("status") or {}).get("addresses") or []
    for kind in ADDRESS_TYPES:
        for address in addresses:
            if address.get("type") == kind and address.get("address"):
                return str(address["address"])
    raise plain_error(f"no preferred addresses found; known addresses: {[a.get('address') for a in addresses]}")


def plain_error(message: str) -> StatusError:
    """500 with a sentence and no reason, as upstream words what breaks behind it."""
    return status_error(500, "", message)


def _number(port: str) -> int:
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise bad_request(f'invalid port "{port}"')
    return int(port)


def _check_address(host: str) -> None:
    """A proxy must not lead to the server's own machine or link. Raises StatusError 400."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        if not host:
            raise bad_request("address not allowed") from None
        return  # a name: only a node's own report can bring one here
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise bad_request("address not allowed")
