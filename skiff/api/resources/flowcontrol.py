"""flowcontrol.apiserver.k8s.io/v1. Defaults: pkg/apis/flowcontrol/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource
from skiff.api.resources import flowcontrol_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import inside, nil, rules, struct, zero

GROUP = "flowcontrol.apiserver.k8s.io"

default_flow_schema = rules(struct("spec", zero(matchingPrecedence=1000)), struct("status"))

default_priority_level = rules(
    inside("spec.exempt", nil(nominalConcurrencyShares=0, lendablePercent=0)),
    inside("spec.limited", nil(nominalConcurrencyShares=30, lendablePercent=0)),
    inside("spec.limited.limitResponse.queuing", zero(handSize=8, queues=64, queueLengthLimit=50)),
    struct("status"),
)

RESOURCES: Sequence[Resource] = (
    builtin(
        GROUP,
        "v1",
        "flowschemas",
        "FlowSchema",
        validate=validator(checks.check_flow_schema),
        validate_status_update=update_validator(checks.check_conditions_update),
        namespaced=False,
        subresources=(STATUS,),
        default=default_flow_schema,
        has_generation=True,
    ),
    builtin(
        GROUP,
        "v1",
        "prioritylevelconfigurations",
        "PriorityLevelConfiguration",
        validate=validator(checks.check_priority_level),
        validate_status_update=update_validator(checks.check_conditions_update),
        namespaced=False,
        subresources=(STATUS,),
        default=default_priority_level,
        has_generation=True,
    ),
)
