"""NamespaceLifecycle: nothing is created in a namespace that is missing or being deleted; system namespaces stay."""

from skiff import env
from skiff.api.errors import forbidden, not_found
from skiff.api.gvr import NAMESPACES
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))
DOUBT_S = 30
_ALWAYS = frozenset(("localsubjectaccessreviews.authorization.k8s.io",))
"""Asking about access must not tell which namespaces exist."""


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"
    operations = frozenset(("CREATE", "UPDATE", "DELETE"))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup
        self._deleted: dict[str, float] = {}  # name → until when the cache is not believed

    async def mutate(self, attrs: Attributes) -> None:
        resource = attrs.gvr.group_resource
        if resource == "namespaces":
            if attrs.operation == "DELETE":
                self._on_deletion(attrs)
            return
        if not attrs.namespace or attrs.operation == "DELETE" or resource in _ALWAYS:
            return
        namespace = self._lookup.get(NAMESPACES, "", attrs.namespace)
        if namespace is None or self._is_doubtful(attrs.namespace):
            namespace = await self._lookup.fresh(NAMESPACES, "", attrs.namespace)
        if namespace is None:
            raise not_found(NAMESPACES, attrs.namespace)
        if attrs.operation == "CREATE" and (namespace.get("status") or {}).get("phase") == "Terminating":
            why = f"unable to create new content in namespace {attrs.namespace} because it is being terminated"
            error = attrs.forbid(why)
            error.status.setdefault("details", {})["causes"] = [
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {attrs.namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ]
            raise error

    def _on_deletion(self, attrs: Attributes) -> None:
        if attrs.name in IMMORTAL:
            raise forbidden(attrs.gvr, attrs.name, "this namespace may not be deleted")
        now = env.epoch()
        self._deleted = {name: until for name, until in self._deleted.items() if until > now}
        self._deleted[attrs.name] = now + DOUBT_S

    def _is_doubtful(self, namespace: str) -> bool:
        """Whether the namespace was deleted a moment ago: the cache may not know yet."""
        return self._deleted.get(namespace, 0) > env.epoch()
