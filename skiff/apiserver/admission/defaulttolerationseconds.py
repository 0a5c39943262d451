"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or unreachable, unless it says else."""

from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
DEFAULT_S = 300


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"
    resources = frozenset(("pods",))

    def __init__(self, not_ready_seconds: int = DEFAULT_S, unreachable_seconds: int = DEFAULT_S):
        self._seconds = {NOT_READY: not_ready_seconds, UNREACHABLE: unreachable_seconds}

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        spec = attrs.obj["spec"]
        tolerations = spec.get("tolerations") or []
        missing = [key for key in self._seconds if not any(_covers(t, key) for t in tolerations)]
        if missing:
            added = [
                {"key": k, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": self._seconds[k]}
                for k in missing
            ]
            spec["tolerations"] = [*tolerations, *added]


def _covers(toleration: Obj, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")
