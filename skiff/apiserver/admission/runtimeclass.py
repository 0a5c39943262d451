"""RuntimeClass: a pod gets the overhead, node selector and tolerations of its runtime class."""

from skiff.api import quantity
from skiff.api.gvr import RUNTIMECLASSES
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup


class RuntimeClass(Plugin):
    name = "RuntimeClass"
    operations = frozenset(("CREATE",))
    resources = frozenset(("pods",))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        spec = attrs.obj["spec"]
        found = await self._class(attrs, spec)
        overhead = ((found or {}).get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and not _same(spec["overhead"], overhead):
                raise attrs.forbid("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            spec["overhead"] = dict(overhead)
        scheduling = (found or {}).get("scheduling")
        if scheduling:
            _schedule(attrs, spec, scheduling)

    async def validate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        spec = attrs.obj["spec"]
        found = await self._class(attrs, spec)
        overhead = ((found or {}).get("overhead") or {}).get("podFixed")
        if overhead and not _same(spec.get("overhead") or {}, overhead):
            raise attrs.forbid("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        if not overhead and spec.get("overhead") is not None:
            raise attrs.forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")

    async def _class(self, attrs: Attributes, spec: Obj) -> Obj | None:
        name = spec.get("runtimeClassName")
        if name is None:
            return None
        found = self._lookup.get(RUNTIMECLASSES, "", name) or await self._lookup.fresh(RUNTIMECLASSES, "", name)
        if found is None:
            raise attrs.forbid(f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _schedule(attrs: Attributes, spec: Obj, scheduling: Obj) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.get(key, value) != value:
            raise attrs.forbid(
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = spec.get("tolerations") or []
    added = [t for t in scheduling.get("tolerations") or () if t not in tolerations]
    if added:
        spec["tolerations"] = [*tolerations, *added]


def _same(a: Obj, b: Obj) -> bool:
    return a.keys() == b.keys() and all(quantity.parse(a[k]) == quantity.parse(b[k]) for k in a)
