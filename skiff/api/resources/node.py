"""node.k8s.io/v1: RuntimeClass."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core.warn import runtime_class_warnings
from skiff.api.resources.define import builtin

RESOURCES: Sequence[Resource] = (
    builtin(
        "node.k8s.io",
        "v1",
        "runtimeclasses",
        "RuntimeClass",
        warn=runtime_class_warnings,
        validate=validator(checks.check_runtime_class),
        validate_update=update_validator(checks.check_runtime_class_update),
        namespaced=False,
        create_on_update=True,
        unconditional_update=False,
    ),
)
