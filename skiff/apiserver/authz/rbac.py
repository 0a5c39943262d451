"""RBAC: who is bound to which role, and what roles allow. Indexed, so that a decision costs the caller's own bindings.

Roles and bindings arrive through Lookup.subscribe and are kept as small records. Which roles a user has in a namespace is
remembered until the next change of a binding. Reasons are upstream's (rbac.go, registry/rbac/validation/rule.go).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skiff.api.types import GVR, Obj
from skiff.apiserver.authn.serviceaccount import user_name
from skiff.apiserver.authz import Attributes, Changing, Decision
from skiff.apiserver.authz.rules import Rule, compile_rules
from skiff.apiserver.lookup import Lookup
from skiff.wire.messages import UserInfo

GROUP = "rbac.authorization.k8s.io"
ROLES = GVR(GROUP, "v1", "roles", "Role")
CLUSTERROLES = GVR(GROUP, "v1", "clusterroles", "ClusterRole", False)
ROLEBINDINGS = GVR(GROUP, "v1", "rolebindings", "RoleBinding")
CLUSTERROLEBINDINGS = GVR(GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", False)
REMEMBERED = 2048

RoleKey = tuple[str, str]
"""(namespace, name); namespace "" for a ClusterRole."""
SubjectKey = tuple[str, str]
"""("user", name) or ("group", name)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One subject of one binding. source: the sentence that explains it."""

    role: RoleKey
    source: str


class RBAC(Changing):
    """An Authorizer, and the answer to "which rules does this user have"."""

    def __init__(self, lookup: Lookup):
        super().__init__()
        self._roles: dict[RoleKey, tuple[Rule, ...]] = {}
        # namespace of the binding ("" = ClusterRoleBinding) → subject → binding name → grant
        self._grants: dict[str, dict[SubjectKey, dict[str, Grant]]] = {}
        self._remembered: dict[tuple[str, tuple[str, ...], str], tuple[Grant, ...]] = {}
        for gvr in (ROLES, CLUSTERROLES):
            lookup.subscribe(gvr, self._role_changed)
        for gvr in (ROLEBINDINGS, CLUSTERROLEBINDINGS):
            lookup.subscribe(gvr, self._binding_changed)

    async def authorize(self, attrs: Attributes) -> Decision:
        """What is allowed whatever the object's name is general."""
        errors: list[str] = []
        for grant in self.grants(attrs.user, attrs.namespace):
            rules = self._roles.get(grant.role)
            if rules is None:
                errors.append(_missing(grant.role))
                continue
            for rule in rules:
                if rule.allows(attrs):
                    reason = f"RBAC: allowed by {grant.source}"
                    return Decision("allow", reason, "RBAC", grant.source, bool(attrs.resource) and not rule.names)
        if not errors:
            return _NO_RULE
        distinct = list(dict.fromkeys(errors))
        why = distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"
        return Decision("none", f"RBAC: {why}", "RBAC")

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[Rule], list[str]]:
        """All rules that the user has in a namespace ("" = cluster-wide ones only), and the roles that are missing."""
        rules: list[Rule] = []
        errors = []
        for grant in self.grants(user, namespace):
            found = self._roles.get(grant.role)
            if found is None:
                errors.append(_missing(grant.role))
            else:
                rules += found
        return rules, errors

    def role_rules(self, role: RoleKey) -> tuple[Rule, ...] | None:
        return self._roles.get(role)

    def grants(self, user: UserInfo, namespace: str) -> tuple[Grant, ...]:
        """The user's grants: cluster-wide ones first, then those of the namespace."""
        key = (user.name, user.groups, namespace)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            subjects = [("user", user.name), *(("group", g) for g in user.groups)]
            scopes = ["", namespace] if namespace else [""]
            found = self._remembered[key] = tuple(
                grant
                for scope in scopes
                for subject in subjects
                for grant in self._grants.get(scope, {}).get(subject, {}).values()
            )
        return found

    def _role_changed(self, old: Obj | None, new: Obj | None) -> None:
        meta = (new or old or {})["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        if new is None:
            self._roles.pop(key, None)
        else:
            self._roles[key] = compile_rules(new.get("rules"))
        self.changed()

    def _binding_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._remembered.clear()
        if old is not None:
            scope = self._grants.get(old["metadata"].get("namespace", ""), {})
            for subject, _ in subject_grants(old):
                scope.get(subject, {}).pop(old["metadata"]["name"], None)
                if not scope.get(subject):
                    scope.pop(subject, None)
        if new is not None:
            scope = self._grants.setdefault(new["metadata"].get("namespace", ""), {})
            for subject, grant in subject_grants(new):
                scope.setdefault(subject, {})[new["metadata"]["name"]] = grant
        self.changed()


_NO_RULE = Decision("none", "", "RBAC")


def subject_grants(binding: Obj) -> Iterator[tuple[SubjectKey, Grant]]:
    """What a RoleBinding or ClusterRoleBinding gives to whom."""
    meta, ref = binding["metadata"], binding["roleRef"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    role = (namespace if ref["kind"] == "Role" else "", ref["name"])
    what = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
    for subject in binding.get("subjects") or ():
        key = subject_key(subject, namespace)
        if key is not None:
            source = f'{what} of {ref["kind"]} "{ref["name"]}" to {_describe(subject, namespace)}'
            yield key, Grant(role, source)


def subject_key(subject: Obj, namespace: str) -> SubjectKey | None:
    """A service account without a namespace is one of the binding's own."""
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return "user", name
    if kind == "Group":
        return "group", name
    if kind == "ServiceAccount" and (home := subject.get("namespace") or namespace):
        return "user", user_name(home, name)
    return None


def _describe(subject: Obj, namespace: str) -> str:
    if subject.get("kind") == "ServiceAccount":
        return f'ServiceAccount "{subject["name"]}/{subject.get("namespace") or namespace}"'
    return f'{subject.get("kind")} "{subject.get("name")}"'


def _missing(role: RoleKey) -> str:
    kind = "role" if role[0] else "clusterrole"
    return f'{kind}.{GROUP} "{role[1]}" not found'
