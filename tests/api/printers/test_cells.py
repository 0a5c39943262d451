"""One row or more per kind: pkg/printers/internalversion/printers_test.go is the source of the expected cells."""

from typing import Any

import pytest

from skiff.api.printers import DEFAULT, PRINTERS, SCALE

NOW = 1_000_000.0
CREATED = "1970-01-12T13:43:40Z"  # 180 s before NOW
AGE = "3m"

TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]}}
SELECTOR = {"matchLabels": {"app": "web"}}


def cells(group: str, plural: str, obj: dict[str, Any], meta: dict[str, Any] | None = None) -> list[Any]:
    obj = {"metadata": {"name": "n", "creationTimestamp": CREATED, **(meta or {})}, **obj}
    return PRINTERS[group][plural].cells(obj, NOW)


def on(*types: str, status: str = "True", **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": t, "status": status, **more} for t in types]}


CORE = [
    ("configmaps", {"data": {"a": "1"}, "binaryData": {"b": ""}}, ["n", 2, AGE]),
    ("secrets", {"type": "Opaque", "data": {"a": ""}}, ["n", "Opaque", 1, AGE]),
    ("serviceaccounts", {}, ["n", AGE]),
    ("namespaces", {"status": {"phase": "Active"}}, ["n", "Active", AGE]),
    ("componentstatuses", on("Healthy") , ["n", "Healthy", "", ""]),
    ("componentstatuses", on("Healthy", status="False", message="m", error="e"), ["n", "Unhealthy", "m", "e"]),
    ("componentstatuses", {}, ["n", "Unknown", "", ""]),
    ("podtemplates", {"template": {**TEMPLATE, "metadata": {"labels": {"b": "2", "a": "1"}}}}, ["n", "a,b", "x:1,y:2", "a=1,b=2"]),
    ("replicationcontrollers", {"spec": {"replicas": 3, "template": TEMPLATE, "selector": {"a": "b"}}, "status": {"replicas": 2, "readyReplicas": 1}},
     ["n", 3, 2, 1, AGE, "a,b", "x:1,y:2", "a=b"]),
    ("services", {"spec": {"type": "ClusterIP", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"a": "b"}}},
     ["n", "ClusterIP", "10.0.0.1", "<none>", "80/TCP", AGE, "a=b"]),
    ("services", {"spec": {"type": "NodePort", "clusterIPs": ["None"], "ports": [{"port": 80, "nodePort": 3000, "protocol": "UDP"}], "externalIPs": ["1.1.1.1"]}},
     ["n", "NodePort", "None", "1.1.1.1", "80:3000/UDP", AGE, "<none>"]),
    ("services", {"spec": {"type": "LoadBalancer"}}, ["n", "LoadBalancer", "<none>", "<pending>", "<none>", AGE, "<none>"]),
    ("services", {"spec": {"type": "LoadBalancer", "externalIPs": ["9.9.9.9"]}, "status": {"loadBalancer": {"ingress": [{"ip": "2.2.2.2"}, {"hostname": "a.b"}]}}},
     ["n", "LoadBalancer", "<none>", "2.2.2.2,a.b,9.9.9.9", "<none>", AGE, "<none>"]),
    ("services", {"spec": {"type": "ExternalName", "externalName": "db.local"}}, ["n", "ExternalName", "<none>", "db.local", "<none>", AGE, "<none>"]),
    ("endpoints", {}, ["n", "<none>", AGE]),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "::1"}], "ports": [{"port": 80}, {"port": 81}]}, {"addresses": [{"ip": "3.3.3.3"}]}]},
     ["n", "1.1.1.1:80,[::1]:80,1.1.1.1:81 + 2 more...", AGE]),
    ("nodes", {"status": {**on("Ready"), "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1", "architecture": "amd64", "containerRuntimeVersion": "containerd://1"}, "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}},
     ["n", "Ready", "<none>", AGE, "v1.36.0", "10.0.0.1", "<none>", "Debian", "6.1 (amd64)", "containerd://1"]),
    ("nodes", {"spec": {"unschedulable": True}, "status": on("Ready", status="Unknown")},
     ["n", "NotReady,SchedulingDisabled", "<none>", AGE, "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]),
    ("persistentvolumes", {"spec": {"capacity": {"storage": "4Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": "s", "name": "c"}, "storageClassName": "fast", "volumeMode": "Filesystem"}, "status": {"phase": "Bound"}},
     ["n", "4Gi", "RWO,RWX", "Delete", "Bound", "s/c", "fast", "<unset>", "", AGE, "Filesystem"]),
    ("persistentvolumeclaims", {"spec": {"volumeName": "v", "storageClassName": "fast"}, "status": {"phase": "Bound", "capacity": {"storage": "4Gi"}, "accessModes": ["ReadWriteOncePod"]}},
     ["n", "Bound", "v", "4Gi", "RWOP", "fast", "<unset>", AGE, "<unset>"]),
    ("persistentvolumeclaims", {"spec": {"volumeMode": "Block"}, "status": {"phase": "Pending"}}, ["n", "Pending", "", "", "", "", "<unset>", AGE, "Block"]),
    ("events", {"type": "Normal", "reason": "Started", "message": " ok\n", "count": 2, "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "f"}, "source": {"component": "kubelet", "host": "h"}, "firstTimestamp": CREATED, "lastTimestamp": CREATED},
     [AGE, "Normal", "Started", "pod/p", "f", "kubelet, h", "ok", AGE, 2, "n"]),
    ("events", {"eventTime": "1970-01-12T13:43:40.500000Z", "series": {"count": 9, "lastObservedTime": "1970-01-12T13:46:30.000000Z"}, "involvedObject": {"kind": "Pod"}, "reportingComponent": "c"},
     ["10s", "", "", "pod", "", "c", "", "2m59s", 9, "n"]),
    ("events", {}, ["<unknown>", "", "", "", "", "", "", "<unknown>", 1, "n"]),
    ("resourcequotas", {"status": {"hard": {"pods": "3", "limits.cpu": "2", "cpu": "1"}, "used": {"pods": "1"}}}, ["n", "cpu: 0/1, pods: 1/3", "limits.cpu: 0/2", AGE]),
]  # fmt: skip

OTHERS = [
    ("apps", "deployments", {"spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR}, "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}},
     ["n", "2/3", 3, 1, AGE, "a,b", "x:1,y:2", "app=web"]),
    ("apps", "replicasets", {"spec": {"replicas": 3, "template": TEMPLATE, "selector": SELECTOR}, "status": {"replicas": 2}}, ["n", 3, 2, 0, AGE, "a,b", "x:1,y:2", "app=web"]),
    ("apps", "statefulsets", {"spec": {"replicas": 2, "template": TEMPLATE}, "status": {"readyReplicas": 1}}, ["n", "1/2", AGE, "a,b", "x:1,y:2"]),
    ("apps", "daemonsets", {"spec": {"template": {"spec": {**TEMPLATE["spec"], "nodeSelector": {"d": "s"}}}, "selector": SELECTOR}, "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2, "numberAvailable": 1}},
     ["n", 5, 4, 3, 2, 1, "d=s", AGE, "a,b", "x:1,y:2", "app=web"]),
    ("apps", "controllerrevisions", {"revision": 3}, ["n", "<none>", 3, AGE]),
    ("batch", "jobs", {"spec": {"completions": 2, "template": TEMPLATE, "selector": SELECTOR}, "status": {"succeeded": 1, "startTime": CREATED}},
     ["n", "Running", "1/2", "3m", AGE, "a,b", "x:1,y:2", "app=web"]),
    ("batch", "jobs", {"spec": {"parallelism": 3}, "status": {**on("Complete"), "startTime": CREATED, "completionTime": "1970-01-12T13:44:00Z"}},
     ["n", "Complete", "0/1 of 3", "20s", AGE, "", "", "<none>"]),
    ("batch", "jobs", {"status": on("Suspended")}, ["n", "Suspended", "0/1", "", AGE, "", "", "<none>"]),
    ("batch", "cronjobs", {"spec": {"schedule": "* * * * *", "suspend": False, "jobTemplate": {"spec": {"template": TEMPLATE}}}, "status": {"active": [{}], "lastScheduleTime": CREATED}},
     ["n", "* * * * *", "<none>", "False", 1, AGE, AGE, "a,b", "x:1,y:2", "<none>"]),
    ("autoscaling", "horizontalpodautoscalers", {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 4}, "status": {"currentReplicas": 2}},
     ["n", "Deployment/d", "<none>", "<unset>", 4, 2, AGE]),
    ("autoscaling", "horizontalpodautoscalers", {"spec": {"scaleTargetRef": {"kind": "D", "name": "d"}, "minReplicas": 1, "maxReplicas": 4, "targetCPUUtilizationPercentage": 80}, "status": {"currentCPUUtilizationPercentage": 50}},
     ["n", "D/d", "cpu: 50%/80%", "1", 4, 0, AGE]),
    ("policy", "poddisruptionbudgets", {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}}, ["n", "50%", "N/A", 1, AGE]),
    ("policy", "poddisruptionbudgets", {"spec": {"maxUnavailable": 0}}, ["n", "N/A", "0", 0, AGE]),
    ("networking.k8s.io", "ingresses", {"spec": {"rules": [{"host": h} for h in "abcde"], "tls": [{}]}, "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}},
     ["n", "<none>", "a,b,c + 2 more...", "1.1.1.1", "80, 443", AGE]),
    ("networking.k8s.io", "ingresses", {"spec": {"ingressClassName": "nginx"}}, ["n", "nginx", "*", "", "80", AGE]),
    ("networking.k8s.io", "ingressclasses", {"spec": {"controller": "c", "parameters": {"kind": "K", "apiGroup": "g", "name": "p"}}}, ["n", "c", "K.g/p", AGE]),
    ("networking.k8s.io", "networkpolicies", {"spec": {"podSelector": {}}}, ["n", "<none>", AGE]),
    ("networking.k8s.io", "networkpolicies", {"spec": {"podSelector": SELECTOR}}, ["n", "app=web", AGE]),
    ("networking.k8s.io", "servicecidrs", {"spec": {"cidrs": ["a", "b"]}}, ["n", "a,b", AGE]),
    ("networking.k8s.io", "ipaddresses", {"spec": {"parentRef": {"resource": "services", "namespace": "s", "name": "x"}}}, ["n", "services/s/x"]),
    ("discovery.k8s.io", "endpointslices", {"addressType": "IPv4", "ports": [{"port": 80}, {"name": "x"}, {}], "endpoints": [{"addresses": ["1"]}, {"addresses": ["2", "3", "4"]}]},
     ["n", "IPv4", "80,x,*", "1,2,3 + 1 more...", AGE]),
    ("discovery.k8s.io", "endpointslices", {"addressType": "IPv4"}, ["n", "IPv4", "<unset>", "<unset>", AGE]),
    ("storage.k8s.io", "storageclasses", {"provisioner": "p"}, ["n", "p", "Delete", "Immediate", False, AGE]),
    ("storage.k8s.io", "volumeattributesclasses", {"driverName": "d"}, ["n", "d", AGE]),
    ("storage.k8s.io", "volumeattachments", {"spec": {"attacher": "a", "source": {"persistentVolumeName": "pv"}, "nodeName": "w"}, "status": {"attached": True}}, ["n", "a", "pv", "w", True, AGE]),
    ("storage.k8s.io", "csinodes", {"spec": {"drivers": [{}]}}, ["n", 1, AGE]),
    ("storage.k8s.io", "csidrivers", {"spec": {"tokenRequests": [{"audience": "x"}], "volumeLifecycleModes": ["Persistent", "Ephemeral"]}}, ["n", True, False, False, "x", False, "Persistent,Ephemeral", AGE]),
    ("storage.k8s.io", "csidrivers", {"spec": {"attachRequired": False}}, ["n", False, False, False, "<unset>", False, "<none>", AGE]),
    ("storagemigration.k8s.io", "storageversionmigrations", {"spec": {"resource": {"group": "apps", "resource": "deployments"}}, "status": on("Succeeded")}, ["n", "deployments.apps", "Succeeded"]),
    ("internal.apiserver.k8s.io", "storageversions", {"status": {"storageVersions": [{"apiServerID": "a", "encodingVersion": "v1"}]}}, ["n", "<unset>", "a=v1", AGE]),
    ("rbac.authorization.k8s.io", "rolebindings", {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}, {"kind": "User", "name": "v"}, {"kind": "Group", "name": "g"}, {"kind": "ServiceAccount", "namespace": "s", "name": "a"}]},
     ["n", "Role/r", AGE, "u, v", "g", "s/a"]),
    ("rbac.authorization.k8s.io", "clusterrolebindings", {"roleRef": {"kind": "ClusterRole", "name": "r"}}, ["n", "ClusterRole/r", AGE, "", "", ""]),
    ("certificates.k8s.io", "certificatesigningrequests", {"spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600}, "status": {**on("Approved"), "certificate": "x"}}, ["n", AGE, "s", "u", "60m", "Approved,Issued"]),
    ("certificates.k8s.io", "certificatesigningrequests", {"spec": {}, "status": on("Denied", "Failed")}, ["n", AGE, "<none>", "", "<none>", "Denied,Failed"]),
    ("certificates.k8s.io", "clustertrustbundles", {"spec": {}}, ["n", "<none>"]),
    ("certificates.k8s.io", "podcertificaterequests", {"spec": {"podName": "p", "serviceAccountName": "s", "nodeName": "w", "signerName": "g"}, "status": on("Issued")}, ["n", "p", "s", "w", "g", "Issued", "<none>"]),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", {"webhooks": [{}]}, ["n", 1, AGE]),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", {}, ["n", 0, AGE]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", {"spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}, ["n", 1, "v1/ConfigMap", AGE]),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", {"spec": {"mutations": [{}, {}]}}, ["n", 2, "<unset>", AGE]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", {"spec": {"policyName": "p", "paramRef": {"name": "x", "namespace": "s"}}}, ["n", "p", "s/x", AGE]),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", {"spec": {"policyName": "p", "paramRef": {"selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]}}}},
     ["n", "p", "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}", AGE]),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", {"spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 7, "distinguisherMethod": {"type": "ByUser"}}, "status": on("Dangling", status="False")}, ["n", "p", 7, "ByUser", AGE, "False"]),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", {"spec": {}}, ["n", "", 0, "<none>", AGE, "?"]),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 2, "queueLengthLimit": 3}}}}}, ["n", "Limited", 5, 1, 2, 3, AGE]),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", {"spec": {"type": "Exempt"}}, ["n", "Exempt", "<none>", "<none>", "<none>", "<none>", AGE]),
    ("apiregistration.k8s.io", "apiservices", {"spec": {}, "status": on("Available")}, ["n", "Local", "True", AGE]),
    ("apiregistration.k8s.io", "apiservices", {"spec": {"service": {"namespace": "s", "name": "x"}}, "status": on("Available", status="False", reason="Gone")}, ["n", "s/x", "False (Gone)", AGE]),
    ("scheduling.k8s.io", "priorityclasses", {"value": 5, "preemptionPolicy": "Never"}, ["n", 5, False, AGE, "Never"]),
    ("scheduling.k8s.io", "workloads", {}, ["n", AGE]),
    ("scheduling.k8s.io", "podgroups", {"spec": {"schedulingPolicy": {"gang": {}}, "podGroupTemplateRef": {"workload": {"workloadName": "w"}}}, "status": on("PodGroupScheduled", status="False")}, ["n", "Gang", "w", "Unschedulable", AGE]),
    ("node.k8s.io", "runtimeclasses", {"handler": "runc"}, ["n", "runc", AGE]),
    ("coordination.k8s.io", "leases", {"spec": {"holderIdentity": "h"}}, ["n", "h", AGE]),
    ("coordination.k8s.io", "leasecandidates", {"spec": {"leaseName": "l", "binaryVersion": "1", "emulationVersion": "2"}}, ["n", "l", "1", "2", AGE]),
    ("resource.k8s.io", "deviceclasses", {}, ["n", AGE]),
    ("resource.k8s.io", "resourceclaims", {}, ["n", "pending", AGE]),
    ("resource.k8s.io", "resourceclaims", {"status": {"allocation": {}, "reservedFor": [{}]}}, ["n", "allocated,reserved", AGE]),
    ("resource.k8s.io", "resourceclaimtemplates", {}, ["n", AGE]),
    ("resource.k8s.io", "resourceslices", {"spec": {"nodeName": "w", "driver": "d", "pool": {"name": "p"}}}, ["n", "w", "d", "p", AGE]),
    ("resource.k8s.io", "devicetaintrules", {"spec": {"taint": {"key": "k", "effect": "NoExecute", "timeAdded": CREATED}}}, ["n", "k", "", "NoExecute", AGE, AGE]),
    ("resource.k8s.io", "resourcepoolstatusrequests", {"spec": {"driver": "d"}}, ["n", "d", "-", "-", "-", "-", "-", 0, "Pending", "<none>"]),
    ("resource.k8s.io", "resourcepoolstatusrequests", {"spec": {"driver": "d"}, "status": {**on("Complete", lastTransitionTime=CREATED), "poolCount": 3, "pools": [{"totalDevices": 4, "availableDevices": 3}, {"validationError": "x"}]}},
     ["n", "d", "4", "3", "0", "0", "1", 3, "Complete (2/3 pools)", AGE]),
    ("events.k8s.io", "events", {"regarding": {"kind": "Pod", "name": "p"}, "note": "hi", "deprecatedCount": 4, "reportingController": "c"}, ["<unknown>", "", "", "pod/p", "", "c", "hi", "<unknown>", 4, "n"]),
]  # fmt: skip

