"""The table of the SQLite store and the statements over it; synchronous, one connection per thread.

One row per version of a key. `id` is revision * 2**20 + position in the transaction: rows are appended, a revision's rows
lie together, and history is a range of ids. A deletion is a row too; a transaction that changed nothing leaves a marker
row with key "". A key's current version is its row with the highest id. Compaction removes rows that a newer version has
replaced, in windows of revisions; `meta` holds how far it may go (compacted) and went (swept).

Statements take many rows at once and come in a few fixed sizes: each execution releases and takes the interpreter lock,
which is dear while the loop is busy (ten times the throughput at 64 writers), and each text is prepared once.
"""

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from skiff.store import Compacted, Event, FutureRevision, Page, Record, Unavailable
from skiff.store.changes import prefix_end

SHIFT = 20
APPLICATION_ID = 0x534B4946  # "SKIF"
FORMAT = 1

_SCHEMA = """
CREATE TABLE record (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, created INTEGER NOT NULL, version INTEGER NOT NULL,
    value BLOB NOT NULL, deleted INTEGER NOT NULL, cause TEXT NOT NULL, expiry REAL
);
CREATE INDEX record_key ON record (key, id, deleted);
CREATE INDEX record_expiry ON record (expiry) WHERE expiry IS NOT NULL;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('compacted', 1), ('swept', 1);
"""

_COLUMNS = "id, key, created, version, value, deleted, cause"

_LATEST = """
    SELECT max(id) AS id, key, deleted FROM record INDEXED BY record_key
    WHERE key >= ? AND key < ? AND id < ? GROUP BY key
"""

_EVENTS = """
    SELECT r.id, r.key, r.created, r.version, r.value, r.deleted, r.cause,
           p.id, p.key, p.created, p.version, p.value, p.deleted, p.cause
    FROM record r LEFT JOIN record p ON p.id = (
        SELECT q.id FROM record q WHERE q.key = r.key AND q.id < r.id ORDER BY q.id DESC LIMIT 1
    )
    WHERE r.id >= ? AND r.id < ? AND +r.key >= ? AND +r.key < ? ORDER BY r.id
"""

_SIZES = (64, 16, 4, 1)


