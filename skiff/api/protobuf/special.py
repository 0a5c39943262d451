"""Types whose JSON is not their message's fields: quantities, times, numbers or text, JSON inside of protobuf, schemas.

Each is a Special: `empty` is what Go writes for the zero value, `write` gives a message's content for a JSON value, `read`
the JSON value of a content (None: null). Source: apimachinery's *_proto.go and the generated marshalers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from skiff.api.protobuf.varint import LENGTH, MASK, VARINT, ProtobufError, delimited, read_varint, skip, varint
from skiff.api.times import format_micro, format_time, parse

if TYPE_CHECKING:
    from skiff.api.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Special:
    empty: bytes
    write: Callable[[Any], bytes]
    read: Callable[[bytes, int], Any]
    """(content, depth)"""


def pairs(data: bytes) -> list[tuple[int, Any]]:
    """(field number, value) of a content: an int for varints, bytes for what has a length; others are left out."""
    found: list[tuple[int, Any]] = []
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ProtobufError("field number 0")
        if wire == VARINT:
            value, at = read_varint(data, at)
            found.append((number, value))
        elif wire == LENGTH:
            size, start = read_varint(data, at)
            at = start + size
            if at > end:
                raise ProtobufError("unexpected EOF")
            found.append((number, data[start:at]))
        else:
            at = skip(data, at, wire)
    return found


def signed(n: int) -> int:
    return n - MASK - 1 if n >> 63 else n


def number(value: Any) -> int:
    if not isinstance(value, int):
        raise ProtobufError("a number was expected")
    return signed(value)


def content(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ProtobufError("bytes were expected")
    return value


def text(value: Any) -> str:
    try:
        return content(value).decode()
    except UnicodeDecodeError:
        raise ProtobufError("text is not UTF-8") from None


# --- quantities, numbers or text, times


def _write_quantity(value: Any) -> bytes:
    return delimited(1, str(value).encode())


def _read_quantity(data: bytes, depth: int) -> str:
    return text(dict(pairs(data)).get(1, b"")) or "0"


def _write_int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + delimited(3, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _read_int_or_string(data: bytes, depth: int) -> Any:
    parts = dict(pairs(data))
    return text(parts.get(3, b"")) if parts.get(1) else number(parts.get(2, 0))


@lru_cache(1024)
def _write_time(value: str) -> bytes:
    seconds = int(parse(value).timestamp() // 1)
    return b"\x08" + varint(seconds) + b"\x10\x00"


def _write_micro_time(value: str) -> bytes:
    moment = parse(value)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return b"\x08" + varint(seconds) + b"\x10" + varint(moment.microsecond * 1000)


def _read_time(data: bytes, depth: int) -> str | None:
    return _moment(data) if data else None


@lru_cache(1024)
def _moment(data: bytes) -> str:
    try:
        return format_time(number(dict(pairs(data)).get(1, 0)))
    except (ValueError, OverflowError, OSError):
        raise ProtobufError("a time is out of range") from None


def _read_micro_time(data: bytes, depth: int) -> str | None:
    if not data:
        return None
    parts = dict(pairs(data))
    micros = number(parts.get(2, 0)) // 1000
    try:
        whole = format_micro(number(parts.get(1, 0)))
    except (ValueError, OverflowError, OSError):
        raise ProtobufError("a time is out of range") from None
    if not 0 <= micros < 1_000_000:
        raise ProtobufError("a time's fraction is out of range")
    return f"{whole[:-7]}{micros:06d}Z"


# --- JSON inside of protobuf


def _write_raw(value: Any) -> bytes:
    """Go's encoder escapes these characters, and clients compare the bytes (of controller revisions)."""
    raw = orjson.dumps(value)
    raw = raw.replace(b"&", b"\\u0026").replace(b"<", b"\\u003c").replace(b">", b"\\u003e")
    return delimited(1, raw)


def _read_raw(data: bytes, depth: int) -> Any:
    from skiff.api.protobuf import MAGIC, unpack

    raw = content(dict(pairs(data)).get(1, b""))
    if not raw:
        return None
    if raw.startswith(MAGIC):
        return unpack(raw, depth + 1)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as e:
        raise ProtobufError(f"embedded JSON: {e}") from None


def _write_items(value: Any) -> bytes:
    return b"".join([delimited(1, item.encode()) for item in value])


def _read_items(data: bytes, depth: int) -> list[str]:
    return [text(v) for n, v in pairs(data) if n == 1]


# --- schemas of custom resources


def _schema() -> "Message":
    from skiff.api.protobuf.message import message

    return message("apiextensions/v1.JSONSchemaProps")


def _write_schema_or_array(value: Any) -> bytes:
    schema = _schema()
    if isinstance(value, list):
        return b"".join([delimited(2, schema.encode(v)) for v in value])
    return delimited(1, schema.encode(value))


def _read_schema_or_array(data: bytes, depth: int) -> Any:
    parts = pairs(data)
    many = [_schema().decode(content(v), depth + 1) for n, v in parts if n == 2]
    one = [_schema().decode(content(v), depth + 1) for n, v in parts if n == 1]
    return many or (one[-1] if one else None)


def _write_schema_or_bool(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"\x08\x01" + delimited(2, _schema().encode(value))
    return b"\x08\x01" if value else b"\x08\x00"


def _read_schema_or_bool(data: bytes, depth: int) -> Any:
    parts = dict(pairs(data))
    return _schema().decode(content(parts[2]), depth + 1) if 2 in parts else bool(parts.get(1))


def _write_schema_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join([delimited(2, v.encode()) for v in value])
    return delimited(1, _schema().encode(value))


def _read_schema_or_strings(data: bytes, depth: int) -> Any:
    parts = pairs(data)
    one = [_schema().decode(content(v), depth + 1) for n, v in parts if n == 1]
    return one[-1] if one else [text(v) for n, v in parts if n == 2]


SPECIAL = {
    "Quantity": Special(b"\x0a\x010", _write_quantity, _read_quantity),
    "IntOrString": Special(b"\x08\x00\x10\x00\x1a\x00", _write_int_or_string, _read_int_or_string),
    "Time": Special(b"", _write_time, _read_time),
    "MicroTime": Special(b"", _write_micro_time, _read_micro_time),
    "Raw": Special(b"", _write_raw, _read_raw),
    "Items": Special(b"", _write_items, _read_items),
    "SchemaOrArray": Special(b"", _write_schema_or_array, _read_schema_or_array),
    "SchemaOrBool": Special(b"\x08\x00", _write_schema_or_bool, _read_schema_or_bool),
    "SchemaOrStrings": Special(b"", _write_schema_or_strings, _read_schema_or_strings),
}
