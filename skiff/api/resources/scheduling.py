"""scheduling.k8s.io/v1: PriorityClass."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import nil, rules

default_priority_class = rules(nil(value=0, preemptionPolicy="PreemptLowerPriority"))

RESOURCES: Sequence[Resource] = (
    builtin(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        validate=validator(checks.check_priority_class),
        validate_update=update_validator(checks.check_priority_class_update),
        namespaced=False,
        short_names=("pc",),
        default=default_priority_class,
        has_generation=True,
    ),
)
