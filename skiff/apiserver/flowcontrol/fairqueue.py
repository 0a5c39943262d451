"""One priority level: seats, and fair queues for the requests that do not get one at once. Pure: no clock, no tasks.

A flow is dealt a hand of queues by its hash (shuffle sharding) and joins the one with the least work. Queues are served
by start-time fair queuing: a queue's virtual start grows by the work of each of its requests and is never behind the
level's virtual time; the smallest start comes next. Work is seats times seconds, estimated first, corrected when the
request ends. Source of behaviour: upstream apiserver pkg/util/flowcontrol/fairqueuing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from skiff.api.types import Obj

ESTIMATED_S = 0.005
"""What a request is thought to take before it is known; upstream assumes a minute and corrects as we do."""


class Rejected(Exception):
    """reason: as upstream names it in its metrics (concurrency-limit, queue-full, time-out)."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in a level. start: called when a seat was found for one that waits."""

    level: "Level"
    width: int
    flow: int
    start: Callable[[], None] | None = None
    queue: "Queue | None" = None
    running: bool = False


@dataclass(slots=True)
class Queue:
    waiting: deque[Ticket] = field(default_factory=deque)
    start: float = 0.0
    """Virtual start of the next one."""
    seats: int = 0
    """Width of those that wait or run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """queues 0: requests above the limit are rejected. borrow: seats that may come from other levels; None: any."""

    nominal: int
    lendable: int = 0
    borrow: int | None = None
    queues: int = 0
    hand: int = 1
    length: int = 0


@dataclass(slots=True)
class Pool:
    """The levels that lend each other seats."""

    levels: list["Level"] = field(default_factory=list)
    waiting: int = 0
    """Requests, in all levels."""

    def spare(self, borrower: "Level") -> int:
        """Seats that others can lend now, less what is lent already."""
        idle = sum(
            max(0, min(o.settings.lendable, o.settings.nominal - o.used)) for o in self.levels if o is not borrower
        )
        return idle - sum(max(0, o.used - o.settings.nominal) for o in self.levels)

    def dispatch(self) -> None:
        if not self.waiting:
            return
        for level in self.levels:
            if level.waiting:
                level.dispatch()


class Level:
    """`enter` and `leave` frame a request. uid, name: the object's."""

    def __init__(self, name: str, settings: Settings | None, pool: Pool, uid: str = ""):
        self.name = name
        self.uid = uid
        self.exempt = settings is None
        self.settings = settings or Settings(0)
        self.pool = pool
        self.used = 0
        self.waiting = 0
        self.virtual = 0.0
        self.dispatched = 0
        self.rejected: dict[str, int] = {}
        self._queues = [Queue() for _ in range(self.settings.queues)]

    def take(self, width: int) -> bool:
        """Seats without a ticket, if they are free and nobody waits. To be given back with `give`."""
        if self.exempt or (not self.waiting and self._fits(width)):
            self.used += width
            self.dispatched += 1
            return True
        return False

    def give(self, width: int) -> None:
        self.used -= width
        if self.pool.waiting:
            if self.waiting:
                self.dispatch()
            self.pool.dispatch()

    def enter(self, width: int, flow: int) -> Ticket:
        """A ticket that runs, or that waits until its `start` is called. Raises Rejected."""
        ticket = Ticket(self, width, flow)
        if self.take(width):
            ticket.running = True
            return ticket
        if not self._queues:
            raise self.refuse("concurrency-limit")
        queue = self._choose(flow)
        if len(queue.waiting) >= self.settings.length:
            raise self.refuse("queue-full")
        self._join(ticket, queue)
        self.dispatch()
        return ticket

    def leave(self, ticket: Ticket, seconds: float) -> None:
        """A running request has ended, after so long."""
        ticket.running = False
        if ticket.queue is not None:  # one that waited; the others were no burden
            ticket.queue.seats -= ticket.width
            ticket.queue.start += ticket.width * (seconds - ESTIMATED_S)
        self.give(ticket.width)

    def abandon(self, ticket: Ticket) -> None:
        """A waiting request waits no more."""
        queue = ticket.queue
        if queue is not None and ticket in queue.waiting:
            queue.waiting.remove(ticket)
            queue.seats -= ticket.width
            self._wait(-1)

    def dispatch(self) -> None:
        """Starts those who come next, while there are seats."""
        while self.waiting:
            queue = min((q for q in self._queues if q.waiting), key=lambda q: q.start)
            ticket = queue.waiting[0]
            if not (self.exempt or self._fits(ticket.width)):
                return
            queue.waiting.popleft()
            self._wait(-1)
            self.virtual = max(self.virtual, queue.start)
            queue.start += ticket.width * ESTIMATED_S
            self._run(ticket)
            if ticket.start is not None:
                ticket.start()

    def configure(self, settings: Settings | None, uid: str) -> None:
        """Other limits from now on; those who wait are dealt anew when the queues differ."""
        before, self.settings = self.settings, settings or Settings(0)
        self.exempt, self.uid = settings is None, uid
        if (before.queues, before.hand) != (self.settings.queues, self.settings.hand):
            waiting = [t for q in self._queues for t in q.waiting]
            self._queues = [Queue() for _ in range(max(self.settings.queues, 1 if waiting else 0))]
            self._wait(-self.waiting)
            for ticket in waiting:
                self._join(ticket, self._choose(ticket.flow))
        self.dispatch()

    def refuse(self, reason: str) -> Rejected:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return Rejected(reason)

    def _run(self, ticket: Ticket) -> None:
        ticket.running = True
        self.used += ticket.width
        self.dispatched += 1

    def _fits(self, width: int) -> bool:
        """Within the own seats, or with borrowed ones. A request wider than all seats runs alone."""
        own = self.settings.nominal
        wanted = self.used + width
        if wanted <= own:
            return True
        if not self.used and own and self.settings.borrow == 0:
            return True
        if self.settings.borrow is not None and wanted - own > self.settings.borrow:
            return not self.used and bool(own)
        return self.pool.spare(self) >= min(width, wanted - own) or (not self.used and bool(own))

    def _choose(self, flow: int) -> Queue:
        hand = deal(flow, len(self._queues), min(self.settings.hand, len(self._queues)))
        return min((self._queues[i] for i in hand), key=lambda q: (q.seats, q.start))

    def _join(self, ticket: Ticket, queue: Queue) -> None:
        ticket.queue = queue
        queue.start = max(self.virtual, queue.start) if not queue.seats else queue.start
        queue.seats += ticket.width
        queue.waiting.append(ticket)
        self._wait(1)

    def _wait(self, more: int) -> None:
        self.waiting += more
        self.pool.waiting += more


