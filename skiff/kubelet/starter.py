"""Starts what a plan asks for: the sandbox, then containers one after another, each with image, configuration and hook.

Every failure becomes a StartProblem: what the container waits for (its status), and when to try again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from skiff import env
from skiff.api.errors import StatusError, is_not_found
from skiff.api.gvr import RUNTIMECLASSES, SECRETS
from skiff.api.types import Obj
from skiff.kubelet import environment, netfiles, qos
from skiff.kubelet.containerconfig import check_non_root, container_config, log_directory, sandbox_config
from skiff.kubelet.environment import ConfigError
from skiff.kubelet.imagepuller import ImageProblem, Pulled
from skiff.kubelet.lifecycle import HookFailed
from skiff.kubelet.parts import Parts
from skiff.kubelet.pods import container_hash, every_container, field_path, full_name, go_duration, is_host_network
from skiff.kubelet.runtime import (
    Container,
    ContainerConfig,
    ContainerKind,
    Mount,
    PodState,
    Propagation,
    RuntimeFailure,
    SandboxConfig,
)
from skiff.kubelet.status import StartFailure
from skiff.kubelet.volumes.manager import KINDS, Mounted

PROPAGATION: Mapping[str, Propagation] = {"HostToContainer": "HostToContainer", "Bidirectional": "Bidirectional"}


class StartProblem(Exception):
    """A container could not be started. retry_at: epoch seconds, 0.0: after the worker's own back-off."""

    def __init__(self, failure: StartFailure, retry_at: float = 0.0):
        super().__init__(f"{failure.reason}: {failure.message}")
        self.failure = failure
        self.retry_at = retry_at


class PostStartFailed(StartProblem):
    """The container runs, but its hook failed: it has to be killed."""

    def __init__(self, failure: StartFailure, container: Container):
        super().__init__(failure)
        self.container = container


class SandboxProblem(Exception):
    """The sandbox could not be made."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the containers of one pod are started on: its sandbox, addresses and volumes, and what the runtime had."""

    sandbox_id: str
    sandbox: SandboxConfig
    ips: tuple[str, ...]
    volumes: Mapping[str, Mounted]
    state: PodState


def backoff_key(pod: Obj, spec: Obj) -> str:
    return f"{pod['metadata']['uid']}_{spec['name']}_{container_hash(spec)}"


