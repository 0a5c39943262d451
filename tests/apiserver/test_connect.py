"""Logs, exec, attach, port-forward and proxies through the API server to a kubelet and a pod, over real sockets."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import orjson
import pytest

from skiff.api.errors import StatusError
from skiff.api.types import Obj
from skiff.apiserver.connect.backends import Backends, Target, preferred_address, split_name
from skiff.apiserver.connect.handlers import backend_error, container_name, log_option_errors, split_proxy_path
from skiff.client.https import HTTPSTransport
from skiff.wire.messages import Request, Response, Stream
from skiff.wire.server import serve
from skiff.wire.spdy import Session
from skiff.wire.websocket import WebSocket, WebSocketStream, check_accepted, client_headers
from tests.apiserver.access import obj, pod
from tests.apiserver.conftest import ADMIN, Api
from tests.apiserver.conftest import serve as api_server

DEADLINE_S = 10
SUCCESS = {"metadata": {}, "status": "Success"}
EXIT_3 = {
    "metadata": {},
    "status": "Failure",
    "reason": "NonZeroExitCode",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}


class Plain(Backends):
    """Everything is reached on loopback, without TLS."""

    def __init__(self, lookup, port: int):
        super().__init__(lookup)
        self.port = port

    def transport(self, target: Target) -> HTTPSTransport:
        return super().transport(Target("http", "127.0.0.1", self.port, target.kubelet))


@dataclass
class Kubelet:
    """The other side: a kubelet with one container, and a pod's web server, in one handler."""

    requests: list[Request] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        kind = request.path.split("/")[1]
        if kind == "containerLogs":
            return self.logs(request)
        if kind in ("exec", "attach"):
            if "missing" in request.query_string:
                return Response(404, {}, b'container not found ("c")')
            return self._spdy(request, self.command)
        if kind == "portForward":
            return self._spdy(request, self.ports)
        if request.path == "/redirect":
            return Response(302, {"Location": "/there?x=1"})
        return Response(200, {"Content-Type": "text/plain", "X-Mine": "1"}, b"hello " + request.body)

    def logs(self, request: Request) -> Response:
        if "previous" in request.query_string:
            return Response(400, {}, b'previous terminated container "c" in pod "p" not found')
        if "follow" not in request.query_string:
            return Response(200, {"Content-Type": "text/plain"}, b"a line\n")

        async def lines():
            try:
                while True:
                    yield b"another line\n"
                    await asyncio.sleep(0.001)
            finally:
                self.gone.set()

        return Response(200, {"Content-Type": "text/plain"}, stream=lines())

    def _spdy(self, request: Request, run) -> Response:
        async def upgraded(connection: Stream) -> None:
            session = Session(connection, client=False)
            reading = asyncio.ensure_future(session.run())
            try:
                await run(request, session)
            finally:
                self.gone.set()
                await session.close()
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
        protocol = request.headers["x-stream-protocol-version"].split(", ")[0]
        return Response(101, {**headers, "X-Stream-Protocol-Version": protocol}, upgrade=upgraded)

    async def command(self, request: Request, session: Session) -> None:
        """Echoes stdin in capitals and sizes as they come; `exit 3` fails."""
        query = request.query()
        names = [n for n in ("input", "output", "error", "tty") if n in query]
        streams = {}
        for _ in range(1 + len(names) - (1 if "tty" in names and "error" in names else 0)):
            stream = await session.accept()
            streams[stream.headers["streamtype"]] = stream
        if "resize" in streams:
            await streams["stdout"].write(b"size " + await streams["resize"].read())
        if "stdin" in streams:
            while data := await streams["stdin"].read():
                await streams["stdout"].write(data.upper())
        if "stderr" in streams:
            await streams["stderr"].write(b"warning")
        fails = query.get("command") == ["exit", "3"]
        await streams["error"].write(orjson.dumps(EXIT_3 if fails else SUCCESS))
        for stream in streams.values():
            await stream.write_eof()
        await asyncio.sleep(0.05)  # a peer must have read before the connection ends

    async def ports(self, request: Request, session: Session) -> None:
        while (stream := await session.accept()) is not None:
            if stream.headers["streamtype"] == "data":
                await stream.write(b"to " + stream.headers["port"].encode() + b": " + await stream.read())
            await stream.write_eof()


