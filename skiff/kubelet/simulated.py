"""Containers that exist only as timers: the simulated twin of a runtime and of a machine.

Behaviour is declared by the pod's annotations, for all containers or, with `.<container>` appended, for one:

    sim.skiff.dev/start-delay: 2s          from StartContainer until it runs
    sim.skiff.dev/run: 5s=1,never          how each run ends: after 5 s with exit code 1, then never; the last one repeats
    sim.skiff.dev/stop-delay: 3s           from the stop signal to the end (longer than the grace period: killed, 137)
    sim.skiff.dev/readiness: 3s=ok,10s=fail   a probe's answers since the start; likewise liveness, startup
    sim.skiff.dev/pull-delay: 2s           how long an image pull takes
    sim.skiff.dev/pull-error: no such host    and how it fails
    sim.skiff.dev/oom: true                a non-zero exit is reported as OOMKilled; `late`: as Error first, as real runtimes may
    sim.skiff.dev/cpu: 100m, memory: 64Mi  what it uses

Without them containers start at once and run until stopped, init containers end at once with 0, and so do containers of a
Job after a second. Time is the loop's, nothing touches the machine, a thousand of them cost a few megabytes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from skiff import env
from skiff.api import quantity
from skiff.kubelet.host import Machine, Ownership, ProbeResult, ProbeTarget, Usage, VolumePlan
from skiff.kubelet.runtime import (
    Container,
    ContainerConfig,
    ContainerStats,
    Credentials,
    ExecResult,
    FsUsage,
    Image,
    NotFound,
    Resources,
    RuntimeFailure,
    RuntimeInfo,
    Sandbox,
    SandboxConfig,
)

PREFIX = "sim.skiff.dev/"
NEVER = float("inf")
LATE_S = 0.2


def seconds(text: str) -> float:
    """`5s`, `1.5`, `2m`, `100ms`, `1h`, `never`. Raises ValueError."""
    text = text.strip()
    if text == "never":
        return NEVER
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return float(text)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A container's annotations, those of its own name before those for all."""

    annotations: Mapping[str, str]
    container: str

    def text(self, name: str, default: str = "") -> str:
        own = self.annotations.get(f"{PREFIX}{name}.{self.container}")
        return own if own is not None else self.annotations.get(PREFIX + name, default)

    def delay(self, name: str) -> float:
        return seconds(self.text(name, "0"))

    def end(self, attempt: int, default: str) -> tuple[float, int]:
        """(seconds until it ends by itself, exit code) of run number `attempt`."""
        runs = self.text("run", default).split(",")
        after, _, code = runs[min(attempt, len(runs) - 1)].partition("=")
        return seconds(after), int(code or 0)

    def passes(self, probe: str, since_start: float) -> bool:
        """The answer of a probe so long after the start: that of the last point of its timeline that has passed. Before
        the first one it is the opposite of that one's; without a timeline always yes."""
        points = [p.partition("=") for p in self.text(probe).split(",") if p]
        if not points:
            return True
        answer = points[0][2].strip() == "fail"
        for at, _, verdict in points:
            if since_start >= seconds(at):
                answer = verdict.strip() != "fail"
        return answer


@dataclass(slots=True)
class _Container:
    record: Container
    behaviour: Behaviour
    default_run: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None


