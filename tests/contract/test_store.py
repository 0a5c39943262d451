"""The contract of skiff.store.Store, case by case, over every backend. test_store_model.py explores it at random."""

import asyncio

import pytest

from skiff import env
from skiff.store import Compacted, Delete, Event, FutureRevision, Mismatch, Put, Record, Unavailable


def put(key, value=b"v", **more):
    return Put(key, value, **more)


async def take(watch, n):
    """The next n events, flat."""
    events = []
    while len(events) < n:
        events += await anext(watch)
    return events


def test_a_new_store_is_at_revision_1_and_empty(run):
    async def test(store):
        assert (store.revision, await store.current_revision(), store.progress()) == (1, 1, 1)
        page = await store.range("/")
        assert (list(page.records), page.revision, page.remaining) == ([], 1, 0)
        assert await store.get("/a") is None
        assert await store.get("/a", revision=1) is None
        assert await store.count("/") == 0

    run(test)


def test_a_key_keeps_its_creation_and_counts_its_versions(run):
    async def test(store):
        assert await store.txn([put("/a", b"1", cause="first")]) == 2
        assert await store.txn([put("/b")]) == 3
        assert await store.txn([put("/a", b"2")]) == 4
        assert await store.get("/a") == Record("/a", b"2", revision=4, created=2, version=2)
        assert await store.get("/a", revision=3) == Record("/a", b"1", revision=2, created=2, version=1, cause="first")
        await store.txn([Delete("/a")])
        assert await store.get("/a") is None
        await store.txn([put("/a", b"3")])
        assert await store.get("/a") == Record("/a", b"3", revision=6, created=6, version=1)

    run(test)


def test_the_cause_of_a_write_comes_from_its_context(run):
    async def test(store):
        token = env.cause.set("request-7")
        await store.txn([put("/a"), put("/b", cause="own")])
        env.cause.reset(token)
        assert [r.cause for r in (await store.range("/")).records] == ["request-7", "own"]

    run(test)


EXPECTATIONS = [
    pytest.param([put("/new", expected=0)], None, id="creates a key that is not there"),
    pytest.param([put("/a", expected=0)], "/a", id="does not create a key that is there"),
    pytest.param([put("/a", expected=2)], None, id="replaces the revision it knows"),
    pytest.param([put("/a", expected=99)], "/a", id="does not replace another revision"),
    pytest.param([put("/new", expected=2)], "/new", id="does not replace what is not there"),
    pytest.param([Delete("/a", expected=2)], None, id="deletes the revision it knows"),
    pytest.param([Delete("/a", expected=3)], "/a", id="does not delete another revision"),
    pytest.param([Delete("/new", expected=2)], "/new", id="does not delete what is not there"),
    pytest.param([Delete("/new")], None, id="an unconditional deletion of nothing takes a revision"),
    pytest.param([put("/new", expected=0), put("/a", expected=0)], "/a", id="all or nothing"),
    pytest.param([put("/b", expected=0), put("/a", expected=0)], "/b", id="names the first that failed"),
    pytest.param([put("/a", expected=2), Delete("/b", expected=3)], None, id="several keys in one revision"),
]


@pytest.mark.parametrize("ops, failed", EXPECTATIONS)
def test_compare_and_swap(run, ops, failed):
    async def test(store):
        await store.txn([put("/a")])
        await store.txn([put("/b")])
        before = await store.range("/")
        if failed:
            with pytest.raises(Mismatch) as e:
                await store.txn(ops)
            assert (e.value.key, e.value.current) == (failed, await store.get(failed))
            assert await store.range("/") == before
        else:
            assert await store.txn(ops) == 4
            assert (await store.range("/")).revision == 4

    run(test)


