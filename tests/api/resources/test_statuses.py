"""Mistakes in what controllers write into a status, with upstream's paths and words."""

from typing import Any

import pytest

from skiff.api.resources.builtin import by_kind

TIME = "2026-01-01T00:00:00Z"
SOUND = {"type": "a", "status": "True", "reason": "R", "lastTransitionTime": TIME, "message": ""}


def ingress(**point: str) -> Any:
    return {"loadBalancer": {"ingress": [point]}}


CASES = [
    pytest.param("apps/v1", "Deployment", {"replicas": 1, "readyReplicas": 2}, ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"], id="more ready than there are"),
    pytest.param("apps/v1", "Deployment", {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}, ["status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"], id="more available than ready"),
    pytest.param("apps/v1", "StatefulSet", {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}, ["status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas"], id="of a stateful set"),
    pytest.param("v1", "ReplicationController", {"replicas": 1, "fullyLabeledReplicas": 2}, ["status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas"], id="more labelled than there are"),
    pytest.param("apps/v1", "DaemonSet", {"numberReady": -1}, ["status.numberReady: Invalid value: -1: must be greater than or equal to 0"], id="less than nothing"),
    pytest.param("apps/v1", "DaemonSet", {"collisionCount": 1}, ["status.collisionCount: Invalid value: 1: cannot be decremented"], id="fewer collisions"),
    pytest.param("policy/v1", "PodDisruptionBudget", {"conditions": [SOUND | {"status": "Maybe"}]}, ['status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"'], id="a condition's status"),
    pytest.param("policy/v1", "PodDisruptionBudget", {"conditions": [{"type": "a", "status": "True"}]}, ["status.conditions[0].lastTransitionTime: Required value", "status.conditions[0].reason: Required value"], id="a condition's reason and time"),
    pytest.param("policy/v1", "PodDisruptionBudget", {"conditions": [SOUND, SOUND]}, ['status.conditions[1].type: Duplicate value: "a"'], id="a condition twice"),
    pytest.param("networking.k8s.io/v1", "Ingress", ingress(ip="x"), ['status.loadBalancer.ingress[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'], id="no address"),
    pytest.param("networking.k8s.io/v1", "Ingress", ingress(hostname="10.0.0.1"), ['status.loadBalancer.ingress[0].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'], id="an address as a name"),
    pytest.param("v1", "Service", ingress(ip="10.0.0.1"), ["status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set"], id="how the address is reached"),
    pytest.param("v1", "Service", ingress(ip="10.0.0.1", ipMode="x"), ['status.loadBalancer.ingress[0].ipMode: Unsupported value: "x": supported values: "Proxy", "VIP"'], id="a way that is none"),
    pytest.param("v1", "ResourceQuota", {"used": {"apples": "1"}}, ['status.used[apples]: Invalid value: "apples": must be a standard resource for quota'], id="use of something unknown"),
    pytest.param("v1", "Node", {"declaredFeatures": ["b", "A"]}, ['status.declaredFeatures[0]: Invalid value: "b": invalid feature name "b": must start', 'status.declaredFeatures[1]: Invalid value: "A": list must be sorted'], id="features of a node"),
    pytest.param("v1", "PersistentVolumeClaim", {"allocatedResourceStatuses": {"storage": "x"}}, ['status.allocatedResourceStatuses: Unsupported value: "storage": supported values: "ControllerResizeInProgress"'], id="how far a claim's growth is"),
]  # fmt: skip


@pytest.mark.parametrize("version, kind, status, beginnings", CASES)
def test_a_mistake_in_a_status(version: str, kind: str, status: Any, beginnings: list[str]) -> None:
    old = {"metadata": {"name": "a"}, "spec": {"type": "LoadBalancer"}, "status": {"collisionCount": 2}}
    status = status if "collisionCount" in status else {"collisionCount": 2} | status
    found = [str(e) for e in by_kind[version, kind].validate_status_update({**old, "status": status}, old)]
    assert len(found) == len(beginnings)
    assert all(text.startswith(start) for text, start in zip(found, beginnings, strict=True)), found


AFFINITY = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "In", "values": ["a"]}]}]}}  # fmt: skip


@pytest.mark.parametrize(
    "key, count",
    [
        pytest.param("beta.kubernetes.io/os", 0, id="the same"),
        pytest.param("kubernetes.io/os", 0, id="the label's new name"),
        pytest.param("zone", 1, id="another label"),
    ],
)
def test_where_a_volume_is_stays(key: str, count: int) -> None:
    requirement = {"key": key, "operator": "In", "values": ["a"]}
    new = {"required": {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}}
    check = by_kind["v1", "PersistentVolume"].validate_update
    found = check({"spec": {"nodeAffinity": new}}, {"spec": {"nodeAffinity": AFFINITY}})
    assert [e.path for e in found] == ["nodeAffinity"] * count
    assert all('"MatchFields":null' in str(e) and "beta label to GA" in str(e) for e in found)
