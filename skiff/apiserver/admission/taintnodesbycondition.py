"""TaintNodesByCondition: a new node takes no pods until the node controller has seen it ready."""

from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.defaulttolerationseconds import NOT_READY


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"
    operations = frozenset(("CREATE",))
    resources = frozenset(("nodes",))

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        spec = attrs.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == NOT_READY and t.get("effect") == "NoSchedule" for t in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
