"""A message compiled from its table: JSON-shaped dict to bytes and back, byte for byte as Go's generated code.

A message is compiled when it is first used. Encoding looks only at the keys that an object has: what Go writes for absent
fields (zero values of everything that is no pointer) lies ready in `blank`, one slot per field in the order of numbers.
Decoding looks a field up by its tag and leaves out the zero values that Go's JSON encoder leaves out. Unknown fields and
keys are ignored. Bytes may be hostile: every length and the depth are checked.
"""

import binascii
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from skiff.api.protobuf import table
from skiff.api.protobuf.special import SPECIAL, Special, content, pairs, signed, text
from skiff.api.protobuf.table import Field
from skiff.api.protobuf.varint import (
    FIXED64,
    LENGTH,
    VARINT,
    ProtobufError,
    delimited,
    heads,
    read_varint,
    skip,
    varint,
)
from skiff.api.types import Obj

MAX_DEPTH = 100

Write = Callable[[Any], bytes]
"""A JSON value (never None) as complete fields, tags included."""
Put = Callable[[Obj, bytes, int, int, int], None]
"""Sets what data[start:stop] holds in an object: (object, data, start, stop, depth)."""

TEXT, TEXT_OMIT, NUMBER, NUMBER_OMIT, FLAG, FLAG_OMIT, CALL, LIST_NUMBER, LIST_FLAG, EIGHT = range(10)


class Message:
    """empty: the encoding of {}; base: the decoding of nothing."""

    __slots__ = ("_blank", "_inlines", "_readers", "_writers", "base", "name")

    def __init__(self, name: str):
        self.name = name
        self.base: Obj = {}
        self._blank: list[bytes] = []
        self._writers: dict[str, tuple[int, Write]] = {}
        self._inlines: list[tuple[int, bytes, Message]] = []
        self._readers: dict[int, tuple[int, str, Any]] = {}

    def _compile(self) -> None:
        for i, field in enumerate(table.fields(self.name)):
            tag = varint(field.number << 3 | _wire(field))
            if not field.name:
                child = message(field.type)
                self._inlines.append((i, tag, child))
                self._blank.append(_prefixed(tag, child.empty))
                self._readers[_tag(field, LENGTH)] = (CALL, "", _put_inline(child))
                self.base |= child.base
                continue
            self._blank.append(_blank(field, tag))
            self._writers[field.name] = (i, _writer(field, tag))
            self._readers |= _readers(field)
            if not (field.pointer or field.omit or field.shape) and field.type in _KEPT:
                self.base[field.name] = _KEPT[field.type]

    @property
    def empty(self) -> bytes:
        return b"".join(self._blank)

    def encode(self, obj: Obj) -> bytes:
        """Raises AttributeError, TypeError or ValueError for an object that is not of this kind."""
        out = self._blank.copy()
        writers = self._writers
        for name, value in obj.items():
            writer = writers.get(name)
            if writer is not None and value is not None:
                out[writer[0]] = writer[1](value)
        for i, tag, child in self._inlines:
            out[i] = _prefixed(tag, child.encode(obj))
        return b"".join(out)

    def decode(self, data: bytes, depth: int = 0) -> Obj:
        """Raises ProtobufError."""
        found = self.base.copy()
        try:
            self.read(found, data, 0, len(data), depth)
        except IndexError:
            raise ProtobufError("unexpected EOF") from None
        except UnicodeDecodeError:
            raise ProtobufError("text is not UTF-8") from None
        return found

    def read(self, found: Obj, data: bytes, at: int, end: int, depth: int) -> None:
        """Decodes data[at:end] into an object. Raises ProtobufError, IndexError, UnicodeDecodeError."""
        if depth > MAX_DEPTH:
            raise ProtobufError("exceeded max depth")
        readers = self._readers
        while at < end:
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = read_varint(data, at - 1)
            reader = readers.get(tag)
            if reader is None:
                at = self._unknown(data, tag, at)
                continue
            how, name, put = reader
            if how == EIGHT:
                put(found, data, at, at + 8, depth)
                at += 8
                continue
            n = data[at]
            at += 1
            if n > 0x7F:
                n, at = read_varint(data, at - 1)
            if how < NUMBER:
                stop = at + n
                if stop > end:
                    raise ProtobufError("unexpected EOF")
                if n or how == TEXT:
                    found[name] = data[at:stop].decode()
                at = stop
            elif how == CALL:
                stop = at + n
                if stop > end:
                    raise ProtobufError("unexpected EOF")
                put(found, data, at, stop, depth)
                at = stop
            elif how < FLAG:
                if n or how == NUMBER:
                    found[name] = n if n < 1 << 63 else signed(n)
            elif how == LIST_NUMBER:
                found.setdefault(name, []).append(signed(n))
            elif how == LIST_FLAG:
                found.setdefault(name, []).append(n != 0)
            elif n or how == FLAG:
                found[name] = n != 0
        if at != end:
            raise ProtobufError("unexpected EOF")

    def _unknown(self, data: bytes, tag: int, at: int) -> int:
        if tag >> 3 == 0:
            raise ProtobufError(f"{self.name}: illegal tag {tag}")
        if any((tag & ~7 | wire) in self._readers for wire in (VARINT, FIXED64, LENGTH)):
            raise ProtobufError(f"wrong wire type {tag & 7} for field {tag >> 3} of {self.name}")
        return skip(data, at, tag & 7)


