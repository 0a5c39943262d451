"""What only the SQLite store promises: durability, one owner, damage and full disks told clearly, bounded history."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from skiff.store import Compacted, Delete, Mismatch, Put, Unavailable, sqlite_writer
from skiff.store.open import open_store
from skiff.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "state.db"


def rows_in(path, query="SELECT count(*) FROM record"):
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()[0][0]
    finally:
        db.close()


async def swept(path, most):
    async with asyncio.timeout(10):
        while rows_in(path) > most:  # noqa: ASYNC110 - another thread sweeps
            await asyncio.sleep(0.001)


def test_kill_9_among_10000_writes_loses_nothing_acknowledged(path):
    script = Path(__file__).with_name("sqlite_crash_writer.py")
    with subprocess.Popen([sys.executable, script, path], stdout=subprocess.PIPE) as writer:
        lines = [writer.stdout.readline() for _ in range(3000)]
        writer.kill()
        lines += writer.stdout.read().splitlines(keepends=True)
    acknowledged = [tuple(map(int, line.split())) for line in lines if line.endswith(b"\n")]
    assert 3000 <= len(acknowledged) < 10_000

    async def reopen():
        store = await SqliteStore.open(path)
        records = {r.key: r for r in (await store.range("/k/")).records}
        for i, revision in acknowledged:
            record = records[f"/k/{i:05}"]
            assert (record.value, record.revision) == (b"%d" % i * 100, revision)
        assert store.revision == len(records) + 1
        assert await store.txn([Put("/k/after", b"")]) == len(records) + 2
        await store.close()

    asyncio.run(reopen())
    assert rows_in(path, "PRAGMA integrity_check") == "ok"


def test_what_was_written_is_there_after_a_restart(path):
    async def test():
        first = await SqliteStore.open(path)
        await first.txn([Put("/a", b"1", cause="why")])
        await first.txn([Put("/b", b"2")])
        await first.txn([Delete("/b")])
        await first.close()
        second = await open_store(f"sqlite://{path}")
        assert second.revision == 4
        record = await second.get("/a")
        assert (record.value, record.created, record.cause) == (b"1", 2, "why")
        assert (await second.get("/b", revision=3)).value == b"2"
        watch = second.watch("/", since=2)
        assert [e.deleted for e in await anext(watch)] == [False, True]
        await second.close()

    asyncio.run(test())


def test_its_size_is_that_of_its_files(path):
    async def scenario():
        store = await SqliteStore.open(path)
        before = store.size()
        await store.txn([Put("/a", b"x" * 100_000)])
        after = store.size()
        await store.close()
        return before, after

    before, after = asyncio.run(scenario())
    assert 0 < before <= after - 100_000


def test_a_ttl_survives_a_restart(path):
    async def test():
        first = await SqliteStore.open(path)
        await first.txn([Put("/soon", b"", ttl_seconds=0.001), Put("/later", b"", ttl_seconds=3600)])
        await first.close()
        second = await SqliteStore.open(path)
        watch = second.watch("/", since=2)
        async with asyncio.timeout(10):
            events = await anext(watch)
        assert [(e.deleted, e.record.key) for e in events] == [(True, "/soon")]
        await second.close()

    asyncio.run(test())


def test_many_keys_expire_together(path, monkeypatch):
    monkeypatch.setattr("skiff.store.sqlite.EXPIRY_GROUP", 8)

    async def test():
        store = await SqliteStore.open(path)
        watch = store.watch("/")
        await asyncio.gather(*(store.txn([Put(f"/{i}", b"", ttl_seconds=0.001)]) for i in range(50)))
        gone = set()
        async with asyncio.timeout(10):
            while len(gone) < 50:
                gone |= {e.record.key for e in await anext(watch) if e.deleted}
        assert await store.count("/") == 0
        await store.close()

    asyncio.run(test())


def test_a_second_server_on_one_file_is_refused(path):
    async def test():
        store = await SqliteStore.open(path)
        with pytest.raises(Unavailable, match=r"state\.db: is in use by another process"):
            await SqliteStore.open(path)
        await store.txn([Put("/a", b"")])
        await store.close()
        await (await SqliteStore.open(path)).close()

    asyncio.run(test())


def garbage(path):
    path.write_bytes(b"not a database, " * 1000)


def foreign(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()


def newer(path):
    asyncio.run(open_and_close(path))
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


async def open_and_close(path):
    await (await SqliteStore.open(path)).close()


@pytest.mark.parametrize(
    "spoil, message",
    [
        pytest.param(garbage, "not a database", id="no database at all"),
        pytest.param(foreign, "another program", id="somebody else's database"),
        pytest.param(newer, "format 99, this program knows 1", id="a format of the future"),
        pytest.param(lambda path: path.mkdir(), "directory", id="a directory"),
    ],
)
def test_a_file_that_is_no_store_is_refused_clearly_and_not_changed(path, spoil, message):
    spoil(path)
    before = path.is_file() and path.read_bytes()
    for _ in range(2):
        with pytest.raises(Unavailable, match=message):
            asyncio.run(open_and_close(path))
    assert before == (path.is_file() and path.read_bytes())


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(Unavailable, match=r"nowhere/state\.db: No such file or directory"):
        asyncio.run(open_and_close(tmp_path / "nowhere" / "state.db"))


def test_a_damaged_page_makes_reads_unavailable_not_wrong(path):
    async def fill():
        store = await SqliteStore.open(path)
        await asyncio.gather(*(store.txn([Put(f"/{i}", b"x" * 3000)]) for i in range(200)))
        await store.close()

    async def read():
        store = await SqliteStore.open(path)
        try:
            with pytest.raises(Unavailable, match="damaged"):
                await store.range("/")
        finally:
            await store.close()

    asyncio.run(fill())
    with path.open("r+b") as f:
        for page in range(20, 60):
            f.seek(page * 4096)
            f.write(b"\xff" * 4096)
    asyncio.run(read())


def test_a_full_disk_fails_writes_and_heals(path):
    async def test():
        store = await SqliteStore.open(path)
        await store.txn([Put("/before", b"")])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        writes = [store.txn([Put(f"/{i}", b"x" * 5000)]) for i in range(20)]
        for result in await asyncio.gather(*writes, return_exceptions=True):
            assert isinstance(result, Unavailable)
            assert "no space is left" in str(result)
        assert (store.revision, await store.count("/")) == (2, 1)
        store._db.execute("PRAGMA max_page_count = 1000000")
        assert await store.txn([Put("/after", b"x" * 50000)]) == 3
        with pytest.raises(Mismatch):
            await store.txn([Put("/before", b"", expected=0)])
        await store.close()

    asyncio.run(test())


def test_history_is_kept_within_its_budget(path):
    async def test():
        store = await SqliteStore.open(path, history=100)
        for _ in range(40):
            await asyncio.gather(*(store.txn([Put(f"/{i}", b"")]) for i in range(50)))
        assert len((await store.range("/", revision=store.revision - 90)).records) == 50
        for too_old in (store.get("/1", revision=store.revision - 200), anext(store.watch("/", since=5))):
            with pytest.raises(Compacted):
                await too_old
        await swept(path, 50 + 125)
        assert (await store.count("/"), store.revision) == (50, 2001)
        await store.close()

    asyncio.run(test())


def test_a_compaction_that_was_cut_short_goes_on_after_the_restart(path, monkeypatch):
    async def test():
        store = await SqliteStore.open(path)
        await asyncio.gather(*(store.txn([Put("/a", b"")]) for i in range(500)))
        monkeypatch.setattr(sqlite_writer.Writer, "_sweep", lambda self: setattr(self, "_sweeping", False))
        await store.compact(501)
        await store.close()
        assert rows_in(path) == 500
        monkeypatch.undo()
        store = await SqliteStore.open(path)
        await swept(path, 1)
        with pytest.raises(Compacted):
            await store.get("/a", revision=500)
        await store.close()

    asyncio.run(test())


def test_close_finishes_what_was_submitted(path):
    async def test():
        store = await SqliteStore.open(path)
        writes = [asyncio.create_task(store.txn([Put(f"/{i}", b"")])) for i in range(300)]
        await asyncio.sleep(0)
        await store.close()
        assert await asyncio.gather(*writes) == list(range(2, 302))

    asyncio.run(test())


def test_the_file_is_for_its_owner_only(path):
    async def test():
        store = await SqliteStore.open(path)
        await store.txn([Put("/secret", b"")])
        assert {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {
            f"state.db{end}": 0o600 for end in ("", "-wal", "-shm", ".lock")
        }
        await store.close()

    old = os.umask(0o022)
    try:
        asyncio.run(test())
    finally:
        os.umask(old)


@pytest.mark.parametrize("url", ["etcd://x", "sqlite://relative.db", ""])
def test_an_unknown_url_is_a_value_error(url):
    with pytest.raises(ValueError, match="unknown store"):
        asyncio.run(open_store(url))


def test_what_waits_for_a_place_when_the_store_closes_is_told(path, monkeypatch):
    monkeypatch.setattr("skiff.store.sqlite.IN_FLIGHT", 2)

    async def test():
        store = await SqliteStore.open(path)
        waiting = [asyncio.create_task(store.txn([Put(f"/{i}", b"")])) for i in range(10)]
        waiting.append(asyncio.create_task(store.compact(1)))
        await asyncio.sleep(0)
        await store.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert results[:2] == [2, 3]
        assert all(isinstance(r, Unavailable) for r in results[2:])

    asyncio.run(test())


def test_large_values_are_committed_in_groups_of_their_own(path, monkeypatch):
    """Writing a group keeps the loop busy, which must not be for long."""
    groups = []
    write = sqlite_writer.Writer._write
    monkeypatch.setattr(sqlite_writer, "GROUP_BYTES", 1000)
    monkeypatch.setattr(
        sqlite_writer.Writer, "_write", lambda self, jobs: groups.append(len(jobs)) or write(self, jobs)
    )

    async def test():
        store = await SqliteStore.open(path)
        sizes = [10, 10, 2000, 600, 600, 10]
        writes = [store.txn([Put(f"/{i}", b"x" * size)]) for i, size in enumerate(sizes)]
        assert await asyncio.gather(*writes) == [2, 3, 4, 5, 6, 7]
        await store.close()

    asyncio.run(test())
    assert groups == [3, 2, 1]


def test_a_watcher_that_raises_does_not_stop_the_writer(path):
    async def test():
        store = await SqliteStore.open(path)
        told = asyncio.get_running_loop().create_future()
        told.get_loop().set_exception_handler(lambda loop, context: told.set_result(str(context["exception"])))
        publish = store._fanout.publish

        def broken(revision, events):
            store._fanout.publish = publish
            raise RuntimeError("broken")

        store._fanout.publish = broken
        lost = asyncio.create_task(store.txn([Put("/a", b"")]))
        assert await told == "broken"
        assert await store.txn([Put("/b", b"")]) == 3
        lost.cancel()
        await store.close()

    asyncio.run(test())
