"""OpenAPI definitions of custom resources, made when a document is built and not kept.

Source: apiextensions-apiserver pkg/controller/openapi/builder.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from skiff.api.structural import embedded
from skiff.apiserver.apiextensions.definition import Definition, Version, VersionInfo
from skiff.apiserver.apiextensions.resource import model_name

META = "io.k8s.apimachinery.pkg.apis.meta.v1"
LIST_META = f"{META}.ListMeta"


class Models(Mapping[str, Mapping[str, Any]]):
    """By definition name; `digests` tells when one has changed without making it."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Definition, VersionInfo, Version, bool]] = {}
        self.digests: dict[str, bytes] = {}

    def add(self, definition: Definition, info: VersionInfo, version: Version) -> None:
        names = definition.accepted
        for kind, is_list in ((names.kind, False), (names.list_kind, True)):
            name = model_name(definition.group, info.name, kind)
            self._known[name] = (definition, info, version, is_list)
            self.digests[name] = definition.digest

    def discard(self, definition: Definition) -> None:
        for name in [n for n, known in self._known.items() if known[0].name == definition.name]:
            del self._known[name], self.digests[name]

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        definition, info, version, is_list = self._known[name]
        return _list_model(definition, info) if is_list else _model(definition, info, version)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _model(definition: Definition, info: VersionInfo, version: Version) -> dict[str, Any]:
    found = embedded.published(version.schema)
    found["type"] = "object"
    found["properties"] = {**embedded.TYPED, **found.get("properties", {}), "metadata": embedded.METADATA}
    return found | _kind(definition, info, definition.accepted.kind)


def _list_model(definition: Definition, info: VersionInfo) -> dict[str, Any]:
    names = definition.accepted
    item = {"$ref": model_name(definition.group, info.name, names.kind)}
    properties = {
        **embedded.TYPED,
        "items": {"type": "array", "items": item, "description": f"List of {names.plural}."},
        "metadata": {"$ref": LIST_META},
    }
    text = f"{names.list_kind} is a list of {names.kind}"
    head = {"type": "object", "description": text, "required": ["items"], "properties": properties}
    return head | _kind(definition, info, names.list_kind)


def _kind(definition: Definition, info: VersionInfo, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "x-kubernetes-group-version-kind": [{"group": definition.group, "version": info.name, "kind": kind}]
    }
    if info.selectable:
        found["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in info.selectable]
    return found
