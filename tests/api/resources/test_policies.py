"""Mistakes in jobs' policies, quotas and limits. One mistake at a time, with upstream's path and words."""

from typing import Any

import pytest

from .objects import build, mistakes

JOB = "batch/v1/Job"
CRONJOB = "batch/v1/CronJob"
RESOURCEQUOTA = "v1/ResourceQuota"
LIMITRANGE = "v1/LimitRange"

SOUND: dict[str, Any] = {
    JOB: {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}},
    CRONJOB: {
        "spec": {
            "schedule": "*/5 * * * *",
            "jobTemplate": {
                "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}
            },
        }
    },
    RESOURCEQUOTA: {"spec": {"hard": {"pods": "10"}}},
    LIMITRANGE: {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}},
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind, SOUND[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "Cry", "onExitCodes": {"operator": "In", "values": [1]}}]},
            [
                'spec.podFailurePolicy.rules[0].action: Unsupported value: "Cry": supported values: "Count", "FailIndex", "FailJob", "Ignore"'
            ],
            id="failure policy's action",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "FailJob"}]},
            [
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"
            ],
            id="failure rule of nothing",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"operator": "In", "values": [1]},
                        "onPodConditions": [{"type": "X", "status": "True"}],
                    }
                ]
            },
            [
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"
            ],
            id="failure rule of two",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]},
            [
                "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"
            ],
            id="exit code zero",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 1]}}]},
            ["spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1]: must be ordered"],
            id="exit codes out of order",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 1]}}]},
            ["spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Duplicate value: 1"],
            id="exit code twice",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "FailJob", "onExitCodes": {"containerName": "z", "operator": "In", "values": [1]}}]},
            [
                'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "z": must be one of the container or initContainer names in the pod template'
            ],
            id="exit codes of an unknown container",
        ),
        pytest.param(
            JOB,
            "spec.podFailurePolicy",
            {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}]},
            [
                'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'
            ],
            id="failed index without indexes",
        ),
        pytest.param(
            JOB,
            "spec.successPolicy",
            {"rules": [{"succeededCount": 1}]},
            [
                'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode'
            ],
            id="success policy without indexes",
        ),
        pytest.param(
            JOB,
            "spec",
            {
                "completions": 3,
                "completionMode": "Indexed",
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                "successPolicy": {"rules": []},
            },
            [
                "spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified"
            ],
            id="success policy without rules",
        ),
        pytest.param(
            JOB,
            "spec",
            {
                "completions": 3,
                "completionMode": "Indexed",
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                "successPolicy": {"rules": [{}]},
            },
            [
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"
            ],
            id="success rule of nothing",
        ),
        pytest.param(
            JOB,
            "spec",
            {
                "completions": 3,
                "completionMode": "Indexed",
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                "successPolicy": {"rules": [{"succeededCount": 4}]},
            },
            [
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)"
            ],
            id="success beyond completions",
        ),
        pytest.param(
            JOB,
            "spec",
            {
                "completions": 3,
                "completionMode": "Indexed",
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                "successPolicy": {"rules": [{"succeededIndexes": "0-x"}]},
            },
            [
                'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-x": error parsing succeededIndexes: cannot convert string to integer for index: "x"'
            ],
            id="success of indexes not to be parsed",
        ),
        pytest.param(
            JOB,
            "spec",
            {
                "completions": 3,
                "completionMode": "Indexed",
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                "successPolicy": {"rules": [{"succeededIndexes": "0-5"}]},
            },
            [
                'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"'
            ],
            id="success of indexes beyond",
        ),
        pytest.param(
            JOB,
            "spec.backoffLimitPerIndex",
            1,
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
            id="backoff per index without indexes",
        ),
        pytest.param(
            JOB,
            "spec.maxFailedIndexes",
            1,
            [
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
            ],
            id="failed indexes without backoff",
        ),
        pytest.param(
            JOB,
            "spec.podReplacementPolicy",
            "Never",
            [
                'spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"'
            ],
            id="replacement of pods",
        ),
        pytest.param(
            JOB,
            "spec",
            {
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                "podReplacementPolicy": "TerminatingOrFailed",
                "podFailurePolicy": {
                    "rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]
                },
            },
            ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
            id="replacement beside a failure policy",
        ),
        pytest.param(
            JOB,
            "spec.managedBy",
            "x",
            ['spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")'],
            id="manager's name",
        ),
        pytest.param(
            CRONJOB,
            "spec.timeZone",
            "Mars/Olympus",
            ['spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'],
            id="time zone",
        ),
        pytest.param(
            CRONJOB,
            "spec.timeZone",
            "",
            ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string'],
            id="empty time zone",
        ),
        pytest.param(
            CRONJOB,
            "spec.schedule",
            "TZ=UTC 0 * * * *",
            [
                'spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'
            ],
            id="zone in the schedule",
        ),
        pytest.param(
            CRONJOB,
            "spec.concurrencyPolicy",
            "Maybe",
            ['spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'],
            id="concurrency",
        ),
        pytest.param(
            CRONJOB,
            "metadata.name",
            "x" * 53,
            [
                'metadata.name: Invalid value: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": must be no more than 52 characters'
            ],
            id="name too long",
        ),
        pytest.param(
            RESOURCEQUOTA,
            "spec.scopes",
            ["Everywhere"],
            ['spec.scopes: Invalid value: ["Everywhere"]: unsupported scope'],
            id="unknown scope",
        ),
        pytest.param(
            RESOURCEQUOTA,
            "spec.scopes",
            ["BestEffort", "NotBestEffort"],
            ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
            id="scope that excludes",
        ),
        pytest.param(
            RESOURCEQUOTA,
            "spec",
            {"hard": {"cpu": "1"}, "scopes": ["BestEffort"]},
            ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
            id="scope that does not count this",
        ),
        pytest.param(
            RESOURCEQUOTA,
            "spec.scopeSelector",
            {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Near"}]},
            ['spec.scopeSelector.matchExpressions.operator: Invalid value: "Near": not a valid selector operator'],
            id="scope operator",
        ),
        pytest.param(
            RESOURCEQUOTA,
            "spec.scopeSelector",
            {"matchExpressions": [{"scopeName": "BestEffort", "operator": "In", "values": ["x"]}]},
            [
                "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            ],
            id="scope with values it cannot have",
        ),
        pytest.param(
            RESOURCEQUOTA,
            "spec.scopeSelector",
            {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]},
            [
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            ],
            id="scope without values",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0.min",
            {"cpu": "3"},
            [
                'spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2',
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": min value 3 is greater than default request value 2',
                'spec.limits[0].default[cpu]: Invalid value: "3": min value 3 is greater than default value 2',
            ],
            id="least above most",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0.default",
            {"cpu": "3"},
            [
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 2',
                'spec.limits[0].default[cpu]: Invalid value: "2": default value 3 is greater than max value 2',
            ],
            id="default above most",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0",
            {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}},
            [
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1'
            ],
            id="request above default",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0.maxLimitRequestRatio",
            {"cpu": "500m"},
            ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
            id="ratio below one",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0",
            {"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}},
            [
                'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'
            ],
            id="ratio beyond the bounds",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0",
            {"type": "Pod", "default": {"cpu": "1"}},
            ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
            id="default of a pod",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits.0",
            {"type": "PersistentVolumeClaim"},
            [
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"
            ],
            id="claims without bounds",
        ),
        pytest.param(
            LIMITRANGE,
            "spec.limits",
            [{"type": "Container", "max": {"cpu": "2"}}] * 2,
            ['spec.limits[1].type: Duplicate value: "Container"'],
            id="two of a type",
        ),
    ],
)
def test_a_mistake_is_named(kind: str, path: str, value: Any, messages: list[str]) -> None:
    assert mistakes(build(kind, SOUND[kind], path, value)) == messages
