"""One HTTP/1.1 connection of the server: bytes in, requests to the handler in order, responses out.

A handler that does not suspend is run right in the callback that read its request: no task, no loop iteration. To make
that invisible the first step runs as the connection's own task (`current_task`, time-outs and task groups work) and in
a context of its own per request; a handler that does suspend is carried on by that task. The connection answers
requests strictly in order, refuses what is malformed or too large, and cancels the handler when the client is gone.
"""

import asyncio
import contextlib
import contextvars
import logging
import re
import types
from asyncio.tasks import _enter_task, _leave_task
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import httptools
import orjson

from skiff.api.errors import StatusError, internal, request_too_large
from skiff.wire import head
from skiff.wire.messages import REPEATED, Handler, Request, Response, slices
from skiff.wire.stream import StreamProtocol

log = logging.getLogger(__name__)

BODY_LIMIT = 3 * 1024 * 1024
SLICE = 112 * 1024
"""What is written at a time of a large body: seven TLS records; with what encrypts it, it fits in the CPU's cache and
below the size from which the C library asks the kernel for each allocation."""
WAITING_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
MAX_PIPELINED = 16
REPEATED_BYTES = 4096
"""A longer head is not kept for comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may cost. Times are in seconds."""

    body_bytes: int = BODY_LIMIT
    head_bytes: int = 1024 * 1024
    head_s: float = 32
    body_idle_s: float = 60
    keep_alive_s: float = 90
    write_stall_s: float = 60
    linger_s: float = 5


@dataclass(slots=True)
class Core:
    """What all connections of a server share. now: the loop's time, advanced by the server every `tick_s`. buffer: where
    bytes arrive, for a moment; left to itself uvloop allocates 256 kB for each read over TLS."""

    handler: Handler
    limits: Limits
    loop: asyncio.AbstractEventLoop
    context: contextvars.Context
    connections: "set[Connection]" = field(default_factory=set)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BYTES)))
    now: float = 0.0
    draining: bool = False


@dataclass(slots=True)
class Exchange:
    """A request on its way, and how to answer it. refusal: the answer is known already and ends the connection."""

    request: Request
    keep_alive: bool
    http10: bool
    refusal: Response | None = None


@dataclass(slots=True)
class Repeated:
    """What followed the request line of a request without a body. Clients send the same again with other targets: the
    parser has judged it once, and a request line of safe characters before it needs none."""

    tail: bytes
    headers: Mapping[str, str]
    notes: dict[str, Any]


_LINE = re.compile(rb"GET (/[A-Za-z0-9._~:@!$&'()*+,;=/-]*)(?:\?([A-Za-z0-9._~:@!$&'()*+,;=/?%-]*))? HTTP/1\.1")


@dataclass(slots=True)
class Suspended:
    """A handler after its first step: it waits for `pending`."""

    coro: Coroutine[Any, Any, Response]
    context: contextvars.Context
    pending: Any


_header_names: dict[bytes, str] = {}


def _header_name(raw: bytes) -> str:
    name = _header_names.get(raw)
    if name is None:
        name = raw.decode("latin-1").lower()
        if len(_header_names) < 512:
            _header_names[raw] = name
    return name