def connect(path: str) -> sqlite3.Connection:
    """A connection for one thread at a time. Creates the schema in a new file. Raises sqlite3.Error, and Unavailable
    for a file that is not ours, which is left as it is."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=5)
    try:
        _prepare(db, path)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-4096", "journal_size_limit=67108864"):
            db.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str) -> None:
    found = db.execute("PRAGMA application_id").fetchone()[0]
    if found == APPLICATION_ID:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != FORMAT:
            raise Unavailable(f"{path}: written in format {version}, this program knows {FORMAT}")
        return
    if found or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Unavailable(f"{path}: is the database of another program")
    pragmas = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT};"
    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {pragmas} COMMIT;")


def last_revision(db: sqlite3.Connection) -> int:
    return (db.execute("SELECT max(id) FROM record").fetchone()[0] or 1 << SHIFT) >> SHIFT


def meta(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])


def set_meta(db: sqlite3.Connection, name: str, value: int) -> None:
    db.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))


def first_id(revision: int) -> int:
    return revision << SHIFT


def record(row: Sequence[Any]) -> Record:
    id, key, created, version, value, _, cause = row
    return Record(key, value, id >> SHIFT, created, version, cause)


# -- reading ---------------------------------------------------------------------------------------------------------


def check_revision(db: sqlite3.Connection, revision: int, published: Callable[[], int]) -> int:
    """The revision to read at, inside the read transaction. Now (0) means all that is published and in this snapshot:
    whatever was acknowledged before the call."""
    compacted, latest = meta(db, "compacted"), last_revision(db)
    if revision > latest:
        raise FutureRevision(f"revision {revision} has not happened, the store is at {latest}")
    if revision and revision < compacted:
        raise Compacted(compacted)
    return revision or min(published(), latest)


def get(db: sqlite3.Connection, key: str, revision: int) -> Record | None:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE key = ? AND id < ? ORDER BY id DESC LIMIT 1",
        (key, first_id(revision + 1)),
    ).fetchone()
    return record(row) if row and not row[5] else None


def _bounds(prefix: str, start_after: str = "") -> tuple[str, str | bytes]:
    """The keys as an interval [low, high). Keys start with "/", so "/" keeps the marker out; the least text above s is
    s + NUL; a blob sorts after every text."""
    end = prefix_end(prefix)
    low = max(prefix or "/", start_after + "\0" if start_after else "")
    return low, b"" if end is None else end


def read_range(db: sqlite3.Connection, prefix: str, start_after: str, limit: int, revision: int) -> Page:
    low, high = _bounds(prefix, start_after)
    bound = first_id(revision + 1)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM record WHERE id IN ("
        f"SELECT id FROM ({_LATEST}) WHERE NOT deleted ORDER BY key LIMIT ?)",
        (low, high, bound, limit or -1),
    )
    records = sorted(map(record, rows), key=attrgetter("key"))
    if not limit or len(records) < limit:
        return Page(records, revision)
    return Page(records, revision, _count(db, records[-1].key + "\0", high, bound))


def count(db: sqlite3.Connection, prefix: str, revision: int) -> int:
    return _count(db, *_bounds(prefix), first_id(revision + 1))


def _count(db: sqlite3.Connection, low: str, high: str | bytes, bound: int) -> int:
    return int(db.execute(f"SELECT count(*) FROM ({_LATEST}) WHERE NOT deleted", (low, high, bound)).fetchone()[0])


def events(db: sqlite3.Connection, prefix: str, since: int, until: int) -> list[Event]:
    compacted = meta(db, "compacted")
    if since < compacted:
        raise Compacted(compacted)
    rows = db.execute(_EVENTS, (first_id(since + 1), first_id(until + 1), *_bounds(prefix)))
    return [_event(row) for row in rows]


def _event(row: Sequence[Any]) -> Event:
    had = row[7] is not None and not row[12]
    return Event(bool(row[5]), record(row[:7]), record(row[7:]) if had else None)


def due(db: sqlite3.Connection, after: float, now: float, limit: int) -> tuple[list[tuple[str, int]], float]:
    """Keys (with revision) whose current version expired in [after, now], earliest first; and the next expiry beyond
    (infinity: none)."""
    rows = db.execute(
        "SELECT key, id FROM record r WHERE expiry >= ? AND expiry <= ? AND NOT EXISTS ("
        "SELECT 1 FROM record q WHERE q.key = r.key AND q.id > r.id) ORDER BY expiry LIMIT ?",
        (after, now, limit),
    ).fetchall()
    following = db.execute("SELECT min(expiry) FROM record WHERE expiry > ?", (now,)).fetchone()[0]
    return [(key, id >> SHIFT) for key, id in rows], math.inf if following is None else following


# -- writing ---------------------------------------------------------------------------------------------------------


def _chunks(n: int) -> Iterator[tuple[int, int]]:
    start = 0
    for size in _SIZES:
        while n - start >= size:
            yield start, start + size
            start += size


def current(db: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Record | None]:
    found: dict[str, Record | None] = dict.fromkeys(keys)
    for start, end in _chunks(len(keys)):
        marks = ",".join("?" * (end - start))
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM record WHERE id IN (SELECT max(id) FROM record WHERE key IN ({marks}) GROUP BY key)",
            keys[start:end],
        )
        found.update((row[1], record(row)) for row in rows if not row[5])
    return found


def rows_of(revision: int, happened: Iterable[Event], expiry: Mapping[str, float]) -> list[tuple[Any, ...]]:
    """The rows of one transaction."""
    base = first_id(revision)
    rows = [
        (base + i, r.key, r.created, r.version, r.value, e.deleted, r.cause, expiry.get(r.key))
        for i, e in enumerate(happened)
        for r in (e.record,)
    ]
    return rows or [(base, "", 0, 0, b"", True, "", None)]


def insert(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    for start, end in _chunks(len(rows)):
        marks = ",".join(["(?,?,?,?,?,?,?,?)"] * (end - start))
        db.execute(f"INSERT INTO record VALUES {marks}", [value for row in rows[start:end] for value in row])


def sweep(db: sqlite3.Connection, revisions: int) -> bool:
    """Inside a transaction: removes what the next window of revisions has replaced. True: more is left to do.

    The newest row of all stays, whatever it is: it carries the store's revision."""
    swept, compacted = meta(db, "swept"), meta(db, "compacted")
    until = min(swept + revisions, compacted)
    window = (first_id(swept + 1), first_id(until + 1))
    db.execute(
        "DELETE FROM record WHERE id IN (SELECT p.id FROM record r JOIN record p ON p.key = r.key AND p.id < r.id"
        " WHERE r.id >= ? AND r.id < ?)",
        window,
    )
    db.execute("DELETE FROM record WHERE id >= ? AND id < ? AND deleted AND id < (SELECT max(id) FROM record)", window)
    set_meta(db, "swept", until)
    return until < compacted
