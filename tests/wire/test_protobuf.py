"""The table-driven codec: bytes as the specification gives them, round trips, and hostile input."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.wire.protobuf import (
    BOOL,
    BYTES,
    DOUBLE,
    INT32,
    INT64,
    STRING,
    UINT64,
    DecodeError,
    Lazy,
    Map,
    Message,
    Repeated,
)

INNER = Message("Inner", a=(1, INT32))
NODE: Message = Message("Node", next=(1, Lazy(lambda: NODE)), name=(2, STRING))
ALL = Message(
    "All", n=(1, INT32), big=(2, INT64), text=(3, STRING), raw=(4, BYTES), on=(5, BOOL), inner=(6, INNER),
    numbers=(7, Repeated(INT64)), words=(8, Repeated(STRING)), labels=(9, Map(STRING)), f=(10, DOUBLE), u=(11, UINT64),
)  # fmt: skip

ENCODED = [
    pytest.param(INNER, {"a": 150}, "089601", id="the specification's first example"),
    pytest.param(INNER, {"a": 0}, "", id="a default is not sent"),
    pytest.param(INNER, {"a": -1}, "08ffffffffffffffffff01", id="a negative int32 takes ten bytes"),
    pytest.param(ALL, {"text": "testing"}, "1a0774657374696e67", id="text"),
    pytest.param(ALL, {"inner": {"a": 150}}, "3203089601", id="a message inside"),
    pytest.param(ALL, {"inner": {}}, "3200", id="an empty message is sent"),
    pytest.param(ALL, {"inner": None}, "", id="None is left out"),
    pytest.param(ALL, {"numbers": [3, 270, 86942]}, "3a06038e029ea705", id="numbers are packed"),
    pytest.param(ALL, {"labels": {"k": "v"}}, "4a060a016b120176", id="a map is entries"),
]


@pytest.mark.parametrize("message, value, expected", ENCODED)
def test_encode(message: Message, value: dict[str, Any], expected: str) -> None:
    assert message.encode(value).hex() == expected


DECODED = [
    pytest.param("38033805", {"numbers": [3, 5]}, id="unpacked numbers are read too"),
    pytest.param("08960108 07", {"n": 7}, id="the last of several wins"),
    pytest.param("a00601 0805", {"n": 5}, id="an unknown number is skipped"),
    pytest.param("a206020000 0805", {"n": 5}, id="an unknown chunk is skipped"),
    pytest.param("1a02fffe", {"text": "��"}, id="text that is not UTF-8 is replaced"),
]


@pytest.mark.parametrize("data, expected", DECODED)
def test_decode(data: str, expected: dict[str, Any]) -> None:
    value = ALL.decode(bytes.fromhex(data))
    assert {k: value[k] for k in expected} == expected


def test_missing_fields_have_their_defaults_and_messages_are_absent() -> None:
    value = ALL.decode(b"")
    assert value == {
        "n": 0, "big": 0, "text": "", "raw": b"", "on": False, "numbers": [], "words": [], "labels": {}, "f": 0.0, "u": 0,
    }  # fmt: skip


HOSTILE = [
    pytest.param("08", id="a varint is missing"),
    pytest.param("08ffffffffffffffffffff01", id="a varint that never ends"),
    pytest.param("1aff01", id="a length beyond the end"),
    pytest.param("1affffffffffffffff7f", id="a length of 2^63"),
    pytest.param("0a00", id="a wrong wire type"),
    pytest.param("0b", id="a group"),
    pytest.param("00", id="field number zero"),
    pytest.param("510000", id="a double that is cut off"),
    pytest.param("4a020a05", id="a map entry that is cut off"),
]


@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_input_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        ALL.decode(bytes.fromhex(data))


def test_nesting_is_bounded() -> None:
    deep = b""
    for _ in range(200):
        size = len(deep)
        prefix = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
        deep = b"\x0a" + prefix + deep
    with pytest.raises(DecodeError, match="nested too deeply"):
        NODE.decode(deep)


VALUES = st.fixed_dictionaries(
    {
        "n": st.integers(-(2**31), 2**31 - 1),
        "big": st.integers(-(2**63), 2**63 - 1),
        "u": st.integers(0, 2**64 - 1),
        "text": st.text(st.characters(exclude_categories=["Cs"])),
        "raw": st.binary(),
        "on": st.booleans(),
        "numbers": st.lists(st.integers(-(2**63), 2**63 - 1)),
        "words": st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
        "labels": st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
        "f": st.floats(allow_nan=False),
    }
)


@given(VALUES)
def test_what_is_encoded_is_decoded_again(value: dict[str, Any]) -> None:
    assert ALL.decode(ALL.encode(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        ALL.decode(data)
    except DecodeError:
        return
