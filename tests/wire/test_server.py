"""The HTTP/1.1 server as a peer on the socket sees it (RFC 9112)."""

import asyncio
import contextvars
import gc
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skiff.api.errors import bad_request
from skiff.wire.messages import Items, Pieces, Request, Response, Stream
from skiff.wire.server import serve
from tests.wire.conftest import connected, eventually, serving

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(request: Request) -> Response:
    text = f"{request.method} {request.path} {request.query_string} {len(request.body)}"
    return Response(200, {"Content-Type": "text/plain"}, text.encode())


async def slow_echo(request: Request) -> Response:
    await asyncio.sleep(0)
    return await echo(request)


async def stuck(request: Request) -> Response:
    return await asyncio.get_running_loop().create_future()


def exchange(data: bytes, handler=echo, **limits) -> bytes:
    """What a server answers to these bytes before it closes (it must)."""

    async def main() -> bytes:
        async with serving(handler, **limits) as server, connected(server) as peer:
            await peer.send(data)
            return await peer.rest()

    return asyncio.run(main())


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


MALFORMED = [
    pytest.param(b"nonsense\r\n\r\n", 400, id="no request line"),
    pytest.param(b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="a control character in the target"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="HTTP/1.1 without Host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n", 400, id="a space in a header name"),
    pytest.param(b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="a path that is not UTF-8"),
    pytest.param(b"GET example HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="a target that is no path"),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        400,
        id="two body lengths (request smuggling)",
    ),
    pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, id="a negative length"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, id="a bad chunk size"),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: y\r\nConnection: Upgrade\r\n\r\nraw", 200, id="an unused upgrade"
    ),
    pytest.param(b"GET / HTTP/1.0\r\n\r\n", 200, id="HTTP/1.0 closes by itself"),
]


@pytest.mark.parametrize("data, status", MALFORMED)
def test_answers_and_closes(data, status):
    assert status_of(exchange(data)) == status


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 1000", id="declared"),
        pytest.param(b"Transfer-Encoding: chunked", id="chunked"),
    ],
)
def test_refuses_a_body_over_the_limit(head):
    body = b"x" * 1000 if b"Length" in head else b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"
    answer = exchange(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + body, body_bytes=999)
    assert status_of(answer) == 413
    assert b"Request entity too large: limit is 999" in answer


