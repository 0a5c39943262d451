"""coordination.k8s.io/v1: Lease."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import other_checks as checks
from skiff.api.resources.checks import validator
from skiff.api.resources.define import builtin
from skiff.api.resources.disabled import disabled
from skiff.api.resources.fields import struct

RESOURCES: Sequence[Resource] = (
    builtin(
        "coordination.k8s.io",
        "v1",
        "leases",
        "Lease",
        validate=validator(checks.check_lease),
        default=struct("spec"),
        prepare=disabled("spec.strategy", "spec.preferredHolder"),  # gate CoordinatedLeaderElection
        create_on_update=True,
        unconditional_update=False,
    ),
)
