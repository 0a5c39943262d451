"""Protocol buffers' numbers and lengths: the part that every codec of ours shares. Source: protobuf.dev, "Encoding"."""

from functools import cache

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MASK = (1 << 64) - 1


class ProtobufError(ValueError):
    """The bytes are not what they should be: the sender's fault."""


def varint(n: int) -> bytes:
    """Negative numbers become 64 bits."""
    if n < 0:
        n &= MASK
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def read_varint(data: bytes | memoryview, start: int) -> tuple[int, int]:
    """(number, position behind it). Raises ProtobufError."""
    result = shift = 0
    for i in range(start, min(start + 10, len(data))):
        byte = data[i]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & MASK, i + 1
        shift += 7
    raise ProtobufError("varint is cut off or too long")


def skip(data: bytes | memoryview, at: int, wire: int) -> int:
    """The position behind a field that nobody wants. Raises ProtobufError."""
    if wire == VARINT:
        return read_varint(data, at)[1]
    if wire == LENGTH:
        size, at = read_varint(data, at)
    else:
        size = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
    if size < 0 or size > len(data) - at:
        raise ProtobufError(f"unknown wire type {wire} or cut off")
    return at + size


@cache
def heads(tag: bytes) -> tuple[bytes, ...]:
    """The tag with each length that is one byte long."""
    return tuple(tag + bytes((n,)) for n in range(0x80))


def delimited(number: int, content: bytes) -> bytes:
    """A whole length-delimited field."""
    return varint(number << 3 | LENGTH) + varint(len(content)) + content
