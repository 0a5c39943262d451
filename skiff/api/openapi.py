"""The documents of /openapi/v2 and /openapi/v3, built from resource records and upstream's definitions when asked for.

What is kept is compressed; building one takes a moment and some memory, which go away again. Custom resources bring
their own definitions. Source: kube-openapi pkg/handler and pkg/handler3.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Any

import orjson

from skiff.api import enums, openapi_protobuf
from skiff.api.openapi_paths import MEDIA_TYPES, META, Operation, Parameter, Path, group_version_paths
from skiff.api.resources import Resource

HEAD = {"title": "Kubernetes", "version": "v1.36.0"}
ALWAYS = tuple(
    f"{META}.{kind}" for kind in ("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "WatchEvent")
)
DESCRIBED = "io.k8s.api.core.v1.ConfigMap"
_V3_SPECIAL: Mapping[str, dict[str, Any]] = {
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "int-or-string": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
}


@dataclass(frozen=True, slots=True)
class Document:
    """One answer. gzipped: the body for clients that accept gzip; etag: without quotes, changes with the content."""

    gzipped: bytes
    etag: str

    def plain(self) -> bytes:
        return gzip.decompress(self.gzipped)


class Definitions:
    """Upstream's definitions with their descriptions, parsed one by one as they are asked for."""

    def __init__(self, extra: Mapping[str, Mapping[str, Any]]) -> None:
        text = zlib.decompress((_data() / "definitions.z").read_bytes())
        self._lines = {line[2 : line.index(b'"', 2)].decode(): line for line in text.splitlines()}
        self._extra = extra

    def names(self) -> list[str]:
        return [*self._lines, *self._extra]

    def __contains__(self, name: str) -> bool:
        return name in self._extra or name in self._lines

    def _described(self, model: Any) -> Any:
        """A custom resource's definition with upstream's words about the fields that every object has."""
        common = orjson.loads(self._lines[DESCRIBED])[1]["properties"]
        for name, field in (model.get("properties") or {}).items():
            if name in ("apiVersion", "kind") or (name == "metadata" and field == {"$ref": common[name]["$ref"]}):
                model["properties"][name] = common[name]
        return model

    def is_custom(self, name: str) -> bool:
        return name in self._extra

    def get(self, name: str) -> Any:
        """The definition; references are bare names. The caller may change it."""
        if name in self._extra:
            return self._described(orjson.loads(orjson.dumps(self._extra[name])))
        definition = orjson.loads(self._lines[name])[1]
        enums.add(name, definition)
        return definition


