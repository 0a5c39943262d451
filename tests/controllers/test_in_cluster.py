"""The controllers at work: a whole cluster on the virtual clock."""

import asyncio

import pytest

from skiff import env
from skiff.api.gvr import DEPLOYMENTS, ENDPOINTS, ENDPOINTSLICES, NAMESPACES, NODES, PODS, REPLICASETS, SERVICES
from skiff.api.meta import get_condition, is_being_deleted, is_pod_ready, name, owner_references
from skiff.controllers.deployment.revision import REVISION
from skiff.testing.builders import deployment, pod, service


async def rolled_out(cluster, deployment_name="web"):
    """The deployment, once all of it is new and available (asked of the server: a cache may not know the change yet)."""

    async def done():
        d = await cluster.client.get(DEPLOYMENTS, deployment_name, "default")
        s = d.get("status", {})
        counts = {s.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
        return s.get("observedGeneration") == d["metadata"]["generation"] and counts == {d["spec"]["replicas"]} and d

    return await cluster.until(done)


async def retemplate(cluster, value):
    patch = {"spec": {"template": {"metadata": {"annotations": {"version": value}}}}}
    return await cluster.client.patch(DEPLOYMENTS, "web", patch, "default")


async def sets(cluster):
    found = (await cluster.client.list(REPLICASETS, "default")).items
    return {s["metadata"]["annotations"][REVISION]: s for s in found}


@pytest.mark.cluster(nodes=3)
async def test_a_deployment_comes_up_and_heals(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3))
    await rolled_out(cluster)
    victim = cluster.select_pods("app=web")[0]
    await cluster.client.delete(PODS, name(victim), "default")
    await cluster.until(lambda: name(victim) not in map(name, cluster.select_pods("app=web")))
    await cluster.until(lambda: cluster.ready_pods("app=web") == 3)


@pytest.mark.cluster(nodes=3)
@pytest.mark.parametrize("surge, unavailable, most, least", [("25%", "25%", 13, 8), (1, 0, 11, 10), (0, 1, 10, 9)])
async def test_a_rolling_update_keeps_its_limits(cluster, surge, unavailable, most, least):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=10, strategy=strategy))
    await rolled_out(cluster)
    sets = await cluster.informer(REPLICASETS)
    sizes, ready = [], []
    sets.add_handler(lambda change: sizes.append(sum(s["spec"]["replicas"] for s in sets.items("default"))))
    cluster.pods.add_handler(lambda change: ready.append(cluster.ready_pods("app=web")))
    sizes.clear(), ready.clear()
    await retemplate(cluster, "2")
    await rolled_out(cluster)
    assert max(sizes) <= most
    assert min(ready) >= least


async def test_recreate_ends_the_old_before_it_starts_the_new(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3, strategy={"type": "Recreate"}))
    await rolled_out(cluster)
    versions = []
    cluster.pods.add_handler(
        lambda change: versions.append(
            {p["metadata"].get("annotations", {}).get("version", "1") for p in cluster.select_pods("app=web")}
        )
    )
    await retemplate(cluster, "2")
    await rolled_out(cluster)
    assert {"1", "2"} not in versions
    assert versions[-1] == {"2"}


async def test_revisions_history_and_rollback(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=2, revisionHistoryLimit=2))
    for value in ("2", "3", "2"):
        await rolled_out(cluster)
        await retemplate(cluster, value)
    d = await rolled_out(cluster)
    await cluster.settled()
    found = await sets(cluster)
    assert d["metadata"]["annotations"][REVISION] == "4"
    assert set(found) == {"1", "3", "4"}
    assert found["4"]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "2"
    await retemplate(cluster, "5")
    await rolled_out(cluster)
    await cluster.settled()
    assert set(await sets(cluster)) == {"3", "4", "5"}, "the oldest beyond the limit is gone"


async def test_a_paused_deployment_scales_but_does_not_roll_out(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=2))
    await rolled_out(cluster)
    await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"paused": True, "replicas": 4}}, "default")
    await retemplate(cluster, "2")
    await cluster.until(lambda: cluster.ready_pods("app=web") == 4)
    await cluster.settled()
    assert set(await sets(cluster)) == {"1"}
    d = await cluster.client.get(DEPLOYMENTS, "web", "default")
    assert get_condition(d, "Progressing")["reason"] == "DeploymentPaused"
    await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, "default")
    await rolled_out(cluster)


