"""Validation: one mistake at a time, upstream's path and words. A sound object of each kind is in SOUND."""

import copy
from typing import Any

import pytest

from skiff.api.resources.batch_checks import schedule_error
from skiff.api.resources.builtin import by_kind
from skiff.api.types import Obj

CONTAINER: Obj = {"name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "http"}]}
TEMPLATE: Obj = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [CONTAINER]}}
SELECTOR: Obj = {"matchLabels": {"app": "a"}}
BATCH = {"template": {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}}
REFERENCE = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}

SOUND: dict[str, Obj] = {
    "v1/Pod": {"spec": {"containers": [CONTAINER], "volumes": [{"name": "v", "emptyDir": {}}]}},
    "v1/Service": {"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
    "v1/ConfigMap": {"data": {"k": "v"}},
    "v1/Secret": {"data": {"k": "dg=="}},
    "v1/Namespace": {},
    "v1/Node": {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}},
    "v1/Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "v1/LimitRange": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}},
    "v1/ResourceQuota": {"spec": {"hard": {"pods": "10"}}},
    "v1/ReplicationController": {"spec": {"selector": {"app": "a"}, "template": TEMPLATE}},
    "v1/PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "v1/PersistentVolume": {
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    },
    "apps/v1/Deployment": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "apps/v1/ReplicaSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "apps/v1/DaemonSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "apps/v1/StatefulSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE, "serviceName": "s"}},
    "batch/v1/Job": {"spec": BATCH},
    "batch/v1/CronJob": {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": BATCH}}},
    "networking.k8s.io/v1/Ingress": {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    "networking.k8s.io/v1/NetworkPolicy": {"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}},
    "autoscaling/v2/HorizontalPodAutoscaler": {"spec": {"maxReplicas": 3, "scaleTargetRef": REFERENCE}},
    "policy/v1/PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    "rbac.authorization.k8s.io/v1/Role": {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]},
    "rbac.authorization.k8s.io/v1/RoleBinding": {
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "u"}],
    },
    "coordination.k8s.io/v1/Lease": {"spec": {"leaseDurationSeconds": 15}},
    "discovery.k8s.io/v1/EndpointSlice": {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]},
    "storage.k8s.io/v1/StorageClass": {"provisioner": "a.b/c"},
    "scheduling.k8s.io/v1/PriorityClass": {"value": 5},
    "node.k8s.io/v1/RuntimeClass": {"handler": "runc"},
    "apiextensions.k8s.io/v1/CustomResourceDefinition": {
        "metadata": {"name": "foos.a.b"},
        "spec": {
            "group": "a.b",
            "scope": "Namespaced",
            "names": {"plural": "foos", "kind": "Foo"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    },
}


def build(kind: str, *changes: tuple[str, Any]) -> Obj:
    """A sound object with changes ("spec.containers.0.name", value; None removes), defaulted and prepared."""
    api_version, _, name = kind.rpartition("/")
    obj: Obj = {"apiVersion": api_version, "kind": name, **copy.deepcopy(SOUND[kind])}
    obj["metadata"] = {"name": "x", "uid": "u", **obj.get("metadata", {})}
    for path, value in changes:
        *parents, last = path.split(".")
        here: Any = obj
        for part in parents:
            here = here[int(part)] if part.isdigit() else here.setdefault(part, {})
        if value is None:
            here.pop(last, None)
        else:
            here[int(last) if last.isdigit() else last] = copy.deepcopy(value)
    record = by_kind[api_version, name]
    record.default(obj)
    record.prepare(obj, None)
    return obj


def mistakes(obj: Obj) -> list[str]:
    record = by_kind[obj["apiVersion"], obj["kind"]]
    return [str(e) for e in (*record.validate(obj), *record.validate_create(obj))]


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind)) == []


