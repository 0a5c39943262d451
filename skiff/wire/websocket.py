"""WebSocket (RFC 6455) over a raw connection: handshake helpers, messages with fragmentation, ping, close; both sides.

`WebSocket` is one side of an open connection: one task receives, any task sends. Pings are answered while receiving.
No extensions. Channel protocols (exec, port-forward) are built on top, by skiff.apiserver and skiff.kubelet.
"""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skiff.api.errors import bad_request
from skiff.wire.messages import Request, Stream

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NOT_UTF8, TOO_BIG, INTERNAL_ERROR = 1000, 1001, 1002, 1007, 1009, 1011
MAX_MESSAGE = 4 * 1024 * 1024
CLOSE_S = 5

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketError(ConnectionError):
    """The peer does not keep to the protocol. `code` is the close code that it was told."""

    def __init__(self, code: int, why: str):
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    fin: bool
    opcode: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message. For text, data is valid UTF-8."""

    data: bytes
    text: bool = False


# handshake


def is_upgrade(request: Request) -> bool:
    """Whether the request asks to become a WebSocket."""
    tokens = [t.strip().lower() for t in request.headers.get("connection", "").split(",")]
    return "upgrade" in tokens and request.headers.get("upgrade", "").lower() == "websocket"


def offered(request: Request) -> list[str]:
    """The subprotocols that the client offers, in its order of preference."""
    return [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",") if p.strip()]


def negotiate(request: Request, supported: Sequence[str]) -> str:
    """The first offered subprotocol that is supported, "" if there is none."""
    return next((p for p in offered(request) if p in supported), "")


def accept_headers(request: Request, protocol: str) -> dict[str, str]:
    """The headers of the 101 answer. Raises StatusError 400 for a handshake that is not version 13."""
    key = request.headers.get("sec-websocket-key", "")
    if request.method != "GET" or request.headers.get("sec-websocket-version") != "13" or not _is_key(key):
        raise bad_request("the WebSocket handshake is not version 13 of RFC 6455")
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(key)}
    if protocol:
        headers["Sec-WebSocket-Protocol"] = protocol
    return headers


def accept_key(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def client_headers(protocols: Sequence[str]) -> dict[str, str]:
    """The headers with which a client asks for a WebSocket."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    if protocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
    return headers


def check_accepted(sent: Mapping[str, str], answer: Mapping[str, str]) -> str:
    """The subprotocol of a 101 answer ("" for none). Raises WebSocketError when it does not fit the request."""
    found = {name.lower(): value for name, value in answer.items()}
    if found.get("sec-websocket-accept") != accept_key(sent["Sec-WebSocket-Key"]):
        raise WebSocketError(PROTOCOL_ERROR, "the server's WebSocket answer does not fit our key")
    return found.get("sec-websocket-protocol", "")


# frames


