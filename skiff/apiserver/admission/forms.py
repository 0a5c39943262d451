"""In which kind and version somebody outside the server is shown an object, and how what he makes of it is read.

The body of most subresources is their parent's kind; some have a kind of their own (Scale, Binding, PodExecOptions), which
is the same in every version of the parent.
"""

from collections.abc import Sequence

import orjson

from skiff.api.decode import DecodeError
from skiff.api.errors import StatusError, internal
from skiff.api.schema import SchemaNode
from skiff.api.types import GVR, Obj
from skiff.apiserver.registry import Registry
from skiff.apiserver.served import Served
from skiff.apiserver.subresources.bodies import BY_KIND

Kind = tuple[str, str, str]
"""(group, version, kind)"""


class Forms:
    def __init__(self, registry: Registry):
        self._registry = registry
        self._generation = -1
        self._equivalents: dict[GVR, Sequence[GVR]] = {}

    def equivalents(self, gvr: GVR) -> Sequence[GVR]:
        """All versions in which the objects of a resource are served, the resource itself among them."""
        if self._generation != self._registry.generation:
            self._generation = self._registry.generation
            self._equivalents.clear()
        found = self._equivalents.get(gvr)
        if found is None:
            found = self._equivalents[gvr] = self._registry.equivalents(gvr)
        return found

    def kind(self, gvr: GVR, subresource: str) -> Kind:
        """Of the bodies of requests."""
        if subresource:
            served = self._registry.served(gvr)
            part = served.resource.subresource(subresource) if served is not None else None
            if part is not None and part.kind:
                return part.group if part.version else gvr.group, part.version or gvr.version, part.kind
        return gvr.group, gvr.version, gvr.kind

    async def convert(self, obj: Obj, source: GVR, target: GVR, subresource: str) -> Obj:
        """A body of a request for `source` as one for `target`; the same object where there is nothing to do.
        Raises StatusError."""
        if source == target or self.kind(source, subresource) == self.kind(target, subresource):
            return obj
        return await converted(obj, self._served(source), self._served(target))

    def node(self, gvr: GVR, subresource: str) -> SchemaNode | None:
        """The schema of the bodies; None where the documents of the group version have none."""
        group, version, kind = self.kind(gvr, subresource)
        if kind == gvr.kind:
            return self._served(gvr).node
        body = BY_KIND[kind]
        published = isinstance(body.definition, str) and (group, version) == (gvr.group, gvr.version)
        return body.node() if published else None

    def read(self, data: Obj, gvr: GVR, subresource: str, *, strict: bool = False) -> Obj:
        """What somebody made of a body, checked and with defaults again, in place. strict: with nothing in it that is not
        known. Raises StatusError 500."""
        kind = self.kind(gvr, subresource)
        try:
            if kind != (gvr.group, gvr.version, gvr.kind):
                return BY_KIND[kind[2]].read(data)
            return self._served(gvr).read(data, validation="Strict" if strict else "Ignore")[0]
        except DecodeError as e:
            raise internal(str(e)) from None
        except StatusError as e:
            raise internal(_unknown(data, gvr) if e.code == 400 else e.message) from None

    def _served(self, gvr: GVR) -> Served:
        served = self._registry.served(gvr)
        if served is None:
            raise internal(f"unable to convert to {gvr.api_version}, Resource={gvr.plural}: unknown kind")
        return served


def _unknown(data: Obj, gvr: GVR) -> str:
    """Another version of a known kind."""
    return f"converting ({data.get('apiVersion')}.{gvr.kind}) to ({gvr.version}.{gvr.kind}): unknown conversion"


async def converted(obj: Obj, source: Served, target: Served) -> Obj:
    """The object of one version as another version of the same objects; the caller's own."""
    if source.webhook is not None:
        (made,) = await source.webhook.convert([obj], target.gvr.api_version)
        return made
    copied: Obj = orjson.loads(orjson.dumps(obj))
    if not source.resource.custom:  # of custom resources nothing is pruned before they are stored
        if source.resource.to_storage is not None:
            copied = source.resource.to_storage(copied)
        if target.resource.from_storage is not None:
            copied = target.resource.from_storage(copied)
    copied["apiVersion"], copied["kind"] = target.gvr.api_version, target.gvr.kind
    return copied