MOUNT = {"name": "v", "mountPath": "/v"}
POD, DEPLOYMENT, SERVICE = "v1/Pod", "apps/v1/Deployment", "v1/Service"
C = "spec.containers.0"


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        pytest.param(POD, "spec.containers", [], "spec.containers: Required value", id="no containers"),
        pytest.param(POD, f"{C}.image", "", "spec.containers[0].image: Required value", id="no image"),
        pytest.param(
            POD,
            f"{C}.image",
            " i",
            'spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace',
            id="white space around an image",
        ),
        pytest.param(
            POD,
            "spec.containers",
            [CONTAINER, CONTAINER | {"ports": []}],
            'spec.containers[1].name: Duplicate value: "c"',
            id="two containers of one name",
        ),
        pytest.param(
            POD,
            "spec.restartPolicy",
            "Sometimes",
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
            id="restart policy",
        ),
        pytest.param(
            POD,
            f"{C}.ports.0.containerPort",
            70000,
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            id="port too large",
        ),
        pytest.param(
            POD,
            f"{C}.volumeMounts",
            [{"name": "w", "mountPath": "/w"}],
            'spec.containers[0].volumeMounts[0].name: Not found: "w"',
            id="mount of an unknown volume",
        ),
        pytest.param(
            POD,
            f"{C}.volumeMounts",
            [MOUNT, MOUNT],
            'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique',
            id="two mounts at one path",
        ),
        pytest.param(
            POD,
            "spec.volumes.0.hostPath",
            {"path": "/"},
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
            id="a volume of two types",
        ),
        pytest.param(
            POD,
            f"{C}.resources",
            {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}},
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
            id="request above limit",
        ),
        pytest.param(
            POD,
            f"{C}.resources",
            {"limits": {"cups": "1"}},
            'spec.containers[0].resources.limits[cups]: Invalid value: "cups": must be a standard resource type or fully qualified',
            id="a resource that is none",
        ),
        pytest.param(
            POD,
            f"{C}.resources",
            {"limits": {"a.b/gpu": "500m"}},
            'spec.containers[0].resources.limits[a.b/gpu]: Invalid value: "500m": must be an integer',
            id="half a device",
        ),
        pytest.param(
            POD,
            f"{C}.livenessProbe",
            {},
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
            id="a probe of nothing",
        ),
        pytest.param(
            POD,
            f"{C}.livenessProbe",
            {"tcpSocket": {"port": 1}, "successThreshold": 2},
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            id="success threshold",
        ),
        pytest.param(
            POD,
            f"{C}.env",
            [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
            id="a variable with two values",
        ),
        pytest.param(
            POD,
            f"{C}.env",
            [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}}],
            'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nothing": '
            "error converting fieldPath: field label not supported: spec.nothing",
            id="an unknown field",
        ),
        pytest.param(
            POD,
            "spec.initContainers",
            [{"name": "i", "image": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}],
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            id="a probe of an init container",
        ),
        pytest.param(
            POD,
            "spec.tolerations",
            [{"operator": "Equal", "value": "v"}],
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, '
            'which means "match all values and all keys"',
            id="toleration without key",
        ),
        pytest.param(
            POD,
            "spec.topologySpreadConstraints",
            [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}],
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            id="skew of zero",
        ),
        pytest.param(
            POD,
            "spec.dnsPolicy",
            "None",
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            id="no DNS at all",
        ),
        pytest.param(
            POD,
            "spec.ephemeralContainers",
            [{"name": "e", "image": "i"}],
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
            id="ephemeral containers on create",
        ),
        pytest.param(
            POD,
            f"{C}.securityContext",
            {"allowPrivilegeEscalation": False, "privileged": True},
            'spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: '
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            id="privilege that may not escalate",
        ),
        pytest.param(
            DEPLOYMENT,
            "spec.template.metadata.labels",
            {"x": "y"},
            'spec.template.metadata.labels: Invalid value: {"x":"y"}: `selector` does not match template `labels`',
            id="a template that is not selected",
        ),
        pytest.param(
            DEPLOYMENT,
            "spec.selector",
            {},
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            id="an empty selector",
        ),
        pytest.param(
            DEPLOYMENT,
            "spec.strategy",
            {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            id="a strategy that cannot move",
        ),
        pytest.param(
            DEPLOYMENT,
            "spec.template.spec.restartPolicy",
            "Never",
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
            id="pods of a deployment restart",
        ),
        pytest.param(
            "apps/v1/DaemonSet",
            "spec.updateStrategy",
            {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
            id="surge and unavailable",
        ),
        pytest.param(
            "apps/v1/StatefulSet",
            "spec.podManagementPolicy",
            "Random",
            "spec.podManagementPolicy: Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'",
            id="pod management",
        ),
        pytest.param(
            "batch/v1/Job",
            "spec.template.spec.restartPolicy",
            "Always",
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
            id="pods of a job end",
        ),
        pytest.param(
            "batch/v1/CronJob",
            "spec.schedule",
            "61 * * * *",
            'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61',
            id="minute 61",
        ),
        pytest.param(SERVICE, "spec.ports", [], "spec.ports: Required value", id="a service without ports"),
        pytest.param(
            SERVICE,
            "spec.ports.0.nodePort",
            30000,
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            id="node port of a ClusterIP service",
        ),
        pytest.param(
            SERVICE,
            "spec.clusterIP",
            "nowhere",
            'spec.clusterIPs[0]: Invalid value: "nowhere": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            id="a cluster IP that is none",
        ),
        pytest.param(
            SERVICE,
            "spec.externalIPs",
            ["127.0.0.1"],
            'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
            id="loopback outside",
        ),
        pytest.param(SERVICE, "spec.type", "ExternalName", "spec.externalName: Required value", id="external name"),
        pytest.param(
            "v1/ConfigMap",
            "data",
            {"a/b": "c"},
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
            "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            id="a key with a slash",
        ),
        pytest.param("v1/Secret", "type", "kubernetes.io/tls", "data[tls.crt]: Required value", id="TLS secret"),
        pytest.param(
            "v1/LimitRange",
            "spec.limits.0.type",
            "Box",
            'spec.limits[0].type: Invalid value: "Box": must be a standard limit type or fully qualified',
            id="limits of something unknown",
        ),
        pytest.param(
            "v1/ReplicationController",
            "spec.selector.b",
            "no value!",
            'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
            id="a selector that can match nothing",
        ),
        pytest.param(
            "v1/Service",
            "spec.ports",
            [{"name": "a", "port": 80}, {"name": "b", "port": 80}],
            'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,'
            '"NodePort":0}',
            id="a port twice",
        ),
        pytest.param(
            "v1/Node",
            "spec.taints",
            [{"key": "k", "effect": "NoSchedule"}] * 2,
            'metadata.taints[1]: Duplicate value: {"Key":"k","Value":"","Effect":"NoSchedule","TimeAdded":null}: '
            "taints must be unique by key and effect pair",
            id="a taint twice",
        ),
        pytest.param(
            "v1/Node",
            "spec.taints.0.effect",
            "No",
            'metadata.taints[0].effect: Unsupported value: "No": supported values: '
            '"NoSchedule", "PreferNoSchedule", "NoExecute"',
            id="taint effect",
        ),
        pytest.param(
            "v1/Endpoints",
            "subsets.0.addresses.0.ip",
            "127.0.0.1",
            'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
            id="endpoint on loopback",
        ),
        pytest.param(
            "v1/LimitRange",
            "spec.limits.0.min",
            {"cpu": "3"},
            'spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2',
            id="min above max",
        ),
        pytest.param(
            "v1/ResourceQuota",
            "spec.hard",
            {"pods": "1500m"},
            'spec.hard[pods]: Invalid value: "1500m": must be an integer',
            id="one and a half pods",
        ),
        pytest.param(
            "v1/PersistentVolumeClaim",
            "spec.accessModes",
            [],
            "spec.accessModes: Required value: at least 1 access mode is required",
            id="claim without access mode",
        ),
        pytest.param(
            "v1/PersistentVolume",
            "spec.hostPath",
            None,
            "spec: Required value: must specify a volume type",
            id="volume without source",
        ),
        pytest.param(
            "networking.k8s.io/v1/Ingress",
            "spec.rules",
            [{"host": "a_b", "http": {"paths": []}}],
            "spec.rules[0].http.paths: Required value",
            id="ingress rule without paths",
        ),
        pytest.param(
            "networking.k8s.io/v1/NetworkPolicy",
            "spec.ingress.0.from.0",
            {"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.0.0/16"]}},
            'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/16": must be a strict subset of `cidr`',
            id="exception larger than the block",
        ),
        pytest.param(
            "autoscaling/v2/HorizontalPodAutoscaler",
            "spec.minReplicas",
            5,
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
            id="min above max replicas",
        ),
        pytest.param(
            "policy/v1/PodDisruptionBudget",
            "spec.maxUnavailable",
            "120%",
            'spec.maxUnavailable: Invalid value: "120%": must not be greater than 100%',
            id="more than all",
        ),
        pytest.param(
            "rbac.authorization.k8s.io/v1/Role",
            "rules.0.nonResourceURLs",
            ["/x"],
            'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
            id="URLs in a namespaced role",
        ),
        pytest.param(
            "rbac.authorization.k8s.io/v1/RoleBinding",
            "subjects.0.kind",
            "Robot",
            'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
            id="a subject of no kind",
        ),
        pytest.param(
            "coordination.k8s.io/v1/Lease",
            "spec.leaseDurationSeconds",
            0,
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            id="a lease of no time",
        ),
        pytest.param(
            "discovery.k8s.io/v1/EndpointSlice",
            "endpoints.0.addresses",
            ["::1"],
            'endpoints[0].addresses: Invalid value: "::1": must be an IPv4 address',
            id="IPv6 in an IPv4 slice",
        ),
        pytest.param(
            "storage.k8s.io/v1/StorageClass",
            "volumeBindingMode",
            "Later",
            'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"',
            id="binding mode",
        ),
        pytest.param(
            "scheduling.k8s.io/v1/PriorityClass",
            "value",
            2_000_000_000,
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
            id="a user's highest priority",
        ),
        pytest.param(
            "apiextensions.k8s.io/v1/CustomResourceDefinition",
            "metadata.name",
            "bars.a.b",
            'metadata.name: Invalid value: "bars.a.b": must be spec.names.plural+"."+spec.group',
            id="a CRD under another name",
        ),
        pytest.param(
            "apiextensions.k8s.io/v1/CustomResourceDefinition",
            "spec.versions.0.schema",
            None,
            "spec.versions[0].schema.openAPIV3Schema: Required value",
            id="a CRD without schema",
        ),
    ],
)
def test_one_mistake_in_upstreams_words(kind: str, path: str, value: Any, message: str) -> None:
    found = mistakes(build(kind, (path, value)))
    assert message in found, found