@pytest.mark.parametrize(
    "ops",
    [
        pytest.param([], id="no writes"),
        pytest.param([put("/a"), Delete("/a")], id="one key twice"),
        pytest.param([put("a")], id="a key that does not start with a slash"),
        pytest.param([put("/\ud800")], id="a key that is no text"),
    ],
)
def test_what_cannot_be_written_is_a_value_error(run, ops):
    async def test(store):
        with pytest.raises(ValueError):
            await store.txn(ops)
        assert store.revision == 1

    run(test)


RANGES = [
    pytest.param({"prefix": "/p/"}, "abc", 0, id="all with the prefix, sorted"),
    pytest.param({"prefix": "/p/", "limit": 2}, "ab", 1, id="a limit says how many remain"),
    pytest.param({"prefix": "/p/", "limit": 3}, "abc", 0, id="a limit that is just enough"),
    pytest.param({"prefix": "/p/", "start_after": "/p/a"}, "bc", 0, id="continues after a key"),
    pytest.param({"prefix": "/p/", "start_after": "/p/aa"}, "bc", 0, id="continues after a key that is not there"),
    pytest.param({"prefix": "/p/", "start_after": "/o", "limit": 1}, "a", 2, id="start_after below the prefix"),
    pytest.param({"prefix": "/p/", "start_after": "/q"}, "", 0, id="start_after above the prefix"),
    pytest.param({"prefix": "/p/a"}, "a", 0, id="a whole key is a prefix of itself"),
    pytest.param({"prefix": "/p/", "revision": 3}, "ba", 0, id="as of a past revision"),
    pytest.param({"prefix": "/none"}, "", 0, id="nothing"),
]


@pytest.mark.parametrize("question, names, remaining", RANGES)
def test_range(run, question, names, remaining):
    async def test(store):
        for key in ("/p/b", "/p/a", "/q/z", "/p", "/p/c"):
            await store.txn([put(key)])
        page = await store.range(**question)
        assert ([r.key for r in page.records], page.remaining) == ([f"/p/{n}" for n in sorted(names)], remaining)
        assert page.revision == question.get("revision", 6)

    run(test)


def test_keys_sort_bytewise_whatever_they_hold(run):
    keys = ["/a", "/a\0", "/a/", "/aé", "/a\uffff", "/a\U0001f600", "/a\U0010ffff", "/a\U0010ffffb", "/b"]

    async def test(store):
        for key in reversed(keys):
            await store.txn([put(key)])
        assert [r.key for r in (await store.range("")).records] == sorted(keys, key=str.encode)
        assert [r.key for r in (await store.range("/a\U0010ffff")).records] == ["/a\U0010ffff", "/a\U0010ffffb"]
        assert await store.count("/a") == len(keys) - 1
        page = await store.range("/a", start_after="/a", limit=1)
        assert (page.records[0].key, page.remaining) == ("/a\0", len(keys) - 3)

    run(test)


def test_a_revision_that_has_not_happened(run):
    async def test(store):
        for read in (store.get("/a", revision=2), store.range("/", revision=2), store.compact(2)):
            with pytest.raises(FutureRevision):
                await read

    run(test)


def test_compaction_forgets_what_no_later_read_can_see(run):
    async def test(store):
        await store.txn([put("/a", b"1")])  # 2
        await store.txn([put("/b", b"1")])  # 3
        await store.txn([put("/a", b"2")])  # 4
        await store.txn([Delete("/b")])  # 5
        await store.txn([put("/a", b"3")])  # 6
        await store.compact(5)
        await store.compact(3)
        for revision in (1, 4):
            with pytest.raises(Compacted) as e:
                await store.get("/a", revision=revision)
            assert e.value.compacted == 5
        with pytest.raises(Compacted):
            await store.range("/", revision=4)
        assert [r.value for r in (await store.range("/", revision=5)).records] == [b"2"]
        assert [r.value for r in (await store.range("/")).records] == [b"3"]
        assert await store.txn([put("/b", expected=0)]) == 7

    run(test)


