"""policy/v1: PodDisruptionBudget."""

from collections.abc import Sequence

from skiff.api.resources import Resource, status_checks
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import empty_status

RESOURCES: Sequence[Resource] = (
    builtin(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        validate=validator(checks.check_disruption_budget),
        validate_status_update=update_validator(status_checks.check_budget_status),
        short_names=("pdb",),
        subresources=(STATUS,),
        default=empty_status("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"),
        has_generation=True,
        unconditional_update=False,
    ),
)
