"""Disruption budgets, quotas, volumes, mirrored endpoints, aggregated roles: the smaller controllers' decisions."""

import pytest

from skiff.controllers import clusterroleaggregation, disruption, persistentvolume, resourcequota, volumeprotection
from skiff.controllers import endpointslicemirroring as mirroring
from tests.controllers.builders import NOON, at, controlled_by, meta, pod, service


def pdb(status=None, **spec):
    return {"metadata": meta("b", generation=1), "spec": spec, "status": status or {}}


def owned(name, by="rs", **more):
    return pod(name, ownerReferences=controlled_by("ReplicaSet", by), **more)


PODS = [owned("a"), owned("b"), owned("c", "rs2")]
SCALES = {"uid-rs": ("uid-d", 7), "uid-rs2": ("uid-d", 7)}
EXPECTED = [
    pytest.param({"minAvailable": 2}, PODS, (3, 2), id="a number counts the pods that are there"),
    pytest.param({"minAvailable": "50%"}, PODS, (7, 4), id="a percentage counts those wanted, rounded up"),
    pytest.param({"maxUnavailable": 1}, PODS, (7, 6), id="so does maxUnavailable"),
    pytest.param({"maxUnavailable": "30%"}, PODS, (7, 4), id="and its percentage"),
    pytest.param({"maxUnavailable": 9}, PODS, (7, 0), id="never less than none"),
    pytest.param({"maxUnavailable": 1}, [], (0, 0), id="no pods"),
]


@pytest.mark.parametrize("given, pods, expected", EXPECTED)
def test_expected(given, pods, expected):
    found = disruption.expected(pdb(**given), pods, SCALES)
    assert (found.pods, found.healthy) == expected


def test_unmanaged_pods_and_unknown_controllers():
    assert disruption.expected(pdb(maxUnavailable=1), [pod("loner")], {}).unmanaged == ("loner",)
    with pytest.raises(disruption.UnknownController, match='found no controllers for pod "a"'):
        disruption.expected(pdb(maxUnavailable=1), PODS, {})


def test_budget_status():
    pods = [owned("a", ready=0), owned("b", ready=0), owned("c", ready=0), owned("d", ready=0, deletionTimestamp=at(0))]
    given = pdb({"disruptedPods": {"c": at(-100), "gone": at(-5)}}, maxUnavailable=1)
    disrupted, again = disruption.still_disrupted(given, pods, NOON)
    assert (disrupted, again) == ({"c": at(-100)}, 20)
    found = disruption.next_status(given, pods, disruption.Expected(4, 3), disrupted, NOON)
    assert (found["currentHealthy"], found["disruptionsAllowed"]) == (2, 0)
    assert found["conditions"][0]["reason"] == "InsufficientPods"
    late = disruption.still_disrupted(given, pods, NOON + 21)
    assert late == ({}, None), "an eviction that did not happen is forgotten"
    failed = disruption.failed_status(given, "why", NOON)
    assert (failed["disruptionsAllowed"], failed["conditions"][0]["reason"]) == (0, "SyncFailed")


