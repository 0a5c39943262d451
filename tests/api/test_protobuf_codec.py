"""The protobuf codec against digests of what upstream's encoder (v1.36) writes for the same objects, and against bytes
that no honest client sends. protobuf_digests.txt: apiVersion, kind, the first 16 digits of the SHA-256."""

import contextlib
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from skiff.api import protobuf
from skiff.api.protobuf import ProtobufError
from skiff.api.protobuf.varint import delimited, varint
from tests.api.protobuf_objects import populated

OBJECTS = {(o["apiVersion"], o["kind"]): o for o in populated()}
DIGESTS = [line.split() for line in (Path(__file__).parent / "protobuf_digests.txt").read_text().splitlines()]
TYPES = (".deleteOptions.apiVersion", ".volumeClaimTemplates[0].apiVersion", ".volumeClaimTemplates[0].kind")
TYPES += (".deleteOptions.kind", ".volumeClaimTemplates[1].apiVersion", ".volumeClaimTemplates[1].kind")
"""Messages inside of messages do not name their kind."""
HEAD = {"apiVersion": "v1", "kind": "Pod"}


def test_every_kind_has_a_digest() -> None:
    assert {(v, k) for v, k, _ in DIGESTS} == set(OBJECTS)


@pytest.mark.parametrize(("api_version", "kind", "digest"), [pytest.param(*d, id=f"{d[0]} {d[1]}") for d in DIGESTS])
def test_same_bytes_as_upstream_and_back(api_version: str, kind: str, digest: str) -> None:
    encoded = protobuf.encode(OBJECTS[(api_version, kind)])
    assert sha256(encoded).hexdigest()[:16] == digest
    decoded = protobuf.decode(encoded)
    assert protobuf.decode(protobuf.encode(decoded)) == decoded
    assert [d for d in _differences(OBJECTS[(api_version, kind)], decoded) if not d.endswith(TYPES)] == []


def _differences(sent: Any, got: Any, path: str = "") -> list[str]:
    """What was sent and did not come back, but for values that Go's JSON leaves out."""
    if isinstance(sent, dict) and isinstance(got, dict):
        lost = [f"{path}.{k}" for k, v in sent.items() if k not in got and v not in ("", 0, False, None)]
        return lost + [d for k in sent.keys() & got.keys() for d in _differences(sent[k], got[k], f"{path}.{k}")]
    if isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        return [d for i, (a, b) in enumerate(zip(sent, got, strict=True)) for d in _differences(a, b, f"{path}[{i}]")]
    return [] if sent == got else [path]


def _raw(api_version: str, kind: str, obj: Any) -> bytes:
    form = protobuf.form(api_version, kind)
    assert form is not None
    return form.encode(obj)


@pytest.mark.parametrize(
    ("api_version", "kind", "obj", "expected"),
    [
        pytest.param("v1", "Status", {}, "0a060a0012001a00" + "12001a0022003000", id="zeros"),
        pytest.param("meta.k8s.io/v1", "DeleteOptions", {}, "", id="pointers and lists leave nothing"),
        pytest.param("v1", "DeleteOptions", {"gracePeriodSeconds": 0}, "0800", id="a pointer to zero is written"),
        pytest.param("v1", "DeleteOptions", {"gracePeriodSeconds": -1}, "08" + "ff" * 9 + "01", id="negative"),
        pytest.param("v1", "DeleteOptions", {"dryRun": ["All", None]}, "2a03416c6c2a00", id="null in a list"),
        pytest.param("v1", "DeleteOptions", {"unheard": {"of": 1}}, "", id="unknown keys are ignored"),
    ],
)
def test_zero_values(api_version: str, kind: str, obj: Any, expected: str) -> None:
    assert _raw(api_version, kind, obj).hex() == expected


def test_map_keys_are_sorted_as_bytes() -> None:
    raw = _raw("v1", "ConfigMap", {"data": {"é": "3", "b": "2", "a": "1", "n": None}})
    assert [raw.index(k) for k in (b"a", b"b", b"n", "é".encode())] == sorted(
        raw.index(k) for k in (b"a", b"b", b"n", "é".encode())
    )
    assert raw.endswith(delimited(2, delimited(1, "é".encode()) + delimited(2, b"3")))


