"""A whole cluster in this process: store in memory, API server, controllers, scheduler, and nodes with simulated containers.

    async with Cluster(nodes=3, seed=7) as cluster:
        await cluster.client.create(DEPLOYMENTS, deployment("web", replicas=3))
        await cluster.until(lambda: cluster.ready_pods("app=web") == 3)

On a virtual loop (skiff.testing.run, the pytest plugin) hours pass in milliseconds and a seed fixes the history. Every
component has its own client and identity and is the real one; only containers and machines are simulated. Components can
be killed and started again (`stop`, `start`); what they leave in the store is all that is left of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from inspect import isawaitable
from typing import Any, Self

import orjson

from skiff import env
from skiff.api.gvr import CONFIGMAPS, NODES, PODS, SERVICEACCOUNTS
from skiff.api.meta import is_condition_true, is_pod_ready
from skiff.api.resources.builtin import RESOURCES
from skiff.api.selectors import parse
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Chain
from skiff.apiserver.assemble import admit
from skiff.apiserver.authn import Authentication
from skiff.apiserver.authn.jwt import Signer, b64
from skiff.apiserver.authn.serviceaccount import group_names, user_name
from skiff.apiserver.authn.tokens import TokenIssuer
from skiff.apiserver.authz import Attributes, Authorization, Authorizer, Decision
from skiff.apiserver.bootstrap import Addresses, Bootstrap
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.apiserver.virtual import Identity
from skiff.client.informer import Informer, Informers, cache_observer
from skiff.client.inprocess import InProcess
from skiff.client.rest import Client, Transport
from skiff.controllers.credentials import ACCOUNTS, NAMESPACE
from skiff.controllers.main import run_manager
from skiff.controllers.registry import Options, selected
from skiff.kubelet.kubelet import Kubelet
from skiff.kubelet.options import Options as KubeletOptions
from skiff.kubelet.simulated import SimulatedHost, SimulatedRuntime
from skiff.scheduler.main import run_scheduler
from skiff.store import Event
from skiff.store.memory import MemoryStore
from skiff.testing.faults import Faults, FaultyTransport
from skiff.testing.loop import VirtualEnvironment, VirtualLoop
from skiff.testing.mutation import MutationDetector
from skiff.wire.messages import Request, Response, UserInfo

ADMIN = UserInfo("kubernetes-admin", ("system:masters", "system:authenticated"))
MANAGER = UserInfo("system:kube-controller-manager", ("system:authenticated",))
SCHEDULER = UserInfo("system:kube-scheduler", ("system:authenticated",))
SERVICE_NETWORK = "10.96.0.0/12"
POD_NETWORK = "10.244.0.0/16"
API_ADDRESS = Addresses("10.96.0.1", "10.0.0.250", 6443, (SERVICE_NETWORK,))

LATENCY_S = 0.001
"""Of a request. Without any, components that undo each other's work would do so for ever at one instant."""

ISSUER = "https://kubernetes.default.svc.cluster.local"
ROOT_CA = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n"
NEED_CONTROLLERS = {"ServiceAccount": "serviceaccount-controller", "TaintNodesByCondition": "node-lifecycle-controller"}
"""Admission plugins that keep pods waiting for what only a controller gives: off without it."""
GIVEN = {
    "serviceaccount-controller": (SERVICEACCOUNTS, "default"),
    "root-ca-certificate-publisher-controller": (CONFIGMAPS, "kube-root-ca.crt"),
}
"""What controllers make in every namespace, and pods need."""

HEARTBEATS = ("/leases/", "/events/", "/nodes/")
"""Parts of keys whose writes do not count as something happening."""

Condition = Callable[[], Any]
"""Returns, or returns an awaitable of, something truthy when it holds."""


class AllowAll:
    """Lets everybody do everything: for clusters without authorization."""

    async def authorize(self, attrs: Attributes) -> Decision:
        return Decision("allow")


class Unsigned(Signer):
    """Service account tokens that nobody checks here; real signatures would differ from run to run."""

    def sign(self, claims: Mapping[str, Any]) -> str:
        return f"{b64(orjson.dumps(claims))}.unsigned"


class SimulatedNode:
    """A kubelet over a simulated machine. The machine outlives the kubelet: a stopped one finds its containers again."""

    def __init__(self, name: str, ip: str, pod_cidr: str, options: KubeletOptions, cpu: int, memory: int):
        self.name = name
        self.ip = ip
        self.options = options
        self.runtime = SimulatedRuntime(pod_cidr=pod_cidr)
        self.host = SimulatedHost(self.runtime, hostname=name, cpu=cpu, memory=memory)
        self.kubelet: Kubelet | None = None

    async def run(self, client: Client) -> None:
        self.kubelet = Kubelet(
            client=client,
            node_name=self.name,
            runtime=self.runtime,
            host=self.host,
            node_ip=self.ip,
            options=self.options,
        )
        await self.kubelet.run()


