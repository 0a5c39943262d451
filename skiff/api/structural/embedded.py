"""Whole objects inside of custom resources (x-kubernetes-embedded-resource): their apiVersion, kind and metadata.

Source: apiextensions-apiserver pkg/apiserver/schema/objectmeta.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from skiff.api import names, schema
from skiff.api.decode import Checker, DecodeError
from skiff.api.errors import FieldError, invalid, required
from skiff.api.schema import SchemaNode
from skiff.api.structural.node import Structural, Trail, path, text

KEYWORD = "x-kubernetes-embedded-resource"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

MetaErrors = Callable[[dict[str, Any]], list[FieldError]]


@cache
def _metadata() -> Checker:
    """Checks `metadata` in an otherwise free object."""
    holder = {"type": "object", "properties": {"metadata": {"$ref": OBJECT_META}}}
    return Checker(SchemaNode(holder, resolve=schema.load().node))


def clean_metadata(obj: dict[str, Any], where: str = "") -> list[str]:
    """Checks an object's metadata in place; the paths of unknown fields in it. Raises DecodeError."""
    meta = obj.get("metadata")
    if meta is None:
        return []
    checked, unknown = _metadata().check({"metadata": meta})
    obj["metadata"] = checked.get("metadata", {})
    prefix = f"{where}." if where else ""
    return [f"{prefix}{sentence.removeprefix('unknown field ')[1:-1]}" for sentence in unknown]


def coerce(value: Any, node: Structural | None, trail: Trail = None, *, lenient: bool = False) -> list[str]:
    """Checks the type and metadata of embedded objects, in place; the paths of unknown fields.
    lenient: drops what is malformed instead of raising DecodeError."""
    found: list[str] = []
    _coerce(value, node, trail, lenient, found)
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
                raise DecodeError(str(invalid(path((trail, name)), value[name], "must be a string")))
            del value[name]
    try:
        found.extend(clean_metadata(value, text(trail)))
    except DecodeError as e:
        if not lenient:
            raise DecodeError(str(invalid(path((trail, "metadata")), value["metadata"], str(e)))) from None
        value["metadata"] = {}


def errors_of(value: Any, node: Structural | None, meta_errors: MetaErrors) -> list[FieldError]:
    """The mistakes of embedded objects; `meta_errors` checks a metadata (its paths begin with `metadata`)."""
    found: list[FieldError] = []
    _walk(value, node, None, meta_errors, found)
    return found


def _walk(value: Any, node: Structural | None, trail: Trail, meta_errors: MetaErrors, found: list[FieldError]) -> None:
    if node is None or not (node.below(KEYWORD) or KEYWORD in node.schema):
        return
    if isinstance(value, dict):
        if node.embedded and trail is not None:
            found.extend(object_errors(value, path(trail), meta_errors))
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                named = node.child(key)
                below = (trail, key if named is not None else [key])
                _walk(item, named or node.values, below, meta_errors, found)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _walk(item, node.items, (trail, i), meta_errors, found)


def object_errors(value: dict[str, Any], where: str, meta_errors: MetaErrors) -> list[FieldError]:
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
        found += [FieldError(prefix + e.path, e.type, e.value, e.detail) for e in meta_errors(meta)]
    return found
