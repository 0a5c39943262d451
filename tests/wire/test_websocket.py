"""WebSocket (RFC 6455): handshake, frames, messages, closing, and peers that misbehave."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skiff.api.errors import StatusError
from skiff.wire import websocket
from skiff.wire.messages import Request
from skiff.wire.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, Decoder, Frame, Message, WebSocket, encode
from tests.wire.conftest import stream_pair


def request(**headers):
    return Request("GET", "/", headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_the_handshake_of_the_rfc():
    """RFC 6455, 1.3."""
    found = websocket.accept_headers(
        request(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==", sec_websocket_version="13"), "v5"
    )
    assert found["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert found["Sec-WebSocket-Protocol"] == "v5"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec_websocket_version": "13"}, id="no key"),
        pytest.param({"sec_websocket_key": "short", "sec_websocket_version": "13"}, id="a key that is none"),
        pytest.param(
            {"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==", "sec_websocket_version": "8"}, id="an old version"
        ),
    ],
)
def test_refuses_other_handshakes(headers):
    with pytest.raises(StatusError) as caught:
        websocket.accept_headers(request(**headers), "")
    assert caught.value.code == 400


def test_client_and_server_agree_on_a_protocol():
    sent = websocket.client_headers(["a", "b"])
    received = Request("GET", "/", headers={k.lower(): v for k, v in sent.items()})
    assert websocket.is_upgrade(received)
    protocol = websocket.negotiate(received, ("b", "c"))
    assert websocket.check_accepted(sent, websocket.accept_headers(received, protocol)) == "b"


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, BINARY, CONTINUATION]), st.binary(max_size=70_000)), max_size=5),
    st.booleans(),
    st.integers(1, 9000),
)
@settings(deadline=None)
def test_frames_come_back_however_they_are_cut(sent, masked, size):
    wire = b"".join(encode(opcode, data, masked=masked) for opcode, data in sent)
    decoder = Decoder(masked=masked)
    found = [f for i in range(0, len(wire), size) for f in decoder.feed(wire[i : i + size])]
    assert found == [Frame(True, opcode, data) for opcode, data in sent]


@given(st.binary(max_size=200))
def test_decoder_survives_any_bytes(data):
    try:
        Decoder(masked=True, max_frame=100).feed(data)
    except websocket.WebSocketError as error:
        assert error.code in (1002, 1009)


def conversation(*frames: bytes):
    """What a server-side WebSocket receives and answers when a client sends these bytes."""

    async def main():
        a, b = stream_pair()
        socket = WebSocket(a, server=True, max_message=1000)
        for frame in frames:
            await b.write(frame)
        messages = []
        try:
            while (message := await socket.receive()) is not None:
                messages.append(message)
        except websocket.WebSocketError as error:
            messages.append(error.code)
        await socket.close()
        answers = Decoder(masked=False).feed(await b.read()) if not b.incoming.empty() else []
        return messages, answers

    return asyncio.run(main())


def masked(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    return encode(opcode, data, masked=True, fin=fin)


BYE = masked(CLOSE, (1000).to_bytes(2, "big"))


def test_fragments_become_one_message_even_around_a_ping():
    messages, answers = conversation(
        masked(TEXT, b"one ", fin=False), masked(PING, b"p"), masked(CONTINUATION, b"two"), BYE
    )
    assert messages == [Message(b"one two", True)]
    assert [a.opcode for a in answers] == [websocket.PONG]


def test_a_goodbye_is_returned_with_its_code():
    async def main():
        a, b = stream_pair()
        socket = WebSocket(a, server=True)
        await b.write(masked(CLOSE, (1001).to_bytes(2, "big") + b"leaving"))
        assert await socket.receive() is None
        assert await socket.receive() is None
        return socket.close_code, Decoder(masked=False).feed(await b.read())

    code, answers = asyncio.run(main())
    assert code == 1001
    assert answers == [Frame(True, CLOSE, (1001).to_bytes(2, "big"))]


BROKEN = [
    pytest.param([encode(TEXT, b"x", masked=False)], 1002, id="a client that does not mask"),
    pytest.param([b"\xf1\x80aaaa"], 1002, id="reserved bits"),
    pytest.param([masked(3, b"")], 1002, id="an unknown opcode"),
    pytest.param([masked(PING, b"", fin=False)], 1002, id="a control frame in fragments"),
    pytest.param([masked(PING, b"x" * 126)], 1002, id="a long control frame"),
    pytest.param([masked(CONTINUATION, b"x")], 1002, id="a continuation of nothing"),
    pytest.param([masked(TEXT, b"a", fin=False), masked(TEXT, b"b")], 1002, id="a message within a message"),
    pytest.param([masked(TEXT, b"\xff")], 1007, id="text that is not UTF-8"),
    pytest.param([masked(BINARY, b"x" * 1001)], 1009, id="a frame that is too big"),
    pytest.param(
        [masked(BINARY, b"x" * 600, fin=False), masked(CONTINUATION, b"x" * 600)], 1009, id="a message too big"
    ),
    pytest.param([masked(CLOSE, b"\x03")], 1002, id="half a close code"),
    pytest.param([masked(CLOSE, (1006).to_bytes(2, "big"))], 1002, id="a close code that may not be sent"),
]


@pytest.mark.parametrize("frames, code", BROKEN)
def test_who_breaks_the_protocol_is_told_and_left(frames, code):
    messages, answers = conversation(*frames)
    assert messages == [code]
    assert answers[-1].opcode == CLOSE
    assert int.from_bytes(answers[-1].data[:2], "big") == code


def test_a_tunnel_carries_bytes_both_ways():
    async def main():
        a, b = stream_pair()
        server = websocket.WebSocketStream(WebSocket(a, server=True))
        client = websocket.WebSocketStream(WebSocket(b, server=False))
        await client.write(b"q" * 3_000_000)
        total = 0
        while total < 3_000_000:
            total += len(await server.read())
        await server.write(b"done")
        assert await client.read(2) + await client.read() == b"done"
        await server.close()
        assert await client.read() == b""

    asyncio.run(main())
