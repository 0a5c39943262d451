"""Jobs, cron jobs, daemon sets, stateful sets, budgets and claims at work: a whole cluster on the virtual clock."""

import asyncio

import pytest

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.gvr import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    STATEFULSETS,
)
from skiff.api.meta import finalizers, get_condition, labels, name
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.job.tally import FINALIZER
from skiff.controllers.resourcequota import ResourceQuotaController
from skiff.testing.builders import container, deployment

LABELS = {"app": "web"}


def template(*, restart="", **notes):
    """notes: how the simulated container behaves."""
    behaviour = {f"sim.skiff.dev/{k}": v for k, v in notes.items()}
    spec = {"containers": [container()], **({"restartPolicy": restart} if restart else {})}
    return {"metadata": {"labels": dict(LABELS), "annotations": behaviour}, "spec": spec}


def thing(kind, own, version="apps/v1", **spec):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": own, "namespace": "default"}, "spec": spec}


def job(own="j", *, run="1s=0", **spec):
    return thing("Job", own, "batch/v1", template=template(restart="Never", run=run), **spec)


async def ended(cluster, own="j"):
    """The job, once it is over."""

    async def over():
        found = await cluster.client.get(JOBS, own, "default")
        return (get_condition(found, "Complete") or get_condition(found, "Failed")) and found

    return await cluster.until(over)


async def test_a_job_counts_each_end_once_while_the_manager_is_killed_again_and_again(cluster):
    await cluster.client.create(JOBS, job(completions=12, parallelism=4))
    for pause in (0.6, 0.9, 1.0, 0.7, 0.4):
        await asyncio.sleep(pause)
        await cluster.stop("controller-manager")
        await asyncio.sleep(0.3)
        cluster.start("controller-manager")
    found = await ended(cluster)
    assert found["status"]["succeeded"] == 12
    assert found["status"]["uncountedTerminatedPods"] == {}
    assert len(cluster.select_pods("app=web")) == 12
    await cluster.until(lambda: not any(FINALIZER in finalizers(p) for p in cluster.select_pods("app=web")))


async def test_a_failing_job_is_tried_with_growing_waits(cluster):
    await cluster.client.create(JOBS, job(run="1s=1", backoffLimit=2))
    started = env.epoch()
    found = await ended(cluster)
    assert found["status"]["failed"] == 3
    assert get_condition(found, "Failed")["reason"] == "BackoffLimitExceeded"
    assert 32 <= env.epoch() - started <= 36, "three runs of a second, waits of 10 and 20 s"


async def test_an_indexed_job_does_each_piece(cluster):
    await cluster.client.create(JOBS, job(completions=5, parallelism=2, completionMode="Indexed"))
    found = await ended(cluster)
    assert (found["status"]["succeeded"], found["status"]["completedIndexes"]) == (5, "0-4")
    indexes = [p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in cluster.select_pods()]
    assert sorted(indexes) == ["0", "1", "2", "3", "4"]


INDEXED = {"completionMode": "Indexed", "completions": 4, "parallelism": 4}
FEWER = {"completions": 2, "parallelism": 2}


@pytest.mark.parametrize(
    "spec, changes, reason",
    [
        pytest.param({"completions": 0}, [], "CompletionsReached", id="nothing to do"),
        pytest.param({"completions": 0, "suspend": True}, [], "CompletionsReached", id="nothing to do, suspended"),
        pytest.param({"completions": 3, "parallelism": 1}, [{"suspend": True}, {"suspend": False}], "CompletionsReached", id="suspended in between"),
        pytest.param({"suspend": True}, [{"suspend": False}, {"suspend": True}, {"suspend": False}], "CompletionsReached", id="suspended at first"),
        pytest.param({"run": "never", "activeDeadlineSeconds": 5}, [], "DeadlineExceeded", id="out of time"),
        pytest.param({"run": "1s=1", "backoffLimit": 0}, [], "BackoffLimitExceeded", id="it fails"),
        pytest.param(INDEXED, [FEWER], "CompletionsReached", id="fewer pieces"),
        pytest.param({**INDEXED, "parallelism": 2}, [FEWER], "CompletionsReached", id="fewer pieces, while some wait"),
        pytest.param({**INDEXED, "run": "1s=1", "backoffLimitPerIndex": 0}, [], "FailedIndexes", id="every piece fails"),
        pytest.param({**INDEXED, "run": "1s=1", "backoffLimitPerIndex": 0, "maxFailedIndexes": 1}, [], "MaxFailedIndexesExceeded", id="too many pieces fail"),
        pytest.param({**INDEXED, "parallelism": 1, "successPolicy": {"rules": [{"succeededCount": 1}]}}, [], "SuccessPolicy", id="enough pieces"),
    ],
)  # fmt: skip
async def test_the_api_takes_every_status_of_a_job(cluster, caplog, spec, changes, reason):
    await cluster.client.create(JOBS, job(**spec))
    for change in changes:
        await asyncio.sleep(1.5)
        await cluster.client.patch(JOBS, "j", {"spec": change}, "default")
    found = await ended(cluster)
    final = get_condition(found, "Complete") or get_condition(found, "Failed")
    assert final["reason"] == reason
    assert "is invalid" not in caplog.text


