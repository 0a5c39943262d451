"""Flow control in the server's chain: a request gets its seats, waits for them, or is turned away.

The usual case costs a counter: what a request falls under is the caller's to remember until `generation` rises, and free
seats are taken without a ticket. Watches hold their seats until they have begun; other long requests hold none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from skiff.api.errors import StatusError
from skiff.api.types import Obj
from skiff.apiserver.flowcontrol import classify, defaults
from skiff.apiserver.flowcontrol.fairqueue import Level, Pool, Rejected, Settings, Ticket, settings_of
from skiff.apiserver.requestinfo import RequestInfo
from skiff.client.metrics import Histogram, Rows
from skiff.wire.messages import Response, UserInfo

OBJECTS_PER_SEAT = 100
MAX_LIST_SEATS = 10
LONG_RUNNING = frozenset(("log", "exec", "attach", "portforward", "proxy"))
SCHEMA_UID, LEVEL_UID = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"

WAITS = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)

Count = Callable[[RequestInfo], int]
"""How many objects a list may go through; 0: unknown."""


@dataclass(slots=True)
class Counts:
    """Of the requests under one schema in one level. waits: of those that did, by whether they were served then."""

    executing: int = 0
    seats: int = 0
    dispatched: int = 0
    inqueue: int = 0
    inqueue_seats: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    waits: dict[bool, Histogram] = field(default_factory=dict)

    def waited(self, served: bool, seconds: float) -> None:
        found = self.waits.get(served) or self.waits.setdefault(served, Histogram(WAITS))
        found.observe(seconds)


@dataclass(frozen=True, slots=True)
class Class:
    """What requests of one user on one resource fall under. headers: those that say so."""

    schema: classify.Schema
    level: Level
    flow: int
    headers: Mapping[str, str]
    counts: Counts


class FlowControl:
    """seats: of the whole server. wait_s: how long a request may wait for its own."""

    def __init__(self, *, seats: int = 600, wait_s: float = 15.0, count: Count = lambda info: 0):
        self._seats = seats
        self._wait_s = wait_s
        self._count = count
        self._pool = Pool()
        self.levels: dict[str, Level] = {}
        self._schemas: list[classify.Schema] = []
        self._counts: dict[tuple[str, str], Counts] = {}
        self.generation = 0
        """Of the configuration."""
        self.configure(defaults.levels(), defaults.schemas())

    def configure(self, levels: Iterable[Obj], schemas: Iterable[Obj]) -> None:
        """The configuration from now on. The mandatory objects are added where they are missing."""
        given = {o["metadata"]["name"]: o for o in defaults.levels() if o["metadata"]["name"] in defaults.MANDATORY}
        given |= {o["metadata"]["name"]: o for o in levels}
        shares = sum((o["spec"].get("limited") or {}).get("nominalConcurrencyShares", 0) for o in given.values())
        for name in list(self.levels):
            if name not in given:
                self._retire(self.levels.pop(name))
        for name, obj in given.items():
            self._level(name, settings_of(obj["spec"], self._seats, shares), obj["metadata"].get("uid", ""))
        self._pool.levels = [level for level in self.levels.values() if not level.exempt]
        found = {o["metadata"]["name"]: o for o in defaults.schemas() if o["metadata"]["name"] in defaults.MANDATORY}
        found |= {o["metadata"]["name"]: o for o in schemas}
        self._schemas = classify.ordered(classify.compile_schema(o) for o in found.values())
        self.generation += 1

    def _level(self, name: str, settings: Settings | None, uid: str) -> None:
        if name in self.levels:
            self.levels[name].configure(settings, uid)
        else:
            self.levels[name] = Level(name, settings, self._pool, uid)

    def _retire(self, level: Level) -> None:
        """A level that is no more: who waits in it goes ahead."""
        level.configure(None, level.uid)

    def classify(self, user: UserInfo, info: RequestInfo) -> Class | None:
        """Holds for every object of the resource in the namespace, until `generation` rises."""
        schema = classify.find(self._schemas, self.levels, user, info)
        if schema is None:
            return None
        level = self.levels[schema.level]
        counts = self._counts.setdefault((schema.name, level.name), Counts())
        return Class(schema, level, schema.flow(user, info), {SCHEMA_UID: schema.uid, LEVEL_UID: level.uid}, counts)

    async def run(self, found: Class | None, info: RequestInfo, serve: Awaitable[Response]) -> Response:
        """The response to a request, after its wait. Never starts `serve` for one that is turned away: 429 then."""
        if found is None or info.subresource in LONG_RUNNING:
            return await serve
        level = found.level
        width = 1 if level.exempt else self.width(info)
        ticket = None
        if not level.take(width):
            try:
                ticket = level.enter(width, found.flow)
                if not ticket.running:
                    await self._wait(ticket, found.counts)
            except Rejected as e:
                _discard(serve)
                found.counts.rejected[e.reason] = found.counts.rejected.get(e.reason, 0) + 1
                response = too_many()
                response.headers |= found.headers
                return response
            except BaseException:
                _discard(serve)
                raise
        counts = found.counts
        counts.dispatched += 1
        counts.executing += 1
        counts.seats += width
        started = asyncio.get_running_loop().time() if ticket is not None else 0
        try:
            response = await serve
        except StatusError as e:
            e.headers |= found.headers
            raise
        finally:
            counts.executing -= 1
            counts.seats -= width
            if ticket is None:
                level.give(width)
            else:
                level.leave(ticket, asyncio.get_running_loop().time() - started)
        response.headers |= found.headers
        return response

    def width(self, info: RequestInfo) -> int:
        """Seats: more for lists (and watches that begin with one) of many objects."""
        if info.verb not in ("list", "watch", "deletecollection") or info.name:
            return 1
        return max(1, min(MAX_LIST_SEATS, -(-self._count(info) // OBJECTS_PER_SEAT)))

    async def _wait(self, ticket: Ticket, counts: Counts) -> None:
        """Raises Rejected when no seat is found in time."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        began = loop.time()

        def start() -> None:
            if not waiter.done():
                waiter.set_result(None)

        ticket.start = start
        counts.inqueue += 1
        counts.inqueue_seats += ticket.width
        try:
            async with asyncio.timeout(self._wait_s):
                await waiter
        except TimeoutError:
            if not ticket.running:
                ticket.level.abandon(ticket)
                raise ticket.level.refuse("time-out") from None
        except BaseException:
            if ticket.running:
                ticket.level.leave(ticket, 0)
            else:
                ticket.level.abandon(ticket)
            raise
        finally:
            counts.inqueue -= 1
            counts.inqueue_seats -= ticket.width
            counts.waited(ticket.running, loop.time() - began)

    def render(self) -> list[str]:
        """Metrics, as lines."""
        rows = Rows("apiserver_flowcontrol_")
        for level in self.levels.values():
            labels, own = f'priority_level="{level.name}"', level.settings
            for name in ("nominal_limit_seats", "current_limit_seats"):
                rows.add(name, "gauge", labels, own.nominal)
            rows.add("lower_limit_seats", "gauge", labels, own.nominal - own.lendable)
            upper = self._seats if own.borrow is None else own.nominal + own.borrow
            rows.add("upper_limit_seats", "gauge", labels, upper)
        for (schema, name), counts in sorted(self._counts.items()):
            labels = f'flow_schema="{schema}",priority_level="{name}"'
            for metric, kind, value in (
                ("current_executing_requests", "gauge", counts.executing),
                ("current_executing_seats", "gauge", counts.seats),
                ("current_inqueue_requests", "gauge", counts.inqueue),
                ("current_inqueue_seats", "gauge", counts.inqueue_seats),
                ("dispatched_requests_total", "counter", counts.dispatched),
            ):
                rows.add(metric, kind, labels, value)
            for reason, count in counts.rejected.items():
                rows.add("rejected_requests_total", "counter", f'{labels},reason="{reason}"', count)
            for served, times in counts.waits.items():
                rows.histogram("request_wait_duration_seconds", f'execute="{str(served).lower()}",{labels}', times)
        return rows.lines()


TOO_MANY = b"Too many requests, please try again later.\n"


def too_many() -> Response:
    headers = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", "Retry-After": "1"}
    return Response(429, headers, TOO_MANY)


def _discard(serve: Awaitable[Response]) -> None:
    close = getattr(serve, "close", None)
    if close is not None:
        close()
