"""Kubernetes' protobuf encoding read into JSON-shaped objects: what typed clients (kubectl create, client-go) send.

The field numbers stand in protobuf.txt (tools/protobuf_table.py writes it); a message's table is made when it is first
met. Zero values are left out where Go's JSON encoder leaves them out, so that a decoded object is what the client would
have sent as JSON. Writing protobuf is not offered: every client takes JSON answers. Source: apimachinery
pkg/runtime/serializer/protobuf, protobuf encoding.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from skiff.api.times import format_micro, format_time
from skiff.api.types import Obj

MAGIC = b"k8s\x00"
MAX_DEPTH = 100

_PACKAGES = {
    "": "core",
    "rbac.authorization.k8s.io": "rbac",
    "apiextensions.k8s.io": "apiextensions",
    "apiregistration.k8s.io": "apiregistration",
    "flowcontrol.apiserver.k8s.io": "flowcontrol",
    "meta.k8s.io": "meta",
}
"""Group → package, where it is not the group's first word."""


class ProtobufError(ValueError):
    """The bytes are not what they should be."""


_EVERYWHERE = frozenset(
    ("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "Status")
)
"""Kinds that every group version has."""


class Field:
    __slots__ = ("inline", "kind", "name", "omit", "optional", "shape")

    def __init__(self, name: str, kind: str, flags: str):
        self.name = name
        self.shape = kind[:2] if kind[:2] in ("[]", "{}") else ""
        self.kind = kind.removeprefix(self.shape)
        self.optional = "p" in flags
        self.omit = "o" in flags
        self.inline = "n" in flags


@cache
def _lines() -> dict[str, str]:
    text = (Path(__file__).parent / "protobuf.txt").read_text()
    return {line.partition(" ")[0]: line for line in text.splitlines()}


@cache
def _message(name: str) -> dict[int, Field]:
    """Number → field. Raises ProtobufError for an unknown message."""
    line = _lines().get(name)
    if line is None:
        raise ProtobufError(f"unknown message {name}")
    fields = {}
    for word in line.split(" ")[1:]:
        json_name, number, kind, flags = word.split(",")
        fields[int(number)] = Field(json_name, kind, flags)
    return fields


def decode(data: bytes) -> Obj:
    """An object in its envelope (runtime.Unknown). Raises ProtobufError."""
    if not data.startswith(MAGIC):
        raise ProtobufError("the data does not start with the expected prefix")
    envelope = dict(_pairs(data[len(MAGIC) :]))
    type_meta = dict(_pairs(_bytes(envelope.get(1, b""))))
    api_version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
    raw = _bytes(envelope.get(2, b""))
    head = {k: v for k, v in (("apiVersion", api_version), ("kind", kind)) if v}
    return {**head, **decode_message(message_name(api_version, kind), raw)}


def message_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    if kind in _EVERYWHERE:
        return f"meta/v1.{kind}"
    return f"{_PACKAGES.get(group, group.partition('.')[0])}/{version}.{kind}"


def knows(api_version: str, kind: str) -> bool:
    return message_name(api_version, kind) in _lines()


def decode_message(name: str, raw: bytes, depth: int = 0) -> Obj:
    if depth > MAX_DEPTH:
        raise ProtobufError("exceeded max depth")
    fields = _message(name)
    found: Obj = {}
    for number, value in _pairs(raw):
        field = fields.get(number)
        if field is None:
            continue
        if field.shape == "[]":
            found.setdefault(field.name, []).extend(_elements(field.kind, value, depth))
        elif field.shape == "{}":
            key, item = _entry(field.kind, value, depth)
            found.setdefault(field.name, {})[key] = item
        elif field.inline:
            found.update(_value(field.kind, value, depth))
        else:
            _put(found, field, _value(field.kind, value, depth))
    for field in fields.values():
        plain = not (field.omit or field.optional or field.inline or field.shape)
        if plain and field.name not in found and field.kind in _ZERO:
            found[field.name] = _ZERO[field.kind]
    return found


_ZERO: dict[str, Any] = {"s": "", "i": 0, "b": False, "d": 0}


def _put(found: Obj, field: Field, value: Any) -> None:
    """Sets the field unless Go would leave it out of JSON."""
    if value is None:
        return
    if field.omit and not field.optional and (value == "" or value == 0 or value is False):
        return
    found[field.name] = value


def _elements(kind: str, value: Any, depth: int) -> list[Any]:
    if kind in ("i", "b") and isinstance(value, bytes):
        return [_value(kind, v, depth) for v in _varints(value)]
    return [_value(kind, value, depth)]


def _entry(kind: str, value: Any, depth: int) -> tuple[str, Any]:
    """One pair of a map: key 1, value 2; a missing part is its zero value."""
    pair = dict(_pairs(_bytes(value)))
    missing: Any = 0 if kind in ("i", "b", "d") else b""
    return _text(pair.get(1, b"")), _value(kind, pair.get(2, missing), depth)


def _value(kind: str, value: Any, depth: int) -> Any:
    if kind == "s":
        return _text(value)
    if kind == "i":
        return _signed(value)
    if kind == "b":
        return bool(_number(value))
    if kind == "y":
        return b64encode(_bytes(value)).decode()
    if kind == "d":
        return _double(value)
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(_bytes(value), depth)
    if kind[1:] not in _lines():
        return {}  # a message without fields, which the table leaves out
    return decode_message(kind[1:], _bytes(value), depth + 1)


# --- types with a form of their own


def _quantity(raw: bytes, depth: int) -> str:
    return _text(dict(_pairs(raw)).get(1, b"")) or "0"


def _int_or_string(raw: bytes, depth: int) -> Any:
    parts = dict(_pairs(raw))
    return _text(parts.get(3, b"")) if parts.get(1) else _signed(parts.get(2, 0))


def _time(raw: bytes, depth: int) -> str | None:
    return format_time(_signed(dict(_pairs(raw)).get(1, 0))) if raw else None


def _micro_time(raw: bytes, depth: int) -> str | None:
    if not raw:
        return None
    parts = dict(_pairs(raw))
    return format_micro(_signed(parts.get(1, 0)) + _signed(parts.get(2, 0)) // 1000 / 1_000_000)


def _duration(raw: bytes, depth: int) -> str:
    return f"{_signed(dict(_pairs(raw)).get(1, 0)) / 1e9:g}s"


def _embedded(raw: bytes, depth: int) -> Any:
    """JSON inside of protobuf: RawExtension, FieldsV1, JSON."""
    content = _bytes(dict(_pairs(raw)).get(1, b""))
    if not content:
        return None
    if content.startswith(MAGIC):
        return decode(content)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as e:
        raise ProtobufError(f"embedded JSON: {e}") from None


def _items(raw: bytes, depth: int) -> list[str]:
    return [_text(v) for n, v in _pairs(raw) if n == 1]


_SCHEMA = "apiextensions/v1.JSONSchemaProps"


def _schema_or_array(raw: bytes, depth: int) -> Any:
    many = [decode_message(_SCHEMA, _bytes(v), depth + 1) for n, v in _pairs(raw) if n == 2]
    one = [decode_message(_SCHEMA, _bytes(v), depth + 1) for n, v in _pairs(raw) if n == 1]
    return many or (one[0] if one else None)


def _schema_or_bool(raw: bytes, depth: int) -> Any:
    parts = dict(_pairs(raw))
    return decode_message(_SCHEMA, _bytes(parts[2]), depth + 1) if 2 in parts else bool(parts.get(1))


def _schema_or_strings(raw: bytes, depth: int) -> Any:
    parts = dict(_pairs(raw))
    if 1 in parts:
        return decode_message(_SCHEMA, _bytes(parts[1]), depth + 1)
    return [_text(v) for n, v in _pairs(raw) if n == 2]


_SPECIAL: dict[str, Callable[[bytes, int], Any]] = {
    "@Quantity": _quantity,
    "@IntOrString": _int_or_string,
    "@Time": _time,
    "@MicroTime": _micro_time,
    "@Duration": _duration,
    "@RawExtension": _embedded,
    "@FieldsV1": _embedded,
    "@JSON": _embedded,
    "@Items": _items,
    "@SchemaOrArray": _schema_or_array,
    "@SchemaOrBool": _schema_or_bool,
    "@SchemaOrStrings": _schema_or_strings,
}

# --- the wire


def _pairs(raw: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value): an int for varints, bytes for everything else."""
    position, end = 0, len(raw)
    while position < end:
        tag, position = _varint(raw, position)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == 0:
            value, position = _varint(raw, position)
        elif wire == 2:
            length, position = _varint(raw, position)
            value = raw[position : position + length]
            position += length
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
            value = raw[position : position + length]
            position += length
        else:
            raise ProtobufError(f"unknown wire type {wire}")
        if position > end or number == 0:
            raise ProtobufError("unexpected end of data")
        yield number, value


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(raw) or shift > 63:
            raise ProtobufError("malformed number")
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _varints(raw: bytes) -> list[int]:
    found, position = [], 0
    while position < len(raw):
        value, position = _varint(raw, position)
        found.append(value)
    return found


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise ProtobufError("a number was expected")
    return value


def _signed(value: Any) -> int:
    number = _number(value) & 0xFFFFFFFFFFFFFFFF
    return number - (1 << 64) if number >> 63 else number


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ProtobufError("bytes were expected")
    return value


def _text(value: Any) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise ProtobufError("text is not UTF-8") from None


def _double(value: Any) -> float:
    import struct

    raw = _bytes(value)
    if len(raw) != 8:
        raise ProtobufError("a number was expected")
    number: float = struct.unpack("<d", raw)[0]
    return number