@cache
def _made(name: str) -> list[Message]:
    """The one message of that name, compiled by `message`."""
    return [Message(name)]


@cache
def message(name: str) -> Message:
    """Raises KeyError for a name that is not in the table."""
    found = _made(name)[0]
    found._compile()
    return found


class Lazy:
    """A message that is compiled when it is met: it may refer to itself."""

    __slots__ = ("_found", "_name")

    def __init__(self, name: str):
        self._name = name
        self._found: Message | None = None

    def __call__(self) -> Message:
        if self._found is None:
            self._found = message(self._name)
        return self._found


def _wire(field: Field) -> int:
    return {"i": VARINT, "b": VARINT, "d": FIXED64}.get(field.type, LENGTH) if field.shape != "{}" else LENGTH


def _tag(field: Field, wire: int) -> int:
    return field.number << 3 | wire


def _prefixed(tag: bytes, raw: bytes) -> bytes:
    n = len(raw)
    return heads(tag)[n] + raw if n < 0x80 else tag + varint(n) + raw


# --- encoding

_ZERO: dict[str, Any] = {"s": "", "i": 0, "b": False, "d": 0, "Quantity": "0", "IntOrString": 0}
_KEPT = {**_ZERO, "Time": None, "MicroTime": None}


def _blank(field: Field, tag: bytes) -> bytes:
    """What Go writes when the field is not set."""
    if field.pointer or field.shape or field.type in ("y", "Items"):
        return b""
    if field.type == "d":
        return tag + bytes(8)
    if field.type in ("s", "i", "b"):
        return tag + b"\0"
    special = SPECIAL.get(field.type)
    return _prefixed(tag, special.empty if special is not None else message(field.type).empty)


def _writer(field: Field, tag: bytes) -> Write:
    if field.shape == "{}":
        return _map_writer(field, tag)
    one = _one_writer(field.type, tag)
    if field.shape == "[]":
        kind = field.type
        return lambda items: b"".join([one(v) if v is not None else _null(kind, tag) for v in items])
    return one


def _null(kind: str, tag: bytes) -> bytes:
    """A null in a list or map: the zero value."""
    if kind in ("s", "i", "b", "y"):
        return tag + b"\0"
    if kind in SPECIAL:
        return _prefixed(tag, SPECIAL[kind].empty)
    return _message_writer(kind, tag)({}) if kind != "d" else tag + bytes(8)


def _map_writer(field: Field, tag: bytes) -> Write:
    """Entries sorted by key: key 1, value 2, both always written."""
    item_tag = varint(2 << 3 | (VARINT if field.type in ("i", "b") else LENGTH))
    item = _one_writer(field.type, item_tag)

    def write(entries: Obj) -> bytes:
        found = []
        for key in sorted(entries, key=str.encode) if len(entries) > 1 else entries:
            value = entries[key]
            raw = key.encode()
            entry = _prefixed(b"\x0a", raw) + (item(value) if value is not None else _null(field.type, item_tag))
            found.append(_prefixed(tag, entry))
        return b"".join(found)

    return write


def _one_writer(kind: str, tag: bytes) -> Write:
    special = SPECIAL.get(kind)
    if special is not None:
        content_of = special.write
        return lambda value: _prefixed(tag, content_of(value))
    if kind == "s":
        return _text_writer(tag)
    if kind == "i":
        small = heads(tag)
        return lambda value: small[value] if 0 <= value < 0x80 else tag + varint(value)
    if kind == "b":
        yes, no = tag + b"\1", tag + b"\0"
        return lambda value: yes if value else no
    if kind == "d":
        return lambda value: tag + struct.pack("<d", value)
    if kind == "y":
        return lambda value: _prefixed(tag, binascii.a2b_base64(value))
    return _message_writer(kind, tag)


