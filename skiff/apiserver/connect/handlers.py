"""The verbs of pods/log, pods/exec, pods/attach, pods/portforward and of the proxy subresources.

A SPDY request is joined to the kubelet as it is; a WebSocket one is translated (exec, attach) or unwrapped
(port-forward). Paths, parameters and words are upstream's (core/pod/rest, core/pod/strategy.go).
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

import orjson

from skiff.api import times
from skiff.api.errors import (
    FieldError,
    StatusError,
    bad_request,
    forbidden_field,
    internal,
    invalid,
    invalid_object,
    status_error,
)
from skiff.api.types import GVR, Obj
from skiff.apiserver.connect import proxying, translation
from skiff.apiserver.connect.backends import Backends, Target, plain_error
from skiff.apiserver.connect.proxying import Hop
from skiff.apiserver.connect.translation import Wanted
from skiff.apiserver.options import boolean, first, integer
from skiff.wire.messages import Request, Response, Stream
from skiff.wire.relay import relay
from skiff.wire.websocket import WebSocket, WebSocketStream, accept_headers, is_upgrade, negotiate

if TYPE_CHECKING:
    from skiff.apiserver.call import Call

TUNNEL = "SPDY/3.1+portforward.k8s.io"
PORT_FORWARD = "portforward.k8s.io"
LOG_OPTIONS = GVR("", "v1", "", "PodLogOptions")
LOG_PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io")
LOG_STREAMS = ("All", "Stdout", "Stderr")
ERROR_BYTES = 50_000


async def log(call: "Call") -> Response:
    """GET pods/log: the kubelet's text as it comes."""
    backends = _backends(call)
    query = log_query(call)
    pod = await backends.existing_pod(call.info.namespace, call.info.name)
    container = container_name(first(call.params, "container"), pod)
    node = pod["spec"].get("nodeName")
    if not node:
        return Response(204)
    insecure = boolean(call.params, "insecureSkipTLSVerifyBackend")
    target = await backends.kubelet(node, insecure=insecure)
    path = _path("containerLogs", call.info.namespace, call.info.name, container)
    request = Request("GET", path, query, {"accept": "*/*"}, raw_path=path, scratch={"stream": True})
    try:
        response = await backends.transport(target).send(request)
    except ConnectionError as err:
        raise plain_error(f'Get "{target.base_url}{path}": {err}') from err
    assert response.stream is not None
    if not 200 <= response.status <= 206:
        text = await _text(response)
        raise backend_error(response.status, text, f"pods/log {call.info.name}")
    if is_upgrade(call.request):
        return _log_messages(call.request, response.stream)
    return Response(200, {"Content-Type": "text/plain", "Cache-Control": "no-cache, private"}, stream=response.stream)


def _log_messages(request: Request, text: AsyncIterator[bytes]) -> Response:
    """The text as WebSocket messages: binary ones, or in base64 for a client that asks for that."""
    protocol = negotiate(request, LOG_PROTOCOLS)

    async def run(client: Stream) -> None:
        socket = WebSocket(client, server=True)
        encoded = protocol.startswith("base64")
        try:
            async for chunk in text:
                await socket.send(base64.b64encode(chunk) if encoded else chunk, text=encoded)
            await socket.close()
        finally:
            await text.aclose()  # type: ignore[attr-defined]

    return Response(101, accept_headers(request, protocol), upgrade=run)


async def exec(call: "Call") -> Response:
    return await _interactive(call, "exec", {"command": call.params.get("command")})


async def attach(call: "Call") -> Response:
    return await _interactive(call, "attach", {})


_STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
"""Of a client's query and of a kubelet's."""


async def _interactive(call: "Call", what: str, more: Obj) -> Response:
    await _may_create(call)
    asked = {name: True for name, _ in _STREAMS if boolean(call.params, name)}
    if container := first(call.params, "container"):
        more = {"container": container, **more}
    wish = await _admit(call, f"Pod{what.capitalize()}Options", {**asked, **more})
    wanted = Wanted(*(bool(wish.get(name)) for name, _ in _STREAMS))
    commands = [("command", c) for c in wish.get("command") or ()]
    query = urlencode([(kubelets, "1") for name, kubelets in _STREAMS if wish.get(name)] + commands)
    backends = _backends(call)
    pod = await backends.existing_pod(call.info.namespace, call.info.name)
    container = container_name(wish.get("container", ""), pod)
    target = await backends.kubelet(_node_of(pod))
    hop = Hop(target, _path(what, call.info.namespace, call.info.name, container), query)
    if is_upgrade(call.request) and (protocol := negotiate(call.request, translation.PROTOCOLS)):
        return _translated(call.request, protocol, wanted, backends, hop)
    if not proxying.is_upgrade(call.request):
        raise bad_request("Upgrade request required")
    return await proxying.upgrade(backends, hop, call.request)


