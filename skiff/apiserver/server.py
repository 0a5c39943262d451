"""The API server as one Handler: the chain that every request meets, written in that order in `APIServer.handle`.

It runs the same behind TLS sockets and behind the in-process transport; it has no thread and reads no clock of its own.
Whoever assembles it (assemble.py) brings the store and the chains of access control; `start` and `close` frame its life.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from skiff import env
from skiff.api.errors import StatusError, internal, timeout
from skiff.apiserver import requestinfo
from skiff.apiserver.admission import Chain
from skiff.apiserver.apiextensions.follow import Follower
from skiff.apiserver.authn import MASTERS, Authentication, impersonation
from skiff.apiserver.authz import Attributes, Authorization, Decision, forbidden_error
from skiff.apiserver.call import Call, parse_query
from skiff.apiserver.components import Components
from skiff.apiserver.fanout import Watcher
from skiff.apiserver.flowcontrol.filter import LONG_RUNNING, TOO_MANY, FlowControl, too_many
from skiff.apiserver.metrics import Metrics
from skiff.apiserver.negotiation import dump, for_error
from skiff.apiserver.options import allotted, boolean, first
from skiff.apiserver.paths import Paths
from skiff.apiserver.plans import Plan, Plans, Standing
from skiff.apiserver.registry import Registry, unavailable
from skiff.apiserver.requestinfo import RequestInfo
from skiff.apiserver.virtual import Identity
from skiff.store import StoreError
from skiff.wire.messages import Request, Response, UserInfo

if TYPE_CHECKING:
    from skiff.apiserver.aggregator.controller import Aggregator
    from skiff.apiserver.connect.backends import Backends
    from skiff.apiserver.serviceips import ServiceIPs

log = logging.getLogger(__name__)

CAUSE_HEADER = "skiff-cause"
CAUSE_LIMIT = 128
AUDIT_ID = "Audit-Id"
REQUEST_S = 60.0
READS = frozenset(("GET", "HEAD"))

Params = dict[str, list[str]]


class APIServer:
    """authentication, authorization, admission: the chains of room access. They may be replaced before `start`.
    backends: how nodes, pods and services are reached; None: this server reaches none."""

    def __init__(
        self,
        registry: Registry,
        *,
        authentication: Authentication,
        authorization: Authorization,
        admission: Chain,
        identity: Identity | None = None,
        backends: "Backends | None" = None,
    ):
        self.registry = registry
        self.authentication = authentication
        self.authorization = authorization
        self.admission = admission
        self.identity = identity or Identity()
        self.backends = backends
        self.custom = Follower(registry)
        self.impersonation = impersonation.Impersonation()
        self.watchers: dict[Watcher, None] = {}
        self.metrics = Metrics(registry)
        self.plans = Plans(registry, self.metrics)
        self.components = Components(registry.store, {})
        self.flow: FlowControl | None = None
        self.timeout_s = REQUEST_S
        self.in_flight = (0, 0)
        """Without flow control: how many requests that read, and that write, at a time; 0: any number."""
        self.aggregator: Aggregator | None = None
        self.service_ips: ServiceIPs | None = None
        self.paths = Paths(self)
        self.closing = False

    # --- life

    async def start(self) -> None:
        self.custom.start()
        await self.registry.start()

    async def run(self) -> None:
        """Serves until cancelled."""
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends all watches, then what works in the background. The store is its owner's to close."""
        self.closing = True
        for watcher in list(self.watchers):
            watcher.finish()
        await self.admission.close()
        await self.registry.close()
        if self.backends is not None:
            await self.backends.close()

    # --- the chain

    async def handler(self, request: Request) -> Response:
        """Answers every request; nothing but cancellation is raised."""
        time = asyncio.get_running_loop().time
        started = time()
        plan, info = self.plans.find(request.method, request.path)
        metrics = self.metrics
        reads = request.method in READS
        if reads:
            metrics.reading += 1
        else:
            metrics.writing += 1
            caused_by = env.cause.get()
        try:
            params: Params = {}
            if request.query_string:
                params = parse_query(request)
                if (refined := _refined(info, params)) is not info:
                    plan, info = Plan(refined), refined
                if "timeout" in params and info.verb != "watch" and info.subresource not in LONG_RUNNING:
                    allotted(params, self.timeout_s)
            response = await self._guarded(request, plan, info, params)
        except StatusError as e:
            response = error_response(e, request)
        except StoreError as e:
            response = error_response(unavailable(e), request)
        except Exception:
            log.exception("A request failed", extra={"method": request.method, "path": request.path})
            response = error_response(internal("the server has encountered an unexpected error"), request)
        finally:
            if reads:
                metrics.reading -= 1
            else:
                metrics.writing -= 1
                env.cause.set(caused_by)  # a cause ends with its request, whoever shares our context
        response.headers[AUDIT_ID] = request.headers.get("audit-id") or env.uid()
        series = self.plans.series(plan)
        if response.status == 429 and response.body is TOO_MANY:
            series.ended(429)
        series.observe(response.status, time() - started, len(response.body))
        return response

    async def _guarded(self, request: Request, plan: Plan, info: RequestInfo, params: Params) -> Response:
        inherited = env.cause.get() if request.user is not None else ""  # a connection's context knows nothing
        user = self.authentication.known(request) or await self.authentication.authenticate(request)
        lasting = self.authentication.lasts(request)
        # Place in the chain: audit.
        if impersonation.is_asked(request):
            asked = _attributes(user, info, params)
            user, lasting = await self.impersonation.act(request, asked, self.authorization), False
        request.user = user
        standing = self.plans.standing(plan, user, self.flow, lasting)
        serve = self._permitted(request, info, standing, params, inherited)
        if self.flow is not None:
            return await self.flow.run(standing.flow, info, serve)
        if self._is_full(request, info, user):
            serve.close()
            return too_many()
        return await serve

    def _is_full(self, request: Request, info: RequestInfo, user: UserInfo) -> bool:
        """Watches and masters are let in always."""
        reads = request.method in READS
        limit, now = (self.in_flight[0], self.metrics.reading) if reads else (self.in_flight[1], self.metrics.writing)
        return bool(limit) and now > limit and info.verb != "watch" and MASTERS not in user.groups

    async def _permitted(
        self, request: Request, info: RequestInfo, standing: Standing, params: Params, inherited: str
    ) -> Response:
        user = standing.user
        if standing.allowed_at != self.authorization.generation:
            await self._check(info, standing, params)
        if self.registry.remote and self.aggregator is not None:
            remote = self.aggregator.find(request.path)
            if remote is not None:
                return await remote.forward(request, user)
        if not info.resource:
            return await self.paths.answer(request)
        reads = request.method in READS
        if not reads:
            env.cause.set(request.headers.get(CAUSE_HEADER, "")[:CAUSE_LIMIT] or inherited or env.uid())
        served, verb = self.plans.route(standing.plan)
        call = Call(self, request, info, served, user, params, list(served.resource.warnings))
        try:
            if reads or info.subresource in LONG_RUNNING:
                return await verb(call)  # reads wait for the cache at most, which has a deadline of its own
            async with asyncio.timeout(allotted(params, self.timeout_s)) as limit:
                call.deadline = limit.when()
                return await verb(call)
        except StatusError as e:
            call.warn_with(e)
            raise
        except TimeoutError:
            self.plans.series(standing.plan).ended(504)
            raise timeout("request did not complete within the allotted timeout") from None

    async def _check(self, i: RequestInfo, standing: Standing, params: Params) -> None:
        """Raises 403."""
        generation = self.authorization.generation
        decision = await self._authorize(_attributes(standing.user, i, params))
        if decision.general:
            standing.allowed_at = generation

    async def _authorize(self, attributes: Attributes) -> Decision:
        decision = await self.authorization.authorize(attributes)
        if not decision.allowed:
            raise forbidden_error(attributes, decision.reason)
        return decision

    async def may_create(self, call: Call) -> None:
        """An update that creates needs the right to create. Raises 403."""
        i = call.info
        await self._authorize(
            Attributes(call.user, "create", i.group, i.version, i.resource, i.subresource, i.namespace, i.name, i.path)
        )


def _attributes(user: UserInfo, i: RequestInfo, params: Params) -> Attributes:
    selector = first(params, "fieldSelector") if params else ""
    named = (i.verb, i.group, i.version, i.resource, i.subresource, i.namespace, i.name, i.path)
    return Attributes(user, *named, field_selector=selector)


def _refined(info: RequestInfo, params: Params) -> RequestInfo:
    """What only the query tells: a list that watches, a selector that names one object."""
    if not info.resource or info.verb not in ("list", "watch", "deletecollection"):
        return info
    name = None
    for term in first(params, "fieldSelector").split(","):
        field, equals, value = term.partition("=")
        if field == "metadata.name" and equals and not value.startswith("="):
            name = value
    return requestinfo.refined(info, boolean(params, "watch"), name)


def error_response(error: StatusError, request: Request) -> Response:
    how = for_error(request)
    headers = {"content-type": how.media, "cache-control": "no-cache, private", **error.headers}
    return Response(error.code, headers, dump(error.status, how))
