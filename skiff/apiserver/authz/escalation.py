"""Nobody grants through RBAC what he does not hold: checks on writes of roles and bindings.

Who may `escalate` roles or `bind` a role is excepted. Source: upstream registry/rbac/*/policybased and
registry/rbac/validation/rule.go.
"""

from collections.abc import Sequence

from skiff.api.errors import not_found
from skiff.api.types import GVR, Obj
from skiff.apiserver.authn import MASTERS
from skiff.apiserver.authz import Attributes, Authorization
from skiff.apiserver.authz.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, GROUP, RBAC, ROLEBINDINGS, ROLES
from skiff.apiserver.authz.rules import Rule, compile_rules, describe, go_strings, uncovered
from skiff.wire.messages import UserInfo


class Escalation:
    """Answers with a sentence why a write must not be, or ""."""

    def __init__(self, rbac: RBAC, authorization: Authorization):
        self._rbac = rbac
        self._authorization = authorization

    async def of_role(self, user: UserInfo, gvr: GVR, role: Obj, old: Obj | None) -> str:
        """A Role or ClusterRole is written. What does not change its rules is no matter of ours."""
        unchanged = old is not None and all(old.get(k) == role.get(k) for k in ("rules", "aggregationRule"))
        meta = role["metadata"]
        if MASTERS in user.groups or unchanged:
            return ""
        if await self._may(user, "escalate", gvr, meta.get("namespace", ""), meta.get("name", "")):
            return ""
        if role.get("aggregationRule"):
            everything = compile_rules([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])
            if self._missing(user, everything, ""):
                return "must have cluster-admin privileges to use the aggregationRule"
        return self._refusal(user, compile_rules(role.get("rules")), meta.get("namespace", ""))

    async def of_binding(self, user: UserInfo, binding: Obj, old: Obj | None) -> str:
        """A RoleBinding or ClusterRoleBinding is written. Raises 404 for a role that is not there, as of the bindings'
        kind, which is upstream's."""
        unchanged = old is not None and all(old.get(k) == binding.get(k) for k in ("roleRef", "subjects"))
        if MASTERS in user.groups or unchanged:
            return ""
        namespace, ref = binding["metadata"].get("namespace", ""), binding["roleRef"]
        gvr = ROLES if ref.get("kind") == "Role" else CLUSTERROLES
        if await self._may(user, "bind", gvr, namespace, ref.get("name", "")):
            return ""
        rules = self._rbac.role_rules((namespace if gvr is ROLES else "", ref.get("name", "")))
        if rules is None:
            raise not_found(ROLEBINDINGS if namespace else CLUSTERROLEBINDINGS, ref.get("name", ""))
        return self._refusal(user, rules, namespace)

    async def _may(self, user: UserInfo, verb: str, gvr: GVR, namespace: str, name: str) -> bool:
        attrs = Attributes(user, verb, GROUP, "v1", gvr.plural, namespace=namespace, name=name)
        return (await self._authorization.authorize(attrs)).allowed

    def _missing(self, user: UserInfo, rules: Sequence[Rule], namespace: str) -> list[Rule]:
        return uncovered(self._rbac.rules_for(user, namespace)[0], rules)

    def _refusal(self, user: UserInfo, rules: Sequence[Rule], namespace: str) -> str:
        missing = self._missing(user, rules, namespace)
        if not missing:
            return ""
        lines = "\n".join(sorted({describe(r) for r in _compact(missing)}))
        who = f'user "{user.name}" (groups={go_strings(user.groups)})'
        return f"{who} is attempting to grant RBAC permissions not currently held:\n{lines}"


def _compact(parts: Sequence[Rule]) -> list[Rule]:
    """One rule per group and resource, with all of its missing verbs."""
    verbs: dict[tuple[frozenset[str], ...], frozenset[str]] = {}
    for part in parts:
        key = (part.groups, part.resources, part.names, part.urls)
        verbs[key] = verbs.get(key, frozenset()) | part.verbs
    return [Rule(found, *key) for key, found in verbs.items()]
