"""Pods on a simulated node, against an API server in memory, on virtual time. Source: Kubernetes docs, "Pod Lifecycle"."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from skiff import env
from skiff.api.gvr import CONFIGMAPS, LEASES, NODES, PODS
from skiff.api.types import Obj
from skiff.client import metrics
from skiff.kubelet.options import Options
from skiff.testing import run
from skiff.testing.builders import container, pod
from tests.kubelet.simnode import Node, node, phase, ready

SIM = "sim.skiff.dev/"
Scenario = Callable[[Node], Awaitable[Any]]


def on_node(scenario: Scenario, options: Options | None = None, **runtime: Any) -> Any:
    async def main() -> Any:
        async with node(options, **runtime) as n:
            return await scenario(n)

    return run(main())


def sim(**annotations: str) -> dict[str, str]:
    return {SIM + k.replace("_", "-"): v for k, v in annotations.items()}


def first(p: Obj) -> Obj:
    found: Obj = (p["status"].get("containerStatuses") or [{"state": {}, "restartCount": 0}])[0]
    return found


def waiting(reason: str) -> Callable[[Obj], bool]:
    return lambda p: (first(p)["state"].get("waiting") or {}).get("reason") == reason


def test_a_pod_becomes_ready_and_goes_away() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a"))
        found = await n.until(ready)
        assert (phase(found), found["status"]["podIP"], first(found)["started"]) == ("Running", "10.244.0.2", True)
        await n.client.delete(PODS, "a", "default")
        assert await n.gone() < 1
        assert await n.runtime.list_sandboxes() == []
        reasons = [reason for reason, _ in await n.events()]
        assert reasons[-5:] == ["Pulling", "Pulled", "Created", "Started", "Killing"]

    on_node(scenario)


def test_crash_loops_wait_twice_as_long_each_time() -> None:
    async def scenario(n: Node) -> None:
        began = env.epoch()
        await n.create(pod("a", annotations=sim(run="1s=1")))
        at = []
        for restarts in range(1, 7):
            await n.until(lambda p, r=restarts: first(p)["restartCount"] == r, seconds=2000)
            at.append(round(env.epoch() - began))
        assert at == [1, 12, 33, 74, 155, 316]
        found = await n.until(waiting("CrashLoopBackOff"))
        message = first(found)["state"]["waiting"]["message"]
        assert message.startswith("back-off 5m0s restarting failed container=app pod=a_default(")
        assert first(found)["lastState"]["terminated"]["exitCode"] == 1

    on_node(scenario)


ENDS = [
    pytest.param("Never", "1s=0", "Succeeded", 0, id="Never and success"),
    pytest.param("Never", "1s=3", "Failed", 0, id="Never and failure"),
    pytest.param("OnFailure", "1s=0", "Succeeded", 0, id="OnFailure and success"),
    pytest.param("OnFailure", "1s=1,1s=0", "Succeeded", 1, id="OnFailure and success at the second try"),
]


@pytest.mark.parametrize("policy, runs, expected, restarts", ENDS)
def test_how_pods_end(policy: str, runs: str, expected: str, restarts: int) -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(run=runs), restartPolicy=policy))
        found = await n.until(lambda p: phase(p) == expected)
        assert first(found)["restartCount"] == restarts
        assert not any(s.ready for s in await n.runtime.list_sandboxes())

    on_node(scenario)


@pytest.mark.parametrize("policy, where", [("Never", "state"), ("Always", "lastState")])
@pytest.mark.parametrize("oom", ["true", "late"])
def test_the_runtime_tells_that_a_container_was_killed_for_its_memory(oom: str, policy: str, where: str) -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(run="1s=137", oom=oom), restartPolicy=policy))
        found = await n.until(lambda p: first(p).get(where, {}).get("terminated", {}).get("reason") == "OOMKilled")
        assert first(found)[where]["terminated"]["exitCode"] == 137

    on_node(scenario)


def test_init_containers_and_sidecars_come_in_order() -> None:
    async def scenario(n: Node) -> None:
        inits = [container("i1"), container("side", restartPolicy="Always"), container("i2")]
        await n.create(pod("a", initContainers=inits, annotations={f"{SIM}run.i1": "3s=0", f"{SIM}run.i2": "2s=0"}))
        started = env.epoch()
        found = await n.until(ready)
        assert round(env.epoch() - started) == 5
        assert [(s["name"], next(iter(s["state"]))) for s in found["status"]["initContainerStatuses"]] == [
            ("i1", "terminated"), ("side", "running"), ("i2", "terminated"),
        ]  # fmt: skip

    on_node(scenario)


def test_a_failing_image_pull_backs_off() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(pull_error="no such host")))
        await n.until(waiting("ErrImagePull"))
        found = await n.until(waiting("ImagePullBackOff"))
        expected = 'Back-off pulling image "registry.skiff.test/app:1": ErrImagePull: no such host'
        assert first(found)["state"]["waiting"]["message"] == expected
        await asyncio.sleep(30)
        failed = [m for r, m in await n.events() if r == "Failed"]
        assert 'Failed to pull image "registry.skiff.test/app:1": no such host' in failed

    on_node(scenario)


PROBLEMS = [
    pytest.param({"containers": [container(imagePullPolicy="Never")]}, "ErrImageNeverPull", id="an image that may not be pulled"),
    pytest.param({"containers": [container(image="Bad:1")]}, "InvalidImageName", id="no image name"),
    pytest.param(
        {"containers": [container(env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}}])]},
        "CreateContainerConfigError", id="a config map that is missing",
    ),
    pytest.param(
        {"containers": [container()], "securityContext": {"runAsNonRoot": True}}, "CreateContainerConfigError", id="an image that runs as root"
    ),
]  # fmt: skip


@pytest.mark.parametrize("spec, reason", PROBLEMS)
def test_why_a_container_waits(spec: dict[str, Any], reason: str) -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", **spec))
        assert phase(await n.until(waiting(reason))) == "Pending"

    on_node(scenario)


def test_a_missing_config_map_holds_up_the_pod_until_it_comes() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", volumes=[{"name": "v", "configMap": {"name": "late"}}]))
        await asyncio.sleep(20)
        assert phase(await n.pod()) == "Pending"
        assert (
            "FailedMount",
            'MountVolume.SetUp failed for volume "v" : configmap "late" not found',
        ) in await n.events()
        await n.client.create(
            CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}, "default"
        )
        await n.until(ready, seconds=15)

    on_node(scenario)


def test_probes_decide_on_readiness_and_restarts() -> None:
    async def scenario(n: Node) -> None:
        probes = {
            "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
            "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 2},
        }
        began = env.epoch()
        await n.create(
            pod("a", containers=[container(**probes)], annotations=sim(readiness="3s=ok", liveness="10s=fail"))
        )
        await n.until(ready)
        assert round(env.epoch() - began) == 3
        found = await n.until(lambda p: first(p)["restartCount"] == 1)
        assert round(env.epoch() - began) == 11
        assert not first(found)["ready"]
        reasons = await n.events()
        assert ("Killing", "Container app failed liveness probe, will be restarted") in reasons
        assert ("Unhealthy", "Readiness probe failed: simulated failure") in reasons

    on_node(scenario)


def test_nothing_is_probed_before_the_startup_probe_passes() -> None:
    async def scenario(n: Node) -> None:
        probes = {
            "startupProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 30},
            "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 1},
        }
        annotations = sim(startup="8s=ok", liveness="5s=ok")
        began = env.epoch()
        await n.create(pod("a", containers=[container(**probes)], annotations=annotations))
        found = await n.until(ready)
        assert (round(env.epoch() - began), first(found)["restartCount"]) == (8, 0)

    on_node(scenario)


STOPS = [
    pytest.param("5s", 30, 5, id="ends within the grace period"),
    pytest.param("100s", 7, 7, id="is killed after it"),
    pytest.param("0s", 30, 0, id="ends at once"),
]


@pytest.mark.parametrize("delay, grace, expected", STOPS)
def test_graceful_termination(delay: str, grace: int, expected: int) -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(stop_delay=delay), terminationGracePeriodSeconds=grace))
        await n.until(ready)
        await n.client.delete(PODS, "a", "default")
        assert round(await n.gone()) == expected

    on_node(scenario)


def test_a_second_deletion_shortens_the_grace_period() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(stop_delay="100s"), terminationGracePeriodSeconds=60))
        await n.until(ready)
        await n.client.delete(PODS, "a", "default")
        await asyncio.sleep(3)
        await n.client.delete(PODS, "a", "default", grace_seconds=4)
        assert round(await n.gone()) == 4

    on_node(scenario)


def test_the_pre_stop_hook_counts_against_the_grace_period() -> None:
    async def scenario(n: Node) -> None:
        hooked = container(lifecycle={"preStop": {"sleep": {"seconds": 6}}})
        await n.create(
            pod("a", containers=[hooked], annotations=sim(stop_delay="100s"), terminationGracePeriodSeconds=10)
        )
        await n.until(ready)
        await n.client.delete(PODS, "a", "default")
        assert round(await n.gone()) == 10

    on_node(scenario)


def test_sidecars_end_last() -> None:
    async def scenario(n: Node) -> None:
        side = container("side", restartPolicy="Always")
        annotations = {f"{SIM}stop-delay.app": "5s", f"{SIM}stop-delay.side": "2s"}
        await n.create(pod("a", initContainers=[side], annotations=annotations))
        await n.until(ready)
        await n.client.delete(PODS, "a", "default")
        assert round(await n.gone()) == 7

    on_node(scenario)


def test_a_forced_deletion_ends_the_containers_too() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(stop_delay="100s"), terminationGracePeriodSeconds=5))
        await n.until(ready)
        await n.client.delete(PODS, "a", "default", grace_seconds=0)
        await asyncio.sleep(10)
        assert await n.runtime.list_sandboxes() == []

    on_node(scenario)


def test_the_place_of_a_pod_deleted_by_force_is_free_at_once() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", cpu="3", annotations=sim(stop_delay="100s"), terminationGracePeriodSeconds=60))
        await n.until(ready)
        await n.client.delete(PODS, "a", "default", grace_seconds=0)
        await n.create(pod("b", cpu="3"))
        found = await n.until(lambda p: ready(p) or phase(p) == "Failed", "b")
        assert ready(found)
        assert len(await n.runtime.list_sandboxes()) == 2

    on_node(scenario)


def test_the_deadline_ends_a_pod() -> None:
    async def scenario(n: Node) -> None:
        began = env.epoch()
        await n.create(pod("a", activeDeadlineSeconds=5))
        found = await n.until(lambda p: phase(p) == "Failed")
        assert (found["status"]["reason"], round(env.epoch() - began)) == ("DeadlineExceeded", 5)

    on_node(scenario)


REJECTED = [
    pytest.param(
        {"cpu": "9"}, "OutOfcpu",
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 9000, used: 0, capacity: 4000", id="too much cpu",
    ),
    pytest.param(
        {"nodeSelector": {"disk": "ssd"}}, "NodeAffinity",
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector", id="another node",
    ),
]  # fmt: skip


@pytest.mark.parametrize("spec, reason, message", REJECTED)
def test_a_node_refuses(spec: dict[str, Any], reason: str, message: str) -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", **spec))
        found = await n.until(lambda p: phase(p) == "Failed")
        assert (found["status"]["reason"], found["status"]["message"]) == (reason, message)
        assert await n.runtime.list_sandboxes() == []
        for _ in range(2):  # also after a restart of the kubelet
            found = await n.pod()
            assert not {"containerStatuses", "conditions"} & set(found["status"]), "kubectl get shows the reason, then"
            await n.stop()
            await n.start()
            await asyncio.sleep(30)

    on_node(scenario)


def test_a_node_takes_what_it_was_labelled_for_a_moment_ago() -> None:
    async def scenario(n: Node) -> None:
        await asyncio.sleep(1)  # the next regular look is seconds away
        await n.client.patch(NODES, "node-1", {"metadata": {"labels": {"disk": "ssd"}}})
        await n.create(pod("a", nodeSelector={"disk": "ssd"}))
        found = await n.until(lambda p: ready(p) or phase(p) == "Failed")
        assert ready(found)

    on_node(scenario)


def test_a_new_kubelet_adopts_what_runs() -> None:
    async def scenario(n: Node) -> None:
        probe = {"readinessProbe": {"tcpSocket": {"port": 80}}}
        await n.create(pod("a", containers=[container(**probe)], annotations=sim(run="2s=1,never")))
        before = await n.until(lambda p: ready(p) and first(p)["restartCount"] == 1)
        await n.stop()
        await n.start()
        await asyncio.sleep(30)
        assert (await n.pod())["status"] == before["status"]
        assert len(await n.runtime.list_containers()) == 2

    on_node(scenario)


def test_what_was_deleted_meanwhile_is_ended() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a"))
        await n.until(ready)
        await n.stop()
        await n.client.delete(PODS, "a", "default", grace_seconds=0)
        await n.start()
        await asyncio.sleep(5)
        assert await n.runtime.list_sandboxes() == []

    on_node(scenario)


def test_a_sandbox_that_died_is_made_again() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a"))
        await n.until(ready)
        (old,) = await n.runtime.list_sandboxes()
        await n.runtime.stop_sandbox(old.id)
        await n.until(lambda p: ready(p) and first(p)["restartCount"] == 1)
        assert ("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.") in await n.events()

    on_node(scenario)


def test_an_ephemeral_container_runs_beside_the_others() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a"))
        before = await n.until(ready)
        debug = {
            "name": "debug",
            "image": "registry.skiff.test/app:1",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }
        patch = {"spec": {"ephemeralContainers": [debug]}}
        await n.client.patch(PODS, "a", patch, "default", type="strategic", subresource="ephemeralcontainers")
        found = await n.until(
            lambda p: "running" in (p["status"].get("ephemeralContainerStatuses") or [{"state": {}}])[0]["state"]
        )
        assert first(found)["containerID"] == first(before)["containerID"]

    on_node(scenario)


def test_few_writes_are_made_for_a_pod() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(start_delay="2s", pull_delay="2s")))
        seen = 0
        listed = await n.client.list(PODS, "default")
        async with asyncio.timeout(8):
            async for event in n.client.watch(PODS, "default", resource_version=listed.resource_version):
                seen += event.type == "MODIFIED"
                if ready(event.object):
                    break
        assert seen <= 3

    on_node(scenario)


def test_the_node_reports_itself() -> None:
    async def scenario(n: Node) -> None:
        await asyncio.sleep(1)
        found = await n.client.get(NODES, "node-1")
        conditions = {c["type"]: (c["status"], c["reason"], c["message"]) for c in found["status"]["conditions"]}
        assert conditions["Ready"] == ("True", "KubeletReady", "kubelet is posting ready status")
        assert conditions["DiskPressure"] == ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
        assert found["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.0"
        assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
        version = found["metadata"]["resourceVersion"]
        lease = await n.client.get(LEASES, "node-1", "kube-node-lease")
        await asyncio.sleep(60)
        renewed = await n.client.get(LEASES, "node-1", "kube-node-lease")
        assert renewed["spec"]["renewTime"] > lease["spec"]["renewTime"]
        assert (await n.client.get(NODES, "node-1"))["metadata"]["resourceVersion"] == version

    on_node(scenario)


def test_memory_pressure_evicts() -> None:
    async def scenario(n: Node) -> None:
        await n.create(pod("a", annotations=sim(memory="2Gi")))
        found = await n.until(lambda p: phase(p) == "Failed")
        assert found["status"]["reason"] == "Evicted"
        assert found["status"]["message"].startswith("The node was low on resource: memory. ")
        conditions = (await n.client.get(NODES, "node-1"))["status"]["conditions"]
        assert ("MemoryPressure", "True") in [(c["type"], c["status"]) for c in conditions]
        assert 'kubelet_evictions{eviction_signal="memory.available"} 1' in metrics.render()

    on_node(scenario, Options(resync_seconds=0, memory_available_hard="15Gi"))


def test_runs_are_repeatable() -> None:
    async def scenario(n: Node) -> list[tuple[str, str]]:
        for i in range(5):
            await n.create(pod(f"p{i}", annotations=sim(run=f"{i + 1}s=1")))
        await asyncio.sleep(60)
        return await n.events()

    assert on_node(scenario) == on_node(scenario)
