"""DNS messages: one question in, an answer out. Only what a cluster's server needs of RFC 1035, 2782, 3596, 6891. Pure.

A malformed query is a ValueError; nothing a peer sends causes more work than its length.
"""

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33
OPT: Final = 41
ANY: Final = 255
TYPES = {"A": A, "NS": NS, "CNAME": CNAME, "SOA": SOA, "PTR": PTR, "TXT": TXT, "AAAA": AAAA, "SRV": SRV}

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
IN = 1

CLASSIC_UDP_BYTES = 512
MAX_UDP_BYTES = 1232
"""What we send and accept over UDP without fragments on any sane path (DNS flag day 2020)."""

_HEADER = struct.Struct("!6H")


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record. name and data: absolute names without the final dot, data as zone files write it."""

    name: str
    type: int
    ttl: int
    data: str


@dataclass(frozen=True, slots=True)
class Query:
    """id, flags and the question of a query. name: as sent, without the final dot. udp_bytes: what the client takes
    over UDP; edns: it sent an OPT record."""

    id: int
    flags: int
    name: str
    type: int
    qclass: int
    question: bytes
    udp_bytes: int = CLASSIC_UDP_BYTES
    edns: bool = False

    @property
    def opcode(self) -> int:
        return (self.flags >> 11) & 0xF


@dataclass(frozen=True, slots=True)
class Answer:
    """What to reply. chase: a name outside the cluster, the target of a CNAME, whose records belong to the answer."""

    rcode: int = NOERROR
    answers: Sequence[Record] = ()
    authority: Sequence[Record] = ()
    additional: Sequence[Record] = ()
    authoritative: bool = True
    chase: str = ""


def parse_query(data: bytes) -> Query:
    """Raises ValueError: not a query with one question."""
    if len(data) < 12:
        raise ValueError("shorter than a header")
    id, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
    if flags & 0x8000:
        raise ValueError("not a query")
    if questions != 1:
        raise ValueError("not one question")
    name, end = read_name(data, 12)
    if end + 4 > len(data):
        raise ValueError("cut short")
    type, qclass = struct.unpack_from("!2H", data, end)
    size, edns = _edns(data, end + 4, additional) if not (answers or authorities) else (CLASSIC_UDP_BYTES, False)
    return Query(id, flags, name, type, qclass, data[12 : end + 4], size, edns)


def _edns(data: bytes, offset: int, additional: int) -> tuple[int, bool]:
    """The OPT record's payload size. Records that cannot be read are as if they were not there."""
    for _ in range(min(additional, 8)):
        try:
            _, offset = read_name(data, offset)
            type, size, _, length = struct.unpack_from("!HHIH", data, offset)
        except (ValueError, struct.error):
            break
        if type == OPT:
            return max(CLASSIC_UDP_BYTES, min(size, MAX_UDP_BYTES)), True
        offset += 10 + length
    return CLASSIC_UDP_BYTES, False


def read_name(data: bytes, offset: int) -> tuple[str, int]:
    """The name at offset and where what follows begins. Compression pointers only lead backwards, so this ends."""
    labels: list[str] = []
    length, end, limit = 0, -1, len(data)
    while True:
        if offset >= limit:
            raise ValueError("a name is cut short")
        size = data[offset]
        if size >= 0xC0:
            if offset + 1 >= limit:
                raise ValueError("a name is cut short")
            end = offset + 2 if end < 0 else end
            target = (size & 0x3F) << 8 | data[offset + 1]
            if target >= offset:
                raise ValueError("a compression pointer leads forwards")
            limit, offset = offset, target
            continue
        if size > 63:
            raise ValueError("a label of an unknown kind")
        offset += 1
        if size == 0:
            return ".".join(labels), offset if end < 0 else end
        label = data[offset : offset + size]
        length += size + 1
        if len(label) < size or length > 254:
            raise ValueError("a name is cut short or too long")
        labels.append(label.decode("latin-1").replace(".", "\\."))
        offset += size


def question(name: str, type: int) -> bytes:
    """A query of our own, recursion desired, id 0. Raises ValueError for what is no name."""
    labels = [label.encode("latin-1") for label in name.rstrip(".").split(".")]
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"{name!r} is no name")
    written = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return _HEADER.pack(0, 0x0100, 1, 0, 0, 0) + written + struct.pack("!2H", type, IN)


