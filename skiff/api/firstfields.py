"""The fields of a new object, as its creator comes to own them: `structured.compare` with nothing, compiled.

`of(node)` gives a function from an object to its field set with sorted elements, the same one that comparing would give
(tests/api/test_firstfields.py holds the two together), in one pass and a fraction of the time. What has no schema
goes through the general way.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from skiff.api.fieldset import LEAF, MEMBER, FieldSet, ordered
from skiff.api.schema import SchemaNode
from skiff.api.structured import child, exists, indexed, is_leaf, whole

Fields = Callable[[Any], FieldSet]
Done = dict[int, "Fields | None"]


@lru_cache(maxsize=256)
def of(node: SchemaNode) -> Fields:
    """For objects of a kind."""
    if node.kind != "object":
        return lambda obj: {k: v for k, v in ordered(whole(obj, node)).items() if k != MEMBER}
    return _existing_object(node, {})


class _Parts(dict[str, tuple[str, Fields | None, bool]]):
    """Field → (path element, fields below or None for a leaf, whether it exists without being set).

    came: the object came with all that is in it, so nothing in it was there before. Filled as fields are met."""

    def __init__(self, node: SchemaNode, done: Done, *, came: bool) -> None:
        super().__init__()
        self._node = node
        self._done = done
        self._came = came

    def __missing__(self, key: str) -> tuple[str, Fields | None, bool]:
        field = child(self._node, key)
        if field is None:
            return f"f:{key}", lambda value: ordered(whole(value, None)), False
        there = not self._came and exists(self._node, key, field)
        part = self[key] = f"f:{key}", (_compile_existing if there else _compile)(field, self._done), there
        return part


def _compile(node: SchemaNode, done: Done) -> Fields | None:
    """Of a field that came with all that is in it; None for a leaf. `done`: by the node's identity (schemas recurse)."""
    if id(node) not in done:
        done[id(node)] = _compile_whole(node, done)
    return done[id(node)]


def _compile_whole(node: SchemaNode, done: Done) -> Fields | None:
    if node.kind == "scalar" or is_leaf(node, [] if node.kind == "array" else {}):
        return None
    if node.kind == "object":
        return _object(node, done)
    if node.kind == "map":
        return _map(node, done)
    return _list(node, done) if node.kind == "array" else lambda value: ordered(whole(value, node))


def _object(node: SchemaNode, done: Done) -> Fields:
    parts = _Parts(node, done, came=True)

    def fields(value: Any) -> FieldSet:
        if not value or type(value) is not dict:
            return LEAF
        result: FieldSet = {MEMBER: LEAF}
        for key in sorted(value):
            element, below, _ = parts[key]
            result[element] = below(value[key]) if below is not None else LEAF
        return result

    return fields


def _map(node: SchemaNode, done: Done) -> Fields:
    below = _compile(node.values, done) if node.values is not None else None

    def fields(value: Any) -> FieldSet:
        if not value or type(value) is not dict:
            return LEAF
        result: FieldSet = {MEMBER: LEAF}
        for key in sorted(value):
            result[f"f:{key}"] = below(value[key]) if below is not None else LEAF
        return result

    return fields


def _list(node: SchemaNode, done: Done) -> Fields:
    below = _compile(node.items, done) if node.items is not None else None

    def fields(value: Any) -> FieldSet:
        if not value or type(value) is not list:
            return LEAF
        result: FieldSet = {MEMBER: LEAF}
        for element, items in sorted(indexed(node, value).items()):
            result[element] = below(items[0]) if below is not None and len(items) == 1 else LEAF
        return result

    return fields


def _compile_existing(node: SchemaNode, done: Done) -> Fields | None:
    """Of a field that has always been there: it is no member of the set, and neither is what exists in it."""
    if node.kind == "object" and not is_leaf(node, {}):
        return _existing_object(node, done)
    inner = _compile(node, done)
    return None if inner is None else lambda value: {k: v for k, v in inner(value).items() if k != MEMBER}


def _existing_object(node: SchemaNode, done: Done) -> Fields:
    parts = _Parts(node, done, came=False)

    def fields(value: Any) -> FieldSet:
        result: FieldSet = {}
        for key in sorted(value):
            element, below, there = parts[key]
            item = value[key]
            if there and not item:
                continue
            found = below(item) if below is not None else LEAF
            if found or not there or below is None:
                result[element] = found
        return result

    return fields
