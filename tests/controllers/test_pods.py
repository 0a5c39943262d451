"""Facts about pods, and who goes first. Source: upstream controller_utils.go, ActivePodsWithRanks."""

import pytest

from skiff.controllers.common import pods
from tests.controllers.builders import NOON, at, pod

COST = pods.DELETION_COST

ORDER = [
    pytest.param([pod("assigned"), pod("unassigned", node="")], ["unassigned", "assigned"], id="no node goes first"),
    pytest.param(
        [pod("running"), pod("unknown", phase="Unknown"), pod("pending", phase="Pending")],
        ["pending", "unknown", "running"],
        id="pending, then unknown, then running",
    ),
    pytest.param([pod("ready", ready=-60), pod("unready")], ["unready", "ready"], id="unready before ready"),
    pytest.param(
        [pod("cheap", ready=-60, annotations={COST: "-5"}), pod("free", ready=-3000)],
        ["cheap", "free"],
        id="a low deletion cost outweighs age",
    ),
    pytest.param(
        [pod("alone", ready=-60, node="n2"), pod("a", ready=-3000), pod("b", ready=-3000)],
        ["a", "b", "alone"],
        id="pods that share a node with siblings go before one that is alone",
    ),
    pytest.param(
        [pod("old", ready=-6000, node="a"), pod("young", ready=-60, node="b")],
        ["young", "old"],
        id="shortest ready first",
    ),
    pytest.param(
        [pod("z", ready=-61, node="a"), pod("b", ready=-60, node="b")],
        ["b", "z"],
        id="ages of the same magnitude count as equal and the uid decides",
    ),
    pytest.param(
        [
            pod("calm"),
            {**pod("restarting"), "status": {"phase": "Running", "containerStatuses": [{"restartCount": 3}]}},
        ],
        ["restarting", "calm"],
        id="more restarts go first",
    ),
    pytest.param(
        [pod("old", created=-6000, node="a"), pod("new", created=-60, node="b")],
        ["new", "old"],
        id="newest created first",
    ),
]


@pytest.mark.parametrize("given, expected", ORDER)
def test_deletion_order(given, expected):
    found = pods.deletion_order(given, given, NOON)
    assert [p["metadata"]["name"] for p in found] == expected


COSTS = [
    pytest.param("5", 5, id="a number"),
    pytest.param("-2147483648", -(2**31), id="the smallest"),
    pytest.param("2147483648", 0, id="too large counts as none"),
    pytest.param("+5", 0, id="a plus sign is refused"),
    pytest.param("05", 0, id="a leading zero is refused"),
    pytest.param("", 0, id="empty"),
    pytest.param("-", 0, id="a sign alone"),
]


@pytest.mark.parametrize("text, expected", COSTS)
def test_deletion_cost(text, expected):
    assert pods.deletion_cost(pod("a", annotations={COST: text})) == expected


def test_seconds_until_available_is_that_of_the_next_pod():
    given = [pod("a", ready=-7), pod("b", ready=-2), pod("c", ready=-20), pod("d")]
    assert pods.seconds_until_available(given, 10, NOON) == 3
    assert pods.seconds_until_available(given, 0, NOON) is None
    assert at(0) == "2026-01-01T12:00:00Z"
