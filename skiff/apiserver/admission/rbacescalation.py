"""Roles and bindings may give only what the writer holds. Upstream does this below admission; the order is the same."""

from skiff.api.errors import forbidden
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.authz.escalation import Escalation

_GROUP = "rbac.authorization.k8s.io"
_ROLES = frozenset((f"roles.{_GROUP}", f"clusterroles.{_GROUP}"))
_BINDINGS = frozenset((f"rolebindings.{_GROUP}", f"clusterrolebindings.{_GROUP}"))


class RBACEscalation(Plugin):
    name = "RBACEscalation"
    resources = _ROLES | _BINDINGS

    def __init__(self, escalation: Escalation):
        self._escalation = escalation

    async def validate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        if attrs.gvr.group_resource in _ROLES:
            why = await self._escalation.of_role(attrs.user, attrs.gvr, attrs.obj, attrs.old)
        else:
            why = await self._escalation.of_binding(attrs.user, attrs.obj, attrs.old)
        if why:
            raise forbidden(attrs.gvr, attrs.obj["metadata"].get("name", ""), why)
