"""The one thread that writes to the SQLite file: group commit, compaction in small steps.

It takes all transactions that wait, compares and numbers them in order of arrival, writes their rows in one SQLite
transaction, and reports the outcomes to the loop with one call, after the commit: what is reported is durable. When the
file cannot be written, everything of that group fails with Unavailable and the next group tries again.
"""

import asyncio
import logging
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from skiff.store import Event, FutureRevision, Mismatch, Record, StoreError, Unavailable
from skiff.store import sqlite_rows as rows
from skiff.store.changes import Op, decide

log = logging.getLogger(__name__)

GROUP = 256
"""Transactions in one commit, at most."""

SWEEP_WINDOW = 256
"""Revisions that one step of compaction covers; writers wait for one step at most."""


@dataclass(frozen=True, slots=True)
class Write:
    ops: Sequence[Op]
    cause: str
    expiry: Mapping[str, float]
    future: asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Compact:
    revision: int
    future: asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class Outcome:
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
        self._jobs: SimpleQueue[Write | Compact | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="skiff-store-writer", daemon=True)
        self._stopped: asyncio.Future[None] = loop.create_future()

    def start(self) -> None:
        # The thread waits for the interpreter lock up to this long at every statement while the loop is busy.
        sys.setswitchinterval(min(sys.getswitchinterval(), 0.001))
        self._thread.start()

    def submit(self, job: Write | Compact) -> None:
        self._jobs.put(job)

    async def stop(self) -> None:
        """After what was submitted is done."""
        self._jobs.put(None)
        await self._stopped
        self._thread.join()

    def _run(self) -> None:
        try:
            while (jobs := self._take()) is not None:
                if jobs:
                    self._work(jobs)
                if self._sweeping:
                    self._sweep()
        finally:
            self._loop.call_soon_threadsafe(self._stopped.set_result, None)

    def _take(self) -> list[Write | Compact] | None:
        """The jobs that wait; blocks for the first unless there is sweeping to do. None: stop."""
        jobs: list[Write | Compact] = []
        try:
            while len(jobs) < GROUP:
                job = self._jobs.get(block=not jobs and not self._sweeping)
                if job is None:
                    if not jobs:
                        return None
                    self._jobs.put(None)
                    break
                jobs.append(job)
        except Empty:
            pass
        return jobs

    def _work(self, jobs: list[Write | Compact]) -> None:
        before = self._revision, self._compacted
        try:
            outcomes = self._commit(jobs)
        except Exception as e:
            self._revision, self._compacted = before
            self._roll_back()
            error = self._failure(e)
            outcomes = [Outcome(job, error=error) for job in jobs]
        self._loop.call_soon_threadsafe(self._deliver, outcomes)

    def _failure(self, error: Exception) -> Unavailable:
        if isinstance(error, sqlite3.Error):
            return self._unavailable(error)
        log.exception("the store's writer failed", exc_info=error)  # our bug; nobody may wait for ever because of it
        return Unavailable(f"the store's writer failed: {error!r}")

    def _commit(self, jobs: list[Write | Compact]) -> list[Outcome]:
        self._db.execute("BEGIN IMMEDIATE")
        keys = {op.key: None for job in jobs if isinstance(job, Write) for op in job.ops}
        current = rows.current(self._db, list(keys))
        new: list[tuple[Any, ...]] = []
        outcomes = [self._apply(job, current, new) if isinstance(job, Write) else self._compact(job) for job in jobs]
        rows.insert(self._db, new)
        if self._revision - self._compacted > self._history * 5 // 4:
            self._compact_to(self._revision - self._history)
        self._db.execute("COMMIT")
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

    def _sweep(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._sweeping = rows.sweep(self._db, SWEEP_WINDOW)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            # Costs only space: tried again at the next compaction or start, and a write will report the cause.
            self._sweeping = False
            self._roll_back()

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._revision = rows.last_revision(self._db)
        except sqlite3.Error:
            return  # the connection is beyond use; every further group reports it
