"""Lists of type set and map have no duplicates. Source: apiextensions-apiserver pkg/apiserver/schema/listtype."""

from typing import Any

import orjson

from skiff.api.errors import FieldError, duplicate, invalid
from skiff.api.structural.node import Structural, Trail, path

KEYWORD = "x-kubernetes-list-type"


def errors_of(value: Any, node: Structural | None) -> list[FieldError]:
    """All duplicates below the root."""
    found: list[FieldError] = []
    _walk(value, node, None, found)
    return found


def _walk(value: Any, node: Structural | None, trail: Trail, found: list[FieldError]) -> None:
    if node is None or not (node.below(KEYWORD) or KEYWORD in node.schema):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                named = node.child(key)
                _walk(item, named or node.values, (trail, key if named is not None else [key]), found)
    elif isinstance(value, list):
        _check(value, node, trail, found)
        for i, item in enumerate(value):
            _walk(item, node.items, (trail, i), found)


def _check(value: list[Any], node: Structural, trail: Trail, found: list[FieldError]) -> None:
    kind = node.schema.get(KEYWORD)
    if kind == "set":
        for i in _repeated(value):
            found.append(duplicate(path((trail, i)), value[i]))
    elif kind == "map":
        for i, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                why = "must be an object for an array of list-type map"
                found.append(invalid(path((trail, i)), item, why))
                return
        names = node.schema.get("x-kubernetes-list-map-keys") or ()
        keys = [{n: item[n] for n in names if n in item} if item else {} for item in value]
        for i in _repeated(keys):
            found.append(duplicate(path((trail, i)), keys[i]))


def _repeated(values: list[Any]) -> list[int]:
    """The index of the second appearance of each value that appears again."""
    seen: dict[bytes, int] = {}
    found = []
    for i, value in enumerate(values):
        key = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 2:
            found.append(i)
    return found
