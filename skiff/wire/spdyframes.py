"""SPDY/3.1 frames to and from bytes, without I/O: what kubectl before 1.31, kubelets and container runtimes stream with.

`Encoder` and `Decoder` each hold one direction's header compression, so there is one of each per connection and frames
must be encoded and decoded in order. A data frame is handed on piece by piece as it arrives. Flow control frames are
read and ignored, as all of Kubernetes' peers do (moby/spdystream). Source: SPDY Protocol draft 3.1.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FIN = 0x01
MAX_CONTROL = 1 << 20
MAX_HEADERS = 1 << 20

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 2, 3, 5, 6

_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|allow|"
    "authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|"
    "content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|"
    "if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|"
    "proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|"
    "user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|"
    "keep-alive|origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(len(w).to_bytes(4, "big") + w.encode() for w in _WORDS.split("|")) + _TAIL.encode()
"""What header compression starts from (draft 3.1, 2.6.10.1)."""


class SpdyError(ConnectionError):
    """The peer does not keep to the protocol; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class SynStream:
    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    last_good: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """A data frame or a piece of one; fin is on the last piece."""

    stream: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Ping | GoAway | Data


class Encoder:
    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        match frame:
            case Data(stream, data, fin):
                return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(data)) + data
            case SynStream(stream, headers, fin):
                return _control(SYN_STREAM, struct.pack(">IIH", stream, 0, 0) + self._headers(headers), fin)
            case SynReply(stream, headers, fin):
                return _control(SYN_REPLY, struct.pack(">I", stream) + self._headers(headers), fin)
            case RstStream(stream, status):
                return _control(RST_STREAM, struct.pack(">II", stream, status))
            case Ping(id):
                return _control(PING, struct.pack(">I", id))
            case GoAway(last_good, status):
                return _control(GOAWAY, struct.pack(">II", last_good, status))

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        parts = [len(headers).to_bytes(4, "big")]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                parts.append(len(text).to_bytes(4, "big") + text)
        return self._deflate.compress(b"".join(parts)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(type: int, payload: bytes, fin: bool = False) -> bytes:
    return struct.pack(">HHI", 0x8003, type, (FIN if fin else 0) << 24 | len(payload)) + payload


class Decoder:
    """Give it bytes as they come; it yields the frames that are complete. Raises SpdyError, after which it is dead."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        self._data_left = 0
        self._data_stream = 0
        self._data_fin = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._buffer += data
        while True:
            frame = self._data_piece() if self._data_left else self._next()
            if frame is None:
                return
            if not isinstance(frame, _Ignored):
                yield frame

    def _data_piece(self) -> Data | None:
        if not self._buffer:
            return None
        piece = bytes(self._buffer[: self._data_left])
        del self._buffer[: len(piece)]
        self._data_left -= len(piece)
        return Data(self._data_stream, piece, self._data_fin and not self._data_left)

    def _next(self) -> "Frame | _Ignored | None":
        if len(self._buffer) < 8:
            return None
        first, second = struct.unpack_from(">II", self._buffer)
        flags, length = second >> 24, second & 0xFFFFFF
        if not first & 0x80000000:
            del self._buffer[:8]
            self._data_left, self._data_stream, self._data_fin = length, first, bool(flags & FIN)
            return self._data_piece() or _IGNORED if length else Data(first, b"", self._data_fin)
        if first >> 16 & 0x7FFF != 3:
            raise SpdyError("not SPDY version 3")
        if length > MAX_CONTROL:
            raise SpdyError("a control frame is too long")
        if len(self._buffer) < 8 + length:
            return None
        payload = bytes(self._buffer[8 : 8 + length])
        del self._buffer[: 8 + length]
        try:
            return self._control(first & 0xFFFF, payload, bool(flags & FIN))
        except (struct.error, zlib.error, UnicodeDecodeError) as err:
            raise SpdyError(f"a malformed control frame: {err}") from err

    def _control(self, type: int, payload: bytes, fin: bool) -> "Frame | _Ignored":
        if type == SYN_STREAM:
            stream, _, _ = struct.unpack_from(">IIH", payload)
            return SynStream(stream & 0x7FFFFFFF, self._headers(payload[10:]), fin)
        if type == SYN_REPLY:
            (stream,) = struct.unpack_from(">I", payload)
            return SynReply(stream & 0x7FFFFFFF, self._headers(payload[4:]), fin)
        if type == RST_STREAM:
            stream, status = struct.unpack(">II", payload)
            return RstStream(stream & 0x7FFFFFFF, status)
        if type == PING:
            return Ping(*struct.unpack(">I", payload))
        if type == GOAWAY:
            last, status = struct.unpack(">II", payload)
            return GoAway(last & 0x7FFFFFFF, status)
        if type == HEADERS:
            self._headers(payload[4:])  # nobody sends meaning in them, but they advance the compression
        return _IGNORED

    def _headers(self, compressed: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(compressed, MAX_HEADERS)
        if self._inflate.unconsumed_tail:
            raise SpdyError("headers are too long")
        (count,) = struct.unpack_from(">I", plain)
        headers, position = {}, 4
        for _ in range(count):
            name, position = _text(plain, position)
            headers[name], position = _text(plain, position)
        return headers


class _Ignored:
    """A frame without meaning for us."""


_IGNORED = _Ignored()


def _text(data: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", data, position)
    end = position + 4 + length
    if end > len(data):
        raise SpdyError("a header is cut off")
    return data[position + 4 : end].decode(), end
