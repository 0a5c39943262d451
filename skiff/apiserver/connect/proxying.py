"""Passing a request through to a backend: plain HTTP with streamed answers, and upgrades as raw connections.

Credentials and hop-by-hop headers stay here; redirects and links of the backend are led back through the proxy.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from skiff.api.errors import bad_request, service_unavailable
from skiff.apiserver.connect import links
from skiff.apiserver.connect.backends import Target, plain_error
from skiff.client.https import HTTPSTransport
from skiff.wire.messages import Request, Response, Stream
from skiff.wire.relay import relay

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_PRIVATE = ("authorization", "impersonate-", "x-remote-", "x-forwarded-", "host", "content-length", "expect")
CONNECT_S = 30


@dataclass(frozen=True, slots=True)
class Hop:
    """Where a request goes. path and query as they are sent on; prefix: the proxy's own path, for redirects."""

    target: Target
    path: str
    query: str
    prefix: str = ""
    more_headers: Sequence[tuple[str, str]] = ()
    """Headers of ours for the backend; one name may come several times."""


class Transports(Protocol):
    """Who has the way to a backend: Backends, or an extension server."""

    def transport(self, target: Target) -> HTTPSTransport: ...

    async def done(self, target: Target, transport: HTTPSTransport) -> None: ...


def is_upgrade(request: Request) -> bool:
    return any(t.strip().lower() == "upgrade" for t in request.headers.get("connection", "").split(","))


async def forward(backends: Transports, hop: Hop, request: Request) -> Response:
    """The backend's answer to the request. Raises StatusError 503 when it cannot be reached."""
    if is_upgrade(request):
        return await upgrade(backends, hop, request)
    transport = backends.transport(hop.target)
    try:
        response = await transport.send(_onward(hop, request, {}, stream=True))
    except ConnectionError as err:
        await backends.done(hop.target, transport)
        raise service_unavailable(f"error trying to reach service: {err}") from err
    except BaseException:
        await backends.done(hop.target, transport)
        raise
    headers = _clean(response.headers)
    location = headers.get("Location")
    if location:
        headers["Location"] = _led_back(location, hop, request)
    assert response.stream is not None
    stream = _passed_on(response.stream, backends, hop.target, transport)
    if hop.prefix and not location and request.method != "HEAD" and links.is_html(headers):
        encoding = _header(response, "content-encoding")
        headers = {k: v for k, v in headers.items() if k.lower() not in ("content-length", "content-encoding")}
        stream = links.rewritten(stream, encoding, lambda link: _led_back(link, hop, request))
    return Response(response.status, headers, stream=stream)


async def upgrade(backends: Transports, hop: Hop, request: Request) -> Response:
    """The same for a request that wants to become a raw connection: with 101 both sides are joined.

    Raises StatusError 500 when the backend cannot be reached."""
    if "upgrade" not in request.headers:
        raise bad_request("Upgrade request required")
    transport = backends.transport(hop.target)
    wanted = {"Connection": "Upgrade", "Upgrade": request.headers["upgrade"]}
    try:
        response, connection = await transport.upgrade(_onward(hop, request, wanted))
    except ConnectionError as err:
        await backends.done(hop.target, transport)
        raise plain_error(f"error dialing backend: {err}") from err
    if connection is None:
        await backends.done(hop.target, transport)
        if response.status < 400:
            raise plain_error(f"invalid upgrade response: status code {response.status}")
        return Response(response.status, _clean(response.headers), response.body)

    async def join(client: Stream) -> None:
        await relay(client, connection)
        await backends.done(hop.target, transport)

    headers = {**_clean(response.headers), "Connection": "Upgrade", "Upgrade": _header(response, "upgrade")}
    return Response(101, headers, upgrade=join)


async def _passed_on(
    stream: AsyncIterator[bytes], backends: Transports, target: Target, transport: HTTPSTransport
) -> AsyncIterator[bytes]:
    try:
        async for chunk in stream:
            yield chunk
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            with contextlib.suppress(ConnectionError):
                await close()
        await backends.done(target, transport)


def _onward(hop: Hop, request: Request, extra: Mapping[str, str], *, stream: bool = False) -> Request:
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in _HOP_BY_HOP and not name.startswith(_PRIVATE)
    }
    before = request.headers.get("x-forwarded-for")
    headers["X-Forwarded-For"] = f"{before}, {request.remote}" if before else request.remote
    headers["X-Forwarded-Host"] = request.headers.get("host", "")
    headers["X-Forwarded-Uri"] = request.raw_path or request.path
    headers["X-Forwarded-Proto"] = "https"
    scratch = {"stream": stream, "timeout_s": CONNECT_S if extra else None, "more_headers": hop.more_headers}
    return Request(
        request.method, hop.path, hop.query, {**headers, **extra}, request.body, raw_path=hop.path, scratch=scratch
    )


def _clean(headers: Mapping[str, str]) -> dict[str, str]:
    """Without what belongs to the connection that it came over; Date is the server's own."""
    canonical = {"content-length": "Content-Length", "location": "Location"}
    return {
        canonical.get(name.lower(), name): value
        for name, value in headers.items()
        if name.lower() not in _HOP_BY_HOP and name.lower() != "date"
    }


def _header(response: Response, name: str) -> str:
    return next((v for k, v in response.headers.items() if k.lower() == name), "")


def _led_back(location: str, hop: Hop, request: Request) -> str:
    """A redirect within the backend, as the client must follow it: through the proxy."""
    parts = urlsplit(location)
    backend = urlsplit(hop.target.base_url)
    elsewhere = parts.netloc and parts.netloc not in (backend.netloc, backend.hostname)
    if elsewhere or not parts.path.startswith("/") or parts.path.startswith(f"{hop.prefix}/"):
        return location
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{hop.prefix}{parts.path}{query}{fragment}"
