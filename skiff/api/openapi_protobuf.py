"""An OpenAPI v2 document as gnostic's protobuf message `openapi.v2.Document`, which is the only form kubectl asks for.

The messages are a table: JSON key → field number and how its value is written. Only what Kubernetes' documents hold is
in the table; other keys are ignored. Field numbers: google/gnostic-models openapiv2/OpenAPIv2.proto.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from skiff.api.protobuf.varint import delimited, varint

Value = Callable[[Any], bytes]
"""The content of a length-delimited field."""


def _text(value: Any) -> bytes:
    return str(value).encode()


def _any(value: Any) -> bytes:
    """gnostic's Any carries YAML; JSON is YAML."""
    return delimited(2, orjson.dumps(value))


def _named(key: str, content: bytes) -> bytes:
    return delimited(1, key.encode()) + delimited(2, content)


Field = Callable[[int, Any], bytes]


def _one(value: Value) -> Field:
    return lambda number, v: delimited(number, value(v))


def _many(value: Value) -> Field:
    return lambda number, v: b"".join(delimited(number, value(item)) for item in v)


def _flag(number: int, v: Any) -> bytes:
    return varint(number << 3) + (b"\1" if v else b"\0")


def _wrap(value: Value) -> Value:
    """A message whose only used field is number 1."""
    return lambda v: delimited(1, value(v))


def _entries(value: Value) -> Value:
    """A message of repeated named entries, field 1: gnostic's way to write a map."""
    return lambda v: b"".join(delimited(1, _named(k, value(item))) for k, item in v.items())


def message(table: Mapping[str, tuple[int, Field]], extensions: int) -> Value:
    """A writer for objects; keys that begin with "x-" go to the field `extensions`."""

    def write(obj: Mapping[str, Any]) -> bytes:
        parts = []
        for key, value in obj.items():
            if key.startswith("x-"):
                parts.append(delimited(extensions, _named(key, _any(value))))
            elif key in table:
                number, field = table[key]
                parts.append(field(number, value))
        return b"".join(parts)

    return write


def _later(name: str) -> Value:
    """A writer that is looked up when used: the messages are recursive."""
    return lambda v: MESSAGES[name](v)


def _types(value: Any) -> bytes:
    return b"".join(delimited(1, t.encode()) for t in ([value] if isinstance(value, str) else value))


def _additional(value: Any) -> bytes:
    return _flag(2, value) if isinstance(value, bool) else delimited(1, MESSAGES["schema"](value))


def _parameter_item(value: Mapping[str, Any]) -> bytes:
    """ParametersItem, holding a Parameter, holding a body or one of the others by its place."""
    place = value["in"]
    if place == "body":
        return delimited(1, delimited(1, MESSAGES["body"](value)))
    number, name = {"query": (3, "query"), "path": (4, "path"), "header": (1, "path")}[place]
    return delimited(1, delimited(2, delimited(number, MESSAGES[name](value))))


def _responses(value: Mapping[str, Any]) -> bytes:
    response = MESSAGES["response"]
    return b"".join(delimited(1, _named(code, delimited(1, response(r)))) for code, r in value.items())


_text_field = _one(_text)
_texts = _many(_text)
_schema = _later("schema")
_operation = _one(_later("operation"))

_SCHEMA: Mapping[str, tuple[int, Field]] = {
    "$ref": (1, _text_field),
    "format": (2, _text_field),
    "title": (3, _text_field),
    "description": (4, _text_field),
    "default": (5, _one(_any)),
    "pattern": (13, _text_field),
    "uniqueItems": (16, _flag),
    "required": (19, _texts),
    "enum": (20, _many(_any)),
    "additionalProperties": (21, _one(_additional)),
    "type": (22, _one(_types)),
    "items": (23, _one(_wrap(_schema))),
    "allOf": (24, _many(_schema)),
    "properties": (25, _one(_entries(_schema))),
    "readOnly": (27, _flag),
}

_COMMON = {
    "required": (1, _flag),
    "in": (2, _text_field),
    "description": (3, _text_field),
    "name": (4, _text_field),
}

_DOCUMENT_HEAD: Mapping[str, tuple[int, Field]] = {
    "swagger": (1, _text_field),
    "info": (2, _one(message({"title": (1, _text_field), "version": (2, _text_field)}, 7))),
}

MESSAGES: Mapping[str, Value] = {
    "schema": message(_SCHEMA, 31),
    "body": message(
        {
            "description": (1, _text_field),
            "name": (2, _text_field),
            "in": (3, _text_field),
            "required": (4, _flag),
            "schema": (5, _one(_schema)),
        },
        6,
    ),
    "query": message({**_COMMON, "type": (6, _text_field), "uniqueItems": (20, _flag)}, 23),
    "path": message({**_COMMON, "type": (5, _text_field), "uniqueItems": (19, _flag)}, 22),
    "response": message({"description": (1, _text_field), "schema": (2, _one(_wrap(_schema)))}, 5),
    "operation": message(
        {
            "tags": (1, _texts),
            "description": (3, _text_field),
            "operationId": (5, _text_field),
            "produces": (6, _texts),
            "consumes": (7, _texts),
            "parameters": (8, _many(_parameter_item)),
            "responses": (9, _one(_responses)),
            "schemes": (10, _texts),
        },
        13,
    ),
    "path_item": message(
        {
            "get": (2, _operation),
            "put": (3, _operation),
            "post": (4, _operation),
            "delete": (5, _operation),
            "patch": (8, _operation),
            "parameters": (9, _many(_parameter_item)),
        },
        10,
    ),
    "head": message(_DOCUMENT_HEAD, 16),
}


def encode(
    head: Mapping[str, Any],
    paths: Iterable[tuple[str, Mapping[str, Any]]],
    definitions: Iterable[tuple[str, Mapping[str, Any]]],
) -> bytes:
    """The whole Document. Paths and definitions are taken one by one, so that they need not exist at once."""
    path_item, schema = MESSAGES["path_item"], MESSAGES["schema"]
    all_paths = b"".join(delimited(2, _named(path, path_item(item))) for path, item in paths)
    all_definitions = b"".join(delimited(1, _named(name, schema(body))) for name, body in definitions)
    return MESSAGES["head"](head) + delimited(8, all_paths) + delimited(9, all_definitions)
