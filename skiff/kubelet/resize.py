"""In-place resize: containers follow their pod's requests and limits while they run.

Guarantees: limits that a container has already are not written again; a container is restarted only where its
resizePolicy asks for that. A container of which it is not known what it was given (it was started by an earlier kubelet)
gets its limits once more, if the pod's spec has ever changed. Source: Kubernetes docs, "Resize CPU and Memory Resources
assigned to Containers".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skiff.api.types import Obj
from skiff.kubelet import qos
from skiff.kubelet.pods import every_container
from skiff.kubelet.runtime import Container, Resources


@dataclass(frozen=True, slots=True)
class Change:
    """limits: what the container is to have. restart: it gets them by being started again."""

    container: Container
    limits: Resources
    restart: bool


def _restarts(spec: Obj, before: Resources, after: Resources) -> bool:
    policies = {p["resourceName"]: p.get("restartPolicy") for p in spec.get("resizePolicy") or ()}
    cpu = (before.cpu_shares, before.cpu_quota) != (after.cpu_shares, after.cpu_quota)
    memory = before.memory_limit != after.memory_limit
    return (cpu and policies.get("cpu") == "RestartContainer") or (
        memory and policies.get("memory") == "RestartContainer"
    )


class Limits:
    """What the containers of one pod have been given, by container id."""

    def __init__(self) -> None:
        self._given: dict[str, Resources] = {}

    def changes(self, pod: Obj, running: Sequence[Container], memory: int) -> list[Change]:
        """What is to be done. Containers that are seen for the first time in an unchanged pod have what it says."""
        specs: Mapping[str, Obj] = {c["name"]: c for _, c in every_container(pod)}
        unchanged = pod["metadata"].get("generation", 1) <= 1
        self._given = {c.id: self._given[c.id] for c in running if c.id in self._given}
        found = []
        for container in running:
            spec = specs.get(container.name)
            if spec is None:
                continue
            wanted = qos.container_resources(pod, spec, memory)
            before = self._given.get(container.id)
            if before is None and unchanged:
                self._given[container.id] = wanted
            elif before != wanted:
                found.append(Change(container, wanted, before is not None and _restarts(spec, before, wanted)))
        return found

    def gave(self, change: Change) -> None:
        self._given[change.container.id] = change.limits
