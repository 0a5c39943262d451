"""The calls. Every one has a deadline; errors of gRPC become the kubelet's own at one place (`translate`).

The channel reconnects by itself, so a restarted runtime is survived: calls fail with Unavailable meanwhile. A call that
makes or removes something is not broken off with its caller: what containerd 1.6 was told to stop starting it may leave
half made, and then cannot remove.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio

from skiff.client import metrics
from skiff.kubelet.cri import encode, operations
from skiff.kubelet.cri import messages as m
from skiff.kubelet.cri.events import follow
from skiff.kubelet.cri.operations import Operation
from skiff.kubelet.kernellog import REMEMBERED, KernelLog
from skiff.kubelet.runtime import (
    Container,
    ContainerConfig,
    ContainerStats,
    Credentials,
    ExecResult,
    ExecTimeout,
    FsUsage,
    Image,
    NotFound,
    Resources,
    RuntimeFailure,
    RuntimeInfo,
    Sandbox,
    SandboxConfig,
    Unavailable,
)
from skiff.wire.protobuf import DecodeError, Message

QUICK_S = 30.0
START_S = 240.0
PULL_S = 1800.0
FINISH_S = 20.0
"""How long a cancelled caller waits for what is being made."""
MAX_MESSAGE = 16 << 20
KILLED = 128 + 9
OOM = "OOMKilled"
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
]

_CALLS: dict[str, tuple[Message, Message]] = {
    "RuntimeService/Version": (m.EMPTY, m.VERSION),
    "RuntimeService/Status": (m.EMPTY, m.STATUS),
    "RuntimeService/RunPodSandbox": (m.RUN_SANDBOX, m.SANDBOX_ID),
    "RuntimeService/StopPodSandbox": (m.SANDBOX_ID, m.EMPTY),
    "RuntimeService/RemovePodSandbox": (m.SANDBOX_ID, m.EMPTY),
    "RuntimeService/PodSandboxStatus": (m.SANDBOX_STATUS_REQUEST, m.SANDBOX_STATUS_RESPONSE),
    "RuntimeService/ListPodSandbox": (m.LIST_SANDBOXES, m.SANDBOXES),
    "RuntimeService/CreateContainer": (m.CREATE_CONTAINER, m.CONTAINER_ID),
    "RuntimeService/StartContainer": (m.CONTAINER_ID, m.EMPTY),
    "RuntimeService/StopContainer": (m.STOP_CONTAINER, m.EMPTY),
    "RuntimeService/RemoveContainer": (m.CONTAINER_ID, m.EMPTY),
    "RuntimeService/ListContainers": (m.LIST_CONTAINERS, m.CONTAINERS),
    "RuntimeService/ContainerStatus": (m.CONTAINER_STATUS_REQUEST, m.CONTAINER_STATUS_RESPONSE),
    "RuntimeService/UpdateContainerResources": (m.UPDATE_RESOURCES, m.EMPTY),
    "RuntimeService/ReopenContainerLog": (m.CONTAINER_ID, m.EMPTY),
    "RuntimeService/ExecSync": (m.EXEC_SYNC, m.EXEC_SYNC_RESPONSE),
    "RuntimeService/Exec": (m.EXEC, m.URL),
    "RuntimeService/Attach": (m.ATTACH, m.URL),
    "RuntimeService/PortForward": (m.PORT_FORWARD, m.URL),
    "RuntimeService/ListContainerStats": (m.EMPTY, m.STATS_LIST),
    "ImageService/ImageStatus": (m.IMAGE_REQUEST, m.IMAGE_STATUS),
    "ImageService/PullImage": (m.PULL, m.PULLED),
    "ImageService/ListImages": (m.EMPTY, m.IMAGES),
    "ImageService/RemoveImage": (m.IMAGE_REQUEST, m.EMPTY),
    "ImageService/ImageFsInfo": (m.EMPTY, m.IMAGE_FS),
}


def translate(e: grpc.aio.AioRpcError) -> RuntimeFailure:
    """The one place where gRPC's errors become ours."""
    text = e.details() or e.code().name
    if e.code() is grpc.StatusCode.NOT_FOUND:
        return NotFound(text)
    if e.code() is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(text)
    if e.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ExecTimeout(text)
    return RuntimeFailure(f"rpc error: code = {_NAMES.get(e.code().name, e.code().name)} desc = {text}", text)


