"""DefaultStorageClass: a claim that names no class gets the default one, if there is one."""

from collections.abc import Iterable

from skiff.api.gvr import STORAGECLASSES
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup

DEFAULT = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass(Plugin):
    name = "DefaultStorageClass"
    operations = frozenset(("CREATE",))
    resources = frozenset(("persistentvolumeclaims",))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        spec, annotations = attrs.obj["spec"], attrs.obj["metadata"].get("annotations") or {}
        if spec.get("storageClassName") is not None or BETA_CLASS in annotations:
            return
        default = newest_default(self._lookup.list(STORAGECLASSES), DEFAULT, BETA_DEFAULT)
        if default is not None:
            spec["storageClassName"] = default["metadata"]["name"]


def newest_default(classes: Iterable[Obj], *annotations: str) -> Obj | None:
    """Of several classes marked as default the one created last, then the first by name."""
    marked: list[Obj] = [
        c for c in classes if any((c["metadata"].get("annotations") or {}).get(a) == "true" for a in annotations)
    ]
    marked.sort(key=lambda c: c["metadata"]["name"])
    marked.sort(key=lambda c: c["metadata"].get("creationTimestamp", ""), reverse=True)
    return marked[0] if marked else None
