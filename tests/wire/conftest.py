"""Servers on loopback, spoken to byte by byte; streams that are connected in memory."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from skiff.wire.connection import Limits
from skiff.wire.messages import Handler
from skiff.wire.server import Server, serve

DEADLINE_S = 5


@dataclass
class Peer:
    """A raw TCP connection to a server under test."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers (lower-case names) of the next response."""
        async with asyncio.timeout(DEADLINE_S):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = text.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), {k.lower(): v for k, v in headers.items()}

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """The next complete response with a Content-Length."""
        status, headers = await self.head()
        async with asyncio.timeout(DEADLINE_S):
            return status, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.reader.read()

    def reset(self) -> None:
        """Goes without a goodbye."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(handler: Handler, **limits: float) -> AsyncIterator[Server]:
    server = await serve(handler, limits=Limits(**limits), tick_s=0.01)
    try:
        yield server
    finally:
        await server.close(0)


@contextlib.asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Peer]:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", server.port))
    try:
        yield peer
    finally:
        await peer.close()


@dataclass
class MemoryStream:
    """One end of a pair of messages.Streams."""

    incoming: asyncio.Queue = field(default_factory=asyncio.Queue)
    other: "MemoryStream | None" = None
    rest: bytes = b""
    ended: bool = False
    closed: bool = False

    async def read(self, n: int = 65536) -> bytes:
        if not self.rest:
            if self.ended:
                return b""
            self.rest = await self.incoming.get()
            self.ended = not self.rest
        data, self.rest = self.rest[:n], self.rest[n:]
        return data

    async def write(self, data: bytes) -> None:
        if self.closed or self.other is None or self.other.closed:
            raise ConnectionResetError("closed")
        if data:
            self.other.incoming.put_nowait(data)

    async def write_eof(self) -> None:
        assert self.other is not None
        self.other.incoming.put_nowait(b"")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.incoming.put_nowait(b"")
            await self.write_eof()


def stream_pair() -> tuple[MemoryStream, MemoryStream]:
    a, b = MemoryStream(), MemoryStream()
    a.other, b.other = b, a
    return a, b


async def eventually(condition) -> None:
    """Waits until the condition holds; fails after the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the condition is anything
            await asyncio.sleep(0.002)