@dataclass
class World:
    api: Api
    kubelet: Kubelet
    transport: HTTPSTransport


def in_world(scenario):
    """Runs a scenario against an API server, reached over a socket, with one node and one running pod."""

    async def main():
        try:
            return await inside()
        finally:
            await asyncio.sleep(0.02)  # what was closed last is gone after another turn of the loop

    async def inside():
        kubelet = Kubelet()
        async with asyncio.timeout(DEADLINE_S), contextlib.AsyncExitStack() as stack:
            backend = await serve(kubelet)
            stack.push_async_callback(backend.close, 0)
            api = await stack.enter_async_context(contextlib.asynccontextmanager(api_server)())
            api.server.backends = Plain(api.server.registry.lookup, backend.port)
            await api.store("namespaces", obj("default"))
            await api.store("nodes", node())
            await api.store("pods", {**pod("p", node="n1"), "status": {"podIP": "10.244.0.7"}})
            await api.store("pods", pod("pending"))

            async def as_admin(request: Request) -> Response:
                request.user = ADMIN
                return await api.server.handler(request)

            front = await serve(as_admin)
            stack.push_async_callback(front.close, 0)
            transport = HTTPSTransport(f"http://127.0.0.1:{front.port}")
            stack.push_async_callback(transport.close)
            return await scenario(World(api, kubelet, transport))

    return asyncio.run(main())


def node() -> Obj:
    endpoint = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}
    return obj("n1", spec={}, status={"addresses": [{"type": "InternalIP", "address": "10.89.0.1"}], **endpoint})


PODS = "/api/v1/namespaces/default/pods"


# logs


def test_logs_are_passed_on_with_their_options():
    async def scenario(world):
        url = f"{PODS}/p/log"
        query = "tailLines=5&timestamps=true&sinceTime=2026-01-01T01:00:00%2B01:00&limitBytes=9&container=c"
        answer = await world.transport.send(Request("GET", url, query))
        sent = world.kubelet.requests[-1]
        return answer.status, answer.body, sent.path, sent.query()

    status, body, path, query = in_world(scenario)
    assert (status, body, path) == (200, b"a line\n", "/containerLogs/default/p/c")
    assert query == {
        "timestamps": ["true"],
        "sinceTime": ["2026-01-01T00:00:00Z"],
        "tailLines": ["5"],
        "limitBytes": ["9"],
        "stream": ["All"],
    }


def test_following_ends_at_the_kubelet_when_the_client_goes():
    async def scenario(world):
        request = Request("GET", f"{PODS}/p/log", "follow=true", scratch={"stream": True})
        answer = await world.transport.send(request)
        line = await anext(answer.stream)
        await answer.stream.aclose()
        await world.kubelet.gone.wait()
        return line.splitlines()[0]

    assert in_world(scenario) == b"another line"


REFUSED = [
    pytest.param(
        "GET", "p/log?previous=true", 400, 'previous terminated container "c" in pod "p" not found', id="no previous"
    ),
    pytest.param("GET", "p/log?container=x", 400, "container x is not valid for pod p", id="an unknown container"),
    pytest.param(
        "GET",
        "p/log?tailLines=-1",
        422,
        "tailLines: Invalid value: -1: must be greater than or equal to 0",
        id="a wrong number",
    ),
    pytest.param("GET", "nope/log", 404, 'pods "nope" not found', id="no such pod"),
    pytest.param("POST", "p/exec?command=ls", 400, "Upgrade request required", id="exec without an upgrade"),
    pytest.param(
        "POST",
        "pending/exec?command=ls",
        400,
        "pod pending does not have a host assigned",
        id="exec in a pod without a node",
    ),
    pytest.param("POST", "nope/portforward", 404, 'pods "nope" not found', id="ports of no pod"),
    pytest.param("GET", "ftp:p:1/proxy/", 400, 'invalid pod request "ftp:p:1"', id="another scheme"),
    pytest.param("GET", "pending/proxy/", 400, "address not allowed", id="a pod without an address"),
]


