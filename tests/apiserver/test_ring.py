"""The changes that a cache remembers: bounded by number, age and weight; what is dropped raises the floor."""

import pytest

from skiff.apiserver import ring
from skiff.apiserver.entries import Change, Entry
from skiff.apiserver.ring import BUDGET, FRESH_S, SOME, WARM, Ring


def change(revision, at=0.0, weight=0):
    old = Entry("", "x", revision - 1, b"x" * weight, {}, ()) if weight else None
    made = Change(revision, old, Entry("", "x", revision, b"", {}, ()), at)
    made.wires["x"] = b""
    return made


def filled(count, at=0.0, weight=0):
    made = Ring(1)
    for i in range(count):
        made.add(change(i + 2, at, weight))
    return made


def revisions(made, since=0):
    return [c.revision for c in made.since(since)]


def test_changes_since_a_revision():
    assert revisions(filled(5), 3) == [4, 5, 6]


def test_only_the_last_ones_stay_encoded():
    assert [bool(c.wires) for c in filled(WARM + 3).since(0)] == [False] * 3 + [True] * WARM


@pytest.mark.parametrize(
    "count, weight, later, kept",
    [
        pytest.param(SOME, 0, 10 * FRESH_S, SOME, id="some stay however old"),
        pytest.param(SOME * 4, 0, FRESH_S, SOME * 4, id="fresh ones stay"),
        pytest.param(SOME * 4, 0, FRESH_S + 1, SOME, id="others go with age"),
        pytest.param(20, BUDGET // 10, 0, 10, id="heavy ones go at once"),
        pytest.param(2, BUDGET + 1, 0, 0, id="even the last one"),
    ],
)
def test_what_is_kept(count, weight, later, kept):
    made = filled(count, weight=weight)
    made.trim(later)
    last = list(range(2, count + 2))[count - kept :]
    assert revisions(made) == last
    assert made.floor == (last[0] - 1 if last else count + 1)


def test_no_more_than_the_most(monkeypatch):
    monkeypatch.setattr(ring, "MOST", SOME + 10)
    assert len(filled(SOME + 50)) == SOME + 10


def test_trim_tells_whether_more_will_be_dropped_later():
    made = filled(SOME + 1)
    assert made.trim(FRESH_S)
    assert not made.trim(FRESH_S + 1)
    assert len(made) == SOME


def test_what_is_restored_comes_before_and_weighs():
    made = filled(2)
    made.restore([change(-3, weight=BUDGET), change(-2, weight=1)], -4)
    assert (revisions(made, -4), made.floor) == ([-3, -2, 2, 3], -4)
    made.add(change(4))
    assert (revisions(made), made.floor) == ([2, 3, 4], -3)
    assert revisions(made, -3) == [-2, 2, 3, 4]
