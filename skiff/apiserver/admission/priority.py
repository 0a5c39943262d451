"""Priority: a pod's class name becomes its priority and preemption policy; at most one class is the default."""

from skiff.api.errors import StatusError
from skiff.api.gvr import PRIORITYCLASSES
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup

SYSTEM: dict[str, int] = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
"""They exist before they are written to the store: the first pods may need them."""


class Priority(Plugin):
    name = "Priority"
    resources = frozenset(("pods", "priorityclasses.scheduling.k8s.io"))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        if attrs.gvr.plural != "pods" or attrs.obj is None:
            return
        spec = attrs.obj["spec"]
        if attrs.operation == "UPDATE":
            old = (attrs.old or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and old.get(field) is not None:
                    spec[field] = old[field]
            return
        await self._establish(attrs, spec)

    async def validate(self, attrs: Attributes) -> None:
        if attrs.gvr.plural == "pods" or attrs.obj is None or not attrs.obj.get("globalDefault"):
            return
        for other in self._lookup.list(PRIORITYCLASSES):
            if other.get("globalDefault") and other["metadata"]["name"] != attrs.obj["metadata"].get("name"):
                name = other["metadata"]["name"]
                raise attrs.forbid(f"PriorityClass {name} is already marked as default. Only one default can exist")

    async def _establish(self, attrs: Attributes, spec: Obj) -> None:
        name = spec.get("priorityClassName") or ""
        found = await self._class(attrs, name) if name else self._default()
        if found is not None:
            name = spec["priorityClassName"] = found["metadata"]["name"]
        value = found.get("value", 0) if found is not None else 0
        policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
        if spec.get("priority") is not None and spec["priority"] != value:
            raise attrs.forbid(
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
        if spec.get("preemptionPolicy") and spec["preemptionPolicy"] != policy:
            raise attrs.forbid(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    async def _class(self, attrs: Attributes, name: str) -> Obj:
        found = self._lookup.get(PRIORITYCLASSES, "", name) or await self._lookup.fresh(PRIORITYCLASSES, "", name)
        if found is not None:
            return found
        if name in SYSTEM:
            return {"metadata": {"name": name}, "value": SYSTEM[name]}
        raise _no_class(attrs, name)

    def _default(self) -> Obj | None:
        """The default class; of several (only a race makes them) the one with the lowest value."""
        marked = [c for c in self._lookup.list(PRIORITYCLASSES) if c.get("globalDefault")]
        return min(marked, key=lambda c: int(c.get("value", 0)), default=None)


def _no_class(attrs: Attributes, name: str) -> StatusError:
    return attrs.forbid(f"no PriorityClass with name {name} was found")