def _translated(request: Request, protocol: str, wanted: Wanted, backends: Backends, hop: Hop) -> Response:
    async def dial() -> Stream:
        return await dial_spdy(backends, hop, translation.SPDY_PROTOCOL)

    async def run(client: Stream) -> None:
        await translation.translate(client, wanted, dial)

    return Response(101, accept_headers(request, protocol), upgrade=run)


async def port_forward(call: "Call") -> Response:
    """Ports are named in the SPDY streams; only old WebSocket clients name them in the query."""
    await _may_create(call)
    ports = [p for value in call.params.get("ports") or () for p in value.split(",")]
    wish = await _admit(call, "PodPortForwardOptions", {"ports": _numbers(ports)} if ports else {})
    backends = _backends(call)
    pod = await backends.existing_pod(call.info.namespace, call.info.name)
    target = await backends.kubelet(_node_of(pod))
    ports = [str(port) for port in wish.get("ports") or ()]
    hop = Hop(
        target,
        _path("portForward", call.info.namespace, call.info.name),
        urlencode({"port": ",".join(ports)}) if ports else "",
    )
    if is_upgrade(call.request) and negotiate(call.request, (TUNNEL,)):
        headers = accept_headers(call.request, TUNNEL)
        connection = await dial_spdy(backends, hop, PORT_FORWARD)

        async def tunnel(client: Stream) -> None:
            await relay(WebSocketStream(WebSocket(client, server=True)), connection)

        return Response(101, headers, upgrade=tunnel)
    if not proxying.is_upgrade(call.request):
        raise bad_request("Upgrade request required")
    return await proxying.upgrade(backends, hop, call.request)


async def dial_spdy(backends: Backends, hop: Hop, protocol: str) -> Stream:
    """A SPDY connection to a kubelet. Raises StatusError with what the kubelet says."""
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": protocol}
    request = Request(
        "POST", hop.path, hop.query, headers, raw_path=hop.path, scratch={"timeout_s": proxying.CONNECT_S}
    )
    try:
        response, connection = await backends.transport(hop.target).upgrade(request)
    except ConnectionError as err:
        raise internal(f'error sending request: Post "{hop.target.base_url}{hop.path}": {err}') from err
    if connection is not None:
        return connection
    status = _status_of(response.body)
    if status is not None:
        raise StatusError(status)
    raise internal(f"unable to upgrade connection: {response.body[:ERROR_BYTES].decode('utf-8', 'replace').strip()}")


# proxies


async def proxy_pod(call: "Call") -> Response:
    return await _proxy(call, lambda backends: backends.pod(call.info.namespace, call.info.name))


async def proxy_service(call: "Call") -> Response:
    return await _proxy(call, lambda backends: backends.service(call.info.namespace, call.info.name))


async def proxy_node(call: "Call") -> Response:
    return await _proxy(call, lambda backends: backends.node(call.info.name))


async def _proxy(call: "Call", find: Callable[[Backends], Awaitable[Target]]) -> Response:
    """The path behind `/proxy` is the backend's; a missing one is asked for with a slash, so that links work."""
    request = call.request
    prefix, rest = split_proxy_path(request.raw_path or quote(request.path), call.served.gvr.namespaced)
    await _admit(call, f"{call.served.gvr.kind}ProxyOptions", {"path": unquote(rest)} if rest else {})
    target = await find(_backends(call))
    if not rest and request.method in ("GET", "HEAD") and not proxying.is_upgrade(request):
        query = f"?{request.query_string}" if request.query_string else ""
        return Response(301, {"Location": f"{prefix}/{query}"})
    return await proxying.forward(_backends(call), Hop(target, rest or "/", request.query_string, prefix), request)


def split_proxy_path(raw_path: str, namespaced: bool) -> tuple[str, str]:
    """(everything up to `/proxy`, everything behind it). /api/v1[/namespaces/NS]/PLURAL/NAME/proxy[/REST]"""
    count = 8 if namespaced else 6
    parts = raw_path.split("/", count)
    rest = f"/{parts[count]}" if len(parts) > count else ""
    return "/".join(parts[:count]), rest


# what they share


def _backends(call: "Call") -> Backends:
    found = call.server.backends
    if found is None:
        raise status_error(503, "ServiceUnavailable", "this server reaches no nodes")
    return found


async def _may_create(call: "Call") -> None:
    """A GET that becomes a WebSocket does what a POST does, so it takes the same right."""
    if call.info.verb != "create":
        await call.server.may_create(call)


