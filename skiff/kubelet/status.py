"""A pod's status from its spec, what the runtime has, the probes' results and the status before. Pure.

Source: API reference, PodStatus; phase, conditions, reasons and messages are upstream's, because clients match on them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skiff.api.types import Obj
from skiff.kubelet import plan
from skiff.kubelet.pods import (
    containers,
    ephemeral_containers,
    init_containers,
    is_host_network,
    is_sidecar,
    is_static,
    is_terminal,
    should_restart,
    timestamp,
)
from skiff.kubelet.qos import qos_class
from skiff.kubelet.runtime import Container, PodState

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
"""What the kubelet writes; all other conditions belong to others and are kept."""


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Why a container is waiting: `reason` as in state.waiting.reason, CrashLoopBackOff for example."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a status depends on besides pod and runtime.

    started, ready: container id → the probes' verdict. failures: container name → why it could not start.
    node_ips: the node's addresses. terminal: the pod will never start a container again (all are stopped).
    """

    now: float
    node_ips: Sequence[str]
    failures: Mapping[str, StartFailure]
    started: Callable[[Obj, Container, Obj | None], bool]
    ready: Callable[[Obj, Container, Obj | None], bool]
    runtime_name: str = "containerd"
    terminal: bool = False
    override: StartFailure | None = None
    """Phase Failed with this reason and message: evicted, deadline exceeded, not admitted."""


def pod_status(pod: Obj, state: PodState, old: Obj, facts: Facts) -> Obj:
    """The complete status. `old` is the status last generated, or the API's when there is none."""
    status: Obj = {"observedGeneration": pod["metadata"].get("generation", 1), "qosClass": qos_class(pod)}
    _container_statuses(pod, state, old, facts, status)
    _phase_and_reason(pod, state, old, facts, status)
    _addresses(pod, state, old, facts, status)
    status["startTime"] = old.get("startTime") or timestamp(facts.now)
    status["conditions"] = _conditions(pod, state, old, facts, status)
    return {k: v for k, v in status.items() if v not in (None, "", [])}


REJECTED = "Pod was rejected: "


def rejected_status(pod: Obj, why: StartFailure, now: float) -> Obj:
    """Of a pod that the node did not take. It says nothing of containers: clients then show the reason."""
    old = pod.get("status") or {}
    status = {"observedGeneration": pod["metadata"].get("generation", 1), "qosClass": qos_class(pod), "phase": "Failed"}
    status |= {"reason": why.reason, "message": why.message, "startTime": old.get("startTime") or timestamp(now)}
    foreign = [c for c in old.get("conditions") or [] if c["type"] not in OWN_CONDITIONS]
    return {**status, "conditions": foreign} if foreign else status


# Containers


_LISTS = (
    ("initContainerStatuses", init_containers, True),
    ("containerStatuses", containers, False),
    ("ephemeralContainerStatuses", ephemeral_containers, False),
)


def _container_statuses(pod: Obj, state: PodState, old: Obj, facts: Facts, status: Obj) -> None:
    for key, specs_of, is_init in _LISTS:
        before = {s["name"]: s for s in old.get(key) or []}
        status[key] = [
            container_status(pod, spec, state, before.get(spec["name"]), facts, is_init=is_init)
            for spec in specs_of(pod)
        ]


def container_status(pod: Obj, spec: Obj, state: PodState, before: Obj | None, facts: Facts, *, is_init: bool) -> Obj:
    """One entry of containerStatuses: the newest container's state, the one before as lastState, or why there is none."""
    mine = [c for c in state.containers if c.name == spec["name"]]
    status = _found(spec, mine, facts) if mine else _missing(pod, spec, before, facts)
    if (
        is_init
        and not mine
        and not is_sidecar(spec)
        and "waiting" in status["state"]
        and plan.any_regular_created(pod, state)
    ):
        status["state"] = {"terminated": _lost_init()}
    done = is_init and not is_sidecar(spec) and bool(mine) and mine[0].state == "exited" and mine[0].exit_code == 0
    failure = facts.failures.get(spec["name"])
    if failure and not done and plan.needs_start(pod, spec, state):
        if "terminated" in status["state"]:
            status["lastState"] = status["state"]
        status["state"] = {"waiting": _drop_empty({"reason": failure.reason, "message": failure.message})}
    _started_and_ready(spec, mine, before, facts, status, is_init=is_init)
    _extras(spec, status)
    return status


