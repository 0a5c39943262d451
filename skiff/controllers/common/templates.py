"""Pod templates: comparing them, and the short hash that names what was made from one.

The hash is FNV-1a of the template's canonical JSON, spelled in upstream's safe alphabet (no vowels, no digits that look
like letters, so that it never spells a word). It needs to be stable, not to equal upstream's, which depends on Go.
"""

from typing import Any

import orjson

from skiff.api.types import Obj

HASH_LABEL = "pod-template-hash"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_EMPTY_IS_ABSENT = frozenset({"labels", "annotations", "nodeSelector", "limits", "requests"})


def safe_encode(text: str) -> str:
    return "".join(_ALPHABET[ord(c) % len(_ALPHABET)] for c in text)


def fnv32a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def compute_hash(value: Any, collision_count: int | None = None) -> str:
    """At most ten characters. A collision count gives another hash of the same value."""
    data = orjson.dumps(normalized(value), option=orjson.OPT_SORT_KEYS)
    if collision_count is not None:
        data += str(collision_count).encode()
    return safe_encode(str(fnv32a(data)))


def normalized(value: Any) -> Any:
    """Without what means nothing: nulls, empty lists, empty maps of labels and the like. (`emptyDir: {}` means a lot.)"""
    if isinstance(value, list):
        return [normalized(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for k, v in value.items():
        if v is None or v == [] or (v == {} and k in _EMPTY_IS_ABSENT) or (k == "creationTimestamp"):
            continue
        out[k] = normalized(v)
    return out


def equal_ignoring_hash(a: Obj, b: Obj) -> bool:
    """Whether two pod templates mean the same apart from the label pod-template-hash."""
    return bool(_unhashed(a) == _unhashed(b))


def _unhashed(template: Obj) -> Any:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    return normalized({**template, "metadata": metadata})
