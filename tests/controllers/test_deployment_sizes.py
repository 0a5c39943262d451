"""Sizes in a rollout and in scaling. Source: upstream deployment/rolling_test.go and sync_test.go for the situations."""

import pytest

from skiff.controllers.deployment.sizes import (
    DESIRED,
    MAXIMUM,
    Scale,
    active_or_latest,
    fenceposts,
    is_scaling,
    new_replicas,
    plan_rolling,
    plan_scaling,
)
from tests.controllers.builders import deployment, replica_set

FENCEPOSTS = [
    pytest.param(2, "0%", "1%", (0, 1), id="rounding down to nothing leaves one unavailable"),
    pytest.param(2, "1%", "25%", (1, 0), id="surge is rounded up"),
    pytest.param(10, "25%", "25%", (3, 2), id="the defaults"),
    pytest.param(10, 2, 3, (2, 3), id="plain numbers"),
]


@pytest.mark.parametrize("replicas, surge, unavailable, expected", FENCEPOSTS)
def test_fenceposts(replicas, surge, unavailable, expected):
    assert fenceposts(deployment(replicas, surge=surge, unavailable=unavailable)) == expected


NEW_SIZES = [
    pytest.param(1, 10, 0, 1, id="grows by the surge when the old set is full"),
    pytest.param(1, 5, 0, 6, id="takes the room that is there"),
    pytest.param(2, 7, 0, 5, id="counts surge on top of the room"),
    pytest.param(2, 15, 3, 3, id="cannot grow beyond the limit"),
    pytest.param(5, 2, 0, 10, id="never exceeds what is wanted"),
]


@pytest.mark.parametrize("surge, everything, current, expected", NEW_SIZES)
def test_new_replicas(surge, everything, current, expected):
    assert new_replicas(deployment(10, surge=surge, unavailable=0), everything, current) == expected


ROLLING = [
    pytest.param(replica_set("new", 0), [replica_set("old", 10)], [Scale("new", 3)], id="first the new set grows"),
    pytest.param(
        replica_set("new", 3, available=0), [replica_set("old", 10)], [Scale("old", 8)], id="then the old one shrinks"
    ),
    pytest.param(
        replica_set("new", 5, available=0), [replica_set("old", 8)], [], id="waits while the new pods are not available"
    ),
    pytest.param(
        replica_set("new", 5, available=0),
        [replica_set("old", 8, available=6)],
        [],
        id="a node that fails in between does not cost more pods",
    ),
    pytest.param(
        replica_set("new", 3, available=3),
        [replica_set("old", 10, available=6)],
        [Scale("old", 6), Scale("old", 5)],
        id="unavailable old pods go first, then as many as may",
    ),
    pytest.param(
        replica_set("new", 3, available=3),
        [replica_set("b", 5, created=2), replica_set("a", 5, created=1)],
        [Scale("a", 0)],
        id="the oldest set shrinks first",
    ),
    pytest.param(replica_set("new", 12), [], [Scale("new", 10)], id="a new set that is too large shrinks"),
    pytest.param(replica_set("new", 10), [replica_set("old", 0)], [], id="done"),
]


@pytest.mark.parametrize("new, old, expected", ROLLING)
def test_rolling_step(new, old, expected):
    assert plan_rolling(deployment(10), new, old) == expected


@pytest.mark.parametrize("surge, unavailable", [(1, 0), (0, 1), ("25%", "25%"), ("100%", 0), (0, "50%"), (3, 2)])
@pytest.mark.parametrize("replicas", [1, 2, 3, 10, 17])
def test_a_rollout_never_leaves_its_limits_and_ends(replicas, surge, unavailable):
    """Every new pod becomes available after a step; every old pod given up is gone at once."""
    wanted = deployment(replicas, surge=surge, unavailable=unavailable)
    most, least = fenceposts(wanted)
    sizes = {"old": replicas, "new": 0}
    for _ in range(4 * replicas + 4):
        new, old = replica_set("new", sizes["new"]), replica_set("old", sizes["old"])
        steps = plan_rolling(wanted, new, [old])
        if not steps:
            break
        grown = max(0, *(s.replicas - sizes["new"] for s in steps if s.name == "new"), 0)
        for step in steps:
            sizes[step.name] = step.replicas
        assert sum(sizes.values()) <= replicas + most
        assert sum(sizes.values()) - grown >= replicas - min(least, replicas)
    assert sizes == {"old": 0, "new": replicas}


def sized(name, replicas, *, of, up_to, **more):
    return replica_set(name, replicas, annotations={DESIRED: str(of), MAXIMUM: str(up_to)}, **more)


def test_is_scaling_only_when_the_remembered_size_differs():
    assert is_scaling(deployment(10), [sized("a", 5, of=8, up_to=8)])
    assert not is_scaling(deployment(10), [sized("a", 5, of=10, up_to=13), sized("b", 0, of=3, up_to=3)])
    assert not is_scaling(deployment(10), [replica_set("a", 5), replica_set("b", 5, annotations={DESIRED: "x"})])


def s(name, replicas):
    return Scale(name, replicas, always=True)


SCALING = [
    pytest.param(12, None, [replica_set("a", 10)], [Scale("a", 12)], id="the only active set takes all"),
    pytest.param(
        5, replica_set("n", 0), [replica_set("a", 0)], [Scale("n", 5)], id="without an active one the new set"
    ),
    pytest.param(10, replica_set("n", 10), [replica_set("a", 0)], [], id="nothing to do"),
    pytest.param(
        10,
        sized("n", 10, of=10, up_to=13),
        [replica_set("a", 3)],
        [Scale("a", 0)],
        id="a saturated new set ends the old ones",
    ),
    pytest.param(
        20,
        sized("n", 5, of=10, up_to=10),
        [sized("a", 5, of=10, up_to=10)],
        [s("n", 10), s("a", 10)],
        id="two equal sets share equally",
    ),
    pytest.param(
        12,
        sized("n", 4, of=10, up_to=10, created=2),
        [sized("a", 6, of=10, up_to=10, created=1)],
        [s("a", 7), s("n", 5)],
        id="shares follow the sizes",
    ),
    pytest.param(
        4,
        sized("n", 1, of=11, up_to=11, created=3),
        [sized("a", 5, of=11, up_to=11, created=1), sized("b", 5, of=11, up_to=11, created=2)],
        [s("a", 2), s("b", 2), s("n", 0)],
        id="shrinking takes from the largest and oldest what rounding leaves",
    ),
    pytest.param(
        0,
        sized("n", 4, of=10, up_to=10),
        [sized("a", 6, of=10, up_to=10)],
        [s("a", 0), s("n", 0)],
        id="to nothing",
    ),
]


@pytest.mark.parametrize("replicas, new, old, expected", SCALING)
def test_scaling(replicas, new, old, expected):
    assert plan_scaling(deployment(replicas, surge=0, unavailable=1), new, old) == expected


def test_active_or_latest_prefers_the_newest_of_empty_sets():
    old = [replica_set("a", 0, created=1), replica_set("b", 0, created=2)]
    found = active_or_latest(None, old)
    assert found is not None and found["metadata"]["name"] == "b"
    assert active_or_latest(None, []) is None
