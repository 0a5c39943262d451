"""The sockets: UDP and TCP on every address given, one resolver behind them.

What the cluster itself answers is answered at once, without a task; the rest waits in tasks of the server's own group.
TCP connections are few and short; an idle or slow one is closed.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

log = logging.getLogger(__name__)

TCP_CONNECTIONS = 128
TCP_IDLE_SECONDS = 10.0
UDP_WAITING = 1024
RETRY_SECONDS = 2.0

Resolve = Callable[[bytes, bool], bytes | Awaitable[bytes | None] | None]
"""(query, over tcp) → the reply, None for none at all, or something that gives one later."""


class Server:
    """Listens while `run` runs."""

    def __init__(self, listen: Sequence[tuple[str, int]], resolve: Resolve):
        self._listen = listen
        self._resolve = resolve
        self._connections = 0
        self._waiting = 0
        self.addresses: list[tuple[str, int]] = []
        """Where it listens (port 0 asks for any); complete when `listening` is set."""
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. An address that cannot be used (yet) is tried again: others share this process."""
        while True:
            try:
                await self._serve()
            except* OSError as e:
                log.error("cannot listen, trying again: %s", "; ".join(map(str, e.exceptions)))
            await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self.addresses.clear()
        async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
            for host, port in self._listen:
                bound = await self._listen_tcp(host, port, group, stack)
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self, group), sock=_udp_socket(host, bound)
                )
                stack.callback(transport.close)
                self.addresses.append((host, bound))
            self.listening.set()
            await asyncio.Event().wait()

    async def _listen_tcp(self, host: str, port: int, group: asyncio.TaskGroup, stack: AsyncExitStack) -> int:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(self._connected(reader, writer), name="dns connection")

        server = await asyncio.start_server(connected, host, port, backlog=TCP_CONNECTIONS)
        stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    def datagram(self, data: bytes, reply: Callable[[bytes], None], group: asyncio.TaskGroup) -> None:
        found = self._resolve(data, False)
        if isinstance(found, bytes):
            reply(found)
        elif found is not None:
            if self._waiting >= UDP_WAITING:
                _drop(found)
                return
            self._waiting += 1
            group.create_task(self._later(found, reply), name="dns query")

    async def _later(self, found: Awaitable[bytes | None], reply: Callable[[bytes], None]) -> None:
        try:
            answer = await found
        finally:
            self._waiting -= 1
        if answer is not None:
            reply(answer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: queries one after the other."""
        if self._connections >= TCP_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    query = await reader.readexactly(length)
                found = self._resolve(query, True)
                answer = found if isinstance(found, bytes) or found is None else await found
                if answer is None:
                    return
                writer.write(struct.pack("!H", len(answer)) + answer)
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    await writer.drain()
        except (EOFError, OSError, TimeoutError):
            return  # the peer went away, or keeps silent
        finally:
            self._connections -= 1
            writer.close()


def _udp_socket(host: str, port: int) -> socket.socket:
    """Shares the port with who listens on all addresses, as mDNS responders do on 5353; packets for this address are
    ours. A second server of our own fails at TCP."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # it may have set either
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.setblocking(False)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _drop(found: Awaitable[bytes | None]) -> None:
    """A coroutine that nobody will await."""
    close = getattr(found, "close", None)
    if close is not None:
        close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: Server, group: asyncio.TaskGroup):
        self._server = server
        self._group = group
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        transport = self._transport
        assert transport is not None
        self._server.datagram(data, lambda reply: transport.sendto(reply, addr), self._group)
