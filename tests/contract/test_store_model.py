"""The store against the simplest thing that could be one: a list of complete states, explored by hypothesis."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from skiff.store import Compacted, Delete, Event, FutureRevision, Mismatch, Put, Record
from skiff.store.open import open_store
from tests.contract.conftest import BACKENDS, url

KEYS = st.sampled_from(["/a", "/a/1", "/a/2", "/a/20", "/b/1", "/b/é", "/c"])
PREFIXES = st.sampled_from(["", "/", "/a", "/a/", "/a/2", "/b/", "/none"])
EXPECTED = st.sampled_from(["none", "right", "right", "wrong", "absent"])


@dataclass
class Model:
    """states[i] is what the store holds at revision i + 1."""

    states: list[dict[str, Record]] = field(default_factory=lambda: [{}])
    events: list[Event] = field(default_factory=list)
    compacted: int = 1

    @property
    def revision(self):
        return len(self.states)

    @property
    def now(self):
        return self.states[-1]

    def write(self, ops):
        for op in ops:
            has = self.now[op.key].revision if op.key in self.now else 0
            if op.expected is not None and op.expected != has:
                return op.key
        after, revision = dict(self.now), self.revision + 1
        for op in ops:
            old = after.pop(op.key, None)
            if isinstance(op, Put):
                created, version = (old.created, old.version + 1) if old else (revision, 1)
                after[op.key] = Record(op.key, op.value, revision, created, version)
                self.events.append(Event(False, after[op.key], old))
            elif old:
                gone = Record(op.key, b"", revision, old.created, old.version + 1)
                self.events.append(Event(True, gone, old))
        self.states.append(after)
        return None

    def select(self, prefix, start_after, revision):
        state = self.states[revision - 1]
        return [state[k] for k in sorted(state) if k.startswith(prefix) and k > start_after]


@dataclass
class Watcher:
    prefix: str
    since: int
    stream: object
    got: list[Event] = field(default_factory=list)


class StoreMachine(RuleBasedStateMachine):
    backend = ""

    @initialize()
    def open(self):
        self.directory = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.watchers = []
        self.open_store()

    def open_store(self):
        self.store = self.do(open_store(url(self.backend, Path(self.directory.name))))

    def do(self, operation):
        return self.loop.run_until_complete(asyncio.wait_for(operation, 2))

    def past(self, data):
        return data.draw(st.integers(0, self.model.revision + 1), label="revision")

    def expect_read(self, revision, read):
        """The answer, or None when the model says that there must be none and the store agrees."""
        if revision > self.model.revision:
            with pytest.raises(FutureRevision):
                self.do(read)
        elif 0 < revision < self.model.compacted:
            with pytest.raises(Compacted) as e:
                self.do(read)
            assert e.value.compacted == self.model.compacted
        else:
            return self.do(read)
        return None

    @rule(data=st.data(), keys=st.lists(KEYS, min_size=1, max_size=4, unique=True))
    def txn(self, data, keys):
        ops = [self.draw_op(data, key) for key in keys]
        failed = self.model.write(ops)
        if failed is None:
            assert self.do(self.store.txn(ops)) == self.model.revision
        else:
            with pytest.raises(Mismatch) as e:
                self.do(self.store.txn(ops))
            assert (e.value.key, e.value.current) == (failed, self.model.now.get(failed))

    def draw_op(self, data, key):
        current = self.model.now.get(key)
        has = current.revision if current else 0
        expected = {"none": None, "right": has, "wrong": has + 1, "absent": 0}[data.draw(EXPECTED, label="expected")]
        if data.draw(st.booleans(), label="put"):
            return Put(key, data.draw(st.binary(max_size=3), label="value"), expected=expected)
        return Delete(key, expected=expected or None)

    @rule(key=KEYS)
    def put_and_expire(self, key):
        async def put_and_wait():
            watch = self.store.watch(key)
            await self.store.txn([Put(key, b"short", ttl_seconds=0.0005)])
            while not (await anext(watch))[-1].deleted:
                pass
            await watch.aclose()

        self.model.write([Put(key, b"short")])
        self.model.write([Delete(key)])
        self.do(put_and_wait())

    @rule(data=st.data(), key=KEYS)
    def get(self, data, key):
        revision = self.past(data)
        read = self.expect_read(revision, self.store.get(key, revision=revision))
        if revision == 0 or self.model.compacted <= revision <= self.model.revision:
            assert read == self.model.states[revision - 1].get(key)

    @rule(data=st.data(), prefix=PREFIXES, start_after=st.one_of(st.just(""), KEYS), limit=st.integers(0, 4))
    def range(self, data, prefix, start_after, limit):
        revision = self.past(data)
        page = self.expect_read(
            revision, self.store.range(prefix, start_after=start_after, limit=limit, revision=revision)
        )
        if page is not None:
            at = revision or self.model.revision
            found = self.model.select(prefix, start_after, at)
            size = limit or len(found)
            assert (list(page.records), page.revision) == (found[:size], at)
            assert page.remaining == len(found[size:])

    @rule(prefix=PREFIXES)
    def count(self, prefix):
        assert self.do(self.store.count(prefix)) == len(self.model.select(prefix, "", self.model.revision))

    @rule(data=st.data())
    def compact(self, data):
        revision = data.draw(st.integers(1, self.model.revision + 1), label="compact")
        if revision > self.model.revision:
            with pytest.raises(FutureRevision):
                self.do(self.store.compact(revision))
        else:
            self.drain_all()
            self.do(self.store.compact(revision))
            self.model.compacted = max(self.model.compacted, revision)

    @rule(data=st.data(), prefix=PREFIXES)
    def watch(self, data, prefix):
        since = self.past(data)
        if 0 < since < self.model.compacted:
            with pytest.raises(Compacted):
                self.do(anext(self.store.watch(prefix, since=since)))
        else:
            stream = self.store.watch(prefix, since=since)
            self.watchers.append(Watcher(prefix, since or self.model.revision, stream))

    @rule()
    def drain_all(self):
        for watcher in self.watchers:
            self.drain(watcher)
        assert self.store.progress() == self.model.revision

    def drain(self, watcher):
        wanted = [
            e
            for e in self.model.events
            if e.record.revision > watcher.since and e.record.key.startswith(watcher.prefix)
        ]
        while len(watcher.got) < len(wanted):
            batch = self.do(anext(watcher.stream))
            assert batch, "an empty batch"
            assert not watcher.got or watcher.got[-1].record.revision < batch[0].record.revision, "a revision was split"
            watcher.got += batch
        assert watcher.got == wanted
        self.settle(watcher)

    def settle(self, watcher):
        """A watch that starts in the past learns that there is nothing more only by reading on; let it."""
        task = self.loop.create_task(anext(watcher.stream))
        while watcher.stream.handed < self.model.revision and not task.done():
            self.do(asyncio.sleep(0))
        assert not task.done()
        task.cancel()
        self.do(asyncio.wait([task]))

    @precondition(lambda self: self.backend == "sqlite")
    @rule()
    def restart(self):
        self.drain_all()
        for watcher in self.watchers:
            self.do(watcher.stream.aclose())
        self.watchers = []
        self.do(self.store.close())
        self.open_store()

    @invariant()
    def the_revision_is_the_models(self):
        if hasattr(self, "store"):
            assert self.store.revision == self.model.revision

    def teardown(self):
        if hasattr(self, "store"):
            self.drain_all()
            self.do(self.store.close())
            self.loop.close()
            self.directory.cleanup()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_store_behaves_as_its_model(backend):
    machine = type(f"{backend}Machine", (StoreMachine,), {"backend": backend})
    TestCase = machine.TestCase
    TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    TestCase("runTest").runTest()
