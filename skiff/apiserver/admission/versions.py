"""A request as a webhook or a policy sees it: in the version that it asked for, and with the object of the subresource.

`view` is for reading, `write_back` takes a changed object over into the request.
"""

from dataclasses import dataclass
from typing import Any

from skiff.api import schema
from skiff.api.decode import Checker, DecodeError
from skiff.api.errors import internal
from skiff.api.resources.define import definition_name
from skiff.api.schema import SchemaNode
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.entries import Entry
from skiff.apiserver.registry import Registry
from skiff.apiserver.served import Served
from skiff.store import Record


@dataclass(frozen=True, slots=True)
class Kind:
    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"

    def as_object(self) -> Obj:
        return {"group": self.group, "version": self.version, "kind": self.kind}


@dataclass(slots=True)
class View:
    """gvr, kind: of what is shown. obj, old: as in Attributes; read-only."""

    gvr: GVR
    kind: Kind
    obj: Obj | None
    old: Obj | None

    @property
    def has_type(self) -> bool:
        """Whether the documents of the resource's own group version describe the kind."""
        return (self.kind.group, self.kind.version) == (self.gvr.group, self.gvr.version)


def kind_of(registry: Registry, gvr: GVR, subresource: str) -> Kind:
    """What stands in the body of a request."""
    served = registry.served(gvr)
    found = served.resource.subresource(subresource) if served is not None and subresource else None
    if found is None or not found.kind:
        return Kind(gvr.group, gvr.version, gvr.kind)
    return Kind(found.group, found.version, found.kind) if found.version else Kind(gvr.group, gvr.version, found.kind)


async def view(registry: Registry, attrs: Attributes, gvr: GVR) -> View:
    """gvr: the request's resource, or an equivalent of it."""
    kind = kind_of(registry, gvr, attrs.subresource)
    if attrs.subresource == "scale":
        return View(gvr, kind, _scale(registry, attrs.gvr, attrs.obj), _scale(registry, attrs.gvr, attrs.old))
    if gvr == attrs.gvr or kind.kind != gvr.kind:
        return View(gvr, kind, attrs.obj, attrs.old)
    return View(gvr, kind, await _convert(registry, attrs.obj, attrs.gvr, gvr), await _convert(
        registry, attrs.old, attrs.gvr, gvr
    ))  # fmt: skip


async def write_back(registry: Registry, attrs: Attributes, shown: View, obj: Obj) -> None:
    """obj: of the view's version."""
    if attrs.subresource == "scale":
        from skiff.apiserver.subresources.scale import scaled

        served = registry.served(attrs.gvr)
        assert served is not None and attrs.obj is not None
        attrs.obj = scaled(served, attrs.obj, obj)
    elif shown.gvr == attrs.gvr or shown.kind.kind != shown.gvr.kind:
        attrs.obj = obj
    else:
        attrs.obj = await _convert(registry, obj, shown.gvr, attrs.gvr)


def _scale(registry: Registry, gvr: GVR, obj: Obj | None) -> Obj | None:
    from skiff.apiserver.subresources.scale import to_scale

    served = registry.served(gvr)
    assert served is not None
    return None if obj is None else to_scale(served, obj)


async def _convert(registry: Registry, obj: Obj | None, gvr: GVR, to: GVR) -> Obj | None:
    """An object of one served version in another one, by way of the stored version."""
    source, target = registry.served(gvr), registry.served(to)
    if obj is None or source is None or target is None:
        return obj
    value = source.value(obj) if source.convert is None else await source.convert(obj)
    (record,) = await target.cache.translate([Record("", value, 0, 0)])
    converted = target.load(Entry("", "", 0, record.value, {}, ()))
    if version := obj["metadata"].get("resourceVersion"):
        converted["metadata"]["resourceVersion"] = version
    return converted


def node_of(registry: Registry, shown: View) -> SchemaNode | None:
    """The schema of what a view shows; None: it has none."""
    if (served := _main(registry, shown)) is not None:
        return served.node
    name = definition_name(shown.kind.group, shown.kind.version, shown.kind.kind)
    return schema.load().node(name) if name in schema.load() else None


def decode(registry: Registry, shown: View, obj: Any, *, validation: str = "Ignore") -> Obj:
    """An object of a view's kind, checked and defaulted, in place. Raises 500 for what is not one."""
    try:
        if (served := _main(registry, shown)) is not None:
            return served.read(obj, validation=validation)[0]
        node = node_of(registry, shown)
        return Checker(node).check(obj, validation=validation)[0] if node is not None else obj
    except DecodeError as e:
        raise internal(str(e)) from None


def _main(registry: Registry, shown: View) -> Served | None:
    """The resource, if a view shows its own objects."""
    return registry.served(shown.gvr) if shown.kind.kind == shown.gvr.kind else None
