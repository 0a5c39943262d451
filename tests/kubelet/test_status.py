"""A pod's status. Source: API reference, PodStatus; Kubernetes docs, "Pod Lifecycle"."""

from typing import Any

import pytest

from skiff.api.types import Obj
from skiff.kubelet.runtime import PodState
from skiff.kubelet.status import Facts, StartFailure, pod_status
from tests.kubelet.make import created, exited, pod, running, sandbox, spec, state

SIDE = spec("side", restartPolicy="Always")


def facts(**more: Any) -> Facts:
    defaults: dict[str, Any] = {
        "now": 100.0, "node_ips": ["10.1.0.1"], "failures": {}, "started": lambda *a: True, "ready": lambda *a: True,
    }  # fmt: skip
    return Facts(**{**defaults, **more})


def shown(status: Obj) -> str:
    """`Running app=running(ready)`: phase and each container in a word."""
    words = [status["phase"]]
    for key in ("initContainerStatuses", "containerStatuses"):
        for s in status.get(key, []):
            kind, detail = next(iter(s["state"].items()))
            reason = detail.get("reason", "")
            words.append(f"{s['name']}={kind}{':' + reason if reason else ''}{'(ready)' if s['ready'] else ''}")
    return " ".join(words)


def conditions(status: Obj) -> dict[str, str]:
    return {c["type"]: c["status"] + (f" {c['reason']}" if "reason" in c else "") for c in status["conditions"]}


INIT = pod(init=[spec("i1")])
PHASES = [
    pytest.param(pod(), state(sandboxes=()), "Pending app=waiting:ContainerCreating", id="nothing yet"),
    pytest.param(INIT, state(running("i1")), "Pending i1=running app=waiting:PodInitializing", id="initializing"),
    pytest.param(INIT, state(exited("i1"), running()), "Running i1=terminated:Completed(ready) app=running(ready)", id="initialized"),
    pytest.param(pod(), state(running()), "Running app=running(ready)", id="running"),
    pytest.param(pod(), state(created()), "Pending app=waiting", id="created but not started"),
    pytest.param(pod(), state(exited()), "Running app=terminated:Completed", id="an ended container that will be restarted"),
    pytest.param(pod(restartPolicy="Never"), state(exited()), "Succeeded app=terminated:Completed", id="succeeded"),
    pytest.param(pod(restartPolicy="Never"), state(exited(code=3)), "Failed app=terminated:Error", id="failed"),
    pytest.param(
        pod(restartPolicy="OnFailure"), state(exited(code=3)), "Running app=terminated:Error", id="a failure that is tried again"
    ),
    pytest.param(
        pod(spec("a"), spec("b"), restartPolicy="Never"), state(exited("a", 1), running("b")),
        "Running a=terminated:Error b=running(ready)", id="one of two still runs",
    ),
    pytest.param(
        pod(init=[spec("i1")], restartPolicy="Never"), state(exited("i1", 1)),
        "Failed i1=terminated:Error app=waiting:PodInitializing", id="initialization failed for good",
    ),
    pytest.param(
        pod(init=[SIDE], restartPolicy="Never"), state(exited("side", 137), exited()),
        "Succeeded side=terminated:Error app=terminated:Completed", id="how a sidecar ended does not count",
    ),
    pytest.param(INIT, state(running()), "Running i1=terminated:Completed(ready) app=running(ready)", id="a lost init container was done"),
]  # fmt: skip


@pytest.mark.parametrize("pod, state, expected", PHASES)
def test_phase(pod: Obj, state: PodState, expected: str) -> None:
    assert shown(pod_status(pod, state, {}, facts())) == expected


def test_crash_loop_shows_the_wait_and_how_it_ended() -> None:
    failure = {"app": StartFailure("CrashLoopBackOff", "back-off 10s")}
    status = pod_status(pod(), state(exited(code=1, attempt=4)), {}, facts(failures=failure))
    container = status["containerStatuses"][0]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert (container["restartCount"], status["phase"]) == (4, "Running")


def test_the_run_before_is_the_last_state() -> None:
    status = pod_status(pod(), state(exited(code=2, attempt=0), running(attempt=1)), {}, facts())
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 2


