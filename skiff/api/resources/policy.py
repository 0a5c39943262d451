"""policy/v1: PodDisruptionBudget."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import empty_status

RESOURCES: Sequence[Resource] = (
    builtin(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        validate=validator(checks.check_disruption_budget),
        short_names=("pdb",),
        subresources=(STATUS,),
        default=empty_status("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"),
        has_generation=True,
        unconditional_update=False,
    ),
)
