"""What has to be done for a pod that should run: from the pod and what the runtime has, the next actions. Pure.

The plan is level-triggered: computed again after every change until nothing is left to do. Source: Kubernetes docs,
"Pod Lifecycle", "Init Containers", "Sidecar Containers"; the messages are upstream's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from skiff.api.types import Obj
from skiff.kubelet.pods import (
    container_hash,
    containers,
    ephemeral_containers,
    init_containers,
    is_host_network,
    is_sidecar,
    policy_of,
    should_restart,
)
from skiff.kubelet.runtime import CONTAINER_HASH, Container, PodState

ProbeVerdict = Callable[[str, Literal["liveness", "startup"]], bool | None]
"""(container id, probe) → passed, failed, or None for "no result yet"."""

KillReason = Literal["", "liveness", "startup", "unknown"]


@dataclass(frozen=True, slots=True)
class Kill:
    """A container to stop. `message` is the event's text; `reason` chooses the grace period."""

    container: Container
    message: str
    reason: KillReason = ""


@dataclass(slots=True)
class Plan:
    """kill_pod: stop everything that runs; create_sandbox then says whether to go on with a new one (number `attempt`).

    The lists hold container specs in the order in which they are to be started.
    """

    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    sandbox_id: str = ""
    kill: list[Kill] = field(default_factory=list)
    init: list[Obj] = field(default_factory=list)
    ephemeral: list[Obj] = field(default_factory=list)
    start: list[Obj] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.kill_pod or self.create_sandbox or self.kill or self.init or self.ephemeral or self.start)


def sandbox_change(pod: Obj, state: PodState) -> tuple[bool, int, str]:
    """(a new sandbox is needed, its attempt or the present one's, the present one's id)."""
    if not state.sandboxes:
        return True, 0, ""
    newest = state.sandboxes[0]
    if sum(s.ready for s in state.sandboxes) != 1 or not newest.ready:
        return True, newest.attempt + 1, newest.id
    if newest.host_network != is_host_network(pod):
        return True, newest.attempt + 1, ""
    if not newest.host_network and not newest.ips:
        return True, newest.attempt + 1, newest.id
    return False, newest.attempt, newest.id


