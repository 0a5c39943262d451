"""ValidatingAdmissionPolicy: expressions that must hold for a request; what does not hold is refused, warned of or noted.

Source: apiserver pkg/admission/plugin/policy/validating.
"""

import json
from asyncio import get_running_loop
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skiff.api.errors import StatusError
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes, Operation, Plugin
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.policies.configuration import Binding, Configuration, Policy
from skiff.apiserver.admission.policies.invocations import UNSEEN, Failure, Invocation, Invocations, error_type
from skiff.apiserver.authz import Authorization

if TYPE_CHECKING:
    from skiff.apiserver.admission.policies.evaluation import Outcome, Session, View
    from skiff.apiserver.admission.policies.program import PolicyProgram

MOST_ANNOTATION = 10 * 1024
MOST_MESSAGE = 5 * 1024
FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"
CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}


@dataclass(slots=True)
class Decision:
    """What one expression came to. action: admit, deny. error: it could not be evaluated."""

    action: str
    message: str = ""
    reason: str = ""
    error: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class Result:
    """annotations: key → value. errors: of audit annotations."""

    decisions: list[Decision] = field(default_factory=list)
    annotations: list[tuple[str, str]] = field(default_factory=list)
    errors: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Denial:
    policy: Policy
    binding: Binding | None
    message: str
    reason: str = ""

    def __str__(self) -> str:
        with_binding = f" with binding '{self.binding.name}'" if self.binding is not None else ""
        return f"ValidatingAdmissionPolicy '{self.policy.name}'{with_binding} denied request: {self.message}"


class ValidatingAdmissionPolicy(Plugin):
    name = "ValidatingAdmissionPolicy"
    operations: frozenset[Operation] = frozenset(("CREATE", "UPDATE", "DELETE", "CONNECT"))

    def __init__(
        self,
        configuration: Configuration,
        invocations: Invocations,
        forms: Forms,
        authorization: Authorization | None,
        metrics: AdmissionMetrics,
    ):
        self._configuration = configuration
        self._invocations = invocations
        self._forms = forms
        self._authorization = authorization
        self._metrics = metrics

    async def validate(self, attrs: Attributes) -> None:
        if not self._configuration.policies or attrs.gvr.group_resource in UNSEEN:
            return
        request = _Request(self._forms, self._authorization, self._invocations, self._metrics, attrs)
        denials: list[Denial] = []
        annotations: dict[str, dict[str, list[str]]] = {}
        async for found in self._invocations.of(attrs):
            if isinstance(found, Failure):
                if found.policy.fails:
                    denials.append(Denial(found.policy, found.binding, found.message))
                continue
            try:
                result = await request.evaluate(found)
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

    def _enforce(self, found: Invocation, result: Result, attrs: Attributes) -> Iterator[Denial]:
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


def _noted(policy: Policy, binding: Binding, index: int, decision: Decision) -> str:
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


class Unconvertible(Exception):
    """The object cannot be shown in the version that a policy asks for."""


class _Request:
    """One request while policies look at it: what is made of it only once."""

    def __init__(
        self,
        forms: Forms,
        authorization: Authorization | None,
        invocations: Invocations,
        metrics: AdmissionMetrics,
        attrs: Attributes,
    ) -> None:
        from skiff.apiserver.admission.conditions import Asking

        self._forms = forms
        self._invocations = invocations
        self._metrics = metrics
        self._attrs = attrs
        self._asking = Asking(attrs, authorization)
        self._views: dict[GVR, View] = {}
        self._namespace: tuple[Obj | None] | None = None

    async def evaluate(self, found: Invocation) -> Result:
        """Raises Unconvertible; 404 for a namespace that is missing."""
        from skiff.apiserver.admission.policies.evaluation import bindings_of, namespace_object, view

        if self._namespace is None:
            self._namespace = (namespace_object(await self._invocations.namespace_of(self._attrs)),)
        if found.gvr not in self._views:
            try:
                self._views[found.gvr] = await view(self._forms, self._attrs, found.gvr)
            except StatusError as e:
                why = f"failed to configure binding: failed to convert object version: {e.message}"
                raise Unconvertible(why) from e
        bindings = bindings_of(self._forms, self._attrs, self._views[found.gvr], found.param)
        return await self._evaluate(found.policy, bindings, found.gvr, self._namespace[0])

    async def _evaluate(self, policy: Policy, bindings: Mapping[str, Any], gvr: GVR, namespace: Obj | None) -> Result:
        from skiff.api.cel import costs
        from skiff.apiserver.admission.conditions import Unmatched
        from skiff.apiserver.admission.policies.evaluation import OutOfBudget, Session, matches, with_namespace

        program, asking = policy.program, self._asking
        try:
            if not await matches(policy, asking, bindings, self._metrics, self._attrs.operation):
                return Result()
            plain = with_namespace(bindings, gvr, namespace)
            session = Session(program.variables, asking, {**plain, **asking.variables}, costs.PER_OBJECT)
            found = await _outcomes(program, session)
            messages, unaffordable = await _messages(program, Session(program.variables, asking, plain, session.left))
            result = Result()
            for i, (validation, (outcome, seconds)) in enumerate(zip(program.validations, found, strict=True)):
                if outcome.error:
                    result.decisions.append(_failed(policy, outcome.error, seconds))
                elif unaffordable:
                    result.decisions.append(_failed(policy, f"failed messageExpression: {unaffordable}", seconds))
                elif outcome.value is True:
                    result.decisions.append(Decision("admit", seconds=seconds))
                else:
                    message = messages.get(i) or validation.fallback
                    result.decisions.append(Decision("deny", message, validation.reason, seconds=seconds))
            await _annotate(policy, program, Session(program.variables, asking, plain, costs.PER_OBJECT), result)
        except (Unmatched, OutOfBudget) as e:
            return Result([_failed(policy, str(e))])
        return result


def _failed(policy: Policy, message: str, seconds: float = 0.0) -> Decision:
    return Decision("deny" if policy.fails else "admit", message, error=True, seconds=seconds)


async def _outcomes(program: "PolicyProgram", session: "Session") -> list[tuple["Outcome", float]]:
    """What each validation comes to, and in how many seconds. Raises OutOfBudget."""
    time = get_running_loop().time
    found = []
    for validation in program.validations:
        started = time()
        outcome = await session.evaluate(validation.expression)
        found.append((outcome, time() - started))
    return found


async def _messages(program: "PolicyProgram", session: "Session") -> tuple[dict[int, str], str]:
    """What messageExpressions say, where that can be a message; and why there is nothing at all. They are evaluated for
    what holds too, for they all cost something."""
    from skiff.apiserver.admission.policies.evaluation import OutOfBudget

    found: dict[int, str] = {}
    try:
        for i, validation in enumerate(program.validations):
            if validation.message is None:
                continue
            text = (await session.evaluate(validation.message)).value
            text = text.strip() if isinstance(text, str) else ""
            if text and "\n" not in text and len(text.encode()) <= MOST_MESSAGE:
                found[i] = text
    except OutOfBudget as e:
        return {}, str(e)
    return found, ""


async def _annotate(policy: Policy, program: "PolicyProgram", session: "Session", result: Result) -> None:
    """Raises OutOfBudget."""
    time = get_running_loop().time
    for key, compiled in program.annotations:
        started = time()
        outcome = await session.evaluate(compiled)
        if outcome.error:
            if policy.fails:
                result.errors.append(_failed(policy, outcome.error, time() - started))
        elif outcome.value is not None and (value := outcome.value.strip()):
            result.annotations.append((key, value.encode()[:MOST_ANNOTATION].decode("utf-8", "ignore")))