@pytest.mark.parametrize(
    ("api_version", "kind", "known"),
    [
        pytest.param("apps/v1", "Deployment", True, id="a built-in kind"),
        pytest.param("apps/v1", "DeleteOptions", True, id="options in any group"),
        pytest.param("apps.example.com/v1", "Deployment", False, id="a custom group that looks alike"),
        pytest.param("meta.k8s.io/v1", "Table", False, id="tables"),
        pytest.param("", "Pod", False, id="no version"),
        pytest.param("v1", "Pod: x", False, id="strange characters"),
    ],
)
def test_knows(api_version: str, kind: str, known: bool) -> None:
    assert protobuf.knows(api_version, kind) is known


def _envelope(raw: bytes, api_version: bytes = b"v1", kind: bytes = b"Pod") -> bytes:
    return protobuf.MAGIC + delimited(1, delimited(1, api_version) + delimited(2, kind)) + delimited(2, raw)


def _deep(levels: int) -> bytes:
    raw = b""
    for _ in range(levels):
        raw = delimited(28, raw)
    return _envelope(
        delimited(2, delimited(7, delimited(4, delimited(1, raw)))),
        b"apiextensions.k8s.io/v1",
        b"CustomResourceDefinition",
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"kind":"Pod"}', id="JSON"),
        pytest.param(protobuf.MAGIC, id="no envelope"),
        pytest.param(protobuf.MAGIC + b"\x0a", id="an envelope cut off"),
        pytest.param(_envelope(b"", kind=b""), id="no kind"),
        pytest.param(_envelope(b"", kind=b"Nothing"), id="an unknown kind"),
        pytest.param(_envelope(b"\x0a" + varint(1 << 62)), id="a huge length"),
        pytest.param(_envelope(b"\x0a" + b"\xff" * 11), id="an endless number"),
        pytest.param(_envelope(b"\x08\x01"), id="a number where a message belongs"),
        pytest.param(_envelope(b"\x00\x01"), id="field number zero"),
        pytest.param(_envelope(b"\xfb\x07"), id="a group"),
        pytest.param(_envelope(delimited(1, delimited(1, b"\xff"))), id="text that is not UTF-8"),
        pytest.param(_envelope(delimited(1, delimited(8, b"\x08" + varint(1 << 60)))), id="a time beyond the calendar"),
        pytest.param(_deep(500), id="deep nesting"),
        pytest.param(_deep(3000), id="very deep nesting"),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        protobuf.decode(data)


def test_unknown_fields_are_ignored() -> None:
    more = varint(200 << 3) + b"\x05" + delimited(201, b"abc") + varint(202 << 3 | 1) + bytes(8) + varint(203 << 3 | 5)
    decoded = protobuf.decode(_envelope(more + bytes(4) + delimited(1, delimited(1, b"x"))))
    assert decoded == {**HEAD, "metadata": {"name": "x"}}


@pytest.mark.parametrize("cut", [1, 2, 3, 50, 200])
def test_cut_off(cut: int) -> None:
    head = delimited(1, delimited(1, b"v1") + delimited(2, b"Service"))
    whole = protobuf.MAGIC + head + delimited(2, _raw("v1", "Service", OBJECTS[("v1", "Service")]))
    assert protobuf.decode(whole)["spec"]
    with pytest.raises(ProtobufError):
        protobuf.decode(whole[:-cut])


def test_damaged_bytes_are_refused_or_read_but_nothing_else() -> None:
    encoded = protobuf.encode(OBJECTS[("v1", "Service")])
    chance = random.Random(1)
    for _ in range(500):
        damaged = bytearray(encoded)
        for _ in range(chance.randint(1, 5)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(ProtobufError):
            protobuf.decode(bytes(damaged))


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param({**HEAD, "metadata": "text"}, id="text where a message belongs"),
        pytest.param({**HEAD, "spec": {"containers": [{"name": 1}]}}, id="a number where text belongs"),
        pytest.param({**HEAD, "metadata": {"creationTimestamp": "yesterday"}}, id="no time"),
        pytest.param({"apiVersion": "example.com/v1", "kind": "Thing"}, id="a custom resource"),
    ],
)
def test_not_encodable(obj: Any) -> None:
    with pytest.raises(ProtobufError):
        protobuf.encode(obj)
