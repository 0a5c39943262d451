"""PersistentVolumeClaimResize: a claim may grow only when it is bound and its class allows expansion."""

from skiff.api import quantity
from skiff.api.gvr import STORAGECLASSES
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.defaultstorageclass import BETA_CLASS
from skiff.apiserver.lookup import Lookup


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"
    operations = frozenset(("UPDATE",))
    resources = frozenset(("persistentvolumeclaims",))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def validate(self, attrs: Attributes) -> None:
        if attrs.obj is None or attrs.old is None or _size(attrs.obj) <= _size(attrs.old):
            return
        if (attrs.old.get("status") or {}).get("phase") != "Bound":
            raise attrs.forbid("Only bound persistent volume claims can be expanded")
        name = _class_of(attrs.obj)
        found = self._lookup.get(STORAGECLASSES, "", name) if name and name == _class_of(attrs.old) else None
        if not (found or {}).get("allowVolumeExpansion"):
            raise attrs.forbid(
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )


def _size(claim: Obj) -> quantity.Quantity:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage", "0"))


def _class_of(claim: Obj) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    return str(annotations.get(BETA_CLASS) or claim["spec"].get("storageClassName") or "")