def test_a_deletion_at_the_end_of_a_compacted_history_keeps_the_revision(run):
    async def test(store):
        await store.txn([put("/a")])
        await store.txn([Delete("/a")])
        await store.compact(3)
        await store.txn([Delete("/a")])
        await store.compact(4)
        assert (await store.range("/")).revision == 4
        assert await store.txn([put("/a", expected=0)]) == 5

    run(test)


def test_a_watch_hands_out_each_change_once_in_order(run):
    async def test(store):
        await store.txn([put("/a/0")])
        watch = store.watch("/a/")
        await store.txn([put("/a/1", b"x")])
        await store.txn([put("/b/1")])
        await store.txn([put("/a/1", b"y"), put("/b/2"), Delete("/a/0")])
        created = Record("/a/1", b"x", 3, 3, 1)
        assert await take(watch, 3) == [
            Event(False, created, None),
            Event(False, Record("/a/1", b"y", 5, 3, 2), created),
            Event(True, Record("/a/0", b"", 5, 2, 2), Record("/a/0", b"v", 2, 2, 1)),
        ]
        await watch.aclose()

    run(test)


def test_a_watch_from_the_past_joins_the_present_without_a_gap(run):
    async def test(store):
        for i in range(20):
            await store.txn([put(f"/a/{i}")])
        watch = store.watch("/a/", since=6)
        writes = asyncio.gather(*(store.txn([put(f"/a/x{i}")]) for i in range(50)))
        events = await take(watch, 15 + 50)
        await writes
        assert [e.record.revision for e in events] == list(range(7, 72))
        await watch.aclose()

    run(test)


def test_the_history_tells_deletions_and_what_was_there_before(run):
    async def test(store):
        await store.txn([put("/a", b"1")])
        await store.txn([Delete("/a")])
        await store.txn([Delete("/a")])
        await store.txn([put("/a", b"2")])
        watch = store.watch("/", since=1)
        old, new = Record("/a", b"1", 2, 2), Record("/a", b"2", 5, 5)
        assert await take(watch, 3) == [
            Event(False, old, None),
            Event(True, Record("/a", b"", 3, 2, 2), old),
            Event(False, new, None),
        ]
        await watch.aclose()

    run(test)


def test_a_watch_from_a_compacted_revision_is_refused(run):
    async def test(store):
        for _ in range(3):
            await store.txn([put("/a")])
        await store.compact(3)
        with pytest.raises(Compacted):
            await anext(store.watch("/", since=2))
        watch = store.watch("/", since=3)
        assert [e.record.revision for e in await take(watch, 1)] == [4]
        assert (await take(store.watch("/", since=3), 1))[0].previous == Record("/a", b"v", 3, 2, 2)
        await watch.aclose()

    run(test)


def test_a_slow_watcher_reads_the_rest_from_history(run, monkeypatch):
    monkeypatch.setattr("skiff.store.fanout.BUFFER", 10)
    monkeypatch.setattr("skiff.store.fanout.WINDOW", 7)

    async def test(store):
        watch = store.watch("/")
        for i in range(40):
            await store.txn([put(f"/{i}"), put(f"/{i}/x")])
        assert [e.record.revision for e in await take(watch, 80)] == [r for r in range(2, 42) for _ in "12"]
        assert store.progress() == 41
        await watch.aclose()

    run(test)


def test_a_watcher_that_is_too_slow_learns_of_the_compaction(run, monkeypatch):
    monkeypatch.setattr("skiff.store.fanout.BUFFER", 2)

    async def test(store):
        watch = store.watch("/")
        for i in range(9):
            await store.txn([put(f"/{i}")])
        await store.compact(5)
        with pytest.raises(Compacted):
            await anext(watch)

    run(test)


def test_progress_waits_for_the_slowest_watcher(run):
    async def test(store):
        slow, other = store.watch("/a"), store.watch("/b")
        await store.txn([put("/a")])
        await store.txn([put("/c")])
        assert store.progress() == 1
        await take(slow, 1)
        assert store.progress() == 3
        await slow.aclose()
        await other.aclose()

    run(test)