UPDATES = [
    pytest.param(POD, f"{C}.image", "other", "", id="an image may change"),
    pytest.param(
        POD, "spec.hostname", "h", "spec: Forbidden: pod updates may not change fields other than", id="hostname"
    ),
    pytest.param(
        POD,
        "spec.containers",
        [CONTAINER, {**CONTAINER, "name": "d", "ports": []}],
        "spec.containers: Forbidden: pod updates may not add or remove containers",
        id="another container",
    ),
    pytest.param(POD, "spec.tolerations", [{"operator": "Exists"}], "", id="tolerations may be added"),
    pytest.param(POD, "spec.activeDeadlineSeconds", 5, "", id="a deadline may be set"),
    pytest.param(
        DEPLOYMENT,
        "spec.selector",
        {"matchLabels": {"app": "b"}},
        "spec.selector: Invalid value",
        id="selector of a deployment",
    ),
    pytest.param(DEPLOYMENT, "spec.replicas", 5, "", id="replicas"),
    pytest.param(
        "apps/v1/StatefulSet",
        "spec.serviceName",
        "t",
        "spec: Forbidden: updates to statefulset spec",
        id="service name",
    ),
    pytest.param(
        "batch/v1/Job",
        "spec.template.spec.containers.0.image",
        "j",
        "spec.template: Invalid value",
        id="template of a running job",
    ),
    pytest.param("batch/v1/Job", "spec.suspend", True, "", id="a job may be suspended"),
    pytest.param("v1/Secret", "type", "a/b", 'type: Invalid value: "a/b": field is immutable', id="type of a secret"),
    pytest.param(
        "v1/PersistentVolumeClaim",
        "spec.accessModes",
        ["ReadOnlyMany"],
        "spec: Forbidden: spec is immutable after creation",
        id="access modes of a claim",
    ),
    pytest.param("v1/PersistentVolumeClaim", "spec.volumeName", "pv", "", id="a claim is bound once"),
    pytest.param(
        "v1/PersistentVolume",
        "spec.hostPath",
        {"path": "/y"},
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
        id="source of a volume",
    ),
    pytest.param(
        "rbac.authorization.k8s.io/v1/RoleBinding",
        "roleRef",
        {"kind": "ClusterRole", "name": "r"},
        "roleRef: Invalid value",
        id="role of a binding",
    ),
    pytest.param(
        "storage.k8s.io/v1/StorageClass",
        "provisioner",
        "x.y/z",
        'provisioner: Invalid value: "x.y/z": field is immutable',
        id="provisioner",
    ),
    pytest.param(
        "discovery.k8s.io/v1/EndpointSlice",
        "addressType",
        "IPv6",
        'addressType: Invalid value: "IPv6": field is immutable',
        id="address type",
    ),
    pytest.param("node.k8s.io/v1/RuntimeClass", "handler", "kata", "handler: Invalid value", id="handler"),
]