ROWS = [("", plural, obj, expected) for plural, obj, expected in CORE] + OTHERS


@pytest.mark.parametrize(
    "group, plural, obj, expected", [pytest.param(*r, id=f"{r[0]}/{r[1]}-{i}") for i, r in enumerate(ROWS)]
)
def test_row(group, plural, obj, expected):
    assert cells(group, plural, obj) == expected
    assert len(PRINTERS[group][plural].columns) == len(expected)


def test_every_printer_has_a_row():
    printed = {(group, plural) for group, found in PRINTERS.items() for plural in found}
    assert printed - {(group, plural) for group, plural, _, _ in ROWS} == {("", "pods")}


@pytest.mark.parametrize(
    "group, plural, obj, meta, index, expected",
    [
        pytest.param("", "nodes", {}, {"labels": {"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a"}}, 2, "a,b", id="node roles"),
        pytest.param("", "persistentvolumes", {"status": {"phase": "Bound"}}, {"deletionTimestamp": CREATED}, 4, "Terminating", id="a volume that goes"),
        pytest.param("", "persistentvolumes", {}, {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}, 6, "old", id="the class annotation"),
        pytest.param("storage.k8s.io", "storageclasses", {}, {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, 0, "n (default)", id="the default storage class"),
        pytest.param("networking.k8s.io", "ingressclasses", {}, {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}, 0, "n (default)", id="the default ingress class"),
        pytest.param("apps", "controllerrevisions", {}, {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "controller": True}]}, 1, "statefulset.apps/s", id="a revision's controller"),
        pytest.param("batch", "jobs", {}, {"deletionTimestamp": CREATED}, 1, "Terminating", id="a job that goes"),
        pytest.param("resource.k8s.io", "resourceclaims", {}, {"deletionTimestamp": CREATED}, 1, "deleted", id="a claim that goes"),
    ],
)  # fmt: skip
def test_cells_that_look_at_metadata(group, plural, obj, meta, index, expected):
    assert cells(group, plural, obj, meta)[index] == expected


