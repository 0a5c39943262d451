"""matchConditions: all must be true for a policy to be about a request; one that is false ends the matter."""

from asyncio import get_running_loop
from collections.abc import Mapping, Sequence
from typing import Any

from skiff.api.cel import costs
from skiff.api.resources.policy_expressions import Compiled
from skiff.apiserver.admission.policies.evaluation import OutOfBudget, Session
from skiff.apiserver.admission.policies.metrics import Conditions


class ConditionError(Exception):
    """Some conditions could not be evaluated, and none was false."""


def holds(
    conditions: Sequence[tuple[str, Compiled]],
    variables: Mapping[str, Compiled],
    bindings: Mapping[str, Any],
    metrics: Conditions,
    labels: Sequence[str],
) -> bool:
    """labels: under which the metrics are kept. Raises ConditionError."""
    if not conditions:
        return True
    time = get_running_loop().time
    started = time()
    errors: list[str] = []
    session = Session(variables, bindings, costs.PER_MATCH_CONDITIONS)
    matches = True
    try:
        outcomes = [session.evaluate(compiled) for _, compiled in conditions]
    except OutOfBudget as e:
        errors.append(str(e))
    else:
        for outcome in outcomes:
            if outcome.error:
                errors.append(outcome.error)
                metrics.failed(*labels)
            elif outcome.value is False:
                matches = False
                break
    if errors or not matches:
        metrics.observe(time() - started, *labels)
    if not matches:
        return False
    if errors:
        raise ConditionError(errors[0] if len(set(errors)) == 1 else f"[{', '.join(dict.fromkeys(errors))}]")
    return True
