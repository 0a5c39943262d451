"""Network probes from the node: HTTP GET, TCP connect, gRPC health. Certificates are not verified, proxies not used.

Source: API reference, Probe; the output texts are upstream's (Go's), because they show in events. The other side may be
hostile: answers are bounded in size and time.
"""

import asyncio
import json
import ssl
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

import httptools

from skiff.kubelet.host import ProbeResult, ProbeTarget
from skiff.kubelet.options import VERSION
from skiff.wire.protobuf import ENUM, STRING, DecodeError, Message

BODY_LIMIT = 10 << 10
REDIRECTS = 10
USER_AGENT = f"kube-probe/{'.'.join(VERSION.removeprefix('v').split('.')[:2])}"


async def probe(target: ProbeTarget) -> ProbeResult:
    """Never raises for what the other side does."""
    kinds = {"http": http, "tcp": tcp, "grpc": grpc_health}
    return await kinds[target.kind](target)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _dial_error(e: OSError, where: str) -> str:
    words = {
        111: "connect: connection refused",
        113: "connect: no route to host",
        101: "connect: network is unreachable",
    }
    return f"dial tcp {where}: {words.get(e.errno or 0, str(e))}"


async def tcp(target: ProbeTarget) -> ProbeResult:
    where = _shown(target.host, target.port)
    try:
        async with asyncio.timeout(target.timeout_s):
            _, writer = await asyncio.open_connection(target.host, target.port)
    except TimeoutError:
        return ProbeResult(False, f"dial tcp {where}: i/o timeout")
    except OSError as e:
        return ProbeResult(False, _dial_error(e, where))
    writer.close()
    return ProbeResult(True)


class _Answer:
    """Collects a response from httptools' callbacks."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.location = ""
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        if len(self.body) < BODY_LIMIT:
            self.body += data[: BODY_LIMIT - len(self.body)]

    def on_message_complete(self) -> None:
        self.done = True


def _url(target: ProbeTarget) -> str:
    path = target.path if target.path.startswith("/") else f"/{target.path}"
    return f"{target.scheme.lower()}://{_shown(target.host, target.port)}{path}"


async def http(target: ProbeTarget) -> ProbeResult:
    """Success from 200 to 399. Redirects are followed on the same host; one that leads away counts as success."""
    url = _url(target)
    try:
        async with asyncio.timeout(target.timeout_s):
            for _ in range(REDIRECTS):
                status, answer = await _get(target)
                if not (300 <= status < 400 and answer.location):
                    return _judged(status)
                following = urlsplit(urljoin(_url(target), answer.location))
                if following.hostname != target.host:
                    return ProbeResult(True, "Probe terminated redirects, Response body: ")
                path = following.path + (f"?{following.query}" if following.query else "")
                default = 443 if following.scheme == "https" else 80
                target = replace(
                    target, scheme=following.scheme.upper(), port=following.port or default, path=path or "/"
                )
            return ProbeResult(False, f"Get {json.dumps(url)}: stopped after {REDIRECTS} redirects")
    except TimeoutError:
        words = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return ProbeResult(False, f"Get {json.dumps(url)}: {words}")
    except (OSError, ssl.SSLError) as e:
        return ProbeResult(False, f"Get {json.dumps(url)}: {_dial_error(e, _shown(target.host, target.port))}")
    except (httptools.HttpParserError, ValueError) as e:
        return ProbeResult(False, f"Get {json.dumps(url)}: net/http: HTTP/1.x transport connection broken: {e}")


def _judged(status: int) -> ProbeResult:
    if 200 <= status < 400:
        return ProbeResult(True)
    return ProbeResult(False, f"HTTP probe failed with statuscode: {status}")


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(target: ProbeTarget) -> bytes:
    headers = {
        "host": _shown(target.host, target.port),
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "connection": "close",
    }
    given = [(k, v) for k, v in target.headers]
    for name, _ in given:
        headers.pop(name.lower(), None)
    lines = [f"GET {target.path if target.path.startswith('/') else '/' + target.path} HTTP/1.1"]
    lines += [f"{k.title()}: {v}" for k, v in headers.items()] + [f"{k}: {v}" for k, v in given]
    text = "\r\n".join(lines) + "\r\n\r\n"
    if "\r\n\r\n" in text[:-4] or "\x00" in text:
        raise ValueError("invalid header field")
    return text.encode("utf-8")


async def _get(target: ProbeTarget) -> tuple[int, _Answer]:
    context = _tls() if target.scheme == "HTTPS" else None
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        writer.write(_request(target))
        await writer.drain()
        while not answer.done and len(answer.body) < BODY_LIMIT:
            data = await reader.read(16384)
            if not data:
                break
            parser.feed_data(data)
        if parser.get_http_version() == "0.0":
            raise ValueError("EOF")
        return parser.get_status_code(), answer
    finally:
        writer.close()


_CHECK = Message("HealthCheckRequest", service=(1, STRING))
_HEALTH = Message("HealthCheckResponse", status=(1, ENUM))
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


async def grpc_health(target: ProbeTarget) -> ProbeResult:
    import grpc
    import grpc.aio

    where = _shown(target.host, target.port)
    options = [("grpc.primary_user_agent", USER_AGENT), ("grpc.enable_http_proxy", 0)]
    try:
        async with asyncio.timeout(target.timeout_s), grpc.aio.insecure_channel(where, options=options) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check", request_serializer=_CHECK.encode, response_deserializer=_HEALTH.decode
            )
            answer = await check({"service": target.service})
    except TimeoutError:
        text = f'timeout: failed to connect service "{where}" within {target.timeout_s:g}s: context deadline exceeded'
        return ProbeResult(False, text)
    except DecodeError as e:
        return ProbeResult(False, f"error: health rpc probe failed: {e}")
    except grpc.aio.AioRpcError as e:
        if e.code() is grpc.StatusCode.UNIMPLEMENTED:
            text = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return ProbeResult(False, f"error: {text}: {e.details()}")
        return ProbeResult(False, f"error: health rpc probe failed: {e.details()}")
    status = answer["status"]
    if status == 1:
        return ProbeResult(True)
    word = _STATUSES[status] if 0 <= status < len(_STATUSES) else str(status)
    return ProbeResult(False, f'service unhealthy (responded with "{word}")')
