"""`skiff apiserver`: the API server as a process, with kube-apiserver's flag names.

`run` assembles it from the flags, listens, brings the cluster's own objects in, and serves until cancelled; then watches
end, requests in flight get a few seconds, and the store is closed last.
"""

import argparse
import asyncio
import ipaddress
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

import orjson

from skiff.apiserver.admission import Chain
from skiff.apiserver.aggregator.controller import Aggregator
from skiff.apiserver.assemble import admit, client_of
from skiff.apiserver.authn import Authentication, Authenticator
from skiff.apiserver.authn.bearer import Bearer, TokenAuthenticator
from skiff.apiserver.authn.jwt import KeySet, Signer
from skiff.apiserver.authn.openid import OpenIDDiscovery
from skiff.apiserver.authn.requestheader import Names
from skiff.apiserver.authn.serviceaccount import ServiceAccountTokens
from skiff.apiserver.authn.tokens import TokenIssuer
from skiff.apiserver.authn.x509 import ClientCertificate
from skiff.apiserver.authz import Authorization, Authorizer
from skiff.apiserver.bootstrap import (
    EXTENSION_AUTH,
    Addresses,
    Bootstrap,
    advertised,
    ensure_config_map,
    ensure_token_tracking,
)
from skiff.apiserver.components import Components
from skiff.apiserver.connect.backends import Backends
from skiff.apiserver.flags import add_flags
from skiff.apiserver.flowcontrol.controller import FlowControlController
from skiff.apiserver.flowcontrol.filter import FlowControl
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.apiserver.virtual import Identity
from skiff.store import Store
from skiff.store.open import open_store
from skiff.wire.reload import Reloading
from skiff.wire.server import Server, serve
from skiff.wire.tls import client_context, server_context

__all__ = ["add_flags", "build", "run"]

log = logging.getLogger(__name__)

QUIET_S = 0.2
"""At the end an idle client has so long to send what it is about to send."""


async def run(args: argparse.Namespace) -> None:
    """Serves until cancelled. Raises OSError, ValueError when it cannot start."""
    store = await open_store(_store_url(args))
    try:
        server, bootstrap = build(args, store)
        server.paths.booted = False
        await server.start()
        listening: list[Server] = []
        try:
            await _prepare(server, bootstrap, args)
            tls = _tls(args)
            for host in args.bind_address.split(","):
                listening.append(await serve(server.handler, host=host, port=args.secure_port, ssl=tls.context))
            log.info("Serving", extra={"addresses": args.bind_address, "port": args.secure_port})
            async with asyncio.TaskGroup() as group:
                group.create_task(tls.run(), name="certificates")
                group.create_task(bootstrap.run(), name="the cluster's own objects")
                group.create_task(server.custom.load(), name="custom resources")
                assert server.aggregator is not None and server.service_ips is not None
                group.create_task(server.service_ips.run(), name="addresses of services")
                if args.etcd_compaction_interval:
                    hub = server.registry.hub
                    group.create_task(hub.move_horizon(args.etcd_compaction_interval), name="horizon")
                group.create_task(server.aggregator.run(), name="aggregation")
                if server.flow is not None:
                    flow = FlowControlController(client_of(server), server.registry.lookup, server.flow)
                    group.create_task(flow.run(), name="flow control")
        finally:
            server.closing = True
            if listening and args.shutdown_delay_duration:
                await asyncio.sleep(args.shutdown_delay_duration)  # load balancers see that we are not ready
            await _close(server, listening, args.shutdown_grace_seconds)
    finally:
        await store.close()


def extension_authentication(args: argparse.Namespace) -> dict[str, str]:
    """What extension servers must know to believe us and our users."""
    found = {}
    if args.client_ca_file:
        found["client-ca-file"] = Path(args.client_ca_file).read_text()
    if args.requestheader_client_ca_file:
        found["requestheader-client-ca-file"] = Path(args.requestheader_client_ca_file).read_text()
        headers = request_headers(args)
        lists = {
            "allowed-names": headers.allowed,
            "username-headers": headers.username,
            "uid-headers": headers.uid,
            "group-headers": headers.group,
            "extra-headers-prefix": headers.extra_prefix,
        }
        found |= {f"requestheader-{name}": orjson.dumps(list(value)).decode() for name, value in lists.items()}
    return found


def _tls(args: argparse.Namespace) -> Reloading:
    authorities = [f for f in (args.client_ca_file, args.requestheader_client_ca_file) if f]

    def make() -> ssl.SSLContext:
        context = server_context(
            args.tls_cert_file, args.tls_private_key_file, client_ca_file=authorities[0] if authorities else ""
        )
        for file in authorities[1:]:
            context.load_verify_locations(file)
        return context

    return Reloading([args.tls_cert_file, args.tls_private_key_file, *authorities], make)


async def _prepare(server: APIServer, bootstrap: Bootstrap, args: argparse.Namespace) -> None:
    """What every client counts on, before the first one is let in: namespaces, priority classes, roles."""
    from skiff.apiserver.authz.bootstrap import reconcile

    await bootstrap.ensure()
    await reconcile(client_of(server))
    await ensure_config_map(client_of(server), EXTENSION_AUTH, extension_authentication(args))
    await ensure_token_tracking(client_of(server))
    server.paths.booted = True


async def _close(server: APIServer, listening: list[Server], grace_seconds: float) -> None:
    closing = [s.close(grace_seconds, quiet_seconds=QUIET_S) for s in listening]
    await asyncio.gather(*closing, return_exceptions=True)
    await server.close()


def _store_url(args: argparse.Namespace) -> str:
    if args.store:
        return str(args.store)
    if args.etcd_servers:
        return f"etcd://{args.etcd_servers}"
    raise ValueError("one of --store and --etcd-servers is needed")


