"""Fields that a JSON text names twice in one object, which decoding silently merges."""

import json
from typing import Any

import orjson


def duplicate_fields(raw: bytes, obj: Any) -> list[str]:
    """`duplicate field "spec.x"` for each field that the JSON text names twice in one object.

    The usual text has none, and then as many colons as its decoded form; only otherwise is it parsed with attention.
    """
    if b"\\u003" not in raw and raw.count(b":") == orjson.dumps(obj).count(b":"):
        return []
    try:
        tree = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return []
    found: list[str] = []
    _find_duplicates(tree, "", found)
    return found


class _Pairs(list[tuple[str, Any]]):
    """An object as the pairs that were written."""


def _find_duplicates(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, item in value:
            here = f"{path}.{name}" if path else name
            sentence = f'duplicate field "{here}"'
            if name in seen and sentence not in found:
                found.append(sentence)
            seen.add(name)
            _find_duplicates(item, here, found)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _find_duplicates(item, f"{path}[{i}]", found)