async def _admit(call: "Call", kind: str, query: Obj) -> Obj:
    """What admission makes of the query. Raises what it refuses."""
    attrs = call.attributes("CONNECT", {"apiVersion": "v1", "kind": kind, **query}, None, {}, name=call.info.name)
    await call.server.admission.mutate(attrs)
    await call.server.admission.validate(attrs)
    assert attrs.obj is not None
    return attrs.obj


def _numbers(ports: list[str]) -> list[int]:
    """Raises StatusError 400."""
    for port in ports:
        if not (port.isascii() and port.isdigit()):
            raise bad_request(f'strconv.ParseInt: parsing "{port}": invalid syntax')
    return [int(port) for port in ports]


def _node_of(pod: Obj) -> str:
    node = pod["spec"].get("nodeName")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return str(node)


def container_name(wanted: str, pod: Obj) -> str:
    """The container that is meant. Raises StatusError 400 when that is not clear or it does not exist."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    names = [c["name"] for kind in kinds for c in spec.get(kind) or ()]
    if wanted:
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    containers = spec.get("containers") or []
    if len(containers) == 1:
        return str(containers[0]["name"])
    if not containers:
        raise bad_request(f"a container name must be specified for pod {name}")
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")


def log_query(call: "Call") -> str:
    """The kubelet's parameters. Raises StatusError 400 or 422."""
    params = call.params
    since_time = first(params, "sinceTime")
    numbers = {name: integer(params, name) for name in ("sinceSeconds", "tailLines", "limitBytes")}
    stream = first(params, "stream") or "All"
    errors = log_option_errors(numbers, since_time, stream)
    if errors:
        raise invalid_object(LOG_OPTIONS, call.info.name, errors)
    pairs = [(name, "true") for name in ("follow", "previous", "timestamps") if boolean(params, name)]
    if since_time:
        try:
            pairs.append(("sinceTime", times.format_time(times.parse(since_time))))
        except times.TimeError as err:
            raise bad_request(str(err)) from err
    pairs += [(name, str(value)) for name, value in numbers.items() if value is not None]
    return urlencode([*pairs, ("stream", stream)])


def log_option_errors(numbers: Mapping[str, int | None], since_time: str, stream: str) -> list[FieldError]:
    errors = []
    tail, limit, since = numbers["tailLines"], numbers["limitBytes"], numbers["sinceSeconds"]
    if tail is not None and tail < 0:
        errors.append(invalid("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        errors.append(invalid("limitBytes", limit, "must be greater than 0"))
    if since is not None and since_time:
        errors.append(forbidden_field("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since is not None and since < 1:
        errors.append(invalid("sinceSeconds", since, "must be greater than 0"))
    if stream not in LOG_STREAMS:
        errors.append(
            FieldError("stream", "FieldValueNotSupported", stream, 'supported values: "All", "Stderr", "Stdout"')
        )
    elif stream != "All" and tail is not None:
        errors.append(forbidden_field("", "`tailLines` and specific `stream` are mutually exclusive for now"))
    return errors


_REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 503: "ServiceUnavailable"}
_WORDS = {
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    409: "the server reported a conflict",
    503: "the server is currently unable to handle the request",
}


def backend_error(code: int, text: str, what: str) -> StatusError:
    """A kubelet's refusal as the client sees it (registry/generic/rest/response_checker.go)."""
    if code == 500:
        return internal(text)
    if code == 400:
        return bad_request(text)
    words = text if code == 403 else _WORDS.get(code)
    if words is None:
        words = f"the server responded with the status code {code} but did not return more information"
    return status_error(code, _REASONS.get(code, ""), f"{words} ( {what})")


async def _text(response: Response) -> str:
    assert response.stream is not None
    parts: list[bytes] = []
    async for chunk in response.stream:
        parts.append(chunk)
        if sum(map(len, parts)) > ERROR_BYTES:
            break
    await response.stream.aclose()  # type: ignore[attr-defined]
    return b"".join(parts)[:ERROR_BYTES].decode("utf-8", "replace")


def _status_of(body: bytes) -> Obj | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and found.get("kind") == "Status" else None


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(p, safe="") for p in parts)


_PROXY_VERBS = ("get", "create", "update", "patch", "delete", "")
"""The last one is OPTIONS, which has no verb of its own."""
SUBRESOURCES: Mapping[tuple[str, str, str], Mapping[str, Any]] = {
    ("", "pods", "log"): {"get": log},
    ("", "pods", "exec"): {"get": exec, "create": exec},
    ("", "pods", "attach"): {"get": attach, "create": attach},
    ("", "pods", "portforward"): {"get": port_forward, "create": port_forward},
    ("", "pods", "proxy"): dict.fromkeys(_PROXY_VERBS, proxy_pod),
    ("", "services", "proxy"): dict.fromkeys(_PROXY_VERBS, proxy_service),
    ("", "nodes", "proxy"): dict.fromkeys(_PROXY_VERBS, proxy_node),
}
