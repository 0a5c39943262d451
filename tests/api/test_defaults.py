"""Defaults, field by field, as upstream's pkg/apis/*/v1/defaults.go gives them."""

import copy
from typing import Any

import pytest

from skiff.api.resources.builtin import by_kind
from skiff.api.resources.core.pod_defaults import pull_policy

CONTAINER: dict[str, Any] = {"name": "c", "image": "busybox:1"}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}


def defaulted(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **copy.deepcopy(fields)}
    by_kind[api_version, kind].default(obj)
    return obj


def pod(**spec: Any) -> dict[str, Any]:
    spec.setdefault("containers", [CONTAINER])
    return defaulted("v1", "Pod", spec=spec)["spec"]  # type: ignore[no-any-return]


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{**CONTAINER, **fields}])["containers"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        pytest.param("busybox", "Always", id="no tag"),
        pytest.param("busybox:latest", "Always", id="latest"),
        pytest.param("busybox:1.36", "IfNotPresent", id="a tag"),
        pytest.param("localhost:5000/busybox", "Always", id="a port is no tag"),
        pytest.param("localhost:5000/busybox:v1", "IfNotPresent", id="a port and a tag"),
        pytest.param("busybox@sha256:" + "0" * 64, "IfNotPresent", id="a digest"),
        pytest.param("busybox:latest@sha256:" + "0" * 64, "Always", id="latest with a digest"),
        pytest.param("", "IfNotPresent", id="nothing"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_pod_spec() -> None:
    assert pod() == {
        "containers": [
            {
                **CONTAINER,
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }


def test_templates_do_not_get_what_only_pods_get() -> None:
    limited = {**CONTAINER, "resources": {"limits": {"cpu": "1"}}}
    template = {**TEMPLATE, "spec": {"containers": [limited]}}
    spec = defaulted("apps/v1", "ReplicaSet", spec={"template": template})["spec"]["template"]["spec"]
    assert "enableServiceLinks" not in spec
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"httpGet": {"port": 80}},
            {
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            id="an http probe",
        ),
        pytest.param(
            {"grpc": {"port": 1}, "periodSeconds": 5, "failureThreshold": 0},
            {
                "grpc": {"port": 1, "service": ""},
                "timeoutSeconds": 1,
                "periodSeconds": 5,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            id="a grpc probe; zero counts as unset",
        ),
    ],
)
def test_probes(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert container(readinessProbe=given)["readinessProbe"] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, {"emptyDir": {}}, id="no source is an emptyDir"),
        pytest.param({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}, id="config map"),
        pytest.param(
            {"secret": {"secretName": "s", "defaultMode": 0}},
            {"secret": {"secretName": "s", "defaultMode": 0}},
            id="mode 0",
        ),
        pytest.param({"hostPath": {"path": "/"}}, {"hostPath": {"path": "/", "type": ""}}, id="host path"),
        pytest.param(
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                    "defaultMode": 420,
                }
            },
            id="projected token",
        ),
        pytest.param(
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}],
                    "defaultMode": 420,
                }
            },
            id="downward API",
        ),
        pytest.param(
            {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": "Filesystem"}}}},
            id="ephemeral claim",
        ),
        pytest.param(
            {"image": {"reference": "i"}}, {"image": {"reference": "i", "pullPolicy": "Always"}}, id="image volume"
        ),
    ],
)
def test_volumes(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert pod(volumes=[{"name": "v", **given}])["volumes"] == [{"name": "v", **expected}]


def test_environment() -> None:
    env = [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    assert [v["valueFrom"] for v in container(env=env)["env"]] == [
        {"fieldRef": {"fieldPath": "status.podIP", "apiVersion": "v1"}},
        {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
    ]


def test_requests_follow_limits() -> None:
    resources = container(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})["resources"]
    assert resources["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_pod_level_requests_come_from_containers_or_limits() -> None:
    asking = {**CONTAINER, "resources": {"requests": {"cpu": "250m"}}}
    spec = pod(containers=[asking, {**asking, "name": "d"}], resources={"limits": {"cpu": "2", "memory": "1Gi"}})
    assert spec["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_amounts_finer_than_a_thousandth_are_rounded_up() -> None:
    assert container(resources={"limits": {"cpu": "100u"}})["resources"]["limits"] == {"cpu": "1m"}


def test_host_network_ports_and_protocols() -> None:
    ports = [{"containerPort": 80}]
    assert container(ports=ports)["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    spec = pod(hostNetwork=True, containers=[{**CONTAINER, "ports": ports}])
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]


@pytest.mark.parametrize("name", ["serviceAccount", "serviceAccountName"])
def test_the_service_account_has_two_names(name: str) -> None:
    spec = pod(**{name: "robot"})
    assert (spec["serviceAccount"], spec["serviceAccountName"]) == ("robot", "robot")


@pytest.mark.parametrize(
    ("api_version", "kind", "given", "expected"),
    [
        pytest.param(
            "apps/v1",
            "Deployment",
            {},
            {
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            },
            id="deployment",
        ),
        pytest.param(
            "apps/v1",
            "Deployment",
            {"strategy": {"type": "Recreate"}, "replicas": 0},
            {"strategy": {"type": "Recreate"}, "replicas": 0},
            id="recreate; zero replicas",
        ),
        pytest.param(
            "apps/v1",
            "DaemonSet",
            {},
            {
                "revisionHistoryLimit": 10,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            },
            id="daemon set",
        ),
        pytest.param(
            "apps/v1",
            "StatefulSet",
            {},
            {
                "replicas": 1,
                "podManagementPolicy": "OrderedReady",
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            },
            id="stateful set",
        ),
        pytest.param(
            "batch/v1",
            "Job",
            {"template": TEMPLATE},
            {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
                "manualSelector": False,
            },
            id="job",
        ),
        pytest.param(
            "batch/v1",
            "Job",
            {"parallelism": 3, "backoffLimitPerIndex": 1, "podFailurePolicy": {"rules": []}},
            {"parallelism": 3, "completions": None, "backoffLimit": 2147483647},
            id="work queue job",
        ),
        pytest.param(
            "batch/v1",
            "CronJob",
            {},
            {
                "concurrencyPolicy": "Allow",
                "suspend": False,
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 1,
            },
            id="cron job",
        ),
        pytest.param(
            "v1",
            "Service",
            {"ports": [{"port": 80}]},
            {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "externalTrafficPolicy": None,
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            },
            id="service",
        ),
        pytest.param(
            "v1",
            "Service",
            {"type": "LoadBalancer", "sessionAffinity": "ClientIP"},
            {
                "externalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": True,
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
            },
            id="load balancer with affinity",
        ),
        pytest.param(
            "v1",
            "Service",
            {"type": "ExternalName"},
            {"internalTrafficPolicy": None},
            id="external name has no policies",
        ),
        pytest.param(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"egress": [{"ports": [{"port": 53}]}]},
            {"policyTypes": ["Ingress", "Egress"], "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}]},
            id="network policy",
        ),
        pytest.param(
            "v1",
            "PersistentVolume",
            {},
            {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
            id="persistent volume",
        ),
        pytest.param(
            "v1",
            "LimitRange",
            {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]},
            {
                "limits": [
                    {
                        "type": "Container",
                        "max": {"cpu": "2"},
                        "min": {"memory": "1Mi"},
                        "default": {"cpu": "2"},
                        "defaultRequest": {"memory": "1Mi", "cpu": "2"},
                    }
                ]
            },
            id="limit range",
        ),
        pytest.param(
            "storage.k8s.io/v1",
            "CSIDriver",
            {},
            {"attachRequired": True, "podInfoOnMount": False, "volumeLifecycleModes": ["Persistent"]},
            id="CSI driver",
        ),
        pytest.param(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            {"names": {"kind": "Foo", "plural": "foos"}},
            {
                "names": {"kind": "Foo", "plural": "foos", "singular": "foo", "listKind": "FooList"},
                "conversion": {"strategy": "None"},
            },
            id="CRD",
        ),
        pytest.param(
            "flowcontrol.apiserver.k8s.io/v1", "FlowSchema", {}, {"matchingPrecedence": 1000}, id="flow schema"
        ),
    ],
)
def test_specs(api_version: str, kind: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = defaulted(api_version, kind, spec=given)["spec"]
    assert {k: spec.get(k) for k in expected} == expected


def test_autoscaler_metrics_and_behavior() -> None:
    spec = defaulted(
        "autoscaling/v2", "HorizontalPodAutoscaler", spec={"behavior": {"scaleUp": {"selectPolicy": "Min"}}}
    )["spec"]
    assert spec["minReplicas"] == 1
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert spec["behavior"]["scaleUp"]["selectPolicy"] == "Min"
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert "stabilizationWindowSeconds" not in spec["behavior"]["scaleDown"]


def test_webhooks() -> None:
    hook = {"name": "a.b.c", "clientConfig": {"service": {"name": "s"}}, "rules": [{"operations": ["*"]}]}
    group = "admissionregistration.k8s.io/v1"
    found = defaulted(group, "MutatingWebhookConfiguration", webhooks=[hook])["webhooks"][0]
    assert (found["failurePolicy"], found["matchPolicy"], found["timeoutSeconds"]) == ("Fail", "Equivalent", 10)
    assert (found["reinvocationPolicy"], found["rules"][0]["scope"]) == ("Never", "*")
    assert found["clientConfig"]["service"]["port"] == 443


def test_small_kinds() -> None:
    labels = defaulted("v1", "Namespace")["metadata"]["labels"]
    assert labels == {"kubernetes.io/metadata.name": "x"}
    secret = defaulted("v1", "Secret", stringData={"a": "b"})
    assert (secret["type"], secret["data"], "stringData" in secret) == ("Opaque", {"a": "Yg=="}, False)
    binding = defaulted(
        "rbac.authorization.k8s.io/v1", "RoleBinding", subjects=[{"kind": "User"}, {"kind": "ServiceAccount"}]
    )
    assert [s.get("apiGroup") for s in binding["subjects"]] == ["rbac.authorization.k8s.io", None]
    node = defaulted("v1", "Node", spec={"podCIDR": "10.0.0.0/24"}, status={"capacity": {"cpu": "2"}})
    assert (node["spec"]["podCIDRs"], node["status"]["allocatable"]) == (["10.0.0.0/24"], {"cpu": "2"})
    slice_ = defaulted("discovery.k8s.io/v1", "EndpointSlice", ports=[{"port": 80}])
    assert slice_["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]
    assert defaulted("scheduling.k8s.io/v1", "PriorityClass")["preemptionPolicy"] == "PreemptLowerPriority"