def _found(spec: Obj, mine: Sequence[Container], facts: Facts) -> Obj:
    newest = mine[0]
    return {
        "name": spec["name"],
        "image": newest.image or spec.get("image", ""),
        "imageID": newest.image_ref,
        "containerID": container_id(newest, facts.runtime_name),
        "restartCount": newest.attempt,
        "state": _state(newest, facts.runtime_name),
        "lastState": _state(mine[1], facts.runtime_name) if len(mine) > 1 and mine[1].state == "exited" else {},
    }


def _missing(pod: Obj, spec: Obj, before: Obj | None, facts: Facts) -> Obj:
    """The runtime has no such container: it was not made yet, or its remains are gone."""
    reason = "PodInitializing" if init_containers(pod) else "ContainerCreating"
    status: Obj = {
        "name": spec["name"],
        "image": spec.get("image", ""),
        "imageID": "",
        "restartCount": 0,
        "state": {"waiting": {"reason": reason}},
        "lastState": {},
    }
    if before is None:
        return status
    if "terminated" in before.get("state", {}):
        return {**before, "lastState": before.get("lastState", {})}
    status["restartCount"] = before.get("restartCount", 0)
    status["lastState"] = before.get("lastState", {})
    if "running" in before.get("state", {}) and "terminated" not in status["lastState"]:
        status["lastState"] = {"terminated": _lost()}
        if not pod["metadata"].get("deletionTimestamp"):
            status["restartCount"] += 1
    return status


def _lost() -> Obj:
    message = "The container could not be located when the pod was deleted.  The container used to be Running"
    return {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": message,
        "startedAt": None,
        "finishedAt": None,
    }


def _lost_init() -> Obj:
    message = (
        "Unable to get init container status from container runtime and pod has been initialized, "
        "treat it as exited normally"
    )
    return {"exitCode": 0, "reason": "Completed", "message": message, "startedAt": None, "finishedAt": None}


def container_id(container: Container, runtime_name: str) -> str:
    return f"{runtime_name}://{container.id}"


def _state(c: Container, runtime_name: str) -> Obj:
    if c.state == "running":
        return {"running": {"startedAt": timestamp(c.started)}}
    if c.state == "exited":
        terminated = {
            "exitCode": c.exit_code,
            "reason": c.reason or ("Completed" if c.exit_code == 0 else "Error"),
            "startedAt": timestamp(c.started),
            "finishedAt": timestamp(c.finished),
            "containerID": container_id(c, runtime_name),
        }
        if c.message:
            terminated["message"] = c.message
        return {"terminated": terminated}
    return {"waiting": {}}


def _started_and_ready(
    spec: Obj, mine: Sequence[Container], before: Obj | None, facts: Facts, status: Obj, *, is_init: bool
) -> None:
    running = bool(mine) and mine[0].state == "running" and "running" in status["state"]
    status["started"] = running and facts.started(spec, mine[0], before)
    status["ready"] = False
    if is_init and not is_sidecar(spec):
        status["ready"] = (status["state"].get("terminated") or {}).get("exitCode") == 0
    elif status["started"]:
        status["ready"] = facts.ready(spec, mine[0], before)


def _extras(spec: Obj, status: Obj) -> None:
    resources = spec.get("resources") or {}
    if status.get("containerID"):
        status["resources"] = resources
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
    mounts = [_mount(m) for m in spec.get("volumeMounts") or []]
    if mounts:
        status["volumeMounts"] = mounts


def _mount(m: Obj) -> Obj:
    out: Obj = {"name": m["name"], "mountPath": m["mountPath"]}
    if m.get("readOnly"):
        out |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return out


def _drop_empty(d: Obj) -> Obj:
    return {k: v for k, v in d.items() if v}


# Phase


