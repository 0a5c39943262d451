"""What is the same for many requests, worked out once and looked up: the plan of a target (its RequestInfo, its verb,
its metrics), and a user's standing on it (what flow control and authorization say, whatever object is named).

Objects of one collection share a plan. Plans stand until the table of resources changes, what flow control says until its
configuration does, and what is allowed until a role or a binding does. The tables are bounded: a full one starts anew.
"""

from dataclasses import dataclass

from skiff.apiserver import requestinfo, routes
from skiff.apiserver.flowcontrol.filter import Class, FlowControl
from skiff.apiserver.metrics import Metrics, Series
from skiff.apiserver.registry import Registry
from skiff.apiserver.requestinfo import RequestInfo
from skiff.apiserver.routes import Verb
from skiff.apiserver.served import Served
from skiff.wire.messages import UserInfo

PLANS = 2048
STANDINGS = 4096
TARGET_BYTES = 512
"""A longer target is worked out each time."""


@dataclass(slots=True, eq=False)
class Plan:
    """info: of the target; of an object of the collection where `named`. kept: for other requests too. series: where the
    requests are counted. served, verb: None as long as nobody asked, or for what cannot be served."""

    info: RequestInfo
    named: bool = False
    kept: bool = False
    series: Series | None = None
    served: Served | None = None
    verb: Verb | None = None


@dataclass(slots=True, eq=False)
class Standing:
    """A user's on a plan. allowed_at: the authorization's generation at which every name was allowed; -1: none. It keeps
    user and plan, so that their identities stay theirs."""

    user: UserInfo
    plan: Plan
    flow: Class | None
    allowed_at: int = -1


class Plans:
    """All of a server's."""

    def __init__(self, registry: Registry, metrics: Metrics):
        self._registry = registry
        self._metrics = metrics
        self._generation = -1
        self._flow_generation = -1
        self._collections: dict[tuple[str, str], Plan] = {}
        """By method and path up to the last slash: plans of the objects below."""
        self._targets: dict[tuple[str, str], Plan] = {}
        self._standings: dict[tuple[int, int], Standing] = {}

    def find(self, method: str, path: str) -> tuple[Plan, RequestInfo]:
        if self._generation != self._registry.generation:
            self._forget()
        collection, _, name = path.rpartition("/")
        plan = self._collections.get((method, collection))
        if plan is not None and name:
            return plan, plan.info.named(path, name)
        plan = self._targets.get((method, path))
        if plan is not None:
            return plan, plan.info
        return self._plan(method, path, collection, name)

    def _plan(self, method: str, path: str, collection: str, name: str) -> tuple[Plan, RequestInfo]:
        info = requestinfo.parse(method, path)
        plan = Plan(info, named=info.is_object and info.name == name, kept=len(path) <= TARGET_BYTES)
        if plan.kept:
            if len(self._targets) + len(self._collections) >= PLANS:
                self._forget()
            if plan.named:
                self._collections[method, collection] = plan
            else:
                self._targets[method, path] = plan
        return plan, info

    def _forget(self) -> None:
        self._generation = self._registry.generation
        self._collections.clear()
        self._targets.clear()
        self._standings.clear()

    def series(self, plan: Plan) -> Series:
        if plan.series is None:
            plan.series = self._metrics.series(plan.info)
        return plan.series

    def route(self, plan: Plan) -> tuple[Served, Verb]:
        """Raises 404, 405."""
        if plan.served is None or plan.verb is None:
            info = plan.info
            served = self._registry.find(info.group, info.version, info.resource)
            plan.verb = routes.find(served, info)
            plan.served = served
            assert served is not None
            return served, plan.verb
        return plan.served, plan.verb

    def standing(self, plan: Plan, user: UserInfo, flow: FlowControl | None, lasting: bool) -> Standing:
        """lasting: further requests will come with this very UserInfo; others would only fill the table."""
        if flow is not None and flow.generation != self._flow_generation:
            self._flow_generation = flow.generation
            self._standings.clear()
        key = (id(plan), id(user))
        found = self._standings.get(key)
        if found is None:
            found = Standing(user, plan, flow.classify(user, plan.info) if flow is not None else None)
            if plan.kept and lasting:
                if len(self._standings) >= STANDINGS:
                    self._standings.clear()
                self._standings[key] = found
        return found
