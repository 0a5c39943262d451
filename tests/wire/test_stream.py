"""Raw connections: end of stream, back pressure, relaying."""

import asyncio

import pytest

from skiff.wire.relay import relay
from skiff.wire.stream import dial
from tests.wire.conftest import stream_pair


def test_dial_reads_until_the_end_and_says_what_is_wrong():
    async def main():
        async def serve(reader, writer):
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"bye"
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            stream = await dial("127.0.0.1", port)
            assert await stream.read() == b"hello"
            assert await stream.read() == b""
            await stream.write(b"bye")
            await stream.write_eof()
            await stream.close()
        with pytest.raises(ConnectionError, match=f"dial tcp 127.0.0.1:{port}: connect: connection refused"):
            await dial("127.0.0.1", port)

    asyncio.run(main())


def test_relay_copies_both_ways_and_closes_both_sides():
    async def main():
        client, left = stream_pair()
        right, backend = stream_pair()
        joined = asyncio.ensure_future(relay(left, right))
        await client.write(b"question")
        assert await backend.read() == b"question"
        await backend.write(b"answer")
        assert await client.read() == b"answer"
        await client.close()
        async with asyncio.timeout(5):
            assert await backend.read() == b""
            await joined

    asyncio.run(main())
