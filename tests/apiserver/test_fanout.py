"""Fan-out: who wants the same is asked once; streams are woken together, and rest as long as that has taken times REST."""

import pytest

from skiff.apiserver import fanout
from skiff.apiserver.entries import Change, Entry
from skiff.apiserver.fanout import ALL, MOST_REST_S, REST, SLICE, Fanout, Interest, Waker, Watcher


class Loop:
    """Its time passes by `cost` with each stream that is woken."""

    def __init__(self):
        self.now = 0.0
        self.soon = []
        self.later = []

    def time(self):
        return self.now

    def call_soon(self, callback):
        self.soon.append(callback)

    def call_later(self, delay, callback):
        self.later.append((round(delay, 6), callback))

    def turn(self):
        """What is ready now; what that makes ready is for the next turn."""
        ready, self.soon = self.soon, []
        for callback in ready:
            callback()

    def rest(self):
        """Until the only timer is due. Its delay."""
        ((delay, callback),), self.later = self.later, []
        self.now += delay
        callback()
        return delay


@pytest.fixture
def loop(monkeypatch):
    loop = Loop()
    monkeypatch.setattr(fanout.asyncio, "get_running_loop", lambda: loop)
    return loop


class Woken(Watcher):
    """Counts, and takes `cost` seconds each time."""

    def __init__(self, loop, waker, cost=0.0, key="same", matches=None, encode=None):
        interest = Interest(key, matches=matches, encode=encode or (lambda kind, entry: kind.encode()), view=None)
        super().__init__(ALL, interest, waker, lambda w: None)
        self.loop, self.cost, self.woken = loop, cost, 0

    def wake(self):
        super().wake()
        self.woken += 1
        self.loop.now += self.cost


def test_events_that_come_before_the_streams_are_woken_go_together(loop):
    waker = Waker()
    watchers = [Woken(loop, waker) for _ in range(3)]
    for _ in range(5):
        for watcher in watchers:
            watcher.push(b"x")
    loop.turn()
    assert [w.woken for w in watchers] == [1, 1, 1]


@pytest.mark.parametrize(
    "cost, expected",
    [
        pytest.param(0.0001, 10 * 0.0001 * REST, id="in proportion to what the last waking took"),
        pytest.param(1.0, MOST_REST_S, id="but not for long"),
        pytest.param(0.0, 0.0, id="not at all after nothing"),
    ],
)
def test_streams_rest_after_they_were_woken(loop, cost, expected):
    waker = Waker()
    watchers = [Woken(loop, waker, cost) for _ in range(10)]
    for watcher in watchers:
        watcher.push(b"x")
    loop.turn()
    watchers[0].push(b"y")
    loop.turn()
    assert watchers[0].woken == 1
    assert loop.rest() == pytest.approx(expected)
    assert watchers[0].woken == 2


def test_after_a_rest_without_events_the_next_one_is_sent_at_once(loop):
    waker = Waker()
    watcher = Woken(loop, waker, 0.001)
    watcher.push(b"x")
    loop.turn()
    loop.turn()
    loop.rest()
    watcher.push(b"y")
    loop.turn()
    assert (watcher.woken, loop.later) == (2, [])


def test_many_streams_are_woken_in_slices_between_which_others_get_their_turn(loop):
    waker = Waker()
    watchers = [Woken(loop, waker) for _ in range(SLICE * 2 + 1)]
    for watcher in watchers:
        watcher.push(b"x")
    counts = []
    while loop.soon:
        loop.turn()
        counts.append(sum(w.woken for w in watchers))
    assert sorted(set(counts)) == [SLICE, SLICE * 2, SLICE * 2 + 1]


def entry(name):
    return Entry("default", name, 1, b"{}", {}, ())


def test_who_wants_the_same_is_asked_once(loop):
    asked, encoded = [], []

    def matches(found):
        asked.append(found.name)
        return found.name != "b"

    def encode(kind, found):
        encoded.append((kind, found.name))
        return found.name.encode()

    waker, filed = Waker(), Fanout(())
    alike = [Woken(loop, waker, matches=matches, encode=encode) for _ in range(3)]
    other = Woken(loop, waker, key="other", encode=encode)
    for watcher in (*alike, other):
        filed.add(watcher)
    filed.offer(Change(2, None, entry("a"), 0.0))
    filed.offer(Change(3, None, entry("b"), 0.0))
    assert [list(w._queue) for w in alike] == [[b"a"]] * 3
    assert list(other._queue) == [b"a", b"b"]
    assert (asked, encoded) == (["a", "b"], [("ADDED", "a"), ("ADDED", "b")])
    for watcher in (*alike, other, other):
        filed.discard(watcher)
    assert (filed.count, filed._slots) == (0, {})
