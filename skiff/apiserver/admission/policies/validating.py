"""ValidatingAdmissionPolicy: expressions that must hold for a request; what does not hold is refused, warned of or noted.

Source: apiserver pkg/admission/plugin/policy/validating.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skiff.api.errors import StatusError
from skiff.apiserver.admission import Attributes, Operation
from skiff.apiserver.admission.policies.configuration import Binding, Policy
from skiff.apiserver.admission.policies.invocations import Failure, Invocation, error_type
from skiff.apiserver.admission.policies.plugin import PolicyPlugin

if TYPE_CHECKING:
    from skiff.apiserver.admission.policies.judging import Decision, Result

FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"
CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


@dataclass(frozen=True, slots=True)
class Denial:
    policy: Policy
    binding: Binding | None
    message: str
    reason: str = ""

    def __str__(self) -> str:
        with_binding = f" with binding '{self.binding.name}'" if self.binding is not None else ""
        return f"ValidatingAdmissionPolicy '{self.policy.name}'{with_binding} denied request: {self.message}"


class ValidatingAdmissionPolicy(PolicyPlugin):
    name = "ValidatingAdmissionPolicy"
    operations: frozenset[Operation] = frozenset(("CREATE", "UPDATE", "DELETE", "CONNECT"))

    async def validate(self, attrs: Attributes) -> None:
        if self._has_none(attrs):
            return
        from skiff.apiserver.admission.policies.judging import Judging, Unconvertible

        judging = Judging(self._forms, self._authorization, self._invocations, self._metrics, attrs)
        denials: list[Denial] = []
        annotations: dict[str, dict[str, list[str]]] = {}
        for found in await self._invocations.of(attrs):
            if isinstance(found, Failure):
                if found.policy.fails:
                    denials.append(Denial(found.policy, found.binding, found.message))
                continue
            try:
                result = await judging.judge(found)
            except Unconvertible as e:
                if found.policy.fails:
                    denials.append(Denial(found.policy, found.binding, str(e)))
                continue
            denials += self._enforce(found, result, attrs)
            kept = annotations.setdefault(found.policy.name, {})
            for key, value in result.annotations:
                values = kept.setdefault(key, [])
                if value not in values:
                    values.append(value)
        for name, by_key in annotations.items():
            for key, values in by_key.items():
                attrs.annotations.setdefault(f"{name}/{key}", ", ".join(values))
        if denials:
            raise _refusal(attrs, denials[0])

    def _enforce(self, found: Invocation, result: "Result", attrs: Attributes) -> Iterator[Denial]:
        """What the actions of the binding make of what was found."""
        policy, binding = found.policy, found.binding
        for i, decision in enumerate(result.decisions):
            kind = error_type(decision.message)
            if decision.action == "admit":
                if decision.error:
                    self._metrics.validating.observe(decision.seconds, policy.name, binding.name, kind, "allow")
                continue
            for action in binding.spec.get("validationActions") or ():
                self._metrics.validating.observe(decision.seconds, policy.name, binding.name, kind, action.lower())
                match action:
                    case "Deny":
                        yield Denial(policy, binding, decision.message, decision.reason)
                    case "Audit":
                        attrs.annotations.setdefault(FAILURE_ANNOTATION, _noted(policy, binding, i, decision))
                    case "Warn":
                        attrs.warnings.append(
                            f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding "
                            f"'{binding.name}': {decision.message}"
                        )
        for decision in result.errors:
            kind = error_type(decision.message)
            self._metrics.validating.observe(decision.seconds, policy.name, binding.name, kind, "deny")
            yield Denial(policy, binding, decision.message)


_NO_HTML = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def _noted(policy: Policy, binding: Binding, index: int, decision: "Decision") -> str:
    """A failure for the audit log."""
    value = {
        "message": decision.message,
        "policy": policy.name,
        "binding": binding.name,
        "expressionIndex": index,
        "validationActions": binding.spec.get("validationActions"),
    }
    return json.dumps([value], separators=(",", ":"), ensure_ascii=False).translate(_NO_HTML)


def _refusal(attrs: Attributes, denial: Denial) -> StatusError:
    message = str(denial)
    error = attrs.forbid(message)
    error.status["reason"] = denial.reason or "Invalid"
    error.status["code"] = CODES.get(denial.reason, 422)
    error.status["details"]["causes"] = [{"message": message}]
    return error
