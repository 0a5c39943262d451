"""Who writes a policy or a binding must be able to read its parameters. Upstream does this below admission.

Source: pkg/registry/admissionregistration/*/authz.go.
"""

from skiff.api.errors import forbidden_field, invalid_object
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.matching import GROUP
from skiff.apiserver.admission.policies.configuration import MUTATING, VALIDATING
from skiff.apiserver.authn import MASTERS
from skiff.apiserver.authz import Attributes as Question
from skiff.apiserver.authz import Authorization
from skiff.apiserver.registry import Registry
from skiff.wire.messages import UserInfo

_POLICY_OF: dict[str, GVR] = {
    "validatingadmissionpolicybindings": VALIDATING,
    "mutatingadmissionpolicybindings": MUTATING,
}
_POLICIES = frozenset((VALIDATING.plural, MUTATING.plural))


class PolicyParamAccess(Plugin):
    name = "PolicyParamAccess"
    resources = frozenset(f"{plural}.{GROUP}" for plural in (*_POLICIES, *_POLICY_OF))

    def __init__(self, registry: Registry, authorization: Authorization | None):
        self._registry = registry
        self._authorization = authorization

    async def validate(self, attrs: Attributes) -> None:
        assert attrs.obj is not None
        if MASTERS in attrs.user.groups or self._authorization is None:
            return
        new, old = attrs.obj.get("spec") or {}, (attrs.old or {}).get("spec") or {}
        of_policy = attrs.gvr.plural in _POLICIES
        field = "paramKind" if of_policy else "paramRef"
        named = () if of_policy else ("policyName",)
        if not new.get(field) or (old.get(field) == new[field] and all(old.get(n) == new.get(n) for n in named)):
            return
        why = await (self._kind(attrs.user, new[field]) if of_policy else self._reference(attrs, new))
        if why:
            errors = [forbidden_field(f"spec.{field}", why)]
            raise invalid_object(attrs.gvr, attrs.obj["metadata"].get("name", ""), errors)

    async def _kind(self, user: UserInfo, kind: Obj) -> str:
        version, name = kind.get("apiVersion", ""), kind.get("kind", "")
        if await self._may(user, "get", self._target(kind), "*", "*"):
            return ""
        what = f"(kind={name}, apiVersion={version})"
        return f'user {_go(user)} must have "get" permission on all objects of the referenced paramKind {what}'

    async def _reference(self, attrs: Attributes, spec: Obj) -> str:
        user, reference, name = attrs.user, spec["paramRef"], spec.get("policyName", "")
        verb = "get" if reference.get("name") else "list"
        policy = self._registry.lookup.get(_POLICY_OF[attrs.gvr.plural], "", name)
        kind = ((policy or {}).get("spec") or {}).get("paramKind")
        target = self._target(kind) if kind else ("*", "*", "*")
        if await self._may(user, verb, target, reference.get("namespace", ""), reference.get("name", "")):
            return ""
        every = "permission for all groups, versions and resources"
        whole = f'to determine minimum required permissions and user {_go(user)} does not have "{verb}" {every}'
        if policy is None:
            return f"unable to get policy {name} {whole}"
        if kind and target[2] == "*":
            shown = f"&{{{kind.get('apiVersion', '')} {kind.get('kind', '')}}}"
            return f"unable to resolve paramKind {shown} {whole}"
        who, verb_text = _go(user), f'"{verb}"'
        if attrs.gvr.plural.startswith("mutating"):
            who, verb_text = verb, f'"{_go(user)}"'
        return f"user {who} does not have {verb_text} permission on the object referenced by paramRef"

    def _target(self, kind: Obj) -> tuple[str, str, str]:
        """(group, version, resource) of a paramKind."""
        group, _, version = kind.get("apiVersion", "").rpartition("/")
        served = self._registry.of_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
        return group, version, served.gvr.plural if served is not None else "*"

    async def _may(self, user: UserInfo, verb: str, target: tuple[str, str, str], namespace: str, name: str) -> bool:
        assert self._authorization is not None
        question = Question(user, verb, *target, namespace=namespace, name=name)
        return (await self._authorization.authorize(question)).allowed


def _go(user: UserInfo) -> str:
    """A user as Go prints the struct."""
    extra = " ".join(f"{key}:[{' '.join(user.extra[key])}]" for key in sorted(user.extra or {}))
    return f"&{{{user.name} {user.uid} [{' '.join(user.groups)}] map[{extra}]}}"
