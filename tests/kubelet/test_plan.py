"""What is to be done for a pod. Source: Kubernetes docs, "Pod Lifecycle", "Init Containers", "Sidecar Containers"."""

from typing import Any

import pytest

from skiff.api.types import Obj
from skiff.kubelet.plan import compute
from skiff.kubelet.runtime import PodState
from tests.kubelet.make import created, exited, pod, running, sandbox, spec, state

SIDE = spec("side", restartPolicy="Always")
STARTED = {("side-0", "startup"): True}


def summary(p: Obj, s: PodState, probes: dict[tuple[str, str], bool]) -> dict[str, Any]:
    """A plan as short as it can be said: only what it asks for."""
    plan = compute(p, s, lambda id, kind: probes.get((id, kind)))
    said = {
        "kill_pod": plan.kill_pod,
        "sandbox": plan.attempt if plan.create_sandbox else None,
        "kill": [(k.container.name, k.message) for k in plan.kill],
        "ephemeral": [c["name"] for c in plan.ephemeral],
        "init": [c["name"] for c in plan.init],
        "start": [c["name"] for c in plan.start],
    }
    return {k: v for k, v in said.items() if v is not None and v is not False and v != []}


NEW = state(sandboxes=())
TWO_INITS = pod(init=[spec("i1"), spec("i2")])
WITH_SIDECAR = pod(init=[SIDE, spec("i2")])
LAST_SIDECAR = pod(init=[spec("i1"), SIDE])

CASES = [
    pytest.param(pod(), NEW, {"kill_pod": True, "sandbox": 0, "start": ["app"]}, id="a new pod: sandbox and containers"),
    pytest.param(TWO_INITS, NEW, {"kill_pod": True, "sandbox": 0, "init": ["i1"]}, id="a new pod begins with the first init container"),
    pytest.param(pod(), state(), {"start": ["app"]}, id="a sandbox without containers"),
    pytest.param(pod(), state(running()), {}, id="all runs: nothing"),
    pytest.param(pod(), state(exited(code=1)), {"start": ["app"]}, id="Always restarts what failed"),
    pytest.param(pod(), state(exited()), {"start": ["app"]}, id="Always restarts what succeeded"),
    pytest.param(pod(restartPolicy="OnFailure"), state(exited(code=1)), {"start": ["app"]}, id="OnFailure restarts what failed"),
    pytest.param(pod(restartPolicy="OnFailure"), state(exited()), {"kill_pod": True}, id="OnFailure leaves what succeeded"),
    pytest.param(pod(restartPolicy="Never"), state(exited(code=1)), {"kill_pod": True}, id="Never restarts nothing"),
    pytest.param(pod(), state(created()), {"start": ["app"]}, id="a container that hangs half made is made again"),
    pytest.param(
        pod(spec("a"), spec("b"), restartPolicy="Never"), state(running("a"), exited("b")), {}, id="one of two still runs"
    ),
    pytest.param(
        pod(), state(running(), sandboxes=(sandbox(ready=False),)), {"kill_pod": True, "sandbox": 1, "start": ["app"]},
        id="a dead sandbox is replaced with the next attempt",
    ),
    pytest.param(
        pod(restartPolicy="Never"), state(exited(), sandboxes=(sandbox(ready=False),)), {"kill_pod": True},
        id="a finished pod gets no new sandbox",
    ),
    pytest.param(
        pod(restartPolicy="OnFailure"), state(exited(), sandboxes=(sandbox(ready=False),)), {"kill_pod": True},
        id="nor does one whose containers all succeeded",
    ),
    pytest.param(
        pod(), state(sandboxes=(sandbox(ip=""),)), {"kill_pod": True, "sandbox": 1, "start": ["app"]},
        id="a sandbox without an address is replaced",
    ),
    pytest.param(TWO_INITS, state(running("i1")), {}, id="init containers run one after another"),
    pytest.param(TWO_INITS, state(exited("i1")), {"init": ["i2"]}, id="the next init container follows"),
    pytest.param(TWO_INITS, state(exited("i1"), exited("i2")), {"start": ["app"]}, id="then the containers"),
    pytest.param(TWO_INITS, state(exited("i2")), {"start": ["app"]}, id="removed init containers are not run again"),
    pytest.param(TWO_INITS, state(exited("i1", 1)), {"init": ["i1"]}, id="a failed init container is run again"),
    pytest.param(
        pod(init=[spec("i1")], restartPolicy="Never"), state(exited("i1", 1)), {"kill_pod": True},
        id="a failed init container ends a pod that never restarts",
    ),
    pytest.param(TWO_INITS, state(running("app")), {}, id="a running container proves initialization"),
    pytest.param(WITH_SIDECAR, state(running("side", of=SIDE)), {"init": ["i2"]}, id="a running sidecar lets the next one start"),
    pytest.param(WITH_SIDECAR, state(running("side", of=SIDE), exited("i2")), {"start": ["app"]}, id="after sidecar and init: containers"),
    pytest.param(LAST_SIDECAR, state(exited("i1"), running("side", of=SIDE)), {"start": ["app"]}, id="a running sidecar at the end"),
    pytest.param(
        LAST_SIDECAR, state(running("app"), exited("side", 1, of=SIDE)), {"init": ["side"]}, id="a sidecar that ended is restarted"
    ),
    pytest.param(
        pod(spec("a", image="new"), ), state(running("a", of=spec("a", image="old"))),
        {"kill": [("a", "Container a definition changed, will be restarted")], "start": ["a"]}, id="a new image replaces the container",
    ),
    pytest.param(pod(ephemeralContainers=[spec("dbg")]), state(running()), {"ephemeral": ["dbg"]}, id="an ephemeral container is started"),
    pytest.param(pod(ephemeralContainers=[spec("dbg")]), state(running(), exited("dbg")), {}, id="and never again"),
]  # fmt: skip