def test_a_closed_watch_ends_and_a_closed_store_is_unavailable(run):
    async def test(store):
        ended = store.watch("/")
        await ended.aclose()
        assert [e async for e in ended] == []
        waiting = asyncio.ensure_future(anext(store.watch("/")))
        await asyncio.sleep(0)
        await store.close()
        for refused in (waiting, store.txn([put("/a")]), store.get("/a"), store.range("/"), store.current_revision()):
            with pytest.raises(Unavailable, match="closed"):
                await refused
        with pytest.raises(Unavailable):
            await anext(store.watch("/"))

    run(test)


def test_a_key_with_a_ttl_is_deleted_when_its_time_is_up(run):
    async def test(store):
        watch = store.watch("/")
        await store.txn([put("/stays", ttl_seconds=3600), put("/goes", ttl_seconds=0.01)])
        events = await take(watch, 3)
        assert (events[2].deleted, events[2].record.key, events[2].record.revision) == (True, "/goes", 3)
        assert [r.key for r in (await store.range("/")).records] == ["/stays"]
        await watch.aclose()

    run(test)


def test_a_later_write_renews_or_ends_the_ttl(run):
    async def test(store):
        watch = store.watch("/")
        await store.txn(
            [put("/kept", ttl_seconds=0.02), put("/renewed", ttl_seconds=0.02), put("/z", ttl_seconds=0.03)]
        )
        await store.txn([put("/kept"), put("/renewed", ttl_seconds=3600)])
        assert (await take(watch, 6))[5].record.key == "/z"
        assert [r.key for r in (await store.range("/")).records] == ["/kept", "/renewed"]
        await watch.aclose()

    run(test)


def test_racing_writers_of_one_key_agree_on_one_winner(run):
    async def test(store):
        async def attempt(i):
            try:
                return await store.txn([put("/a", str(i).encode(), expected=0)])
            except Mismatch:
                return 0

        wins = [r for r in await asyncio.gather(*map(attempt, range(100))) if r]
        assert wins == [2]
        assert (await store.current_revision(), (await store.get("/a")).version) == (2, 1)

    run(test)


def test_an_acknowledged_write_is_seen_by_the_next_read(run):
    async def test(store):
        async def write_and_read(i):
            revision = await store.txn([put(f"/{i}")])
            assert (await store.get(f"/{i}")).revision == revision
            assert (await store.range(f"/{i}", limit=1)).revision >= revision
            assert store.revision >= revision

        await asyncio.gather(*map(write_and_read, range(100)))

    run(test)


def test_a_cancelled_write_happened_wholly_or_not_at_all(run):
    async def test(store):
        async def write(i):
            await store.txn([put(f"/a/{i:03}"), put(f"/b/{i:03}")])

        tasks = [asyncio.create_task(write(i)) for i in range(200)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        done = {f"{i:03}" for i, r in enumerate(results) if r is None}
        assert len(done) >= 100
        await store.txn([put("/z")])
        names = {p: {r.key[3:] for r in (await store.range(p)).records} for p in ("/a/", "/b/")}
        assert names["/a/"] == names["/b/"] >= done

    run(test)


def test_past_changes_of_a_prefix(run):
    async def test(store):
        await store.txn([put("/a/x", b"1")])
        await store.txn([put("/b/y")])
        await store.txn([put("/a/x", b"2")])
        await store.txn([Delete("/a/x")])
        await store.txn([put("/a/z")])
        found = await store.events("/a/", 2, 5)
        assert [(e.deleted, e.record.revision, e.previous.value) for e in found] == [(False, 4, b"1"), (True, 5, b"2")]
        assert await store.events("/a/", 6, 6) == []
        await store.compact(4)
        with pytest.raises(Compacted):
            await store.events("/a/", 2, 6)

    run(test)
