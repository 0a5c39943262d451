"""A raw bidirectional connection as an asyncio protocol: what is left of an HTTP connection after an upgrade.

Reading pauses the peer when nobody consumes; writing waits when the peer does not. One reader and one writer at a time
(messages.Stream). The HTTP server and client hand their transports over to it; `dial` opens one directly.
"""

import asyncio
import contextlib
import ssl as ssllib
from typing import cast

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


class StreamProtocol(asyncio.Protocol):
    """A messages.Stream over a transport. `adopt` takes over a connection that spoke another protocol so far."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._eof = False
        self._lost = False
        self._error: Exception | None = None
        self._reading_paused = False
        self._writing_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    def adopt(self, transport: asyncio.Transport, initial: bytes, *, writing_paused: bool = False) -> None:
        """Becomes the transport's protocol. initial: bytes that the former protocol had read beyond its own."""
        self._transport = transport
        self._writing_paused = writing_paused
        transport.set_protocol(self)
        if initial:
            self.data_received(initial)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > HIGH_WATER and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        self._eof = True
        _wake(self._reader)
        # a half-closed peer may still read; TLS knows no half-close
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = self._lost = True
        self._error = exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    # messages.Stream

    async def read(self, n: int = 65536) -> bytes:
        while not self._buffer:
            if self._eof:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = bytes(self._buffer[:n])
        del self._buffer[:n]
        if self._reading_paused and len(self._buffer) < LOW_WATER and not self._lost:
            self._reading_paused = False
            assert self._transport is not None
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        self._check_open()
        assert self._transport is not None
        self._transport.write(data)
        while self._writing_paused and not self._lost:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        self._check_open()

    async def write_eof(self) -> None:
        if self._transport is not None and not self._lost and self._transport.can_write_eof():
            with contextlib.suppress(
                OSError
            ):  # the peer has closed in the meantime: then there is nothing to half-close
                self._transport.write_eof()

    async def close(self) -> None:
        """Sends what is buffered, then closes. Does not wait for it. Idempotent."""
        if self._transport is not None:
            if self._writing_paused:
                self._transport.abort()  # the peer does not read: what is buffered would stay for ever
            else:
                self._transport.close()

    def _check_open(self) -> None:
        if self._lost or self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed") from self._error


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def dial(
    host: str, port: int, *, ssl: ssllib.SSLContext | None = None, server_hostname: str = "", timeout: float = 30
) -> StreamProtocol:
    """A connection to host:port, TLS when a context is given. Raises ConnectionError, also after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    name = (server_hostname or host) if ssl else None
    try:
        async with asyncio.timeout(timeout):
            _, stream = await loop.create_connection(StreamProtocol, host, port, ssl=ssl, server_hostname=name)
    except (OSError, TimeoutError) as err:
        raise ConnectionError(f"dial tcp {host}:{port}: {describe(err)}") from err
    return stream


def describe(error: BaseException) -> str:
    """A connection error in the words that Go's net package (and so kubectl's users) know."""
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    if isinstance(error, ConnectionResetError):
        return "connection reset by peer"
    if isinstance(error, ssllib.SSLError):
        return f"tls: {error.reason or error}"
    if isinstance(error, OSError) and "Multiple exceptions" not in str(error):
        return f"connect: {(error.strerror or str(error)).lower()}"
    return str(error) or type(error).__name__
