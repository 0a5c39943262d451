"""How the SQLite store writes: group commit, compaction in small steps.

What waits is taken together once per turn of the loop: compared and numbered in order of arrival and written into one
SQLite transaction on the loop, for this is memory work. The commit, which waits for the disk, is done by a thread that
does nothing else, so that it needs the interpreter's lock once per group and not once per statement. Its outcomes are
delivered on the loop after the commit: what is reported is durable. The connection belongs either to the loop or to the
thread (`_busy`). When the file cannot be written, everything of that group fails with Unavailable and the next group
tries again.
"""

import asyncio
import logging
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from skiff.store import Event, FutureRevision, Mismatch, Put, Record, StoreError, Unavailable
from skiff.store import sqlite_rows as rows
from skiff.store.changes import Op, decide

log = logging.getLogger(__name__)

GROUP = 128
"""Transactions in one commit, at most: the loop is busy with them for a millisecond or two."""

GROUP_BYTES = 1 << 20
"""The same, by the values' size: after a large one the group is complete."""

SWEEP_WINDOW = 256
"""Revisions that one step of compaction covers; writers wait for one step at most."""

SWITCH_S = 0.0005
"""How long the thread waits for the interpreter's lock after a commit while the loop is busy."""


class Write(NamedTuple):
    ops: Sequence[Op]
    cause: str
    expiry: Mapping[str, float]
    future: asyncio.Future[int]


class Compact(NamedTuple):
    revision: int
    future: asyncio.Future[int]


class Outcome(NamedTuple):
    """What became of one job: the revision it took (or compacted to) with its events, or an error."""

    job: Write | Compact
    revision: int = 0
    events: Sequence[Event] = ()
    error: StoreError | None = None


class Writer:
    """`submit` from the loop; `deliver` is called on the loop with the outcomes of each group, in commit order."""

    def __init__(
        self,
        db: sqlite3.Connection,
        *,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Outcome]], None],
        unavailable: Callable[[sqlite3.Error], Unavailable],
        history: int,
    ):
        self._db = db
        self._loop = loop
        self._deliver = deliver
        self._unavailable = unavailable
        self._history = history
        self._revision = rows.last_revision(db)
        self._compacted = rows.meta(db, "compacted")
        self._sweeping = rows.meta(db, "swept") < self._compacted
        self._jobs: deque[Write | Compact] = deque()
        self._busy = False
        self._work: SimpleQueue[list[Outcome] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="skiff-store-writer", daemon=True)
        self._idle: asyncio.Future[None] | None = None

    def start(self) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        self._thread.start()
        if self._sweeping:
            self._wake()

    def submit(self, job: Write | Compact) -> None:
        self._jobs.append(job)
        if not self._busy:
            self._wake()

    async def stop(self) -> None:
        """After what was submitted is done."""
        if self._busy:
            self._idle = self._loop.create_future()
            await self._idle
        self._work.put(None)
        self._thread.join()

    # -- on the loop

    def _wake(self) -> None:
        self._busy = True
        self._loop.call_soon(self._begin)  # what else arrives in this turn comes along

    def _begin(self) -> None:
        jobs = self._take()
        if jobs or (self._sweeping and self._idle is None):
            self._work.put(self._stage(jobs) if jobs else [])
            return
        self._busy = False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _take(self) -> list[Write | Compact]:
        """The jobs of the next group, in order of arrival."""
        jobs: list[Write | Compact] = []
        weight = 0
        while self._jobs and len(jobs) < GROUP and weight < GROUP_BYTES:
            job = self._jobs.popleft()
            jobs.append(job)
            if isinstance(job, Write):
                weight += sum([len(op.value) for op in job.ops if isinstance(op, Put)])
        return jobs

    def _stage(self, jobs: list[Write | Compact]) -> list[Outcome]:
        """Everything but the commit. After a failure there is nothing to commit."""
        try:
            return self._write(jobs)
        except Exception as e:
            return self._failed(jobs, e)

    def _write(self, jobs: list[Write | Compact]) -> list[Outcome]:
        self._db.execute("BEGIN IMMEDIATE")
        keys = {op.key: None for job in jobs if isinstance(job, Write) for op in job.ops}
        current = rows.current(self._db, list(keys))
        new: list[tuple[Any, ...]] = []
        outcomes = [self._apply(job, current, new) if isinstance(job, Write) else self._compact(job) for job in jobs]
        rows.insert(self._db, new)
        if self._revision - self._compacted > self._history * 5 // 4:
            self._compact_to(self._revision - self._history)
        return outcomes

    def _apply(self, job: Write, current: dict[str, Record | None], new: list[tuple[Any, ...]]) -> Outcome:
        """Compares with, and then changes, `current`; adds the rows to `new`."""
        revision = self._revision + 1
        try:
            events = decide(job.ops, revision, current.__getitem__, job.cause)
        except Mismatch as e:
            return Outcome(job, error=e)
        self._revision = revision
        for event in events:
            current[event.record.key] = None if event.deleted else event.record
        new.extend(rows.rows_of(revision, events, job.expiry))
        return Outcome(job, revision, events)

    def _compact(self, job: Compact) -> Outcome:
        if job.revision > self._revision:
            return Outcome(
                job, error=FutureRevision(f"cannot compact at {job.revision}, the store is at {self._revision}")
            )
        if job.revision > self._compacted:
            self._compact_to(job.revision)
        return Outcome(job, self._compacted)

    def _compact_to(self, revision: int) -> None:
        """From here on nobody reads older revisions; the rows go step by step."""
        rows.set_meta(self._db, "compacted", revision)
        self._compacted = revision
        self._sweeping = True

    # -- in the thread

    def _run(self) -> None:
        while (outcomes := self._work.get()) is not None:
            if outcomes:
                outcomes = self._commit(outcomes)
            if self._sweeping:
                self._loop.call_soon_threadsafe(self._deliver, outcomes)
                outcomes = []
                self._sweep()
            self._loop.call_soon_threadsafe(self._done, outcomes)

    def _commit(self, outcomes: list[Outcome]) -> list[Outcome]:
        try:
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        except Exception as e:
            return self._failed([o.job for o in outcomes], e)
        return outcomes

    def _sweep(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._sweeping = rows.sweep(self._db, SWEEP_WINDOW)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            # Costs only space: tried again at the next compaction or start, and a write will report the cause.
            self._sweeping = False
            self._roll_back()

    def _done(self, outcomes: list[Outcome]) -> None:
        """On the loop again."""
        try:
            self._deliver(outcomes)
        finally:
            self._begin()

    # -- when it fails

    def _failed(self, jobs: Sequence[Write | Compact], error: Exception) -> list[Outcome]:
        self._roll_back()
        if isinstance(error, sqlite3.Error):
            told: StoreError = self._unavailable(error)
        else:  # our bug; nobody may wait for ever because of it
            log.error("the store's writer failed", exc_info=error)
            told = Unavailable(f"the store's writer failed: {error!r}")
        return [Outcome(job, error=told) for job in jobs]

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._revision, self._compacted = rows.last_revision(self._db), rows.meta(self._db, "compacted")
        except sqlite3.Error:
            return  # the connection is beyond use; every further group reports it