_NAMES = {
    "UNKNOWN": "Unknown", "INTERNAL": "Internal", "INVALID_ARGUMENT": "InvalidArgument", "ALREADY_EXISTS": "AlreadyExists",
    "FAILED_PRECONDITION": "FailedPrecondition", "RESOURCE_EXHAUSTED": "ResourceExhausted", "CANCELLED": "Canceled",
    "PERMISSION_DENIED": "PermissionDenied", "UNAUTHENTICATED": "Unauthenticated", "UNIMPLEMENTED": "Unimplemented",
}  # fmt: skip


class CRIRuntime:
    """endpoint: as for --container-runtime-endpoint, `unix:///run/containerd/containerd.sock`. Made inside a running loop."""

    def __init__(self, endpoint: str):
        self._kernel = KernelLog()
        self._counts: dict[str, Operation] = {}
        metrics.sources["runtime"] = lambda: operations.lines(self._counts)
        self._killed: deque[str] = deque(maxlen=REMEMBERED)
        target = endpoint if "://" in endpoint else f"unix://{endpoint}"
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._methods = {
            name: self._channel.unary_unary(
                f"/runtime.v1.{name}", request_serializer=request.encode, response_deserializer=response.decode
            )
            for name, (request, response) in _CALLS.items()
        }

    async def _call(self, name: str, request: dict[str, Any], timeout_s: float = QUICK_S) -> dict[str, Any]:
        counts = self._counts.get(name) or self._counts.setdefault(name, Operation())
        time = asyncio.get_running_loop().time
        started = time()
        try:
            answer = await self._answer(name, request, timeout_s)
        except RuntimeFailure:
            counts.errors += 1
            raise
        finally:
            counts.times.observe(time() - started)
        return answer

    async def _answer(self, name: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await self._methods[name](request, timeout=timeout_s)
        except grpc.aio.AioRpcError as e:
            raise translate(e) from e
        except DecodeError as e:
            raise RuntimeFailure(f"the runtime's answer to {name} cannot be read: {e}") from e
        return answer

    async def _finish(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """A call that is not broken off: who is cancelled meanwhile learns of it when the runtime is done."""
        call = asyncio.create_task(self._call(name, request, START_S), name=name)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([call], timeout=FINISH_S)
            for ended in done:
                ended.exception()  # seen
            raise

    async def close(self) -> None:
        await self._channel.close()
        self._kernel.close()

    async def info(self) -> RuntimeInfo:
        version = await self._call("RuntimeService/Version", {})
        status = await self._call("RuntimeService/Status", {})
        problems = {
            c["type"]: f"{c['type']}={str(c['status']).lower()} reason:{c['reason']} message:{c['message']}"
            for c in (status.get("status") or {"conditions": []})["conditions"]
            if not c["status"]
        }
        return RuntimeInfo(
            version["runtime_name"],
            version["runtime_version"],
            problems.get("RuntimeReady", ""),
            problems.get("NetworkReady", ""),
        )

    def events(self) -> AsyncIterator[str]:
        return follow(self._channel, self.container_status, self._ended)

    def _ended(self, container_id: str, pid: int) -> None:
        if self._kernel.killed(container_id, pid):
            self._killed.append(container_id)

    # Sandboxes

    async def run_sandbox(self, config: SandboxConfig) -> str:
        request = {"config": encode.sandbox_config(config), "runtime_handler": config.runtime_handler}
        return str((await self._finish("RuntimeService/RunPodSandbox", request))["pod_sandbox_id"])

    async def stop_sandbox(self, id: str) -> None:
        await self._gone_is_fine(self._finish("RuntimeService/StopPodSandbox", {"pod_sandbox_id": id}))

    async def remove_sandbox(self, id: str) -> None:
        await self.stop_sandbox(id)
        await self._gone_is_fine(self._finish("RuntimeService/RemovePodSandbox", {"pod_sandbox_id": id}))

    async def list_sandboxes(self, pod_uid: str = "") -> list[Sandbox]:
        found = await self._call("RuntimeService/ListPodSandbox", _filter(pod_uid))
        return [encode.sandbox(v) for v in found["items"]]

    async def sandbox_status(self, id: str) -> Sandbox:
        found = await self._call("RuntimeService/PodSandboxStatus", {"pod_sandbox_id": id})
        if not found.get("status"):
            raise NotFound(f"sandbox {id} has no status")
        return encode.sandbox(found["status"])

    # Containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        request = {
            "pod_sandbox_id": sandbox_id,
            "config": encode.container_config(config),
            "sandbox_config": encode.sandbox_config(sandbox),
        }
        return str((await self._finish("RuntimeService/CreateContainer", request))["container_id"])

    async def start_container(self, id: str) -> None:
        await self._finish("RuntimeService/StartContainer", {"container_id": id})

    async def stop_container(self, id: str, timeout_s: float) -> None:
        request = {"container_id": id, "timeout": int(timeout_s)}
        await self._gone_is_fine(self._call("RuntimeService/StopContainer", request, timeout_s + START_S))

    async def remove_container(self, id: str) -> None:
        await self._gone_is_fine(self._finish("RuntimeService/RemoveContainer", {"container_id": id}))

    async def list_containers(self, pod_uid: str = "") -> list[Container]:
        found = await self._call("RuntimeService/ListContainers", _filter(pod_uid))
        return [encode.container(v) for v in found["containers"]]

    async def container_status(self, id: str) -> Container:
        found = await self._call("RuntimeService/ContainerStatus", {"container_id": id})
        if not found.get("status"):
            raise NotFound(f"container {id} has no status")
        status = encode.container_status(found["status"])
        if status.exit_code == KILLED and status.reason != OOM and (id in self._killed or self._kernel.killed(id)):
            return replace(status, reason=OOM)
        return status

    async def update_resources(self, id: str, resources: Resources) -> None:
        request = {"container_id": id, "linux": encode.resources(resources)}
        await self._call("RuntimeService/UpdateContainerResources", request)

    async def exec_sync(self, id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        """The runtime ends the command after its time; our own deadline is a little later, for a runtime that hangs."""
        whole = -int(-timeout_s // 1)
        request = {"container_id": id, "cmd": list(command), "timeout": whole}
        found = await self._call("RuntimeService/ExecSync", request, whole + QUICK_S if whole else PULL_S)
        return ExecResult(found["exit_code"], found["stdout"], found["stderr"])

    async def reopen_log(self, id: str) -> None:
        await self._call("RuntimeService/ReopenContainerLog", {"container_id": id})

    async def stats(self) -> list[ContainerStats]:
        found = await self._call("RuntimeService/ListContainerStats", {})
        return [encode.stats(v) for v in found["stats"]]

    # Streams

    async def exec_url(
        self, id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        request = {
            "container_id": id, "cmd": list(command), "tty": tty, "stdin": stdin, "stdout": stdout, "stderr": stderr,
        }  # fmt: skip
        return str((await self._call("RuntimeService/Exec", request))["url"])

    async def attach_url(self, id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        request = {"container_id": id, "tty": tty, "stdin": stdin, "stdout": stdout, "stderr": stderr}
        return str((await self._call("RuntimeService/Attach", request))["url"])

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        request = {"pod_sandbox_id": sandbox_id, "port": list(ports)}
        return str((await self._call("RuntimeService/PortForward", request))["url"])

    # Images

    async def pull_image(self, image: str, credentials: Credentials | None, sandbox: SandboxConfig) -> str:
        request = {"image": {"image": image}, "sandbox_config": encode.sandbox_config(sandbox)}
        if credentials is not None:
            request["auth"] = encode.auth(credentials)
        return str((await self._call("ImageService/PullImage", request, PULL_S))["image_ref"])

    async def image_status(self, image: str) -> Image | None:
        found = await self._call("ImageService/ImageStatus", {"image": {"image": image}})
        return encode.image(found["image"]) if found.get("image") else None

    async def list_images(self) -> list[Image]:
        return [encode.image(v) for v in (await self._call("ImageService/ListImages", {}))["images"]]

    async def remove_image(self, image: str) -> None:
        await self._gone_is_fine(self._call("ImageService/RemoveImage", {"image": {"image": image}}))

    async def image_fs(self) -> list[FsUsage]:
        found = await self._call("ImageService/ImageFsInfo", {})
        return [
            FsUsage(
                (v.get("fs_id") or {}).get("mountpoint", ""),
                (v.get("used_bytes") or {}).get("value", 0),
                (v.get("inodes_used") or {}).get("value", 0),
            )
            for v in found["image_filesystems"]
        ]

    async def _gone_is_fine(self, call: Awaitable[object]) -> None:
        try:
            await call
        except NotFound:
            return  # what is to be stopped or removed is not there: as wanted


def _filter(pod_uid: str) -> dict[str, Any]:
    from skiff.kubelet.runtime import POD_UID

    return {"filter": {"label_selector": {POD_UID: pod_uid}}} if pod_uid else {}
