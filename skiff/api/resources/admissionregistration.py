"""admissionregistration.k8s.io/v1. Defaults: pkg/apis/admissionregistration/v1/defaults.go."""

from collections.abc import Sequence
from typing import Any

from skiff.api.resources import Resource, status_checks
from skiff.api.resources import admission_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import Rule, each, inside, nil, rules, struct
from skiff.api.resources.warnings import static_name_warnings

GROUP = "admissionregistration.k8s.io"

default_rule = nil(scope="*")

default_service_reference = nil(port=443)


def _webhook(**more: Any) -> Rule:
    return rules(
        nil(
            failurePolicy="Fail",
            matchPolicy="Equivalent",
            namespaceSelector={},
            objectSelector={},
            timeoutSeconds=10,
            **more,
        ),
        inside("clientConfig.service", default_service_reference),
        each("rules", default_rule),
    )


default_match_resources = rules(
    nil(matchPolicy="Equivalent", namespaceSelector={}, objectSelector={}),
    each("resourceRules", default_rule),
    each("excludeResourceRules", default_rule),
)

_policy_spec = rules(nil(failurePolicy="Fail"), inside("matchConstraints", default_match_resources))

default_policy = struct("spec", _policy_spec)

default_policy_binding = struct("spec", inside("matchResources", default_match_resources))


def _record(plural: str, kind: str, **differences: Any) -> Resource:
    return builtin(
        GROUP,
        "v1",
        plural,
        kind,
        namespaced=False,
        categories=("api-extensions",),
        has_generation=True,
        unconditional_update=False,
        warn=static_name_warnings,
        **differences,
    )


RESOURCES: Sequence[Resource] = (
    _record(
        "mutatingadmissionpolicies",
        "MutatingAdmissionPolicy",
        validate_create=checks.of_new(checks.check_mutating_policy),
        validate_update=update_validator(checks.check_mutating_policy),
        default=default_policy,
    ),
    _record(
        "mutatingadmissionpolicybindings",
        "MutatingAdmissionPolicyBinding",
        validate=validator(checks.check_binding(mutating=True)),
        default=default_policy_binding,
    ),
    _record(
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        validate_create=validator(checks.check_webhooks),
        validate_update=update_validator(checks.check_webhooks_update),
        default=each("webhooks", _webhook(reinvocationPolicy="Never")),
    ),
    _record(
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        validate_create=checks.of_new(checks.check_validating_policy),
        validate_update=update_validator(checks.check_validating_policy),
        validate_status_update=update_validator(checks.check_type_checking, status_checks.check_conditions),
        subresources=(STATUS,),
        default=rules(default_policy, struct("status")),
    ),
    _record(
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        validate=validator(checks.check_binding(mutating=False)),
        default=default_policy_binding,
    ),
    _record(
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        validate_create=validator(checks.check_webhooks),
        validate_update=update_validator(checks.check_webhooks_update),
        default=each("webhooks", _webhook()),
    ),
)
