"""Mistakes in flowcontrol.apiserver.k8s.io. One mistake at a time, with upstream's path and words."""

from typing import Any

import pytest

from .objects import build, mistakes

FLOWSCHEMA = "flowcontrol.apiserver.k8s.io/v1/FlowSchema"
PRIORITYLEVELCONFIGURATION = "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration"

SOUND: dict[str, Any] = {
    FLOWSCHEMA: {
        "spec": {
            "priorityLevelConfiguration": {"name": "p"},
            "matchingPrecedence": 500,
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "u"}}],
                    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
                }
            ],
        }
    },
    PRIORITYLEVELCONFIGURATION: {
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 5,
                "limitResponse": {"type": "Queue", "queuing": {"queues": 64, "handSize": 6, "queueLengthLimit": 50}},
            },
        }
    },
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind, SOUND[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        pytest.param(
            FLOWSCHEMA,
            "spec.priorityLevelConfiguration.name",
            "",
            ["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"],
            id="no priority level",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.matchingPrecedence",
            10001,
            ["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"],
            id="precedence too high",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.matchingPrecedence",
            1,
            ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
            id="precedence of the exempt",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.distinguisherMethod",
            {"type": "ByMood"},
            [
                'spec.distinguisherMethod.type: Unsupported value: {"Type":"ByMood"}: supported values: "ByNamespace", "ByUser"'
            ],
            id="distinguisher",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.subjects",
            [],
            ["spec.rules[0].subjects: Required value: subjects must contain at least one value"],
            id="rule without subjects",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.nonResourceRules",
            [],
            ["spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty"],
            id="rule without rules",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.subjects.0",
            {"kind": "Robot"},
            [
                'spec.rules[0].subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"'
            ],
            id="kind of subject",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.subjects.0.user",
            {"name": ""},
            ["spec.rules[0].subjects[0].user.name: Required value"],
            id="user without name",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.subjects.0",
            {"kind": "User", "user": {"name": "u"}, "group": {"name": "g"}},
            ["spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'"],
            id="group beside a user",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.subjects.0",
            {"kind": "ServiceAccount", "serviceAccount": {"name": "s"}},
            [
                "spec.rules[0].subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account"
            ],
            id="service account without namespace",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.nonResourceRules.0.verbs",
            ["fetch"],
            [
                'spec.rules[0].nonResourceRules[0].verbs: Unsupported value: ["fetch"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"'
            ],
            id="unknown verb",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.nonResourceRules.0.verbs",
            [],
            ["spec.rules[0].nonResourceRules[0].verbs: Required value: verbs must contain at least one value"],
            id="no verb",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.nonResourceRules.0.nonResourceURLs",
            ["healthz"],
            ['spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "healthz": must start with slash'],
            id="path without slash",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.nonResourceRules.0.nonResourceURLs",
            ["/a/*/b"],
            [
                'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "/a/*/b": wildcard can only do suffix matching'
            ],
            id="path with a star inside",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.nonResourceRules.0.verbs",
            ["*", "get"],
            [
                'spec.rules[0].nonResourceRules[0].verbs: Invalid value: ["*","get"]: if \'*\' is present, must not specify other verbs'
            ],
            id="all verbs and one",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.resourceRules",
            [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
            [
                "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace"
            ],
            id="resource rule without scope",
        ),
        pytest.param(
            FLOWSCHEMA,
            "spec.rules.0.resourceRules",
            [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["A B"]}],
            [
                "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"A B\": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
            id="resource rule with a bad name space",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.type",
            "Generous",
            ['spec.type: Unsupported value: "Generous": supported values: "Exempt", "Limited"'],
            id="type of level",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited",
            None,
            ["spec.limited: Required value: must not be empty when type is Limited"],
            id="limited without limits",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.type",
            "Exempt",
            [
                "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
                "spec.limited: Forbidden: must be nil if the type is not Limited",
            ],
            id="exempt with limits",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.type",
            "Wait",
            ['spec.limited.limitResponse.type: Unsupported value: "Wait": supported values: "Queue", "Reject"'],
            id="response",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.type",
            "Reject",
            ["spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited"],
            id="rejecting with queues",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.queuing",
            None,
            [
                "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited"
            ],
            id="queueing without queues",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.nominalConcurrencyShares",
            -1,
            ["spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer"],
            id="negative shares",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.lendablePercent",
            101,
            ["spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"],
            id="lendable beyond all",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.borrowingLimitPercent",
            -1,
            ["spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer"],
            id="negative borrowing",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.queuing.handSize",
            65,
            ["spec.limited.limitResponse.queuing.handSize: Invalid value: 65: should not be greater than queues (64)"],
            id="hand larger than the deck",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.queuing",
            {"queues": 1000000, "handSize": 8, "queueLengthLimit": 5},
            [
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 1000000 and handSize 8 should not be greater than 60"
            ],
            id="hand with too many shuffles",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.queuing.queues",
            10000001,
            [
                "spec.limited.limitResponse.queuing.queues: Invalid value: 10000001: must not be greater than 10000000",
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 6: required entropy bits of deckSize 10000001 and handSize 6 should not be greater than 60",
            ],
            id="too many queues",
        ),
        pytest.param(
            PRIORITYLEVELCONFIGURATION,
            "spec.limited.limitResponse.queuing.queueLengthLimit",
            -1,
            ["spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive"],
            id="negative queue length",
        ),
    ],
)
def test_a_mistake_is_named(kind: str, path: str, value: Any, messages: list[str]) -> None:
    assert mistakes(build(kind, SOUND[kind], path, value)) == messages