@pytest.mark.parametrize(("kind", "path", "value", "message"), UPDATES)
def test_what_may_change(kind: str, path: str, value: Any, message: str) -> None:
    old, new = build(kind), build(kind, (path, value))
    new["metadata"]["resourceVersion"] = "1"
    found = [str(e) for e in by_kind[new["apiVersion"], new["kind"]].validate_update(new, old)]
    if not message:
        assert found == []
    else:
        assert any(f.startswith(message) for f in found), found


def test_an_immutable_config_map_stays() -> None:
    old = build("v1/ConfigMap", ("immutable", True))
    new = build("v1/ConfigMap", ("data", {"k": "w"}))
    found = [str(e) for e in by_kind["v1", "ConfigMap"].validate_update(new, old)]
    why = "Forbidden: field is immutable when `immutable` is set"
    assert found == [f"immutable: {why}", f"data: {why}"]


def test_a_service_keeps_its_address_and_what_was_allocated() -> None:
    service = by_kind["v1", "Service"]
    old = build(SERVICE, ("spec.clusterIP", "10.96.0.5"), ("spec.type", "NodePort"), ("spec.ports.0.nodePort", 30001))
    new = build(SERVICE, ("spec.type", "NodePort"))
    service.prepare(new, old)
    assert (new["spec"]["clusterIPs"], new["spec"]["ports"][0]["nodePort"]) == (["10.96.0.5"], 30001)
    assert service.validate_update(new, old) == []
    moved = build(SERVICE, ("spec.clusterIP", "10.96.0.6"))
    service.prepare(moved, old)
    assert [e.detail for e in service.validate_update(moved, old)] == ["may not change once set"]