def is_truncated(reply: bytes) -> bool:
    return bool(reply[2] & 0x02)


def read_answers(reply: bytes) -> list[Record]:
    """The address and CNAME records of a reply's answer section. Raises ValueError."""
    try:
        _, _, questions, answers, _, _ = _HEADER.unpack_from(reply)
        offset, found = 12, []
        for _ in range(questions):
            offset = read_name(reply, offset)[1] + 4
        for _ in range(answers):
            name, offset = read_name(reply, offset)
            type, _, ttl, length = struct.unpack_from("!HHIH", reply, offset)
            offset += 10
            if type in (A, AAAA):
                found.append(Record(name, type, ttl, str(ipaddress.ip_address(reply[offset : offset + length]))))
            elif type == CNAME:
                found.append(Record(name, type, ttl, read_name(reply, offset)[0]))
            offset += length
        return found
    except struct.error as e:
        raise ValueError("cut short") from e


def encode(query: Query, answer: Answer, *, limit: int) -> bytes:
    """The reply, at most `limit` bytes: what does not fit is left out, and TC says so if it is an answer."""
    out = _Writer(query, answer)
    complete = out.add(answer.answers, 0, limit)
    if complete:
        out.add(answer.authority, 1, limit)
        out.add(answer.additional, 2, limit)
    return out.finish(truncated=not complete)


class _Writer:
    """Builds one reply, with names compressed against earlier ones."""

    def __init__(self, query: Query, answer: Answer):
        self._query = query
        self._answer = answer
        self._body = bytearray(query.question)
        self._names: dict[str, int] = {query.name.lower(): 12} if query.name else {}
        self._counts = [0, 0, 0]
        self._reserved = 11 if query.edns else 0

    def add(self, records: Sequence[Record], section: int, limit: int) -> bool:
        """False: not all of them fit; those that did are in."""
        for record in records:
            start, names = len(self._body), dict(self._names)
            self._record(record)
            if 12 + len(self._body) + self._reserved > limit:
                del self._body[start:]
                self._names = names
                return False
            self._counts[section] += 1
        return True

    def finish(self, *, truncated: bool) -> bytes:
        flags = 0x8000 | (self._query.flags & 0x7900) | 0x0080 | self._answer.rcode  # keeps opcode and RD, sets RA
        flags |= 0x0400 if self._answer.authoritative else 0
        flags |= 0x0200 if truncated else 0
        extra = self._counts[2]
        if self._query.edns:
            self._body += b"\0" + struct.pack("!HHIH", OPT, MAX_UDP_BYTES, 0, 0)
            extra += 1
        header = _HEADER.pack(self._query.id, flags, 1, self._counts[0], self._counts[1], extra)
        return header + bytes(self._body)

    def _record(self, record: Record) -> None:
        self._name(record.name)
        self._body += struct.pack("!HHIH", record.type, IN, record.ttl, 0)
        start = len(self._body)
        self._data(record)
        struct.pack_into("!H", self._body, start - 2, len(self._body) - start)

    def _data(self, record: Record) -> None:
        match record.type:
            case type if type in (A, AAAA):
                self._body += ipaddress.ip_address(record.data).packed
            case type if type in (NS, CNAME, PTR):
                self._name(record.data)
            case type if type == SRV:
                priority, weight, port, target = record.data.split(" ")
                self._body += struct.pack("!3H", int(priority), int(weight), int(port))
                self._name(target, compress=False)
            case type if type == SOA:
                server, mailbox, *numbers = record.data.split(" ")
                self._name(server)
                self._name(mailbox)
                self._body += struct.pack("!5I", *map(int, numbers))
            case type if type == TXT:
                text = record.data.strip('"').encode()
                self._body += bytes([len(text)]) + text
            case _:
                raise ValueError(f"no way to write a record of type {record.type}")

    def _name(self, name: str, *, compress: bool = True) -> None:
        labels = name.split(".") if name else []
        for i in range(len(labels)):
            rest = ".".join(labels[i:]).lower()
            at = self._names.get(rest)
            if at is not None and compress:
                self._body += struct.pack("!H", 0xC000 | at)
                return
            here = 12 + len(self._body)
            if here < 0x4000 and at is None:
                self._names[rest] = here
            label = labels[i].encode("latin-1")
            self._body += bytes([len(label)]) + label
        self._body += b"\0"