async def test_a_rollout_that_gets_nowhere_is_reported_when_its_deadline_is_over(cluster):
    stuck = deployment("web", replicas=1, progressDeadlineSeconds=60, template={"nodeSelector": {"no": "such"}})
    created = await cluster.client.create(DEPLOYMENTS, stuck)
    deployments = await cluster.informer(DEPLOYMENTS)

    def reason():
        found = get_condition(deployments.get("default", "web"), "Progressing")
        return found and found["reason"] == "ProgressDeadlineExceeded" and found

    started = env.epoch()
    condition = await cluster.until(reason)
    assert 60 <= env.epoch() - started <= 63
    assert condition["message"] == f'ReplicaSet "{name((await sets(cluster))["1"])}" has timed out progressing.'
    assert created["metadata"]["generation"] == 1


async def test_the_manager_may_be_killed_at_any_moment(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=5))
    for value, pause in (("2", 0.3), ("3", 1.1), ("4", 2.0)):
        await rolled_out(cluster)
        await retemplate(cluster, value)
        await asyncio.sleep(pause)
        await cluster.stop("controller-manager")
        cluster.start("controller-manager")
    await rolled_out(cluster)
    await cluster.settled()
    assert len(cluster.select_pods("app=web")) == 5


async def test_pods_are_adopted_and_released_by_their_labels(cluster):
    await cluster.client.create(PODS, pod("loner", labels={"app": "web"}), "default")
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=2))
    await rolled_out(cluster)
    assert len(cluster.select_pods("app=web")) == 3, "a loner without the hash is nobody's"
    chosen = name(cluster.select_pods("pod-template-hash")[0])
    await cluster.client.patch(PODS, chosen, {"metadata": {"labels": {"app": "debug"}}}, "default")
    await cluster.until(lambda: not owner_references(cluster.pods.get("default", chosen)))
    await cluster.until(lambda: cluster.ready_pods("app=web,pod-template-hash") == 2)


# --- garbage collection


async def gone(cluster, gvr, *, namespace="default"):
    await cluster.until(lambda: _empty(cluster, gvr, namespace))


async def _empty(cluster, gvr, namespace):
    return not (await cluster.client.list(gvr, namespace)).items


async def test_background_deletion_takes_dependents_along(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3))
    await rolled_out(cluster)
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation="Background")
    assert await _empty(cluster, DEPLOYMENTS, "default")
    await gone(cluster, REPLICASETS)
    await gone(cluster, PODS)


async def test_foreground_deletion_lets_the_owner_go_last(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3))
    await rolled_out(cluster)
    deployments = await cluster.informer(DEPLOYMENTS)
    left = []
    deployments.add_handler(lambda c: left.append(len(cluster.select_pods("app=web"))) if c.type == "deleted" else None)
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation="Foreground")
    await gone(cluster, DEPLOYMENTS)
    assert left == [0]
    assert await _empty(cluster, REPLICASETS, "default")


async def test_orphaning_leaves_dependents_at_work(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3))
    await rolled_out(cluster)
    before = sorted(map(name, cluster.select_pods("app=web")))
    await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
    await gone(cluster, DEPLOYMENTS)
    await cluster.settled()
    (left,) = (await cluster.client.list(REPLICASETS, "default")).items
    assert owner_references(left) == []
    assert sorted(map(name, cluster.select_pods("app=web"))) == before


def dependent(pod_name, *owners):
    made = pod(pod_name)
    made["metadata"]["ownerReferences"] = list(owners)
    return made


async def test_an_owner_that_never_was_is_no_owner(cluster):
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "11111111-2222-3333-4444-555555555555"}
    await cluster.client.create(PODS, dependent("orphan", ref), "default")
    await gone(cluster, PODS)


async def test_one_owner_is_enough_to_live(cluster):
    d = await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=0))
    alive = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": d["metadata"]["uid"]}
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "11111111-2222-3333-4444-555555555555"}
    await cluster.client.create(PODS, dependent("kept", ghost, alive), "default")
    await cluster.until(lambda: [owner_references(p) for p in cluster.select_pods()] == [[alive]])


# --- services, namespaces


@pytest.mark.cluster(nodes=2)
async def test_endpoints_follow_the_pods(cluster):
    await cluster.client.create(SERVICES, service("web", port=80))
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3))
    await rolled_out(cluster)
    slices, endpoints = await cluster.informer(ENDPOINTSLICES), await cluster.informer(ENDPOINTS)

    def addresses():
        of_web = [s for s in slices.items("default") if s["metadata"]["labels"]["kubernetes.io/service-name"] == "web"]
        modern = {
            a for s in of_web for e in s.get("endpoints") or () if e["conditions"]["ready"] for a in e["addresses"]
        }
        old = endpoints.get("default", "web") or {}
        legacy = {a["ip"] for s in old.get("subsets") or () for a in s.get("addresses") or ()}
        wanted = {p["status"]["podIP"] for p in cluster.select_pods("app=web") if is_pod_ready(p)}
        return modern == legacy == wanted and wanted

    assert len(await cluster.until(addresses)) == 3
    await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 1}}, "default")
    await cluster.until(lambda: (found := addresses()) and len(found) == 1)
    await cluster.client.delete(SERVICES, "web", "default")
    await cluster.until(lambda: endpoints.get("default", "web") is None)
    await cluster.until(lambda: not [s for s in slices.items("default") if s["metadata"]["name"].startswith("web-")])


