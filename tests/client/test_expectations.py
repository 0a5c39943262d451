import asyncio

import pytest

from skiff.client.expectations import Expectations

pytestmark = pytest.mark.virtual


@pytest.mark.parametrize(
    "creations, deletions, seen_created, seen_deleted, expected",
    [
        pytest.param(0, set(), 0, [], True, id="nothing written"),
        pytest.param(2, set(), 1, [], False, id="one creation not seen"),
        pytest.param(2, set(), 2, [], True, id="both seen"),
        pytest.param(0, {"u"}, 0, ["other"], False, id="another one's deletion does not count"),
        pytest.param(0, {"u"}, 0, ["u", "u"], True, id="a deletion seen twice counts once"),
    ],
)
async def test_satisfied(creations, deletions, seen_created, seen_deleted, expected):
    e = Expectations()
    e.expect("k", creations=creations, deletions=deletions)
    for _ in range(seen_created):
        e.creation_observed("k")
    for uid in seen_deleted:
        e.deletion_observed("k", uid)
    assert e.satisfied("k") is expected


async def test_a_missed_event_is_not_waited_for_for_ever():
    e = Expectations()
    e.expect("k", creations=1)
    await asyncio.sleep(299)
    assert not e.satisfied("k")
    await asyncio.sleep(2)
    assert e.satisfied("k")
