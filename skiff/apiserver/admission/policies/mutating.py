"""MutatingAdmissionPolicy: expressions that say what is changed in an object on its way.

Policies come in order of their names, and each sees what those before it have made. When an object has been changed, the
chain goes round once more; then only those policies mutate again that ask for it (reinvocationPolicy IfNeeded) and have not
had the last word. Source: apiserver pkg/admission/plugin/policy/mutating.
"""

from collections.abc import Sequence

from skiff.api.errors import StatusError
from skiff.apiserver.admission import Attributes, Operation
from skiff.apiserver.admission.policies.invocations import Failure, Invocation
from skiff.apiserver.admission.policies.plugin import PolicyPlugin


class MutatingAdmissionPolicy(PolicyPlugin):
    name = "MutatingAdmissionPolicy"
    operations: frozenset[Operation] = frozenset(("CREATE", "UPDATE", "CONNECT"))

    async def mutate(self, attrs: Attributes) -> None:
        if self._has_none(attrs):
            return
        found = await self._invocations.of(attrs)
        failures = [(f.policy, _refused(f, f.message), "") for f in found if isinstance(f, Failure)]
        invocations = [one for one in found if isinstance(one, Invocation)]
        if invocations:
            from skiff.apiserver.admission.policies.changing import Round

            round_ = Round(self._forms, self._authorization, self._metrics, attrs)
            namespace = await self._invocations.namespace_of(attrs)
            for invocation in invocations:
                wrong = await round_.invoke(invocation, namespace)
                failures += [(invocation.policy, _refused(invocation, why), "Invalid") for why in wrong]
            round_.end()
        refusals = [(message, reason) for policy, message, reason in failures if policy.fails]
        if refusals:
            raise _refusal(attrs, refusals)


def _refused(found: Failure | Invocation, why: str) -> str:
    if found.binding is None:
        return f'policy "{found.policy.name}" denied request: {why}'
    return f"policy '{found.policy.name}' with binding '{found.binding.name}' denied request: {why}"


def _refusal(attrs: Attributes, refusals: Sequence[tuple[str, str]]) -> StatusError:
    error = attrs.forbid("")
    error.status["message"], reason = refusals[0]
    if reason:
        error.status["reason"] = reason
    error.status["details"]["causes"] = [{"message": message} for message, _ in refusals]
    return error
