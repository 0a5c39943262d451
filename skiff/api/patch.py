"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386), answering mistakes as upstream's API server does.

Neither function changes its arguments; the result shares unchanged parts with them, so copy it before changing it in
place. Upstream reports no detail of a JSON patch that does not apply (422); we keep its words. Some of its library's
leniency is part of the API: `replace` of a missing field adds it, negative indices count from the end, a missing field
tests equal to null. Strategic merge patch is in strategic.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from skiff.api.errors import StatusError, bad_request, request_too_large, status_error
from skiff.api.types import Obj

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024


class DoesNotApply(Exception):
    """The patch is well-formed but not for this document. The message is that of upstream's library."""


class _NoParent(Exception):
    """There is nothing that the last step of a pointer could be in."""


class _Wrong(Exception):
    """What the last step of a pointer cannot be."""


def unprocessable() -> StatusError:
    """What upstream answers to every patch that does not apply."""
    return status_error(422, "Invalid", "the server rejected our request due to an error in our request", {})


# --- JSON patch


def json_patch(document: Obj, operations: Any) -> Obj:
    """Raises StatusError: 400 for a malformed patch, 413 for too many operations, 422 if it does not apply."""
    _check_shape(operations)
    try:
        root = apply_operations(document, operations)
    except DoesNotApply:
        raise unprocessable() from None
    if not isinstance(root, dict):
        raise unprocessable()
    return root


def apply_operations(document: Obj, operations: Sequence[Mapping[str, Any]]) -> Any:
    """What becomes of the document. Raises DoesNotApply."""
    root: Any = document
    copied = 0
    for op in operations:
        if op.get("op") == "copy":
            copied += len(orjson.dumps(_value(root, op, "copy", "from", "for from")))
            if copied > MAX_COPIED_BYTES:
                raise DoesNotApply(
                    f"Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the "
                    f"limit {MAX_COPIED_BYTES}"
                )
        root = _apply(root, op)
    return root


def _check_shape(operations: Any) -> None:
    if not isinstance(operations, list):
        raise _undecodable(operations, "Go value of type []handlers.jsonPatchOp")
    if len(operations) > MAX_OPERATIONS:
        raise request_too_large(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    for i, op in enumerate(operations):
        if op is None:
            raise unprocessable()
        if not isinstance(op, dict):
            raise _undecodable(op, "Go value of type handlers.jsonPatchOp")
        for field in ("op", "path", "from"):
            if op.get(field) is not None and not isinstance(op[field], str):
                raise _undecodable(op[field], f"Go struct field jsonPatchOp.{i}.{field} of type string")


_JSON_TYPES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def _undecodable(value: Any, target: str) -> StatusError:
    found = _JSON_TYPES.get(type(value), "null")
    return bad_request(f"error decoding patch: json: cannot unmarshal {found} into {target}")


def _apply(root: Any, op: Mapping[str, Any]) -> Any:
    kind = op.get("op") or ""
    if kind == "move":
        value = _value(root, op, kind, "from", "for path")
        root = _changed(root, op, kind, "from", _remove)
        return _changed(root, op, kind, "path", _add, value)
    if kind == "copy":
        return _changed(root, op, kind, "path", _add, _value(root, op, kind, "from", "for from"))
    if kind == "test":
        found = root if op.get("path") == "" else _value(root, op, kind, "path", "for path")
        if not _equal(found, op.get("value")):
            raise DoesNotApply(f"testing value {op['path']} failed: test failed")
        return root
    if kind == "replace" and op.get("path") == "":
        if not isinstance(op.get("value"), (dict, list)):
            raise DoesNotApply("replace operation value must be object or array: %!w(<nil>)")
        return op["value"]
    change = {"add": _add, "remove": _remove, "replace": _set}.get(kind)
    if change is None:
        raise DoesNotApply(f"Unexpected kind: {kind or 'unknown'}")
    return _changed(root, op, kind, "path", change, op.get("value"))


_MISSING: Mapping[tuple[str, str], str] = {
    ("add", "path"): 'doc is missing path: "{}"',
    ("remove", "path"): 'doc is missing path: "{}"',
    ("replace", "path"): "doc is missing path: {}",
    ("test", "path"): "is missing path: {}",
    ("move", "from"): "doc is missing from path: {}",
    ("copy", "from"): "doc is missing from path: {}",
    ("move", "path"): "doc is missing destination path: {}",
    ("copy", "path"): "doc is missing destination path: {}",
}


def _pointer(op: Mapping[str, Any], kind: str, field: str) -> str:
    pointer = op.get(field)
    if pointer is None:
        what = "operation, missing from field: " if field == "from" else "operation missing path field: "
        what = "" if kind in ("add", "remove") else what
        raise DoesNotApply(f"{kind} operation failed to decode {field}: {what}missing value")
    return str(pointer)


def _value(root: Any, op: Mapping[str, Any], kind: str, field: str, where: str) -> Any:
    """What stands there. Raises DoesNotApply."""
    pointer = _pointer(op, kind, field)
    try:
        return _get(root, _tokens(pointer))
    except _NoParent:
        raise _missing(kind, field, pointer) from None
    except _Wrong as e:
        place = _tokens(pointer)[-1] if kind == "move" else pointer
        raise DoesNotApply(f"error in {kind} {where}: '{place}': {e}") from None


def _changed(root: Any, op: Mapping[str, Any], kind: str, field: str, change: Any, value: Any = None) -> Any:
    """A copy along the path, with `change` done at its end. Raises DoesNotApply."""
    pointer = _pointer(op, kind, field)
    try:
        return _change(root, _tokens(pointer), change, value)
    except _NoParent:
        raise _missing(kind, field, pointer) from None
    except _Wrong as e:
        if kind == "replace":
            raise DoesNotApply(f"replace operation does not apply: doc is missing key: {pointer}: missing value") from e
        place = _tokens(pointer)[-1] if field == "from" else pointer
        where = "error while adding value during copy" if kind == "copy" else f"error in {kind} for path: '{place}'"
        raise DoesNotApply(f"{where}: {e}") from None


def _missing(kind: str, field: str, pointer: str) -> DoesNotApply:
    return DoesNotApply(f"{kind} operation does not apply: {_MISSING[kind, field].format(pointer)}: missing value")


def _tokens(pointer: str) -> list[str]:
    """The decoded steps of a JSON pointer (RFC 6901); there is at least one."""
    if "/" not in pointer:
        raise _NoParent
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]


