"""The one callable type of every HTTP face: `async (Request) -> Response`.

API server and kubelet are such callables; filters wrap them; `wire.server` puts one on a socket; the in-process
transport of `skiff.client` calls one directly. So the same request path serves the network and the tests.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks. `extra` holds lists, as in authentication.k8s.io/v1."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


REPEATED = "repeated headers"
"""The note with the values of headers that came more than once."""


@dataclass(slots=True)
class Request:
    """One HTTP request, decoded as far as HTTP goes.

    path: percent-decoded, without the query. raw_path: as sent. headers: lower-case names; repeated ones joined by ", ".
    user: set by the in-process transport or the authentication filter, never by the network.
    peer_cert: the verified client certificate, DER, or None. remote: the peer's IP address or "".
    scratch: what filters leave for those after them.
    notes: what was worked out from headers and connection alone; requests of a connection with equal headers share it.
    """

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: UserInfo | None = None
    peer_cert: bytes | None = None
    remote: str = ""
    raw_path: str = ""
    scratch: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def values(self, name: str) -> list[str]:
        """All values of a header (its name in lower case), in order: a value may hold what joins them in `headers`."""
        found: list[str] | None = self.notes.get(REPEATED, {}).get(name)
        if found is None:
            found = [self.headers[name]] if name in self.headers else []
        return found

    def query(self) -> dict[str, list[str]]:
        """All query parameters, in order, blank values kept. Raises ValueError on undecodable text."""
        out: dict[str, list[str]] = {}
        for k, v in parse_qsl(self.query_string, keep_blank_values=True, errors="strict"):
            out.setdefault(k, []).append(v)
        return out


def header_text(value: str) -> str:
    """A header's value as text: Go's clients send UTF-8 in it, which `headers` has as Latin-1."""
    try:
        return value if value.isascii() else value.encode("latin-1").decode()
    except UnicodeError:
        return value


class Stream(Protocol):
    """A raw bidirectional connection, after an upgrade or to a peer. One reader and one writer at a time."""

    async def read(self, n: int = 65536) -> bytes:
        """Up to n bytes; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when the peer's window allows more (back pressure). Raises ConnectionError when it is gone."""
        ...

    async def write_eof(self) -> None:
        """Half-close, where the transport can (TLS cannot: then nothing happens)."""
        ...

    async def close(self) -> None: ...


class Items:
    """Many byte strings in a row, without their first `cut` bytes and with a separator between them: most of a large body.
    They are put together slice by slice while they are sent: no request costs a copy of them all, and a slice stays in
    the CPU's cache from here to the socket. `join` is for those that are sent again and again."""

    __slots__ = ("_cut", "_items", "_joined", "_separator", "size")

    def __init__(self, items: Sequence[bytes], separator: bytes, cut: int = 0):
        self._items, self._separator, self._cut = items, separator, cut
        self._joined: bytes | None = None
        self.size = sum(map(len, items)) - cut * len(items) + len(separator) * max(0, len(items) - 1)

    def slices(self, size: int) -> Iterator[bytes | memoryview]:
        """All in order, in slices of about this size."""
        if self._joined is not None:
            yield from slices(self._joined, size)
            return
        items, separator, cut = self._items, self._separator, self._cut
        at_once = max(1, size * len(items) // max(1, self.size))
        for start in range(0, len(items), at_once):
            some = [item[cut:] for item in items[start : start + at_once]]
            if start + at_once < len(items):
                some.append(b"")
            joined = separator.join(some)
            if len(joined) <= 2 * size:
                yield joined
            else:
                yield from slices(joined, size)

    def join(self) -> None:
        """Keeps them as one string from now on: costs a copy and their size in memory, spares all later slices."""
        if self._joined is None:
            self._joined = b"".join(self.slices(JOINED_AT_ONCE))


JOINED_AT_ONCE = 1 << 18


class Pieces:
    """A large body that is not put together yet."""

    __slots__ = ("_head", "_items", "_tail", "size")

    def __init__(self, head: bytes, items: Items, tail: bytes):
        self._head, self._items, self._tail = head, items, tail
        self.size = len(head) + items.size + len(tail)

    def slices(self, size: int) -> Iterator[bytes | memoryview]:
        """The body in order, in slices of about this size."""
        yield self._head
        yield from self._items.slices(size)
        yield self._tail

    def __bytes__(self) -> bytes:
        return b"".join(self.slices(self.size))


def slices(body: bytes, size: int) -> Iterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(view), size):
        yield view[start : start + size]


@dataclass(slots=True)
class Response:
    """One HTTP answer. Exactly one of body, pieces, stream and upgrade is meant.

    body, pieces: complete bytes (Content-Length is set by the server).
    stream: chunks sent as they come (chunked encoding); the server closes the generator when the client goes away.
    upgrade: after status 101 and the headers are sent, called once with the raw connection, which it owns.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    upgrade: Callable[[Stream], Awaitable[None]] | None = None
    pieces: Pieces | None = None


Handler = Callable[[Request], Awaitable[Response]]
