"""A structural schema as a tree of small nodes, made when first looked at, and what it does to an object when decoded.

`prune` removes fields that the schema does not name, `fill` drops nulls that are not allowed (or leaves them to be refused) and
sets defaults. Both work
in place and cost nothing below a place where there is nothing to do. Nodes are shared and never change.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

META = frozenset(("apiVersion", "kind", "metadata"))

Schema = Mapping[str, Any]
Trail = tuple[Any, ...] | None
"""A path as it is walked: (the rest, the last element), None at the root; an int is an index."""


class Structural:
    """preserve: unknown fields are kept. embedded: a whole object with apiVersion, kind and metadata. open: any key is
    allowed; `values` is the schema of its values, if there is one."""

    __slots__ = (
        "_below",
        "_children",
        "_items",
        "_values",
        "default",
        "embedded",
        "has_default",
        "nullable",
        "open",
        "preserve",
        "schema",
        "typed",
    )

    def __init__(self, schema: Schema, *, root: bool = False) -> None:
        self.schema = schema
        self.embedded: bool = root or bool(schema.get("x-kubernetes-embedded-resource"))
        self.preserve: bool = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.nullable: bool = bool(schema.get("nullable"))
        self.default: Any = schema.get("default")
        self.has_default: bool = self.default is not None
        self.typed: bool = bool(schema.get("type") or schema.get("x-kubernetes-int-or-string"))
        self.open: bool = schema.get("additionalProperties") is not None
        self._children: dict[str, Structural] = {}
        self._items: Structural | None = None
        self._values: Structural | None = None
        self._below: dict[str, bool] = {}

    def child(self, name: str) -> "Structural | None":
        """The schema of a named field."""
        found = self._children.get(name)
        if found is None:
            schema = (self.schema.get("properties") or {}).get(name)
            if schema is None:
                return None
            found = self._children[name] = Structural(schema)
        return found

    @property
    def names(self) -> Schema:
        return self.schema.get("properties") or {}

    @property
    def items(self) -> "Structural | None":
        schema = self.schema.get("items")
        if self._items is None and isinstance(schema, dict):
            self._items = Structural(schema)
        return self._items

    @property
    def values(self) -> "Structural | None":
        schema = self.schema.get("additionalProperties")
        if self._values is None and isinstance(schema, dict):
            self._values = Structural(schema)
        return self._values

    def of(self, key: str) -> "Structural | None":
        """The schema of a field, named or not."""
        return self.child(key) or self.values

    def below(self, keyword: str) -> bool:
        """Whether the keyword is used anywhere below this place, outside of value validations."""
        known = self._below.get(keyword)
        if known is None:
            parts = [*(self.child(name) for name in self.names), self.items, self.values]
            known = any(p is not None and (keyword in p.schema or p.below(keyword)) for p in parts)
            self._below[keyword] = known
        return known


def text(trail: Trail) -> str:
    """A path as upstream writes it: `spec.containers[0].name`."""
    parts: list[Any] = []
    while trail is not None:
        trail, last = trail
        parts.append(last)
    out = ""
    for part in reversed(parts):
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def path(trail: Trail) -> str:
    """The same for error messages, where keys of maps stand in brackets (they are kept as one-element lists)."""
    parts: list[Any] = []
    while trail is not None:
        trail, last = trail
        parts.append(last)
    out = ""
    for part in reversed(parts):
        if isinstance(part, list):
            out += f"[{part[0]}]"
        else:
            out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


# --- pruning


def prune(value: Any, node: Structural | None, trail: Trail = None) -> list[str]:
    """Removes what the schema does not name, in place. Returns the paths of what was removed, sorted."""
    found: list[str] = []
    _prune(value, node, trail, found)
    return sorted(found)


def _prune(value: Any, node: Structural | None, trail: Trail, found: list[str]) -> None:
    if node is not None and node.preserve:
        _prune_preserved(value, node, trail, found)
    elif isinstance(value, dict):
        _prune_object(value, node, trail, found)
    elif isinstance(value, list):
        items = node.items if node is not None else None
        for i, item in enumerate(value):
            if isinstance(item, (dict, list)):
                _prune(item, items, (trail, i), found)


def _prune_object(value: dict[str, Any], node: Structural | None, trail: Trail, found: list[str]) -> None:
    gone: list[str] = []
    for key, item in value.items():
        if node is not None and node.embedded and key in META:
            continue
        child = node.child(key) if node is not None else None
        if child is None and (node is None or not node.open):
            gone.append(key)
        elif isinstance(item, (dict, list)):
            _prune(item, child or (node.values if node is not None else None), (trail, key), found)
    for key in gone:
        del value[key]
        if key not in META or trail is not None:
            found.append(text((trail, key)))


def _prune_preserved(value: Any, node: Structural, trail: Trail, found: list[str]) -> None:
    """What the schema names below is pruned as it says; everything else stays."""
    if isinstance(value, dict):
        for key, item in value.items():
            if (node.embedded and key in META) or not isinstance(item, (dict, list)):
                continue
            child = node.child(key)
            if child is not None or node.open:
                _prune(item, child or node.values, (trail, key), found)
    elif isinstance(value, list) and node.items is not None:
        for i, item in enumerate(value):
            if node.items.preserve or isinstance(item, (dict, list)):
                _prune_preserved(item, node.items, (trail, i), found)


# --- nulls and defaults


def fill(value: Any, node: Structural | None, *, keep: bool = False) -> None:
    """Drops nulls where they are not allowed and sets defaults, in place. keep: a null that validation refuses stays."""
    if isinstance(value, dict):
        _fill_object(value, node, keep)
    elif isinstance(value, list):
        _fill_list(value, node, keep)


def _fill_object(value: dict[str, Any], node: Structural | None, keep: bool) -> None:
    if node is None:
        return
    if node.below("default"):
        for name in node.names:
            child = node.child(name)
            if child is not None and child.has_default and (name not in value or _is_null(value[name], child)):
                value[name] = _copy(child.default)
    gone = None
    for key, item in value.items():
        if item is None:
            child = node.of(key)
            if child is None or child.nullable:
                continue
            if child.has_default:
                value[key] = _copy(child.default)
            elif not (keep and child.typed):
                gone = [*gone, key] if gone else [key]
        elif isinstance(item, (dict, list)) and not (node.embedded and key == "metadata"):
            fill(item, node.of(key), keep=keep)
    for key in gone or ():
        del value[key]


def _fill_list(value: list[Any], node: Structural | None, keep: bool) -> None:
    items = node.items if node is not None else None
    if items is None:
        return
    for i, item in enumerate(value):
        if item is None:
            if not items.nullable and items.has_default:
                value[i] = _copy(items.default)
        elif isinstance(item, (dict, list)):
            fill(item, items, keep=keep)


def _is_null(value: Any, node: Structural) -> bool:
    return value is None and not node.nullable


def _copy(default: Any) -> Any:
    return deepcopy(default) if isinstance(default, (dict, list)) else default
