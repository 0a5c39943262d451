"""The kubelet's HTTP face: logs, exec, attach, port-forward, run, pods, stats, health. One Handler; `wire.server` gives it TLS.

Sessions are not interpreted: after the checks the runtime is asked for a streaming address and the two connections are
joined, whatever protocol (SPDY, WebSocket) the two ends speak.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from skiff import env
from skiff.api.types import Obj
from skiff.client.https import HTTPSTransport
from skiff.kubelet import logs
from skiff.kubelet.access import Access
from skiff.kubelet.parts import Parts
from skiff.kubelet.podmanager import PodManager
from skiff.kubelet.pods import find_container, micro_timestamp, parse_time
from skiff.kubelet.runtime import Container, RuntimeFailure
from skiff.kubelet.stats import Stats
from skiff.wire.messages import Handler, Request, Response, Stream
from skiff.wire.relay import relay

TEXT = {"content-type": "text/plain; charset=utf-8"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class HttpError(Exception):
    """Answered as plain text; the API server wraps it into a Status."""

    status: int
    message: str


def target_of(path: str) -> tuple[str, str, str, str]:
    """(namespace, pod, uid or "", container or "") from `/exec/ns/pod[/uid]/container` and the like."""
    parts = [p for p in path.split("/") if p][1:]
    if len(parts) == 4:
        return parts[0], parts[1], parts[2], parts[3]
    if len(parts) == 3:
        return parts[0], parts[1], "", parts[2]
    if len(parts) == 2:
        return parts[0], parts[1], "", ""
    raise HttpError(404, "404 page not found\n")


def log_options(query: Mapping[str, list[str]], now: float) -> logs.LogOptions:
    """Raises HttpError for what is no number or no time."""

    def one(name: str) -> str:
        return (query.get(name) or [""])[0]

    def number(name: str) -> int:
        text = one(name)
        if not text:
            return -1
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise HttpError(422, '{"message": "Invalid request."}')
        return int(text)

    since = b""
    if one("sinceSeconds"):
        since = micro_timestamp(now - number("sinceSeconds")).encode()
    elif one("sinceTime"):
        at = parse_time(one("sinceTime"))
        if not at:
            raise HttpError(400, '{"message": "Unable to decode query."}')
        since = micro_timestamp(at).encode()
    stream = one("stream")
    if stream not in ("", "All", "Stdout", "Stderr"):
        raise HttpError(400, f'invalid stream type "{stream}"')
    return logs.LogOptions(
        follow=one("follow") in ("true", "1"),
        timestamps=one("timestamps") in ("true", "1"),
        tail=number("tailLines"),
        limit=number("limitBytes"),
        since=since,
        stream=b"" if stream in ("", "All") else stream.lower().encode(),
    )


def log_container(status: Obj, pod_name: str, container: str, *, previous: bool) -> str:
    """The id of the container whose log is meant. Raises HttpError with upstream's sentence."""
    listed = [
        s
        for k in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for s in status.get(k) or []
    ]
    found = next((s for s in listed if s["name"] == container), None)
    where = f'container "{container}" in pod "{pod_name}"'
    if found is None:
        raise HttpError(400, f"{where} is not available")
    state, last = found.get("state") or {}, (found.get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise HttpError(400, f"previous terminated {where} not found")
        return _bare(last["containerID"])
    if "running" in state:
        return _bare(found["containerID"])
    if "terminated" in state or last:
        id = (state.get("terminated") or {}).get("containerID") or last.get("containerID")
        if not id:
            raise HttpError(400, f"{where} is terminated")
        return _bare(id)
    reason = (state.get("waiting") or {}).get("reason", "")
    words = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
    raise HttpError(400, f"{where} is waiting to start: {words.get(reason, reason)}")


def _bare(container_id: str) -> str:
    return container_id.rpartition("://")[2]


class KubeletServer:
    """`handler` is the whole of it: access, then the route."""

    def __init__(self, *, pods: PodManager, parts: Parts, access: Access, stats: Stats):
        self._pods = pods
        self._parts = parts
        self._access = access
        self._stats = stats
        self._routes: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
            "healthz": self._healthz,
            "containerLogs": self._logs,
            "exec": self._exec,
            "attach": self._attach,
            "portForward": self._port_forward,
            "run": self._run,
            "pods": self._list_pods,
            "runningpods": self._list_pods,
            "stats": self._stats_summary,
            "metrics": self._metrics,
            "configz": self._configz,
        }

    @property
    def handler(self) -> Handler:
        return self._handle

    async def _handle(self, request: Request) -> Response:
        refusal = await self._access.refuse(request)
        if refusal is not None:
            return refusal
        route = self._routes.get(request.path.strip("/").split("/")[0])
        try:
            if route is None:
                raise HttpError(404, "404 page not found\n")
            return await route(request)
        except HttpError as e:
            return Response(e.status, TEXT, e.message.encode())
        except RuntimeFailure as e:
            return Response(500, TEXT, str(e).encode())
        except ValueError as e:
            return Response(400, TEXT, str(e).encode())

    async def _healthz(self, request: Request) -> Response:
        return Response(200, TEXT, b"ok")

    # Which pod, which container

    def _pod(self, namespace: str, name: str, uid: str = "") -> Obj:
        worker = self._pods.find(namespace, name)
        if worker is None or (uid and worker.uid != uid):
            raise HttpError(404, f'pod "{name}" does not exist')
        return worker.pod

    def _container(self, pod: Obj, name: str) -> Container:
        """The running one of that name."""
        if find_container(pod, name) is None:
            raise HttpError(404, f'container "{name}" not found in pod "{pod["metadata"]["name"]}"')
        found = self._parts.cache.get(pod["metadata"]["uid"]).container(name)
        if found is None or found.state != "running":
            raise HttpError(500, f"container not found ({json_text(name)})")
        return found

    # Logs

    async def _logs(self, request: Request) -> Response:
        namespace, name, uid, container = target_of(request.path)
        pod = self._pod(namespace, name, uid)
        if find_container(pod, container) is None:
            raise HttpError(404, f'container "{container}" not found in pod "{name}"')
        query = request.query()
        options = log_options(query, env.epoch())
        status = self._parts.statuses.get(pod["metadata"]["uid"]) or pod.get("status") or {}
        previous = (query.get("previous") or [""])[0] in ("true", "1")
        id = log_container(status, name, container, previous=previous)
        found = await self._parts.runtime.container_status(id)
        stream = logs.read(found.log_path, options, lambda: self._runs(pod, id))
        try:
            first = await anext(stream)
        except StopAsyncIteration:
            return Response(200, TEXT, b"")
        except OSError as e:
            raise HttpError(500, f"failed to try resolving symlinks in path {json_text(found.log_path)}: {e}") from e
        return Response(200, dict(TEXT), stream=_chained(first, stream))

    def _runs(self, pod: Obj, container_id: str) -> bool:
        state = self._parts.cache.get(pod["metadata"]["uid"])
        return any(c.id == container_id and c.state == "running" for c in state.containers)

    # Sessions

    async def _exec(self, request: Request) -> Response:
        namespace, name, uid, container = target_of(request.path)
        found = self._container(self._pod(namespace, name, uid), container)
        query = request.query()
        command = query.get("command") or []
        if not command:
            raise HttpError(400, "you must specify at least 1 of stdin, stdout, stderr")
        stdin, stdout, stderr, tty = _streams(query)
        url = await self._parts.runtime.exec_url(
            found.id, command, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty
        )
        return await join(request, url)

    async def _attach(self, request: Request) -> Response:
        namespace, name, uid, container = target_of(request.path)
        pod = self._pod(namespace, name, uid)
        found = self._container(pod, container)
        spec = find_container(pod, container) or {}
        stdin, stdout, stderr, _ = _streams(request.query())
        tty = bool(spec.get("tty"))
        url = await self._parts.runtime.attach_url(
            found.id, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty
        )
        return await join(request, url)

    async def _port_forward(self, request: Request) -> Response:
        namespace, name, uid, _ = target_of(request.path if request.path.count("/") < 4 else request.path + "/")
        pod = self._pod(namespace, name, uid)
        state = self._parts.cache.get(pod["metadata"]["uid"])
        if not state.sandboxes or not state.sandboxes[0].ready:
            raise HttpError(404, "pod not found")
        ports = [int(p) for p in request.query().get("port") or [] if p.isdecimal()]
        return await join(request, await self._parts.runtime.port_forward_url(state.sandboxes[0].id, ports))

    async def _run(self, request: Request) -> Response:
        namespace, name, uid, container = target_of(request.path)
        found = self._container(self._pod(namespace, name, uid), container)
        command = (request.query().get("cmd") or [""])[0].split(" ")
        result = await self._parts.runtime.exec_sync(found.id, command, 0)
        return Response(200, TEXT, result.stdout + result.stderr)

    # Figures

    async def _list_pods(self, request: Request) -> Response:
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods.pods()}
        return Response(200, JSON, orjson.dumps(body))

    async def _stats_summary(self, request: Request) -> Response:
        if request.path.rstrip("/") != "/stats/summary":
            raise HttpError(404, "404 page not found\n")
        return Response(200, JSON, orjson.dumps(await self._stats.summary()))

    async def _metrics(self, request: Request) -> Response:
        kinds = {"/metrics/resource": self._stats.resource, "/metrics/cadvisor": self._stats.cadvisor}
        make = kinds.get(request.path.rstrip("/"), self._stats.own)
        return Response(200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"}, (await make()).encode())

    async def _configz(self, request: Request) -> Response:
        o = self._parts.options
        config = {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "port": o.port,
            "clusterDomain": o.cluster_domain,
            "clusterDNS": list(o.cluster_dns),
            "maxPods": o.max_pods,
            "cgroupRoot": o.cgroup_root or "/",
            "staticPodPath": o.manifest_dir,
            "resolvConf": o.resolv_conf,
            "containerLogMaxSize": str(o.container_log_max_bytes),
            "containerLogMaxFiles": o.container_log_max_files,
            "nodeLeaseDurationSeconds": o.lease_seconds,
            "evictionHard": {
                "memory.available": o.memory_available_hard,
                "nodefs.available": o.disk_available_hard,
                "nodefs.inodesFree": o.inodes_free_hard,
            },
        }
        return Response(200, JSON, orjson.dumps({"kubeletconfig": config}))


def json_text(text: str) -> str:
    return orjson.dumps(text).decode()


def _streams(query: Mapping[str, list[str]]) -> tuple[bool, bool, bool, bool]:
    """(stdin, stdout, stderr, tty), under the names of both generations. Raises HttpError when no stream is asked for."""

    def on(*names: str) -> bool:
        return any((query.get(n) or [""])[0] in ("1", "true") for n in names)

    found = (on("input", "stdin"), on("output", "stdout"), on("error", "stderr"), on("tty"))
    if not any(found[:3]):
        raise HttpError(400, "you must specify at least 1 of stdin, stdout, stderr")
    return found


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def join(request: Request, url: str) -> Response:
    """Hands the session over to the runtime's streaming server: its answer to our upgrade, then bytes both ways."""
    parts = urlsplit(url)
    transport = HTTPSTransport(f"http://{parts.netloc}")
    headers = {k: v for k, v in request.headers.items() if k not in ("host", "authorization", "content-length")}
    asked = Request(request.method, parts.path, parts.query, headers, request.body)
    asked.scratch["timeout_s"] = 30.0
    response, stream = await transport.upgrade(asked)
    if stream is None:
        await transport.close()
        return response

    async def run(client: Stream) -> None:
        try:
            await relay(client, stream)
        finally:
            await transport.close()

    return Response(101, response.headers, upgrade=run)