def test_refuses_endless_headers():
    async def main():
        async with serving(echo, head_bytes=4096) as server, connected(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for _ in range(20):
                await peer.send(b"X-Filler: " + b"y" * 400 + b"\r\n")
                await asyncio.sleep(0)
            return status_of(await peer.rest())

    assert asyncio.run(main()) == 431


@pytest.mark.parametrize("handler", [pytest.param(echo, id="fast"), pytest.param(slow_echo, id="suspending")])
def test_pipelined_requests_are_answered_in_order(handler):
    async def main():
        async with serving(handler) as server, connected(server) as peer:
            lines = [b"GET /%d?q=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i, i) for i in range(40)]
            await peer.send(b"".join(lines))
            return [(await peer.response())[2] for _ in range(40)]

    assert asyncio.run(main()) == [b"GET /%d q=%d 0" % (i, i) for i in range(40)]


def test_bodies_arrive_whole_however_they_are_cut():
    data = (
        b"POST /a%20b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )

    async def main():
        async with serving(echo) as server, connected(server) as peer:
            for i in range(len(data)):
                await peer.send(data[i : i + 1])
                await asyncio.sleep(0)
            return (await peer.response())[2]

    assert asyncio.run(main()) == b"POST /a b  11"


def test_asks_for_a_body_that_waits_for_100_continue():
    async def main():
        async with serving(echo) as server, connected(server) as peer:
            await peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            first = await peer.head()
            await peer.send(b"abc")
            return first[0], (await peer.response())[2]

    assert asyncio.run(main()) == (100, b"POST /  3")


TAIL = b" HTTP/1.1\r\nHost: x\r\n\r\n"
FOLLOWING = [
    pytest.param([b"GET /b?c=d%20e&f" + TAIL], id="another target"),
    pytest.param([b"GET /b%20c?" + TAIL], id="an escaped path"),
    pytest.param([b"GET /%ff" + TAIL], id="a path that is not UTF-8"),
    pytest.param([b"GET /\x00" + TAIL], id="a control character in the target"),
    pytest.param([b"GET /b c" + TAIL], id="a space in the target"),
    pytest.param([b"GET b" + TAIL], id="a target that is no path"),
    pytest.param([b"GET http://y/b" + TAIL], id="an absolute target"),
    pytest.param([b"get /b" + TAIL], id="a method in lower case"),
    pytest.param([b"HEAD /b" + TAIL], id="another method"),
    pytest.param([b"GET /b" + TAIL + b"GET /c" + TAIL], id="two at once"),
    pytest.param([b"GET /b HTTP/1.1\r\nX: ", b"GET /c" + TAIL], id="a head that ends with another one"),
    pytest.param([b"GET /b HT", b"TP/1.1\r\nHost: x\r\n\r\n"], id="cut in the middle"),
    pytest.param([b"\r\nGET /b" + TAIL], id="an empty line before it"),
    pytest.param([b"GET /b HTTP/1.0\r\nHost: x\r\n\r\n"], id="HTTP/1.0"),
    pytest.param(
        [b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 28\r\n\r\n", b"GET /b" + TAIL[:-2]], id="a body like it"
    ),
    pytest.param([b"GET /b HTTP/1.1\r\nHost: y\r\nX: 1\r\n\r\n", b"GET /b" + TAIL], id="other headers in between"),
]


@pytest.mark.parametrize("data", FOLLOWING)
def test_a_head_like_the_last_one_is_answered_as_on_a_new_connection(data):
    """The server recognizes repeated heads without parsing them again."""

    async def headers(request: Request) -> Response:
        return Response(200, {"X-Seen": f"{request.headers} {request.raw_path}"}, (await echo(request)).body)

    async def answer(*before: bytes) -> bytes:
        async with serving(headers) as server, connected(server) as peer:
            for request in before:
                await peer.send(request)
                await peer.response()
            for part in data:
                await peer.send(part)
                for _ in range(5):  # the server reads what was sent
                    await asyncio.sleep(0)
            await peer.send(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return await peer.rest()

    async def main() -> tuple[bytes, bytes]:
        return await answer(), await answer(GET, GET)

    fresh, following = asyncio.run(main())
    undated = [[line for line in a.split(b"\r\n") if not line.startswith(b"Date")] for a in (fresh, following)]
    assert undated[0] == undated[1]


def test_head_has_the_length_and_no_body():
    async def main():
        async with serving(echo) as server, connected(server) as peer:
            await peer.send(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
            head = await peer.head()
            return head[0], head[1]["content-length"], (await peer.response())[2]

    assert asyncio.run(main()) == (200, "10", b"GET /a  0")


def test_half_closed_client_still_gets_its_answer():
    async def main():
        async with serving(slow_echo) as server, connected(server) as peer:
            await peer.send(GET)
            peer.writer.write_eof()
            return await peer.rest()

    assert asyncio.run(main()).endswith(b"GET /a  0")


async def failing(request: Request) -> Response:
    raise bad_request("no") if request.path == "/status" else RuntimeError("secret")


@pytest.mark.parametrize(
    "path, status, shown",
    [
        pytest.param(b"/status", 400, b'"message":"no"', id="a Status goes to the client"),
        pytest.param(b"/bug", 500, b"InternalError", id="a bug is told without its words"),
    ],
)
def test_handler_errors(path, status, shown):
    answer = exchange(b"GET " + path + b" HTTP/1.0\r\n\r\n", failing)
    assert status_of(answer) == status
    assert shown in answer
    assert b"secret" not in answer


def test_a_response_cannot_be_split_by_a_header():
    async def handler(request: Request) -> Response:
        return Response(200, {"X-Note": "a\r\nSet-Cookie: b"}, b"")

    answer = exchange(b"GET / HTTP/1.0\r\n\r\n", handler)
    assert status_of(answer) == 500
    assert b"Set-Cookie" not in answer


def test_current_task_time_outs_and_contexts_work_in_a_handler():
    """The first step runs without a task of its own; handlers must not notice."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def handler(request: Request) -> Response:
        before = variable.get()
        variable.set(request.path)
        first = asyncio.current_task()
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(30)
        except TimeoutError:
            same = first is asyncio.current_task() and variable.get() == request.path
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
            return Response(200, {}, f"{before} {same}".encode())
        return Response(500)

    async def main():
        async with serving(handler) as server, connected(server) as peer:
            await peer.send(GET + GET)
            return [(await peer.response())[2] for _ in range(2)]

    assert asyncio.run(main()) == [b"unset True", b"unset True"]


def test_stream_is_chunked_and_ends_cleanly():
    async def chunks():
        for part in (b"one", b"", b"two"):
            yield part
            await asyncio.sleep(0)

    async def handler(request: Request) -> Response:
        return Response(200, {}, stream=chunks())

    async def main():
        async with serving(handler) as server, connected(server) as peer:
            await peer.send(GET)
            await peer.head()
            body = await peer.reader.readuntil(b"0\r\n\r\n")
            await peer.send(GET)
            return body, (await peer.head())[0]

    assert asyncio.run(main()) == (b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", 200)


class Endless:
    """A stream that never ends by itself and knows when it was closed."""

    def __init__(self, chunk: bytes = b"x"):
        self.chunk = chunk
        self.sent = 0
        self.closed = False

    async def __call__(self, request: Request) -> Response:
        return Response(200, {}, stream=self.generate())

    async def generate(self):
        try:
            while True:
                self.sent += 1
                yield self.chunk
                await asyncio.sleep(0.001)
        finally:
            self.closed = True


def test_stream_ends_when_the_client_goes():
    async def main():
        endless = Endless()
        async with serving(endless) as server:
            async with connected(server) as peer:
                await peer.send(GET)
                await peer.head()
            await eventually(lambda: endless.closed and server.connections == 0)

    asyncio.run(main())


def test_handler_is_cancelled_when_the_client_goes():
    async def main():
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def handler(request: Request) -> Response:
            started.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return Response()

        async with serving(handler) as server, connected(server) as peer:
            await peer.send(GET)
            async with asyncio.timeout(5):
                await started.wait()
                peer.reset()
                await cancelled.wait()

    asyncio.run(main())


def test_slow_reader_holds_the_stream_back():
    async def main():
        endless = Endless(b"y" * 100_000)
        async with serving(endless) as server, connected(server) as peer:
            peer.writer.transport.pause_reading()
            await peer.send(GET)
            before = -1
            async with asyncio.timeout(10):
                while endless.sent != before:  # until nothing moves any more
                    before = endless.sent
                    await asyncio.sleep(0.1)
            return endless.sent

    assert 0 < asyncio.run(main()) < 500  # a few megabytes in the kernel's buffers, then it waits


def test_slow_reader_is_cut_off_in_the_end():
    async def main():
        endless = Endless(b"y" * 1_000_000)
        async with serving(endless, write_stall_s=0) as server, connected(server) as peer:
            peer.writer.transport.pause_reading()
            await peer.send(GET)
            await eventually(lambda: endless.closed)

    asyncio.run(main())


@pytest.mark.parametrize(
    "limit, data",
    [
        pytest.param("head_s", b"GET / HTTP/1.1\r\nHo", id="headers that do not end"),
        pytest.param(
            "body_idle_s", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", id="a body that stops"
        ),
        pytest.param("keep_alive_s", GET, id="an idle connection"),
    ],
)
def test_time_limits(limit, data):
    async def main():
        async with serving(echo, **{limit: 0}) as server, connected(server) as peer:
            await peer.send(data)
            await peer.rest()

    asyncio.run(main())


def test_big_body_arrives_unharmed():
    body = bytes(range(256)) * 40_000

    async def handler(request: Request) -> Response:
        return Response(200, {}, body)

    async def main():
        async with serving(handler) as server, connected(server) as peer:
            await peer.send(GET + GET)
            return [(await peer.response())[2] == body for _ in range(2)]

    assert asyncio.run(main()) == [True, True]


def test_shutdown_ends_streams_with_their_last_chunk_and_lets_requests_finish():
    async def main():
        endless, release = Endless(), asyncio.Event()

        async def handler(request: Request) -> Response:
            if request.path == "/stream":
                return await endless(request)
            await release.wait()
            return Response(200, {}, b"done")

        server = await serve(handler)
        async with connected(server) as stream, connected(server) as plain, connected(server) as idle:
            await stream.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await plain.send(GET)
            await stream.head()
            await eventually(lambda: endless.sent > 1)
            closing = asyncio.ensure_future(server.close(5))
            body = await stream.rest()
            assert await idle.rest() == b""
            assert not closing.done()
            release.set()
            _, headers, text = await plain.response()
            await closing
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            return body.endswith(b"0\r\n\r\n"), headers["connection"], text

    assert asyncio.run(main()) == (True, "close", b"done")


def test_shutdown_does_not_wait_longer_than_its_grace():
    async def main():
        started = asyncio.Event()

        async def handler(request: Request) -> Response:
            started.set()
            await asyncio.sleep(3600)
            return Response()

        server = await serve(handler)
        async with connected(server) as peer, asyncio.timeout(3):
            await peer.send(GET)
            await started.wait()
            await server.close(0.05)
            return await peer.rest()

    assert asyncio.run(main()) == b""


def test_upgrade_hands_over_the_connection_with_what_was_sent_ahead():
    async def handler(request: Request) -> Response:
        async def shout(stream: Stream) -> None:
            while data := await stream.read():
                await stream.write(data.upper())

        return Response(101, {"Connection": "Upgrade", "Upgrade": "shout"}, upgrade=shout)

    async def main():
        async with serving(handler) as server, connected(server) as peer:
            await peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nahead ")
            status, headers = await peer.head()
            await peer.send(b"later")
            text = await peer.reader.readexactly(11)
            peer.writer.write_eof()
            return status, headers["upgrade"], text, await peer.rest()

    assert asyncio.run(main()) == (101, "shout", b"AHEAD LATER", b"")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([GET, b"\r\n\r\n", b"POST / HTTP/1.1\r\n"])), max_size=8)
)
def test_survives_any_bytes(parts):
    """Whatever one client sends, the next one is served."""

    async def main():
        async with serving(echo) as server:
            async with connected(server) as peer:
                for part in parts:
                    try:
                        await peer.send(part)
                    except ConnectionError:
                        break
            async with connected(server) as peer:
                await peer.send(GET)
                return (await peer.response())[0]

    assert asyncio.run(main()) == 200


def test_repeated_headers_are_kept_apart():
    """Values may hold commas; what has once been recognized is kept as well."""
    seen = []

    async def handler(request: Request) -> Response:
        seen.append((request.headers["a"], request.values("a"), request.values("b"), request.values("c")))
        return Response(200, {}, b"")

    head = b"GET /%s HTTP/1.1\r\nHost: x\r\nA: 1, 2\r\nB: only\r\na: 3\r\n%s\r\n"

    async def main() -> None:
        async with serving(handler) as server, connected(server) as peer:
            for path in (b"x", b"y"):
                await peer.send(head % (path, b""))
                await eventually(lambda: True)
            await peer.send(head % (b"z", b"Connection: close\r\n"))
            await peer.rest()

    asyncio.run(main())
    assert seen == [("1, 2, 3", ["1, 2", "3"], ["only"], [])] * 3


PIECES = [
    pytest.param(Items([], b","), b"[]", id="nothing"),
    pytest.param(Items([b"a"], b","), b"[a]", id="one"),
    pytest.param(Items([b"..a", b"..b"], b",", cut=2), b"[a,b]", id="without their beginning"),
    pytest.param(Items([b"%04d" % i for i in range(9999)], b"|"), None, id="many small ones"),
    pytest.param(Items([b"x" * 400_000, b"", b"y" * 400_000], b"--"), None, id="large ones"),
    pytest.param(Items([b"x" * 10] * 5000 + [b"y" * 100_000] * 20, b","), None, id="large ones after small ones"),
]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("items, whole", PIECES)
def test_pieces_are_one_body(items, whole, joined):
    pieces = Pieces(b"[", items, b"]")
    expected = bytes(pieces)
    if joined:
        items.join()

    async def answer(request: Request) -> Response:
        return Response(200, pieces=pieces)

    async def main():
        async with serving(answer) as server, connected(server) as peer:
            await peer.send(GET)
            first = await peer.response()
            await peer.send(GET)
            return first, await peer.response()

    (_, headers, first), (_, _, second) = asyncio.run(main())
    assert first == second == bytes(pieces) == expected
    assert int(headers["content-length"]) == pieces.size
    assert whole in (None, first)
    assert max(len(s) for s in pieces.slices(1000)) <= 2000


def test_who_is_about_to_ask_when_the_server_ends_still_gets_an_answer():
    """An idle connection is kept for a moment; its next answer says that it was the last."""

    async def main() -> None:
        async with serving(echo) as server, connected(server) as peer:
            await peer.send(GET)
            await peer.response()
            closing = asyncio.ensure_future(server.close(5, quiet_seconds=5))
            await asyncio.sleep(0)
            await peer.send(GET)
            status, headers, _ = await peer.response()
            assert (status, headers["connection"]) == (200, "close")
            assert await peer.rest() == b""
            async with asyncio.timeout(1):  # nobody is left to wait for
                await closing

    asyncio.run(main())


@pytest.mark.parametrize(
    "handler, data",
    [
        pytest.param(echo, b"", id="one that asked nothing"),
        pytest.param(echo, GET, id="one that was answered at once"),
        pytest.param(slow_echo, GET, id="one whose handler had to wait"),
        pytest.param(stuck, GET, id="one whose handler still waits"),
    ],
)
def test_a_connection_that_is_gone_leaves_nothing_to_the_garbage_collector(handler, data):
    """Its TLS state is memory that the collector knows nothing of."""

    async def main() -> bool:
        async with serving(handler) as server:
            async with connected(server) as peer:
                await peer.send(data)
                await eventually(lambda: server.connections == 1)
                if handler is not stuck and data:
                    await peer.response()
                gone = weakref.ref(next(iter(server._core.connections)))
                peer.reset()
            await eventually(lambda: not server.connections)
            await eventually(lambda: gone() is None)
            return gone() is None

    gc.disable()
    try:
        assert asyncio.run(main())
    finally:
        gc.enable()
