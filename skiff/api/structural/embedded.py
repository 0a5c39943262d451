"""Whole objects inside of custom resources (x-kubernetes-embedded-resource): their apiVersion, kind and metadata.

Source: apiextensions-apiserver pkg/apiserver/schema/objectmeta.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from skiff.api import names, schema
from skiff.api.decode import Checker, DecodeError
from skiff.api.errors import FieldError, invalid, required
from skiff.api.metachecks import embedded_errors
from skiff.api.structural.node import Structural, Trail, path, text

KEYWORD = "x-kubernetes-embedded-resource"
METADATA = {"$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
TYPED = {name: {"type": "string"} for name in ("apiVersion", "kind")}


class MetadataError(DecodeError):
    """An embedded object whose type or metadata cannot be read."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(str(error))
        self.error = error


def published(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a schema in which embedded objects have the fields that every object has."""
    out = dict(schema)
    if "properties" in out:
        out["properties"] = {name: published(below) for name, below in out["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(out.get(keyword), dict):
            out[keyword] = published(out[keyword])
    if out.get(KEYWORD):
        out["properties"] = {**out.get("properties", {}), **TYPED, "metadata": METADATA}
        out["required"] = list(dict.fromkeys([*out.get("required", ()), "kind", "apiVersion"]))
    return out


@cache
def _metadata() -> Checker:
    return Checker(schema.load().node(METADATA["$ref"]))


def clean_metadata(obj: dict[str, Any], where: str = "") -> list[str]:
    """Checks an object's metadata in place; the paths of unknown fields in it. Raises DecodeError."""
    meta = obj.get("metadata")
    if meta is None:
        return []
    obj["metadata"], unknown = _metadata().check(meta)
    prefix = f"{where}.metadata" if where else "metadata"
    return [f"{prefix}.{sentence.removeprefix('unknown field ')[1:-1]}" for sentence in unknown]


def coerce(value: Any, node: Structural | None, *, lenient: bool = False, whole: bool = False) -> list[str]:
    """Checks the type and metadata of embedded objects, in place; the paths of unknown fields. whole: `value` itself is
    such an object. lenient: drops what is malformed instead of raising MetadataError."""
    found: list[str] = []
    if whole and isinstance(value, dict):
        _coerce_object(value, None, lenient, found)
    _coerce(value, node, None, lenient, found)
    return found


def _coerce(value: Any, node: Structural | None, trail: Trail, lenient: bool, found: list[str]) -> None:
    if node is None or not (node.below(KEYWORD) or KEYWORD in node.schema):
        return
    if isinstance(value, dict):
        if node.embedded and trail is not None:
            _coerce_object(value, trail, lenient, found)
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                _coerce(item, node.of(key), (trail, key), lenient, found)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _coerce(item, node.items, (trail, i), lenient, found)


def _coerce_object(value: dict[str, Any], trail: Trail, lenient: bool, found: list[str]) -> None:
    for name in ("apiVersion", "kind"):
        if name in value and not isinstance(value[name], str):
            if not lenient:
                raise MetadataError(invalid(path((trail, name)), value[name], "must be a string"))
            del value[name]
    if value.get("metadata", ()) is None:
        value["metadata"] = {}
    try:
        found.extend(clean_metadata(value, text(trail)))
    except DecodeError as e:
        if not lenient:
            raise MetadataError(invalid(path((trail, "metadata")), value["metadata"], str(e))) from None
        value["metadata"] = {}


def errors_of(value: Any, node: Structural | None, *, whole: bool = False) -> list[FieldError]:
    """The mistakes of embedded objects. whole: `value` itself is one."""
    found = object_errors(value, "") if whole and isinstance(value, dict) else []
    _walk(value, node, None, found)
    return found


def _walk(value: Any, node: Structural | None, trail: Trail, found: list[FieldError]) -> None:
    if node is None or not (node.below(KEYWORD) or KEYWORD in node.schema):
        return
    if isinstance(value, dict):
        if node.embedded and trail is not None:
            found.extend(object_errors(value, path(trail)))
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                named = node.child(key)
                below = (trail, key if named is not None else [key])
                _walk(item, named or node.values, below, found)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _walk(item, node.items, (trail, i), found)


def object_errors(value: dict[str, Any], where: str) -> list[FieldError]:
    prefix = f"{where}." if where else ""
    found = [required(prefix + name) for name in ("apiVersion", "kind") if name not in value]
    version, kind = value.get("apiVersion"), value.get("kind")
    if version == "":
        found.append(invalid(f"{prefix}apiVersion", version, "must not be empty"))
    elif isinstance(version, str) and version.count("/") > 1:
        found.append(invalid(f"{prefix}apiVersion", version, f"unexpected GroupVersion string: {version}"))
    if kind == "":
        found.append(invalid(f"{prefix}kind", kind, "must not be empty"))
    elif isinstance(kind, str) and (wrong := names.is_dns1035_label(kind.lower())):
        words = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        found.append(invalid(f"{prefix}kind", kind, words))
    if isinstance(meta := value.get("metadata"), dict):
        found += [FieldError(prefix + e.path, e.type, e.value, e.detail) for e in embedded_errors(meta)]
    return found