class SimulatedRuntime:
    """Implements runtime.Runtime. `pod_cidr` gives the pods' addresses; `images` restricts what exists (None: all)."""

    def __init__(self, *, pod_cidr: str = "10.244.0.0/24", images: Sequence[str] | None = None):
        self._network = ip_network(pod_cidr)
        self._next_ip = 1
        self._free_ips: list[str] = []
        self._serial = 0
        self._sandboxes: dict[str, Sandbox] = {}
        self._configs: dict[str, SandboxConfig] = {}
        self._containers: dict[str, _Container] = {}
        self._images: dict[str, Image] = {}
        self._known = None if images is None else set(images)
        self._events: asyncio.Queue[str] = asyncio.Queue()

    async def info(self) -> RuntimeInfo:
        return RuntimeInfo("simulated", "1.0")

    async def close(self) -> None:
        for c in self._containers.values():
            if c.timer:
                c.timer.cancel()

    async def events(self) -> AsyncIterator[str]:
        while True:
            yield await self._events.get()

    # Sandboxes

    async def run_sandbox(self, config: SandboxConfig) -> str:
        id = self._new_id("sandbox")
        host = config.security.network == "node"
        self._sandboxes[id] = Sandbox(
            id, config.name, config.namespace, config.uid, config.attempt, True, env.epoch(),
            () if host else (self._take_ip(),), host, config.labels, config.annotations,
        )  # fmt: skip
        self._configs[id] = config
        return id

    async def stop_sandbox(self, id: str) -> None:
        sandbox = self._sandboxes.get(id)
        if sandbox is None or not sandbox.ready:
            return
        for c in self._of(id):
            self._end(c, 137)
        self._free_ips += sandbox.ips
        self._sandboxes[id] = replace(sandbox, ready=False, ips=())

    async def remove_sandbox(self, id: str) -> None:
        await self.stop_sandbox(id)
        for c in self._of(id):
            await self.remove_container(c.record.id)
        self._sandboxes.pop(id, None)
        self._configs.pop(id, None)

    async def list_sandboxes(self, pod_uid: str = "") -> list[Sandbox]:
        return [s for s in self._sandboxes.values() if not pod_uid or s.uid == pod_uid]

    async def sandbox_status(self, id: str) -> Sandbox:
        if id not in self._sandboxes:
            raise NotFound(f"sandbox {id!r} not found")
        return self._sandboxes[id]

    # Containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        if sandbox_id not in self._sandboxes or not self._sandboxes[sandbox_id].ready:
            raise NotFound(f"sandbox {sandbox_id!r} not found")
        id = self._new_id("container")
        record = Container(
            id, sandbox_id, config.name, sandbox.uid, config.attempt, "created", env.epoch(),
            image=config.image_name, image_ref=config.image, log_path=config.log_path,
            labels=config.labels, annotations=config.annotations, mounts=config.mounts,
        )  # fmt: skip
        is_job = "batch.kubernetes.io/job-name" in sandbox.labels
        default = "0=0" if config.kind == "init" else "1s=0" if is_job and config.kind == "container" else "never"
        self._containers[id] = _Container(record, Behaviour(sandbox.annotations, config.name), default)
        return id

    async def start_container(self, id: str) -> None:
        c = self._get(id)
        try:
            delay = c.behaviour.delay("start-delay")
            after, code = c.behaviour.end(c.record.attempt, c.default_run)
        except ValueError as e:
            raise RuntimeFailure(f"annotation of container {c.record.name}: {e}") from e
        if delay:
            await asyncio.sleep(delay)
        if self._containers.get(id) is not c or c.record.state != "created":
            raise NotFound(f"container {id!r} is gone")
        c.record = replace(c.record, state="running", started=env.epoch())
        if after != NEVER:
            c.timer = asyncio.get_running_loop().call_later(after, self._end, c, code)

    async def stop_container(self, id: str, timeout_s: float) -> None:
        c = self._containers.get(id)
        if c is None or c.record.state != "running":
            return
        delay = c.behaviour.delay("stop-delay")
        try:
            async with asyncio.timeout(min(delay, timeout_s)):
                await c.ended.wait()
        except TimeoutError:
            self._end(c, 137 if delay > timeout_s else 143 if c.behaviour.text("stop-delay") else 0)

    async def remove_container(self, id: str) -> None:
        c = self._containers.pop(id, None)
        if c is not None:
            self._end(c, 137)

    async def list_containers(self, pod_uid: str = "") -> list[Container]:
        return [c.record for c in self._containers.values() if not pod_uid or c.record.pod_uid == pod_uid]

    async def container_status(self, id: str) -> Container:
        return self._get(id).record

    async def update_resources(self, id: str, resources: Resources) -> None:
        self._get(id)

    async def exec_sync(self, id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        """Exec probes: the annotation that is declared decides; any other command succeeds."""
        c = self._get(id)
        if c.record.state != "running":
            raise RuntimeFailure(f"container {id!r} is not running")
        since = env.epoch() - c.record.started
        declared = next((p for p in ("liveness", "readiness", "startup") if c.behaviour.text(p)), "")
        return ExecResult(0 if not declared or c.behaviour.passes(declared, since) else 1)

    async def reopen_log(self, id: str) -> None:
        self._get(id)

    async def stats(self) -> list[ContainerStats]:
        return [self._stats(c) for c in self._containers.values() if c.record.state == "running"]

    # Streams

    async def exec_url(
        self, id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        raise RuntimeFailure("a simulated container has no processes")

    async def attach_url(self, id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        raise RuntimeFailure("a simulated container has no processes")

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        raise RuntimeFailure("a simulated container has no network")

    # Images

    async def pull_image(self, image: str, credentials: Credentials | None, sandbox: SandboxConfig) -> str:
        b = Behaviour(sandbox.annotations, "")
        await asyncio.sleep(b.delay("pull-delay"))
        error = b.text("pull-error")
        if error or (self._known is not None and image not in self._known):
            raise RuntimeFailure(error or f"failed to resolve reference {image!r}: not found")
        self._images[image] = Image(f"sha256:{image}", (image,), (), 1_000_000)
        return f"sha256:{image}"

    async def image_status(self, image: str) -> Image | None:
        found = self._images.get(image)
        return found or next((i for i in self._images.values() if i.id == image), None)

    async def list_images(self) -> list[Image]:
        return list(self._images.values())

    async def remove_image(self, image: str) -> None:
        found = await self.image_status(image)
        if found:
            del self._images[found.tags[0]]

    async def image_fs(self) -> list[FsUsage]:
        return [FsUsage("/", sum(i.size for i in self._images.values()))]

    # What the simulated machine asks

    def passes(self, container_id: str, probe: str) -> bool:
        """A probe's answer now; False for a container that does not run."""
        c = self._containers.get(container_id)
        if c is None or c.record.state != "running":
            return False
        return c.behaviour.passes(probe, env.epoch() - c.record.started)

    # Internals

    def _new_id(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}-{self._serial:08d}"

    def _take_ip(self) -> str:
        """Fresh addresses first, so that one is not reused at once."""
        if self._next_ip < self._network.num_addresses - 2:
            self._next_ip += 1
            return str(self._network[self._next_ip])
        if not self._free_ips:
            raise RuntimeFailure("failed to allocate for range 0: no IP addresses available in range set")
        return self._free_ips.pop(0)

    def _of(self, sandbox_id: str) -> list[_Container]:
        return [c for c in self._containers.values() if c.record.sandbox_id == sandbox_id]

    def _get(self, id: str) -> _Container:
        if id not in self._containers:
            raise NotFound(f"container {id!r} not found")
        return self._containers[id]

    def _end(self, c: _Container, code: int) -> None:
        if c.timer:
            c.timer.cancel()
            c.timer = None
        if c.record.state == "exited":
            return
        oom = c.behaviour.text("oom") if code else ""
        reason = "OOMKilled" if oom == "true" else "Error" if code else "Completed"
        c.record = replace(c.record, state="exited", finished=env.epoch(), exit_code=code, reason=reason)
        c.ended.set()
        self._events.put_nowait(c.record.pod_uid)
        if oom == "late":
            asyncio.get_running_loop().call_later(LATE_S, self._killed_for_memory, c)

    def _killed_for_memory(self, c: _Container) -> None:
        c.record = replace(c.record, reason="OOMKilled")
        self._events.put_nowait(c.record.pod_uid)

    def _stats(self, c: _Container) -> ContainerStats:
        milli = quantity.milli(c.behaviour.text("cpu", "1m"))
        memory = quantity.value(c.behaviour.text("memory", "10Mi"))
        now = env.epoch()
        cpu = int((now - c.record.started) * milli * 1_000_000)
        return ContainerStats(c.record.id, c.record.pod_uid, c.record.name, now, cpu, memory, memory, memory)


class SimulatedHost:
    """Implements host.Host: a machine of the given size with nothing on it. Network probes ask the runtime's timelines."""

    keeps_files = False

    def __init__(
        self,
        runtime: SimulatedRuntime,
        *,
        cpu: int = 4,
        memory: int = 16 << 30,
        disk: int = 100 << 30,
        hostname: str = "sim",
    ):
        self._runtime = runtime
        self._machine = Machine(
            hostname, cpu, memory, disk, 32768, machine_id=hostname, system_uuid=hostname, boot_id=hostname,
            kernel="6.1.0-simulated", os_image="Skiff simulation",
        )  # fmt: skip

    def machine(self) -> Machine:
        return self._machine

    async def usage(self) -> Usage:
        m = self._machine
        used = sum(s.memory_working_set for s in await self._runtime.stats())
        return Usage(m.memory - used, m.disk, m.disk, 1 << 20, 1 << 20, m.pids, m.memory)

    async def make_directory(self, path: str, mode: int = 0o755) -> None:
        return None

    async def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        return None

    async def read_file(self, path: str, limit: int, *, tail: bool = False) -> bytes:
        return b""

    async def highest_log(self, directory: str) -> int:
        return -1

    async def set_up_volume(self, path: str, plan: VolumePlan, ownership: Ownership) -> str:
        return path

    async def sub_path(self, volume: str, relative: str, target: str) -> str:
        return target

    async def directory_bytes(self, path: str) -> int:
        return 0

    async def make_cgroup(self, path: str, resources: Resources) -> None:
        return None

    async def remove_cgroup(self, path: str) -> None:
        return None

    async def pod_directories(self) -> list[str]:
        return []

    async def remove_pod(self, uid: str) -> None:
        return None

    async def remove_logs(self, directory: str) -> None:
        return None

    async def probe(self, target: ProbeTarget) -> ProbeResult:
        ok = self._runtime.passes(target.container_id, target.probe)
        return ProbeResult(ok, "" if ok else "simulated failure")