async def test_a_deleted_job_takes_its_pods_along(cluster):
    await cluster.client.create(JOBS, job(run="never", parallelism=2, completions=2))
    await cluster.until(lambda: cluster.ready_pods("app=web") == 2)
    await cluster.client.delete(JOBS, "j", "default", propagation="Background")
    await cluster.until(lambda: not cluster.select_pods("app=web"))


@pytest.mark.cluster(nodes=0, controllers=("cronjob-controller", "job-controller"), scheduler=False)
async def test_nights_of_a_nightly_job(cluster):
    nightly = {"schedule": "30 3 * * *", "timeZone": "Europe/Berlin", "jobTemplate": {"spec": job()["spec"]}}
    await cluster.client.create(CRONJOBS, thing("CronJob", "night", "batch/v1", **nightly))
    jobs = await cluster.informer(JOBS)
    starts = []
    jobs.add_handler(lambda c: starts.append(c.new["metadata"]["creationTimestamp"]) if c.type == "added" else None)
    await asyncio.sleep(3 * 86400)
    assert len(starts) == 3
    assert {start[11:16] for start in starts} == {"02:30"}


@pytest.mark.parametrize("policy, most, at_least", [("Allow", 3, 3), ("Forbid", 1, 1), ("Replace", 1, 1)])
async def test_concurrency_of_a_slow_cron_job(cluster, policy, most, at_least):
    spec = job(run="150s=0")["spec"]
    cron = {"schedule": "* * * * *", "concurrencyPolicy": policy, "jobTemplate": {"spec": spec}}
    await cluster.client.create(CRONJOBS, thing("CronJob", "slow", "batch/v1", **cron))
    jobs = await cluster.informer(JOBS)
    seen = []
    jobs.add_handler(lambda c: seen.append(sum(bool(j.get("status", {}).get("active")) for j in jobs.items("default"))))
    await asyncio.sleep(600)
    assert at_least <= max(seen) <= most


@pytest.mark.cluster(nodes=3)
async def test_a_daemon_set_covers_the_nodes_and_rolls_one_by_one(cluster):
    await cluster.client.create(
        DAEMONSETS, thing("DaemonSet", "d", selector={"matchLabels": LABELS}, template=template())
    )
    await cluster.until(lambda: cluster.ready_pods("app=web") == 3)
    await cluster.add_node()
    await cluster.until(lambda: cluster.ready_pods("app=web") == 4)
    assert len({p["spec"]["nodeName"] for p in cluster.select_pods("app=web")}) == 4
    await cluster.settled()
    ready = []
    cluster.pods.add_handler(lambda change: ready.append(cluster.ready_pods("app=web")))
    ready.clear()
    patch = {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
    await cluster.client.patch(DAEMONSETS, "d", patch, "default")

    async def rolled():
        found = await cluster.client.get(DAEMONSETS, "d", "default")
        counts = found["status"]
        return (
            counts["observedGeneration"] == 2
            and counts.get("updatedNumberScheduled") == counts.get("numberAvailable") == 4
        )

    await cluster.until(rolled)
    assert min(ready) == 3
    revisions = {labels(p)["controller-revision-hash"] for p in cluster.select_pods("app=web")}
    assert len(revisions) == 1


@pytest.mark.cluster(nodes=0, controllers=["daemonset-controller"], scheduler=False)
async def test_a_daemon_pod_that_keeps_failing_is_replaced_again_and_again(cluster):
    await cluster.client.create(NODES, {"metadata": {"name": "n"}})
    ds = thing("DaemonSet", "d", selector={"matchLabels": LABELS}, template=template())
    await cluster.client.create(DAEMONSETS, ds)
    seen = set()
    for _ in range(4):
        found = await cluster.until(lambda: [p for p in map(name, cluster.select_pods("app=web")) if p not in seen], 20)
        seen.update(found)
        failed = {"status": {"phase": "Failed"}}
        await cluster.client.patch(PODS, found[0], failed, "default", subresource="status")
    assert len(seen) == 4


async def test_a_stateful_set_goes_up_and_down_in_order(cluster):
    made = thing("StatefulSet", "s", serviceName="s", replicas=3, selector={"matchLabels": LABELS}, template=template())
    order = []
    cluster.pods.add_handler(lambda c: order.append((c.type, name(c.object))) if c.type != "updated" else None)
    await cluster.client.create(STATEFULSETS, made)
    await cluster.until(lambda: cluster.ready_pods("app=web") == 3)
    assert order == [("added", "s-0"), ("added", "s-1"), ("added", "s-2")]
    order.clear()
    await cluster.client.patch(STATEFULSETS, "s", {"spec": {"replicas": 1}}, "default")
    await cluster.until(lambda: len(cluster.select_pods("app=web")) == 1)
    assert order == [("deleted", "s-2"), ("deleted", "s-1")]


async def test_a_budget_lets_one_pod_go_at_a_time(cluster):
    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3, template={}))
    budget = thing("PodDisruptionBudget", "b", "policy/v1", minAvailable=2, selector={"matchLabels": LABELS})
    await cluster.client.create(PODDISRUPTIONBUDGETS, budget)
    budgets = await cluster.informer(PODDISRUPTIONBUDGETS)
    await cluster.until(lambda: budgets.items("default")[0].get("status", {}).get("disruptionsAllowed") == 1)
    first, second, _ = sorted(map(name, cluster.select_pods("app=web")))

    async def evict(pod):
        wanted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
        await cluster.client.create(PODS, wanted, "default", name=pod, subresource="eviction")

    await cluster.stop("controller-manager")
    await evict(first)
    with pytest.raises(StatusError, match="would violate the pod's disruption budget"):
        await evict(second)
    cluster.start("controller-manager")
    await cluster.until(lambda: first not in map(name, cluster.select_pods()) and cluster.ready_pods("app=web") == 3)
    await cluster.until(lambda: budgets.items("default")[0]["status"]["disruptionsAllowed"] == 1)
    await evict(second)


