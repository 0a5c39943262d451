"""Whole scheduling in a cluster: what users see on pods and in events."""

import pytest

from skiff.api.gvr import EVENTS, NODES, PODS
from skiff.api.meta import get_condition
from skiff.client import metrics
from skiff.testing.builders import node, pod
from skiff.testing.cluster import Cluster
from tests.scheduler.test_filters import attracted, near

alone = pytest.mark.cluster(nodes=0, controllers=[])
"""Only API server and scheduler: nodes and pods are what the test writes."""


async def create_node(cluster: Cluster, name: str, **more) -> None:
    made = node(name, **more)
    await cluster.client.create(NODES, made)
    await cluster.client.patch(NODES, name, {"status": made["status"]}, subresource="status")


async def create_pod(cluster: Cluster, name: str, **more) -> None:
    await cluster.client.create(PODS, pod(name, **more))


def seen(cluster: Cluster, name: str) -> dict:
    return cluster.pods.get("default", name) or {"spec": {}, "status": {}}


def where(cluster: Cluster, name: str) -> str:
    return seen(cluster, name)["spec"].get("nodeName", "")


def why(cluster: Cluster, name: str) -> tuple[str, str] | None:
    condition = get_condition(seen(cluster, name), "PodScheduled")
    return (condition["reason"], condition["message"]) if condition and condition["status"] == "False" else None


async def events(cluster: Cluster, name: str) -> list[tuple[str, str, str]]:
    found = (await cluster.client.list(EVENTS, "default", fields=f"involvedObject.name={name}")).items
    return [(e["type"], e["reason"], e["message"]) for e in found]


@alone
async def test_a_pod_is_bound_and_told(cluster: Cluster):
    await create_node(cluster, "n1")
    await create_pod(cluster, "p")
    await cluster.until(lambda: where(cluster, "p"))
    assert get_condition(seen(cluster, "p"), "PodScheduled")["status"] == "True"
    await cluster.settled()
    assert await events(cluster, "p") == [("Normal", "Scheduled", "Successfully assigned default/p to n1")]


@alone
async def test_what_the_scheduler_counts(cluster: Cluster):
    await create_node(cluster, "n1", cpu="1")
    await create_pod(cluster, "small")
    await create_pod(cluster, "large", cpu="2")
    await cluster.until(lambda: where(cluster, "small") and why(cluster, "large"))
    await cluster.settled()
    lines = metrics.render()
    scheduled = 'profile="default-scheduler",result="scheduled"'
    for line in (
        f"scheduler_schedule_attempts_total{{{scheduled}}} 1",
        f"scheduler_scheduling_attempt_duration_seconds_count{{{scheduled}}} 1",
        'scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"} 1',
        "scheduler_pod_scheduling_attempts_count 1",
        'scheduler_pending_pods{queue="active"} 0',
        'scheduler_pending_pods{queue="unschedulable"} 1',
        'scheduler_cache_size{type="nodes"} 1',
        'scheduler_cache_size{type="pods"} 1',
    ):
        assert line in lines
    assert any(line.startswith("scheduler_scheduling_algorithm_duration_seconds_bucket{le=") for line in lines)


