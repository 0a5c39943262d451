"""How the kubelet reaches containers: the Protocol and the records that pass through it.

Implementations: `simulated.SimulatedRuntime` (no process, no file, loop time only) and `cri.CRIRuntime` (containerd and
every other CRI v1 runtime). tests/contract/test_runtime.py holds the suite that both pass. Times are seconds since the
epoch, 0.0 when not known or not happened. Records are frozen; a changed container is a new record.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
RESTART_COUNT = "io.kubernetes.container.restartCount"
CONTAINER_HASH = "io.kubernetes.container.hash"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
POD_GRACE = "io.kubernetes.pod.terminationGracePeriod"
PRE_STOP = "io.kubernetes.container.preStopHandler"

ContainerKind = Literal["container", "init", "sidecar", "ephemeral"]
ContainerState = Literal["created", "running", "exited", "unknown"]
Propagation = Literal["", "HostToContainer", "Bidirectional"]
NamespaceMode = Literal["pod", "container", "node", "target"]


class RuntimeFailure(Exception):
    """The runtime refused or failed. Its fault or the configuration's, never ours. words: its own; the message may have
    what the transport puts before them."""

    def __init__(self, message: str, words: str = ""):
        super().__init__(message)
        self.words = words or message


class NotFound(RuntimeFailure):
    """The sandbox, container or image does not exist (any more)."""


class Unavailable(RuntimeFailure):
    """The runtime cannot be reached now."""


class ExecTimeout(RuntimeFailure):
    """A command did not end in the time given."""


@dataclass(frozen=True, slots=True)
class Security:
    """The security context of a container or sandbox, resolved from pod and container."""

    user: int | None = None
    group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    privileged: bool = False
    read_only_root: bool = False
    no_new_privileges: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    seccomp: str = ""
    """"": unconfined; "runtime": the runtime's default profile; else the path of a profile on the node."""
    apparmor: str = ""
    selinux: Mapping[str, str] = field(default_factory=dict)
    unmask_proc: bool = False
    network: NamespaceMode = "pod"
    pid: NamespaceMode = "container"
    ipc: NamespaceMode = "pod"
    pid_target: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """Linux limits. 0: not set."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_limit: int = 0
    oom_score_adj: int = 0
    cpuset: str = ""


@dataclass(frozen=True, slots=True)
class PortMapping:
    container_port: int
    host_port: int
    protocol: str = "TCP"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    name: str
    namespace: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns_servers: tuple[str, ...] = ()
    dns_searches: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    port_mappings: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    security: Security = Security()
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    container_path: str
    host_path: str
    read_only: bool = False
    propagation: Propagation = ""
    selinux_relabel: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    container_path: str
    host_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """`image` is what the runtime knows it by (an id or digest), `image_name` what the pod's author wrote."""

    name: str
    attempt: int
    image: str
    image_name: str = ""
    kind: ContainerKind = "container"
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: Sequence[tuple[str, str]] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: Resources = Resources()
    security: Security = Security()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`ips` is empty in listings and for host-network pods."""

    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    ready: bool
    created: float
    ips: tuple[str, ...] = ()
    host_network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """In listings only id, sandbox_id, name, pod_uid, attempt, state, created, labels and annotations are filled."""

    id: str
    sandbox_id: str
    name: str
    pod_uid: str
    attempt: int
    state: ContainerState
    created: float
    started: float = 0.0
    finished: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """`id` is the configuration's digest; `user` the user that its configuration names, "" if none."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    user: str = ""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """Use of one container at `time`: cpu in nanoseconds since it started, memory and file system in bytes."""

    id: str
    pod_uid: str
    name: str
    time: float
    cpu_ns: int = 0
    memory_working_set: int = 0
    memory_usage: int = 0
    memory_rss: int = 0
    fs_used: int = 0
    fs_inodes: int = 0


@dataclass(frozen=True, slots=True)
class FsUsage:
    path: str
    used: int = 0
    inodes: int = 0


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """Name and version as in nodeInfo.containerRuntimeVersion, and whether pods can start ("" = yes, else why not)."""

    name: str
    version: str
    runtime_problem: str = ""
    network_problem: str = ""


class Sandboxes(Protocol):
    """Pod sandboxes and containers. Every method raises RuntimeFailure or one of its kinds.

    All stop and remove methods succeed when there is nothing (left) to do. Whoever is cancelled while waiting does not
    know whether the action happened: list again.
    """

    async def info(self) -> RuntimeInfo: ...

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """Makes and starts a sandbox with its network; returns its id. A failure leaves nothing running."""
        ...

    async def stop_sandbox(self, id: str) -> None:
        """Ends every container in it, forcibly, and its network."""
        ...

    async def remove_sandbox(self, id: str) -> None:
        """Stops it if necessary and forgets it and its containers."""
        ...

    async def list_sandboxes(self, pod_uid: str = "") -> list[Sandbox]: ...

    async def sandbox_status(self, id: str) -> Sandbox: ...

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str: ...

    async def start_container(self, id: str) -> None: ...

    async def stop_container(self, id: str, timeout_s: float) -> None:
        """Stop signal now, kill after timeout_s; returns when it has ended. A second call may shorten the wait."""
        ...

    async def remove_container(self, id: str) -> None: ...

    async def list_containers(self, pod_uid: str = "") -> list[Container]: ...

    async def container_status(self, id: str) -> Container: ...

    async def update_resources(self, id: str, resources: Resources) -> None: ...

    async def exec_sync(self, id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        """Runs a command in a running container. Raises ExecTimeout; timeout_s 0 waits without limit."""
        ...

    async def reopen_log(self, id: str) -> None:
        """After the log file was moved away: go on in a new one."""
        ...

    async def stats(self) -> list[ContainerStats]: ...

    def events(self) -> AsyncIterator[str]:
        """The uid of a pod in which something may have changed, "" for "anything may have". Endless. A runtime that
        cannot tell yields "" from time to time."""
        ...

    async def close(self) -> None: ...


class Streams(Protocol):
    """Addresses at which the runtime serves one streaming session each (SPDY or WebSocket, upgraded by the caller)."""

    async def exec_url(
        self, id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str: ...

    async def attach_url(self, id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...


class Images(Protocol):
    async def pull_image(self, image: str, credentials: Credentials | None, sandbox: SandboxConfig) -> str:
        """Returns the reference under which create_container takes it."""
        ...

    async def image_status(self, image: str) -> Image | None:
        """`image` is a name or an id; None: not here."""
        ...

    async def list_images(self) -> list[Image]: ...

    async def remove_image(self, image: str) -> None: ...

    async def image_fs(self) -> list[FsUsage]: ...


class Runtime(Sandboxes, Streams, Images, Protocol):
    """All of it: what a Kubelet is given."""


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod as the runtime has it: sandboxes and containers, newest first."""

    uid: str
    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()

    def container(self, name: str) -> Container | None:
        """The newest container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    @property
    def running(self) -> list[Container]:
        return [c for c in self.containers if c.state in ("running", "unknown")]

    @property
    def ips(self) -> tuple[str, ...]:
        """Addresses of the newest sandbox, if it is ready."""
        return self.sandboxes[0].ips if self.sandboxes and self.sandboxes[0].ready else ()
