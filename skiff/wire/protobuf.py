"""Protocol buffers without generated code: a message is a table of fields, a value is a plain dict.

    POINT = Message("Point", x=(1, INT32), tags=(2, Repeated(STRING)), labels=(3, Map(STRING)), next=(4, Lazy(lambda: POINT)))
    POINT.encode({"x": 7, "tags": ["a"]})        POINT.decode(data)["x"]

Encoding leaves out defaults (proto3). Decoding fills in the default of every field that is missing except messages, which
are then absent: `value.get("next")`. Unknown fields are skipped. Bytes from the network may be hostile: every length, varint
and depth is checked and DecodeError raised. Source: protobuf.dev, "Encoding".
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from skiff.api.protobuf.varint import FIXED64, LENGTH, VARINT, read_varint, skip, varint
from skiff.api.protobuf.varint import ProtobufError as DecodeError

Value = dict[str, Any]

MAX_DEPTH = 64


class Type(Protocol):
    """How one value is written after its tag and read back. wire: the wire type; default: what a missing field means."""

    wire: int
    default: Any

    def write(self, value: Any) -> bytes: ...

    def read(self, data: memoryview, start: int, depth: int) -> tuple[Any, int]:
        """(value, position behind it)"""
        ...


class _Integer:
    """bits and signedness of the decoded value; negative numbers are sent as 64 bits."""

    wire = VARINT
    default = 0

    def __init__(self, bits: int, signed: bool):
        self._bits, self._signed = bits, signed

    def write(self, value: int) -> bytes:
        return varint(int(value))

    def read(self, data: memoryview, start: int, depth: int) -> tuple[int, int]:
        n, end = read_varint(data, start)
        n &= (1 << self._bits) - 1
        if self._signed and n >> (self._bits - 1):
            n -= 1 << self._bits
        return n, end


class _Bool:
    wire = VARINT
    default = False

    def write(self, value: bool) -> bytes:
        return b"\x01" if value else b"\x00"

    def read(self, data: memoryview, start: int, depth: int) -> tuple[bool, int]:
        n, end = read_varint(data, start)
        return n != 0, end


class _Double:
    wire = FIXED64
    default = 0.0

    def write(self, value: float) -> bytes:
        return struct.pack("<d", value)

    def read(self, data: memoryview, start: int, depth: int) -> tuple[float, int]:
        if start + 8 > len(data):
            raise DecodeError("fixed64 is cut off")
        return struct.unpack_from("<d", data, start)[0], start + 8


def _read_chunk(data: memoryview, start: int) -> tuple[memoryview, int]:
    size, at = read_varint(data, start)
    if size > len(data) - at:
        raise DecodeError("length goes beyond the end")
    return data[at : at + size], at + size


class _Bytes:
    wire = LENGTH
    default = b""

    def write(self, value: bytes) -> bytes:
        return varint(len(value)) + value

    def read(self, data: memoryview, start: int, depth: int) -> tuple[bytes, int]:
        chunk, end = _read_chunk(data, start)
        return bytes(chunk), end


class _String:
    """Text that is not UTF-8 is decoded with replacement characters: it is for people, not for keys."""

    wire = LENGTH
    default = ""

    def write(self, value: str) -> bytes:
        raw = value.encode("utf-8", "surrogatepass")
        return varint(len(raw)) + raw

    def read(self, data: memoryview, start: int, depth: int) -> tuple[str, int]:
        chunk, end = _read_chunk(data, start)
        return str(chunk, "utf-8", "replace"), end


INT32: Type = _Integer(32, True)
INT64: Type = _Integer(64, True)
UINT32: Type = _Integer(32, False)
UINT64: Type = _Integer(64, False)
ENUM: Type = INT32
BOOL: Type = _Bool()
DOUBLE: Type = _Double()
BYTES: Type = _Bytes()
STRING: Type = _String()


class Lazy:
    """A message that is defined later or refers to itself."""

    wire = LENGTH
    default = None

    def __init__(self, get: Callable[[], "Message"]):
        self._get = get

    def write(self, value: Value) -> bytes:
        return self._get().write(value)

    def read(self, data: memoryview, start: int, depth: int) -> tuple[Value, int]:
        return self._get().read(data, start, depth)


class Repeated:
    """A list. Numbers are written packed and read in both ways."""

    def __init__(self, of: Type):
        self.of = of


class Map:
    """A dict with text keys."""

    def __init__(self, of: Type):
        self.entry = Message("Entry", key=(1, STRING), value=(2, of))


Field = tuple[int, "Type | Repeated | Map"]


class Message:
    """A table: field name → (number, type). Also a Type, so that messages nest."""

    wire = LENGTH
    default = None

    def __init__(self, name: str, /, **fields: Field):
        self.name = name
        self._fields = fields
        self._by_number = {number: (field, type) for field, (number, type) in fields.items()}

    def encode(self, value: Mapping[str, Any]) -> bytes:
        """Raises KeyError for a field that the table does not have."""
        out = bytearray()
        for field, item in value.items():
            number, type = self._fields[field]
            if item is None:
                continue
            for wire, chunk in _chunks(type, item):
                out += varint(number << 3 | wire) + chunk
        return bytes(out)

    def decode(self, data: bytes) -> Value:
        """Raises DecodeError."""
        return self._decode(memoryview(data), 0)

    def write(self, value: Mapping[str, Any]) -> bytes:
        raw = self.encode(value)
        return varint(len(raw)) + raw

    def read(self, data: memoryview, start: int, depth: int) -> tuple[Value, int]:
        chunk, end = _read_chunk(data, start)
        return self._decode(chunk, depth + 1), end

    def _decode(self, data: memoryview, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise DecodeError(f"{self.name} is nested too deeply")
        value = self._empty()
        at = 0
        while at < len(data):
            tag, at = read_varint(data, at)
            number, wire = tag >> 3, tag & 7
            if number == 0:
                raise DecodeError("field number 0")
            found = self._by_number.get(number)
            if found is None:
                at = skip(data, at, wire)
            else:
                at = _read_field(value, found[0], found[1], data, at, wire, depth)
        return value

    def _empty(self) -> Value:
        value: Value = {}
        for field, (_, type) in self._fields.items():
            if isinstance(type, Repeated):
                value[field] = []
            elif isinstance(type, Map):
                value[field] = {}
            elif type.default is not None:
                value[field] = type.default
        return value


def _chunks(type: "Type | Repeated | Map", item: Any) -> Iterable[tuple[int, bytes]]:
    """What follows the tag, once per tag; nothing for a default."""
    if isinstance(type, Map):
        for key, value in item.items():
            yield LENGTH, type.entry.write({"key": key, "value": value})
    elif isinstance(type, Repeated):
        if type.of.wire == LENGTH:
            for value in item:
                yield LENGTH, type.of.write(value)
        elif item:
            packed = b"".join(type.of.write(value) for value in item)
            yield LENGTH, varint(len(packed)) + packed
    elif type.default is None or item != type.default:
        yield type.wire, type.write(item)


def _read_field(
    value: Value, field: str, type: "Type | Repeated | Map", data: memoryview, at: int, wire: int, depth: int
) -> int:
    if isinstance(type, Map):
        _expect(wire, LENGTH, field)
        entry, end = type.entry.read(data, at, depth)
        value[field][entry["key"]] = entry.get("value")
        return end
    if isinstance(type, Repeated):
        if type.of.wire != LENGTH and wire == LENGTH:
            packed, end = _read_chunk(data, at)
            inner = 0
            while inner < len(packed):
                item, inner = type.of.read(packed, inner, depth)
                value[field].append(item)
            return end
        _expect(wire, type.of.wire, field)
        item, end = type.of.read(data, at, depth)
        value[field].append(item)
        return end
    _expect(wire, type.wire, field)
    value[field], end = type.read(data, at, depth)
    return end


def _expect(wire: int, wanted: int, field: str) -> None:
    if wire != wanted:
        raise DecodeError(f"field {field} has wire type {wire} instead of {wanted}")