async def test_a_claim_is_bound_and_released(cluster):
    spec = {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    await cluster.client.create(PERSISTENTVOLUMES, {"metadata": {"name": "v"}, "spec": spec})
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await cluster.client.create(PERSISTENTVOLUMECLAIMS, thing("PersistentVolumeClaim", "c", "v1", **wanted))
    volumes, claims = await cluster.informer(PERSISTENTVOLUMES), await cluster.informer(PERSISTENTVOLUMECLAIMS)

    def phases():
        return [o["status"].get("phase") for o in (volumes.get("", "v"), claims.get("default", "c")) if o]

    await cluster.until(lambda: phases() == ["Bound", "Bound"])
    await cluster.client.delete(PERSISTENTVOLUMECLAIMS, "c", "default")
    await cluster.until(lambda: phases() == ["Released"])


async def test_a_quota_bounds_what_a_controller_makes(cluster):
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"pods": "2"}}}
    await cluster.client.create(RESOURCEQUOTAS, quota)

    async def status():
        return (await cluster.client.get(RESOURCEQUOTAS, "q", "default")).get("status", {})

    async def known():
        return (await status()).get("used") == {"pods": "0"}

    await cluster.until(known)
    rc = {"replicas": 9, "selector": dict(LABELS), "template": template()}
    await cluster.client.create(REPLICATIONCONTROLLERS, thing("ReplicationController", "web", "v1", **rc))

    async def failing():
        found = await cluster.client.get(REPLICATIONCONTROLLERS, "web", "default")
        condition = get_condition(found, "ReplicaFailure")
        return condition and condition["reason"] == "FailedCreate" and found["status"]["replicas"] == 2

    await cluster.until(failing)
    assert (await status())["used"] == {"pods": "2"}
    await cluster.client.delete(REPLICATIONCONTROLLERS, "web", "default", propagation="Background")
    await cluster.until(known)


def test_a_booking_is_no_reason_to_count_again():
    """What admission books may be there before the object is: a count in between would give it to somebody else."""
    informers = Informers(None)
    controller = ResourceQuotaController(client=Client(None), informers=informers)
    keys = controller.watches()[0].keys
    before = thing("ResourceQuota", "q", "v1", hard={"pods": "2"}) | {
        "status": {"hard": {"pods": "2"}, "used": {"pods": "0"}}
    }
    booked = before | {"status": {"hard": {"pods": "2"}, "used": {"pods": "1"}}}
    wider = before | {"spec": {"hard": {"pods": "3"}}}
    assert list(keys(Change("updated", before, booked))) == []
    assert list(keys(Change("updated", before, wider))) == ["default/q"]
