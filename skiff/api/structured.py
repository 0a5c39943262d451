"""Objects as a schema sees them: which fields they have, how two of them differ, how one merges into another.

The schema decides what is one field ("leaf": scalars, atomic lists, atomic maps) and what consists of fields (objects,
maps, lists of type map and set). Where there is no schema, objects consist of fields and lists are one. Pure functions;
nothing given is changed, results share parts with what was given. Source: structured-merge-diff, typed.

Upstream compares Go structs, in which some fields cannot be absent: a struct that is no pointer (`spec`, `strategy`) or
a required list exists, empty, from the beginning, so setting something in it does not create it. `exists` knows them.
"""

from collections.abc import Iterator
from typing import Any

from skiff.api.fieldset import LEAF, MEMBER, FieldSet, is_member, key_element, put, tree, value_element
from skiff.api.schema import SchemaNode
from skiff.api.structs import existing

Node = SchemaNode | None
"""None: no schema; anything goes."""

_OPAQUE = ("FieldsV1", "RawExtension")


# --- reading the schema


def child(node: Node, key: str) -> Node:
    """The schema of a field or of a map's value."""
    if node is None:
        return None
    if node.kind == "object":
        return node.properties.get(key)
    return node.values


def is_leaf(node: Node, value: Any) -> bool:
    """Whether the value is one field."""
    if isinstance(value, dict):
        if node is None:
            return False
        return node.map_type == "atomic" or node.definition.endswith(_OPAQUE)
    if isinstance(value, list):
        return node is None or node.kind != "array" or node.list_type == "atomic"
    return True


def element_of(node: SchemaNode, item: Any) -> str:
    """The path element of a list's item. A key that is null is a key. Raises ValueError for an item that has none."""
    if node.list_type == "set":
        if item is None:
            raise ValueError("associative list without keys has an element that's an explicit null")
        return value_element(item)
    if not isinstance(item, dict):
        raise ValueError(
            f"associative list with keys may not have {'non-map elements' if item is not None else 'a null element'}"
        )
    keys = {}
    for name in node.list_map_keys:
        if name in item:
            keys[name] = item[name]
        elif (value := _key_default(node, name)) is not None:
            keys[name] = value
    if not keys:
        names = " ".join(f'"{k}"' for k in node.list_map_keys)
        raise ValueError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return key_element(keys)


def _key_default(node: SchemaNode, name: str) -> Any:
    found = child(node.items, name)
    return found.default if found is not None else None


def indexed(node: SchemaNode, items: list[Any]) -> dict[str, list[Any]]:
    """A list's items by path element, in order; items without a key are left out."""
    found: dict[str, list[Any]] = {}
    for item in items:
        try:
            found.setdefault(element_of(node, item), []).append(item)
        except ValueError:
            continue
    return found


def exists(node: Node, key: str, field: Node) -> bool:
    """Whether the field of a built-in kind exists even when it is not set."""
    return node is not None and field is not None and key in existing(node.definition)


# --- the fields of an object


def field_set(value: Any, node: Node) -> FieldSet:
    """The fields that a configuration names, as apply takes ownership of them."""
    result: FieldSet = {}
    if isinstance(value, dict):
        for key, below in value.items():
            put(result, f"f:{key}", _field(below, child(node, key), _is_declared(node, key)))
    elif node is not None:
        for element, items in indexed(node, value).items():
            put(result, element, _field(items[0], node.items, False) if len(items) == 1 else LEAF)
    return result


def _is_declared(node: Node, key: str) -> bool:
    return node is not None and node.kind == "object" and key in node.properties


def _field(value: Any, node: Node, declared: bool) -> FieldSet | None:
    if value is None or value == {} or is_leaf(node, value):
        return LEAF
    return tree(field_set(value, node), not declared)


def whole(value: Any, node: Node) -> FieldSet:
    """The tree of a field that came or went with all that is in it."""
    if not value or is_leaf(node, value):
        return LEAF
    result: FieldSet = {MEMBER: LEAF}
    if isinstance(value, dict):
        for key, below in value.items():
            result[f"f:{key}"] = whole(below, child(node, key))
    elif node is not None:
        for element, items in indexed(node, value).items():
            result[element] = whole(items[0], node.items) if len(items) == 1 else LEAF
    return result


# --- comparing