def test_a_service_that_loses_its_node_ports() -> None:
    service = by_kind["v1", "Service"]
    old = build(SERVICE, ("spec.type", "NodePort"), ("spec.ports.0.nodePort", 30001))
    new = copy.deepcopy(old)
    new["spec"]["type"] = "ClusterIP"
    service.prepare(new, old)
    assert "nodePort" not in new["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in new["spec"]
    assert service.validate(new) == []


def test_ephemeral_containers_are_added_through_their_subresource() -> None:
    check = by_kind["v1", "Pod"].subresource_rules["ephemeralcontainers"]
    old = build(POD)
    new = copy.deepcopy(old)
    new["metadata"]["resourceVersion"] = "1"
    new["spec"]["ephemeralContainers"] = [{"name": "e", "image": "i"}]
    by_kind["v1", "Pod"].default(new)
    assert check(new, old) == []
    assert [e.path for e in check(old | {"metadata": new["metadata"]}, new)] == ["spec.ephemeralContainers"]


def test_resize_changes_cpu_and_memory_only() -> None:
    check = by_kind["v1", "Pod"].subresource_rules["resize"]
    old = build(POD, (f"{C}.resources", {"requests": {"cpu": "1"}}))
    new = copy.deepcopy(old)
    new["metadata"]["resourceVersion"] = "1"
    new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "2"
    assert check(new, old) == []
    new["spec"]["containers"][0]["image"] = "other"
    assert [e.detail for e in check(new, old)] == ["only cpu and memory resources are mutable"]


def test_a_container_that_ended_for_good_stays_ended() -> None:
    old = build(POD, ("spec.restartPolicy", "Never"))
    new = copy.deepcopy(old)
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 0}}}]
    new["status"]["containerStatuses"] = [{"name": "c", "state": {"running": {}}}]
    found = by_kind["v1", "Pod"].validate_status_update(new, old)
    assert [e.detail for e in found] == ["may not be transitioned to non-terminated state"]