def deal(entropy: int, deck: int, hand: int) -> list[int]:
    """A hand of distinct cards, by the hash's digits in falling bases (upstream's shufflesharding.Dealer)."""
    cards: list[int] = []
    for i in range(hand):
        entropy, card = divmod(entropy, deck - i)
        for earlier in sorted(cards):
            if card < earlier:
                break
            card += 1
        cards.append(card)
    return cards


def settings_of(spec: Obj, total: int, shares: int) -> Settings | None:
    """What a PriorityLevelConfiguration's spec means on this server; None: exempt. shares: of all levels together."""
    if spec.get("type") == "Exempt":
        return None
    limited = spec.get("limited") or {}
    own = limited.get("nominalConcurrencyShares", 30)
    nominal = ceil(total * own / shares) if shares else 0
    percent = limited.get("borrowingLimitPercent")
    response = limited.get("limitResponse") or {}
    queuing = response.get("queuing") or {} if response.get("type") == "Queue" else {}
    return Settings(
        nominal,
        lendable=round(nominal * limited.get("lendablePercent", 0) / 100),
        borrow=None if percent is None else round(nominal * percent / 100),
        queues=queuing.get("queues", 64) if response.get("type") == "Queue" else 0,
        hand=queuing.get("handSize", 8),
        length=queuing.get("queueLengthLimit", 50),
    )
