"""Liveness, readiness and startup probes: one task per probe of a running container, results kept by container id.

`update` is told a pod's running containers after every look at the runtime; it starts and ends tasks accordingly. A
result that changes wakes the pod's worker. Source: API reference, Probe; messages are upstream's.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from skiff import env
from skiff.api.types import Obj
from skiff.client.controller import Recorder
from skiff.kubelet.host import Host, ProbeResult, ProbeTarget
from skiff.kubelet.pods import every_container, field_path
from skiff.kubelet.runtime import Container, ExecTimeout, RuntimeFailure, Sandboxes

ProbeKind = Literal["startup", "liveness", "readiness"]
FIELDS: dict[ProbeKind, str] = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
WORDS: dict[ProbeKind, str] = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}


@dataclass(frozen=True, slots=True)
class Settings:
    """A probe's numbers with upstream's defaults filled in, in seconds and counts."""

    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int


def settings(probe: Obj) -> Settings:
    return Settings(
        float(probe.get("initialDelaySeconds") or 0),
        float(probe.get("periodSeconds") or 10),
        float(probe.get("timeoutSeconds") or 1),
        int(probe.get("successThreshold") or 1),
        int(probe.get("failureThreshold") or 3),
    )


@dataclass(slots=True)
class Run:
    """Consecutive equal results; `verdict` changes only when a threshold is reached."""

    last: bool | None = None
    count: int = 0

    def add(self, ok: bool, s: Settings) -> bool | None:
        """The verdict this result leads to, None if it changes nothing yet."""
        self.count = self.count + 1 if ok == self.last else 1
        self.last = ok
        return ok if self.count >= (s.successes if ok else s.failures) else None


@dataclass(slots=True)
class _Probed:
    """One running container. adopted: it ran before this kubelet started."""

    pod_uid: str
    adopted: bool
    results: dict[ProbeKind, bool] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)


class Prober:
    """Tasks belong to the task group of the kubelet."""

    def __init__(
        self,
        *,
        runtime: Sandboxes,
        host: Host,
        recorder: Recorder,
        wake: Callable[[str], None],
        tasks: asyncio.TaskGroup,
    ):
        self._runtime = runtime
        self._host = host
        self._recorder = recorder
        self._wake = wake
        self._tasks = tasks
        self._since = env.epoch()
        self._probed: dict[str, _Probed] = {}
        self._by_pod: dict[str, set[str]] = {}

    # What the others ask

    def verdict(self, container_id: str, kind: Literal["liveness", "startup"]) -> bool | None:
        """For plan.compute."""
        probed = self._probed.get(container_id)
        return probed.results.get(kind) if probed else None

    def started(self, spec: Obj, container: Container, before: Obj | None) -> bool:
        """For status.Facts. A container that an earlier kubelet saw started stays so."""
        if not spec.get("startupProbe"):
            return True
        probed = self._probed.get(container.id)
        result = probed.results.get("startup") if probed else None
        if result is None and self._adopted(container):
            return _same(before, container) and bool(before and before.get("started"))
        return bool(result)

    def ready(self, spec: Obj, container: Container, before: Obj | None) -> bool:
        if not spec.get("readinessProbe"):
            return True
        probed = self._probed.get(container.id)
        result = probed.results.get("readiness") if probed else None
        if result is None and self._adopted(container):
            return _same(before, container) and bool(before and before.get("ready"))
        return bool(result)

    def _adopted(self, container: Container) -> bool:
        return container.started < self._since

    # Following the containers

    def update(self, pod: Obj, running: Sequence[Container], *, ip: str, statuses: Sequence[Obj]) -> None:
        """running: the pod's running containers now. statuses: as last generated, for `started`."""
        uid = pod["metadata"]["uid"]
        known = self._by_pod.setdefault(uid, set())
        here = {c.id for c in running}
        for id in known - here:
            self._drop(id)
        specs = {c["name"]: c for kind, c in every_container(pod) if kind in ("sidecar", "container")}
        begun = {s["name"] for s in statuses if s.get("started")}
        deleted = bool(pod["metadata"].get("deletionTimestamp"))
        for c in running:
            spec = specs.get(c.name)
            if spec is None or not any(spec.get(f) for f in FIELDS.values()):
                continue
            if c.id not in self._probed:
                self._begin(pod, spec, c, ip)
            if c.name in begun:
                self._probed[c.id].started.set()
            if deleted:
                self._quiet(self._probed[c.id])

    def drop_pod(self, uid: str) -> None:
        for id in self._by_pod.pop(uid, set()):
            self._drop(id, forget=False)

    def _drop(self, id: str, *, forget: bool = True) -> None:
        probed = self._probed.pop(id, None)
        if probed is None:
            return
        for task in probed.tasks:
            task.cancel()
        if forget:
            self._by_pod.get(probed.pod_uid, set()).discard(id)

    def _quiet(self, probed: _Probed) -> None:
        """A pod that is being deleted is not restarted any more; readiness goes on."""
        probed.results["liveness"] = True
        for task in probed.tasks:
            if not task.get_name().startswith("readiness"):
                task.cancel()

    def _begin(self, pod: Obj, spec: Obj, container: Container, ip: str) -> None:
        uid = pod["metadata"]["uid"]
        probed = self._probed[container.id] = _Probed(uid, self._adopted(container))
        self._by_pod.setdefault(uid, set()).add(container.id)
        for kind, key in FIELDS.items():
            if spec.get(key):
                work = self._probe_loop(kind, pod, spec, container, ip, probed)
                probed.tasks.append(self._tasks.create_task(work, name=f"{kind} {spec['name']}"))

    async def _probe_loop(
        self, kind: ProbeKind, pod: Obj, spec: Obj, container: Container, ip: str, probed: _Probed
    ) -> None:
        probe, run = spec[FIELDS[kind]], Run()
        s = settings(probe)
        if kind != "startup" and spec.get("startupProbe"):
            await probed.started.wait()
        await asyncio.sleep(max(0.0, container.started + s.initial_delay - env.epoch()))
        while True:
            result = await self._once(kind, pod, spec, container, ip, s)
            verdict = None if result is None else run.add(result, s)
            if verdict is not None:
                changed = probed.results.get(kind) != verdict
                probed.results[kind] = verdict
                if changed:
                    self._wake(probed.pod_uid)
                if kind == "startup" or (kind == "liveness" and not verdict):
                    return  # until there is a new container
            await asyncio.sleep(s.period)

    async def _once(
        self, kind: ProbeKind, pod: Obj, spec: Obj, container: Container, ip: str, s: Settings
    ) -> bool | None:
        """None: the probe itself could not be made; its result does not count."""
        probe = spec[FIELDS[kind]]
        path = field_path(pod, spec["name"])
        try:
            result = await self._attempt(kind, spec, probe, container, ip, s)
        except (RuntimeFailure, OSError, ValueError) as e:
            text = f"{WORDS[kind]} probe errored and resulted in unknown state: {e}"
            self._recorder.event(pod, "Warning", "Unhealthy", text, field_path=path)
            return None
        if not result.ok:
            self._recorder.event(
                pod, "Warning", "Unhealthy", f"{WORDS[kind]} probe failed: {result.output}", field_path=path
            )
        return result.ok

    async def _attempt(
        self, kind: ProbeKind, spec: Obj, probe: Obj, container: Container, ip: str, s: Settings
    ) -> ProbeResult:
        if probe.get("exec") is not None:
            return await self._exec(container, probe["exec"].get("command") or [], s.timeout)
        return await self._host.probe(target(kind, spec, probe, container, ip, s.timeout))

    async def _exec(self, container: Container, command: Sequence[str], timeout_s: float) -> ProbeResult:
        try:
            result = await self._runtime.exec_sync(container.id, command, timeout_s)
        except ExecTimeout:
            shown = " ".join(json.dumps(c) for c in command)
            return ProbeResult(False, f"command timed out: {shown} timed out after {timeout_s:g}s")
        output = (result.stdout + result.stderr)[: 10 << 10].decode("utf-8", "replace")
        return ProbeResult(result.exit_code == 0, output)


