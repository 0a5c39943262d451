"""Bad input below the request: bytes on a connection, HTTP that smuggles, WebSocket and SPDY frames. Without sockets:
a transport that only records, and the virtual clock for those who send slowly."""

import asyncio
import contextlib
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from skiff.wire import spdyframes
from skiff.wire.connection import Connection, Core, Limits
from skiff.wire.messages import Request, Response
from skiff.wire.spdy import Session
from skiff.wire.websocket import WebSocket, encode
from tests.fuzz.attacks import JSON
from tests.fuzz.world import ADMIN, SLICES, World, Wrong

PER_SLICE = 250


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("10.0.0.9", 1) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol


@dataclass
class Peer:
    """What came back: statuses in order, and the requests that reached the handler."""

    statuses: list[int] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    closed: bool = False


def statuses_of(data: bytes, methods: list[str]) -> list[int]:
    """The responses' statuses, as a client reads them that knows what it has asked. Raises Wrong for what is no HTTP.
    methods: of the requests that were understood; one more answer may follow, for what was not."""
    found: list[int] = []
    asked = [*methods, ""]
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        if not end or not line.startswith(b"HTTP/1.1 ") or (not asked and line[9:12] != b"100"):
            raise Wrong(f"no HTTP response: {head[:200]!r}")
        headers = {name.lower(): value for name, _, value in (text.partition(b": ") for text in lines)}
        status = int(line[9:12])
        found.append(status)
        if status == 101:
            break
        if status < 200:
            continue
        if asked.pop(0) == "HEAD" or status in (204, 304):
            continue
        if headers.get(b"transfer-encoding") == b"chunked":
            data = _after_chunks(data)
        else:
            length = int(headers.get(b"content-length", len(data)))
            if len(data) < length:
                raise Wrong("a body is cut off")
            data = data[length:]
        if headers.get(b"connection") == b"close" and data:
            raise Wrong(f"more after the last answer: {data[:200]!r}")
    return found


def _after_chunks(data: bytes) -> bytes:
    """A stream may end with the connection."""
    while data:
        size, _, data = data.partition(b"\r\n")
        data = data[int(size, 16) + 2 :]
        if not int(size, 16):
            break
    return data


def converse(world: World, pieces: list[bytes], *, wait_s: float = 0) -> Peer:
    """Sends the pieces on one connection to the real server. wait_s: between them, and as long at the end."""

    async def main() -> Peer:
        peer = Peer()
        loop = asyncio.get_running_loop()

        async def handler(request: Request) -> Response:
            peer.seen.append(request)
            request.user = ADMIN
            return await world.server.handler(request)

        core = Core(handler, Limits(), loop, contextvars.copy_context(), now=loop.time())
        connection, transport = Connection(core), Transport()
        connection.connection_made(transport)
        task = connection.task
        for piece in pieces:
            if transport.closed:
                break
            loop.call_soon((transport.protocol or connection).data_received, piece)
            await asyncio.sleep(wait_s)
            core.now = loop.time()
            loop.call_soon(connection.sweep, core.now)
        await asyncio.sleep(2 * wait_s + 0.1)
        core.now = loop.time()
        connection.sweep(core.now)
        peer.closed = transport.closed
        (transport.protocol or connection).connection_lost(None)
        await asyncio.wait([task], timeout=60)
        assert task.done(), "the connection's task goes on"
        assert not core.connections, "the connection is not forgotten"
        peer.statuses = statuses_of(bytes(transport.written), [request.method for request in peer.seen])
        return peer

    found: Peer = world.run(main())
    world.asked += 1
    errors, world.records.found = world.records.found, []
    if errors or any(status >= 500 for status in found.statuses):
        raise Wrong(f"{errors[:1]} {found.statuses}\n{pieces!r}")
    return found


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


HEAD = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