def mask(data: bytes, key: bytes) -> bytes:
    """XOR with the repeated key; its own inverse."""
    if not data:
        return b""
    repeated = key * (len(data) // 4 + 1)
    number = int.from_bytes(data, "little") ^ int.from_bytes(repeated[: len(data)], "little")
    return number.to_bytes(len(data), "little")


def encode(opcode: int, data: bytes, *, masked: bool, fin: bool = True) -> bytes:
    first = (0x80 if fin else 0) | opcode
    flag = 0x80 if masked else 0
    if len(data) < 126:
        head = struct.pack(">BB", first, flag | len(data))
    elif len(data) < 1 << 16:
        head = struct.pack(">BBH", first, flag | 126, len(data))
    else:
        head = struct.pack(">BBQ", first, flag | 127, len(data))
    if not masked:
        return head + data
    key = secrets.token_bytes(4)
    return head + key + mask(data, key)


class Decoder:
    """Bytes to frames, without I/O. masked: whether the peer must mask (a client must, a server must not)."""

    def __init__(self, *, masked: bool, max_frame: int = MAX_MESSAGE):
        self._masked = masked
        self._max_frame = max_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises WebSocketError."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode, length = buffer[0] & 0x0F, buffer[1] & 0x7F
        self._check_head(buffer[0], buffer[1], length)
        position = 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(buffer) < 2 + size:
                return None
            length = int.from_bytes(buffer[2 : 2 + size], "big")
            position += size
        if length > self._max_frame:
            raise WebSocketError(TOO_BIG, "a frame is too big")
        end = position + (4 if self._masked else 0) + length
        if len(buffer) < end:
            return None
        data = bytes(buffer[end - length : end])
        if self._masked:
            data = mask(data, bytes(buffer[position : position + 4]))
        fin = bool(buffer[0] & 0x80)
        del buffer[:end]
        return Frame(fin, opcode, data)

    def _check_head(self, first: int, second: int, length: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise WebSocketError(PROTOCOL_ERROR, "a reserved bit is set")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise WebSocketError(PROTOCOL_ERROR, f"unknown opcode {opcode}")
        if bool(second & 0x80) != self._masked:
            raise WebSocketError(PROTOCOL_ERROR, "masked where it must not be, or not masked where it must")
        if opcode >= CLOSE and (length > 125 or not first & 0x80):
            raise WebSocketError(PROTOCOL_ERROR, "a control frame is long or in fragments")


# connection


class WebSocket:
    """An open WebSocket. After `receive` has returned None, `close_code` tells why."""

    def __init__(self, connection: Stream, *, server: bool, max_message: int = MAX_MESSAGE):
        self._connection = connection
        self._server = server
        self._max_message = max_message
        self._decoder = Decoder(masked=server, max_frame=max_message)
        self._frames: list[Frame] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._opcode = 0
        self._sending = asyncio.Lock()
        self._close_sent = False
        self.close_code = 0

    async def receive(self) -> Message | None:
        """The next message, None when the connection is closed. Raises WebSocketError (the peer has been told),
        ConnectionError when it breaks."""
        if self.close_code:
            return None
        try:
            while True:
                while self._frames:
                    message = await self._on_frame(self._frames.pop(0))
                    if message is not None or self.close_code:
                        return message
                data = await self._connection.read()
                if not data:
                    self.close_code = 1006
                    return None
                self._frames += self._decoder.feed(data)
        except WebSocketError as err:
            self.close_code = err.code
            await self.close(err.code, str(err))
            raise

    async def send(self, data: bytes, *, text: bool = False) -> None:
        """Sends one message. Raises ConnectionError."""
        await self._send(TEXT if text else BINARY, data)

    async def ping(self, data: bytes = b"") -> None:
        await self._send(PING, data)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Says goodbye (once) and closes the connection. Does not wait for the peer's goodbye for long."""
        with contextlib.suppress(ConnectionError, TimeoutError):  # who does not listen need not be told
            async with asyncio.timeout(CLOSE_S):
                await self._send_close(code, reason)
        await self._connection.close()

    async def _send_close(self, code: int, reason: str) -> None:
        if not self._close_sent:
            self._close_sent = True
            payload = code.to_bytes(2, "big") + reason.encode()[:123]
            await self._send(CLOSE, payload)

    async def _send(self, opcode: int, data: bytes) -> None:
        async with self._sending:
            if self._close_sent and opcode != CLOSE:
                raise ConnectionResetError("the WebSocket is closed")
            await self._connection.write(encode(opcode, data, masked=not self._server))

    async def _on_frame(self, frame: Frame) -> Message | None:
        if frame.opcode == CLOSE:
            self.close_code = _close_code(frame.data)
            with contextlib.suppress(ConnectionError):  # the peer need not wait for our goodbye
                await self._send_close(self.close_code if self.close_code != 1005 else NORMAL, "")
            return None
        if frame.opcode == PING:
            await self._send(PONG, frame.data)
            return None
        if frame.opcode == PONG:
            return None
        return self._on_data(frame)

    def _on_data(self, frame: Frame) -> Message | None:
        if (frame.opcode == CONTINUATION) != bool(self._opcode):
            raise WebSocketError(PROTOCOL_ERROR, "fragments out of order")
        self._opcode = self._opcode or frame.opcode
        if frame.data:
            self._parts.append(frame.data)
            self._size += len(frame.data)
        if self._size > self._max_message:
            raise WebSocketError(TOO_BIG, "a message is too big")
        if not frame.fin:
            return None
        data, text = b"".join(self._parts), self._opcode == TEXT
        self._parts, self._size, self._opcode = [], 0, 0
        if text:
            _check_utf8(data)
        return Message(data, text)


def _close_code(payload: bytes) -> int:
    """The peer's reason, 1005 if it gives none. Raises WebSocketError for what may not be sent."""
    if not payload:
        return 1005
    code = int.from_bytes(payload[:2], "big")
    allowed = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    if len(payload) < 2 or not (allowed or 3000 <= code <= 4999):
        raise WebSocketError(PROTOCOL_ERROR, "not a close code")
    _check_utf8(payload[2:])
    return code


def _check_utf8(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise WebSocketError(NOT_UTF8, "text that is not UTF-8") from None


class WebSocketStream:
    """A WebSocket as a messages.Stream: bytes in binary messages (tunnels)."""

    def __init__(self, socket: WebSocket):
        self._socket = socket
        self._rest = b""

    async def read(self, n: int = 65536) -> bytes:
        while not self._rest:
            message = await self._socket.receive()
            if message is None:
                return b""
            self._rest = message.data
        data, self._rest = self._rest[:n], self._rest[n:]
        return data

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), 1 << 20):
            await self._socket.send(data[start : start + (1 << 20)])

    async def write_eof(self) -> None:
        """A WebSocket closes both directions at once: nothing happens."""

    async def close(self) -> None:
        await self._socket.close()
