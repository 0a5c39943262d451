"""SPDY/3.1: frames to bytes and back, sessions over a pair of connected streams, and peers that misbehave."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skiff.wire.spdy import BUFFERED, Session
from skiff.wire.spdyframes import Data, Decoder, Encoder, GoAway, Ping, RstStream, SpdyError, SynReply, SynStream
from tests.wire.conftest import stream_pair

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
headers = st.dictionaries(names, st.text(max_size=40), max_size=6)
ids = st.integers(1, 2**31 - 1)
frames = st.lists(
    st.one_of(
        st.builds(SynStream, ids, headers, st.booleans()),
        st.builds(SynReply, ids, headers, st.booleans()),
        st.builds(RstStream, ids, st.integers(0, 11)),
        st.builds(Ping, ids),
        st.builds(GoAway, ids, st.integers(0, 2)),
        st.builds(Data, ids, st.binary(max_size=200), st.booleans()),
    ),
    max_size=12,
)


def joined(found):
    """Data may come in pieces: put together what belongs to one frame."""
    out = []
    for frame in found:
        last = out[-1] if out else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream == frame.stream and not last.fin:
            out[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            out.append(frame)
    return out


@given(frames, st.integers(1, 50))
def test_what_is_encoded_comes_back_however_it_is_cut(sent, size):
    encoder, decoder = Encoder(), Decoder()
    wire = b"".join(map(encoder.encode, sent))
    found = [f for i in range(0, len(wire), size) for f in decoder.feed(wire[i : i + size])]
    assert joined(found) == joined(sent)


def test_headers_are_compressed_with_the_dictionary_of_the_protocol():
    """A SYN_STREAM as moby/spdystream (kubectl, containerd) writes it."""
    captured = bytes.fromhex("80030001") + Encoder().encode(SynStream(1, {"streamtype": "error"}))[4:]
    assert list(Decoder().feed(captured)) == [SynStream(1, {"streamtype": "error"})]
    assert captured[18:20] == b"\x78\xbb" or captured[18:19] == b"\x78"  # zlib with a preset dictionary


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_decoder_survives_any_bytes(data):
    decoder = Decoder()
    try:
        for frame in decoder.feed(data):
            assert frame is not None
    except SpdyError:
        pass


WRONG = [
    pytest.param(b"\x80\x02\x00\x01\x00\x00\x00\x00", id="another version"),
    pytest.param(b"\x80\x03\x00\x01\x00\xff\xff\xff", id="a control frame of 16 MB"),
    pytest.param(b"\x80\x03\x00\x01\x00\x00\x00\x0c" + b"\x00" * 12, id="headers that are not compressed"),
    pytest.param(b"\x80\x03\x00\x06\x00\x00\x00\x01x", id="a ping without a number"),
]


@pytest.mark.parametrize("data", WRONG)
def test_broken_frames_are_errors(data):
    with pytest.raises(SpdyError):
        list(Decoder().feed(data))


def test_a_header_bomb_is_refused():
    wire = Encoder().encode(SynStream(1, {"x": "y" * (2 << 20)}))
    with pytest.raises(SpdyError, match="too long"):
        list(Decoder().feed(wire))


def in_session(body):
    """Runs body(client, server) over a connected pair of sessions."""

    async def main():
        a, b = stream_pair()
        client, server = Session(a, client=True), Session(b, client=False)
        runs = [asyncio.ensure_future(s.run()) for s in (client, server)]
        try:
            async with asyncio.timeout(5):
                return await body(client, server)
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)

    return asyncio.run(main())


async def read_all(stream):
    parts = []
    while data := await stream.read():
        parts.append(data)
    return b"".join(parts)


def test_streams_are_independent_and_half_close():
    async def body(client, server):
        out, err = await client.open({"streamType": "stdout"}), await client.open({"streamType": "stderr"})
        theirs = [await server.accept() for _ in range(2)]
        assert [t.headers["streamtype"] for t in theirs] == ["stdout", "stderr"]
        await out.write(b"question" * 20_000)
        await out.write_eof()
        await theirs[1].write(b"oops")
        await theirs[1].write_eof()
        assert await read_all(theirs[0]) == b"question" * 20_000
        await theirs[0].write(b"still open this way")
        await theirs[0].write_eof()
        assert await read_all(out) == b"still open this way"
        assert await read_all(err) == b"oops"

    in_session(body)


def test_a_reset_stream_raises_on_both_ends_and_leaves_the_others_alone():
    async def body(client, server):
        first, second = await client.open({"n": "1"}), await client.open({"n": "2"})
        theirs = [await server.accept() for _ in range(2)]
        await theirs[0].write_eof()
        await theirs[0].close()  # finished before: tells the peer that nothing is read
        with pytest.raises(ConnectionResetError):
            while await first.read():
                pass
        await second.write(b"fine")
        assert await theirs[1].read() == b"fine"

    in_session(body)


def test_everyone_learns_that_the_connection_is_lost():
    async def body(client, server):
        stream = await client.open({})
        await server.accept()
        await server.close()
        with pytest.raises(ConnectionError):
            await stream.read()
        with pytest.raises(ConnectionError):
            await stream.write(b"x")
        assert await client.accept() is None

    in_session(body)


def test_what_nobody_reads_stops_the_connection_until_somebody_does():
    async def body(client, server):
        stream = await client.open({})
        theirs = await server.accept()
        writer = asyncio.ensure_future(stream.write(b"z" * (4 * BUFFERED)))
        for _ in range(200):
            await asyncio.sleep(0)
        assert theirs.pending <= BUFFERED + 2 * 65536
        total = 0
        while total < 4 * BUFFERED:
            total += len(await theirs.read())
        await writer

    in_session(body)


def test_pings_of_the_peer_are_answered():
    async def main():
        a, b = stream_pair()
        session = Session(a, client=False)
        run = asyncio.ensure_future(session.run())
        await b.write(Encoder().encode(Ping(7)))
        assert list(Decoder().feed(await b.read())) == [Ping(7)]
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    asyncio.run(main())


def test_a_stream_number_used_twice_ends_the_session():
    async def main():
        a, b = stream_pair()
        encoder = Encoder()
        for frame in (SynStream(1, {}), SynStream(1, {})):
            await b.write(encoder.encode(frame))
        with pytest.raises(SpdyError, match="not the peer's next"):
            await Session(a, client=False).run()

    asyncio.run(main())