def _get(container: Any, tokens: list[str]) -> Any:
    """The value there; a missing last field is null."""
    for token in tokens[:-1]:
        container = _step(container, token)
    if isinstance(container, dict):
        return container.get(tokens[-1])
    if isinstance(container, list):
        return container[_index(tokens[-1], len(container))]
    raise _NoParent


def _step(container: Any, token: str) -> Any:
    if isinstance(container, dict) and token in container:
        return container[token]
    if isinstance(container, list):
        try:
            return container[_index(token, len(container))]
        except _Wrong:
            raise _NoParent from None
    raise _NoParent


def _index(token: str, length: int) -> int:
    """A position in a list of that length; negative ones count from the end."""
    digits = token[1:] if token[:1] in ("-", "+") else token
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 9:
        raise _Wrong(f'strconv.Atoi: parsing "{token}": invalid syntax')
    i = int(token)
    if not -length <= i < length:
        raise _Wrong(f"Unable to access invalid index: {i}: invalid index referenced")
    return i % length


def _change(container: Any, tokens: list[str], change: Any, value: Any = None) -> Any:
    """A copy along the path, with `change` done to the innermost container."""
    if not isinstance(container, (dict, list)):
        raise _NoParent
    container = container.copy()
    if len(tokens) == 1:
        change(container, tokens[0], value)
    else:
        child = _change(_step(container, tokens[0]), tokens[1:], change, value)
        _set(container, tokens[0], child)
    return container


def _add(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(key, len(container) + 1), value)


def _set(container: Any, key: str, value: Any) -> None:
    if isinstance(container, dict):
        container[key] = value
    else:
        container[_index(key, len(container))] = value


def _remove(container: Any, key: str, value: Any) -> None:
    if isinstance(container, list):
        del container[_index(key, len(container))]
    elif key in container:
        del container[key]
    else:
        raise _Wrong(f"Unable to remove nonexistent key: {key}: missing value")


def _equal(a: Any, b: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(type(a) is type(b) and a == b)


# --- merge patch


def merge_patch(document: Obj, patch: Any) -> Obj:
    """Null deletes, objects merge, everything else replaces. Raises StatusError 400 for a patch that is no object."""
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise _undecodable(patch, "Go value of type map[string]interface {}")
    return _merge(document, patch)


def _merge(document: Obj, patch: Obj) -> Obj:
    result = document.copy()
    for key, value in patch.items():
        current = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(current, dict):
            result[key] = _merge(current, value) if isinstance(value, dict) else value
        else:
            result[key] = without_nulls(value)
    return result


def without_nulls(value: Any) -> Any:
    """Fields that are null left out, also below lists."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value
