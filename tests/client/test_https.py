"""The HTTPS transport (over plain TCP here): reuse of connections, streams, deadlines, and servers that misbehave."""

import asyncio
import contextlib

import pytest

from skiff.client.https import HTTPSTransport
from skiff.wire.messages import Request, Response, Stream
from skiff.wire.server import serve

GET = ("GET", "/a")


@contextlib.asynccontextmanager
async def talking_to(handler, **options):
    """A transport to a server with this handler."""
    server = await serve(handler)
    transport = HTTPSTransport(f"http://127.0.0.1:{server.port}/base", **options)
    try:
        yield transport
    finally:
        await transport.close()
        await server.close(0)


@contextlib.asynccontextmanager
async def talking_to_bytes(*answers: bytes):
    """A transport to a server that answers the first request of each connection with the next bytes, then hangs up."""
    left = list(answers)
    seen = []

    async def serve_one(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    transport = HTTPSTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5)
    try:
        yield transport, seen
    finally:
        await transport.close()
        server.close()
        await server.wait_closed()


async def echo(request: Request) -> Response:
    text = f"{request.method} {request.path}?{request.query_string} {request.headers.get('authorization', '-')}"
    return Response(200, {}, text.encode() + request.body)


def test_a_request_arrives_as_it_was_meant():
    async def main():
        tokens = iter(("one", "two"))
        async with talking_to(echo, token=lambda: next(tokens)) as transport:
            first = await transport.send(Request("POST", "/a b/c", "x=%20", {}, b" body"))
            second = await transport.send(Request("GET", "/a", headers={"authorization": "Bearer mine"}))
            return first.body, second.body

    assert asyncio.run(main()) == (b"POST /base/a b/c?x=%20 Bearer one body", b"GET /base/a? Bearer mine")


def test_connections_are_reused_and_bounded():
    async def main():
        at_once, most, remotes = 0, 0, set()

        async def handler(request: Request) -> Response:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001)
            at_once -= 1
            return Response(200, {}, b"x")

        async with talking_to(handler, max_requests=4) as transport:
            await asyncio.gather(*(transport.send(Request(*GET)) for _ in range(40)))
            remotes = len(transport._open)
        return most, remotes

    most, connections = asyncio.run(main())
    assert most <= 4
    assert connections <= 4


def test_a_stream_is_read_as_it_comes_and_its_connection_reused():
    async def main():
        go = asyncio.Event()

        async def chunks():
            yield b"first"
            await go.wait()
            yield b"second"

        async def handler(request: Request) -> Response:
            return Response(200, {}, stream=chunks()) if request.path.endswith("stream") else await echo(request)

        async with talking_to(handler) as transport:
            response = await transport.send(Request("GET", "/stream", scratch={"stream": True}))
            parts = [await anext(response.stream)]
            go.set()
            parts += [chunk async for chunk in response.stream]
            await transport.send(Request(*GET))
            return parts, len(transport._open)

    assert asyncio.run(main()) == ([b"first", b"second"], 1)


def test_a_stream_left_early_ends_on_the_server():
    async def main():
        closed = asyncio.Event()

        async def endless():
            try:
                while True:
                    yield b"x"
                    await asyncio.sleep(0.001)
            finally:
                closed.set()

        async def handler(request: Request) -> Response:
            return Response(200, {}, stream=endless())

        async with talking_to(handler) as transport:
            response = await transport.send(Request(*GET, scratch={"stream": True}))
            await anext(response.stream)
            await response.stream.aclose()
            async with asyncio.timeout(5):
                await closed.wait()

    asyncio.run(main())


def test_an_upgrade_gives_the_raw_connection():
    async def handler(request: Request) -> Response:
        async def shout(stream: Stream) -> None:
            while data := await stream.read():
                await stream.write(data.upper())

        if request.path.endswith("no"):
            return Response(403, {}, b"not you")
        return Response(101, {"Connection": "Upgrade", "Upgrade": "x"}, upgrade=shout)

    async def main():
        async with talking_to(handler) as transport:
            refused, nothing = await transport.upgrade(Request("GET", "/no", headers={"Upgrade": "x"}))
            accepted, stream = await transport.upgrade(Request("GET", "/yes", headers={"Upgrade": "x"}))
            await stream.write(b"hi")
            text = await stream.read()
            await stream.close()
            return refused.status, refused.body, nothing, accepted.status, text

    assert asyncio.run(main()) == (403, b"not you", None, 101, b"HI")


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_safe_request_is_repeated_when_a_kept_connection_was_closed():
    async def main():
        async with talking_to_bytes(OK, OK) as (transport, seen):
            first = await transport.send(Request(*GET))
            second = await transport.send(Request(*GET))  # the server has hung up in between
            return first.body, second.body, len(seen)

    assert asyncio.run(main()) == (b"ok", b"ok", 2)


BROKEN = [
    pytest.param(b"", id="hangs up without an answer"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="hangs up within the head"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", id="hangs up within the body"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", id="hangs up within a chunk"),
    pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="speaks something else"),
]


@pytest.mark.parametrize("answer", BROKEN)
@pytest.mark.parametrize("stream", [pytest.param(False, id="plain"), pytest.param(True, id="streamed")])
def test_whatever_breaks_is_a_connection_error(answer, stream):
    async def main():
        async with talking_to_bytes(answer) as (transport, _):
            with pytest.raises(ConnectionError):
                response = await transport.send(Request("POST", "/", scratch={"stream": stream}))
                async for _ in response.stream:
                    pass

    asyncio.run(main())


def test_a_body_may_end_with_the_connection():
    async def main():
        async with talking_to_bytes(b"HTTP/1.1 200 OK\r\n\r\nall of it") as (transport, _):
            return (await transport.send(Request(*GET))).body

    assert asyncio.run(main()) == b"all of it"


def test_a_silent_server_meets_the_deadline_and_loses_the_connection():
    async def main():
        async def handler(request: Request) -> Response:
            await asyncio.sleep(3600)
            return Response()

        async with talking_to(handler, timeout_s=0.05) as transport:
            with pytest.raises(ConnectionError, match="no answer in time"):
                await transport.send(Request(*GET))
            return len(transport._open), len(transport._idle)

    assert asyncio.run(main())[1] == 0


def test_nobody_listens():
    async def main():
        transport = HTTPSTransport("http://127.0.0.1:1")
        with pytest.raises(ConnectionError, match="connection refused"):
            await transport.send(Request(*GET))

    asyncio.run(main())


def test_a_header_cannot_bring_another_request():
    async def main():
        async with talking_to(echo) as transport:
            with pytest.raises(ValueError, match="line break"):
                await transport.send(Request("GET", "/", headers={"x": "a\r\n\r\nDELETE / HTTP/1.1"}))

    asyncio.run(main())