def asking(cpu, phase="Running", **spec):
    containers = [{"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}]
    return pod("p", phase=phase, spec={"containers": containers, **spec})


def quota(scopes=None, **hard):
    hard = {k.replace("_", "."): v for k, v in hard.items()}
    return {"metadata": meta("q"), "spec": {"hard": hard, **({"scopes": scopes} if scopes else {})}}


def test_quota_usage():
    given = quota(cpu="4", requests_cpu="4", limits_cpu="4", pods="9", secrets="3", services_nodeports="4")
    pods = [("pods", p) for p in (asking("100m"), asking("1"), asking("5", "Succeeded"))]
    web = {"metadata": meta("web"), "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]}}
    found = resourcequota.next_status(
        given, resourcequota.used(given, [*pods, ("services", web)], NOON), {"secrets": 2}
    )
    assert found["used"] == {
        "cpu": "1100m",
        "requests.cpu": "1100m",
        "limits.cpu": "1100m",
        "pods": "2",
        "secrets": "2",
        "services.nodeports": "1",
    }


def request(name, mode="ExactCount", count=1):
    return {"deviceClassName": name, "allocationMode": mode, **({"count": count} if mode == "ExactCount" else {})}


@pytest.mark.parametrize(
    "requests, devices",
    [
        pytest.param([{"exactly": request("gold", count=3)}, {"exactly": request("gold")}], "4", id="so many"),
        pytest.param([{"exactly": request("gold", "All")}], "32", id="all, at most"),
        pytest.param([{"exactly": request("tin", count=3)}], "0", id="of another class"),
        pytest.param(
            [{"firstAvailable": [request("gold", count=2), request("gold", count=5), request("tin")]}],
            "5",
            id="the most of alternatives",
        ),
    ],
)
def test_devices_of_claims(requests, devices):
    """Source: pkg/quota/v1/evaluator/core/resource_claims.go."""
    key = "gold.deviceclass.resource.k8s.io/devices"
    claim = {"metadata": meta("c"), "spec": {"devices": {"requests": requests}}}
    bounds = {"metadata": meta("q"), "spec": {"hard": {key: "9", "count/resourceclaims.resource.k8s.io": "9"}}}
    used = resourcequota.used(bounds, [("resourceclaims.resource.k8s.io", claim)], NOON)
    assert resourcequota.next_status(bounds, used, {})["used"] == {
        key: devices,
        "count/resourceclaims.resource.k8s.io": "1",
    }


SCOPES = [
    pytest.param(["BestEffort"], pod("p"), "1", id="best effort"),
    pytest.param(["NotBestEffort"], pod("p"), "0", id="not best effort"),
    pytest.param(["Terminating"], asking("1", activeDeadlineSeconds=5), "1", id="with a deadline"),
    pytest.param(["NotTerminating", "NotBestEffort"], asking("1"), "1", id="two scopes"),
    pytest.param(["NotTerminating", "BestEffort"], asking("1"), "0", id="one of two"),
]


@pytest.mark.parametrize("scopes, given, expected", SCOPES)
def test_quota_scopes(scopes, given, expected):
    bounds = quota(scopes, pods="9")
    found = resourcequota.next_status(bounds, resourcequota.used(bounds, [("pods", given)], NOON), {})
    assert found["used"] == {"pods": expected}


@pytest.mark.parametrize(
    "old, new, expected",
    [
        pytest.param(asking("1"), asking("1", nodeName="n"), False, id="bound to a node"),
        pytest.param(asking("1"), asking("1", "Succeeded"), True, id="ended"),
        pytest.param(asking("2"), asking("1"), True, id="resized to less"),
        pytest.param(asking("1"), asking("2"), False, id="resized to more, which admission has booked"),
        pytest.param(asking("1"), asking("1", activeDeadlineSeconds=5), True, id="in another scope"),
    ],
)
def test_what_frees_quota(old, new, expected):
    assert resourcequota.frees("pods", old, new) is expected


def volume(name, size, *, ref=None, phase="Available", **spec):
    fixed = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **spec}
    if ref:
        fixed["claimRef"] = ref
    return {"metadata": meta(name, ""), "spec": fixed, "status": {"phase": phase}}


def claim(**spec):
    fixed = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    return {"metadata": meta("c"), "spec": {**fixed, **spec}, "status": {}}


MINE = {"namespace": "default", "name": "c"}
OTHER = {"namespace": "default", "name": "x", "uid": "uid-x"}
VOLUMES = [volume("large", "9Gi"), volume("fit", "2Gi"), volume("small", "1Gi")]
CHOICES = [
    pytest.param(claim(), VOLUMES, "fit", id="the smallest that fits"),
    pytest.param(claim(), [*VOLUMES, volume("mine", "9Gi", ref=MINE)], "mine", id="the one reserved for it"),
    pytest.param(claim(volumeName="large"), VOLUMES, "large", id="the one it names"),
    pytest.param(claim(volumeName="t"), [volume("t", "9Gi", ref=OTHER)], None, id="not another's"),
    pytest.param(claim(), [volume("t", "9Gi", phase="Released")], None, id="not a released one"),
    pytest.param(claim(storageClassName="fast"), VOLUMES, None, id="not of another class"),
    pytest.param(claim(accessModes=["ReadWriteMany"]), VOLUMES, None, id="not without the access mode"),
    pytest.param(claim(volumeMode="Block"), VOLUMES, None, id="not of another mode"),
    pytest.param(claim(selector={"matchLabels": {"x": "y"}}), VOLUMES, None, id="not without the labels"),
]


@pytest.mark.parametrize("given, volumes, expected", CHOICES)
def test_choose_a_volume(given, volumes, expected):
    found = persistentvolume.choose(given, volumes)
    assert (found and found["metadata"]["name"]) == expected


PHASES = [
    pytest.param(volume("v", "1Gi"), None, "Available", id="free"),
    pytest.param(volume("v", "1Gi", ref=MINE), None, "Available", id="reserved"),
    pytest.param(volume("v", "1Gi", ref={**MINE, "uid": "uid-c"}), claim(), "Bound", id="bound"),
    pytest.param(volume("v", "1Gi", ref={**MINE, "uid": "old"}), claim(), "Released", id="its claim was another one"),
    pytest.param(
        volume("v", "1Gi", ref=OTHER, persistentVolumeReclaimPolicy="Delete"), None, "Failed", id="nobody can delete it"
    ),
]


@pytest.mark.parametrize("given, bound, expected", PHASES)
def test_volume_phase(given, bound, expected):
    assert persistentvolume.volume_phase(given, bound)[0] == expected


def test_which_pods_hold_claims():
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "e", "ephemeral": {}},
        {"name": "x"},
    ]
    given = pod("p", spec={"volumes": [*volumes[:1], {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}}]})
    assert volumeprotection.claims_of(given) == ["default/c", "default/p-e"]
    assert volumeprotection.uses(given)
    assert not volumeprotection.uses(pod("p", node=""))
    assert not volumeprotection.uses(pod("p", phase="Succeeded"))


