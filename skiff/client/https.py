"""The transport that speaks HTTPS to an API server: a small pool of keep-alive connections, streams, upgrades.

Guarantees: at most `max_requests` plain requests at a time (streams have connections of their own); a request is sent
again by itself only if it was certainly not acted on or is safe, on a kept connection that turned out to be closed; a
cancelled request's connection is closed, never reused. Everything that breaks is a ConnectionError.
"""

import asyncio
import ssl as ssllib
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote, urlsplit

import httptools

from skiff.client import metrics
from skiff.wire.messages import Request, Response
from skiff.wire.stream import StreamProtocol, describe

IDLE_S = 60
"""How long a connection is kept unused; less than a server keeps it (90 s)."""
MAX_IDLE = 8
CONNECT_S = 10
HIGH_WATER = 1024 * 1024
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

Token = str | Callable[[], str] | None


class Stale(ConnectionError):
    """A kept connection was closed by the server before a byte of the answer came."""


class HTTPSTransport:
    """A skiff.client.rest.Transport. base_url: https://host[:port][/prefix] (http too, for tests).

    token: a bearer token, or a function that gives the present one. timeout_s bounds each answer (the head of it, for a
    stream); a request's scratch["timeout_s"] overrides it. server_name: what the certificate must name, if not the host.
    host: what the Host header says, if not the URL's host and port.
    """

    def __init__(
        self,
        base_url: str,
        ssl_context: ssllib.SSLContext | None = None,
        *,
        token: Token = None,
        server_name: str = "",
        host: str = "",
        timeout_s: float = 60,
        max_requests: int = 64,
    ):
        parts = urlsplit(base_url)
        self._tls = ssl_context if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._host_header = host or parts.netloc
        self._server_name = (server_name or self._host) if self._tls else None
        self._token = token
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(max_requests)
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False
        self._retired = False

    async def send(self, request: Request) -> Response:
        """See Transport. With scratch["stream"] the answer's body is a stream, to be read to its end or closed."""
        time = asyncio.get_running_loop().time
        started = time()
        try:
            response = await self._send(request)
        except ConnectionError:
            metrics.count_request("<error>", request.method, self._host_header, time() - started)
            raise
        metrics.count_request(str(response.status), request.method, self._host_header, time() - started)
        return response

    async def _send(self, request: Request) -> Response:
        stream = bool(request.scratch.get("stream"))
        data = self._encode(request, {})
        try:
            async with asyncio.timeout(request.scratch.get("timeout_s", self._timeout_s)):
                if stream:
                    return await self._exchange(request.method, data, stream=True)
                async with self._slots:
                    return await self._exchange(request.method, data, stream=False)
        except TimeoutError as err:
            raise ConnectionError(f"{request.method} {request.path}: no answer in time") from err

    async def upgrade(self, request: Request) -> tuple[Response, StreamProtocol | None]:
        """Sends a request whose headers ask for an upgrade, on a connection of its own. With status 101 the raw
        connection comes with the answer and is the caller's; otherwise the answer is complete and there is none."""
        data = self._encode(request, {"Connection": "Upgrade"})
        try:
            async with asyncio.timeout(request.scratch.get("timeout_s", self._timeout_s)):
                connection = await self._connect()
                try:
                    response = await connection.request(request.method, data, stream=False)
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError as err:
            raise ConnectionError(f"{request.method} {request.path}: no answer in time") from err
        if response.status != 101:
            connection.abort()
            return response, None
        return response, connection.detach()

    async def close(self) -> None:
        """Closes every connection; requests in flight fail."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        for connection in list(self._open):
            connection.abort()

    def retire(self) -> None:
        """Keeps no connection from here on; requests in flight end as they would."""
        self._retired = True
        if self._reaper is not None:
            self._reaper.cancel()
        for connection in list(self._idle):
            connection.abort()

    async def _exchange(self, method: str, data: bytes, *, stream: bool) -> Response:
        while True:
            connection = self._kept()
            reused = connection is not None
            if connection is None:
                connection = await self._connect()
            try:
                response = await connection.request(method, data, stream=stream)
            except Stale:
                connection.abort()
                if reused and method in _SAFE:
                    continue
                raise
            except BaseException:
                connection.abort()
                raise
            if response.stream is None:
                self.release(connection)
            return response

    def _encode(self, request: Request, extra: dict[str, str]) -> bytes:
        target = self._prefix + (request.raw_path or quote(request.path, safe="/:@!$&'()*+,;=~"))
        if request.query_string:
            target = f"{target}?{request.query_string}"
        lines = [f"{request.method} {target} HTTP/1.1\r\nHost: {self._host_header}\r\n"]
        headers = {**extra, **request.headers}
        token = self._token() if callable(self._token) else self._token
        if token and "authorization" not in headers:
            headers["Authorization"] = f"Bearer {token}"
        lines += [f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _OURS]
        lines += [f"{name}: {value}\r\n" for name, value in request.scratch.get("more_headers", ())]
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(request.body)}\r\n")
        text = "".join(lines)
        if text.count("\n") != text.count("\r\n") or text.count("\n") != len(lines) + 1:
            raise ValueError("line break in a request header")
        return f"{text}\r\n".encode("latin-1") + request.body

    # the pool

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "_Connection":
        if self._closed:
            raise ConnectionError("the transport is closed")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, loop),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._server_name,
                )
        except (OSError, TimeoutError) as err:
            raise ConnectionError(f"dial tcp {self._host}:{self._port}: {describe(err)}") from err
        self._open.add(connection)
        return connection

    def release(self, connection: "_Connection") -> None:
        """A connection has finished its exchange: keep it or close it."""
        if self._closed or self._retired or not connection.usable() or len(self._idle) >= MAX_IDLE:
            connection.abort()
            return
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(IDLE_S, self._reap)

    def _reap(self) -> None:
        """Closes what was not used for a while; the oldest are on the left."""
        loop = asyncio.get_running_loop()
        self._reaper = None
        while self._idle and self._idle[0].idle_since + IDLE_S <= loop.time() + 1:
            self._idle.popleft().abort()
        if self._idle:
            self._reaper = loop.call_later(self._idle[0].idle_since + IDLE_S - loop.time(), self._reap)

    def forget(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


_OURS = frozenset(("host", "content-length", "transfer-encoding"))


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self, pool: HTTPSTransport, loop: asyncio.AbstractEventLoop):
        self._pool = pool
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser: Any = None
        self._answer: asyncio.Future[Response] | None = None
        self._method = ""
        self._stream: BodyStream | None = None
        self._wants_stream = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._begun = False
        self._lost = False
        self._keep = True
        self._leftover = b""
        self._writing_paused = False
        self.idle_since = 0.0

    def usable(self) -> bool:
        return self._keep and not self._lost and self._answer is None and not self._transport.is_closing()

    async def request(self, method: str, data: bytes, *, stream: bool) -> Response:
        """Sends and waits for the answer, or for its head if it is to be streamed. Raises Stale, ConnectionError."""
        self._method, self._wants_stream, self._begun = method, stream, False
        self._parser = httptools.HttpResponseParser(self)
        answer = self._answer = self._loop.create_future()
        self._transport.write(data)
        return await answer

    def abort(self) -> None:
        self._keep = False
        self._pool.forget(self)
        if not self._lost:
            self._transport.abort()

    def detach(self) -> StreamProtocol:
        """After a 101: the raw connection, out of the pool."""
        self._pool.forget(self)
        stream = StreamProtocol()
        stream.adopt(self._transport, self._leftover, writing_paused=self._writing_paused)
        if self._lost:
            stream.connection_lost(None)
        return stream

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.abort()  # an answer that nobody asked for
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._leftover = data[upgrade.args[0] :]
        except httptools.HttpParserError as err:
            self._fail(ConnectionError(f"malformed HTTP response: {err}"))
            self.abort()

    def eof_received(self) -> None:
        self._keep = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._pool.forget(self)
        if self._answer is not None and self._ends_with_connection():
            self._complete()
        elif self._begun or exc is not None:
            self._fail(ConnectionError(f"connection lost: {describe(exc) if exc else 'unexpected EOF'}"))
        else:
            self._fail(Stale("the server closed the connection"))
        self._parser = None

    def _ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112, 6.3): neither length nor chunks."""
        names = {name.lower() for name in self._headers}
        return self._head_done and not names & {"content-length", "transfer-encoding"}

    def _fail(self, error: ConnectionError) -> None:
        if self._stream is not None:
            self._stream.finish(error)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # httptools callbacks

    _head_done = False

    def on_message_begin(self) -> None:
        self._headers, self._body, self._head_done = {}, [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            return  # 100 Continue and its kin come before the answer
        self._head_done = True
        if self._wants_stream and self._answer is not None and not self._answer.done():
            self._stream = BodyStream(self)
            self._answer.set_result(Response(status, self._headers, stream=self._stream))
        elif status == 101 or self._method == "HEAD":
            self._complete()

    def on_body(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.feed(data)
        elif self._method != "HEAD":
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self._head_done:
            self._complete()

    def _complete(self) -> None:
        """The answer is whole. A stream's connection goes back to the pool here, a plain one's by `_exchange`."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        self._keep = self._keep and not self._lost and bool(self._parser.should_keep_alive()) and self._method != "HEAD"
        status, self.idle_since = self._parser.get_status_code(), self._loop.time()
        stream, self._stream = self._stream, None
        self._parser = None if status != 101 else self._parser
        if stream is not None:
            stream.finish(None)
            self._pool.release(self)
        elif not answer.done():
            answer.set_result(Response(status, self._headers, b"".join(self._body)))

    def pause_reading(self) -> None:
        if not self._lost:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._lost:
            self._transport.resume_reading()


class BodyStream:
    """A response body as it comes: an async iterator of non-empty chunks. Closing it early closes the connection."""

    def __init__(self, connection: _Connection):
        self._connection: _Connection | None = connection
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._error: ConnectionError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause_reading()
        self._wake()

    def finish(self, error: ConnectionError | None) -> None:
        """No more comes: the body is complete, or broken."""
        if self._paused and self._connection is not None:
            self._connection.resume_reading()
        self._connection, self._error = None, error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> "BodyStream":
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._connection is None:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._chunks.popleft()
        self._size -= len(data)
        if self._paused and self._size < HIGH_WATER // 4 and self._connection is not None:
            self._paused = False
            self._connection.resume_reading()
        return data

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        self._chunks.clear()
        if connection is not None:
            connection.abort()