def test_a_running_container_that_vanished_is_told_as_unknown() -> None:
    before = {"containerStatuses": [{"name": "app", "restartCount": 1, "state": {"running": {}}, "lastState": {}}]}
    status = pod_status(pod(), state(), before, facts())["containerStatuses"][0]
    assert status["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (2, 137)


CONDITIONS = [
    pytest.param(
        pod(), state(sandboxes=()), facts(),
        {
            "PodReadyToStartContainers": "False", "Initialized": "True", "Ready": "False ContainersNotReady",
            "ContainersReady": "False ContainersNotReady", "PodScheduled": "True",
        }, id="before the sandbox",
    ),
    pytest.param(
        pod(), state(running()), facts(),
        {"PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "True", "ContainersReady": "True", "PodScheduled": "True"},
        id="ready",
    ),
    pytest.param(
        pod(), state(running()), facts(ready=lambda *a: False),
        {
            "PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "False ContainersNotReady",
            "ContainersReady": "False ContainersNotReady", "PodScheduled": "True",
        }, id="a readiness probe fails",
    ),
    pytest.param(
        INIT, state(running("i1")), facts(),
        {
            "PodReadyToStartContainers": "True", "Initialized": "False ContainersNotInitialized",
            "Ready": "False ContainersNotReady", "ContainersReady": "False ContainersNotReady", "PodScheduled": "True",
        }, id="initializing",
    ),
    pytest.param(
        pod(restartPolicy="Never"), state(exited(), sandboxes=(sandbox(ready=False),)), facts(),
        {
            "PodReadyToStartContainers": "False", "Initialized": "True PodCompleted", "Ready": "False PodCompleted",
            "ContainersReady": "False PodCompleted", "PodScheduled": "True",
        }, id="completed",
    ),
    pytest.param(
        pod(readinessGates=[{"conditionType": "x/y"}]), state(running()), facts(),
        {
            "PodReadyToStartContainers": "True", "Initialized": "True", "Ready": "False ReadinessGatesNotReady",
            "ContainersReady": "True", "PodScheduled": "True",
        }, id="a readiness gate is missing",
    ),
]  # fmt: skip


@pytest.mark.parametrize("pod, state, facts, expected", CONDITIONS)
def test_conditions(pod: Obj, state: PodState, facts: Facts, expected: dict[str, str]) -> None:
    assert conditions(pod_status(pod, state, {}, facts)) == expected


def test_messages_name_the_containers() -> None:
    two = pod(spec("a"), spec("b"))
    status = pod_status(two, state(running("a")), {}, facts())
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [b]"


def test_a_transition_keeps_its_time_until_the_status_changes() -> None:
    first = pod_status(pod(), state(running()), {}, facts())
    again = pod_status(pod(), state(running()), first, facts(now=500.0))
    assert again == first
    later = pod_status(pod(), state(exited(code=1)), first, facts(now=500.0))
    changed = {c["type"] for c in later["conditions"] if c["lastTransitionTime"] == "1970-01-01T00:08:20Z"}
    assert changed == {"Ready", "ContainersReady"}


def test_conditions_of_others_are_kept() -> None:
    theirs = {"type": "x/y", "status": "True"}
    p = pod(readinessGates=[{"conditionType": "x/y"}]) | {"status": {"conditions": [theirs]}}
    status = pod_status(p, state(running()), {}, facts())
    assert theirs in status["conditions"] and conditions(status)["Ready"] == "True"


def test_a_terminal_phase_is_final() -> None:
    p = pod(restartPolicy="Never") | {"status": {"phase": "Failed", "reason": "Evicted"}}
    assert pod_status(p, state(running()), p["status"], facts())["phase"] == "Failed"


def test_an_eviction_overrides_the_phase() -> None:
    status = pod_status(pod(), state(running()), {}, facts(override=StartFailure("Evicted", "low")))
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", "low")


def test_addresses() -> None:
    status = pod_status(pod(), state(running()), {}, facts())
    assert (status["podIP"], status["hostIP"]) == ("10.0.0.2", "10.1.0.1")
    host = pod_status(pod(hostNetwork=True), state(sandboxes=()), {}, facts())
    assert host["podIPs"] == [{"ip": "10.1.0.1"}]
