"""The server under fire, and the judge of its answers.

`World` is an assembled API server in this process (roles, admission, a custom resource, a kubelet that speaks nonsense)
on a virtual clock that stays between requests. `World.ask` sends one request and judges the answer: a bad request gets a
4xx Status that says something; never a 500, never a logged exception, never more than a moment of the processor.
"""

import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson

from skiff import env
from skiff.api.gvr import NODES, PODS
from skiff.api.resources.builtin import RESOURCES
from skiff.apiserver.admission import Chain
from skiff.apiserver.assemble import LOOPBACK, admit
from skiff.apiserver.authn import Authentication
from skiff.apiserver.authn.bearer import Bearer
from skiff.apiserver.authn.jwt import Signer
from skiff.apiserver.authn.tokens import TokenIssuer
from skiff.apiserver.authz import Authorization
from skiff.apiserver.authz.node import Graph, NodeAuthorizer
from skiff.apiserver.authz.rbac import RBAC
from skiff.apiserver.authz.superuser import SuperUser
from skiff.apiserver.bootstrap import Addresses, Bootstrap
from skiff.apiserver.connect.backends import Backends, Target
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.apiserver.virtual import Identity
from skiff.client.inprocess import InProcess
from skiff.client.rest import Client
from skiff.store.memory import MemoryStore
from skiff.testing.loop import VirtualEnvironment, VirtualLoop
from skiff.wire import head
from skiff.wire.messages import Request, Response, Stream, UserInfo
from tests.fuzz import seeds

SLICES = int(os.environ.get("SKIFF_FUZZ_SLICES", "1"))
"""How many slices of each kind of attack run: one in every test run, all of them with `make fuzz`."""

ADMIN = UserInfo("admin", ("system:masters", "system:authenticated"))
CPU_S = 2.0
"""What one answer may cost. The largest bodies stay far below; what is quadratic does not."""

ANSWER_S = 400.0
"""Virtual: longer than every deadline that a request may meet."""

HISTORY = 2000


