"""Kubernetes' protobuf encoding of the built-in kinds, to and from JSON-shaped objects.

On the wire an object is `k8s\\0` and a runtime.Unknown, which names the kind and holds the message's bytes. `encode` and
`decode` do whole objects; a Form and `frame` are for who keeps messages and shares them. The
same bytes as Go's generated code for the same object (fields.txt has the numbers, message.py the rules). Source:
apimachinery pkg/runtime/serializer/protobuf.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skiff.api.protobuf import table
from skiff.api.protobuf.message import Message, message
from skiff.api.protobuf.special import content, pairs, text
from skiff.api.protobuf.varint import ProtobufError, delimited, heads, varint
from skiff.api.types import Obj

__all__ = [
    "MAGIC",
    "Form",
    "ProtobufError",
    "decode",
    "encode",
    "form",
    "frame",
    "knows",
    "unpack",
]

MAGIC = b"k8s\x00"


def knows(api_version: str, kind: str) -> bool:
    """Whether a kind has a protobuf form: built-in kinds have, custom resources and tables have not."""
    return table.exists(table.message_name(api_version, kind))


@dataclass(frozen=True, slots=True)
class Form:
    """The protobuf form of one kind."""

    api_version: str
    kind: str
    message: Message

    def encode(self, obj: Obj) -> bytes:
        """The message alone. Raises ProtobufError for an object that is not of that kind."""
        return _encode(self.message, obj)

    def wrap(self, raw: bytes) -> bytes:
        return _wrap(self.api_version, self.kind, raw)

    def wrap_list(self, kind: str, metadata: Obj, items: Sequence[bytes]) -> bytes:
        """A whole list, from the messages of its items."""
        return _wrap(self.api_version, kind, _list(metadata, items))


def form(api_version: str, kind: str) -> Form | None:
    """None for a kind without protobuf form."""
    return Form(api_version, kind, _message_of(api_version, kind)) if knows(api_version, kind) else None


def _message_of(api_version: str, kind: str) -> Message:
    """Raises ProtobufError."""
    name = table.message_name(api_version, kind)
    if not table.exists(name):
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return message(name)


def encode(obj: Obj) -> bytes:
    """A whole object with its envelope. Raises ProtobufError."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    return _wrap(api_version, kind, _encode(_message_of(api_version, kind), obj))


def _encode(kind: Message, obj: Obj) -> bytes:
    """The message alone. Raises ProtobufError for an object that is not of that kind."""
    try:
        return kind.encode(obj)
    except (AttributeError, TypeError, ValueError, IndexError) as e:
        raise ProtobufError(f"not a {kind.name}: {e}") from e


def _wrap(api_version: str, kind: str, raw: bytes) -> bytes:
    """The envelope around a message."""
    head = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    return b"".join((MAGIC, delimited(1, head), b"\x12", varint(len(raw)), raw, b"\x1a\x00\x22\x00"))


def _list(metadata: Obj, items: Sequence[bytes]) -> bytes:
    """The message of a list, from those of its items."""
    parts = [delimited(1, message("meta/v1.ListMeta").encode(metadata))]
    short = heads(b"\x12")
    for raw in items:
        n = len(raw)
        parts.append(short[n] if n < 0x80 else b"\x12" + varint(n))
        parts.append(raw)
    return b"".join(parts)


def frame(event: str, body: bytes) -> bytes:
    """A watch event around an object in its envelope: four bytes of length, then a meta/v1 WatchEvent."""
    held = delimited(1, body)
    raw = delimited(1, event.encode()) + b"\x12" + varint(len(held)) + held
    return struct.pack(">I", len(raw)) + raw


def decode(data: bytes) -> Obj:
    """An object in its envelope. Raises ProtobufError."""
    return unpack(data, 0)


def unpack(data: bytes, depth: int) -> Obj:
    """The same at a depth: envelopes may hold envelopes."""
    if not data.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    envelope: dict[int, Any] = dict(pairs(data[len(MAGIC) :]))
    head = dict(pairs(content(envelope.get(1, b""))))
    api_version, kind = text(head.get(1, b"")), text(head.get(2, b""))
    if not kind or not api_version:
        raise ProtobufError(f"Object '{'Kind' if not kind else 'apiVersion'}' is missing")
    found = _message_of(api_version, kind).decode(content(envelope.get(2, b"")), depth)
    return {"apiVersion": api_version, "kind": kind, **found}
