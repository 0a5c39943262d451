"""scheduling.k8s.io/v1: PriorityClass."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import nil, rules

default_priority_class = rules(nil(value=0, preemptionPolicy="PreemptLowerPriority"))

RESOURCES: Sequence[Resource] = (
    builtin(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        namespaced=False,
        short_names=("pc",),
        default=default_priority_class,
        has_generation=True,
    ),
)
