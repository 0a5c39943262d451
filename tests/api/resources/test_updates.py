"""Updates: what may not change, with upstream's path and words."""

from typing import Any

import pytest

from skiff.api.resources.builtin import by_kind

from .objects import build


@pytest.mark.parametrize(
    ("kind", "before", "path", "value", "messages"),
    [
        pytest.param(
            "discovery.k8s.io/v1/EndpointSlice",
            {"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.0.1"]}]},
            "addressType",
            "FQDN",
            ['addressType: Invalid value: "FQDN": field is immutable'],
            id="the type of addresses",
        ),
        pytest.param(
            "networking.k8s.io/v1/IngressClass",
            {"spec": {"controller": "a.b/c"}},
            "spec.controller",
            "d.e/f",
            ['spec.controller: Invalid value: "d.e/f": field is immutable'],
            id="a class's controller",
        ),
        pytest.param(
            "storage.k8s.io/v1/StorageClass",
            {"provisioner": "a.b/c", "parameters": {"k": "v"}},
            "parameters",
            {"l": "v", "k": "v"},
            ['parameters: Invalid value: {"k":"v","l":"v"}: field is immutable'],
            id="a class's parameters",
        ),
        pytest.param(
            "storage.k8s.io/v1/VolumeAttachment",
            {"spec": {"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "p"}}},
            "spec.nodeName",
            "m",
            [
                'spec: Invalid value: {"Attacher":"a.b","Source":{"PersistentVolumeName":"p","InlineVolumeSpec":null},"NodeName":"m"}: field is immutable'
            ],
            id="the node of an attachment",
        ),
        pytest.param(
            "storage.k8s.io/v1/CSINode",
            {"spec": {"drivers": [{"name": "d.e", "nodeID": "n"}]}},
            "spec.drivers.0.nodeID",
            "m",
            [
                'spec.drivers: Invalid value: {"Name":"d.e","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable'
            ],
            id="the node of a driver",
        ),
        pytest.param(
            "node.k8s.io/v1/RuntimeClass",
            {"handler": "runc"},
            "handler",
            "kata",
            ['handler: Invalid value: "kata": field is immutable'],
            id="a handler",
        ),
        pytest.param(
            "networking.k8s.io/v1/ServiceCIDR",
            {"spec": {"cidrs": ["10.0.0.0/24"]}},
            "spec.cidrs.0",
            "10.1.0.0/24",
            ['spec.cidrs[0]: Invalid value: "10.1.0.0/24": field is immutable'],
            id="the only range",
        ),
        pytest.param(
            "networking.k8s.io/v1/ServiceCIDR",
            {"spec": {"cidrs": ["10.0.0.0/24"]}},
            "spec.cidrs",
            ["10.0.0.0/24", "fd00::/112"],
            [],
            id="a second family",
        ),
        pytest.param(
            "networking.k8s.io/v1/IPAddress",
            {"spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "s"}}},
            "spec.parentRef.name",
            "t",
            [
                'spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"default","Name":"t"}: field is immutable'
            ],
            id="whose address it is",
        ),
        pytest.param(
            "apps/v1/ControllerRevision",
            {"revision": 1, "data": {"a": 1}},
            "data",
            None,
            ["data: Invalid value: null: field is immutable"],
            id="what a revision holds",
        ),
        pytest.param(
            "v1/ResourceQuota",
            {"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}},
            "spec.scopes",
            None,
            ["spec.scopes: Invalid value: null: field is immutable"],
            id="what a quota counts",
        ),
        pytest.param(
            "scheduling.k8s.io/v1/PriorityClass",
            {"value": 5},
            "value",
            6,
            ["value: Forbidden: may not be changed in an update."],
            id="a priority",
        ),
        pytest.param(
            "scheduling.k8s.io/v1/PriorityClass",
            {"value": 5},
            "preemptionPolicy",
            "Never",
            ['preemptionPolicy: Invalid value: "Never": field is immutable'],
            id="whom a class pushes aside",
        ),
        pytest.param(
            "events.k8s.io/v1/Event",
            {
                "eventTime": "2026-01-01T00:00:00.000000Z",
                "reportingController": "a.b/c",
                "reportingInstance": "i",
                "action": "Start",
                "reason": "Started",
                "type": "Normal",
                "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
            },
            "action",
            "Stop",
            ['action: Invalid value: "Stop": field is immutable'],
            id="what happened",
        ),
    ],
)
def test_what_may_not_change(kind: str, before: Any, path: str, value: Any, messages: list[str]) -> None:
    old, new = build(kind, before), build(kind, before, path, value)
    record = by_kind[old["apiVersion"], old["kind"]]
    assert [str(e) for e in (*record.validate(new), *record.validate_update(new, old))] == messages
