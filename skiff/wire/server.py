"""An HTTP/1.1 server around a Handler: listens, keeps house over its connections, shuts down gracefully.

`serve` returns a running Server. What happens on one connection is in connection.py.
"""

import asyncio
import contextvars
import socket
import ssl as ssllib
from collections.abc import Sequence

from skiff.wire.connection import BODY_LIMIT, Connection, Core, Limits
from skiff.wire.messages import Handler

TICK_S = 2.0
"""How often time limits are looked at."""


class Server:
    """A listening server. `close` ends it."""

    def __init__(self, core: Core, listener: asyncio.Server, tick_s: float):
        self._core = core
        self._tick_s = tick_s
        self._listener = listener
        self.port: int = listener.sockets[0].getsockname()[1]
        self._timer = core.loop.call_later(tick_s, self._tick)

    def _tick(self) -> None:
        now = self._core.now = self._core.loop.time()
        for connection in list(self._core.connections):
            connection.sweep(now)
        self._timer = self._core.loop.call_later(self._tick_s, self._tick)

    @property
    def connections(self) -> int:
        return len(self._core.connections)

    async def close(self, grace_seconds: float = 10, *, quiet_seconds: float = 0) -> None:
        """Stops listening, ends streams at once, lets requests in flight end within the grace, then cancels what is
        left. Returns when every connection's task has ended. quiet_seconds: idle connections are kept that long, so that
        a request that is under way to one is answered, and told that it was the last, instead of lost."""
        self._core.draining = True
        self._listener.close()
        deadline = self._core.loop.time() + grace_seconds
        for connection in list(self._core.connections):
            connection.end_stream()
        if quiet_seconds and self._core.connections:
            await self._wait_until(self._core.loop.time() + quiet_seconds)
        for connection in list(self._core.connections):
            connection.drain()
        try:
            await self._wait_until(deadline)
        finally:
            for connection in list(self._core.connections):
                connection.abort()
            self._timer.cancel()
        await self._wait_until(self._core.loop.time() + 5)

    async def _wait_until(self, deadline: float) -> None:
        loop = self._core.loop
        tasks = {c.task for c in self._core.connections}
        while tasks and loop.time() < deadline:
            await asyncio.wait(tasks, timeout=deadline - loop.time())
            tasks = {c.task for c in self._core.connections}


async def serve(
    handler: Handler,
    *,
    host: str | Sequence[str] = "127.0.0.1",
    port: int = 0,
    ssl: ssllib.SSLContext | None = None,
    sock: socket.socket | None = None,
    body_limit: int = BODY_LIMIT,
    limits: Limits | None = None,
    backlog: int = 1024,
    tick_s: float = TICK_S,
) -> Server:
    """Listens on host:port (port 0: any free one) or on a bound socket and answers with the handler.

    TLS when a context is given; with CERT_OPTIONAL the verified client certificate is in Request.peer_cert.
    Raises OSError when the address cannot be used."""
    loop = asyncio.get_running_loop()
    core = Core(handler, limits or Limits(body_bytes=body_limit), loop, contextvars.copy_context(), now=loop.time())
    where = {"sock": sock} if sock is not None else {"host": host, "port": port}
    tls = {"ssl": ssl, "ssl_handshake_timeout": 10, "ssl_shutdown_timeout": 5} if ssl is not None else {}
    listener = await loop.create_server(lambda: Connection(core), backlog=backlog, **where, **tls)  # type: ignore[call-overload]
    return Server(core, listener, tick_s)