def metric(
    kind: str, target: dict[str, Any], current: dict[str, Any] | None, name: str | None = None
) -> tuple[Any, Any]:
    field = kind[0].lower() + kind[1:]
    named = {"name": name} if name else {}
    return {"type": kind, field: {**named, "target": target}}, {} if current is None else {
        "type": kind,
        field: {"current": current},
    }


@pytest.mark.parametrize(
    "metrics, expected",
    [
        pytest.param([metric("Resource", {"averageUtilization": 80}, {"averageUtilization": 50}, "cpu")], "cpu: 50%/80%", id="utilization"),
        pytest.param([metric("Resource", {}, None, "cpu")], "cpu: <unknown>/<auto>", id="unknown utilization"),
        pytest.param([metric("Resource", {"averageValue": "1Gi"}, {"averageValue": "512Mi"}, "memory")], "memory: 512Mi/1Gi", id="a resource value"),
        pytest.param([metric("ContainerResource", {"averageUtilization": 80}, {"averageUtilization": 50}, "cpu")], "cpu: 50%/80%", id="of a container"),
        pytest.param([metric("Pods", {"averageValue": "100m"}, {"averageValue": "50m"})], "50m/100m", id="pods"),
        pytest.param([metric("Pods", {"averageValue": "100m"}, None)], "<unknown>/100m", id="pods, unknown"),
        pytest.param([metric("External", {"averageValue": "2"}, {"averageValue": "1"})], "1/2 (avg)", id="an external average"),
        pytest.param([metric("External", {"value": "2"}, {"value": "1"})], "1/2", id="an external value"),
        pytest.param([metric("Object", {"value": "2"}, None)], "<unknown>/2", id="an object"),
        pytest.param([metric("Pods", {"averageValue": "1"}, None)] * 4, "<unknown>/1, <unknown>/1 + 2 more...", id="many"),
        pytest.param([metric("New", {}, None)], "<unknown type>", id="of an unknown type"),
    ],
)  # fmt: skip
def test_autoscaler_targets(metrics, expected):
    obj = {"spec": {"metrics": [m for m, _ in metrics]}, "status": {"currentMetrics": [c for _, c in metrics]}}
    assert cells("autoscaling", "horizontalpodautoscalers", obj)[2] == expected


def test_scale_and_default():
    obj = {"metadata": {"name": "n", "creationTimestamp": CREATED}, "spec": {"replicas": 3}, "status": {"replicas": 2}}
    assert SCALE.cells(obj, NOW) == ["n", 3, 2, AGE]
    assert DEFAULT.cells(obj, NOW) == ["n", CREATED]
