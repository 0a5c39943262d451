"""What a validating policy finds of a request: decisions about it, and notes for the audit log."""

from asyncio import get_running_loop
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skiff.api.cel import costs
from skiff.api.errors import StatusError
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.asking import Asking
from skiff.apiserver.admission.conditions import Unmatched
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.policies.configuration import Policy
from skiff.apiserver.admission.policies.evaluation import (
    Outcome,
    OutOfBudget,
    Session,
    View,
    bindings_of,
    matches,
    view,
    with_namespace,
)
from skiff.apiserver.admission.policies.invocations import Invocation, Invocations
from skiff.apiserver.admission.policies.program import PolicyProgram
from skiff.apiserver.authz import Authorization

MOST_ANNOTATION = 10 * 1024
MOST_MESSAGE = 5 * 1024


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


class Unconvertible(Exception):
    """The object cannot be shown in the version that a policy asks for."""


class Judging:
    """One request while policies look at it: what is made of it only once."""

    def __init__(
        self,
        forms: Forms,
        authorization: Authorization | None,
        invocations: Invocations,
        metrics: AdmissionMetrics,
        attrs: Attributes,
    ) -> None:
        self._forms = forms
        self._invocations = invocations
        self._metrics = metrics
        self._attrs = attrs
        self._asking = Asking(attrs, authorization)
        self._views: dict[GVR, View] = {}
        self._namespace: tuple[Obj | None] | None = None

    async def judge(self, found: Invocation) -> Result:
        """Raises Unconvertible; 404 for a namespace that is missing."""
        if self._namespace is None:
            self._namespace = (await self._invocations.namespace_of(self._attrs),)
        if found.gvr not in self._views:
            try:
                self._views[found.gvr] = await view(self._forms, self._attrs, found.gvr)
            except StatusError as e:
                why = f"failed to configure binding: failed to convert object version: {e.message}"
                raise Unconvertible(why) from e
        bindings = bindings_of(self._forms, self._attrs, self._views[found.gvr], found)
        return await self._evaluate(found, bindings, self._namespace[0])

    async def _evaluate(self, invocation: Invocation, bindings: Mapping[str, Any], namespace: Obj | None) -> Result:
        policy, asking = invocation.policy, self._asking
        program = policy.program
        try:
            if not await matches(policy, asking, bindings, self._metrics, self._attrs.operation):
                return Result()
            plain = with_namespace(bindings, invocation, namespace)
            session = Session(program.variables, asking, {**plain, **asking.variables}, costs.PER_OBJECT)
            found = await _outcomes(program, session)
            messages: dict[int, str] = {}
            unaffordable = ""
            if program.messages:
                messages, unaffordable = await _messages(
                    program, Session(program.variables, asking, plain, session.left)
                )
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
            if program.annotations:
                await _annotate(policy, program, Session(program.variables, asking, plain, costs.PER_OBJECT), result)
        except (Unmatched, OutOfBudget) as e:
            return Result([_failed(policy, str(e))])
        return result


def _failed(policy: Policy, message: str, seconds: float = 0.0) -> Decision:
    return Decision("deny" if policy.fails else "admit", message, error=True, seconds=seconds)


async def _outcomes(program: PolicyProgram, session: Session) -> list[tuple[Outcome, float]]:
    """What each validation comes to, and in how many seconds. Raises OutOfBudget."""
    time = get_running_loop().time
    found = []
    for validation in program.validations:
        started = time()
        outcome = await session.evaluate(validation.expression)
        found.append((outcome, time() - started))
    return found


async def _messages(program: PolicyProgram, session: Session) -> tuple[dict[int, str], str]:
    """What messageExpressions say, where that can be a message; and why there is nothing at all. They are evaluated for
    what holds too, for they all cost something."""
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


async def _annotate(policy: Policy, program: PolicyProgram, session: Session, result: Result) -> None:
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
