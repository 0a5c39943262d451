"""scheduling.k8s.io/v1: PriorityClass."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import nil, rules
from skiff.api.types import Obj

default_priority_class = rules(nil(value=0, preemptionPolicy="PreemptLowerPriority"))


def prepare_priority_class(new: Obj, old: Obj | None) -> None:
    """The first generation is the last."""
    if old is None:
        new["metadata"]["generation"] = 1


RESOURCES: Sequence[Resource] = (
    builtin(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        validate_create=validator(checks.check_priority_class),
        validate_update=update_validator(checks.check_priority_class_update),
        namespaced=False,
        short_names=("pc",),
        default=default_priority_class,
        prepare=prepare_priority_class,
    ),
)