def build(args: argparse.Namespace, store: Store) -> tuple[APIServer, Bootstrap]:
    """The assembled server, not yet started."""
    from skiff.api.resources.builtin import RESOURCES

    registry = Registry(store, RESOURCES)
    identity = _identity(args, registry)
    server = APIServer(
        registry,
        authentication=Authentication(_authenticators(args, identity), anonymous=args.anonymous_auth),
        authorization=Authorization(_authorizers(args, registry, identity)),
        admission=Chain([]),
        identity=identity,
    )
    server.backends = _backends(args, registry)
    server.timeout_s = args.request_timeout
    server.components = Components(registry.store)
    server.in_flight = (args.max_requests_inflight, args.max_mutating_requests_inflight)
    if args.enable_priority_and_fairness:
        seats = args.max_requests_inflight + args.max_mutating_requests_inflight
        server.flow = FlowControl(seats=seats, wait_s=args.request_timeout / 4, count=registry.count)
    server.aggregator = Aggregator(
        registry,
        client_of(server),
        certificate=(args.proxy_client_cert_file, args.proxy_client_key_file),
        routing=args.enable_aggregator_routing,
    )
    first, _, last = args.service_node_port_range.partition("-")
    admit(
        server,
        service_cidrs=args.service_cluster_ip_range.split(","),
        node_ports=(int(first), int(last)),
        escalation="RBAC" in args.authorization_mode,
        enable=_names(args.enable_admission_plugins),
        disable=_names(args.disable_admission_plugins),
    )
    return server, Bootstrap(client_of(server), registry.lookup, _addresses(args))


def _backends(args: argparse.Namespace, registry: Registry) -> Backends:
    def context(verify: bool) -> ssl.SSLContext:
        ca = Path(args.kubelet_certificate_authority).read_text() if args.kubelet_certificate_authority else ""
        made = client_context(ca_data=ca, verify=verify and bool(ca))
        if args.kubelet_client_certificate:
            made.load_cert_chain(args.kubelet_client_certificate, args.kubelet_client_key or None)
        return made

    return Backends(registry.lookup, kubelet_tls=context(True), kubelet_insecure=context(False))


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _addresses(args: argparse.Namespace) -> Addresses:
    networks = [ipaddress.ip_network(cidr) for cidr in args.service_cluster_ip_range.split(",")]
    advertise = advertised(args.advertise_address, args.bind_address.split(","))
    return Addresses(str(networks[0][1]), advertise, args.secure_port, tuple(map(str, networks)))


def _identity(args: argparse.Namespace, registry: Registry) -> Identity:
    issuers: Sequence[str] = args.service_account_issuer
    audiences = tuple(a for a in args.api_audiences.split(",") if a) or tuple(issuers[:1])
    tokens: list[TokenAuthenticator] = []
    identity = Identity(audiences=audiences)
    if args.service_account_key_file and issuers:
        keys = KeySet([Path(f).read_bytes() for f in args.service_account_key_file])
        tokens.append(ServiceAccountTokens(keys, issuers=issuers, audiences=audiences, lookup=registry.lookup))
        uri = args.service_account_jwks_uri or f"https://{_addresses(args).advertise}:{args.secure_port}/openid/v1/jwks"
        identity.openid = OpenIDDiscovery(keys, issuer=issuers[0], jwks_uri=uri)
    if args.service_account_signing_key_file and issuers:
        signer = Signer(Path(args.service_account_signing_key_file).read_bytes())
        identity.issuer = TokenIssuer(signer, issuer=issuers[0], audiences=audiences, lookup=registry.lookup)
    if args.token_auth_file:
        from skiff.apiserver.authn import tokenfile

        tokens.append(tokenfile.load(args.token_auth_file))
    if args.enable_bootstrap_token_auth:
        from skiff.apiserver.authn.bootstraptoken import BootstrapTokens

        tokens.append(BootstrapTokens(registry.lookup))
    identity.bearer = Bearer(tokens)
    return identity


def _authenticators(args: argparse.Namespace, identity: Identity) -> list[Authenticator]:
    users = ClientCertificate() if args.client_ca_file else None
    found: list[Authenticator] = [users] if users is not None else []
    if args.requestheader_client_ca_file:
        from skiff.apiserver.authn.requestheader import Authority, RequestHeader

        authority = Authority(Path(args.requestheader_client_ca_file).read_bytes())
        found = [RequestHeader(authority, request_headers(args), users)]
    return [*found, identity.bearer] if identity.bearer.authenticators else found


def request_headers(args: argparse.Namespace) -> Names:
    return Names(
        username=_names(args.requestheader_username_headers),
        uid=_names(args.requestheader_uid_headers),
        group=_names(args.requestheader_group_headers),
        extra_prefix=_names(args.requestheader_extra_headers_prefix),
        allowed=_names(args.requestheader_allowed_names),
    )


def _authorizers(args: argparse.Namespace, registry: Registry, identity: Identity) -> list[Authorizer]:
    from skiff.apiserver.authz.bootstrap import node_rules
    from skiff.apiserver.authz.node import Graph, NodeAuthorizer
    from skiff.apiserver.authz.paths import PublicPaths
    from skiff.apiserver.authz.rbac import RBAC
    from skiff.apiserver.authz.superuser import SuperUser

    found: list[Authorizer] = [SuperUser(), PublicPaths()]
    for mode in args.authorization_mode.split(","):
        if mode == "Node":
            found.append(NodeAuthorizer(Graph(registry.lookup), node_rules()))
        elif mode == "RBAC":
            identity.rbac = RBAC(registry.lookup)
            found.append(identity.rbac)
        else:
            raise ValueError(f"unknown authorization mode {mode!r}; known are Node and RBAC")
    return found
