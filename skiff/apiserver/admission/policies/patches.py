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
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission.forms import Forms


class PatchError(Exception):
    """A patch that cannot be carried out."""


def patched(forms: Forms, gvr: GVR, subresource: str, obj: Obj, kind: str, made: Any) -> Obj:
    """An object as it is after a mutation, decoded and defaulted. gvr, subresource: what it is the body of. made: what the
    expression came to. Raises PatchError; StatusError for what the patch made unreadable."""
    if kind == "JSONPatch":
        changed = _operated(obj, made)
        return obj if changed is None else forms.read(_own(changed), gvr, subresource, strict=True)
    node = forms.node(gvr, subresource)
    if node is None:
        group, version, name = forms.kind(gvr, subresource)
        raise PatchError(f"{_UNFIT}: no corresponding type for {group}/{version}, Kind={name}")
    return forms.read(_own(_applied(obj, node, made)), gvr, subresource)


_UNFIT = "error applying patch: failed to convert patch object to typed object"


def _own(obj: Any) -> Any:
    return orjson.loads(orjson.dumps(obj))


def _applied(obj: Obj, node: SchemaNode, made: Message) -> Obj:
    _check_names(made)
    try:
        patch = to_json(made)
    except CelError as e:
        raise PatchError(f"invalid return type: {e}") from e
    patch |= {name: obj[name] for name in ("apiVersion", "kind") if name in obj}
    if problems := check(patch, node):
        why = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems)
        raise PatchError(f"{_UNFIT}: {why}")
    if atomic := list(_atomics(patch, node, "")):
        why = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise PatchError(f"error applying patch: invalid ApplyConfiguration: {why}")
    merged: Obj = merge(obj, patch, node)
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
