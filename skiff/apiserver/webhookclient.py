"""Calls to a webhook: a clientConfig (a URL or a Service, with its caBundle) made to one POST of JSON after the other.

Connections are kept between the calls; whoever made a client gives it up with `retire` when its configuration is gone.
What goes wrong is worded as upstream's client does. Source: apiserver pkg/util/webhook, client-go rest/request.go.
"""

import asyncio
import socket
import ssl
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from skiff.api.errors import StatusError, status_error
from skiff.api.gvr import SERVICES
from skiff.api.resources.fields import get
from skiff.api.types import Obj
from skiff.apiserver.lookup import Lookup
from skiff.client.https import HTTPSTransport, Stale
from skiff.wire.messages import Request, Response
from skiff.wire.tls import client_context

HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, */*",
    "user-agent": "kube-apiserver-admission",
}


class CallError(Exception):
    """No answer came."""


class WebhookClient:
    """config: a clientConfig."""

    def __init__(self, config: Mapping[str, Any], lookup: Lookup):
        self._config = config
        self._lookup = lookup
        self._tls: ssl.SSLContext | None = None
        self._transport: HTTPSTransport | None = None
        self._base = ""
        url, service = config.get("url"), config.get("service") or {}
        if url:
            parts = urlsplit(url)
            self._origin, self._path = f"https://{parts.netloc}", parts.path
            self._server_name = ""
        else:
            self._server_name = f"{service.get('name', '')}.{service.get('namespace', '')}.svc"
            self._origin = f"https://{self._server_name}:{service.get('port') or 443}"
            self._path = service.get("path") or ""
        self._path = self._path if self._path.startswith("/") else f"/{self._path}"

    async def post(self, body: bytes, timeout_s: float) -> bytes:
        """The answer's body. Raises CallError, and StatusError when the webhook answers with another code than 2xx."""
        seconds = max(1, -int(-timeout_s // 1))
        query = f"timeout={seconds}s"
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._send(body, query)
        except TimeoutError:
            raise self._failed(query, "context deadline exceeded") from None
        except (OSError, ValueError) as e:
            raise self._failed(query, _words(e)) from e
        if not 200 <= response.status < 300:
            raise _refusal(response)
        if not response.body:
            kind = next((v for k, v in response.headers.items() if k.lower() == "content-type"), "")
            raise CallError(f"0-length response with status code: {response.status} and content type: {kind}")
        return response.body

    def retire(self) -> None:
        """Calls that are under way end as they would; nothing is kept after them."""
        if self._transport is not None:
            self._transport.retire()
            self._transport = None

    def _failed(self, query: str, why: str) -> CallError:
        return CallError(f'Post "{self._origin}{self._path}?{query}": {why}')

    async def _send(self, body: bytes, query: str) -> Response:
        transport = await self._current()
        request = Request("POST", self._path, query, HEADERS, body, raw_path=self._path)
        request.scratch["timeout_s"] = None  # `post` watches the clock
        try:
            return await transport.send(request)
        except Stale:  # closed while it was not used: nobody has seen the request
            return await transport.send(request)

    async def _current(self) -> HTTPSTransport:
        """Another one when the service has got another address."""
        base = self._origin if not self._server_name else await self._service()
        if self._transport is None or base != self._base:
            self.retire()
            self._base = base
            host = self._origin.removeprefix("https://")
            self._transport = HTTPSTransport(base, self._context(), server_name=self._server_name, host=host)
        return self._transport

    async def _service(self) -> str:
        """Where the service is reached. Raises ValueError."""
        service = self._config.get("service") or {}
        name, namespace, port = service.get("name", ""), service.get("namespace", ""), service.get("port") or 443
        found = self._lookup.get(SERVICES, namespace, name) or await self._lookup.fresh(SERVICES, namespace, name)
        if found is None:
            raise ValueError(f'service "{name}" not found')
        address = get(found, "spec", "clusterIP") or ""
        if get(found, "spec", "type") == "ExternalName":
            address = get(found, "spec", "externalName") or ""
        elif not any(p.get("port") == port for p in get(found, "spec", "ports") or ()):
            raise ValueError(f'no service port {port} found for service "{name}"')
        if address in ("", "None"):
            raise ValueError(f'service "{name}" has no cluster IP')
        return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            bundle = b64decode(self._config.get("caBundle") or "").decode("ascii", "replace").strip()
            try:
                self._tls = client_context(ca_data=bundle)
            except ssl.SSLError:
                why = "unable to load root certificates: unable to parse bytes as PEM block"
                raise ValueError(why) from None
            self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return self._tls


def _words(error: Exception) -> str:
    """In Go's words."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {_certificate(cause)}"
    text = str(error)
    if isinstance(cause, socket.gaierror):
        host = text.removeprefix("dial tcp ").partition(":")[0]
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, Stale) or text.endswith("unexpected EOF"):
        return "EOF"
    return text


_CERTIFICATE = {
    10: "x509: certificate has expired or is not yet valid",
    9: "x509: certificate has expired or is not yet valid",
    **dict.fromkeys((2, 18, 19, 20, 21), "x509: certificate signed by unknown authority"),
}
"""OpenSSL's code → Go's words."""


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    words = error.verify_message.removeprefix("Hostname mismatch, ").removeprefix("IP address mismatch, ").rstrip(".")
    return _CERTIFICATE.get(error.verify_code, f"x509: {words}")


_GENERIC: Mapping[int, tuple[str, str]] = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("AlreadyExists", "the server reported a conflict"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}
_OWN_WORDS = {403: "Forbidden", 406: "NotAcceptable", 415: "UnsupportedMediaType"}


def _refusal(response: Response) -> StatusError:
    """What a code other than 2xx means: the Status in the body, or upstream's words for the code."""
    status = _status(response.body)
    if status is not None:
        return StatusError({**status, "code": status.get("code") or response.status})
    code, text = response.status, response.body.decode("utf-8", "replace").strip() or "unknown"
    if code in _OWN_WORDS:
        return status_error(code, _OWN_WORDS[code], text)
    if code in _GENERIC:
        return status_error(code, *_GENERIC[code])
    if code >= 500:
        shown = orjson.dumps(text).decode()
        return status_error(
            code, "InternalError", f"an error on the server ({shown}) has prevented the request from succeeding"
        )
    return status_error(
        code, "", f"the server responded with the status code {code} but did not return more information"
    )


def _status(body: bytes) -> Obj | None:
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("kind") == "Status" and "status" in found else None