class Wrong(AssertionError):
    """An answer that must not be."""


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Records(logging.Handler):
    """What was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class NonsenseKubelet(Backends):
    """Every node, pod and service is reached at once and answers with nonsense. says: on an upgraded connection; "": it
    refuses to upgrade."""

    says = b""

    def transport(self, target: Target) -> Any:
        return Nonsense(self.says)


class Nonsense:
    """A transport without network."""

    def __init__(self, says: bytes):
        self._says = says

    async def send(self, request: Request) -> Response:
        async def text() -> AsyncIterator[bytes]:
            yield b"\x00\xff not what you think\n"

        if request.scratch.get("stream"):
            return Response(200, {"content-type": "text/plain"}, stream=text())
        return Response(200, {"content-type": "text/plain"}, b"\xff\x00")

    async def upgrade(self, request: Request) -> tuple[Response, Stream | None]:
        return (Response(101), Junk(self._says)) if self._says else (Response(400, {}, b"unable to upgrade"), None)

    async def close(self) -> None:
        return None


@dataclass
class World:
    """Made once per slice. `asked` counts requests, `statuses` the answers by status."""

    asked: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop = VirtualLoop(0)
        self._runner = asyncio.Runner(loop_factory=lambda: self.loop)
        self._context = contextvars.copy_context()
        self._context.run(env.current.set, VirtualEnvironment(self.loop))
        self.records = Records()
        logging.getLogger("skiff").addHandler(self.records)
        self.run(self._start())

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(main, context=self._context)

    def close(self) -> None:
        self.run(self._stop())
        self._runner.close()
        logging.getLogger("skiff").removeHandler(self.records)

    async def _start(self) -> None:
        self._store = MemoryStore(history=HISTORY)
        registry = Registry(self._store, RESOURCES)
        identity = Identity(
            issuer=TokenIssuer(_Unsigned(b""), issuer="https://i", audiences=["https://i"], lookup=registry.lookup),
            bearer=Bearer([]),
            audiences=("https://i",),
            rbac=RBAC(registry.lookup),
        )
        assert identity.rbac is not None
        self.kubelet = NonsenseKubelet(registry.lookup)
        self.server = APIServer(
            registry,
            authentication=Authentication([identity.bearer]),
            authorization=Authorization([SuperUser(), NodeAuthorizer(Graph(registry.lookup), ()), identity.rbac]),
            admission=Chain([]),
            identity=identity,
            backends=self.kubelet,
        )
        admit(self.server, service_cidrs=["10.96.0.0/12"], escalation=True)
        await self.server.start()
        client = Client(InProcess(self.server.handler, LOOPBACK), user_agent="kube-apiserver")
        await Bootstrap(client, registry.lookup, Addresses("10.96.0.1", "10.0.0.250", 6443)).ensure()
        for gvr, obj in seeds.OBJECTS:
            await client.create(gvr, obj)
            await asyncio.sleep(1)  # a definition takes effect
        pod = await client.get(PODS, "p", "default")
        await client.update(NODES, {**seeds.NODE, "status": seeds.NODE_STATUS}, subresource="status")
        await client.update(PODS, {**pod, "status": seeds.POD_STATUS}, subresource="status")

    async def _stop(self) -> None:
        await self.server.close()
        await self._store.close()

    # --- asking

    def ask(self, request: Request, user: UserInfo | None = ADMIN) -> Answer:
        """Sends the request. Raises Wrong."""
        request.user = user
        started = time.process_time()
        try:
            answer = self.run(self._ask(request))
        except TimeoutError:
            raise Wrong(f"no answer\n{describe(request)}") from None
        spent = time.process_time() - started
        self.asked += 1
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        found, self.records.found = self.records.found, []
        wrong = found[0] if found else judge(request, answer)
        if not wrong and spent > CPU_S:
            wrong = f"it took {spent:.1f} s"
        if wrong:
            raise Wrong(f"{wrong}\n{describe(request)}\n{answer.status} {answer.body[:2000]!r}")
        return answer

    async def _ask(self, request: Request) -> Answer:
        async with asyncio.timeout(ANSWER_S):
            response = await self.server.handler(request)
        head.encode(response.status, response.headers, b"")  # as it would go out
        body = response.body
        if response.stream is not None:
            body = await _beginning(response.stream)
        elif response.upgrade is not None:
            async with asyncio.timeout(ANSWER_S):
                await response.upgrade(Junk(request.body))
        return Answer(response.status, body, {k.lower(): v for k, v in response.headers.items()})

    def settle(self) -> int:
        """How many objects the interpreter keeps, when what can be freed is freed."""
        self.run(asyncio.sleep(3600))
        gc.collect()
        return len(gc.get_objects())


class _Unsigned(Signer):
    def sign(self, claims: Any) -> str:
        return "unsigned"


class Junk:
    """A client's side of an upgraded connection, which sends these bytes and goes."""

    def __init__(self, data: bytes):
        self._data = data

    async def read(self, n: int = 65536) -> bytes:
        data, self._data = self._data[:n], self._data[n:]
        return data

    async def write(self, data: bytes) -> None:
        return None

    async def write_eof(self) -> None:
        return None

    async def close(self) -> None:
        return None


async def _beginning(stream: Any) -> bytes:
    """What comes at once; then the client goes away."""
    found = b""
    async with contextlib.aclosing(stream):
        with contextlib.suppress(StopAsyncIteration, TimeoutError):
            async with asyncio.timeout(0.5):
                found = await anext(stream)
    return found


def judge(request: Request, answer: Answer) -> str:
    """What is wrong with an answer, "" if nothing."""
    status, kind = answer.status, answer.headers.get("content-type", "")
    if status >= 500 and not _excused(request, answer):
        return "an error of the server"
    if status < 400 or "json" not in kind:
        if status >= 400 and kind.startswith("text/plain") and b"404 page not found" not in answer.body:
            return "an error that is no Status"
        return ""
    found = answer.json
    if found.get("kind") != "Status" or found.get("code") != status or found.get("status") != "Failure":
        return "an error without a Status of its own"
    return "" if found.get("message") else "a Status that says nothing"


def _excused(request: Request, answer: Answer) -> bool:
    """What upstream, too, answers with 5xx: a resource version that has not come yet, and what lies behind a proxy."""
    if answer.status == 504:
        return b"Too large resource version" in answer.body
    if request.path.endswith("/eviction"):
        return b"more than one PodDisruptionBudget" in answer.body
    if request.path.endswith("/scale"):
        return b"does not exist" in answer.body  # what a custom resource's definition promises and the object lacks
    behind = ("proxy", "log", "exec", "attach", "portforward")
    return answer.status in (500, 502, 503) and any(part in behind for part in request.path.split("/"))


def describe(request: Request) -> str:
    head = f"{request.method} {request.path!r}?{request.query_string!r} {dict(request.headers)!r}"
    return f"{head}\n{len(request.body)} bytes: {request.body[:3000]!r}"
