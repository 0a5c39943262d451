"""What a CustomResourceDefinition's schema must look like: structural, with upstream's paths and words.

A schema arrives type-checked but for what lies below `items` and `additionalProperties`, which OpenAPI leaves open;
`tidy` checks and cleans those. Source: apiextensions-apiserver pkg/apis/apiextensions/validation, pkg/apiserver/schema.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from skiff.api import schema as schemas
from skiff.api.cel import definitions, validations
from skiff.api.decode import Checker, DecodeError
from skiff.api.errors import FieldError, forbidden_field, invalid, required
from skiff.api.structural import embedded, formats, patterns, values
from skiff.api.structural.node import META, Structural, prune
from skiff.api.types import Obj

Schema = Mapping[str, Any]
Errors = list[FieldError]

PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
TYPES = ("array", "boolean", "integer", "number", "object", "string")
MAX_DEPTH = 100
PRESERVE = "x-kubernetes-preserve-unknown-fields"
JUNCTORS = ("anyOf", "allOf", "oneOf")
UNSUPPORTED = ("id", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions")
INT_OR_STRING = ({"type": "integer"}, {"type": "string"})
ROOT_FIELDS = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength",
    "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties",
    "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
_ROOT_KEYWORDS = frozenset(
    [f[0].lower() + f[1:] for f in ROOT_FIELDS if not f.startswith("X")]
    + ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"]
)


# --- decoding


@cache
def _checker() -> Checker:
    return Checker(schemas.load().node(PROPS))


def tidy(schema: Any, depth: int = 0) -> str:
    """Removes unknown fields from all schemas below, in place. Returns why it cannot be read, "" if it can."""
    if depth > MAX_DEPTH:
        return "exceeded max depth"
    for _, child in _children(schema):
        if not isinstance(child, dict):
            return "json: cannot unmarshal into Go value of type v1.JSONSchemaProps"
        try:
            _checker().check(child)
        except DecodeError as e:
            return str(e)
        if problem := tidy(child, depth + 1):
            return problem
    return ""


def _children(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Every schema directly below one, with its path's last element."""
    for name, child in (schema.get("properties") or {}).items():
        yield f"properties[{name}]", child
    items = schema.get("items")
    if isinstance(items, list):
        for i, item in enumerate(items):
            yield f"items[{i}]", item
    elif items is not None:
        yield "items", items
    rest = schema.get("additionalProperties")
    if rest is not None and not isinstance(rest, bool):
        yield "additionalProperties", rest
    if schema.get("not") is not None:
        yield "not", schema["not"]
    for junctor in JUNCTORS:
        for i, child in enumerate(schema.get(junctor) or ()):
            yield f"{junctor}[{i}]", child


def unrecognized_formats(schema: Schema) -> Iterator[str]:
    """Formats that values will not be held against."""
    format = schema.get("format")
    if format and not formats.is_recognized(format, schema.get("type") or ""):
        yield format
    for _, child in _children(schema):
        yield from unrecognized_formats(child)


# --- the whole


def errors_of(schema: Obj, path: str, *, status: bool) -> Errors:
    """The mistakes of a version's schema at `path`. status: it has the status subresource."""
    if problem := tidy(schema):
        return [invalid(path, "", problem)]
    found = _root_errors(schema, path) if status else []
    if schema.get("nullable"):
        found.append(forbidden_field(f"{path}.nullable", "nullable cannot be true at the root"))
    unsupported = next((f"OpenAPIV3Schema '{k}' is not supported" for k in _unsupported(schema)), "")
    if schema.get(PRESERVE) is False:
        unsupported = f"{PRESERVE} must be true or undefined"
    if not unsupported and isinstance(schema.get("items"), list):
        unsupported = "OpenAPIV3Schema 'items' must be a schema, but is an array"
    wrong: Errors = []
    if not unsupported:
        wrong = structural_errors(schema, path) or default_errors(schema, path)
    odd = _walk(schema, path, _Place(root=True))
    found += wrong + odd
    if unsupported:
        return found or [invalid(path, "", unsupported)]
    return found if wrong else found + definitions.rule_errors(schema, path, [e.path for e in odd])


