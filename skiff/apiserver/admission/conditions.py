"""matchConditions: expressions that all have to be true for a webhook or a policy to be asked.

Every one is evaluated; one that is false ends it, whatever others failed of. Failures then mean what the failure policy
says. Source: apiserver pkg/admission/plugin/webhook/matchconditions and plugin/cel.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from skiff.api.cel import costs
from skiff.api.cel.env import Program
from skiff.api.cel.errors import CelError
from skiff.api.cel.library.authorizer import AuthorizerValue, Decision, Question, ResourceCheck
from skiff.api.resources.policy_expressions import Compiled, Expressions
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.authz import Attributes as Request
from skiff.apiserver.authz import Authorization
from skiff.wire.messages import UserInfo

BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class Unmatched(Exception):
    """Conditions that failed; the message says how."""


@dataclass(frozen=True, slots=True)
class Condition:
    """program None: the expression cannot be used, `error` says why."""

    expression: str
    program: Program | None
    error: str = ""


def compiled(conditions: Iterable[Mapping[str, Any]], *, params: bool = False) -> tuple[Condition, ...]:
    expressions = Expressions(params)
    return tuple(_compiled(expressions, c.get("expression") or "") for c in conditions)


def condition_of(made: Compiled) -> Condition:
    return Condition(made.expression, made.program, f"compilation error: {made.error}" if made.error else "")


def _compiled(expressions: Expressions, text: str) -> Condition:
    return condition_of(expressions.compile(text, "bool"))


class Runner(Protocol):
    async def run(self, program: Program) -> tuple[Any, int]:
        """(value or CelError, cost)."""
        ...


class _Unanswered(Exception):
    def __init__(self, question: Question):
        super().__init__()
        self.question = question


class Asking:
    """The authorizer as expressions about one request see it. They cannot wait: what is not known yet is asked for outside,
    once, and the expression begins again. variables: `authorizer` and `authorizer.requestResource`."""

    def __init__(self, attrs: Attributes, authorization: Authorization | None):
        self._attrs = attrs
        self._authorization = authorization
        self._known: dict[Question, Decision] = {}
        on, gvr = AuthorizerValue(self), attrs.gvr
        resource = ResourceCheck(on, gvr.group, gvr.plural, attrs.subresource, attrs.namespace, attrs.name)
        self.variables: Mapping[str, Any] = {"authorizer": on, "authorizer.requestResource": resource}

    def authorize(self, question: Question) -> Decision:
        found = self._known.get(question)
        if found is None:
            raise _Unanswered(question)
        return found

    async def run(self, program: Program, variables: Mapping[str, Any]) -> tuple[Any, int]:
        """(value or CelError, cost)."""
        while True:
            try:
                result = program.evaluate(variables, costs.PER_CALL)
            except _Unanswered as e:
                self._known[e.question] = await self._ask(e.question)
                continue
            return (result.value if result.error is None else CelError(str(result.error))), result.cost

    async def _ask(self, q: Question) -> Decision:
        if self._authorization is None:
            return Decision(error="there is no authorizer")
        user = UserInfo(q.user, q.groups) if q.user else self._attrs.user
        place = ("", "", "", "") if q.path else (q.group, "*", q.resource, q.subresource)
        asked = Request(user, q.verb, *place, q.namespace, q.name, q.path, field_selector=q.field_selector)
        decision = await self._authorization.authorize(asked)
        return Decision(decision.allowed, decision.reason)


class Evaluation:
    """Evaluates expressions about one request. variables: those beyond the authorizer's."""

    def __init__(self, attrs: Attributes, variables: Mapping[str, Any], authorization: Authorization | None):
        self._asking = Asking(attrs, authorization)
        self._variables = {**self._asking.variables, **variables}

    async def run(self, program: Program) -> tuple[Any, int]:
        """(value or CelError, cost)."""
        return await self._asking.run(program, self._variables)


@dataclass(slots=True, kw_only=True)
class Conditions:
    """Of one webhook or policy. kind: `webhook`, or the policy's kind; step: `admit`, or for webhooks `validating`: for
    metrics."""

    name: str
    kind: str
    step: str
    fail: bool
    conditions: Sequence[Condition]
    metrics: AdmissionMetrics

    async def match(self, evaluation: Runner, operation: str) -> bool:
        """Raises Unmatched when something failed and that is a refusal. Timed is, as upstream, what does not match."""
        time = asyncio.get_running_loop().time
        started = time()
        matches = False
        try:
            matches = await self._match(evaluation, operation)
        except Unmatched:
            if self.fail:
                raise
        finally:
            if not matches:
                self.metrics.evaluations.observe(time() - started, self.name, self.kind, self.step, operation)
        return matches

    async def _match(self, evaluation: Runner, operation: str) -> bool:
        budget, errors, matches = costs.PER_MATCH_CONDITIONS, [], True
        for condition in self.conditions:
            value: Any = CelError(condition.error)
            if condition.program is not None:
                value, cost = await evaluation.run(condition.program)
                budget -= cost
                if budget < 0:
                    raise Unmatched(BUDGET)
            if isinstance(value, CelError):
                why = str(value)
                shown = (
                    why
                    if condition.program is None
                    else f"expression '{condition.expression}' resulted in error: {why}"
                )
                errors.append(shown)
                self.metrics.errors.add(self.name, self.kind, self.step, operation)
            matches = matches and value is not False
        if matches and errors:
            raise Unmatched(aggregate(errors))
        return matches


def aggregate(errors: Sequence[str]) -> str:
    """Several errors as one, as upstream's utilerrors says it."""
    once = list(dict.fromkeys(errors))
    return once[0] if len(once) == 1 else f"[{', '.join(once)}]"


def request_variable(review: Obj) -> Obj:
    """The variable `request` from an AdmissionReview's request."""
    return {k: v for k, v in review.items() if k not in ("uid", "object", "oldObject")}