class Connection(asyncio.BufferedProtocol):
    """See the module. Its task lives from connection_made to connection_lost (or to the end of an upgraded stream)."""

    def __init__(self, core: Core):
        self._core = core
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self.task: asyncio.Task[None]
        self._peer_cert: bytes | None = None
        self._remote = ""
        self._tls = False
        self._queue: deque[Exchange] = deque()
        self._parked: asyncio.Future[None] | None = None
        self._handoff: tuple[Exchange, Suspended | Response] | None = None
        self._busy = False
        self._streaming = False
        self._ending = False
        self._lost = False
        self._worked = False
        self._eof = False
        self._deaf = False
        self._reading_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._slices: Iterator[bytes | memoryview] | None = None
        self._in_slices = False
        self._writing_paused = False
        self._upgraded: StreamProtocol | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._repeats: dict[str, list[str]] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._queued_size = 0
        self._head_size = 0
        self._in_head = False
        self._in_body = False
        self._owe_continue = False
        self._since = core.now
        self._complete: Exchange | None = None
        self._repeated: Repeated | None = None

    # connection life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if isinstance(peer, tuple) else ""
        ssl_object = transport.get_extra_info("ssl_object")
        self._tls = ssl_object is not None
        if ssl_object is not None:
            self._peer_cert = ssl_object.getpeercert(binary_form=True)
        self._transport.set_write_buffer_limits(high=WAITING_BYTES)
        self._core.connections.add(self)
        self.task = self._core.loop.create_task(
            self._work(), name=f"connection from {self._remote}", context=self._core.context.copy()
        )
        self.task.add_done_callback(self._done)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._parser = self._slices = None
        self._queue.clear()
        self._wake_writer()
        if self._worked:
            self._let_go()
        else:
            self.task.cancel()

    def _let_go(self) -> None:
        """Of what refers to this connection, too: its TLS state would wait for the garbage collector otherwise."""
        del self.task
        if self._upgraded is None:
            del self._transport

    def _done(self, task: asyncio.Task[None]) -> None:
        self._worked = True
        self._core.connections.discard(self)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connection ended by an error", exc_info=error)
        if self._lost:
            self._let_go()
        elif self._upgraded is None:
            self._transport.abort()

    def eof_received(self) -> bool:
        """The client has half-closed. A plain answer still goes out; an idle connection or a stream ends."""
        self._eof = self._deaf = True
        if self._streaming:
            self.task.cancel()
        return not self._tls and (self._busy or bool(self._queue))

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._since = self._core.now

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._slices is not None:
            self._write_slices()
            return
        self._wake_writer()
        if not self._busy:
            self._pump()

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # bytes in

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._core.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._core.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        known = self._repeated
        if known is not None and data.endswith(known.tail) and self._is_idle():
            line = _LINE.fullmatch(data, 0, len(data) - len(known.tail))
            if line is not None:
                self._since = self._core.now
                self._start(Exchange(self._again(known, line), True, False))
                return
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > self._core.limits.head_bytes:
                self._refuse(_text(431, "431 Request Header Fields Too Large"))
                return
        begins = self._is_idle()
        self._since = self._core.now if not self._in_head else self._since
        self._complete = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # what follows belongs to the new protocol: kept until the handler has decided
            self._deaf = True
            self._transport.pause_reading()
            if self._queue:
                self._queue[-1].keep_alive = False
            self._body = [data[upgrade.args[0] :]]
        except httptools.HttpParserError:
            if not self._deaf:
                self._refuse(_text(400, "400 Bad Request"))
        if begins and self._complete is not None and not self._deaf:
            self._remember(data, self._complete)
        if not self._busy:
            self._pump()
        elif len(self._queue) > MAX_PIPELINED or self._queued_size > self._core.limits.body_bytes:
            self._reading_paused = True
            self._transport.pause_reading()

    def _is_idle(self) -> bool:
        """Whether the next byte begins a request that can be started at once."""
        return not (self._busy or self._in_head or self._in_body or self._queue or self._writing_paused or self._lost)

    def _remember(self, data: bytes, exchange: Exchange) -> None:
        """For `_again`, if `data` was this one request, without a body, and nothing else."""
        if len(data) > REPEATED_BYTES or not data.endswith(b"\r\n\r\n") or data.count(b"\r\n\r\n") != 1:
            return
        request = exchange.request
        bodiless = not {"content-length", "transfer-encoding", "expect", "upgrade"} & request.headers.keys()
        line, _, _ = data.partition(b"\r\n")
        if exchange.keep_alive and bodiless and not self._in_head and _LINE.fullmatch(line):
            self._repeated = Repeated(data[len(line) :], request.headers, request.notes)

    def _again(self, known: Repeated, line: re.Match[bytes]) -> Request:
        path, query = line.groups()
        target = path.decode()
        return Request(
            *("GET", target, query.decode() if query else "", known.headers, b"", None),
            *(self._peer_cert, self._remote, target, {}, known.notes),
        )

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._repeats = {}
        self._body = []
        self._body_size = 0
        self._head_size = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        name = _header_name(raw_name)
        value = raw_value.decode("latin-1")
        if name in self._headers:
            self._repeats.setdefault(name, [self._headers[name]]).append(value)
        else:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        if self._deaf:
            return
        self._in_head = False
        self._in_body = True
        for name, values in self._repeats.items():
            self._headers[name] = ", ".join(values)
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length) > self._core.limits.body_bytes:
            self._refuse(self._too_large())
        elif self._headers.get("expect", "").lower() == "100-continue":
            if self._busy or self._queue:
                self._owe_continue = True
            else:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if self._deaf:
            return
        self._body_size += len(data)
        if self._body_size > self._core.limits.body_bytes:
            self._refuse(self._too_large())
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        self._in_body = self._in_head = False
        if self._deaf:
            return
        self._owe_continue = False
        version = self._parser.get_http_version()
        http10 = version == "1.0"
        if version not in ("1.0", "1.1"):
            self._refuse(_text(400, "400 Bad Request: unsupported protocol version"))
            return
        try:
            request = self._request(http10)
        except ValueError:
            self._refuse(_text(400, "400 Bad Request"))
            return
        self._queued_size += self._body_size
        self._complete = Exchange(request, self._parser.should_keep_alive(), http10)
        self._queue.append(self._complete)

    def _request(self, http10: bool) -> Request:
        """The request that was just parsed. Raises ValueError for what HTTP or UTF-8 forbids."""
        raw, headers = self._url.decode("ascii"), self._headers
        if not http10 and "host" not in headers:
            raise ValueError("no Host header")
        if raw[:1] != "/" and raw != "*":
            parts = urlsplit(raw)
            if not parts.scheme or not parts.netloc:
                raise ValueError("not a request target")
            raw = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        raw_path, _, query = raw.partition("?")
        path = unquote(raw_path, errors="strict") if "%" in raw_path else raw_path
        body = b"".join(self._body) if len(self._body) != 1 else self._body[0]
        method = self._parser.get_method().decode("ascii")
        notes = {REPEATED: self._repeats} if self._repeats else {}
        return Request(method, path, query, headers, body, None, self._peer_cert, self._remote, raw_path, {}, notes)

    def _refuse(self, response: Response) -> None:
        """Answers once the requests before are answered, reads nothing more, and ends the connection."""
        self._deaf = True
        self._in_head = self._in_body = False
        self._queue.append(Exchange(Request("", ""), False, False, response))
        if not self._busy:
            self._core.loop.call_soon(self._pump)

    def _too_large(self) -> Response:
        limit = self._core.limits.body_bytes
        return failure(request_too_large(f"limit is {limit}"))

    # requests to the handler

    def _pump(self) -> None:
        """Starts the requests that wait, until one of them keeps the connection busy."""
        while self._queue and not self._busy and not self._writing_paused and not self._lost:
            exchange = self._queue.popleft()
            self._queued_size -= len(exchange.request.body)
            self._start(exchange)
        if self._reading_paused and not self._queue and not self._lost:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._owe_continue and not self._queue and not self._busy and not self._lost:
            self._owe_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _start(self, exchange: Exchange) -> None:
        result = exchange.refusal or self._first_step(exchange.request)
        if type(result) is Response and _is_simple(result):
            self._write_simple(exchange, result)
            return
        self._busy = True
        self._handoff = (exchange, result)
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)

    def _first_step(self, request: Request) -> Response | Suspended:
        """Runs the handler up to its first suspension, as the connection's task and in a fresh context."""
        context = self._core.context.copy()
        loop, task = self._core.loop, self.task
        coro = _as_coroutine(self._core.handler, request)
        _enter_task(loop, task)
        try:
            pending = context.run(coro.send, None)
        except StopIteration as done:
            return cast(Response, done.value)
        except Exception as error:
            return failure(error)
        except asyncio.CancelledError as error:
            return failure(RuntimeError(f"the handler was cancelled: {error!r}"))
        finally:
            _leave_task(loop, task)
        return Suspended(coro, context, pending)

    async def _work(self) -> None:
        """The connection's task: carries on what the fast path could not finish."""
        while not self._lost:
            if self._handoff is None:  # otherwise a request has come before this task's first step
                self._busy = False
                if self._queue or self._reading_paused or self._owe_continue:
                    self._core.loop.call_soon(self._pump)
            interrupted = await self._park()
            if self._handoff is None:
                continue
            (exchange, result), self._handoff = self._handoff, None
            if isinstance(result, Suspended):
                result = await _finish(result, interrupted)
            if self._lost:
                await _abandon(result)
            else:
                await self._respond(exchange, result)

    async def _park(self) -> asyncio.CancelledError | None:
        """Waits for the fast path. A cancellation that comes together with work is the work's own: a time-out armed in
        the first step has fired, or the client has gone, before the task took over."""
        if self._handoff is None:
            self._parked = self._core.loop.create_future()
            try:
                await self._parked
            except asyncio.CancelledError as error:
                if self._handoff is None:
                    raise
                return error
        return None

    # responses out

    def _write_simple(self, exchange: Exchange, response: Response) -> None:
        keep = exchange.keep_alive and not self._core.draining
        body = response.body if head.has_body(exchange.request.method, response.status) else b""
        extra = _extra(exchange, response, keep)
        try:
            data = head.encode(response.status, response.headers, extra) + body
        except ValueError as error:
            response = failure(error)
            data = head.encode(500, response.headers, _extra(exchange, response, keep)) + response.body
        self._transport.write(data)
        self._since = self._core.now
        if not keep or (self._eof and not self._queue):
            self._finish_connection(exchange.refusal is not None)

    def _finish_connection(self, linger: bool = False) -> None:
        """No more requests. After a refusal unread input is dropped for a moment, or the client may miss the answer."""
        self._deaf = True
        self._queue.clear()
        if linger and not self._eof:
            self._ending = True
            self._since = self._core.now
            if self._transport.can_write_eof():
                self._transport.write_eof()
        else:
            self._transport.close()

    async def _respond(self, exchange: Exchange, response: Response) -> None:
        if response.upgrade is not None and response.status == 101:
            await self._upgrade(response)
        elif response.stream is not None:
            await self._send_stream(exchange, response, response.stream)
        elif _is_simple(response):
            self._write_simple(exchange, response)
            await self._drain()
        else:
            await self._send_large(exchange, response)

    async def _send_large(self, exchange: Exchange, response: Response) -> None:
        """A big body in slices: a slow reader holds one slice in the transport, and others get their turn."""
        keep = exchange.keep_alive and not self._core.draining
        self._transport.write(head.encode(response.status, response.headers, _extra(exchange, response, keep)))
        if head.has_body(exchange.request.method, response.status):
            pieces = response.pieces
            self._slices = pieces.slices(SLICE) if pieces is not None else slices(response.body, SLICE)
            self._write_slices()
            await self._drain()
        if not keep or self._eof:
            self._finish_connection()

    def _write_slices(self) -> None:
        """Writes until the peer must read first; goes on when it has, without waking the task for each slice."""
        if self._in_slices or self._slices is None:
            return  # the transport has found, while it took a slice, that it can take more
        self._in_slices = True
        try:
            while not self._writing_paused and not self._lost and self._slices is not None:
                some = next(self._slices, None)
                if some is None:
                    self._slices = None
                    self._wake_writer()
                else:
                    self._transport.write(some)
                    self._since = self._core.now
        finally:
            self._in_slices = False

    async def _send_stream(self, exchange: Exchange, response: Response, stream: AsyncIterator[bytes]) -> None:
        keep = exchange.keep_alive and not self._core.draining
        known = "Content-Length" in response.headers
        chunked = not known and not exchange.http10
        keep = keep and (known or chunked)
        lines = b"" if known or not chunked else b"Transfer-Encoding: chunked\r\n"
        if not keep:
            lines += b"Connection: close\r\n"
        try:
            self._transport.write(head.encode(response.status, response.headers, lines))
            if head.has_body(exchange.request.method, response.status):
                await self._send_chunks(stream, chunked)
        finally:
            with contextlib.suppress(Exception):
                await _aclose(stream)
        if not keep or self._eof or self._core.draining:
            self._finish_connection()

    async def _send_chunks(self, stream: AsyncIterator[bytes], chunked: bool) -> None:
        """Chunks as they come. A server that shuts down ends the stream in good order; a failing stream is cut off."""
        self._streaming = True
        write = self._transport.write
        try:
            if self._core.draining:
                self.task.cancel()
                self._ending = True
            async for chunk in stream:
                if chunk:
                    write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                    self._since = self._core.now
                    if self._writing_paused:
                        await self._drain()
        except asyncio.CancelledError:
            if not self._ending or self._lost:
                raise
            self.task.uncancel()
        except Exception:
            log.exception("a response stream failed")
            self._transport.abort()
            raise asyncio.CancelledError from None
        finally:
            self._streaming = False
        if chunked:
            write(b"0\r\n\r\n")

    async def _drain(self) -> None:
        while (self._writing_paused or self._slices is not None) and not self._lost:
            self._drained = self._core.loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    async def _upgrade(self, response: Response) -> None:
        """Hands the connection to the response's upgrade function and closes it afterwards."""
        assert response.upgrade is not None
        self._transport.write(head.encode(101, response.headers, b""))
        leftover, self._body = b"".join(self._body), []
        stream = self._upgraded = StreamProtocol()
        stream.adopt(self._transport, leftover, writing_paused=self._writing_paused)
        self._transport.resume_reading()
        self._parser = None
        try:
            await response.upgrade(stream)
        except ConnectionError as error:
            log.debug("an upgraded connection broke: %s", error)
        except Exception:
            log.exception("an upgraded connection failed")
        finally:
            await stream.close()
        self._lost = True

    # the server's side

    def end_stream(self) -> None:
        if self._streaming:
            self._ending = True
            self.task.cancel()

    def drain(self) -> None:
        """The server shuts down: idle connections close, streams end, answers in flight are the last."""
        if self._streaming:
            self.end_stream()
        elif not self._busy and not self._queue and not self._in_head and not self._in_body and not self._lost:
            self._transport.close()

    def abort(self) -> None:
        self.task.cancel()
        if self._upgraded is None and not self._lost:
            self._transport.abort()

    def sweep(self, now: float) -> None:
        """Called every second or so: ends connections that take too long for what they do."""
        if self._upgraded is not None or self._lost:
            return
        limits = self._core.limits
        if self._writing_paused:
            allowed = limits.write_stall_s
        elif self._busy or self._queue:
            return
        elif self._ending or self._eof:
            allowed = limits.linger_s
        elif self._in_head:
            allowed = limits.head_s
        elif self._in_body:
            allowed = limits.body_idle_s
        else:
            allowed = limits.keep_alive_s
        if now - self._since > allowed:
            self._transport.abort() if self._writing_paused else self._transport.close()


