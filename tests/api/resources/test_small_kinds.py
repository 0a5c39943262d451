"""Mistakes in autoscaling, policy, events, certificates, API services and leases. One mistake at a time, with upstream's path and words."""

import base64
from typing import Any

import pytest

from skiff.api.resources.certificate_checks import request_error

from .objects import build, mistakes

HORIZONTALPODAUTOSCALER = "autoscaling/v2/HorizontalPodAutoscaler"
V1_HORIZONTALPODAUTOSCALER = "autoscaling/v1/HorizontalPodAutoscaler"
PODDISRUPTIONBUDGET = "policy/v1/PodDisruptionBudget"
EVENT = "v1/Event"
EVENTS_EVENT = "events.k8s.io/v1/Event"
APISERVICE = "apiregistration.k8s.io/v1/APIService"
LEASE = "coordination.k8s.io/v1/Lease"
IPADDRESS = "networking.k8s.io/v1/IPAddress"
SERVICECIDR = "networking.k8s.io/v1/ServiceCIDR"
RUNTIMECLASS = "node.k8s.io/v1/RuntimeClass"

SOUND: dict[str, Any] = {
    HORIZONTALPODAUTOSCALER: {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
    },
    V1_HORIZONTALPODAUTOSCALER: {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
    },
    PODDISRUPTIONBUDGET: {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
    EVENT: {"involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}},
    EVENTS_EVENT: {
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "a.b/c",
        "reportingInstance": "i",
        "action": "Start",
        "reason": "Started",
        "type": "Normal",
        "note": "n",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
    },
    APISERVICE: {
        "metadata": {"name": "v1.a.b"},
        "spec": {
            "group": "a.b",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"name": "s", "namespace": "n"},
            "insecureSkipTLSVerify": True,
        },
    },
    LEASE: {"spec": {"leaseDurationSeconds": 15}},
    IPADDRESS: {
        "metadata": {"name": "10.0.0.1"},
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "s"}},
    },
    SERVICECIDR: {"spec": {"cidrs": ["10.0.0.0/24"]}},
    RUNTIMECLASS: {"handler": "runc"},
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind, SOUND[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.scaleTargetRef.kind",
            "",
            ["spec.scaleTargetRef.kind: Required value"],
            id="no target kind",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.scaleTargetRef.name",
            "a/b",
            ["spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'"],
            id="target name",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.maxReplicas",
            0,
            [
                "spec.maxReplicas: Required value: must be set and greater than 0",
                "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            ],
            id="no largest size",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.minReplicas",
            5,
            ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"],
            id="smallest beyond largest",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.minReplicas",
            0,
            [
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
            ],
            id="nothing at least",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [{"type": "Mood"}],
            [
                'spec.metrics[0].type: Unsupported value: "Mood": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
                'spec.metrics[0].type: Unsupported value: "Mood": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
            ],
            id="metric type",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [{"type": "Resource"}],
            ["spec.metrics[0].resource: Required value: must populate information for the given metric source"],
            id="metric without body",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                    "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}},
                }
            ],
            ["spec.metrics[0].pods: Forbidden: must populate the given metric source only"],
            id="metric with the body of another",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Guess", "averageUtilization": 50}}}],
            [
                'spec.metrics[0].resource.target.type: Invalid value: "Guess": must be either Utilization, Value, or AverageValue'
            ],
            id="target type",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}],
            [
                "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"
            ],
            id="resource without target",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}},
                }
            ],
            ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"],
            id="utilization of nothing",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 1, "averageValue": "1"},
                    },
                }
            ],
            [
                "spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization"
            ],
            id="resource with two targets",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [
                {
                    "type": "Resource",
                    "resource": {"name": "", "target": {"type": "Utilization", "averageUtilization": 1}},
                }
            ],
            ["spec.metrics[0].resource.name: Required value: must specify a resource name"],
            id="resource without name",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"}}}],
            ["spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue"],
            id="pods without average",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [
                {
                    "type": "Object",
                    "object": {
                        "metric": {"name": ""},
                        "describedObject": {"kind": "", "name": ""},
                        "target": {"type": "Value"},
                    },
                }
            ],
            [
                "spec.metrics[0].object.describedObject.kind: Required value",
                "spec.metrics[0].object.describedObject.name: Required value",
                "spec.metrics[0].object.metric.name: Required value: must specify a metric name",
                "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
            ],
            id="object with nothing",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [{"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value"}}}],
            [
                "spec.metrics[0].external.target.averageValue: Required value: must set either a target value for metric or a per-pod target"
            ],
            id="external without target",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.metrics",
            [
                {
                    "type": "ContainerResource",
                    "containerResource": {
                        "name": "cpu",
                        "container": "",
                        "target": {"type": "Utilization", "averageUtilization": 1},
                    },
                }
            ],
            ["spec.metrics[0].containerResource.container: Required value: must specify a container"],
            id="container resource without container",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.behavior",
            {"scaleDown": {"stabilizationWindowSeconds": 3601}},
            [
                "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600"
            ],
            id="window too long",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.behavior",
            {"scaleUp": {"stabilizationWindowSeconds": -1}},
            [
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero"
            ],
            id="negative window",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.behavior",
            {"scaleUp": {"selectPolicy": "Any"}},
            [
                'spec.behavior.scaleUp.selectPolicy: Unsupported value: "Any": supported values: "Disabled", "Max", "Min"'
            ],
            id="choice of policies",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.behavior",
            {"scaleUp": {"policies": [{"type": "Leap", "value": 1, "periodSeconds": 1}]}},
            ['spec.behavior.scaleUp.policies[0].type: Unsupported value: "Leap": supported values: "Percent", "Pods"'],
            id="policy type",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.behavior",
            {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 0}]}},
            [
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 0: must be greater than zero",
            ],
            id="policy of nothing",
        ),
        pytest.param(
            HORIZONTALPODAUTOSCALER,
            "spec.behavior",
            {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}},
            [
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"
            ],
            id="policy of half a day",
        ),
        pytest.param(
            V1_HORIZONTALPODAUTOSCALER,
            "spec.targetCPUUtilizationPercentage",
            0,
            ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"],
            id="utilization below one",
        ),
        pytest.param(
            PODDISRUPTIONBUDGET,
            "spec.maxUnavailable",
            1,
            [
                'spec: Invalid value: {"MinAvailable":1,"Selector":{"matchLabels":{"a":"b"}},"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set'
            ],
            id="both bounds",
        ),
        pytest.param(
            PODDISRUPTIONBUDGET,
            "spec.minAvailable",
            -1,
            ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
            id="negative bound",
        ),
        pytest.param(
            PODDISRUPTIONBUDGET,
            "spec.minAvailable",
            "101%",
            ['spec.minAvailable: Invalid value: "101%": must not be greater than 100%'],
            id="bound beyond all",
        ),
        pytest.param(
            PODDISRUPTIONBUDGET,
            "spec.unhealthyPodEvictionPolicy",
            "Sometimes",
            [
                'spec.unhealthyPodEvictionPolicy: Unsupported value: "Sometimes": supported values: "AlwaysAllow", "IfHealthyBudget"'
            ],
            id="eviction policy",
        ),
        pytest.param(
            EVENT,
            "involvedObject.namespace",
            "elsewhere",
            ['involvedObject.namespace: Invalid value: "elsewhere": does not match event.namespace'],
            id="event of another name space",
        ),
        pytest.param(
            EVENTS_EVENT,
            "reportingController",
            "",
            [
                "reportingController: Required value",
                'reportingController: Invalid value: "": name part must be non-empty',
                "reportingController: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ],
            id="no controller",
        ),
        pytest.param(
            EVENTS_EVENT,
            "reportingController",
            "a b",
            [
                "reportingController: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ],
            id="controller name",
        ),
        pytest.param(EVENTS_EVENT, "reportingInstance", "", ["reportingInstance: Required value"], id="no instance"),
        pytest.param(
            EVENTS_EVENT,
            "reportingInstance",
            "x" * 129,
            ['reportingInstance: Invalid value: "": can have at most 128 characters'],
            id="long instance",
        ),
        pytest.param(EVENTS_EVENT, "action", "", ["action: Required value"], id="no action"),
        pytest.param(
            EVENTS_EVENT,
            "action",
            "x" * 129,
            ['action: Invalid value: "": can have at most 128 characters'],
            id="long action",
        ),
        pytest.param(EVENTS_EVENT, "reason", "", ["reason: Required value"], id="no reason"),
        pytest.param(
            EVENTS_EVENT, "type", "Odd", ['type: Invalid value: "": has invalid value: Odd'], id="type of event"
        ),
        pytest.param(
            EVENTS_EVENT,
            "note",
            "x" * 1025,
            ['message: Invalid value: "": can have at most 1024 characters'],
            id="long note",
        ),
        pytest.param(EVENTS_EVENT, "eventTime", None, ["eventTime: Required value"], id="no time"),
        pytest.param(
            EVENTS_EVENT,
            "deprecatedCount",
            3,
            ['count: Invalid value: "": needs to be unset'],
            id="old field in a new event",
        ),
        pytest.param(
            APISERVICE,
            "metadata.name",
            "v2.a.b",
            ['metadata.name: Invalid value: "v2.a.b": must be `spec.version+"."+spec.group`: "v1.a.b"'],
            id="name beside version and group",
        ),
        pytest.param(
            APISERVICE,
            "spec.groupPriorityMinimum",
            0,
            ["spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000"],
            id="no group priority",
        ),
        pytest.param(
            APISERVICE,
            "spec.groupPriorityMinimum",
            20001,
            ["spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000"],
            id="group priority too high",
        ),
        pytest.param(
            APISERVICE,
            "spec.versionPriority",
            1001,
            ["spec.versionPriority: Invalid value: 1001: must be positive and less than 1000"],
            id="version priority too high",
        ),
        pytest.param(
            APISERVICE, "spec.service.name", "", ["spec.service.name: Required value"], id="service without name"
        ),
        pytest.param(
            APISERVICE,
            "spec.service.port",
            70000,
            ["spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive"],
            id="service port",
        ),
        pytest.param(
            APISERVICE,
            "spec.caBundle",
            "eA==",
            ["spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present"],
            id="checks left out though a bundle is given",
        ),
        pytest.param(
            LEASE,
            "spec.leaseDurationSeconds",
            0,
            ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
            id="no duration",
        ),
        pytest.param(
            LEASE,
            "spec.leaseTransitions",
            -1,
            ["spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"],
            id="negative transitions",
        ),
        pytest.param(IPADDRESS, "spec.parentRef", None, ["spec.parentRef: Required value"], id="no parent"),
        pytest.param(
            IPADDRESS,
            "spec.parentRef.resource",
            "",
            ["spec.parentRef.resource: Required value"],
            id="parent without resource",
        ),
        pytest.param(
            IPADDRESS, "spec.parentRef.name", "", ["spec.parentRef.name: Required value"], id="parent without name"
        ),
        pytest.param(
            SERVICECIDR, "spec.cidrs", [], ["spec.cidrs: Required value: at least one CIDR required"], id="no ranges"
        ),
        pytest.param(
            SERVICECIDR,
            "spec.cidrs",
            ["10.0.0.0/24", "fd00::/64", "10.1.0.0/24"],
            [
                'spec.cidrs: Invalid value: {"CIDRs":["10.0.0.0/24","fd00::/64","10.1.0.0/24"]}: may only hold up to 2 values'
            ],
            id="three ranges",
        ),
        pytest.param(
            SERVICECIDR,
            "spec.cidrs",
            ["10.0.0.0/24", "10.1.0.0/24"],
            [
                'spec.cidrs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
            ],
            id="two ranges of a family",
        ),
        pytest.param(
            SERVICECIDR,
            "spec.cidrs",
            ["10.0.0.1/24"],
            ['spec.cidrs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length'],
            id="range with host bits",
        ),
        pytest.param(
            RUNTIMECLASS,
            "handler",
            "A_b",
            [
                "handler: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
            id="handler",
        ),
        pytest.param(
            RUNTIMECLASS,
            "overhead",
            {"podFixed": {"cpu": "-1"}},
            ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
            id="negative overhead",
        ),
        pytest.param(
            RUNTIMECLASS,
            "scheduling",
            {"tolerations": [{"key": "k", "operator": "Exists"}] * 2},
            [
                'scheduling.tolerations[1]: Duplicate value: {"Key":"k","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}'
            ],
            id="tolerations twice",
        ),
    ],
)
def test_a_mistake_is_named(kind: str, path: str, value: Any, messages: list[str]) -> None:
    assert mistakes(build(kind, SOUND[kind], path, value)) == messages


SIGNED_WITH_SHA1 = (
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQlN6Q0J0UUlCQURBTU1Rb3dDQVlEVlFRRERBRmhNSUdmTUEw"
    "R0NTcUdTSWIzRFFFQkFRVUFBNEdOQURDQgppUUtCZ1FEVGcyOEYraE1UUHUxYmhSQi80cHRTRE9mSk91WUtMOFpjeFFpWXJCeXV5"
    "MDNTakR4dkRMZTlOa2MxCm80b0NoWndwQXhLbTUxbjQrUllCN3FIalQ2UTNDSERxRnpRUmQ4YlFMZ084S1duT01YZXNzbmZQVm5N"
    "eGkwRGoKU2hYVVl0M1poSkhqeUw0QXFHWVlxNlBnZ0I0NEdFY1ZRZGd1dVA3SEJ6d01lVUwzSlFJREFRQUJvQUF3RFFZSgpLb1pJ"
    "aHZjTkFRRUZCUUFEZ1lFQXpWRDJjMDhHTU1pajNIRTh3S05ETUR3TFBhZ1hONVJJNSsvZWZLK1BtTEN3CnFrUmRWait1VnNlU2ZO"
    "OTVCakxlNzVrN0hhblI1U2RxaWhOb2s3SGpZd2Vra0FZVCtZV3RVODZiNy92RnV1SGQKNDl6dnkzTG54R0tndXRTQk1XODhaTlhF"
    "N3VCNUV0WS9nS095Z2lhSWhQNmJYclFmaXFqMnNTS0NPWUtBM2IwPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
)


@pytest.mark.parametrize(
    "request_, why",
    [
        pytest.param(SIGNED_WITH_SHA1, "", id="an old signature counts"),
        pytest.param(
            base64.b64encode(base64.b64decode(SIGNED_WITH_SHA1).replace(b"5", b"6", 1)).decode(),
            "x509: invalid signature",
            id="a wrong one does not",
        ),
    ],
)
def test_a_signature(request_: str, why: str) -> None:
    assert request_error(request_) == why
