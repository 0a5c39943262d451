"""coordination.k8s.io/v1: Lease."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import struct

RESOURCES: Sequence[Resource] = (
    builtin(
        "coordination.k8s.io",
        "v1",
        "leases",
        "Lease",
        default=struct("spec"),
        create_on_update=True,
        unconditional_update=False,
    ),
)