@pytest.mark.parametrize("method, url, code, message", REFUSED)
def test_refusals(method, url, code, message):
    async def scenario(world):
        path, _, query = f"{PODS}/{url}".partition("?")
        answer = await world.transport.send(Request(method, path, query))
        return answer.status, orjson.loads(answer.body)["message"]

    status, found = in_world(scenario)
    assert status == code
    assert message in found


def test_logs_of_a_pod_without_a_node_are_empty():
    async def scenario(world):
        return (await world.transport.send(Request("GET", f"{PODS}/pending/log"))).status

    assert in_world(scenario) == 204


# exec


async def websocket(world: World, url: str, protocol: str) -> WebSocket:
    path, _, query = url.partition("?")
    headers = client_headers([protocol])
    answer, connection = await world.transport.upgrade(Request("GET", path, query, headers))
    assert answer.status == 101
    assert check_accepted(headers, answer.headers) == protocol
    return WebSocket(connection, server=False)


async def everything(socket: WebSocket) -> dict[int, bytes]:
    """What comes per channel until the server closes."""
    found: dict[int, bytes] = {}
    while (message := await socket.receive()) is not None:
        found[message.data[0]] = found.get(message.data[0], b"") + message.data[1:]
    await socket.close()
    return found


ALL = "stdin=1&stdout=1&stderr=1"


def test_exec_over_websocket_with_input_that_ends():
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/exec?{ALL}&command=cat&command=-n", "v5.channel.k8s.io")
        await socket.send(b"\x00hello ")
        await socket.send(b"\x00world")
        await socket.send(b"\xff\x00")
        found = await everything(socket)
        return found, world.kubelet.requests[-1]

    found, request = in_world(scenario)
    assert (found[1], found[2], orjson.loads(found[3])) == (b"HELLO WORLD", b"warning", SUCCESS)
    assert request.method == "POST"
    assert request.path == "/exec/default/p/c"
    assert request.query() == {"input": ["1"], "output": ["1"], "error": ["1"], "command": ["cat", "-n"]}


def test_exit_codes_come_over_the_error_channel():
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/exec?stdout=1&command=exit&command=3", "v4.channel.k8s.io")
        return await everything(socket)

    assert orjson.loads(in_world(scenario)[3]) == EXIT_3


def test_a_terminal_has_a_size_and_one_output():
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/attach?{ALL}&tty=1", "v5.channel.k8s.io")
        await socket.send(b'\x04{"Width":80,"Height":24}')
        await socket.send(b"\xff\x00")
        return await everything(socket)

    found = in_world(scenario)
    assert found[1] == b'size {"Width":80,"Height":24}'
    assert 2 not in found


def test_a_refusal_of_the_kubelet_comes_over_the_error_channel():
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/exec?stdout=1&command=missing", "v5.channel.k8s.io")
        return await everything(socket)

    status = orjson.loads(in_world(scenario)[3])
    assert status["message"] == 'Internal error occurred: unable to upgrade connection: container not found ("c")'


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda socket: socket.close(), id="says goodbye"),
        pytest.param(lambda socket: socket._connection.close(), id="is gone"),
        pytest.param(lambda socket: socket._connection.write(b"\xff" * 50), id="breaks the protocol"),
    ],
)
def test_the_command_loses_its_connection_when_the_client(leave):
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/exec?{ALL}&command=cat", "v5.channel.k8s.io")
        await socket.send(b"\x00x")
        await leave(socket)
        await world.kubelet.gone.wait()
        await socket._connection.close()

    in_world(scenario)


def test_much_output_and_much_input():
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/exec?{ALL}&command=cat", "v5.channel.k8s.io")

        async def feed():
            for _ in range(100):
                await socket.send(b"\x00" + b"x" * 30_000)
            await socket.send(b"\xff\x00")

        feeding = asyncio.ensure_future(feed())
        found = await everything(socket)
        await feeding
        return len(found[1])

    assert in_world(scenario) == 3_000_000