SMUGGLING = [
    pytest.param(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + INNER, id="length and chunks"),
    pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + INNER, id="chunks and length"),
    pytest.param(b"Content-Length: 0\r\nContent-Length: 38\r\n\r\n" + INNER, id="two lengths"),
    pytest.param(b"Content-Length: +0\r\n\r\n" + INNER, id="a length with a sign"),
    pytest.param(b"Content-Length: 0x0\r\n\r\n" + INNER, id="a hexadecimal length"),
    pytest.param(b"Content-Length: 0, 38\r\n\r\n" + INNER, id="a list of lengths"),
    pytest.param(b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER, id="chunked is not the last"),
    pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER, id="nearly chunked"),
    pytest.param(b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER, id="a space before the colon"),
    pytest.param(b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + INNER, id="a folded line"),
    pytest.param(b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + INNER, id="a vertical tab"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + INNER, id="a chunk of negative size"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + INNER, id="a chunk that overflows"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r", id="an unfinished trailer"),
    pytest.param(b"Content-Length: 38\r\nExpect: 100-continue\r\n\r\n" + INNER, id="a request as a body"),
    pytest.param(b"X: a\nContent-Length: 0\r\n\r\n" + INNER, id="a bare line feed"),
    pytest.param(b"X: a\rContent-Length: 0\r\n\r\n" + INNER, id="a bare carriage return"),
    pytest.param(b"X\x00: a\r\n\r\n" + INNER, id="a null in a name"),
]


@pytest.mark.parametrize("rest", SMUGGLING)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_no_second_request_is_smuggled_in(rest: bytes, size: int, world: World):
    """Where two readers of the same bytes could differ about where a request ends, there is no next one."""
    data = HEAD + rest
    found = converse(world, [data[i : i + size] for i in range(0, len(data), size)])
    assert "/smuggled" not in [request.path for request in found.seen]
    assert all(400 <= status < 500 or status == 100 for status in found.statuses)