def test_a_bound_pod_is_nominated_no_more() -> None:
    old = build(POD, ("spec.nodeName", "n1"))
    new = copy.deepcopy(old)
    new["status"]["nominatedNodeName"] = "n2"
    found = by_kind["v1", "Pod"].validate_status_update(new, old)
    assert [e.detail for e in found] == ["may not be set on pods that are already bound to a node"]


def test_a_pod_update_that_is_not_allowed_shows_the_difference() -> None:
    old = build(POD, ("spec.hostname", "a"))
    new = build(POD, ("spec.hostname", "b"))
    (found,) = by_kind["v1", "Pod"].validate_update(new, old)
    assert '\n- "hostname": "a",\n+ "hostname": "b",\n' in found.detail


def test_a_new_pod_is_prepared() -> None:
    pod = build(POD, ("spec.schedulingGates", [{"name": "a.b/c"}]), ("status", {"phase": "Running"}))
    assert (pod["status"]["phase"], pod["status"]["qosClass"]) == ("Pending", "BestEffort")
    assert pod["status"]["conditions"][0]["reason"] == "SchedulingGated"


def test_annotations_of_a_deployment_make_a_generation() -> None:
    old = build(DEPLOYMENT, ("metadata.generation", 3))
    same, other = (
        copy.deepcopy(old),
        build(DEPLOYMENT, ("metadata.generation", 3), ("metadata.annotations", {"a": "b"})),
    )
    for new, generation in ((same, 3), (other, 4)):
        by_kind["apps/v1", "Deployment"].prepare(new, old)
        assert new["metadata"]["generation"] == generation


def test_label_keys_become_selectors() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "z",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {},
        "matchLabelKeys": ["v"],
    }
    pod = build(POD, ("metadata.labels", {"v": "1"}), ("spec.topologySpreadConstraints", [constraint]))
    selector = pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]
    assert selector == {"matchExpressions": [{"key": "v", "operator": "In", "values": ["1"]}]}


def test_a_job_selects_by_its_uid() -> None:
    job = build("batch/v1/Job")
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "job-name": "x",
        "batch.kubernetes.io/job-name": "x",
        "controller-uid": "u",
        "batch.kubernetes.io/controller-uid": "u",
    }


def test_a_namespace_begins_with_its_finalizer_and_keeps_it() -> None:
    old = build("v1/Namespace")
    assert old["spec"]["finalizers"] == ["kubernetes"]
    new = build("v1/Namespace", ("spec.finalizers", []))
    by_kind["v1", "Namespace"].prepare(new, old)
    assert new["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        pytest.param("0 0 1 jan mon-fri", "", id="names"),
        pytest.param("@daily", "", id="descriptor"),
        pytest.param("*/15,30 2-4/2 ? * *", "", id="steps, ranges, lists"),
        pytest.param("* * *", "expected exactly 5 fields, found 3: [* * *]", id="too few fields"),
        pytest.param("@sometimes", "unrecognized descriptor: @sometimes", id="unknown descriptor"),
        pytest.param("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3", id="backwards"),
        pytest.param("* * 0 * *", "beginning of range (0) below minimum (1): 0", id="day 0"),
        pytest.param("*/0 * * * *", "step of range should be a positive number: */0", id="step of zero"),
        pytest.param(
            "x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax', id="a letter"
        ),
    ],
)
def test_schedules(schedule: str, why: str) -> None:
    assert schedule_error(schedule) == why
