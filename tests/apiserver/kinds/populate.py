"""Objects with every field set, made from the schemas; what a schema cannot say stands in `hints`.

A union (fields of which only one may be set) gives several variants of the object in which it stands; in a list it gives
one item per member instead. `everything(kind)` yields the variants of a kind, `leaves` names the fields of an object and
`fields` those of a schema, both as `spec.containers[].image`.
"""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from skiff.api.schema import SchemaNode, load
from skiff.api.types import Obj

from . import hints

Kind = tuple[str, str]
"""(apiVersion, kind)."""

FORMATS: dict[str, Any] = {
    "int32": 1,
    "int64": 1,
    "integer": 1,
    "double": 1.5,
    "number": 1.5,
    "quantity": "1",
    "int-or-string": 80,
    "date-time": "2026-11-21T06:00:00Z",
    "byte": "AAEC",
    "boolean": True,
}
ANY: Any = {"a": {"b": ["c", 1, True]}}


def everything(kind: Kind, definition: str) -> Iterator[Obj]:
    """All variants of a kind, status included."""
    node = load().node(definition)
    special = hints.VARIANTS.get(kind, [{}])
    for i in range(max(_variants(node, ()), len(special))):
        obj = _value(node, kind[1], i, 0, ())
        obj |= {"apiVersion": kind[0], "kind": kind[1]}
        for name in hints.SYSTEM_METADATA:
            obj["metadata"].pop(name, None)
        for path, value in (hints.KINDS.get(kind, {}) | special[i % len(special)]).items():
            put(obj, path, value)
        yield obj


def put(obj: Obj, path: str, value: Any) -> None:
    """Sets or (DROP) removes a field; `[]` in the path means every item, `[2]` one."""
    _put(obj, path.split("."), value)


def _put(here: Any, parts: list[str], value: Any) -> None:
    name, in_list, index = parts[0].partition("[")
    if name not in here and (value is hints.DROP or len(parts) > 1):
        return
    if in_list:
        at = index.removesuffix("]")
        if len(parts) == 1:
            del here[name][int(at)]
            return
        for i, item in enumerate(here[name]):
            if not at or i == int(at):
                _put(item, parts[1:], value)
    elif len(parts) > 1:
        _put(here[name], parts[1:], value)
    elif value is hints.DROP:
        del here[name]
    else:
        here[name] = copy.deepcopy(value)


def _short(node: SchemaNode) -> str:
    return node.definition.rpartition(".")[2]


def _long(node: SchemaNode) -> str:
    """With the group, where two groups have definitions of one name: `rbac.Subject`."""
    return ".".join(node.definition.split(".")[-3::2])


def _hints(table: dict[str, Any], node: SchemaNode, default: Any) -> Any:
    return table.get(_long(node), table.get(_short(node), default))


def _members(node: SchemaNode) -> list[tuple[tuple[str, ...], Obj]]:
    """A union's members: the fields of each, and values that go with it."""
    union = _hints(hints.UNIONS, node, {})
    return [(tuple(name.split(",")), extra) for name, extra in union.items()]


@cache
def _variants(node: SchemaNode, above: tuple[str, ...]) -> int:
    """How many objects it takes to show every member of every union, lists aside."""
    if node.kind == "map" and node.values is not None:
        return _variants(node.values, above)
    if node.kind != "object" or node.definition in above:
        return 1
    above = (*above, node.definition) if node.definition else above
    members = _members(node)
    inside = {f for fields, extra in members for f in (*fields, *extra)}
    plain = [_variants(c, above) for f, c in node.properties.items() if f not in inside]
    of_members = [_member_variants(node, fields, above) for fields, _ in members]
    return max([1, len(_hints(hints.AFTER, node, ())), sum(of_members), *plain])


def _member_variants(node: SchemaNode, fields: tuple[str, ...], above: tuple[str, ...]) -> int:
    return max(_variants(node.properties[f], above) for f in fields if f) if fields != ("",) else 1


