"""node.k8s.io/v1: RuntimeClass."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources.define import builtin

RESOURCES: Sequence[Resource] = (
    builtin(
        "node.k8s.io",
        "v1",
        "runtimeclasses",
        "RuntimeClass",
        namespaced=False,
        create_on_update=True,
        unconditional_update=False,
    ),
)
