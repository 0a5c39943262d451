"""Who a certificate names: the subject of a DER certificate, read without a cryptography library (RFC 5280, 4.1).

TLS has verified the chain and the purpose; API server and kubelet read only the name from it.
"""

from dataclasses import dataclass

_SEQUENCE, _CONTEXT_0, _OID = 0x30, 0xA0, 0x06
_COMMON_NAME = bytes((0x55, 0x04, 0x03))
_ORGANIZATION = bytes((0x55, 0x04, 0x0A))
_UID = bytes((0x2B, 0x06, 0x01, 0x04, 0x01, 0x83, 0xC2, 0x53, 0x02))
"""1.3.6.1.4.1.57683.2, under which Kubernetes carries a user's UID."""
_TEXT = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}


@dataclass(frozen=True, slots=True)
class Subject:
    common_name: str
    organizations: tuple[str, ...]
    uid: str


def subject(der: bytes) -> Subject:
    """The subject of a DER certificate. Raises ValueError or IndexError for anything malformed."""
    _, certificate, _ = _element(der, 0, _SEQUENCE)
    _, body, _ = _element(certificate, 0, _SEQUENCE)
    position = 0
    if body[0] == _CONTEXT_0:
        _, _, position = _element(body, 0)
    for _ in range(4):  # serial number, signature algorithm, issuer, validity
        _, _, position = _element(body, position)
    _, names, _ = _element(body, position, _SEQUENCE)
    values: dict[bytes, list[str]] = {}
    for relative in _children(names):
        for attribute in _children(relative):
            _, oid, after = _element(attribute, 0, _OID)
            tag, value, _ = _element(attribute, after)
            if oid in (_COMMON_NAME, _ORGANIZATION, _UID):
                values.setdefault(oid, []).append(_text(tag, value))
    # as Go's pkix.Name: the last common name counts, organizations stay in order
    return Subject(values.get(_COMMON_NAME, [""])[-1], tuple(values.get(_ORGANIZATION, ())), values.get(_UID, [""])[-1])


def _element(data: bytes, position: int, expected: int = -1) -> tuple[int, bytes, int]:
    """Tag, content, and the position after the element at `position`."""
    tag, length = data[position], data[position + 1]
    start = position + 2
    if expected >= 0 and tag != expected:
        raise ValueError(f"tag {tag:#x} where {expected:#x} should be")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("length of an element")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    end = start + length
    if end > len(data):
        raise ValueError("an element is cut off")
    return tag, data[start:end], end


def _children(data: bytes) -> list[bytes]:
    out, position = [], 0
    while position < len(data):
        _, content, position = _element(data, position)
        out.append(content)
    return out


def _text(tag: int, value: bytes) -> str:
    if tag not in _TEXT:
        raise ValueError(f"text of type {tag:#x}")
    return value.decode(_TEXT[tag])