class Cluster:
    """nodes: how many at the start, named node-1, node-2 ... controllers: as kube-controller-manager's --controllers; an
    empty list runs none. scheduler: whether one runs. rbac: real authorization with upstream's roles instead of none.
    seed: of a virtual loop; None leaves the loop's own. Attributes: `client` (an administrator's), `store`, `api` (None
    while it is down), `faults` (of the components' connections), `refused` (what components asked for and may not)."""

    def __init__(
        self,
        *,
        nodes: int = 1,
        seed: int | None = None,
        controllers: Sequence[str] = ("*",),
        scheduler: bool = True,
        rbac: bool = False,
        controller_options: Options | None = None,
    ):
        self.store = MemoryStore()
        self.nodes: dict[str, SimulatedNode] = {}
        self._first_nodes = nodes
        self._seed = seed
        self._controllers = controllers
        self._running = frozenset(selected(controllers))
        self._scheduler = scheduler
        self._rbac = rbac
        self._options = controller_options or Options(cluster_cidrs=(POD_NETWORK,), root_ca=ROOT_CA)
        self._stack = AsyncExitStack()
        self._components: dict[str, Callable[[], Awaitable[None]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._history: list[Event] = []
        self._happened = asyncio.Event()
        self._last_change = 0.0
        self._detector = MutationDetector()
        self.faults = Faults()
        self.api: APIServer | None = None
        self.refused: list[str] = []
        self._numbered = 0

    # --- life

    async def __aenter__(self) -> Self:
        if self._seed is not None and isinstance(loop := asyncio.get_running_loop(), VirtualLoop):
            loop.reseed(self._seed)
            env.current.set(VirtualEnvironment(loop, self._seed))
        cache_observer.set(self._detector)
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        return self

    async def _begin(self) -> None:
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._recording = self._group.create_task(self._record(), name="history")
        await self._start_api()
        self.client = self.client_for(ADMIN)
        await self._bootstrap()
        self._informers = Informers(self.client)
        self._tasks["informers"] = self._group.create_task(self._informers.run(), name="the test's informers")
        self.pods = await self.informer(PODS)
        self.nodes_seen = await self.informer(NODES)
        if self._controllers:
            self._add("controller-manager", self._manager)
            await self.until(self._pods_may_come)
        if self._scheduler:
            self._add("scheduler", lambda: run_scheduler(self.client_for(SCHEDULER)))
        await asyncio.gather(*[self.add_node() for _ in range(self._first_nodes)])

    async def __aexit__(self, *failure: Any) -> None:
        await self._end()
        if failure[0] is None:
            self._detector.check()

    async def _end(self) -> None:
        for name in reversed(list(self._tasks)):
            await self.stop(name)
        await self._stop_api()
        for node in self.nodes.values():
            await node.runtime.close()
        await self.store.close()
        self._recording.cancel()
        cache_observer.set(None)
        await self._stack.aclose()

    async def _pods_may_come(self) -> bool:
        """Whether the default namespace has what controllers give to every pod."""
        for gvr, name in (given for controller, given in GIVEN.items() if controller in self._running):
            if (await self.informer(gvr)).get("default", name) is None:
                return False
        return True

    def _make_api(self) -> APIServer:
        registry = Registry(self.store, RESOURCES)
        issuer = TokenIssuer(Unsigned(b""), issuer=ISSUER, audiences=[ISSUER], lookup=registry.lookup)
        identity = Identity(issuer=issuer, audiences=(ISSUER,))
        server = APIServer(
            registry,
            authentication=Authentication([]),
            authorization=Authorization(self._authorizers(registry, identity)),
            admission=Chain([]),
            identity=identity,
        )
        off = [plugin for plugin, controller in NEED_CONTROLLERS.items() if controller not in self._running]
        admit(server, service_cidrs=[SERVICE_NETWORK], escalation=self._rbac, disable=off)
        return server

    def _authorizers(self, registry: Registry, identity: Identity) -> list[Authorizer]:
        if not self._rbac:
            return [AllowAll()]
        from skiff.apiserver.authz.bootstrap import node_rules
        from skiff.apiserver.authz.node import Graph, NodeAuthorizer
        from skiff.apiserver.authz.rbac import RBAC
        from skiff.apiserver.authz.superuser import SuperUser

        identity.rbac = RBAC(registry.lookup)
        return [SuperUser(), NodeAuthorizer(Graph(registry.lookup), node_rules()), identity.rbac]

    async def _bootstrap(self) -> None:
        if self._rbac:
            from skiff.apiserver.authz.bootstrap import reconcile

            await reconcile(self.client)
        assert self.api is not None
        await Bootstrap(self.client, self.api.registry.lookup, API_ADDRESS).ensure()

    # --- components

    def client_for(self, user: UserInfo) -> Client:
        """The administrator's sees no faults."""
        transport: Transport = InProcess(self._handle, user, latency_s=LATENCY_S)
        if user is not ADMIN:
            transport = FaultyTransport(transport, self.faults)
        return Client(transport, user_agent=user.name)

    async def _handle(self, request: Request) -> Response:
        if self.api is None:
            raise ConnectionError("connection refused")
        user = request.user
        response = await self.api.handler(request)
        if response.status == 403 and user is not None and user is not ADMIN and b" cannot " in response.body:
            self.refused.append(f"{user.name}: {request.method} {request.path}")
        return response

    async def restart_api(self, down_seconds: float = 0) -> None:
        """The API server ends and a new one starts over the same store; every watch breaks."""
        await self._stop_api()
        await asyncio.sleep(down_seconds)
        await self._start_api()

    async def _start_api(self) -> None:
        api = self._make_api()
        await api.start()
        self.api = api

    async def _stop_api(self) -> None:
        api, self.api = self.api, None
        if api is not None:
            await api.close()

    async def _manager(self) -> None:
        def client_for(name: str) -> Client:
            account = ACCOUNTS.get(name)
            return self.client_for(_account(account) if account else MANAGER)

        await run_manager(client_for, options=self._options, controllers=self._controllers)

    def _add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._components[name] = run
        self.start(name)

    def start(self, name: str) -> None:
        """Starts a component that was stopped: `controller-manager`, `scheduler`, or a node's name (its kubelet)."""
        self._tasks[name] = self._group.create_task(_as_coroutine(self._components[name]), name=name)

    async def stop(self, name: str) -> None:
        """Ends a component at once, as a kill would: nothing is said to anybody."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def add_node(
        self, name: str = "", *, cpu: int = 4, memory: int = 16 << 30, options: KubeletOptions | None = None
    ) -> SimulatedNode:
        """Returns when the node is Ready and, if there are controllers, open for pods."""
        self._numbered += 1
        number = self._numbered
        node = SimulatedNode(
            name or f"node-{number}",
            f"10.0.{number // 250}.{number % 250 + 1}",
            f"10.244.{number % 256}.0/24",
            options or KubeletOptions(),
            cpu,
            memory,
        )
        user = UserInfo(f"system:node:{node.name}", ("system:nodes", "system:authenticated"))
        self.nodes[node.name] = node
        self._add(node.name, lambda: node.run(self.client_for(user)))
        await self.until(lambda: self._open(node.name))
        return node

    def _open(self, name: str) -> bool:
        found = self.nodes_seen.get("", name)
        return found is not None and is_condition_true(found, "Ready") and not found["spec"].get("taints")

    # --- looking

    async def informer(self, gvr: GVR) -> Informer:
        """A synced cache of a resource, for conditions."""
        found = self._informers.get(gvr)
        await found.wait_synced()
        return found

    def select_pods(self, labels: str = "", namespace: str = "default") -> list[Obj]:
        """From the test's own cache; shared, not to be changed."""
        selector = parse(labels)
        return [p for p in self.pods.items(namespace) if selector.matches(p["metadata"].get("labels"))]

    def ready_pods(self, labels: str = "", namespace: str = "default") -> int:
        """How many selected pods are ready and not about to go."""
        found = self.select_pods(labels, namespace)
        return sum(is_pod_ready(p) and not p["metadata"].get("deletionTimestamp") for p in found)

    async def until(self, condition: Condition, timeout: float = 600) -> Any:
        """Waits (on the loop's clock) until the condition holds and returns what it gave. It is looked at after every
        write to the store, and once a second. AssertionError after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._happened.clear()
                    found = condition()
                    if isawaitable(found):
                        found = await found
                    if found:
                        return found
                    await self._next_event(1.0)
        except TimeoutError:
            raise AssertionError(f"the condition did not hold within {timeout:g} s") from None

    async def settled(self, quiet_seconds: float = 5, timeout: float = 3600) -> None:
        """Waits until nothing but heartbeats and events has been written for a while."""
        loop = asyncio.get_running_loop()
        self._last_change = loop.time()
        await self.until(lambda: loop.time() - self._last_change >= quiet_seconds, timeout)

    def history(self) -> list[bytes]:
        """Every write of the store so far, one line each: revision, verb, key, value. Two runs from one seed have equal
        histories."""
        return [_line(event) for event in self._history]

    async def _next_event(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._happened.wait()
                await asyncio.sleep(0)
        except TimeoutError:
            return

    async def _record(self) -> None:
        async with aclosing(self.store.watch("/", since=1)) as batches:
            async for batch in batches:
                self._history.extend(batch)
                self._happened.set()
                if any(not any(part in event.record.key for part in HEARTBEATS) for event in batch):
                    self._last_change = asyncio.get_running_loop().time()


def _account(name: str) -> UserInfo:
    groups = (*group_names(NAMESPACE), "system:authenticated")
    return UserInfo(user_name(NAMESPACE, name), groups)


async def _as_coroutine(run: Callable[[], Awaitable[None]]) -> None:
    await run()


def _line(event: Event) -> bytes:
    verb = "DELETE" if event.deleted else "PUT"
    return f"{event.record.revision} {verb} {event.record.key} ".encode() + event.record.value
