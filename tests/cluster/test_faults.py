"""Idea 9 of the architecture: components are killed at any moment, requests and answers get lost, and yet the cluster comes
to the state that was asked for."""

import asyncio
import random

import pytest

from skiff.api.gvr import DEPLOYMENTS, ENDPOINTSLICES, PODS, REPLICASETS, SERVICES
from skiff.testing import run
from skiff.testing.builders import deployment, service
from skiff.testing.cluster import Cluster

COMPONENTS = ("controller-manager", "scheduler", "node-1", "node-2", "node-3")


async def disturb(cluster: Cluster, rng: random.Random) -> None:
    """Something that users and fate do."""
    act = rng.randrange(6)
    if act == 0:
        await cluster.client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": rng.randint(1, 8)}}, "default")
    elif act == 1:
        image = f"registry.test/app:{rng.randint(1, 3)}"
        change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
        await cluster.client.patch(DEPLOYMENTS, "web", change, "default", type="json")
    elif act == 2:
        pods = (await cluster.client.list(PODS, "default")).items
        if pods:
            await cluster.client.delete(PODS, rng.choice(pods)["metadata"]["name"], "default")
    elif act == 3:
        await cluster.restart_api(rng.choice([0, 0.01, 5, 30]))
    else:
        name = rng.choice(COMPONENTS)
        await cluster.stop(name)
        await asyncio.sleep(rng.choice([0, 0.01, 1, 70]))
        cluster.start(name)


async def scenario(seed: int) -> None:
    rng = random.Random(seed)
    async with Cluster(nodes=3, seed=seed) as cluster:
        client = cluster.client
        cluster.faults.requests = cluster.faults.answers = cluster.faults.watches = rng.choice([0, 0.02, 0.1])
        await client.create(DEPLOYMENTS, deployment("web", replicas=4, cpu="100m"))
        await client.create(SERVICES, service("web"))
        for _ in range(15):
            await asyncio.sleep(rng.choice([0, 0.005, 0.05, 3]))
            await disturb(cluster, rng)
        cluster.faults.requests = cluster.faults.answers = cluster.faults.watches = 0
        await cluster.settled(400, timeout=7200)
        wanted = await client.get(DEPLOYMENTS, "web", "default")
        image = wanted["spec"]["template"]["spec"]["containers"][0]["image"]
        pods = cluster.select_pods("app=web")
        assert [p["spec"]["containers"][0]["image"] for p in pods] == [image] * wanted["spec"]["replicas"]
        assert cluster.ready_pods("app=web") == wanted["spec"]["replicas"]
        assert wanted["status"]["readyReplicas"] == wanted["status"]["updatedReplicas"] == len(pods)
        slices = (await client.list(ENDPOINTSLICES, "default", labels="kubernetes.io/service-name=web")).items
        found = sorted(a for s in slices for e in s["endpoints"] for a in e["addresses"])
        assert found == sorted(p["status"]["podIP"] for p in pods)
        sets = (await client.list(REPLICASETS, "default")).items
        assert sum(s["spec"]["replicas"] > 0 for s in sets) == 1


@pytest.mark.parametrize("seed", range(6))
def test_the_cluster_converges(seed):
    run(scenario(seed))
