"""ClusterRoles that are made of others: their rules are those of all roles that their selectors match.

Source: upstream pkg/controller/clusterroleaggregation.
"""

from collections.abc import Iterable

from skiff.api import selectors
from skiff.api.meta import labels, name
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Watch, key_of
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client

CLUSTERROLES = GVR("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
MANAGER = "clusterrole-aggregation-controller"


def aggregated(role: Obj, roles: Iterable[Obj]) -> list[Obj]:
    """Each rule once, in the order of the selectors and of the roles' names."""
    rules: list[Obj] = []
    ordered = sorted(roles, key=name)
    for wanted in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        selector = selectors.from_label_selector(wanted)
        for other in ordered:
            if name(other) != name(role) and selector.matches(labels(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


class ClusterRoleAggregationController:
    name = "clusterrole-aggregation-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._roles = informers.get(CLUSTERROLES)

    def watches(self) -> list[Watch]:
        return [Watch(CLUSTERROLES, self._changed)]

    def _changed(self, change: Change) -> Iterable[Key]:
        """Any role may be a part of any aggregated one."""
        return [key_of(role) for role in self._roles.items() if role.get("aggregationRule")]

    async def reconcile(self, key: Key) -> float | None:
        role = self._roles.get("", key)
        if role is None or not role.get("aggregationRule"):
            return None
        rules = aggregated(role, self._roles.items())
        if rules != (role.get("rules") or []):
            wanted = {
                "apiVersion": CLUSTERROLES.api_version,
                "kind": CLUSTERROLES.kind,
                "metadata": {"name": key},
                "rules": rules,
            }
            await self._client.apply(CLUSTERROLES, wanted, field_manager=MANAGER, force=True)
        return None
