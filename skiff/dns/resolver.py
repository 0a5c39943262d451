"""From the bytes of a query to the bytes of a reply: the cluster's answer, or somebody else's."""

from collections.abc import Awaitable
from dataclasses import replace

from skiff import env
from skiff.dns import wire
from skiff.dns.answer import View, answer
from skiff.dns.forward import Forwarder
from skiff.dns.wire import Answer, Query, Record


class Resolver:
    """`ready`: the view is complete; before that, the cluster's names are SERVFAIL, so that nobody takes "does not exist"
    for an answer."""

    def __init__(self, view: View, forwarder: Forwarder, domain: str):
        self._view = view
        self._forwarder = forwarder
        self._domain = domain.lower().strip(".")
        self.ready = False

    def resolve(self, data: bytes, tcp: bool) -> bytes | Awaitable[bytes | None] | None:
        """None: not worth a reply (it might be one itself)."""
        try:
            query = wire.parse_query(data)
        except ValueError:
            return _malformed(data)
        limit = 0xFFFF if tcp else query.udp_bytes
        if query.opcode or query.qclass not in (wire.IN, wire.ANY):
            rcode = wire.NOTIMP if query.opcode else wire.REFUSED
            return wire.encode(query, Answer(rcode, authoritative=False), limit=limit)
        found = answer(query.name, query.type, self._view, self._domain)
        if found is not None and not self.ready:
            found = Answer(wire.SERVFAIL, authoritative=False)
        if found is None:
            return self._forward(data, query, tcp)
        if found.chase:
            return self._chase(query, found, limit)
        return wire.encode(query, _shuffled(found), limit=limit)

    async def _forward(self, data: bytes, query: Query, tcp: bool) -> bytes:
        reply = await self._forwarder.ask(data, tcp=tcp)
        if reply is None:
            return wire.encode(query, Answer(wire.SERVFAIL, authoritative=False), limit=wire.CLASSIC_UDP_BYTES)
        if not tcp and len(reply) > query.udp_bytes:
            return wire.encode(query, Answer(authoritative=False), limit=0)  # truncated: the client comes over TCP
        return reply

    async def _chase(self, query: Query, found: Answer, limit: int) -> bytes:
        """Programs' own resolvers do not follow a CNAME: the target's addresses have to be in the answer."""
        question = wire.question(found.chase, query.type)
        reply = await self._forwarder.ask(question, tcp=False)
        if reply is not None and wire.is_truncated(reply):
            reply = await self._forwarder.ask(question, tcp=True)
        try:
            more = wire.read_answers(reply) if reply is not None else ()
        except ValueError:
            more = ()
        return wire.encode(query, replace(found, answers=[*found.answers, *more]), limit=limit)


def _malformed(data: bytes) -> bytes | None:
    """FORMERR to what has a query's header, silence to anything else."""
    if len(data) < 12 or data[2] & 0x80:
        return None
    return data[:2] + bytes([0x80 | (data[2] & 0x79), wire.FORMERR]) + bytes(8)


def _shuffled(found: Answer) -> Answer:
    """Addresses in random order, CNAMEs before them: clients take the first."""
    if len(found.answers) < 2:
        return found
    first = [r for r in found.answers if r.type == wire.CNAME]
    rest: list[Record] = [r for r in found.answers if r.type != wire.CNAME]
    env.rng().shuffle(rest)
    return replace(found, answers=first + rest)