def _is_simple(response: Response) -> bool:
    """Head and body can be written at once."""
    return (
        len(response.body) <= SLICE and response.stream is None and response.pieces is None and response.upgrade is None
    )


def _extra(exchange: Exchange, response: Response, keep: bool) -> bytes:
    """The header lines that the server itself is responsible for."""
    lines = b""
    if response.status >= 200 and response.status not in (204, 304) and "Content-Length" not in response.headers:
        lines = b"Content-Length: %d\r\n" % (len(response.body) if response.pieces is None else response.pieces.size)
    if not keep:
        return lines + b"Connection: close\r\n"
    if exchange.http10:
        return lines + b"Connection: keep-alive\r\n"
    return lines


def _as_coroutine(handler: Handler, request: Request) -> Coroutine[Any, Any, Response]:
    found = handler(request)
    if type(found) is types.CoroutineType:
        return found

    async def wait() -> Response:
        return await found

    return wait()


async def _finish(suspended: Suspended, interrupted: asyncio.CancelledError | None) -> Response:
    try:
        return await _carry_on(suspended, interrupted)
    except Exception as error:
        return failure(error)


@types.coroutine
def _carry_on(suspended: Suspended, error: BaseException | None) -> Generator[Any, Any, Response]:
    """Drives a started coroutine to its end inside the running task, in the coroutine's own context."""
    coro, run, pending = suspended.coro, suspended.context.run, suspended.pending
    try:
        if error is not None:
            pending = run(coro.throw, error)
        while True:
            try:
                value = yield pending
            except BaseException as thrown:
                pending = run(coro.throw, thrown)
            else:
                pending = run(coro.send, value)
    except StopIteration as done:
        return cast(Response, done.value)


async def _abandon(response: Response) -> None:
    """The client went before its answer: whoever holds something for the answer lets go of it."""
    if response.stream is not None:
        await _aclose(response.stream)
    elif response.upgrade is not None:
        gone = StreamProtocol()
        gone.connection_lost(ConnectionResetError("the client has gone"))
        with contextlib.suppress(ConnectionError):
            await response.upgrade(gone)


async def _aclose(stream: AsyncIterator[bytes]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


def _text(status: int, body: str) -> Response:
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, body.encode())


def failure(error: BaseException) -> Response:
    """A handler's exception as an answer: a StatusError's own Status, anything else 500 and a traceback in the log."""
    if not isinstance(error, StatusError):
        log.error("a request handler failed", exc_info=error)
        error = internal("the request could not be completed")
    return Response(error.code, {"Content-Type": "application/json", **error.headers}, orjson.dumps(error.status))
