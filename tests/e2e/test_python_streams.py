"""exec, attach, port-forward and followed logs through the Python clients, over WebSockets to a real container."""

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest
from kube import Kube
from kubernetes import client, config, stream, watch
from kubernetes_asyncio import client as aclient
from kubernetes_asyncio import config as aconfig
from kubernetes_asyncio.stream import WsApiClient
from space import Space, pod

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the library forgets its sockets
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kubernetes"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:kubernetes_asyncio"),
]
SERVE = "while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -p 8080; done & while read line; do echo got $line; done"
TALK = "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); sleep 0.1; done"


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """What the library forgets is found here, where it is known, and not in whatever test runs next."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def space(kube: Kube) -> Iterator[Space]:
    kube.kubectl("create", "namespace", "python-streams")
    space = Space(kube, "python-streams")
    space.create(
        pod("server", SERVE, image=kube.image, stdin=True),
        pod("talker", TALK, image=kube.image, pod_spec={"restartPolicy": "Never"}),
    )
    space.ready("server")
    yield space
    kube.kubectl("delete", "namespace", space.name, "--wait=false")


@pytest.fixture
def core(kube: Kube) -> Iterator[client.CoreV1Api]:
    config.load_kube_config(str(kube.kubeconfig))
    with client.ApiClient() as api:
        yield client.CoreV1Api(api)


def test_exec_gives_both_outputs_and_the_code(core: client.CoreV1Api, space: Space) -> None:
    command = ["sh", "-c", "echo out; echo err >&2; read x; echo back $x; exit 3"]
    session = stream.stream(
        core.connect_get_namespaced_pod_exec, "server", space.name, command=command,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("hello\n")
    session.run_forever(timeout=30)
    assert (session.read_stdout(), session.read_stderr()) == ("out\nback hello\n", "err\n")
    assert session.returncode == 3
    session.close()


def test_attach_reaches_the_process(core: client.CoreV1Api, space: Space) -> None:
    session = stream.stream(
        core.connect_get_namespaced_pod_attach, "server", space.name,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("word\n")
    assert session.readline_stdout(timeout=30) == "got word"
    session.close()


def test_port_forward_carries_a_request(core: client.CoreV1Api, space: Space) -> None:
    forward = stream.portforward(core.connect_get_namespaced_pod_portforward, "server", space.name, ports="8080")
    socket = forward.socket(8080)
    socket.settimeout(30)
    socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while b"hello" not in answer and (data := socket.recv(1024)):
        answer += data
    assert answer.endswith(b"hello")
    assert forward.error(8080) is None
    socket.close()


def test_logs_are_followed_to_their_end(core: client.CoreV1Api, space: Space) -> None:
    lines: list[str] = []

    def follow() -> None:
        lines.extend(watch.Watch().stream(core.read_namespaced_pod_log, "talker", space.name, follow=True))

    space.phase("talker", "Running", "Succeeded")
    follower = threading.Thread(target=follow)
    follower.start()
    follower.join(30)
    assert [line for line in lines if line] == [f"line {i}" for i in range(5)]


def test_exec_of_the_asynchronous_client(kube: Kube, space: Space) -> None:
    async def main() -> str:
        configuration = aclient.Configuration()
        await aconfig.load_kube_config(str(kube.kubeconfig), client_configuration=configuration)
        async with WsApiClient(configuration) as api:
            return await aclient.CoreV1Api(api).connect_get_namespaced_pod_exec(
                "server", space.name, command=["echo", "hello"], stdin=False, stdout=True, stderr=True, tty=False
            )

    assert asyncio.run(main()) == "hello\n"