def _unsupported(schema: Schema) -> Iterator[str]:
    yield from (k for k in UNSUPPORTED if schema.get(k))
    for _, child in _children(schema):
        yield from _unsupported(child)


def _root_errors(schema: Schema, path: str) -> Errors:
    for keyword, value in schema.items():
        if keyword == "type":
            if value != "object":
                why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
                return [invalid(f"{path}.type", value, why)]
        elif keyword not in _ROOT_KEYWORDS and value not in (None, False, "", [], {}):
            listed = " ".join(ROOT_FIELDS)
            why = f"only [{listed}] fields are allowed at the root of the schema if the status subresource is enabled"
            return [invalid(path, schema, why)]
    return []


# --- structurality


def structural_errors(schema: Schema, path: str) -> Errors:
    """Sorted, as upstream gives them."""
    found: Errors = []
    _invariants(schema, "root", path, found)
    _complete(schema, schema, path, path, found)
    return sorted(found, key=str)


_EMPTY_TYPE = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def _invariants(schema: Schema, level: str, path: str, found: Errors) -> None:
    if schema.get("type") == "array" and schema.get("items") is None:
        found.append(required(f"{path}.items", "must be specified"))
    if isinstance(items := schema.get("items"), dict):
        _invariants(items, "item", f"{path}.items", found)
    for name, child in (schema.get("properties") or {}).items():
        _invariants(child, "field", f"{path}.properties[{name}]", found)
    if (rest := schema.get("additionalProperties")) is not None:
        if level == "root":
            found.append(forbidden_field(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(rest, dict):
            _invariants(rest, "field", f"{path}.additionalProperties", found)
    _extensions(schema, path, found)
    _value_validation(schema, path, found, *_int_or_string_exceptions(schema))
    _type_of(schema, level, path, found)
    if level == "root" or schema.get("x-kubernetes-embedded-resource"):
        _meta_types(schema, level, path, found)


def _int_or_string_exceptions(schema: Schema) -> tuple[bool, bool]:
    """Where the one allowed pattern with types in value validations stands: in anyOf, in the first allOf."""
    first: Schema = (schema.get("allOf") or ({},))[0]
    plain = tuple(schema.get("anyOf") or ()) == INT_OR_STRING
    return plain, tuple(first.get("anyOf") or ()) == INT_OR_STRING


def _extensions(schema: Schema, path: str, found: Errors) -> None:
    if not schema.get("x-kubernetes-int-or-string"):
        return
    for keyword in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
        if schema.get(keyword):
            found.append(invalid(f"{path}.{keyword}", True, "must be false if x-kubernetes-int-or-string is true"))


def _type_of(schema: Schema, level: str, path: str, found: Errors) -> None:
    type_, is_embedded = schema.get("type", ""), schema.get("x-kubernetes-embedded-resource")
    preserves = schema.get("x-kubernetes-preserve-unknown-fields")
    if is_embedded and type_ != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        found.append(invalid(f"{path}.type", type_, why) if type_ else required(f"{path}.type", why))
    elif not type_ and not schema.get("x-kubernetes-int-or-string") and not preserves:
        found.append(required(f"{path}.type", _EMPTY_TYPE[level]))
    if is_embedded and schema.get("additionalProperties") is not None:
        why = "must not be used if x-kubernetes-embedded-resource is set"
        found.append(forbidden_field(f"{path}.additionalProperties", why))
    if level == "root" and type_ and type_ != "object":
        found.append(invalid(f"{path}.type", type_, "must be object at the root"))
    if is_embedded and not preserves and not schema.get("properties"):
        why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        found.append(required(f"{path}.properties", why))


def _meta_types(schema: Schema, level: str, path: str, found: Errors) -> None:
    properties = schema.get("properties") or {}
    for name, type_ in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        if name in properties and properties[name].get("type", "") != type_:
            here = f"{path}.properties[{name}].type"
            found.append(invalid(here, properties[name].get("type", ""), f"must be {type_}"))
    if level == "root" and "metadata" in properties:
        meta = properties["metadata"]
        extra = {k for k, v in meta.items() if v not in (None, False, "", [], {}) and k not in ("type", "default")}
        if extra - {"properties"} or set(meta.get("properties") or ()) - {"name", "generateName"}:
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            found.append(forbidden_field(f"{path}.properties[metadata]", why))


def _value_validation(
    schema: Schema, path: str, found: Errors, skip_any: bool = False, skip_first: bool = False
) -> None:
    for junctor in JUNCTORS:
        for i, nested in enumerate(schema.get(junctor) or ()):
            if junctor == "anyOf" and skip_any:
                continue
            _nested(nested, f"{path}.{junctor}[{i}]", found, junctor == "allOf" and skip_first and i == 0)
    if schema.get("not") is not None:
        _nested(schema["not"], f"{path}.not", found)
    if (pattern := schema.get("pattern")) and (problem := patterns.is_valid(pattern)):
        why = f"must be a valid regular expression, but isn't: {problem}"
        found.append(invalid(f"{path}.pattern", pattern, why))


_FORBIDDEN = {
    "type": "must be empty to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}


def _nested(schema: Schema, path: str, found: Errors, skip_any: bool = False) -> None:
    _value_validation(schema, path, found, skip_any)
    if isinstance(items := schema.get("items"), dict):
        _nested(items, f"{path}.items", found)
    for name, child in (schema.get("properties") or {}).items():
        _nested(child, f"{path}.properties[{name}]", found)
    if schema.get("additionalProperties") not in (None, False):
        found.append(forbidden_field(f"{path}.additionalProperties", "must be undefined to be structural"))
    for keyword, why in _FORBIDDEN.items():
        if schema.get(keyword) not in (None, False, "", []):
            found.append(forbidden_field(f"{path}.{keyword}", why))
    if "metadata" in (schema.get("properties") or {}):
        why = "must not be specified in a nested context"
        found.append(forbidden_field(f"{path}.properties[metadata]", why))


def _complete(validation: Schema, schema: Schema | None, place: str, path: str, found: Errors) -> None:
    """Whatever a value validation names is named outside of it too."""
    nested = [(validation["not"], f"{path}.not")] if validation.get("not") is not None else []
    for junctor in JUNCTORS:
        nested += [(v, f"{path}.{junctor}[{i}]") for i, v in enumerate(validation.get(junctor) or ())]
    for child, below in nested:
        _complete_nested(child, schema, place, below, found)


def _complete_nested(validation: Schema, schema: Schema | None, place: str, path: str, found: Errors) -> None:
    if schema is None:
        found.append(required(place, f"because it is defined in {path}"))
        return
    _complete(validation, schema, place, path, found)
    if isinstance(items := validation.get("items"), dict):
        below = schema.get("items")
        _complete_nested(items, below if isinstance(below, dict) else None, f"{place}.items", f"{path}.items", found)
    for name, child in (validation.get("properties") or {}).items():
        below = (schema.get("properties") or {}).get(name)
        element = f"properties[{name}]"
        _complete_nested(child, below, f"{place}.{element}", f"{path}.{element}", found)


# --- defaults


def default_errors(schema: Schema, path: str) -> Errors:
    """Defaults are pruned and valid, and what stands in the metadata of embedded objects makes a valid one."""
    found: Errors = []
    _defaults(schema, path, found, _Whole(schema))
    return found


@dataclass(frozen=True)
class _Whole:
    """The embedded object (or the root) that a place of a schema is part of, and the steps from there to the place."""

    schema: Schema
    steps: tuple[str | int, ...] = ()

    def below(self, step: str | int) -> "_Whole":
        return _Whole(self.schema, (*self.steps, step))

    @property
    def in_meta(self) -> bool:
        return bool(self.steps) and self.steps[0] in META

    def around(self, value: Any) -> Obj:
        """A whole object with this value at the place."""
        for step in reversed(self.steps):
            value = [value] if isinstance(step, int) else {step: value}
        return {"kind": "Validation", "apiVersion": "validation/v1", **value}


def _defaults(schema: Schema, path: str, found: Errors, whole: _Whole) -> None:
    if schema.get("x-kubernetes-embedded-resource"):
        whole = _Whole(schema)
    default = schema.get("default")
    if default is not None:
        found += _default_of(schema, default, f"{path}.default", whole)
    if isinstance(items := schema.get("items"), dict):
        _defaults(items, f"{path}.items", found, whole.below(0))
    for name, child in (schema.get("properties") or {}).items():
        _defaults(child, f"{path}.properties[{name}]", found, whole.below(name))


def _default_of(schema: Schema, default: Any, path: str, whole: _Whole) -> Errors:
    is_whole = not whole.steps
    if whole.in_meta:
        if why := _metadata_of(whole.around(deepcopy(default)), whole.schema):
            return [invalid(path, default, f"must result in valid metadata: {why}")]
    else:
        node, value = Structural(schema, root=is_whole), deepcopy(default)
        if prune(value, node):
            return [invalid(path, default, "must not have unknown fields")]
        try:
            embedded.coerce(value, node, whole=is_whole)
        except embedded.MetadataError as e:
            return [_at(path, e.error)]
        if wrong := embedded.errors_of(value, node, whole=is_whole):
            return [_at(path, e) for e in wrong]
    if wrong := values.errors_of(schema, default):
        return [_at(path, e) for e in wrong]
    rules = validations.Validator.of(schema, root=is_whole)
    if rules is None:
        return []
    # As an update that changes nothing, then as a creation: some rules judge only one of them.
    return rules.validate(default, default, path=path, ratchet=False) or rules.validate(default, path=path)


def _metadata_of(obj: Obj, schema: Schema) -> str:
    """What is wrong with the type and metadata of an embedded object, "" if nothing."""
    node = Structural(schema)
    try:
        embedded.coerce(obj, node, whole=True)
    except embedded.MetadataError as e:
        return str(e)
    found = [str(e) for e in embedded.errors_of(obj, node, whole=True)]
    return f"[{', '.join(found)}]" if len(found) > 1 else "".join(found)


def _at(path: str, e: FieldError) -> FieldError:
    return FieldError(_below(path, e.path), e.type, e.value, e.detail)


def _below(path: str, relative: str) -> str:
    return path if relative == values.NO_PATH else f"{path}.{relative}"


# --- the rules of every schema, structural or not


class _Place:
    """What a place of the schema inherits. defaults: why there may be none; meta: inside of metadata."""

    __slots__ = ("defaults", "meta", "root")

    def __init__(self, *, root: bool = False, defaults: str = "", meta: bool = False) -> None:
        self.root, self.defaults, self.meta = root, defaults, meta


def _walk(schema: Schema, path: str, place: _Place) -> Errors:
    found = _standard(schema, path, place)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        found.append(forbidden_field(f"{path}.uniqueItems", why))
    rest = schema.get("additionalProperties")
    if schema.get("properties") and (rest is False or isinstance(rest, dict)):
        why = "additionalProperties and properties are mutual exclusive"
        found.append(forbidden_field(f"{path}.additionalProperties", why))
    below = _Place(defaults=place.defaults, meta=place.meta)
    for element, child in _children(schema):
        found += _walk(child, f"{path}.{element}", _place_of(schema, element, place, below))
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        here = f"{path}.x-kubernetes-preserve-unknown-fields"
        found.append(invalid(here, False, "must be true or undefined"))
    return (
        found
        + _map_type(schema, path)
        + _list_type(schema, path)
        + _map_keys(schema, path)
        + definitions.form_errors(schema, path)
    )


def _place_of(schema: Schema, element: str, place: _Place, below: _Place) -> _Place:
    name = element.removeprefix("properties[").removesuffix("]") if element.startswith("properties[") else ""
    if name in META and (place.root or schema.get("x-kubernetes-embedded-resource")):
        return _Place(defaults=f"in top-level {name}" if place.root else place.defaults, meta=True)
    if element == "additionalProperties" and place.meta:
        return _Place(defaults="inside additionalProperties applying to object metadata", meta=True)
    return below


def _standard(schema: Schema, path: str, place: _Place) -> Errors:
    found: Errors = []
    type_ = schema.get("type", "")
    if type_ and type_ not in TYPES:
        listed = ", ".join(f'"{t}"' for t in TYPES)
        found.append(FieldError(f"{path}.type", "FieldValueNotSupported", type_, f"supported values: {listed}"))
    if schema.get("default") is not None and place.defaults:
        found.append(forbidden_field(f"{path}.default", f"must not be set {place.defaults}"))
    for keyword in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        if schema.get(keyword) not in (None, "", {}):
            found.append(forbidden_field(f"{path}.{keyword}", f"{keyword} is not supported"))
    if type_ == "null":
        why = "type cannot be set to null, use nullable as an alternative"
        found.append(forbidden_field(f"{path}.type", why))
    if isinstance(schema.get("items"), list):
        found.append(forbidden_field(f"{path}.items", "items must be a schema object and not an array"))
    if place.meta and schema.get("x-kubernetes-embedded-resource"):
        why = "must not be used inside of resource meta"
        found.append(forbidden_field(f"{path}.x-kubernetes-embedded-resource", why))
    return found


def _needs_type(schema: Schema, path: str, type_: str, keyword: str) -> Errors:
    own, why = schema.get("type", ""), f"must be {type_} if {keyword} is specified"
    if schema.get(keyword) is None or own == type_:
        return []
    return [invalid(f"{path}.type", own, why) if own else required(f"{path}.type", why)]


def _one_of(value: Any, path: str, supported: tuple[str, ...]) -> Errors:
    if value is None or value in supported:
        return []
    listed = ", ".join(f'"{s}"' for s in supported)
    return [FieldError(path, "FieldValueNotSupported", value, f"supported values: {listed}")]


def _map_type(schema: Schema, path: str) -> Errors:
    keyword = "x-kubernetes-map-type"
    found = _needs_type(schema, path, "object", keyword)
    return found + _one_of(schema.get(keyword), f"{path}.{keyword}", ("atomic", "granular"))


def _list_type(schema: Schema, path: str) -> Errors:
    keyword = "x-kubernetes-list-type"
    kind, items = schema.get(keyword), schema.get("items")
    found = _needs_type(schema, path, "array", keyword)
    if not found and kind == "set" and isinstance(items, dict):
        why = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if items.get("type") == "array" and items.get(keyword, "atomic") != "atomic":
            found.append(invalid(f"{path}.items.{keyword}", items[keyword], why))
        if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
            found.append(invalid(f"{path}.items.x-kubernetes-map-type", items.get(keyword), why))
    found += _one_of(kind, f"{path}.{keyword}", ("atomic", "set", "map"))
    if kind in ("set", "map") and isinstance(items, dict) and items.get("nullable"):
        why = f"cannot be nullable when x-kubernetes-list-type is {kind}"
        found.append(forbidden_field(f"{path}.items.nullable", why))
    return found


def _map_keys(schema: Schema, path: str) -> Errors:
    found: Errors = []
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    items = schema.get("items")
    if keys and kind != "map":
        here, why = f"{path}.x-kubernetes-list-type", "must be map if x-kubernetes-list-map-keys is non-empty"
        found.append(invalid(here, kind, why) if kind else required(here, why))
    if kind != "map":
        return found
    if not keys:
        why = "must not be empty if x-kubernetes-list-type is map"
        found.append(required(f"{path}.x-kubernetes-list-map-keys", why))
    if items is None:
        found.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
    elif not isinstance(items, dict):
        why = "must only have a single schema if x-kubernetes-list-type is map"
        found.append(invalid(f"{path}.items", items, why))
    elif items.get("type") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        found.append(invalid(f"{path}.items.type", items.get("type", ""), why))
    else:
        _check_keys(items, keys, path, found)
    return found


def _check_keys(items: Schema, keys: list[str], path: str, found: Errors) -> None:
    seen: set[str] = set()
    here = f"{path}.x-kubernetes-list-map-keys"
    for key in keys:
        field = (items.get("properties") or {}).get(key)
        place = f"{path}.items.properties[{key}]"
        if field is None:
            found.append(invalid(here, keys, "entries must all be names of item properties"))
        elif field.get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            found.append(invalid(f"{place}.type", items.get("type"), why))
        if key in seen:
            found.append(invalid(here, keys, "must not contain duplicate entries"))
        seen.add(key)
        if field is None:
            continue
        if key not in (items.get("required") or ()) and field.get("default") is None:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            found.append(required(f"{place}.default", why))
        if field.get("nullable"):
            why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            found.append(forbidden_field(f"{place}.nullable", why))
