"""Questions for somebody else: sent on to the node's own name servers, byte for byte but for the id.

Guarantees: at most `LIMIT` at a time; every one ends within `TRIES` * `SECONDS` per server; an answer is taken only from
the server asked, for the question asked, with the unguessable id sent. A server that would be ourselves is left out.
"""

import asyncio
import ipaddress
import secrets
import struct
from collections.abc import Collection, Sequence
from pathlib import Path

LIMIT = 512
SECONDS = 2.0
TRIES = 2
TCP_SECONDS = 5.0

Address = tuple[str, int]


def upstreams(resolv_conf: str, ours: Collection[str]) -> list[Address]:
    """The name servers of a resolv.conf's text, without our own addresses: a question must not come back to us."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and words[1] not in ours:
            try:
                ipaddress.ip_address(words[1].split("%")[0])
            except ValueError:
                continue
            found.append((words[1], 53))
    return found


class ResolvConf:
    """The servers of a file that may change while we run (DHCP, VPN); it is read again when it has."""

    def __init__(self, path: Path, ours: Collection[str]):
        self._path = path
        self._ours = ours
        self._read: tuple[float, list[Address]] = (-1.0, [])

    def servers(self) -> Sequence[Address]:
        try:
            changed = self._path.stat().st_mtime
            if changed != self._read[0]:
                self._read = (changed, upstreams(self._path.read_text(errors="replace"), self._ours))
        except OSError:
            return self._read[1]
        return self._read[1]


class Forwarder:
    """`ask` sends one query to the first server that answers."""

    def __init__(self, resolv_conf: ResolvConf):
        self._resolv_conf = resolv_conf
        self._free = LIMIT

    async def ask(self, query: bytes, *, tcp: bool) -> bytes | None:
        """The reply, with the id of the query; None: nobody answered, or too many are waiting."""
        servers = self._resolv_conf.servers()
        if not servers or self._free <= 0:
            return None
        self._free -= 1
        try:
            for _ in range(TRIES):
                for server in servers:
                    try:
                        async with asyncio.timeout(TCP_SECONDS if tcp else SECONDS):
                            return await (_over_tcp if tcp else _over_udp)(server, query)
                    except (OSError, TimeoutError, EOFError):
                        continue
            return None
        finally:
            self._free += 1


def _with_id(message: bytes, id: bytes) -> bytes:
    return id + message[2:]


def _answers(reply: bytes, query: bytes) -> bool:
    """Same id, a reply, same question (names may change case)."""
    end = _question_end(query)
    return (
        len(reply) >= 12
        and reply[:2] == query[:2]
        and bool(reply[2] & 0x80)
        and (reply[4:6] != b"\0\1" or reply[12:end].lower() == query[12:end].lower())
    )


def _question_end(query: bytes) -> int:
    at = 12
    while at < len(query) and query[at]:
        at += query[at] + 1
    return at + 5


class _Reply(asyncio.DatagramProtocol):
    def __init__(self, query: bytes, future: asyncio.Future[bytes]):
        self._query = query
        self._future = future

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._future.done() and _answers(data, self._query):
            self._future.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._future.done():
            self._future.set_exception(exc)


async def _over_udp(server: Address, query: bytes) -> bytes:
    """A socket of its own for every question: its random port is part of what an attacker has to guess."""
    loop = asyncio.get_running_loop()
    sent = _with_id(query, secrets.token_bytes(2))
    future: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Reply(sent, future), remote_addr=server)
    try:
        transport.sendto(sent)
        return _with_id(await future, query[:2])
    finally:
        transport.close()


async def _over_tcp(server: Address, query: bytes) -> bytes:
    sent = _with_id(query, secrets.token_bytes(2))
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack("!H", len(sent)) + sent)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        reply = await reader.readexactly(length)
    finally:
        writer.close()
    if not _answers(reply, sent):
        raise OSError("an answer to another question")
    return _with_id(reply, query[:2])