SLOW = [
    pytest.param([b"GET / HTTP/1.1\r\n", *[b"X-%d: y\r\n" % i for i in range(200)]], id="headers drip in"),
    pytest.param([bytes((b,)) for b in b"GET /version HTTP/1.1\r\nHost: x\r\nX: y"], id="letter by letter"),
    pytest.param([HEAD + b"Content-Length: 100\r\n\r\n", b"{"], id="a body that does not come"),
    pytest.param([b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"], id="nothing after the first request"),
    pytest.param([], id="nothing at all"),
]


@pytest.mark.parametrize("pieces", SLOW)
def test_who_is_slow_is_cut_off(pieces: list[bytes], world: World):
    assert converse(world, pieces, wait_s=50).closed


@pytest.mark.parametrize(
    "data, status",
    [
        pytest.param(HEAD + b"Content-Length: 3145729\r\n\r\n", 413, id="announced"),
        pytest.param(HEAD + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n", 413, id="announced absurdly"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 49, 413, id="chunked"),
        pytest.param(b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, id="a target"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300_000 + b"\r\n", 431, id="headers"),
    ],
)  # fmt: skip
def test_too_large(data: bytes, status: int, world: World):
    pieces = [data[i : i + 65536] for i in range(0, len(data), 65536)]
    assert converse(world, pieces).statuses == [status]


TARGETS = (
    b"/version", b"/api/v1/namespaces/default/pods", b"/api/v1/namespaces/default/pods/p/exec?command=a&stdout=1", b"*",
    b"/api/v1/namespaces/default/pods/p/portforward", b"/api/v1/namespaces/default/pods/p/proxy/x", b"http://x/version",
    b"/api/v1/namespaces/default/pods?watch=1", b"//", b"/%00", b"/%2e%2e/%2f", b"/\xff", b"", b"x:443", b"/?" + b"a&" * 50,
)  # fmt: skip
LINES = (
    b"Host: x", b"Host: y", b"Content-Length: 2", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Connection: close",
    b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Upgrade: SPDY/3.1", b"Upgrade: h2c", b"HTTP2-Settings: AAM",
    b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Protocol: v5.channel.k8s.io",
    b"X-Stream-Protocol-Version: v4.channel.k8s.io", b"Expect: 100-continue", b"Expect: x", b"TE: trailers", b"Accept: \xff\xfe",
    b"Accept-Encoding: gzip", b"Content-Type: " + JSON.encode(), b"X-Remote-User: admin", b": empty", b"no colon", b"A:" + b" " * 50,
    b"Content-Encoding: gzip", b"Impersonate-User: \xc3\xa9", b"Authorization: Bearer \x80", b"User-Agent: \xe9/1",
)  # fmt: skip
heads = st.builds(
    lambda method, target, version, lines, body: method + b" " + target + b" " + version + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body,
    st.sampled_from((b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"g", b"")),
    st.sampled_from(TARGETS),
    st.sampled_from((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"", b"HTTP/1.1 x")),
    st.lists(st.sampled_from(LINES), max_size=6).map(lambda lines: [b"Host: x", *lines]),
    st.sampled_from((b"", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"5\r\n{}", b"zz\r\n", b"0\r\nA: b\r\n\r\n")) | st.binary(max_size=12),
)  # fmt: skip


def slices(strategies: Any) -> Any:
    """Deterministic: one seed, one set of examples."""

    def decorate(test: Any) -> Any:
        @pytest.mark.parametrize("number", range(SLICES))
        def run(number: int, world: World) -> None:
            @seed(number)
            @settings(
                max_examples=PER_SLICE,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(strategies)
            def one(data: Any) -> None:
                test(world, data)

            one()

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


@slices(
    st.tuples(st.lists(heads, min_size=1, max_size=4), st.integers(0, 400), st.binary(max_size=3), st.integers(1, 200))
)
def test_any_bytes_on_a_connection(world: World, data: Any) -> None:
    """Requests one after the other in odd pieces, with a few bytes put in somewhere."""
    requests, at, more, size = data
    text = b"".join(requests)
    text = text[:at] + more + text[at:]
    converse(world, [text[i : i + size] for i in range(0, len(text), size)])


class Pipe:
    """A Stream that gives these bytes piece by piece and counts what is written."""

    def __init__(self, data: bytes, size: int):
        self._pieces = [data[i : i + size] for i in range(0, len(data), size)]
        self.written = 0

    async def read(self, n: int = 65536) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def write(self, data: bytes) -> None:
        self.written += len(data)

    async def write_eof(self) -> None:
        return None

    async def close(self) -> None:
        return None


frames = st.builds(
    lambda opcode, data, fin: encode(opcode, data, masked=True, fin=fin),
    st.integers(0, 15),
    st.binary(max_size=130),
    st.booleans(),
) | st.sampled_from(
    (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x88\x80", b"\xff\xff", b"\x01\x7e\x00", b"\x89\xfe\xff\xff")
)


@slices(st.tuples(st.lists(frames | st.binary(max_size=20), max_size=8), st.integers(1, 50)))
def test_any_websocket_frames(world: World, data: Any) -> None:
    """They end the connection, or are messages; nothing else is raised, and nothing hangs."""
    pieces, size = data

    async def main() -> None:
        socket = WebSocket(Pipe(b"".join(pieces), size), server=True)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(60):
                while await socket.receive() is not None:
                    continue
        await socket.close()

    world.run(main())
    world.asked += 1


def _control(kind: int, flags: int, payload: bytes, length: int) -> bytes:
    return b"\x80\x03" + kind.to_bytes(2, "big") + bytes((flags,)) + (length & 0xFFFFFF).to_bytes(3, "big") + payload


def _encoded(frame: Any) -> bytes:
    return bytes(spdyframes.Encoder().encode(frame))


spdy = (
    st.builds(lambda k, f, p, n: _control(k, f, p, len(p) if n else 2**24 - 1), st.integers(0, 12), st.integers(0, 3), st.binary(max_size=40), st.booleans())
    | st.builds(lambda i, d: _encoded(spdyframes.Data(i, d)), st.integers(0, 9), st.binary(max_size=60))
    | st.builds(lambda i, h: _encoded(spdyframes.SynStream(i, h)), st.integers(0, 9), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
    | st.builds(lambda i: _encoded(spdyframes.RstStream(i, 1)), st.integers(0, 9))
    | st.sampled_from((_encoded(spdyframes.Ping(1)), _encoded(spdyframes.GoAway(0, 0)), b"\x80", b"\x80\x02\x00\x01"))
)  # fmt: skip


@slices(st.tuples(st.lists(spdy | st.binary(max_size=12), max_size=8), st.integers(1, 50)))
def test_any_spdy_frames(world: World, data: Any) -> None:
    """The session ends, whatever they say, and whoever waits for a stream learns it."""
    pieces, size = data

    async def main() -> None:
        session = Session(Pipe(b"".join(pieces), size), client=False)
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                await session.run()
            while (stream := await session.accept()) is not None:
                with contextlib.suppress(ConnectionError):
                    while await stream.read():
                        continue

    world.run(main())
    world.asked += 1


def test_answers_come_in_order_though_the_first_bytes_come_with_the_connection(world: World):
    """As TLS hands them over: before the connection's task has made a step. The first answer takes its time."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()

        async def handler(request: Request) -> Response:
            if request.path == "/slow":
                await asyncio.sleep(1)
            return Response(200 if request.path == "/slow" else 404)

        core = Core(handler, Limits(), loop, contextvars.copy_context(), now=loop.time())
        connection, transport = Connection(core), Transport()

        def begin() -> None:
            connection.connection_made(transport)
            connection.data_received(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /quick HTTP/1.1\r\nHost: x\r\n\r\n")

        loop.call_soon(begin)
        await asyncio.sleep(5)
        connection.connection_lost(None)
        await asyncio.sleep(1)
        return statuses_of(bytes(transport.written), ["GET", "GET"])

    assert world.run(main()) == [200, 404]


UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io", "x", "")
STREAMS = (
    "exec?command=a&stdout=1&stdin=1",
    "exec?command=a&tty=1&stdin=1",
    "attach?stderr=1",
    "portforward?ports=80",
    "portforward?ports=x,-1",
)
talks = st.tuples(
    st.sampled_from(STREAMS),
    st.sampled_from(PROTOCOLS),
    st.booleans(),
    st.lists(frames | st.binary(max_size=20), max_size=6).map(b"".join),
    st.lists(spdy | st.binary(max_size=12), min_size=1, max_size=6).map(b"".join),
)


@slices(talks)
def test_any_talk_between_a_client_and_a_kubelet(world: World, data: Any) -> None:
    """Client and kubelet say anything on a stream that the API server translates or passes on."""
    (stream, protocol, old, says, answers) = data
    path, _, query = f"/api/v1/namespaces/default/pods/p/{stream}".partition("?")
    headers = (
        dict(UPGRADE)
        if not old
        else {"connection": "Upgrade", "upgrade": "SPDY/3.1", "x-stream-protocol-version": protocol}
    )
    if protocol and not old:
        headers["sec-websocket-protocol"] = protocol
    world.kubelet.says = answers
    try:
        world.ask(Request("GET" if not old else "POST", path, query, headers, says))
    finally:
        world.kubelet.says = b""


def test_a_status_is_valid_json_however_odd_the_names(world: World):
    found = converse(world, [b"GET /api/v1/namespaces/%F0%9F%98%80/pods/%22%5C%0A HTTP/1.1\r\nHost: x\r\n\r\n"])
    assert found.statuses == [404]
    answer = world.ask(found.seen[0])
    assert orjson.loads(answer.body)["details"]["name"] == '"\\\n'