def test_exec_over_spdy_is_joined_as_it_is():
    async def scenario(world):
        headers = {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
        request = Request("POST", f"{PODS}/p/exec", f"{ALL}&command=cat", headers)
        answer, connection = await world.transport.upgrade(request)
        session = Session(connection, client=True)
        reading = asyncio.ensure_future(session.run())
        streams = {t: await session.open({"streamType": t}) for t in ("error", "stdin", "stdout", "stderr")}
        await streams["stdin"].write(b"old kubectl")
        await streams["stdin"].write_eof()
        text, status = await streams["stdout"].read(), await streams["error"].read()
        await session.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return answer.headers["X-Stream-Protocol-Version"], text, orjson.loads(status)

    assert in_world(scenario) == ("v4.channel.k8s.io", b"OLD KUBECTL", SUCCESS)


def test_a_refusal_over_spdy_is_the_kubelets_own():
    async def scenario(world):
        headers = {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
        request = Request("POST", f"{PODS}/p/exec", "stdout=1&command=missing", headers)
        answer, connection = await world.transport.upgrade(request)
        return answer.status, answer.body, connection

    assert in_world(scenario) == (404, b'container not found ("c")', None)


# ports


def test_port_forward_through_a_websocket_tunnel():
    async def scenario(world):
        socket = await websocket(world, f"{PODS}/p/portforward", "SPDY/3.1+portforward.k8s.io")
        session = Session(WebSocketStream(socket), client=True)
        reading = asyncio.ensure_future(session.run())
        error = await session.open({"streamType": "error", "port": "80", "requestID": "0"}, fin=True)
        data = await session.open({"streamType": "data", "port": "80", "requestID": "0"})
        await data.write(b"ping")
        text = await data.read()
        assert await error.read() == b""
        await session.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return text

    assert in_world(scenario) == b"to 80: ping"


# proxies


PROXIED = [
    pytest.param("GET", f"{PODS}/p/proxy/a%20b", "x=1", "/a b", id="a path and a query"),
    pytest.param("POST", f"{PODS}/http:p:8080/proxy/", "", "/", id="scheme, name and port"),
    pytest.param("DELETE", "/api/v1/nodes/n1/proxy/pods", "", "/pods", id="a node"),
    pytest.param("OPTIONS", f"{PODS}/p/proxy/x/", "", "/x/", id="another method, a slash at the end"),
]


@pytest.mark.parametrize("method, path, query, expected", PROXIED)
def test_proxying(method, path, query, expected):
    async def scenario(world):
        from urllib.parse import unquote

        headers = {"authorization": "Bearer secret", "cookie": "a=b", "impersonate-user": ""}
        request = Request(method, unquote(path), query, headers, b"body", raw_path=path)
        answer = await world.transport.send(request)
        return answer, world.kubelet.requests[-1]

    answer, sent = in_world(scenario)
    assert (answer.status, answer.body, answer.headers["X-Mine"]) == (200, b"hello body", "1")
    assert (sent.method, sent.path, sent.query_string) == (method, expected, query)
    assert "authorization" not in sent.headers and sent.headers["cookie"] == "a=b"
    assert sent.headers["x-forwarded-uri"] == path


def test_redirects_lead_back_through_the_proxy():
    async def scenario(world):
        first = await world.transport.send(Request("GET", f"{PODS}/p/proxy", "a=b"))
        second = await world.transport.send(Request("GET", f"{PODS}/p/proxy/redirect"))
        return (first.status, first.headers["Location"]), (second.status, second.headers["Location"])

    assert in_world(scenario) == ((301, f"{PODS}/p/proxy/?a=b"), (302, f"{PODS}/p/proxy/there?x=1"))


SERVICE = obj("web", "default", spec={"ports": [{"name": "http", "port": 80}]})
REF = {"kind": "Pod", "namespace": "default", "name": "p"}
FOREIGN = {"kind": "Pod", "namespace": "default", "name": "pending"}


@pytest.mark.parametrize(
    "name, address, status",
    [
        pytest.param("web:http", {"ip": "10.244.0.7", "targetRef": REF}, 200, id="a port by name"),
        pytest.param("web:80", {"ip": "10.244.0.7", "targetRef": REF}, 200, id="a port by number"),
        pytest.param("web:81", {"ip": "10.244.0.7", "targetRef": REF}, 503, id="a port it has not"),
        pytest.param("web:http", {"ip": "10.244.0.8", "targetRef": REF}, 503, id="an address that is not the pod's"),
        pytest.param("web:http", {"ip": "10.244.0.7", "targetRef": FOREIGN}, 503, id="another pod"),
        pytest.param("web:http", {"ip": "169.254.169.254"}, 503, id="an address of no pod"),
    ],
)
def test_services_lead_to_their_pods_only(name, address, status):
    async def scenario(world):
        await world.api.store("services", SERVICE)
        subsets = [{"addresses": [address], "ports": [{"name": "http", "port": 8080}]}]
        await world.api.store("endpoints", obj("web", "default", subsets=subsets))
        url = f"/api/v1/namespaces/default/services/{name}/proxy/"
        return (await world.transport.send(Request("GET", url))).status

    assert in_world(scenario) == status


# pure parts


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("a", ("", "a", ""), id="a name"),
        pytest.param("a:80", ("", "a", "80"), id="with a port"),
        pytest.param("https:a:", ("https", "a", ""), id="with a scheme"),
        pytest.param("https:a:web", ("https", "a", "web"), id="with both"),
    ],
)
def test_names_with_scheme_and_port(text, expected):
    assert split_name("pod", text) == expected