def _same(before: Obj | None, container: Container) -> bool:
    return bool(before) and str((before or {}).get("containerID", "")).endswith(container.id)


def port_number(spec: Obj, port: int | str) -> int:
    """A port given by number or by the name of one of the container's ports. Raises ValueError."""
    if isinstance(port, int):
        return port
    for p in spec.get("ports") or []:
        if p.get("name") == port:
            return int(p["containerPort"])
    if port.isdecimal() and 0 < int(port) < 65536:
        return int(port)
    raise ValueError(f"strconv.Atoi: parsing {json.dumps(port)}: invalid syntax")


def target(kind: str, spec: Obj, probe: Obj, container: Container, ip: str, timeout_s: float) -> ProbeTarget:
    """What a network probe or an httpGet hook connects to."""
    if probe.get("httpGet"):
        get = probe["httpGet"]
        return ProbeTarget(
            "http", get.get("host") or ip, port_number(spec, get["port"]), timeout_s, container.pod_uid, container.id, kind,
            scheme=(get.get("scheme") or "HTTP").upper(),
            path=get.get("path") or "/",
            headers=tuple((h["name"], h["value"]) for h in get.get("httpHeaders") or []),
        )  # fmt: skip
    if probe.get("tcpSocket"):
        tcp = probe["tcpSocket"]
        return ProbeTarget(
            "tcp",
            tcp.get("host") or ip,
            port_number(spec, tcp["port"]),
            timeout_s,
            container.pod_uid,
            container.id,
            kind,
        )
    if probe.get("grpc"):
        grpc = probe["grpc"]
        return ProbeTarget(
            "grpc", ip, int(grpc["port"]), timeout_s, container.pod_uid, container.id, kind,
            service=grpc.get("service") or "",
        )  # fmt: skip
    raise ValueError(f"missing probe handler for {spec['name']}")
