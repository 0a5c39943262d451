"""The store in one SQLite file: durable before it is acknowledged, history as rows, little memory.

A writer thread commits concurrent transactions as one (sqlite_writer.py), a reader thread serves reads from snapshots
(sqlite_rows.py has the statements); the loop never waits for the disk. A lock on `<path>.lock` keeps a second process
out. Past revisions are kept until `compact` or until there are more than `history` of them. Keys with a ttl carry their
expiry in the row, so it survives restarts.
"""

import asyncio
import fcntl
import math
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from skiff import env
from skiff.store import Compacted, Delete, Event, FutureRevision, Mismatch, Page, Put, Record, Unavailable
from skiff.store import sqlite_rows as rows
from skiff.store.changes import Op, check, current_cause
from skiff.store.fanout import Fanout, Subscription
from skiff.store.sqlite_writer import Compact, Outcome, Write, Writer

P = ParamSpec("P")
T = TypeVar("T")

IN_FLIGHT = 4096
"""Transactions that may wait for the writer; more wait on the loop."""

EXPIRY_GROUP = 256
"""Expired keys that are deleted together."""


class SqliteStore:
    """Made by `open`, ended by `close`; both on the loop that uses it."""

    def __init__(
        self,
        path: Path,
        *,
        lock: int,
        db: sqlite3.Connection,
        reading: sqlite3.Connection,
        readers: ThreadPoolExecutor,
        history: int,
    ):
        self._path = path
        self._lock = lock
        self._db = db
        self._reading = reading
        self._readers = readers
        self._compacted = rows.meta(db, "compacted")
        self._fanout = Fanout(rows.last_revision(db), self.events)
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._closed = False
        self._next_expiry = 0.0
        self._expiry_changed = asyncio.Event()
        self._writer = Writer(
            db,
            loop=asyncio.get_running_loop(),
            deliver=self._deliver,
            unavailable=self._unavailable,
            history=history,
        )
        self._expirer: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: str | os.PathLike[str], *, history: int = 100_000) -> "SqliteStore":
        """history: past revisions to keep. Raises Unavailable: locked by another process, not a store, not readable."""
        path = Path(path)
        readers = ThreadPoolExecutor(1, thread_name_prefix="skiff-store-reader")
        lock = -1
        try:
            lock = _lock(path)
            db, reading = await asyncio.get_running_loop().run_in_executor(readers, _open, path)
            store = cls(path, lock=lock, db=db, reading=reading, readers=readers, history=history)
        except BaseException:
            readers.shutdown(wait=False)
            if lock >= 0:
                os.close(lock)
            raise
        store._writer.start()
        store._expirer = asyncio.create_task(store._expire_keys(), name="store expiry")
        return store

    @property
    def revision(self) -> int:
        return self._fanout.revision

    async def current_revision(self) -> int:
        self._check_open()
        return self.revision

    async def get(self, key: str, *, revision: int = 0) -> Record | None:
        return await self._snapshot(lambda db, at: rows.get(db, key, at), revision)

    async def range(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        return await self._snapshot(lambda db, at: rows.read_range(db, prefix, start_after, limit, at), revision)

    async def count(self, prefix: str) -> int:
        return await self._snapshot(lambda db, at: rows.count(db, prefix, at), 0)

    async def txn(self, ops: Sequence[Op]) -> int:
        check(ops)
        expiry = {
            op.key: env.epoch() + op.ttl_seconds for op in ops if isinstance(op, Put) and op.ttl_seconds is not None
        }
        await self._slot()
        future = asyncio.get_running_loop().create_future()
        self._writer.submit(Write(tuple(ops), current_cause(), expiry, future))
        return await future

    def watch(self, prefix: str, *, since: int = 0) -> Subscription:
        if since and since < self._compacted:
            raise Compacted(self._compacted)
        return self._fanout.subscribe(prefix, since)

    def progress(self) -> int:
        return self._fanout.progress()

    def size(self) -> int:
        found = (Path(f"{self._path}{end}") for end in ("", "-wal"))
        return sum(file.stat().st_size for file in found if file.exists())

    async def compact(self, revision: int) -> None:
        self._check_open()
        if revision > self.revision:
            raise FutureRevision(f"cannot compact at {revision}, the store is at {self.revision}")
        await self._slot()
        future = asyncio.get_running_loop().create_future()
        self._writer.submit(Compact(revision, future))
        self._compacted = max(self._compacted, await future)

    async def close(self) -> None:
        """Waits for the writes that were submitted; those after it raise Unavailable."""
        if self._closed:
            return
        self._closed = True
        if self._expirer is not None:
            self._expirer.cancel()
            await asyncio.wait([self._expirer])
        await self._writer.stop()
        self._fanout.close("the store is closed")
        await asyncio.get_running_loop().run_in_executor(self._readers, self._close_files)
        self._readers.shutdown(wait=False)

    def _close_files(self) -> None:
        self._reading.close()
        self._db.close()
        os.close(self._lock)

    async def _slot(self) -> None:
        """Waits until the writer takes one more job; `_deliver` gives the place back."""
        await self._slots.acquire()
        if self._closed:
            self._slots.release()
            self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    def _unavailable(self, error: sqlite3.Error) -> Unavailable:
        return unavailable(self._path, error)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        """On the loop, after the commit: first the watchers, then those who wait."""
        for outcome in outcomes:
            self._slots.release()
            job = outcome.job
            if outcome.error is None and isinstance(job, Write):
                self._fanout.publish(outcome.revision, outcome.events)
                if job.expiry:
                    self._expires(min(job.expiry.values()))
            if job.future.done():  # cancelled by its caller
                continue
            if outcome.error is None:
                job.future.set_result(outcome.revision)
            else:
                job.future.set_exception(outcome.error)

    # -- reading

    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """One query in a read transaction on the reader thread."""
        self._check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._query(lambda db: query(db, *args, **kwargs)))

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        db = self._reading
        try:
            db.execute("BEGIN")
            try:
                return query(db)
            finally:
                db.execute("COMMIT")
        except sqlite3.Error as e:
            raise self._unavailable(e) from e

    async def _snapshot(self, query: Callable[[sqlite3.Connection, int], T], revision: int) -> T:
        def at(db: sqlite3.Connection) -> T:
            return query(db, rows.check_revision(db, revision, lambda: self.revision))

        return await self._read(at)

    async def events(self, prefix: str, since: int, until: int) -> Sequence[Event]:
        return await self._read(rows.events, prefix, since, until)

    # -- expiry

    def _expires(self, at: float) -> None:
        if at < self._next_expiry:
            self._next_expiry = at
            self._expiry_changed.set()

    async def _expire_keys(self) -> None:
        """Deletes keys as their time comes. Everything before `done` is dealt with; a clock set back moves it back."""
        done = 0.0
        while True:
            await self._wait_for_expiry()
            # From here on a write lowers it again, so what the snapshot does not show is not missed.
            self._next_expiry = math.inf
            now = env.epoch()
            try:
                keys, following = await self._read(rows.due, min(done, now), now, EXPIRY_GROUP)
                await self._delete_expired(keys)
            except Unavailable:
                self._expires(now + 1)  # whoever writes is told why
                continue
            if len(keys) == EXPIRY_GROUP:
                self._expires(now)
            else:
                done = now
                self._expires(following)

    async def _wait_for_expiry(self) -> None:
        while (delay := self._next_expiry - env.epoch()) > 0:
            self._expiry_changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(delay, 3600)):
                    await self._expiry_changed.wait()

    async def _delete_expired(self, keys: Sequence[tuple[str, int]]) -> None:
        writes = [self.txn([Delete(key, expected=revision)]) for key, revision in keys]
        for result in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, Mismatch):
                raise result


def _lock(path: Path) -> int:
    """The descriptor that holds the lock; closing it, or the end of the process, gives it back."""
    lock = -1
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # it will hold Secrets
    except OSError as e:
        if lock >= 0:
            os.close(lock)
        why = "is in use by another process" if isinstance(e, BlockingIOError) else e.strerror
        raise Unavailable(f"{path}: {why}") from e
    return lock


def _open(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """The writer's and the reader's connection."""
    try:
        db = rows.connect(str(path))
        reading = rows.connect(str(path))
        reading.execute("PRAGMA query_only=1")
        return db, reading
    except sqlite3.Error as e:
        raise unavailable(path, e) from e


_ADVICE = {
    sqlite3.SQLITE_FULL: "no space is left: free some, writes then work again",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a copy",
    sqlite3.SQLITE_NOTADB: "the file is not a database, or damaged",
    sqlite3.SQLITE_BUSY: "the file is locked by another program",
    sqlite3.SQLITE_READONLY: "the file cannot be written",
}


def unavailable(path: Path, error: sqlite3.Error) -> Unavailable:
    """The one translation of SQLite's errors."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    advice = _ADVICE.get(code)
    return Unavailable(f"{path}: {error} ({advice})" if advice else f"{path}: {error}")