MIRRORED = [
    pytest.param({}, {"selector": None}, True, id="a service without a selector"),
    pytest.param({}, {}, False, id="one with a selector has slices of its own"),
    pytest.param(
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, {"selector": None}, False, id="skipped"
    ),
]


@pytest.mark.parametrize("metadata, spec, expected", MIRRORED)
def test_what_is_mirrored(metadata, spec, expected):
    assert mirroring.is_mirrored({"metadata": meta("web", **metadata)}, service(**spec)) is expected


def test_mirrored_endpoints():
    given = {
        "metadata": meta("web"),
        "subsets": [
            {
                "addresses": [{"ip": "1.2.3.4", "hostname": "h"}, {"ip": "fd00::1"}, {"ip": "nonsense"}],
                "notReadyAddresses": [{"ip": "1.2.3.5"}],
                "ports": [{"port": 80}],
            }
        ],
    }
    found = mirroring.desired(given)
    assert [(e["addresses"], e["conditions"]["ready"]) for _, e in found["IPv4"]] == [
        (["1.2.3.4"], True),
        (["1.2.3.5"], False),
    ]
    assert [e["addresses"] for _, e in found["IPv6"]] == [["fd00::1"]]
    assert found["IPv4"][0][0] == [{"name": "", "port": 80, "protocol": "TCP"}]


def test_aggregated_roles():
    def role(name, rules, **labels):
        return {"metadata": meta(name, "", labels=labels), "rules": rules}

    view = {
        "metadata": meta("view", ""),
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]},
    }
    roles = [
        role("b", [{"verbs": ["get"]}, {"verbs": ["list"]}], to="view"),
        role("a", [{"verbs": ["get"]}], to="view"),
    ]
    assert clusterroleaggregation.aggregated(view, [*roles, role("c", [{"verbs": ["x"]}])]) == [
        {"verbs": ["get"]},
        {"verbs": ["list"]},
    ]
