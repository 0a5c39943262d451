"""The small HTTPS face of a component: /healthz, /livez, /readyz for everybody, /metrics for who may read it.

The API server is asked who may (a TokenReview, then a SubjectAccessReview), as upstream's components do. The face never
decides about the component: an address that is taken already is logged, and the component works on.
"""

import argparse
import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skiff.api.errors import StatusError
from skiff.api.gvr import SUBJECTACCESSREVIEWS, TOKENREVIEWS
from skiff.api.types import Obj
from skiff.client import metrics
from skiff.client.rest import Client
from skiff.wire.messages import Request, Response

log = logging.getLogger(__name__)

TEXT = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
HEALTH = ("/healthz", "/livez", "/readyz")


def add_flags(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument("--bind-address", default="127.0.0.1", help="address of the health and metrics endpoint")
    parser.add_argument("--secure-port", type=int, default=port, help="its port; 0: there is none")
    parser.add_argument("--tls-cert-file", default="", help="its certificate; without one it is made at the start")
    parser.add_argument("--tls-private-key-file", default="", help="the certificate's key")


@asynccontextmanager
async def serving(args: argparse.Namespace, client: Client) -> AsyncIterator[None]:
    """The endpoint is there within the block."""
    from skiff.wire.server import serve

    if not args.secure_port:
        yield
        return
    face = Face(client)
    try:
        tls = _context(args.tls_cert_file, args.tls_private_key_file)
        server = await serve(face.handle, host=args.bind_address, port=args.secure_port, ssl=tls)
    except OSError as e:
        log.error("There is no health endpoint: %s", e, extra={"port": args.secure_port})
        yield
        return
    try:
        yield
    finally:
        await server.close(grace_seconds=1)


async def serve_plain(address: str, port: int) -> None:
    """Plain HTTP with /healthz and nothing else (the kubelet's port 10248). Until cancelled."""
    from skiff.wire.server import serve

    if not port:
        return
    try:
        server = await serve(_plain, host=address, port=port)
    except OSError as e:
        log.error("There is no health endpoint: %s", e, extra={"port": port})
        return
    try:
        await asyncio.Event().wait()
    finally:
        await server.close(grace_seconds=1)


async def _plain(request: Request) -> Response:
    if request.path.rstrip("/") != "/healthz":
        return Response(404, dict(TEXT), b"404 page not found\n")
    return Response(200, dict(TEXT), b"ok")


def _context(certificate: str, key: str) -> ssl.SSLContext | None:
    """None, and so plain HTTP, without a certificate: the address is the loopback one."""
    from skiff.wire.tls import server_context

    return server_context(certificate, key) if certificate and key else None


class Face:
    """`handle` answers a request."""

    def __init__(self, client: Client):
        self._client = client

    async def handle(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if request.method not in ("GET", "HEAD"):
            return Response(405, dict(TEXT), b"Method Not Allowed\n")
        if path in HEALTH:
            return Response(200, dict(TEXT), b"ok")
        if path != "/metrics":
            return Response(404, dict(TEXT), b"404 page not found\n")
        code = await self._refusal(request, path)
        if code:
            return Response(code, dict(TEXT), b"Unauthorized\n" if code == 401 else b"Forbidden\n")
        return Response(200, {"content-type": metrics.CONTENT_TYPE}, metrics.text().encode())

    async def _refusal(self, request: Request, path: str) -> int:
        """0: the caller may read it."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return 401
        try:
            review = await self._client.create(TOKENREVIEWS, {"spec": {"token": token.strip()}})
            status: Obj = review.get("status") or {}
            if not status.get("authenticated"):
                return 401
            user = {k: v for k, v in status["user"].items() if k in ("groups", "uid", "extra")}
            spec = {**user, "user": status["user"]["username"]}
            spec["nonResourceAttributes"] = {"path": path, "verb": "get"}
            access = await self._client.create(SUBJECTACCESSREVIEWS, {"spec": spec})
        except (StatusError, ConnectionError):
            return 500
        return 0 if (access.get("status") or {}).get("allowed") else 403
