"""OpenAPI schemas as types: what a rule may name, how values are read, and how large they can become.

A Declaration is made for every node of a schema that expressions can see; a node they cannot see has none (a list without
items, unknown fields). Object types get names of their own, by which the checker finds their fields. Source: apiserver
pkg/cel/{types,limits}.go, pkg/cel/common/{schemas,valuesunstructured}.go.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skiff.api.cel import times, types
from skiff.api.cel.access import Field
from skiff.api.cel.errors import CelError
from skiff.api.cel.escaping import escape
from skiff.api.cel.operators import map_list, set_list, time_result
from skiff.api.cel.types import Type
from skiff.api.cel.values import Duration, Timestamp

Schema = Mapping[str, Any]
Convert = Callable[[Any], Any]

MAX_REQUEST_BYTES = 3 * 1024 * 1024
_MAX_STRING = MAX_REQUEST_BYTES - 2
_META = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
_ROOT = {"kind": {"type": "string"}, "apiVersion": {"type": "string"}, "metadata": _META}


@dataclass(slots=True)
class Declaration:
    """type: what the checker sees. max_elements: characters of a string, elements of a list or map. min_size: bytes of
    the shortest JSON. fields: of an object, by their names in expressions. convert: from JSON to a value; None: nothing
    to do."""

    type: Type
    min_size: int
    max_elements: int = 0
    fields: "dict[str, tuple[str, Declaration]] | None" = None
    key: "Declaration | None" = None
    element: "Declaration | None" = None
    convert: Convert | None = None
    names: "dict[str, Declaration]" = field(default_factory=dict)

    def child(self, name: str) -> "Declaration | None":
        """The declaration of a property, by its name in the object."""
        return self.names.get(name)


def declare(schema: Schema, *, root: bool = False, name: str = "self") -> Declaration | None:
    """root: an object of its own, with apiVersion, kind and metadata. name: what its type is called."""
    if schema.get("x-kubernetes-int-or-string"):
        limit = schema.get("maxLength")
        return Declaration(types.DYN, 1, 4 * max(limit, 0) if limit is not None else _MAX_STRING)
    match "object" if root else schema.get("type"):
        case "array":
            return _list(schema, name)
        case "object":
            values = schema.get("additionalProperties")
            if isinstance(values, Mapping) and not root:
                return _map(schema, values, name)
            return _object(schema, root, name)
        case "string":
            return _string(schema)
        case "boolean":
            return Declaration(types.BOOL, 4)
        case "number":
            return Declaration(types.DOUBLE, 1, convert=_double)
        case "integer":
            return Declaration(types.INT, 1)
    return None


def _below(schema: Schema, name: str) -> Declaration | None:
    return declare(schema, root=bool(schema.get("x-kubernetes-embedded-resource")), name=name)


def _list(schema: Schema, name: str) -> Declaration | None:
    items = schema.get("items")
    element = _below(items, f"{name}.@idx") if isinstance(items, Mapping) else None
    if element is None:
        return None
    limit = schema.get("maxItems")
    most = max(limit, 0) if limit is not None else _MAX_STRING // (element.min_size + 1)
    convert = _list_converter(schema, element.convert)
    return Declaration(types.list_of(element.type), 2, most, element=element, convert=convert)


def _list_converter(schema: Schema, element: Convert | None) -> Convert | None:
    make: Convert | None = None
    match schema.get("x-kubernetes-list-type"):
        case "set":
            make = set_list
        case "map":
            make = map_list(tuple(schema.get("x-kubernetes-list-map-keys") or ()))
    if element is None:
        return make
    if make is None:
        return lambda values: [element(v) for v in values]
    return lambda values: make([element(v) for v in values])


def _map(schema: Schema, values: Schema, name: str) -> Declaration | None:
    element = _below(values, f"{name}.@elem")
    if element is None:
        return None
    limit = schema.get("maxProperties")
    most = max(limit, 0) if limit is not None else _MAX_STRING // (element.min_size + 6)
    convert = element.convert
    to_map: Convert | None = None if convert is None else lambda m: {k: convert(v) for k, v in m.items()}
    key = Declaration(types.STRING, 2)
    return Declaration(types.map_of(types.STRING, element.type), 2, most, key=key, element=element, convert=to_map)


def _object(schema: Schema, root: bool, name: str) -> Declaration:
    properties: Schema = schema.get("properties") or {}
    if root:
        properties = {**properties, **_with_meta(properties)}
    required = frozenset(schema.get("required") or ())
    made = Declaration(types.object_type(name), 2, fields={})
    assert made.fields is not None
    for own, child in properties.items():
        escaped = escape(own)
        declared = _below(child, f"{name}.{escaped or own}")
        if declared is None:
            continue
        made.names[own] = declared
        if escaped is not None:
            made.fields[escaped] = (own, declared)
        if own in required and child.get("default") is None:
            made.min_size += len(own) + declared.min_size + 4
    return made


def _with_meta(properties: Schema) -> Schema:
    """What is always readable at the root of an object; of metadata only the names."""
    names = (properties.get("metadata") or {}).get("properties") or {}
    complete = all(
        (properties.get(key) or {}).get("type") == kind
        for key, kind in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object"))
    ) and all((names.get(key) or {}).get("type") == "string" for key in ("name", "generateName"))
    return {} if complete else _ROOT


def _string(schema: Schema) -> Declaration:
    limit, texts = schema.get("maxLength"), schema.get("enum") or ()
    match schema.get("format"):
        case "byte":
            return Declaration(types.BYTES, 2, max(limit, 0) if limit is not None else _MAX_STRING, convert=_bytes)
        case "duration":
            return Declaration(types.DURATION, 3, 32, convert=_duration)
        case "date":
            return Declaration(types.TIMESTAMP, 12, 12, convert=_date)
        case "date-time":
            return Declaration(types.TIMESTAMP, 21, 32, convert=_date_time)
    if limit is not None:
        return Declaration(types.STRING, 2, 4 * max(limit, 0))
    longest = max((len(t.encode()) for t in texts if isinstance(t, str)), default=0)
    return Declaration(types.STRING, 2, longest if texts else _MAX_STRING)


# --- values


def _double(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as e:
        raise CelError(f"Invalid byte formatted string {value}: {e}") from e


def _duration(value: str) -> Duration:
    found = times.parse_duration(value) or times.parse_long_duration(value)
    if found is None:
        raise CelError(f"Invalid duration {value}: unable to parse {value} as duration")
    return found


def _date(value: str) -> Timestamp:
    found = times.parse_timestamp(f"{value}T00:00:00Z")
    if found is None:
        raise CelError(f"Invalid date formatted string {value}")
    return time_result(found.ns)


def _date_time(value: str) -> Timestamp:
    found = times.parse_timestamp(value)
    if found is None:
        raise CelError(f"Invalid date-time formatted string {value}")
    return found


def objects(declaration: Declaration) -> dict[str, dict[str, Field]]:
    """The object types within a declaration, by name, as an Env wants them."""
    found: dict[str, dict[str, Field]] = {}
    waiting = [declaration]
    while waiting:
        at = waiting.pop()
        if at.element is not None:
            waiting.append(at.element)
        if at.fields is not None:
            fields = {name: Field(own, child.type, child.convert) for name, (own, child) in at.fields.items()}
            keywords = {field.name: field for name, field in fields.items() if name == f"__{field.name}__"}
            found[at.type.name] = fields | keywords  # self.namespace as well as self.__namespace__
            waiting += [child for _, child in at.fields.values()]
    return found
