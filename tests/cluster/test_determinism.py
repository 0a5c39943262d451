"""Idea 7 of the architecture: a run of the whole cluster is a function of its seed."""

import pytest

from skiff.api.gvr import DEPLOYMENTS, NODES
from skiff.testing import run
from skiff.testing.builders import deployment
from skiff.testing.cluster import Cluster


async def scenario(seed: int) -> tuple[list[bytes], dict]:
    """Deployments, scaling, a rolling update, the loss of a node; returns the history and the end."""
    async with Cluster(nodes=3, seed=seed) as cluster:
        client = cluster.client
        await client.create(DEPLOYMENTS, deployment("web", replicas=4, cpu="100m"))
        await client.create(DEPLOYMENTS, deployment("api", replicas=2, cpu="200m"))
        await cluster.until(lambda: cluster.ready_pods("app=web") == 4 and cluster.ready_pods("app=api") == 2)
        await client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 7}}, "default")
        await cluster.until(lambda: cluster.ready_pods("app=web") == 7)
        image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.test/app:2"}]
        await client.patch(DEPLOYMENTS, "web", image, "default", type="json")
        await cluster.settled()
        await cluster.stop("node-2")
        await client.delete(NODES, "node-2")
        await cluster.settled(60)
        return cluster.history(), end_state(cluster)


def end_state(cluster: Cluster) -> dict:
    return {
        app: sorted(p["spec"]["containers"][0]["image"] for p in cluster.select_pods(f"app={app}"))
        for app in ("web", "api")
    } | {"nodes used": sorted({p["spec"]["nodeName"] for p in cluster.select_pods()})}


@pytest.fixture(scope="module")
def first() -> tuple[list[bytes], dict]:
    return run(scenario(1))


def test_the_scenario_ends_as_it_should(first):
    assert first[1] == {
        "web": ["registry.test/app:2"] * 7,
        "api": ["registry.skiff.test/app:1"] * 2,
        "nodes used": ["node-1", "node-3"],
    }


def test_one_seed_gives_one_history(first):
    history, _ = run(scenario(1))
    assert len(history) > 200
    assert history == first[0]


def test_another_seed_gives_another_history_with_the_same_end(first):
    history, end = run(scenario(2))
    assert history != first[0]
    assert end == first[1]