def _phase_and_reason(pod: Obj, state: PodState, old: Obj, facts: Facts, status: Obj) -> None:
    statuses = {s["name"]: s for key in ("initContainerStatuses", "containerStatuses") for s in status[key]}
    status["phase"] = phase(pod, statuses, terminal=facts.terminal, initialized=plan.any_regular_active(pod, state))
    api = pod.get("status") or {}
    if not is_terminal(status):
        if is_terminal(old):
            status["phase"] = old["phase"]
        elif is_terminal(api):
            status["phase"] = api["phase"]
    if status["phase"] == old.get("phase"):
        status["reason"] = old.get("reason") or api.get("reason")
        status["message"] = old.get("message") or api.get("message")
    if facts.override:
        status |= {"phase": "Failed", "reason": facts.override.reason, "message": facts.override.message}
    if is_terminal(api):
        status["phase"] = api["phase"]


def phase(pod: Obj, statuses: Mapping[str, Obj], *, terminal: bool, initialized: bool) -> str:
    """Pending, Running, Succeeded or Failed from the containers' statuses (by name)."""
    pending_init = False
    pending_sidecar = False
    for spec in init_containers(pod):
        s = statuses.get(spec["name"], {})
        if is_sidecar(spec):
            pending_sidecar |= not _sidecar_counted(s)
            continue
        ended = _ended(s)
        if ended is None:
            pending_init = True
        elif ended["exitCode"] != 0 and not should_restart(pod, spec, ended["exitCode"]):
            return "Failed"
    running = sum("running" in _st(statuses, c) for c in init_containers(pod) if is_sidecar(c))
    waiting = stopped = final = succeeded = 0
    for spec in containers(pod):
        s = statuses.get(spec["name"], {})
        ended = _ended(s)
        if "running" in s.get("state", {}):
            running += 1
        elif ended is None:
            waiting += 1
        else:
            stopped += 1
            final += not should_restart(pod, spec, ended["exitCode"])
            succeeded += "terminated" in s["state"] and ended["exitCode"] == 0
    if pending_init or (pending_sidecar and not initialized) or waiting:
        return "Pending"
    if running:
        return "Running"
    if not stopped:
        return "Pending"
    if (terminal and not is_static(pod)) or stopped == final:
        return "Succeeded" if stopped == succeeded else "Failed"
    return "Running"


def _st(statuses: Mapping[str, Obj], spec: Obj) -> Obj:
    state: Obj = statuses.get(spec["name"], {}).get("state", {})
    return state


def _ended(s: Obj) -> Obj | None:
    """How the container ended, if it did: now, or before it came to wait for its next run. None while it runs."""
    state = s.get("state", {})
    if "running" in state:
        return None
    ended: Obj | None = state.get("terminated") or (s.get("lastState") or {}).get("terminated")
    return ended


def _sidecar_counted(s: Obj) -> bool:
    """Whether a sidecar no longer holds the pod in Pending."""
    if "running" in s.get("state", {}):
        return bool(s.get("started"))
    return _ended(s) is not None


# Conditions


def _conditions(pod: Obj, state: PodState, old: Obj, facts: Facts, status: Obj) -> list[Obj]:
    foreign = [c for c in (pod.get("status") or {}).get("conditions") or [] if c["type"] not in OWN_CONDITIONS]
    for c in old.get("conditions") or []:
        if c["type"] == "DisruptionTarget" and all(f["type"] != "DisruptionTarget" for f in foreign):
            foreign.append(c)
    if facts.override and facts.override.reason == "Evicted":
        foreign = [c for c in foreign if c["type"] != "DisruptionTarget"]
        target = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
        foreign.append(
            _timed({**target, "message": facts.override.message}, _find(old, "DisruptionTarget"), pod, facts.now)
        )
    statuses = {s["name"]: s for key in ("initContainerStatuses", "containerStatuses") for s in status[key]}
    sandbox_needed, _, _ = plan.sandbox_change(pod, state)
    ready_containers = containers_ready(pod, statuses, status["phase"])
    own = [
        _condition("PodReadyToStartContainers", not sandbox_needed),
        initialized(pod, statuses, status["phase"]),
        pod_ready(pod, ready_containers, foreign),
        ready_containers,
        _condition("PodScheduled", True),
    ]
    before = {c["type"]: c for c in old.get("conditions") or []}
    return foreign + [_timed(c, before.get(c["type"]), pod, facts.now) for c in own]