class Comparison:
    """Three disjoint sets: what is only in the old object, what differs, what is only in the new one."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.removed: FieldSet = {}
        self.modified: FieldSet = {}
        self.added: FieldSet = {}


def compare(old: dict[str, Any], new: dict[str, Any], node: Node) -> Comparison:
    result = Comparison()
    _compare_maps(old, new, node, result)
    return result


def _compare_maps(old: dict[str, Any], new: dict[str, Any], node: Node, into: Comparison) -> None:
    for key, value in new.items():
        if key in old:
            before = old[key]
            if before is not value and before != value:
                _compare(before, value, child(node, key), f"f:{key}", into)
            continue
        field = child(node, key)
        if not exists(node, key, field):
            into.added[f"f:{key}"] = whole(value, field)
        elif value:
            _compare(type(value)(), value, field, f"f:{key}", into)
    for key, value in old.items():
        if key not in new:
            field = child(node, key)
            if not exists(node, key, field):
                into.removed[f"f:{key}"] = whole(value, field)
            elif value:
                _compare(value, type(value)(), field, f"f:{key}", into)


def _compare(old: Any, new: Any, node: Node, element: str, into: Comparison) -> None:
    """Two values that are both there and differ. A null is of no kind."""
    known = new if old is None else old
    below = Comparison()
    if old is not None and new is not None and type(new) is not type(old):  # what was inside of it has gone, too
        into.modified[element] = LEAF
        _compare_maps(_inside(old, node), _inside(new, node), node, below)
    elif is_leaf(node, known) or not (old or new):
        into.modified[element] = LEAF
    elif isinstance(known, dict):
        _compare_maps(old or {}, new or {}, node, below)
    elif node is not None:
        _compare_lists(old or [], new or [], node, below)
    if below.removed:
        into.removed[element] = below.removed
    if below.modified:
        into.modified[element] = below.modified
    if below.added:
        into.added[element] = below.added


def _inside(value: Any, node: Node) -> dict[str, Any]:
    return value if isinstance(value, dict) and not is_leaf(node, value) else {}


def _compare_lists(old: list[Any], new: list[Any], node: SchemaNode, into: Comparison) -> None:
    before, after = indexed(node, old), indexed(node, new)
    for element, items in after.items():
        found = before.get(element)
        if found is None:
            into.added[element] = whole(items[0], node.items) if len(items) == 1 else LEAF
        elif found != items:
            _compare_items(found, items, node, element, into)
    for element, items in before.items():
        if element not in after:
            into.removed[element] = whole(items[0], node.items) if len(items) == 1 else LEAF


def _compare_items(old: list[Any], new: list[Any], node: SchemaNode, element: str, into: Comparison) -> None:
    """Several items of one key are one field; they appear and disappear as such."""
    if len(old) == 1 and len(new) == 1:
        _compare(old[0], new[0], node.items, element, into)
    elif len(old) > 1 and len(new) > 1:
        into.modified[element] = LEAF
    elif len(old) > 1:
        into.added[element] = whole(new[0], node.items)
    else:
        into.removed[element] = whole(old[0], node.items)
        into.added[element] = LEAF


# --- merging


def merge(live: Any, config: Any, node: Node) -> Any:
    """The live value with the configuration's fields set. Null for a granular object or list keeps what is live."""
    if isinstance(live, dict) and isinstance(config, dict) and not is_leaf(node, live):
        result = live.copy()
        for key, value in config.items():
            result[key] = merge(live[key], value, child(node, key)) if key in live else value
        return result
    if isinstance(live, list) and isinstance(config, list) and node is not None and not is_leaf(node, live):
        return _merge_lists(live, config, node)
    if config is None and live and isinstance(live, (dict, list)) and not is_leaf(node, live):
        return live
    return config


def _merge_lists(live: list[Any], config: list[Any], node: SchemaNode) -> list[Any]:
    """The configuration's items in its order; the others keep their place among the shared ones."""
    left = [(element_of(node, item), item) for item in live]
    right = [(element_of(node, item), item) for item in config]
    before = indexed(node, live)
    wanted = {element for element, _ in right}
    shared = [element for element, _ in right if element in before]
    result: list[Any] = []
    done: set[str] = set()
    following = 0  # the index in `shared` of the next one to merge
    i = j = 0

    def take(position: int) -> None:
        nonlocal following
        element, item = right[position]
        found = before.get(element)
        result.append(merge(found[0], item, node.items) if found and len(found) == 1 else item)
        done.add(element)
        if following < len(shared) and shared[following] == element:
            following += 1

    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            element = left[i][0]
            if element == right[j][0]:
                take(j)
                i, j = i + 1, j + 1
                continue
            if element in wanted and following < len(shared) and shared[following] != element:
                i += 1
                continue
        if i < len(left):
            element, item = left[i]
            if element not in wanted:
                result.append(item)
                i += 1
                continue
            if element in done:
                i += 1
        if j < len(right):
            take(j)
            j += 1
    return result


# --- removing


def remove(value: Any, fields: FieldSet, node: Node) -> Any:
    """The value without the members of `fields`. Containers that lose all they had stay, empty."""
    if isinstance(value, dict) and not is_leaf(node, value):
        return dict(_kept_fields(value, fields, node))
    if isinstance(value, list) and node is not None and not is_leaf(node, value):
        return _kept_items(value, fields, node)
    return type(value)() if isinstance(value, (dict, list)) else value


def _kept_fields(value: dict[str, Any], fields: FieldSet, node: Node) -> Iterator[tuple[str, Any]]:
    for key, below in value.items():
        gone = fields.get(f"f:{key}")
        if gone is None:
            yield key, below
        elif not is_member(gone):
            yield key, remove(below, gone, child(node, key))


def _kept_items(value: list[Any], fields: FieldSet, node: SchemaNode) -> list[Any]:
    result = []
    for item in value:
        gone = fields.get(element_of(node, item))
        if gone is None:
            result.append(item)
        elif not is_member(gone):
            result.append(remove(item, gone, node.items))
    return result


def with_named_parents(fields: FieldSet, node: Node) -> FieldSet:
    """The set, and every declared field that has members below it."""
    result: FieldSet = {}
    for element, below in fields.items():
        if not below:
            result[element] = below
            continue
        name = element[2:]
        declared = element.startswith("f:") and _is_declared(node, name)
        if element.startswith("f:"):
            inner = child(node, name)
        else:
            inner = node.items if node is not None and element.startswith("k:") else None
        found = with_named_parents(below, inner)
        result[element] = {MEMBER: LEAF, **found} if declared and MEMBER not in found else found
    return result