@pytest.mark.parametrize("pod, state, expected", CASES)
def test_plan(pod: Obj, state: PodState, expected: dict[str, Any]) -> None:
    assert summary(pod, state, {}) == expected


LIVE = spec("app", livenessProbe={"tcpSocket": {"port": 1}})
STARTUP_SIDE = {**SIDE, "startupProbe": {"tcpSocket": {"port": 1}}}

PROBES = [
    pytest.param(
        pod(LIVE), state(running(of=LIVE)), {("app-0", "liveness"): False},
        {"kill": [("app", "Container app failed liveness probe, will be restarted")], "start": ["app"]}, id="liveness fails",
    ),
    pytest.param(pod(LIVE), state(running(of=LIVE)), {("app-0", "liveness"): True}, {}, id="liveness passes"),
    pytest.param(
        pod(LIVE, restartPolicy="Never"), state(running(of=LIVE)), {("app-0", "liveness"): False},
        {"kill_pod": True, "kill": [("app", "Container app failed liveness probe")]}, id="liveness fails and nothing restarts",
    ),
    pytest.param(pod(init=[STARTUP_SIDE]), state(running("side", of=SIDE)), {}, {}, id="a sidecar holds up the rest until it has started"),
    pytest.param(
        pod(init=[STARTUP_SIDE]), state(running("side", of=SIDE)), {("side-0", "startup"): True}, {"start": ["app"]},
        id="and lets it go when its startup probe passes",
    ),
    pytest.param(
        pod(init=[STARTUP_SIDE]), state(running("side", of=SIDE)), {("side-0", "startup"): False},
        {"kill": [("side", "Init container side failed startup probe")], "init": ["side"]}, id="a sidecar that does not start is replaced",
    ),
]  # fmt: skip


@pytest.mark.parametrize("pod, state, probes, expected", PROBES)
def test_probes(pod: Obj, state: PodState, probes: dict[tuple[str, str], bool], expected: dict[str, Any]) -> None:
    assert summary(pod, state, probes) == expected


def test_a_pod_that_is_being_deleted_starts_nothing() -> None:
    deleted = pod()
    deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert summary(deleted, state(exited(code=1)), {}) == {"kill_pod": True}


RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}


@pytest.mark.parametrize(
    "code, expected",
    [
        pytest.param(42, {"start": ["app"]}, id="a rule that matches restarts"),
        pytest.param(1, {"kill_pod": True}, id="without a match the container's policy counts"),
    ],
)
def test_restart_rules(code: int, expected: dict[str, Any]) -> None:
    own = spec("app", restartPolicy="Never", restartPolicyRules=[RULE])
    assert summary(pod(own), state(exited(code=code, of=own)), {}) == expected
