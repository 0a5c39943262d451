"""DefaultIngressClass: an ingress that names no class gets the default one, if there is one."""

from skiff.api.types import GVR
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.defaultstorageclass import newest_default
from skiff.apiserver.lookup import Lookup

INGRESSCLASSES = GVR("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False)
DEFAULT = "ingressclass.kubernetes.io/is-default-class"
OLD_CLASS = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"
    operations = frozenset(("CREATE",))
    resources = frozenset(("ingresses.networking.k8s.io",))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        spec = attrs.obj.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or OLD_CLASS in (attrs.obj["metadata"].get("annotations") or {}):
            return
        default = newest_default(self._lookup.list(INGRESSCLASSES), DEFAULT)
        if default is not None:
            spec["ingressClassName"] = default["metadata"]["name"]