def _text_writer(tag: bytes) -> Write:
    short = heads(tag)

    def write(value: str) -> bytes:
        raw = value.encode()
        n = len(raw)
        return short[n] + raw if n < 0x80 else tag + varint(n) + raw

    return write


def _message_writer(kind: str, tag: bytes) -> Write:
    short, child = heads(tag), Lazy(kind)

    def write(value: Obj) -> bytes:
        raw = child().encode(value)
        n = len(raw)
        return short[n] + raw if n < 0x80 else tag + varint(n) + raw

    return write


# --- decoding


def _readers(field: Field) -> dict[int, tuple[int, str, Any]]:
    """Tag → how to read it."""
    name, omit = field.name, field.omit and not field.pointer
    if field.shape == "{}":
        return {_tag(field, LENGTH): (CALL, name, _put_entry(field))}
    if field.shape == "[]":
        if field.type in ("i", "b"):
            how = LIST_NUMBER if field.type == "i" else LIST_FLAG
            packed = (CALL, name, _put_packed(name, field.type))
            return {_tag(field, VARINT): (how, name, None), _tag(field, LENGTH): packed}
        return {_tag(field, LENGTH): (CALL, name, _put_item(field))}
    if field.type == "d":
        return {_tag(field, FIXED64): (EIGHT, name, _put_double(name, omit))}
    plain = {"s": TEXT, "i": NUMBER, "b": FLAG}.get(field.type)
    if plain is not None:
        return {_tag(field, _wire(field)): (plain + omit, name, None)}
    return {_tag(field, LENGTH): (CALL, name, _put_one(field))}


def _put_inline(child: Message) -> Put:
    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        child.read(found, data, start, stop, depth + 1)

    return put


def _put_one(field: Field) -> Put:
    name, special = field.name, SPECIAL.get(field.type)
    if field.type == "y":
        return _put_bytes(name, field.omit)
    if special is not None:
        return _put_special(name, special)
    child = Lazy(field.type)

    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        inner = found.get(name)
        if inner is None:
            inner = found[name] = child().base.copy()
        child().read(inner, data, start, stop, depth + 1)

    return put


def _put_bytes(name: str, omit: bool) -> Put:
    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        if stop > start or not omit:
            found[name] = _base64(data[start:stop])

    return put


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _put_special(name: str, special: Special) -> Put:
    read = special.read

    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        value = read(data[start:stop], depth)
        if value is not None:
            found[name] = value

    return put


def _put_double(name: str, omit: bool) -> Put:
    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        if stop > len(data):
            raise ProtobufError("unexpected EOF")
        value = _number(struct.unpack_from("<d", data, start)[0])
        if value or not omit:
            found[name] = value

    return put


def _number(value: float) -> float:
    """Go's JSON has no point in whole numbers."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _put_packed(name: str, kind: str) -> Put:
    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        items = found.setdefault(name, [])
        while start < stop:
            n, start = read_varint(data, start)
            items.append(signed(n) if kind == "i" else n != 0)

    return put


def _put_item(field: Field) -> Put:
    name, kind = field.name, field.type
    if kind == "s":

        def put_text(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
            found.setdefault(name, []).append(data[start:stop].decode())

        return put_text
    read = _content_reader(kind)

    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        items = found.get(name)
        if items is None:
            items = found[name] = []
        items.append(read(data[start:stop], depth + 1))

    return put


def _content_reader(kind: str) -> Callable[[bytes, int], Any]:
    """From a content that stands alone to its JSON value."""
    if kind == "s":
        return lambda data, depth: text(data)
    if kind == "y":
        return lambda data, depth: _base64(data)
    special = SPECIAL.get(kind)
    if special is not None:
        return special.read
    child = Lazy(kind)

    def read(data: bytes, depth: int) -> Obj:
        return child().decode(data, depth)

    return read


def _put_entry(field: Field) -> Put:
    name, kind = field.name, field.type
    plain = kind in ("i", "b")
    read = _content_reader(kind) if not plain else None

    def put(found: Obj, data: bytes, start: int, stop: int, depth: int) -> None:
        entry = dict(pairs(data[start:stop]))
        key = text(entry.get(1, b""))
        if read is None:
            n = signed(entry.get(2, 0))
            value: Any = n if kind == "i" else bool(n)
        else:
            value = read(content(entry.get(2, b"")), depth + 1)
        entries = found.get(name)
        if entries is None:
            entries = found[name] = {}
        entries[key] = value

    return put


__all__ = ["Message", "delimited", "message"]
