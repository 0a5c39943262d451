"""Exec and attach over WebSocket, translated to SPDY for the kubelet (KEP-4006).

The client sends and gets messages whose first byte is a channel: 0 stdin, 1 stdout, 2 stderr, 3 error, 4 terminal sizes;
with v5 the byte 255 followed by a channel closes that channel, which is how stdin ends. The kubelet gets a SPDY stream
per channel. The error channel's last word is a Status, success included.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from skiff.api.errors import StatusError, internal
from skiff.wire.messages import Stream
from skiff.wire.spdy import Session, SpdyStream
from skiff.wire.websocket import WebSocket, WebSocketError

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)
SPDY_PROTOCOL = "v4.channel.k8s.io"
MAX_STATUS = 64 * 1024

Dial = Callable[[], Awaitable[Stream]]
"""Opens the SPDY connection to the kubelet. Raises StatusError or ConnectionError."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams the client asked for."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


async def translate(client: Stream, wanted: Wanted, dial: Dial) -> None:
    """Serves one client until the command ends or the client goes. Never raises for what either of them does wrong."""
    socket = WebSocket(client, server=True)
    try:
        status = await _run(socket, wanted, dial)
        if status is not None:
            await socket.send(bytes((ERROR,)) + status)
    except ConnectionError:
        pass  # the client has gone, and has been told if it was its fault
    finally:
        await socket.close()


async def _run(socket: WebSocket, wanted: Wanted, dial: Dial) -> bytes | None:
    """The final Status as JSON; None when the client left before."""
    try:
        connection = await dial()
    except StatusError as err:
        return orjson.dumps(err.status)
    except ConnectionError as err:
        return orjson.dumps(internal(str(err)).status)
    finally:
        # As upstream: an empty message says that the connection stands. Not at once: kubectl up to 1.33 prepares its streams
        # when it has the answer to its handshake, and complains of messages that come before it is done.
        first = STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR
        await socket.send(bytes((first,)))
    session = Session(connection, client=True)
    try:
        return await _stream(socket, wanted, session)
    finally:
        await session.close()


async def _stream(socket: WebSocket, wanted: Wanted, session: Session) -> bytes | None:
    """Runs both directions side by side; the first to end ends the other."""
    running = asyncio.ensure_future(session.run())
    outward = inward = None
    try:
        streams = await _open(session, wanted)
        outward = asyncio.ensure_future(_outward(socket, streams))
        inward = asyncio.ensure_future(_inward(socket, streams))
        await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
        if not outward.done():
            await inward  # raises what was wrong with the client
            return None
        return outward.result()
    except WebSocketError:
        raise
    except ConnectionError as err:
        return orjson.dumps(internal(f"the connection to the node broke: {err}").status)
    finally:
        tasks = [t for t in (outward, inward, running) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _open(session: Session, wanted: Wanted) -> dict[int, SpdyStream]:
    """The streams that the v4 protocol asks for, in its order."""
    types = {ERROR: "error"}
    if wanted.stdin:
        types[STDIN] = "stdin"
    if wanted.stdout:
        types[STDOUT] = "stdout"
    if wanted.stderr and not wanted.tty:
        types[STDERR] = "stderr"
    if wanted.tty:
        types[RESIZE] = "resize"
    return {channel: await session.open({"streamType": type}) for channel, type in types.items()}


async def _outward(socket: WebSocket, streams: dict[int, SpdyStream]) -> bytes:
    """Output to the client; returns the Status when the command has ended and all of its output was passed on."""
    try:
        async with asyncio.TaskGroup() as group:
            for channel in (STDOUT, STDERR):
                if channel in streams:
                    group.create_task(_pump(socket, channel, streams[channel]))
            status = group.create_task(_read_status(streams[ERROR]))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return status.result()


async def _pump(socket: WebSocket, channel: int, stream: SpdyStream) -> None:
    """A reset is the end of the output: runtimes reset the streams of a command that they could not start."""
    prefix = bytes((channel,))
    while data := await _read(stream):
        await socket.send(prefix + data)


async def _read(stream: SpdyStream) -> bytes:
    try:
        return await stream.read(32 * 1024)
    except ConnectionResetError:
        return b""


async def _read_status(stream: SpdyStream) -> bytes:
    parts: list[bytes] = []
    try:
        while data := await stream.read():
            parts.append(data)
            if sum(map(len, parts)) > MAX_STATUS:
                raise ConnectionError("the node's status is too long")
    except ConnectionResetError:
        if not parts:  # runtimes reset the stream behind the status: then it was said
            raise
    return b"".join(parts) or orjson.dumps({"metadata": {}, "status": "Success"})


async def _inward(socket: WebSocket, streams: dict[int, SpdyStream]) -> None:
    """Input from the client, until it leaves."""
    while (message := await socket.receive()) is not None:
        if not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == CLOSE:
            channel, data = (data[0], b"") if len(data) == 1 else (-1, b"")
            if channel in (STDIN, RESIZE) and channel in streams:
                await streams[channel].write_eof()
        elif channel in (STDIN, RESIZE) and channel in streams and data:
            with contextlib.suppress(ConnectionResetError):  # the command reads no more; its output may go on
                await streams[channel].write(data)