@pytest.mark.parametrize("text", [":a", "", "a:b:c", "http:a:1:2"])
def test_wrong_names(text):
    with pytest.raises(StatusError):
        split_name("pod", text)


@pytest.mark.parametrize(
    "path, namespaced, expected",
    [
        pytest.param(
            "/api/v1/namespaces/n/pods/p/proxy", True, ("/api/v1/namespaces/n/pods/p/proxy", ""), id="nothing"
        ),
        pytest.param("/api/v1/nodes/n/proxy/a/b/", False, ("/api/v1/nodes/n/proxy", "/a/b/"), id="a path"),
        pytest.param("/api/v1/nodes/n/proxy//a", False, ("/api/v1/nodes/n/proxy", "//a"), id="empty parts"),
    ],
)
def test_what_is_behind_the_proxy(path, namespaced, expected):
    assert split_proxy_path(path, namespaced) == expected


def test_the_container_must_be_clear():
    two = pod("p", containers=[{"name": "a"}, {"name": "b"}], initContainers=[{"name": "i"}])
    assert container_name("i", two) == "i"
    with pytest.raises(StatusError) as caught:
        container_name("", two)
    assert caught.value.message == "a container name must be specified for pod p, choose one of: [i a b]"


def test_log_options_that_exclude_each_other():
    none = {"sinceSeconds": None, "tailLines": None, "limitBytes": None}
    assert not log_option_errors(none, "", "All")
    assert len(log_option_errors({**none, "sinceSeconds": 1}, "2026-01-01T00:00:00Z", "All")) == 1
    assert len(log_option_errors({**none, "tailLines": 1}, "", "Stdout")) == 1
    assert len(log_option_errors(none, "", "Nonsense")) == 1


def test_addresses_of_a_node_by_preference():
    addresses = [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.0.0.1"}]
    assert preferred_address(obj("n", status={"addresses": addresses})) == "10.0.0.1"
    assert preferred_address(obj("n", status={"addresses": addresses[:1]})) == "h"
    with pytest.raises(StatusError, match="no preferred addresses found"):
        preferred_address(obj("n"))


@pytest.mark.parametrize(
    "code, expected",
    [
        pytest.param(400, (400, "BadRequest", "text"), id="the caller's mistake"),
        pytest.param(500, (500, "InternalError", "Internal error occurred: text"), id="the kubelet's"),
        pytest.param(
            404, (404, "NotFound", "the server could not find the requested resource ( pods/log p)"), id="missing"
        ),
    ],
)
def test_a_kubelets_refusals(code, expected):
    error = backend_error(code, "text", "pods/log p")
    assert (error.code, error.reason, error.message) == expected
