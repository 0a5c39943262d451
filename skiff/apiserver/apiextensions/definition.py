"""What the server keeps of a CustomResourceDefinition: names and a digest. Schemas are read from the stored object when
somebody first uses a version, and then kept compiled, once per version.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from skiff.api import schema as schemas
from skiff.api.cel.validations import Validator as Rules
from skiff.api.decode import DecodeError
from skiff.api.duplicates import duplicate_fields
from skiff.api.errors import invalid_object
from skiff.api.resources.fields import get, items
from skiff.api.schema import SchemaNode
from skiff.api.structural import embedded
from skiff.api.structural.node import Structural, fill, prune
from skiff.api.structural.values import Validator
from skiff.api.types import GVR, Obj

Load = Callable[[str], Obj | None]
"""The stored definition by its name."""


@dataclass(frozen=True, slots=True)
class Names:
    """As in spec.names and status.acceptedNames."""

    plural: str = ""
    singular: str = ""
    kind: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def read(cls, names: Mapping[str, Any] | None) -> "Names":
        found = names or {}
        return cls(
            found.get("plural", ""),
            found.get("singular", ""),
            found.get("kind", ""),
            found.get("listKind", ""),
            tuple(found.get("shortNames") or ()),
            tuple(found.get("categories") or ()),
        )

    def as_object(self) -> Obj:
        found: Obj = {"plural": self.plural, "kind": self.kind}
        if self.singular:
            found["singular"] = self.singular
        if self.list_kind:
            found["listKind"] = self.list_kind
        if self.short_names:
            found["shortNames"] = list(self.short_names)
        if self.categories:
            found["categories"] = list(self.categories)
        return found


class Version:
    """One version of a definition: what its schema does, compiled when first used."""

    def __init__(self, definition: "Definition", name: str, load: Load):
        self.definition = definition
        self.name = name
        self._load = load

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        stored = self._load(self.definition.name) or {}
        for version in items(stored, "spec", "versions"):
            if version.get("name") == self.name:
                return get(version, "schema", "openAPIV3Schema") or {}
        return {}

    @cached_property
    def structural(self) -> Structural:
        return Structural(self.schema, root=True)

    @cached_property
    def validator(self) -> Validator:
        return Validator(self.schema)

    @cached_property
    def status_validator(self) -> Validator:
        return Validator((self.schema.get("properties") or {}).get("status") or {})

    @cached_property
    def rules(self) -> Rules | None:
        """x-kubernetes-validations; None if there are none."""
        return Rules.of(self.schema)

    @cached_property
    def node(self) -> SchemaNode:
        """For apply and managed fields."""
        found = embedded.published(self.schema)
        properties = {**found.get("properties", {}), **embedded.TYPED, "metadata": embedded.METADATA}
        return SchemaNode({**found, "type": "object", "properties": properties}, resolve=schemas.load().node)

    def check(
        self, obj: Obj, *, validation: str = "Warn", raw: bytes = b"", known: Obj | None = None
    ) -> tuple[Obj, list[str]]:
        """As `skiff.api.decode.Checker.check`: prunes, drops nulls, sets defaults. Raises DecodeError."""
        found = duplicate_fields(raw, obj) if raw and validation != "Ignore" else []
        unknown = self._clean(obj)
        fill(obj, self.structural)
        found += [f'unknown field "{path}"' for path in unknown]
        if not found or validation == "Ignore":
            return obj, []
        if validation == "Strict":
            raise DecodeError("strict decoding error: " + ", ".join(found[:100]))
        return obj, found[:100]

    def check_applied(self, obj: Obj) -> Obj:
        """What apply has made. A null in a configuration says something, so that one that is not allowed is left to be
        refused. Raises 422."""
        try:
            self._clean(obj)
        except embedded.MetadataError as e:
            name = obj["metadata"].get("name", "")
            raise invalid_object(self.definition.gvr(self.name), name, [e.error]) from None
        fill(obj, self.structural, keep=True)
        return obj

    def _clean(self, obj: Obj) -> list[str]:
        unknown = embedded.clean_metadata(obj)
        unknown += prune(obj, self.structural)
        unknown += embedded.coerce(obj, self.structural)
        return unknown

    def normalize(self, obj: Obj) -> Obj:
        """What was stored, as this version shows it now, in place: pruned and with defaults."""
        prune(obj, self.structural)
        embedded.coerce(obj, self.structural, lenient=True)
        fill(obj, self.structural)
        return obj


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What of a version is kept at once. columns: its additionalPrinterColumns."""

    name: str
    served: bool
    storage: bool
    status: bool = False
    scale: tuple[str, str, str] | None = None
    columns: tuple[Obj, ...] = ()
    selectable: tuple[str, ...] = ()
    warning: str = ""

    @classmethod
    def read(cls, version: Obj, group: str, kind: str) -> "VersionInfo":
        scale = get(version, "subresources", "scale")
        deprecated = ""
        if version.get("deprecated"):
            deprecated = version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated"
        return cls(
            version["name"],
            bool(version.get("served")),
            bool(version.get("storage")),
            get(version, "subresources", "status") is not None,
            _scale(scale) if scale is not None else None,
            tuple(version.get("additionalPrinterColumns") or ()),
            tuple(f["jsonPath"].removeprefix(".") for f in version.get("selectableFields") or ()),
            deprecated,
        )


def _scale(scale: Obj) -> tuple[str, str, str]:
    return scale.get("specReplicasPath", ""), scale.get("statusReplicasPath", ""), scale.get("labelSelectorPath", "")


@dataclass(frozen=True, slots=True)
class Definition:
    """accepted: the names in its status. wanted: those in its spec. digest: of its spec. usable: it has been accepted."""

    name: str
    uid: str
    group: str
    namespaced: bool
    wanted: Names
    accepted: Names
    usable: bool
    terminating: bool
    digest: bytes
    versions: tuple[VersionInfo, ...]
    conversion: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, obj: Obj) -> "Definition":
        spec, meta = obj["spec"], obj["metadata"]
        accepted = Names.read(get(obj, "status", "acceptedNames"))
        true = {c.get("type") for c in items(obj, "status", "conditions") if c.get("status") == "True"}
        versions = [VersionInfo.read(v, spec.get("group", ""), accepted.kind) for v in items(obj, "spec", "versions")]
        return cls(
            meta["name"],
            meta.get("uid", ""),
            spec.get("group", ""),
            spec.get("scope") == "Namespaced",
            Names.read(spec.get("names")),
            accepted,
            bool(true & {"NamesAccepted", "Established"}) and bool(accepted.plural and accepted.kind),
            bool(meta.get("deletionTimestamp")),
            hashlib.sha256(orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)).digest()[:16],
            tuple(versions),
            spec.get("conversion") or {},
        )

    @property
    def storage(self) -> VersionInfo | None:
        return next((v for v in self.versions if v.storage), None)

    def gvr(self, version: str) -> GVR:
        return GVR(self.group, version, self.accepted.plural, self.accepted.kind, self.namespaced)
