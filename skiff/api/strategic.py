"""Strategic merge patch: a merge patch that knows, from the schema, which lists are merged and by which key.

Directives: `$patch: replace|delete` in an object or list element, `$retainKeys`, `$setElementOrder/<list>`,
`$deleteFromPrimitiveList/<list>`. The order of a merged list follows $setElementOrder, then the patch, then what was
there. Neither argument is changed; the result shares parts with both, so copy it before changing it in place.
Source: apimachinery pkg/util/strategicpatch. Fields without a schema merge as objects and replace as lists.
"""

from collections.abc import Callable
from typing import Any

from skiff.api.errors import StatusError, bad_request
from skiff.api.patch import unprocessable, without_nulls
from skiff.api.schema import SchemaNode
from skiff.api.types import Obj

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder/"
DELETE_FROM = "$deleteFromPrimitiveList/"


def strategic_merge_patch(document: Obj, patch: Any, node: SchemaNode | None) -> Obj:
    """`node`: the schema of the document. Raises StatusError 400 or 422 in upstream's words."""
    if node is None:
        raise bad_request("strategic merge patch format is not supported")
    if patch is None:
        return document
    if not isinstance(patch, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(patch), "number")
        raise bad_request(f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")
    return _merge(document, patch, node)


# --- objects


def _merge(original: Obj, patch: Obj, node: SchemaNode | None) -> Obj:
    if DIRECTIVE in patch:
        return _directed(patch)
    result = original.copy()
    if RETAIN_KEYS in patch:
        _retain(result, patch)
    ordered = _merge_ordered_lists(result, patch, node) if any(k.startswith(SET_ORDER) for k in patch) else ()
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            name = key[len(DELETE_FROM) :]
            if isinstance(result.get(name), list):
                result[name] = _delete_scalars(result[name], value)
        elif not (key in ordered or key == RETAIN_KEYS or key.startswith(SET_ORDER)):
            _merge_field(result, key, value, _field(node, key))
    return result


def _directed(patch: Obj) -> Obj:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != DIRECTIVE}
    if directive == "delete":
        return {}
    raise _unknown_directive(directive, patch)


def _field(node: SchemaNode | None, key: str) -> SchemaNode | None:
    if node is None:
        return None
    return node.properties.get(key) if node.kind == "object" else node.values


def _strategy(node: SchemaNode | None) -> str:
    """merge, replace or "" (the kind's default); retainKeys goes beside them."""
    found = [s for s in (node.patch_strategy if node else ()) if s != "retainKeys"]
    return found[0] if found else ""


def _merge_field(result: Obj, key: str, value: Any, node: SchemaNode | None) -> None:
    if value is None:
        result.pop(key, None)
        return
    current = result.get(key)
    if isinstance(current, dict) and isinstance(value, dict):
        result[key] = value if _strategy(node) == "replace" else _merge(current, value, node)
    elif isinstance(current, list) and isinstance(value, list):
        result[key] = _merge_list(current, value, node) if _strategy(node) == "merge" else value
    else:
        fresh = _clean(without_nulls(value))
        if fresh is _DROPPED:
            result.pop(key, None)
        else:
            result[key] = fresh


_DROPPED = object()


def _clean(value: Any) -> Any:
    """A value that meets nothing to merge with: what carries $patch is dropped, other directives are taken out."""
    if isinstance(value, list):
        return [c for c in map(_clean, value) if c is not _DROPPED]
    if not isinstance(value, dict):
        return value
    if DIRECTIVE in value:
        return _DROPPED
    pairs = ((k, _clean(v)) for k, v in value.items() if not _is_directive(k))
    return {k: v for k, v in pairs if v is not _DROPPED}


def _is_directive(key: str) -> bool:
    return key.startswith("$") and (key == RETAIN_KEYS or key.startswith((SET_ORDER, DELETE_FROM)))


def _retain(result: Obj, patch: Obj) -> None:
    keys = patch[RETAIN_KEYS]
    if not isinstance(keys, list):
        raise bad_request("invalid patch format of retainKeys")
    for key, value in patch.items():
        if key not in keys and value is not None and not _is_directive(key):
            raise bad_request("invalid patch format of retainKeys")
    for key in [k for k in result if k not in keys]:
        del result[key]


# --- lists


def _merge_list(original: list[Any], patch: list[Any], node: SchemaNode | None) -> list[Any]:
    if not original and not patch:
        return original
    if _elements(original, patch) is not dict:
        merged = list(dict.fromkeys([*original, *patch]))
        return _order(merged, patch, original, _itself)
    key = node.patch_merge_key if node else ""
    if not key:
        raise bad_request("cannot merge lists without merge key")
    original, patch = _obey_elements(original, patch, key)
    merged = original.copy()
    positions = _positions(merged, key)
    for element in patch:
        at = positions.get(_key_of(element, key))
        if at is None:
            positions[element[key]] = len(merged)
            merged.append(_clean(without_nulls(element)))
        else:
            merged[at] = _merge(merged[at], element, node.items if node else None)
    return _order(merged, patch, original, lambda e: _key_of(e, key))