class OpenAPI:
    """The documents of one API server.

    resources: what is served, read anew at every call (custom resources come and go).
    digests: of `extra` by name, so that a definition need not be made to know whether it has changed.
    extra: definitions of custom resources, by the names that their records' `schema` gives; references bare, `$ref`s to
    built-in definitions allowed.
    """

    def __init__(
        self,
        resources: Callable[[], Sequence[Resource]],
        extra: Callable[[], Mapping[str, Mapping[str, Any]]] = dict,
        digests: Callable[[], Mapping[str, bytes]] | None = None,
    ) -> None:
        self._resources = resources
        self._extra = extra
        self._digests = digests
        self._kept: dict[str, Document] = {}

    def index(self) -> bytes:
        """/openapi/v3: the group versions and where their documents are, as JSON."""
        paths = {}
        for path, resources in self._groups().items():
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash(path, resources)}"}
        return orjson.dumps({"paths": paths})

    def v3(self, path: str) -> Document | None:
        """The document of `api/v1`, `apis/apps/v1`, ...; None for a group version that is not served."""
        resources = self._groups().get(path)
        if resources is None:
            return None
        return self._get(f"v3/{path}", self._hash(path, resources), lambda: self._build_v3(resources))

    def v2(self, *, protobuf: bool) -> Document:
        """The one document of everything, as JSON or as gnostic's protobuf."""
        resources = self._resources()
        build = self._build_v2_protobuf if protobuf else self._build_v2_json
        return self._get(f"v2/{protobuf}", self._hash("v2", resources), lambda: build(resources))

    def _get(self, key: str, etag: str, build: Callable[[], bytes]) -> Document:
        kept = self._kept.get(key)
        if kept is None or kept.etag != etag:
            kept = Document(gzip.compress(build(), 5, mtime=0), etag)
            self._kept[key] = kept
        return kept

    def _groups(self) -> dict[str, list[Resource]]:
        groups: dict[str, list[Resource]] = {}
        for resource in self._resources():
            groups.setdefault(resource.gvr.root[1:], []).append(resource)
        return groups

    def _hash(self, path: str, resources: Sequence[Resource]) -> str:
        """Of what a document is made from, so that it need not be made to know its name."""
        extra = self._extra()
        digests = self._digests() if self._digests else {}
        digest = hashlib.sha256(_data_digest())
        digest.update(path.encode())
        for r in resources:
            described = (r.gvr, r.schema, r.verbs, r.subresources)
            digest.update(repr(described).encode())
            if r.schema in digests:
                digest.update(digests[r.schema])
            elif r.schema in extra:
                digest.update(orjson.dumps(extra[r.schema], option=orjson.OPT_SORT_KEYS))
        return digest.hexdigest().upper()

    def _build_v3(self, resources: Sequence[Resource]) -> bytes:
        definitions = Definitions(self._extra())
        paths = {p.path: _v3_path(p, definitions) for p in group_version_paths(resources)}
        schemas = {n: _v3_schema(definitions.get(n)) for n in _closure(_roots(resources, definitions), definitions)}
        document = {"openapi": "3.0.0", "info": HEAD, "paths": paths, "components": {"schemas": schemas}}
        return orjson.dumps(document)

    def _build_v2_json(self, resources: Sequence[Resource]) -> bytes:
        definitions = Definitions(self._extra())
        document = {
            "swagger": "2.0",
            "info": HEAD,
            "paths": dict(_v2_paths(resources, definitions)),
            "definitions": dict(_v2_definitions(definitions)),
        }
        return orjson.dumps(document)

    def _build_v2_protobuf(self, resources: Sequence[Resource]) -> bytes:
        definitions = Definitions(self._extra())
        head = {"swagger": "2.0", "info": HEAD}
        return openapi_protobuf.encode(head, _v2_paths(resources, definitions), _v2_definitions(definitions))


def _data() -> FilePath:
    return FilePath(__file__).parent / "data"


@cache
def _data_digest() -> bytes:
    return hashlib.sha256((_data() / "definitions.z").read_bytes() + enums.FILE.read_bytes()).digest()


# Which definitions a group version needs.


def _roots(resources: Sequence[Resource], definitions: Definitions) -> list[str]:
    names = [*ALWAYS]
    for path in group_version_paths(resources):
        for operation in path.operations.values():
            names += [operation.body, operation.response]
    return [n for n in names if n and n in definitions]


def _closure(roots: Iterable[str], definitions: Definitions) -> list[str]:
    """The names and all that they refer to, sorted."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found and name in definitions:
            found.add(name)
            waiting += _references(definitions.get(name))
    return sorted(found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


# Version 3.


def _v3_schema(schema: Any) -> Any:
    """References get their path, and stand in allOf beside anything else."""
    special = _V3_SPECIAL.get(schema.get("format", ""))
    if special:
        return {**{k: v for k, v in schema.items() if k == "description"}, **special}
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref":
            target = {"$ref": f"#/components/schemas/{value}"}
            out.update(target if len(schema) == 1 else {"allOf": [target]})
        elif key == "properties":
            out[key] = {name: _v3_schema(prop) for name, prop in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = _v3_schema(value)
        else:
            out[key] = value
    return out


def _v3_path(path: Path, definitions: Definitions) -> dict[str, Any]:
    item: dict[str, Any] = {m: _v3_operation(o, definitions) for m, o in path.operations.items()}
    item["parameters"] = [_v3_parameter(p) for p in path.parameters]
    return item


def _v3_parameter(parameter: Parameter) -> dict[str, Any]:
    out = _parameter(parameter)
    out["schema"] = {"type": parameter.type, "uniqueItems": True}
    return out


def _parameter(parameter: Parameter) -> dict[str, Any]:
    out: dict[str, Any] = {"name": parameter.name, "in": parameter.place, "description": parameter.description}
    if parameter.place == "path":
        out["required"] = True
    return out


def _v3_operation(operation: Operation, definitions: Definitions) -> dict[str, Any]:
    def content(name: str, types: Sequence[str]) -> dict[str, Any]:
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {media: {"schema": reference} for media in types}

    out = _operation(operation)
    if operation.parameters:
        out["parameters"] = [_v3_parameter(p) for p in operation.parameters]
    if operation.body in definitions:
        out["requestBody"] = {"content": content(operation.body, operation.consumes), "required": True}
    answer: dict[str, Any] = {"description": "OK"}
    if operation.response in definitions:
        answer["content"] = content(operation.response, MEDIA_TYPES)
    out["responses"] = {code: {**answer, "description": words} for code, words in _codes(operation)}
    out["responses"]["401"] = {"description": "Unauthorized"}
    return out


def _operation(operation: Operation) -> dict[str, Any]:
    """What both versions say of an operation."""
    group, version, kind = operation.kind
    return {
        "description": operation.description,
        "operationId": operation.id,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }


def _codes(operation: Operation) -> list[tuple[str, str]]:
    return [("200", "OK"), ("201", "Created")] if operation.created else [("200", "OK")]


# Version 2.


def _v2_definitions(definitions: Definitions) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in definitions.names():
        found = definitions.get(name)
        yield name, _v2_schema(_custom_v2(found) if definitions.is_custom(name) else found)


def _custom_v2(model: Mapping[str, Any]) -> dict[str, Any]:
    """A custom resource's definition. One that allows anything names nothing, or kubectl would refuse the rest."""
    if model.get("x-kubernetes-preserve-unknown-fields"):
        kind = "x-kubernetes-group-version-kind"
        return {"type": "object", kind: model[kind]}
    return _without_v3(model)