def _value(node: SchemaNode, path: str, choice: int, item: int, above: tuple[str, ...]) -> Any:
    """choice: the variant, item: the index in the innermost list, which keeps names apart."""
    if node.kind == "object":
        return _object(node, path, choice, item, above)
    if node.kind == "array" and node.items is not None:
        count = _variants(node.items, above) if node.items.kind == "object" else 2
        return [_value(node.items, path, i, i, above) for i in range(count)]
    if node.kind == "map" and node.values is not None:
        return {"a.example/k": _value(node.values, path, choice, 0, above)}
    if node.kind == "any":
        return copy.deepcopy(ANY)
    if _short(node) == "MicroTime":
        return "2026-11-21T06:00:00.000001Z"
    default = FORMATS.get(node.format, FORMATS.get(node.type))
    if node.format in ("int32", "int64") or node.type == "integer":
        return default + item
    return default if default is not None else _text(path.rpartition(".")[2], item)


def _text(field: str, item: int) -> str:
    name = "".join("-" + c.lower() if c.isupper() else c for c in field if c.isalnum()).strip("-")
    return f"{name}-{item}" if item else name


def _object(node: SchemaNode, path: str, choice: int, item: int, above: tuple[str, ...]) -> Obj:
    long, short = _long(node), _short(node)
    above = (*above, node.definition) if node.definition else above
    chosen, extra, inner, members = _choose(node, choice, above)
    made: Obj = {}
    for name, child in node.properties.items():
        if (members and name in members and name not in chosen) or _inner(child).definition in above:
            continue
        hint = next((hints.FIELDS[k] for k in (f"{long}.{name}", f"{short}.{name}", name) if k in hints.FIELDS), None)
        if isinstance(hint, tuple):
            hint = hint[item % len(hint)]
        if hint is hints.DROP:
            continue
        if hint is not None:
            made[name] = copy.deepcopy(hint)
        else:
            made[name] = _value(child, f"{path}.{name}", inner if name in chosen else choice, item, above)
    for name, value in extra.items():
        if value is hints.DROP:
            made.pop(name, None)
        else:
            made[name] = copy.deepcopy(value)
    special = _hints(hints.AFTER, node, ())
    if special:
        for where, value in special[choice % len(special)].items():
            put(made, where, value)
    return made


def _inner(node: SchemaNode) -> SchemaNode:
    return node.items or node.values or node


def _choose(node: SchemaNode, choice: int, above: tuple[str, ...]) -> tuple[tuple[str, ...], Obj, int, set[str]]:
    """The chosen member's fields, what goes with it, the variant inside of it, and the fields of all members."""
    members = _members(node)
    if not members:
        return (), {}, choice, set()
    every = {f for fields, _ in members for f in fields}
    sizes = [_member_variants(node, fields, above) for fields, _ in members]
    choice %= sum(sizes)
    for (fields, extra), size in zip(members, sizes, strict=True):
        if choice < size:
            return fields, extra, choice, every
        choice -= size
    raise AssertionError("unreachable")


def fields(node: SchemaNode, path: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every leaf of a schema. A definition inside of itself has none of its own."""
    if node.definition and node.definition in above:
        return
    above = (*above, node.definition) if node.definition else above
    if node.kind == "object" and node.properties:
        for name, child in node.properties.items():
            yield from fields(child, f"{path}.{name}" if path else name, above)
    elif _element(node) is not None:
        yield from fields(_element(node), path + ("[]" if node.items else "{}"), above)
    else:
        yield path


def leaves(value: Any, node: SchemaNode, path: str = "", above: dict[str, str] | None = None) -> Iterator[str]:
    """Those leaves of a schema that a value has; what a definition has inside of itself counts where it first stands."""
    above = dict(above or {})
    if node.definition:
        path = above.setdefault(node.definition, path)
    if node.kind == "object" and node.properties:
        for name, child in node.properties.items():
            if isinstance(value, dict) and name in value:
                yield from leaves(value[name], child, f"{path}.{name}" if path else name, above)
    elif node.items is not None:
        for item in value or ():
            yield from leaves(item, node.items, path + "[]", above)
    elif node.values is not None:
        for item in (value or {}).values():
            yield from leaves(item, node.values, path + "{}", above)
    else:
        yield path


def _element(node: SchemaNode) -> Any:
    return node.items or node.values