# --- nodes

FIVE_MINUTES = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


@pytest.mark.cluster(nodes=2)
async def test_pods_of_a_lost_node_are_replaced_after_five_minutes(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=4, template={"tolerations": FIVE_MINUTES}))
    await rolled_out(cluster)
    nodes = await cluster.informer(NODES)
    await cluster.stop("node-2")
    lost = env.epoch()

    def effects():
        return {t["effect"] for t in nodes.get("", "node-2")["spec"].get("taints") or ()}

    await cluster.until(lambda: effects() == {"NoExecute", "NoSchedule"})
    tainted = env.epoch()
    assert 40 <= tainted - lost <= 50, "50 s after its last heartbeat, which was up to 10 s before"
    condition = get_condition(nodes.get("", "node-2"), "Ready")
    assert (condition["status"], condition["reason"]) == ("Unknown", "NodeStatusUnknown")
    on_lost = [p for p in cluster.select_pods("app=web") if p["spec"]["nodeName"] == "node-2"]
    assert on_lost
    await cluster.until(lambda: all(not is_pod_ready(p) for p in _on(cluster, "node-2")))
    await cluster.until(lambda: all(is_being_deleted(p) for p in _on(cluster, "node-2")))
    assert 300 <= env.epoch() - tainted <= 301
    await cluster.until(lambda: cluster.ready_pods("app=web") == 4)


def _on(cluster, node):
    return [p for p in cluster.select_pods("app=web") if p["spec"].get("nodeName") == node]


@pytest.mark.cluster(nodes=2)
async def test_a_node_that_returns_in_time_keeps_its_pods(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=4, template={"tolerations": FIVE_MINUTES}))
    await rolled_out(cluster)
    before = sorted(map(name, cluster.select_pods("app=web")))
    nodes = await cluster.informer(NODES)
    await cluster.stop("node-2")
    await cluster.until(lambda: len(nodes.get("", "node-2")["spec"].get("taints") or ()) == 2)
    cluster.start("node-2")
    await cluster.until(lambda: not nodes.get("", "node-2")["spec"].get("taints"))
    await cluster.until(lambda: cluster.ready_pods("app=web") == 4)
    await asyncio.sleep(400)
    assert sorted(map(name, cluster.select_pods("app=web"))) == before


async def test_the_only_node_is_never_emptied(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=2))
    await rolled_out(cluster)
    nodes = await cluster.informer(NODES)
    await cluster.stop("node-1")
    await cluster.until(lambda: get_condition(nodes.get("", "node-1"), "Ready")["status"] == "Unknown")
    await asyncio.sleep(900)
    assert [t["effect"] for t in nodes.get("", "node-1")["spec"]["taints"]] == ["NoSchedule"]
    assert not any(is_being_deleted(p) for p in cluster.select_pods("app=web"))


@pytest.mark.cluster(nodes=2)
async def test_pods_of_a_removed_node_are_removed(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=4))
    await rolled_out(cluster)
    await cluster.stop("node-2")
    await cluster.client.delete(NODES, "node-2")
    await cluster.until(lambda: not _on(cluster, "node-2"))
    await cluster.until(lambda: cluster.ready_pods("app=web") == 4)


@pytest.mark.cluster(nodes=0)
async def test_a_namespace_has_its_account_and_root_ca_and_goes_with_all_it_holds(cluster):
    await cluster.client.create(NAMESPACES, {"metadata": {"name": "work"}})
    await cluster.client.create(DEPLOYMENTS, deployment("web", "work", replicas=0))
    await cluster.client.create(SERVICES, service("web", "work"))
    await cluster.settled()
    assert not await _empty(cluster, ENDPOINTSLICES, "work")
    await cluster.client.delete(NAMESPACES, "work")
    namespaces = await cluster.informer(NAMESPACES)
    await cluster.until(lambda: namespaces.get("", "work") is None)
    for gvr in (DEPLOYMENTS, REPLICASETS, SERVICES, ENDPOINTSLICES, ENDPOINTS):
        assert await _empty(cluster, gvr, "work"), gvr.plural
