"""How the kubelet touches the machine it runs on: files and mounts, cgroups, network probes, figures about it.

Implementations: `realhost.RealHost` and `simulated.SimulatedHost` (which keeps nothing). Paths are absolute and below the
kubelet's root directory unless a pod names one of the node (hostPath). OSError is what every method may raise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from skiff.kubelet.runtime import Resources


@dataclass(frozen=True, slots=True)
class Machine:
    """What does not change while it runs. cpu in cores, the rest in bytes."""

    hostname: str
    cpu: int
    memory: int
    disk: int
    pids: int
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel: str = ""
    os_image: str = ""
    architecture: str = "amd64"
    hugepages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What is left, now. Bytes, except for inodes and pids. cpu_ns: used by all since boot."""

    memory_available: int
    disk_available: int
    disk_capacity: int
    inodes_free: int
    inodes: int
    pids_available: int
    memory_capacity: int = 0
    cpu_ns: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """One file of a payload volume. mode: permission bits; uid: owner when not root (service account tokens)."""

    data: bytes
    mode: int = 0o644
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """Files from the API (configMap, secret, downwardAPI, projected), replaced as a whole, atomically."""

    files: Mapping[str, File]


@dataclass(frozen=True, slots=True)
class EmptyDir:
    """size: bytes of a Memory medium, 0 for the default of the machine."""

    medium: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class HostPath:
    """A path of the node. type: as in the API, "" for no check. Also stands for hostPath and local volumes behind a claim."""

    path: str
    type: str = ""


VolumePlan = Payload | EmptyDir | HostPath


@dataclass(frozen=True, slots=True)
class Ownership:
    """fsGroup of a pod. always: apply it even if the volume's root has it already."""

    group: int | None = None
    always: bool = True


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One network probe. headers: as given; path with its query. service: of a grpc probe."""

    kind: Literal["http", "tcp", "grpc"]
    host: str
    port: int
    timeout_s: float
    pod_uid: str = ""
    container_id: str = ""
    probe: str = ""
    scheme: str = "HTTP"
    path: str = "/"
    headers: Sequence[tuple[str, str]] = ()
    service: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    ok: bool
    output: str = ""


class Host(Protocol):
    """keeps_files: False when file contents are thrown away, so that what costs something (tokens) is not fetched."""

    keeps_files: bool

    def machine(self) -> Machine: ...

    async def usage(self) -> Usage: ...

    async def make_directory(self, path: str, mode: int = 0o755) -> None: ...

    async def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Replaces the content in place (the inode stays: it may be mounted), making directories as needed."""
        ...

    async def read_file(self, path: str, limit: int, *, tail: bool = False) -> bytes:
        """At most `limit` bytes from the start or from the end; b"" when there is no such file."""
        ...

    async def highest_log(self, directory: str) -> int:
        """The highest N of files N.log in it, -1 if there are none."""
        ...

    async def set_up_volume(self, path: str, plan: VolumePlan, ownership: Ownership) -> str:
        """Makes the volume at `path` be as planned (idempotent) and returns the path to mount into containers.

        Raises OSError with a sentence for the user (a hostPath of another type, for example).
        """
        ...

    async def sub_path(self, volume: str, relative: str, target: str) -> str:
        """Binds a part of a volume, made if missing, onto `target` (below the pod's directory) and returns what to mount.
        Never leads out of the volume, through symlinks or `..`."""
        ...

    async def directory_bytes(self, path: str) -> int: ...

    async def make_cgroup(self, path: str, resources: Resources) -> None: ...

    async def remove_cgroup(self, path: str) -> None:
        """Kills what still runs in it."""
        ...

    async def pod_directories(self) -> list[str]:
        """The uids of pods that have a directory."""
        ...

    async def remove_pod(self, uid: str) -> None:
        """Unmounts what is mounted below the pod's directory, then removes it. Never deletes what a mount shows."""
        ...

    async def remove_logs(self, directory: str) -> None: ...

    async def probe(self, target: ProbeTarget) -> ProbeResult: ...