@alone
async def test_a_pod_that_does_not_fit_says_why_and_comes_when_it_does(cluster: Cluster):
    await create_node(cluster, "n1", cpu="1")
    await create_pod(cluster, "p", cpu="2")
    await cluster.until(lambda: why(cluster, "p"))
    message = (
        "0/1 nodes are available: 1 Insufficient cpu. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    assert why(cluster, "p") == ("Unschedulable", message)
    await cluster.settled()
    assert await events(cluster, "p") == [("Warning", "FailedScheduling", message)]
    await create_node(cluster, "n2", cpu="4")
    await cluster.until(lambda: where(cluster, "p") == "n2", timeout=5)


@alone
async def test_a_pod_comes_when_another_goes(cluster: Cluster):
    await create_node(cluster, "n1", cpu="1")
    await create_pod(cluster, "first", cpu="1")
    await cluster.until(lambda: where(cluster, "first"))
    await create_pod(cluster, "second", cpu="1")
    await cluster.until(lambda: why(cluster, "second"))
    await cluster.client.delete(PODS, "first", "default", grace_seconds=0)
    await cluster.until(lambda: where(cluster, "second") == "n1", timeout=5)


@alone
async def test_a_pod_that_wants_company_comes_when_there_is_some(cluster: Cluster):
    await create_node(cluster, "n1")
    wish = attracted(near({"app": "web"}, "kubernetes.io/hostname"))
    await create_pod(cluster, "p", affinity=wish)
    await cluster.until(lambda: why(cluster, "p"))
    await cluster.settled(20)
    await create_pod(cluster, "web", labels={"app": "web"})
    await cluster.until(lambda: where(cluster, "p") == "n1", timeout=5)


@alone
async def test_no_nodes(cluster: Cluster):
    await create_pod(cluster, "p")
    await cluster.until(lambda: why(cluster, "p"))
    assert why(cluster, "p") == ("Unschedulable", "no nodes available to schedule pods")
    await create_node(cluster, "n1")
    await cluster.until(lambda: where(cluster, "p"), timeout=5)


@alone
async def test_uncordoning_lets_pods_in(cluster: Cluster):
    await create_node(cluster, "n1", unschedulable=True)
    await create_pod(cluster, "p")
    await cluster.until(lambda: why(cluster, "p"))
    await cluster.client.patch(NODES, "n1", {"spec": {"unschedulable": None}})
    await cluster.until(lambda: where(cluster, "p"), timeout=5)


@alone
async def test_other_schedulers_pods_are_left_alone(cluster: Cluster):
    await create_node(cluster, "n1")
    await create_pod(cluster, "p", schedulerName="other")
    await cluster.settled(60)
    assert where(cluster, "p") == ""
    assert why(cluster, "p") is None


@alone
async def test_gated_pods_wait_and_go_when_the_gates_do(cluster: Cluster):
    await create_node(cluster, "n1")
    await create_pod(cluster, "p", schedulingGates=[{"name": "example.com/wait"}])
    await cluster.settled(60)
    assert why(cluster, "p") == ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    await cluster.client.patch(PODS, "p", {"spec": {"schedulingGates": None}}, "default")
    await cluster.until(lambda: where(cluster, "p"), timeout=5)


@alone
async def test_preemption_from_end_to_end(cluster: Cluster):
    await create_node(cluster, "n1", cpu="1")
    await create_pod(cluster, "low", cpu="1", priority=0)
    await cluster.until(lambda: where(cluster, "low"))
    victim = seen(cluster, "low")
    await cluster.client.create(
        PODS, pod("high", cpu="1", priorityClassName="system-node-critical", priority=2000001000)
    )
    await cluster.until(lambda: seen(cluster, "high")["status"].get("nominatedNodeName") == "n1")
    await cluster.until(lambda: seen(cluster, "low")["metadata"].get("deletionTimestamp"))
    condition = get_condition(seen(cluster, "low"), "DisruptionTarget")
    assert (condition["status"], condition["reason"]) == ("True", "PreemptionByScheduler")
    assert condition["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    await cluster.client.delete(PODS, "low", "default", grace_seconds=0)
    await cluster.until(lambda: where(cluster, "high") == "n1", timeout=5)
    preemptor = seen(cluster, "high")["metadata"]["uid"]
    told = ("Normal", "Preempted", f"Preempted by pod {preemptor} on node n1")
    assert told in await events(cluster, "low")
    assert victim["metadata"]["uid"]


@alone
async def test_no_node_is_overcommitted_while_bindings_are_on_their_way(cluster: Cluster):
    for i in range(3):
        await create_node(cluster, f"n{i}", cpu="1")
    for i in range(40):
        await create_pod(cluster, f"p{i}", cpu="100m")
    await cluster.until(lambda: sum(bool(where(cluster, f"p{i}")) for i in range(40)) == 30)
    await cluster.settled()
    nodes = [where(cluster, f"p{i}") for i in range(40)]
    assert sorted(nodes.count(f"n{i}") for i in range(3)) == [10, 10, 10]


@alone
async def test_a_restarted_scheduler_goes_on(cluster: Cluster):
    await create_node(cluster, "n1")
    await cluster.stop("scheduler")
    await create_pod(cluster, "p")
    await cluster.settled()
    assert where(cluster, "p") == ""
    cluster.start("scheduler")
    await cluster.until(lambda: where(cluster, "p"), timeout=10)


@alone
async def test_a_failed_binding_is_repeated(cluster: Cluster):
    await create_node(cluster, "n1")
    inner = cluster.api
    refusals = [0]

    class Sometimes:
        async def handler(self, request):
            if request.path.endswith("/binding") and refusals[0] < 2:
                refusals[0] += 1
                raise ConnectionError("the connection broke")
            return await inner.handler(request)

        async def close(self):
            await inner.close()

    cluster.api = Sometimes()
    await create_pod(cluster, "p")
    await cluster.until(lambda: where(cluster, "p"), timeout=10)
    await cluster.settled()
    found = await events(cluster, "p")
    assert ("Warning", "FailedScheduling", "binding rejected: the connection broke") in found
    assert refusals == [2]


@pytest.mark.cluster(nodes=3)
async def test_replicas_spread_over_the_nodes(cluster: Cluster):
    from skiff.api.gvr import DEPLOYMENTS
    from skiff.testing.builders import deployment

    await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=6))
    await cluster.until(lambda: cluster.ready_pods("app=web") == 6)
    used = [p["spec"]["nodeName"] for p in cluster.select_pods("app=web")]
    assert sorted(used.count(f"node-{i}") for i in (1, 2, 3)) == [2, 2, 2]
