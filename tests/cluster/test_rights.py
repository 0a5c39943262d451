"""Every component gets along with upstream's role of its own: what the controllers do in a busy cluster is never refused."""

import asyncio

import pytest
from cryptography import x509

from skiff.api import gvr as gvrs
from skiff.api.types import GVR
from skiff.apiserver.authz.bootstrap import load
from skiff.controllers.credentials import ACCOUNTS
from skiff.controllers.registry import CONTROLLERS
from skiff.kubeadm import pki
from skiff.kubeadm.kubeconfig import users
from skiff.testing import builders

VACS = GVR("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", False)
ROLES = GVR("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)


def test_every_controller_has_an_account_with_upstreams_role():
    policy = load()
    bound = {
        subject["name"]: binding["roleRef"]["name"]
        for binding in policy.bindings
        for subject in binding.get("subjects", ())
        if subject["kind"] == "ServiceAccount" and subject["namespace"] == "kube-system"
    }
    assert set(ACCOUNTS) == set(CONTROLLERS)
    assert all(bound[account] == f"system:controller:{account}" for account in ACCOUNTS.values())


def made(kind: str, api_version: str, name: str, spec=None, **more):
    obj = {"apiVersion": api_version, "kind": kind, "metadata": builders.meta(name, **more.pop("meta", {})), **more}
    return {**obj, "spec": spec} if spec is not None else obj


@pytest.mark.cluster(nodes=3, rbac=True)
async def test_no_controller_is_refused(cluster):
    """A workload of each kind is made, changed, and goes; a node is lost; a namespace is deleted."""
    client = cluster.client
    await client.create(gvrs.NAMESPACES, builders.namespace("team"))
    template = builders.pod_template({"app": "x"})
    selector = {"matchLabels": {"app": "x"}}
    job = {"template": {"spec": {**template["spec"], "restartPolicy": "Never"}}, "ttlSecondsAfterFinished": 5}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/x"},
        "persistentVolumeReclaimPolicy": "Delete",
    }
    objects = [
        (gvrs.RESOURCEQUOTAS, made("ResourceQuota", "v1", "q", {"hard": {"pods": "50"}})),
        (gvrs.SERVICES, builders.service("web", selector={"app": "web"}, ports=[{"port": 80}])),
        (gvrs.DEPLOYMENTS, builders.deployment("web", replicas=3)),
        (gvrs.PODDISRUPTIONBUDGETS, made("PodDisruptionBudget", "policy/v1", "b", {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}})),
        (gvrs.STATEFULSETS, made("StatefulSet", "apps/v1", "set", {"replicas": 2, "serviceName": "web", "selector": selector, "template": template, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}], "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}})),
        (gvrs.DAEMONSETS, made("DaemonSet", "apps/v1", "each", {"selector": selector, "template": template})),
        (gvrs.REPLICATIONCONTROLLERS, made("ReplicationController", "v1", "old", {"replicas": 1, "template": template})),
        (gvrs.JOBS, made("Job", "batch/v1", "once", job)),
        (gvrs.CRONJOBS, made("CronJob", "batch/v1", "often", {"schedule": "* * * * *", "jobTemplate": {"spec": job}})),
        (gvrs.ENDPOINTS, made("Endpoints", "v1", "mine", subsets=[{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 1}]}])),
        (gvrs.SERVICES, made("Service", "v1", "mine", {"ports": [{"port": 1}]})),
        (gvrs.PERSISTENTVOLUMECLAIMS, made("PersistentVolumeClaim", "v1", "claim", claim)),
    ]  # fmt: skip
    for number in range(4):
        await client.create(gvrs.PERSISTENTVOLUMES, made("PersistentVolume", "v1", f"v{number}", volume))
    await client.create(
        VACS, made("VolumeAttributesClass", "storage.k8s.io/v1", "gold", driverName="d.example", parameters={"a": "b"})
    )
    await client.create(
        gvrs.SERVICECIDRS, made("ServiceCIDR", "networking.k8s.io/v1", "more", {"cidrs": ["10.111.0.0/24"]})
    )
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await client.create(ROLES, made("ClusterRole", ROLES.api_version, "more", rules=[{"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}], meta={"labels": labels}))  # fmt: skip
    for gvr, obj in objects:
        await client.create(gvr, {**obj, "metadata": {**obj["metadata"], "namespace": "team"}})
    await cluster.until(lambda: cluster.ready_pods("app=web", "team") == 3)
    await asyncio.sleep(400)
    await client.patch(gvrs.DEPLOYMENTS, "web", {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}, "team")
    await client.patch(gvrs.DAEMONSETS, "each", {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}, "team")
    await asyncio.sleep(400)
    await cluster.stop("node-3")
    await asyncio.sleep(900)
    await client.delete(gvrs.NODES, "node-3")
    await client.delete(gvrs.STATEFULSETS, "set", "team")
    await client.delete(gvrs.SERVICECIDRS, "more")
    await client.delete(VACS, "gold")
    await asyncio.sleep(300)
    await client.delete(gvrs.NAMESPACES, "team")
    await asyncio.sleep(900)
    assert sorted(set(cluster.refused)) == []
    names = [n["metadata"]["name"] for n in (await client.list(gvrs.NAMESPACES)).items]
    assert "team" not in names


def test_nobody_but_the_administrator_is_a_master(tmp_path):
    """Of all certificates that a cluster is made with."""
    masters = [name for name, spec in users("node-1").items() if "system:masters" in spec.organizations]
    assert masters == ["admin.conf"]
    pki.ensure_pki(tmp_path, node_name="node-1", node_ips=["10.0.0.1"], service_ip="10.96.0.1")
    for file in tmp_path.glob("*.crt"):
        assert "system:masters" not in x509.load_pem_x509_certificate(file.read_bytes()).subject.rfc4514_string()
