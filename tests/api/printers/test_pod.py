"""The rows of `kubectl get pods`: TestPrintPod and its neighbours in pkg/printers/internalversion."""

import pytest

from skiff.api.printers.pod import POD

NOW = 1_000_000.0


def running(name="c", ready=True, restarts=0, **more):
    return {"name": name, "ready": ready, "restartCount": restarts, "state": {"running": {}}, **more}


def waiting(reason, name="c", **more):
    return {"name": name, "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}, **more}


def terminated(code=0, reason="", name="c", signal=0, **more):
    state = {"exitCode": code, "reason": reason, "signal": signal}
    return {"name": name, "ready": False, "restartCount": 0, "state": {"terminated": state}, **more}


def pod(*statuses, init=(), phase="Running", containers=2, init_specs=(), deleted=False, reason="", conditions=()):
    return {
        "metadata": {"name": "p", "creationTimestamp": "1970-01-12T13:45:40Z", **({"deletionTimestamp": "x"} if deleted else {})},
        "spec": {"containers": [{"name": "c"}] * containers, "initContainers": list(init_specs)},
        "status": {
            "phase": phase,
            "reason": reason,
            "containerStatuses": list(statuses),
            "initContainerStatuses": list(init),
            "conditions": [{"type": t, "status": s} for t, s in conditions],
        },
    }  # fmt: skip


ENDED = {"lastState": {"terminated": {"finishedAt": "1970-01-12T13:46:35Z"}}}
ENDED_BEFORE = {"lastState": {"terminated": {"finishedAt": "1970-01-12T13:46:30Z"}}}
SIDECAR = {"name": "s", "restartPolicy": "Always"}
INIT = {"name": "i"}


@pytest.mark.parametrize(
    "obj, ready, status, restarts",
    [
        pytest.param(pod(running(), running()), "2/2", "Running", "0", id="running"),
        pytest.param(pod(phase="Pending"), "0/2", "Pending", "0", id="pending"),
        pytest.param(pod(waiting("ContainerCreating"), phase="Pending"), "0/2", "ContainerCreating", "0", id="creating"),
        pytest.param(pod(waiting("ErrImagePull"), phase="Pending"), "0/2", "ErrImagePull", "0", id="cannot pull"),
        pytest.param(pod(waiting("CrashLoopBackOff", restartCount=3, **ENDED)), "0/2", "CrashLoopBackOff", "3 (5s ago)", id="crashing"),
        pytest.param(pod(running(restarts=1, **ENDED_BEFORE), running(restarts=2, **ENDED)), "2/2", "Running", "3 (5s ago)", id="restarts of all, the last of them"),
        pytest.param(pod(running(restarts=2)), "1/2", "Running", "2", id="restarts at an unknown time"),
        pytest.param(pod(terminated(0, "Completed"), phase="Succeeded"), "0/2", "Completed", "0", id="completed"),
        pytest.param(pod(terminated(1, "Error"), phase="Failed"), "0/2", "Error", "0", id="failed"),
        pytest.param(pod(terminated(137, signal=9)), "0/2", "Signal:9", "0", id="a signal"),
        pytest.param(pod(terminated(2)), "0/2", "ExitCode:2", "0", id="an exit code"),
        pytest.param(pod(terminated(0, "Completed"), running(), conditions=[("Ready", "True")]), "1/2", "Running", "0", id="one completed, the other ready"),
        pytest.param(pod(terminated(0, "Completed"), running()), "1/2", "NotReady", "0", id="one completed, the other runs"),
        pytest.param(pod(terminated(0, "Completed"), terminated(1, "Error")), "0/2", "Error", "0", id="one completed, the other failed"),
        pytest.param(pod(running(), deleted=True), "1/2", "Terminating", "0", id="terminating"),
        pytest.param(pod(terminated(0, "Completed"), deleted=True, phase="Succeeded"), "0/2", "Completed", "0", id="over and being deleted"),
        pytest.param(pod(running(), deleted=True, reason="NodeLost"), "1/2", "Unknown", "0", id="its node is lost"),
        pytest.param(pod(phase="Failed", reason="Evicted"), "0/2", "Evicted", "0", id="evicted"),
        pytest.param(pod(init=[running("i", ready=False)], init_specs=[INIT, INIT]), "0/2", "Init:0/2", "0", id="the first init container runs"),
        pytest.param(pod(init=[terminated(name="i"), waiting("PodInitializing", "i")], init_specs=[INIT, INIT]), "0/2", "Init:1/2", "0", id="the second waits"),
        pytest.param(pod(init=[waiting("CrashLoopBackOff", "i", restartCount=2, **ENDED)], init_specs=[INIT]), "0/2", "Init:CrashLoopBackOff", "2 (5s ago)", id="an init container crashes"),
        pytest.param(pod(init=[terminated(1, "Error", "i")], init_specs=[INIT]), "0/2", "Init:Error", "0", id="an init container failed"),
        pytest.param(pod(init=[terminated(3, name="i")], init_specs=[INIT]), "0/2", "Init:ExitCode:3", "0", id="an init container's exit code"),
        pytest.param(pod(init=[terminated(3, name="i", signal=9)], init_specs=[INIT]), "0/2", "Init:Signal:9", "0", id="an init container's signal"),
        pytest.param(pod(running(), running(), init=[terminated(0, "Completed", "i", restartCount=4, **ENDED)], init_specs=[INIT]), "2/2", "Running", "0", id="restarts of done init containers do not count"),
        pytest.param(pod(running(), running(), init=[running("s", restarts=1, started=True, **ENDED)], init_specs=[SIDECAR]), "3/3", "Running", "1 (5s ago)", id="a sidecar counts"),
        pytest.param(pod(running(), init=[running("s", ready=False, started=True)], init_specs=[SIDECAR]), "1/3", "Running", "0", id="a sidecar that is not ready"),
        pytest.param(pod(init=[running("s", started=False)], init_specs=[SIDECAR]), "0/3", "Init:0/1", "0", id="a sidecar that starts"),
        pytest.param(pod(running(), running(), init=[waiting("CrashLoopBackOff", "s", started=False, restartCount=1)], init_specs=[SIDECAR], conditions=[("Initialized", "True")]), "2/3", "Init:CrashLoopBackOff", "1", id="a sidecar that crashes later"),
    ],
)  # fmt: skip
def test_status(obj, ready, status, restarts):
    assert POD.cells(obj, NOW)[:5] == ["p", ready, status, restarts, "60s"]


def test_scheduling_gates():
    obj = pod(phase="Pending")
    obj["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    assert POD.cells(obj, NOW)[2] == "SchedulingGated"


def test_wide_columns():
    obj = pod(running())
    assert POD.cells(obj, NOW)[5:] == ["<none>"] * 4
    obj["spec"] |= {"nodeName": "w", "readinessGates": [{"conditionType": "A"}, {"conditionType": "B"}]}
    obj["status"] |= {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}], "nominatedNodeName": "x"}
    obj["status"]["conditions"] = [{"type": "A", "status": "True"}, {"type": "A", "status": "False"}]
    assert POD.cells(obj, NOW)[5:] == ["10.0.0.1", "w", "x", "1/2"]


def test_row_conditions():
    assert POD.conditions(pod(phase="Running")) == []
    message = "The pod has completed successfully."
    expected = [{"type": "Completed", "status": "True", "reason": "Succeeded", "message": message}]
    assert POD.conditions(pod(phase="Succeeded")) == expected
