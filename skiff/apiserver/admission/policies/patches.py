"""What a mutation makes of an object: apply configurations are merged in, JSON patches carried out.

Source: apiserver pkg/admission/plugin/policy/mutating/patch.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from skiff.api.cel.errors import CelError
from skiff.api.cel.messages import misnamed, to_json
from skiff.api.cel.values import Message
from skiff.api.fit import check
from skiff.api.patch import DoesNotApply, apply_operations
from skiff.api.schema import SchemaNode
from skiff.api.structured import child, is_leaf, merge
from skiff.api.types import Obj
from skiff.apiserver.admission.versions import View, decode, node_of
from skiff.apiserver.registry import Registry


class PatchError(Exception):
    """A patch that cannot be carried out."""


def patched(registry: Registry, shown: View, kind: str, made: Any) -> Obj:
    """The object of a view as it is after a mutation, decoded and defaulted. made: what the expression came to. Raises
    PatchError; StatusError for what the patch made unreadable."""
    assert shown.obj is not None
    if kind == "JSONPatch":
        changed = _operated(shown.obj, made)
        return shown.obj if changed is None else decode(registry, shown, _own(changed), validation="Strict")
    return decode(registry, shown, _own(_applied(shown, node_of(registry, shown), made)))


def _own(obj: Any) -> Any:
    return orjson.loads(orjson.dumps(obj))


def _applied(shown: View, node: SchemaNode | None, made: Message) -> Obj:
    _check_names(made)
    assert shown.obj is not None
    try:
        patch = to_json(made)
    except CelError as e:
        raise PatchError(f"invalid return type: {e}") from e
    if node is None or not shown.has_type:
        why = f"no corresponding type for {shown.kind}"
        raise PatchError(f"error applying patch: failed to convert patch object to typed object: {why}")
    patch |= {name: shown.obj[name] for name in ("apiVersion", "kind") if name in shown.obj}
    if problems := check(patch, node):
        why = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems)
        raise PatchError(f"error applying patch: failed to convert patch object to typed object: {why}")
    if atomic := list(_atomics(patch, node, "")):
        why = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise PatchError(f"error applying patch: invalid ApplyConfiguration: {why}")
    merged: Obj = merge(shown.obj, patch, node)
    return merged


def _check_names(made: Message) -> None:
    if wrong := misnamed(made, made.name):
        raise PatchError("type mismatch: " + "\n".join(wrong))


def _atomics(value: Any, node: SchemaNode | None, path: str) -> Iterator[str]:
    """Where a configuration would replace something whole, which can remove what it does not name."""
    if isinstance(value, (dict, list)) and is_leaf(node, value):
        yield path
    if isinstance(value, dict) and node is not None and node.kind == "object":
        for name, below in value.items():
            if name in node.properties:
                yield from _atomics(below, child(node, name), f"{path}.{name}")
    elif isinstance(value, list) and node is not None and node.kind == "array":
        for i, below in enumerate(value):
            yield from _atomics(below, node.items, f"{path}[{i}]")


def _operated(obj: Obj, made: list[Any]) -> Any:
    """None: a test of the patch failed, so nothing of it counts."""
    try:
        return apply_operations(obj, [_operation(one) for one in made])
    except DoesNotApply as e:
        if str(e).endswith("test failed"):
            return None
        raise PatchError(f"JSON Patch: {e}") from e


def _operation(made: Message) -> Obj:
    fields = made.fields
    operation = {"op": fields.get("op", ""), "path": fields.get("path", "")}
    if fields.get("from"):
        operation["from"] = fields["from"]
    if "value" in fields:
        value = fields["value"]
        if isinstance(value, Message):
            _check_names(value)
        try:
            operation["value"] = to_json(value)
        except CelError as e:
            raise PatchError(f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {e}") from e
    return operation
