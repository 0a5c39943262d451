"""What upstream's OpenAPI says about every built-in kind, as small nodes that are made when first looked at.

`Schemas.node(name)` gives the tree that strategic merge patch and server-side apply walk; `skiff.api.decode` compiles
the same tree into checkers. Nodes are shared and never change. A custom resource's schema becomes such a tree through
`SchemaNode(openapi)`.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

KEY_DEFAULTS: Mapping[tuple[str, str], Any] = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
}
"""Defaults of fields that are keys of a list; upstream's v2 definitions do not carry them."""

ANY_DEFINITIONS = ("JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")

Resolver = Callable[[str], "SchemaNode"]


class SchemaNode:
    """One place of a schema.

    kind:            "object" (named fields), "array", "map" (free keys), "scalar" or "any" (no schema below).
    type, format:    of a scalar, as in OpenAPI ("string"/"date-time", "integer"/"int32", ...; formats "quantity",
                     "int-or-string", "byte" too).
    properties:      fields of an object; items: of an array; values: of a map.
    list_type:       "atomic", "set" or "map" with list_map_keys; an array without one is atomic.
    map_type:        "granular" or "atomic", for objects and maps.
    patch_strategy, patch_merge_key: of strategic merge patch; "" and () mean replace.
    unknown:         fields that the schema does not name are kept.
    definition:      the definition's name when this node is one, "" inside of one.
    """

    __slots__ = (
        "_items",
        "_properties",
        "_resolve",
        "_schema",
        "_values",
        "default",
        "definition",
        "format",
        "kind",
        "list_map_keys",
        "list_type",
        "map_type",
        "patch_merge_key",
        "patch_strategy",
        "required",
        "type",
        "unknown",
    )

    def __init__(self, schema: Mapping[str, Any], *, resolve: Resolver | None = None, definition: str = "") -> None:
        target = resolve(schema["$ref"]) if resolve and "$ref" in schema else None
        body: Mapping[str, Any] = target._schema if target else schema
        strategy = schema.get("x-kubernetes-patch-strategy", "")
        self._schema: Mapping[str, Any] = body
        self._resolve = resolve
        self._properties: Mapping[str, SchemaNode] | None = None
        self._items: SchemaNode | None = None
        self._values: SchemaNode | None = None
        self.definition: str = target.definition if target else definition
        self.type: str = body.get("type", "")
        self.format: str = body.get("format", "")
        if body.get("x-kubernetes-int-or-string"):
            self.type, self.format = "string", "int-or-string"
        self.required: frozenset[str] = frozenset(body.get("required", ()))
        self.kind: str = _kind(body, self.type, self.definition)
        self.unknown: bool = bool(body.get("x-kubernetes-preserve-unknown-fields")) or self.kind == "any"
        self.list_type: str = schema.get("x-kubernetes-list-type", "atomic")
        self.list_map_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = schema.get("x-kubernetes-map-type", body.get("x-kubernetes-map-type", "granular"))
        self.patch_strategy: tuple[str, ...] = tuple(strategy.split(",")) if strategy else ()
        self.patch_merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")
        self.default: Any = schema.get("default", body.get("default"))

    @property
    def properties(self) -> Mapping[str, "SchemaNode"]:
        if self._properties is None:
            self._properties = {k: self._child(v, k) for k, v in self._schema.get("properties", {}).items()}
        return self._properties

    @property
    def items(self) -> "SchemaNode | None":
        if self._items is None and self.kind == "array" and isinstance(self._schema.get("items"), dict):
            self._items = self._child(self._schema["items"])
        return self._items

    @property
    def values(self) -> "SchemaNode | None":
        if self._values is None and self.kind == "map" and isinstance(self._schema.get("additionalProperties"), dict):
            self._values = self._child(self._schema["additionalProperties"])
        return self._values

    @property
    def go_type(self) -> str:
        """The type as upstream's decoder names it in messages: `v1.PodSpec`, `[]v1.Container`, `map[string]string`, `int32`."""
        if self.kind == "array":
            return "[]" + (self.items.go_type if self.items else "interface {}")
        if self.kind == "map":
            return "map[string]" + (self.values.go_type if self.values else "interface {}")
        if self.definition:
            return ".".join(self.definition.rsplit(".", 2)[-2:])
        return _GO_SCALARS.get(self.format) or _GO_SCALARS.get(self.type, "interface {}")

    def _child(self, schema: Mapping[str, Any], name: str = "") -> "SchemaNode":
        plain = len(schema) == 1 and "$ref" in schema
        if plain and self._resolve:
            return self._resolve(schema["$ref"])
        node = SchemaNode(schema, resolve=self._resolve)
        node.default = KEY_DEFAULTS.get((self.definition, name), node.default)
        return node


_GO_SCALARS = {
    "int32": "int32",
    "int64": "int64",
    "double": "float64",
    "byte": "[]uint8",
    "integer": "int64",
    "number": "float64",
    "string": "string",
    "boolean": "bool",
}


def _kind(body: Mapping[str, Any], type_: str, definition: str) -> str:
    if definition.rpartition(".")[2] in ANY_DEFINITIONS or not type_:
        return "object" if "properties" in body else "any"
    if type_ == "array":
        return "array"
    if type_ != "object":
        return "scalar"
    if "properties" in body:
        return "object"
    if isinstance(body.get("additionalProperties"), dict):
        return "map"
    return (
        "any" if definition.rpartition(".")[2] in ("FieldsV1", "RawExtension", "Patch") or not definition else "object"
    )


class Schemas:
    """The definitions by name (`io.k8s.api.core.v1.Pod`). `lines` is the content of schemas.jsonl."""

    def __init__(self, lines: bytes) -> None:
        self._lines = {line[2 : line.index(b'"', 2)].decode(): line for line in lines.splitlines()}
        self._nodes: dict[str, SchemaNode] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def names(self) -> list[str]:
        return list(self._lines)

    def openapi(self, name: str) -> dict[str, Any]:
        """The definition without prose, parsed anew. Raises KeyError."""
        definition: dict[str, Any] = orjson.loads(self._lines[name])[1]
        return definition

    def node(self, name: str) -> SchemaNode:
        """The root of a definition. Raises KeyError."""
        node = self._nodes.get(name)
        if node is None:
            node = SchemaNode(self.openapi(name), resolve=self.node, definition=name)
            self._nodes[name] = node
        return node


@cache
def load() -> Schemas:
    """The built-in definitions, read once per process."""
    return Schemas((Path(__file__).parent / "data" / "schemas.jsonl").read_bytes())
