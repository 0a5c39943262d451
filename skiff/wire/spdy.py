"""A SPDY/3.1 session over a raw connection: many streams, opened by either side. Frames are in spdyframes.py.

Whoever makes a session runs `run()` as a task of its own; it ends with the connection and wakes everyone. A stream is
a messages.Stream: read until b"", write, half-close, reset. What nobody reads is buffered up to a bound, then the whole
connection waits (SPDY as Kubernetes speaks it has no flow control per stream).
"""

import asyncio
import contextlib
from collections.abc import Mapping

from skiff.wire.messages import Stream
from skiff.wire.spdyframes import (
    CANCEL,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Ping,
    RstStream,
    SpdyError,
    SynReply,
    SynStream,
)

BUFFERED = 1 << 20
PIECE = 1 << 16
MAX_STREAMS = 1000
GOODBYE_S = 0.2


class SpdyStream:
    """One stream. headers: those it was opened with."""

    def __init__(self, session: "Session", id: int, headers: Mapping[str, str]):
        self.id = id
        self.headers = headers
        self._session = session
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._replied = False
        self._read_closed = False
        self._write_closed = False
        self._reset: int | None = None

    async def read(self, n: int = 65536) -> bytes:
        """Up to n bytes, b"" when the peer has finished. Raises ConnectionError when it was reset or lost."""
        while not self._buffer:
            if self._read_closed:
                self._check()
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._buffer[:n])
        del self._buffer[:n]
        self._session._consumed()
        return data

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            if self._write_closed:
                self._check()
                raise ConnectionResetError("the stream is closed for writing")
            await self._session._send(Data(self.id, data[start : start + PIECE]))

    async def write_eof(self) -> None:
        if not self._write_closed:
            self._write_closed = True
            await self._session._send(Data(self.id, b"", fin=True))
            self._session._forget_if_done(self)

    async def close(self) -> None:
        """Both directions: finishes ours, and tells the peer that its is not read any more."""
        if not self._write_closed or not self._read_closed:
            finished = self._write_closed
            self._write_closed = self._read_closed = True
            self._buffer.clear()
            self._session._forget_if_done(self)
            await self._session._send(RstStream(self.id, CANCEL) if finished else Data(self.id, b"", fin=True))

    async def wait_reply(self) -> None:
        """Until the peer has accepted the stream. Raises ConnectionError when it refuses."""
        while not self._replied:
            self._check()
            self._changed.clear()
            await self._changed.wait()

    @property
    def pending(self) -> int:
        return len(self._buffer)

    def _check(self) -> None:
        if self._reset is not None:
            raise ConnectionResetError(f"stream {self.id} was reset by the peer, status {self._reset}")
        if self._session.closed and not self._read_closed:
            raise ConnectionResetError("the SPDY connection is lost")

    def _on_data(self, data: bytes, fin: bool) -> None:
        if not self._read_closed:
            self._buffer += data
            self._read_closed = fin
        self._changed.set()

    def _on_reply(self) -> None:
        self._replied = True
        self._changed.set()

    def _on_reset(self, status: int) -> None:
        self._reset = status
        self._read_closed = self._write_closed = True
        self._changed.set()

    def _on_lost(self) -> None:
        if not self._read_closed:
            self._reset = 0
        self._read_closed = self._write_closed = True
        self._changed.set()


class Session:
    """client: whether we opened the connection (and so use odd stream numbers)."""

    def __init__(self, connection: Stream, *, client: bool):
        self._connection = connection
        self._client = client
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._streams: dict[int, SpdyStream] = {}
        self._next_id = 1 if client else 2
        self._last_peer_id = 0
        self._accepted: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._sending = asyncio.Lock()
        self.closed = False

    async def run(self) -> None:
        """Reads until the connection ends. Raises SpdyError when the peer breaks the protocol."""
        try:
            while data := await self._connection.read():
                for frame in self._decoder.feed(data):
                    await self._on_frame(frame)
                await self._room.wait()
        except SpdyError:
            await self._say_goodbye(PROTOCOL_ERROR)
            raise
        except ConnectionError:
            pass  # the peer is gone: everyone who waits learns it below
        finally:
            self._lost()

    async def open(self, headers: Mapping[str, str], *, fin: bool = False) -> SpdyStream:
        """Opens a stream and waits until the peer has accepted it. Raises ConnectionError."""
        stream = SpdyStream(self, self._next_id, headers)
        self._next_id += 2
        self._streams[stream.id] = stream
        stream._write_closed = fin
        await self._send(SynStream(stream.id, headers, fin))
        await stream.wait_reply()
        return stream

    async def accept(self) -> SpdyStream | None:
        """The next stream that the peer opens, accepted already. None when the connection has ended."""
        stream = await self._accepted.get()
        if stream is None:
            self._accepted.put_nowait(None)
        return stream

    async def close(self) -> None:
        """Says goodbye, unless the peer has stopped reading, and closes the connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._say_goodbye(0)
        await self._connection.close()

    async def _on_frame(self, frame: Frame) -> None:
        match frame:
            case Data(id, data, fin):
                stream = self._streams.get(id)
                if stream is not None:
                    stream._on_data(data, fin)
                    self._forget_if_done(stream)
                    self._consumed()
            case SynStream(id, headers, fin):
                await self._on_open(id, headers, fin)
            case SynReply(id, _, fin):
                stream = self._streams.get(id)
                if stream is not None:
                    stream._on_reply()
                    if fin:
                        stream._on_data(b"", True)
            case RstStream(id, status):
                stream = self._streams.pop(id, None)
                if stream is not None:
                    stream._on_reset(status)
            case Ping(id):
                if (id % 2 == 1) != self._client:
                    await self._send(Ping(id))
            case GoAway():
                pass  # the peer opens and accepts no more streams; those there are go on

    async def _on_open(self, id: int, headers: Mapping[str, str], fin: bool) -> None:
        if id % 2 == self._client or id <= self._last_peer_id:
            raise SpdyError(f"stream number {id} is not the peer's next")
        self._last_peer_id = id
        if len(self._streams) >= MAX_STREAMS:
            await self._send(RstStream(id, REFUSED_STREAM))
            return
        stream = self._streams[id] = SpdyStream(self, id, headers)
        stream._replied = True
        if fin:
            stream._on_data(b"", True)
        self._accepted.put_nowait(stream)
        await self._send(SynReply(id))

    async def _send(self, frame: Frame) -> None:
        """Frames leave one by one: the order of compressed headers is the order on the wire."""
        async with self._sending:
            if self.closed:
                raise ConnectionResetError("the SPDY connection is closed")
            await self._connection.write(self._encoder.encode(frame))

    def _consumed(self) -> None:
        """Someone has read, or something has come: is there room to read on?"""
        if sum(s.pending for s in self._streams.values()) > BUFFERED:
            self._room.clear()
        else:
            self._room.set()

    def _forget_if_done(self, stream: SpdyStream) -> None:
        if stream._read_closed and stream._write_closed:
            self._streams.pop(stream.id, None)

    async def _say_goodbye(self, status: int) -> None:
        if not self.closed:
            with contextlib.suppress(ConnectionError):  # it may be gone already
                await self._send(GoAway(self._last_peer_id, status))

    def _lost(self) -> None:
        self.closed = True
        for stream in self._streams.values():
            stream._on_lost()
        self._streams.clear()
        self._accepted.put_nowait(None)
