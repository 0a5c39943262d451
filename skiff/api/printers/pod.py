"""Rows of pods: the one word of STATUS, the restarts, and the wide columns."""

from collections.abc import Mapping
from typing import Any

from skiff.api.printers.text import AGE, EMPTY, NAME, NONE, age, columns, name, since, spec, status, wide
from skiff.api.resources import Printer
from skiff.api.types import Obj


class _Summary:
    """What the statuses of a pod's containers add up to."""

    def __init__(self, reason: str, total: int):
        self.reason = reason
        self.total = total
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""

    def count(self, container: Obj) -> None:
        self.restarts += container.get("restartCount") or 0
        finished = _terminated(container.get("lastState")).get("finishedAt")
        if finished and finished > self.last_restart:
            self.last_restart = finished


def cells(pod: Obj, now: float) -> list[Any]:
    summary = _summarize(pod)
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts = f"{restarts} ({since(summary.last_restart, now)} ago)"
    shown = [name(pod), f"{summary.ready}/{summary.total}", summary.reason, restarts, age(pod, now)]
    return shown + _wide(pod)


def _wide(pod: Obj) -> list[Any]:
    found, state = spec(pod), status(pod)
    ips = state.get("podIPs") or [EMPTY]
    return [
        ips[0].get("ip") or NONE,
        found.get("nodeName") or NONE,
        state.get("nominatedNodeName") or NONE,
        _readiness_gates(found, state),
    ]


def _readiness_gates(found: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    gates = [g.get("conditionType") for g in found.get("readinessGates") or ()]
    if not gates:
        return NONE
    values: dict[Any, str] = {}
    for condition in state.get("conditions") or ():
        values.setdefault(condition.get("type"), condition.get("status"))
    return f"{sum(values.get(g) == 'True' for g in gates)}/{len(gates)}"


def _summarize(pod: Obj) -> _Summary:
    found, state = spec(pod), status(pod)
    init_containers = found.get("initContainers") or ()
    sidecars = {c["name"] for c in init_containers if c.get("restartPolicy") == "Always"}
    reason = state.get("reason") or state.get("phase") or ""
    conditions = state.get("conditions") or ()
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        reason = "SchedulingGated"
    total = len(found.get("containers") or ()) + len(sidecars)
    summary = _Summary(reason, total)
    initializing = _initialization(summary, state, len(init_containers), sidecars)
    if not initializing or _initialized(conditions):
        _restart_from_sidecars(summary, state, sidecars)
        _containers(summary, state, conditions)
    if pod["metadata"].get("deletionTimestamp"):
        if state.get("reason") == "NodeLost":
            summary.reason = "Unknown"
        elif state.get("phase") not in ("Succeeded", "Failed"):
            summary.reason = "Terminating"
    return summary


def _initialized(conditions: Any) -> bool:
    found = next((c for c in conditions if c.get("type") == "Initialized"), EMPTY)
    return found.get("status") == "True"


def _initialization(summary: _Summary, state: Mapping[str, Any], total: int, sidecars: set[str]) -> bool:
    """Counts the init containers up to the first that is not done; whether there is one."""
    for i, container in enumerate(state.get("initContainerStatuses") or ()):
        summary.count(container)
        now = container.get("state") or EMPTY
        terminated, waiting = now.get("terminated"), (now.get("waiting") or EMPTY).get("reason")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container["name"] in sidecars and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            summary.reason = f"Init:{_exit(terminated)}"
        elif waiting and waiting != "PodInitializing":
            summary.reason = f"Init:{waiting}"
        else:
            summary.reason = f"Init:{i}/{total}"
        return True
    return False


def _restart_from_sidecars(summary: _Summary, state: Mapping[str, Any], sidecars: set[str]) -> None:
    """Once initialized, only sidecars among the init containers count, and of those the ones up to the first that is
    not done."""
    summary.restarts, summary.last_restart = 0, ""
    for container in state.get("initContainerStatuses") or ():
        if container["name"] in sidecars:
            summary.count(container)
        now = container.get("state") or EMPTY
        done = now.get("terminated") is not None and not now["terminated"].get("exitCode")
        if not done and not (container["name"] in sidecars and container.get("started")):
            break


def _containers(summary: _Summary, state: Mapping[str, Any], conditions: Any) -> None:
    running, failed = False, ""
    for container in reversed(state.get("containerStatuses") or ()):
        summary.count(container)
        now = container.get("state") or EMPTY
        terminated, waiting = now.get("terminated"), (now.get("waiting") or EMPTY).get("reason")
        if waiting:
            summary.reason = waiting
        elif terminated is not None:
            summary.reason = _exit(terminated)
            if terminated.get("exitCode"):
                failed = summary.reason
        elif container.get("ready") and now.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed":
        if running and any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
            summary.reason = "Running"
        elif failed:
            summary.reason = failed
        elif running:
            summary.reason = "NotReady"


def _terminated(state: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (state or EMPTY).get("terminated") or EMPTY


def _exit(terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason"):
        return terminated["reason"]
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


_COMPLETED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def conditions(pod: Obj) -> list[Obj]:
    """The row's conditions: whether the pod is over."""
    phase = status(pod).get("phase", "")
    if phase not in _COMPLETED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _COMPLETED[phase]}]


POD = Printer(
    columns(
        NAME, "Ready", "Status", "Restarts", AGE, wide("IP"), wide("Node"), wide("Nominated Node"), wide("Readiness Gates")
    ),
    cells,
    conditions,
)  # fmt: skip
