"""Which policies are meant by a request, with which bindings and parameters: what both kinds of policy have in common."""

from dataclasses import dataclass

from skiff.api.errors import StatusError, not_found
from skiff.api.gvr import NAMESPACES
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.matching import EXEMPT, Matcher
from skiff.apiserver.admission.policies.configuration import Binding, Configuration, Policy
from skiff.apiserver.admission.policies.params import ParamError, collect, unknown_kind
from skiff.apiserver.registry import Registry

REVIEWS = frozenset(
    (
        "selfsubjectreviews.authentication.k8s.io",
        "tokenreviews.authentication.k8s.io",
        "localsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
    )
)
"""Questions that no policy may keep anybody from asking."""
UNSEEN = EXEMPT | REVIEWS


@dataclass(frozen=True, slots=True)
class Invocation:
    """gvr: the version in which the policy wants to see the request."""

    policy: Policy
    binding: Binding
    gvr: GVR
    param: Obj | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A policy, or one of its bindings, that cannot be used."""

    policy: Policy
    binding: Binding | None
    why: str

    @property
    def message(self) -> str:
        return f"failed to configure {'policy' if self.binding is None else 'binding'}: {self.why}"


class Invocations:
    """The policies of one kind, and how requests are held against them."""

    def __init__(self, registry: Registry, matcher: Matcher, configuration: Configuration):
        self._configuration = configuration
        self._registry = registry
        self._matcher = matcher

    async def of(self, attrs: Attributes) -> list[Invocation | Failure]:
        """In order of policies, bindings and parameters."""
        found: list[Invocation | Failure] = []
        for policy in self._configuration.policies:
            try:
                gvr = await self._matcher.match(policy.criteria, attrs) if policy.criteria is not None else attrs.gvr
            except StatusError as e:
                found.append(Failure(policy, None, e.message))
                continue
            if gvr is None:
                continue
            why = policy.error or unknown_kind(self._registry, policy)
            if why:
                found.append(Failure(policy, None, why))
                continue
            for binding in policy.bindings:
                found += await self._of_binding(policy, binding, attrs, gvr)
        return found

    async def _of_binding(
        self, policy: Policy, binding: Binding, attrs: Attributes, gvr: GVR
    ) -> list[Invocation] | list[Failure]:
        try:
            if binding.error:
                raise ParamError(binding.error)
            if binding.criteria is not None and await self._matcher.match(binding.criteria, attrs) is None:
                return []
            params = await collect(self._registry, policy, binding, attrs.namespace)
            return [Invocation(policy, binding, gvr, param) for param in params]
        except (ParamError, StatusError) as e:
            return [Failure(policy, binding, e.message if isinstance(e, StatusError) else str(e))]

    async def namespace_of(self, attrs: Attributes) -> Obj | None:
        """The namespace in which a request is; one for a namespace itself is in none. Raises 404."""
        if not attrs.namespace or attrs.gvr.group_resource == "namespaces":
            return None
        found = await self._matcher.namespace(attrs.namespace)
        if found is None:
            raise not_found(NAMESPACES, attrs.namespace)
        return found


def error_type(message: str) -> str:
    """What kind of mistake a message tells of, as the metrics call it."""
    if message.startswith("compilation"):
        return "compile_error"
    return "out_of_budget" if message.startswith("validation failed due to running out of cost") else "invalid_error"