def _obey_elements(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Elements with $patch done and taken out: deletions from the original, or the whole original dropped."""
    plain, deleted, replace = [], set(), False
    for element in patch:
        directive = element.get(DIRECTIVE)
        if directive is None:
            plain.append(element)
        elif directive == "delete":
            deleted.add(_key_of(element, key))
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise bad_request("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(directive, element)
    if replace:
        return plain, []
    return [e for e in original if e.get(key) not in deleted] if deleted else original, plain


def _positions(elements: list[Any], key: str) -> dict[Any, int]:
    """Where each key stands first."""
    found: dict[Any, int] = {}
    for i, element in enumerate(elements):
        if (value := element.get(key)) is not None:
            found.setdefault(_hashable(value), i)
    return found


def _delete_scalars(current: list[Any], value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise bad_request("invalid patch format of primitive list")
    _elements(current, value)
    return [v for v in current if v not in value]


def _merge_ordered_lists(result: Obj, patch: Obj, node: SchemaNode | None) -> set[str]:
    """Merges every list that has a $setElementOrder, and puts it in that order. Returns the names that are done."""
    done = set()
    for directive, order in patch.items():
        if not directive.startswith(SET_ORDER):
            continue
        name = directive[len(SET_ORDER) :]
        field = _field(node, name)
        original, changes = result.get(name), patch.get(name)
        for value in (order, original or [], changes or []):
            if not isinstance(value, list):
                raise bad_request("invalid patch format of setElementOrder list")
        if original is None and changes is None:
            continue
        identity = _identity(field)
        _check_order(changes or [], order, identity)
        if changes is None:
            merged = original
        elif original is None:
            merged = _clean(without_nulls(changes))
        else:
            merged = _merge_list(original, changes, field) if _strategy(field) == "merge" else changes
        result[name] = _order(merged or [], order, original or [], identity)
        if name in patch and changes is not None:
            done.add(name)
    return done


def _check_order(patch: list[Any], order: list[Any], identity: Callable[[Any], Any]) -> None:
    """What the patch holds must stand in the order list, in the same order."""
    if not patch or not order:
        return
    rest = iter([identity(e) for e in order])
    for element in patch:
        if isinstance(element, dict) and DIRECTIVE in element:
            continue
        if identity(element) not in rest:  # consumes the order up to the match
            words = f"The order in patch list:\n{_go(patch)}\n doesn't match $setElementOrder list:\n{_go(order)}\n"
            raise bad_request(words)


# --- order


def _itself(element: Any) -> Any:
    return _hashable(element)


def _identity(node: SchemaNode | None) -> Callable[[Any], Any]:
    key = node.patch_merge_key if node else ""
    return (lambda e: _key_of(e, key)) if key else _itself


def _key_of(element: Any, key: str) -> Any:
    if not isinstance(element, dict):
        raise bad_request(f"expected a map[string]interface {{}}, but received a {_go_type(element)}")
    if key not in element:
        raise bad_request(f"map: {_go(element)} does not contain declared merge key: {key}")
    return _hashable(element[key])


def _hashable(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise bad_request(f"{_go(value)} is no merge key")
    return value


def _order(merged: list[Any], wanted: list[Any], before: list[Any], identity: Callable[[Any], Any]) -> list[Any]:
    """Elements named in `wanted` in its order; the others keep their old order among themselves and go before the
    first wanted element that they stood in front of."""
    rank = _ranks(wanted, identity)
    old = _ranks(before, identity)
    named = [e for e in merged if identity(e) in rank]
    others = [e for e in merged if identity(e) not in rank]
    named.sort(key=lambda e: rank[identity(e)])
    others.sort(key=lambda e: old.get(identity(e), len(old)))
    result: list[Any] = []
    waiting = iter(others)
    other = next(waiting, None)
    for element in named:
        place = old.get(identity(element))
        while other is not None and place is not None and old.get(identity(other), len(old)) < place:
            result.append(other)
            other = next(waiting, None)
        result.append(element)
    if other is not None:
        result.append(other)
    result.extend(waiting)
    return result


def _ranks(elements: list[Any], identity: Callable[[Any], Any]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for i, element in enumerate(elements):
        found.setdefault(identity(element), i)
    return found


# --- words


def _elements(*lists: list[Any]) -> type | None:
    """The one type of all elements. Lists of lists and mixed lists are refused."""
    types = {type(e) for elements in lists for e in elements}
    if list in types:
        raise unprocessable()
    if len(types) > 1:
        raise bad_request(f"list element types are not identical: {_go(list(lists))}")
    return types.pop() if types else None


def _unknown_directive(directive: Any, where: Obj) -> StatusError:
    return bad_request(f"unknown patch type: {_go(directive)} in map: {_go(where)}")


def _go(value: Any) -> str:
    """As Go's %v prints decoded JSON."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{_go(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_go, value)) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _go_type(value: Any) -> str:
    names = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}
    return names.get(type(value), "<nil>")
