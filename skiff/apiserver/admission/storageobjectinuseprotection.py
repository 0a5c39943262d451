"""StorageObjectInUseProtection: finalizers that keep claims and volumes until nobody uses them."""

from skiff.apiserver.admission import Attributes, Plugin

FINALIZERS = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"
    operations = frozenset(("CREATE",))
    resources = frozenset(("persistentvolumes", "persistentvolumeclaims", "volumeattributesclasses.storage.k8s.io"))

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        meta, finalizer = attrs.obj["metadata"], FINALIZERS[attrs.gvr.plural]
        if finalizer not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]