def _find(status: Obj, type: str) -> Obj | None:
    return next((c for c in status.get("conditions") or [] if c["type"] == type), None)


def _condition(type: str, ok: bool, reason: str = "", message: str = "") -> Obj:
    return _drop_empty({"type": type, "status": "True" if ok else "False", "reason": reason, "message": message})


def _timed(condition: Obj, before: Obj | None, pod: Obj, now: float) -> Obj:
    same = before is not None and before.get("status") == condition["status"] and before.get("lastTransitionTime")
    generation: Any = pod["metadata"].get("generation", 1)
    times = {"lastProbeTime": None, "lastTransitionTime": same or timestamp(now)}
    return {**condition, **times, "observedGeneration": generation}


def _listed(names: Sequence[str]) -> str:
    return "[" + " ".join(names) + "]"


def _sentence(unknown: Sequence[str], bad: Sequence[str], word: str) -> str:
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: {_listed(unknown)}")
    if bad:
        parts.append(f"containers with {word} status: {_listed(bad)}")
    return ", ".join(parts)


def containers_ready(pod: Obj, statuses: Mapping[str, Obj], phase: str) -> Obj:
    specs = [c for c in init_containers(pod) if is_sidecar(c)] + containers(pod)
    unknown = [c["name"] for c in specs if c["name"] not in statuses]
    unready = [c["name"] for c in specs if c["name"] in statuses and not statuses[c["name"]].get("ready")]
    if phase == "Succeeded" and not unknown:
        return _condition("ContainersReady", False, "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", False, "PodFailed")
    message = _sentence(unknown, unready, "unready")
    if message:
        return _condition("ContainersReady", False, "ContainersNotReady", message)
    return _condition("ContainersReady", True)


def pod_ready(pod: Obj, ready_containers: Obj, foreign: Sequence[Obj]) -> Obj:
    if ready_containers["status"] != "True":
        return {**ready_containers, "type": "Ready"}
    have = {c["type"]: c["status"] for c in foreign}
    messages = []
    for gate in pod["spec"].get("readinessGates") or []:
        type = gate["conditionType"]
        if type not in have:
            messages.append(f'corresponding condition of pod readiness gate "{type}" does not exist.')
        elif have[type] != "True":
            messages.append(f'the status of pod readiness gate "{type}" is not "True", but {have[type]}')
    if messages:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", True)


def initialized(pod: Obj, statuses: Mapping[str, Obj], phase: str) -> Obj:
    inits = init_containers(pod)
    unknown = [c["name"] for c in inits if c["name"] not in statuses]
    if phase == "Succeeded" and not unknown:
        return _condition("Initialized", True, "PodCompleted")
    if any(_has_started(statuses.get(c["name"], {})) for c in containers(pod)):
        return _condition("Initialized", True)
    key = {True: "started", False: "ready"}
    bad = [c["name"] for c in inits if c["name"] in statuses and not statuses[c["name"]].get(key[is_sidecar(c)])]
    message = _sentence(unknown, bad, "incomplete")
    if message:
        return _condition("Initialized", False, "ContainersNotInitialized", message)
    return _condition("Initialized", True)


def _has_started(s: Obj) -> bool:
    return bool(s.get("started")) or _ended(s) is not None


# Addresses


def _addresses(pod: Obj, state: PodState, old: Obj, facts: Facts, status: Obj) -> None:
    ips = list(facts.node_ips) if is_host_network(pod) else list(state.ips)
    if not ips and is_terminal(status):
        ips = [p["ip"] for p in old.get("podIPs") or []]
    if facts.node_ips:
        status["hostIP"] = facts.node_ips[0]
        status["hostIPs"] = [{"ip": ip} for ip in facts.node_ips]
    if ips:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]
