"""matchConditions: expressions that all have to be true for a webhook or a policy to be asked.

Every one is evaluated; one that is false ends it, whatever others failed of. Failures then mean what the failure policy
says. Source: apiserver pkg/admission/plugin/webhook/matchconditions and plugin/cel.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from skiff.api.cel.errors import CelError
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.authz import Authorization

if TYPE_CHECKING:
    from skiff.api.cel.env import Program
    from skiff.api.resources.policy_expressions import Compiled, Expressions

BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class Unmatched(Exception):
    """Conditions that failed; the message says how."""


@dataclass(frozen=True, slots=True)
class Condition:
    """program None: the expression cannot be used, `error` says why."""

    expression: str
    program: "Program | None"
    error: str = ""


def compiled(conditions: Iterable[Mapping[str, Any]], *, params: bool = False) -> tuple[Condition, ...]:
    from skiff.api.resources.policy_expressions import Expressions

    expressions = Expressions(params)
    return tuple(_compiled(expressions, c.get("expression") or "") for c in conditions)


def condition_of(made: "Compiled") -> Condition:
    return Condition(made.expression, made.program, f"compilation error: {made.error}" if made.error else "")


def _compiled(expressions: "Expressions", text: str) -> Condition:
    return condition_of(expressions.compile(text, "bool"))


class Runner(Protocol):
    async def run(self, program: "Program") -> tuple[Any, int]:
        """(value or CelError, cost)."""
        ...


class Evaluation:
    """Evaluates expressions about one request. variables: those beyond the authorizer's."""

    def __init__(self, attrs: Attributes, variables: Mapping[str, Any], authorization: Authorization | None):
        from skiff.apiserver.admission.asking import Asking

        self._asking = Asking(attrs, authorization)
        self._variables = {**self._asking.variables, **variables}

    async def run(self, program: "Program") -> tuple[Any, int]:
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
        from skiff.api.cel import costs

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