def _without_v3(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What version 2 of OpenAPI, and kubectl with it, can express: no junctors, nothing below what may be anything."""
    out = {k: v for k, v in schema.items() if k not in ("allOf", "oneOf", "anyOf", "not", "nullable")}
    preserves = out.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("nullable") or preserves:
        for keyword in ("items", "properties"):
            out.pop(keyword, None)
    if schema.get("nullable") or (preserves and out.get("type") == "object"):
        out.pop("type", None)
    if out.get("type") == "array" and "items" not in out:
        del out["type"]
    properties = out.get("properties") or {}
    nullable = {name for name, below in properties.items() if below.get("nullable")}
    if nullable and "required" in out:
        out["required"] = [name for name in out["required"] if name not in nullable]
    if properties:
        out["properties"] = {name: _without_v3(below) for name, below in properties.items()}
    for keyword in ("items", "additionalProperties"):
        if isinstance(out.get(keyword), dict):
            out[keyword] = _without_v3(out[keyword])
    return out


def _v2_schema(schema: Any) -> Any:
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref":
            out[key] = f"#/definitions/{value}"
        elif key == "properties":
            out[key] = {name: _v2_schema(prop) for name, prop in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = _v2_schema(value)
        elif not (key == "format" and value == "quantity"):
            out[key] = value
    return out


def _v2_paths(resources: Sequence[Resource], definitions: Definitions) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in group_version_paths(resources):
        item: dict[str, Any] = {m: _v2_operation(o, definitions) for m, o in path.operations.items()}
        item["parameters"] = [_v2_parameter(p) for p in path.parameters]
        yield path.path, item


def _v2_parameter(parameter: Parameter) -> dict[str, Any]:
    return {**_parameter(parameter), "type": parameter.type, "uniqueItems": True}


def _v2_operation(operation: Operation, definitions: Definitions) -> dict[str, Any]:
    out = _operation(operation)
    out["consumes"] = list(operation.consumes)
    out["produces"] = list(MEDIA_TYPES)
    out["schemes"] = ["https"]
    parameters = [_v2_parameter(p) for p in operation.parameters]
    if operation.body in definitions:
        reference = {"$ref": f"#/definitions/{operation.body}"}
        parameters.insert(0, {"in": "body", "name": "body", "required": True, "schema": reference})
    if parameters:
        out["parameters"] = parameters
    answer: dict[str, Any] = {}
    if operation.response in definitions:
        answer["schema"] = {"$ref": f"#/definitions/{operation.response}"}
    out["responses"] = {code: {**answer, "description": words} for code, words in _codes(operation)}
    out["responses"]["401"] = {"description": "Unauthorized"}
    return out