def needs_start(pod: Obj, container: Obj, state: PodState) -> bool:
    """Whether the container is to be run (again): it never ran, hangs half made, or ended in a way that asks for more."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    found = state.container(container["name"])
    if found is None or found.state in ("unknown", "created"):
        return True
    return found.state == "exited" and should_restart(pod, container, found.exit_code)


def any_regular_created(pod: Obj, state: PodState) -> bool:
    return any(state.container(c["name"]) for c in containers(pod))


def any_regular_active(pod: Obj, state: PodState) -> bool:
    """A regular container exists and has not ended: so initialization is over."""
    found = (state.container(c["name"]) for c in containers(pod))
    return any(c is not None and c.state != "exited" for c in found)


def compute(pod: Obj, state: PodState, probe: ProbeVerdict) -> Plan:
    """The next actions, none of them waiting for back-off (the caller applies that when it starts a container)."""
    changed, attempt, sandbox_id = sandbox_change(pod, state)
    plan = Plan(kill_pod=changed, create_sandbox=changed, attempt=attempt, sandbox_id=sandbox_id)
    if changed:
        return _from_scratch(pod, state, plan)
    plan.ephemeral = [c for c in ephemeral_containers(pod) if state.container(c["name"]) is None]
    if not _initialize(pod, state, probe, plan) or plan.kill_pod:
        return plan
    _regular(pod, state, probe, plan)
    return plan


def _from_scratch(pod: Obj, state: PodState, plan: Plan) -> Plan:
    """A new sandbox, unless everything that this pod had to do is done."""
    never = pod["spec"].get("restartPolicy") == "Never"
    if never and plan.attempt != 0 and state.containers:
        plan.create_sandbox = False
        return plan
    start = [c for c in containers(pod) if not _done_for_good(pod, c, state)]
    if not start and any_regular_created(pod, state):
        plan.create_sandbox = False
    elif init_containers(pod):
        plan.init = init_containers(pod)[:1]
    else:
        plan.start = start
    return plan


def _done_for_good(pod: Obj, container: Obj, state: PodState) -> bool:
    found = state.container(container["name"])
    succeeded = found is not None and found.state == "exited" and found.exit_code == 0
    return succeeded and policy_of(pod, container) == "OnFailure"


def _initialize(pod: Obj, state: PodState, probe: ProbeVerdict, plan: Plan) -> bool:
    """Adds what init containers and sidecars need; True when the regular containers may run.

    Looks from the last one backwards, because finished init containers may have been removed from the runtime.
    """
    inits = init_containers(pod)
    if not inits:
        return True
    initialized = passed = any_regular_active(pod, state)
    wanted: list[int] = []
    for i in range(len(inits) - 1, -1, -1):
        container, last = inits[i], i == len(inits) - 1
        found = state.container(container["name"])
        if found is None:
            if passed and is_sidecar(container):
                wanted.append(i)
            continue
        if passed and not is_sidecar(container):
            continue
        finished = False
        if is_sidecar(container):
            finished = _sidecar(container, found, probe, plan, wanted, i)
        elif found.state == "exited" and found.exit_code == 0:
            finished = True
        elif found.state == "created":
            wanted.append(i)
        elif found.state != "running":
            if not should_restart(pod, container, found.exit_code or 1):
                plan.kill_pod, plan.init = True, []
                return False
            if found.state == "unknown":
                plan.kill.append(_unknown(found, "Init container"))
            wanted.append(i)
        if finished and last:
            initialized = True
        elif finished and not passed:
            wanted.append(i + 1)
        passed = True
    if not passed:
        wanted.append(0)
    plan.init = [inits[i] for i in sorted(set(wanted))]
    return initialized


def _sidecar(container: Obj, found: Container, probe: ProbeVerdict, plan: Plan, wanted: list[int], i: int) -> bool:
    """True when it has started, so that the next one may follow."""
    if found.state != "running":
        if found.state == "unknown":
            plan.kill.append(_unknown(found, "Init container"))
        wanted.append(i)
        return False
    name = container["name"]
    if container.get("startupProbe"):
        started = probe(found.id, "startup")
        if started is False:
            plan.kill.append(Kill(found, f"Init container {name} failed startup probe", "startup"))
            wanted.append(i)
        if not started:
            return False
    if _changed(container, found):
        plan.kill.append(Kill(found, f"Init container {name} definition changed"))
        wanted.append(i)
    elif container.get("livenessProbe") and probe(found.id, "liveness") is False:
        plan.kill.append(Kill(found, f"Init container {name} failed liveness probe", "liveness"))
        wanted.append(i)
    return True


def _regular(pod: Obj, state: PodState, probe: ProbeVerdict, plan: Plan) -> None:
    keep = 0
    for container in containers(pod):
        found = state.container(container["name"])
        if found is None or found.state != "running":
            if needs_start(pod, container, state):
                plan.start.append(container)
                if found is not None and found.state == "unknown":
                    plan.kill.append(_unknown(found, "Container"))
            continue
        verdict = _why_kill(container, found, probe)
        if verdict is None:
            keep += 1
            continue
        message, reason = verdict
        if reason == "" or policy_of(pod, container) != "Never":
            message += ", will be restarted"
            plan.start.append(container)
        plan.kill.append(Kill(found, message, reason))
    if keep == 0 and not plan.start:
        plan.kill_pod, plan.init = True, []


def _why_kill(container: Obj, found: Container, probe: ProbeVerdict) -> tuple[str, KillReason] | None:
    name = container["name"]
    if _changed(container, found):
        return f"Container {name} definition changed", ""
    if container.get("livenessProbe") and probe(found.id, "liveness") is False:
        return f"Container {name} failed liveness probe", "liveness"
    if container.get("startupProbe") and probe(found.id, "startup") is False:
        return f"Container {name} failed startup probe", "startup"
    return None


def _changed(container: Obj, found: Container) -> bool:
    """A container without the annotation was not made by us: leave it alone."""
    return found.annotations.get(CONTAINER_HASH, container_hash(container)) != container_hash(container)


def _unknown(found: Container, word: str) -> Kill:
    return Kill(found, f'{word} is in "unknown" state, try killing it before restart', "unknown")