class Starter:
    def __init__(self, parts: Parts):
        self._parts = parts

    async def sandbox_config(self, pod: Obj, attempt: int) -> SandboxConfig:
        p = self._parts
        resolver = netfiles.resolver(pod, p.options.cluster_dns, p.options.cluster_domain, p.resolver)
        handler = ""
        if pod["spec"].get("runtimeClassName"):
            found = await p.objects.get(RUNTIMECLASSES, "", pod["spec"]["runtimeClassName"], max_age=60.0)
            handler = found.get("handler", "")
        return sandbox_config(pod, attempt, p.options, resolver, handler)

    async def sandbox(self, pod: Obj, config: SandboxConfig) -> tuple[str, tuple[str, ...]]:
        """(id, addresses). Raises SandboxProblem."""
        p = self._parts
        try:
            await p.host.make_directory(config.log_directory)
            id = await p.runtime.run_sandbox(config)
            ips = (await p.runtime.sandbox_status(id)).ips
        except (RuntimeFailure, OSError) as e:
            p.recorder.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {e}")
            raise SandboxProblem(str(e)) from e
        return id, tuple(p.node_ips) if is_host_network(pod) else ips

    async def container(self, pod: Obj, spec: Obj, kind: ContainerKind, ground: Ground) -> None:
        """Raises StartProblem."""
        self._check_backoff(pod, spec, ground.state)
        try:
            pulled = await self._image(pod, spec, ground.sandbox)
            config = await self._config(pod, spec, kind, ground, pulled)
        except ImageProblem as e:
            self._event(pod, spec, "Warning", "Failed", f"Error: {e.failure.reason}")
            raise StartProblem(e.failure, e.retry_at) from e
        except (ConfigError, StatusError, OSError) as e:
            raise self._failed(pod, spec, "CreateContainerConfigError", str(e)) from e
        try:
            id = await self._parts.runtime.create_container(ground.sandbox_id, config, ground.sandbox)
        except RuntimeFailure as e:
            raise self._failed(pod, spec, "CreateContainerError", e.words) from e
        self._event(pod, spec, "Normal", "Created", "Container created")
        try:
            await self._parts.runtime.start_container(id)
        except RuntimeFailure as e:
            raise self._failed(pod, spec, "RunContainerError", e.words) from e
        self._event(pod, spec, "Normal", "Started", "Container started")
        await self._post_start(pod, spec, id, ground)

    def _failed(self, pod: Obj, spec: Obj, reason: str, message: str) -> StartProblem:
        self._event(pod, spec, "Warning", "Failed", f"Error: {message}")
        return StartProblem(StartFailure(reason, message))

    def _event(self, pod: Obj, spec: Obj, type: str, reason: str, message: str) -> None:
        self._parts.recorder.event(pod, type, reason, message, field_path=field_path(pod, spec["name"]))

    def _check_backoff(self, pod: Obj, spec: Obj, state: PodState) -> None:
        """Since its last end the container must have waited long enough; if it has, the next wait is longer."""
        last = next((c for c in state.containers if c.name == spec["name"] and c.state == "exited"), None)
        if last is None:
            return
        backoff, key = self._parts.backoff, backoff_key(pod, spec)
        until = backoff.until(key, last.finished)
        if env.epoch() >= until:
            backoff.failed(key, last.finished)
            return
        wait = go_duration(backoff.seconds(key))
        text = f"Back-off restarting failed container {spec['name']} in pod {full_name(pod)}"
        self._event(pod, spec, "Warning", "BackOff", text)
        message = f"back-off {wait} restarting failed container={spec['name']} pod={full_name(pod)}"
        raise StartProblem(StartFailure("CrashLoopBackOff", message), until)

    async def _image(self, pod: Obj, spec: Obj, sandbox: SandboxConfig) -> Pulled:
        return await self._parts.images.ensure(pod, spec, await self.pull_secrets(pod), sandbox)

    async def pull_secrets(self, pod: Obj) -> list[Obj]:
        """Those of the pod; a secret that does not exist is left out, as it may not be needed."""
        names = [r["name"] for r in pod["spec"].get("imagePullSecrets") or [] if r.get("name")]
        found = []
        for name in names:
            try:
                found.append(await self._parts.objects.get(SECRETS, pod["metadata"]["namespace"], name))
            except StatusError as e:
                if not is_not_found(e):
                    raise
                text = f"Unable to retrieve some image pull secrets ({name}); attempting to pull the image may not succeed."
                self._parts.recorder.event(pod, "Warning", "FailedToRetrieveImagePullSecret", text)
        return found

    async def _config(
        self, pod: Obj, spec: Obj, kind: ContainerKind, ground: Ground, pulled: Pulled
    ) -> ContainerConfig:
        p = self._parts
        check_non_root(pod, spec, pulled.image)
        attempt = await self._attempt(pod, spec, ground.state)
        variables = await self._environment(pod, spec, ground)
        mounts = await self._mounts(pod, spec, ground, variables)
        target = ground.state.container(spec.get("targetContainerName") or "")
        resources = qos.container_resources(pod, spec, p.memory)
        return container_config(
            pod,
            spec,
            kind,
            attempt=attempt,
            image=pulled.ref,
            env=variables,
            mounts=mounts,
            resources=resources,
            target=target,
        )

    async def _attempt(self, pod: Obj, spec: Obj, state: PodState) -> int:
        """One more than the last; after a reboot the runtime may have forgotten, but the logs have not."""
        last = state.container(spec["name"])
        if last is not None:
            return last.attempt + 1
        directory = f"{log_directory(pod, self._parts.options.logs)}/{spec['name']}"
        return await self._parts.host.highest_log(directory) + 1

    async def _environment(self, pod: Obj, spec: Obj, ground: Ground) -> dict[str, str]:
        p = self._parts
        found: dict[tuple[str, str], Obj | None] = {}
        for kind, name in environment.references(spec):
            try:
                found[kind, name] = await p.objects.get(KINDS[kind], pod["metadata"]["namespace"], name)
            except StatusError as e:
                if not is_not_found(e):
                    raise
        facts = environment.PodFacts(p.node_name, p.node_ips, ground.ips, p.allocatable)
        return environment.make(pod, spec, lambda kind, name: found.get((kind, name)), p.services(), facts)

    async def _mounts(self, pod: Obj, spec: Obj, ground: Ground, variables: Mapping[str, str]) -> list[Mount]:
        p, uid = self._parts, pod["metadata"]["uid"]
        mounts = []
        for i, m in enumerate(spec.get("volumeMounts") or []):
            volume = ground.volumes.get(m["name"])
            if volume is None:
                raise ConfigError(f'cannot find volume "{m["name"]}" to mount into container "{spec["name"]}"')
            path = volume.path
            sub = environment.expand(m["subPathExpr"], variables) if m.get("subPathExpr") else m.get("subPath")
            if sub:
                target = f"{p.options.root}/pods/{uid}/volume-subpaths/{m['name']}/{spec['name']}/{i}"
                path = await p.host.sub_path(path, sub, target)
            propagation = PROPAGATION.get(m.get("mountPropagation") or "", "")
            mounts.append(
                Mount(
                    m["mountPath"] if m["mountPath"].startswith("/") else f"/{m['mountPath']}",
                    path,
                    bool(m.get("readOnly")) or not volume.writable,
                    propagation,
                )
            )
        taken = {m.container_path for m in mounts}
        if "/etc/hosts" not in taken:
            hosts = f"{p.options.root}/pods/{uid}/etc-hosts"
            text = netfiles.hosts_file(pod, ground.ips, p.options.cluster_domain, p.hosts_text)
            await p.host.write_file(hosts, text.encode())
            mounts.append(Mount("/etc/hosts", hosts))
        message = spec.get("terminationMessagePath") or "/dev/termination-log"
        if message not in taken:
            path = f"{p.options.root}/pods/{uid}/containers/{spec['name']}/{env.rng().getrandbits(32):08x}"
            await p.host.write_file(path, b"", 0o666)
            mounts.append(Mount(message, path))
        return mounts

    async def _post_start(self, pod: Obj, spec: Obj, id: str, ground: Ground) -> None:
        hook = (spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        ip = ground.ips[0] if ground.ips else ""
        container = Container(id, ground.sandbox_id, spec["name"], pod["metadata"]["uid"], 0, "running", env.epoch())
        try:
            await self._parts.hooks.run(pod, spec, container, hook, ip)
        except HookFailed as e:
            self._event(pod, spec, "Warning", "FailedPostStartHook", "PostStartHook failed")
            raise PostStartFailed(StartFailure("PostStartHookError", str(e)), container) from e


def kind_of(pod: Obj, name: str) -> ContainerKind:
    return next(kind for kind, c in every_container(pod) if c["name"] == name)
