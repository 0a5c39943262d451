"""Which pods are removed by force. Source: upstream pkg/controller/podgc."""

import pytest

from skiff.controllers.podgc import plan
from tests.controllers.builders import NOON, at, node, pod

OUT = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
NODES = {"n1": node("n1"), "sick": node("sick", ready="Unknown"), "out": node("out", ready="Unknown", taints=[OUT])}
DYING = {"deletionTimestamp": at(0)}


def evicted(name, created=0):
    found = pod(name, phase="Failed", created=created)
    found["status"]["reason"] = "Evicted"
    return found


CASES = [
    pytest.param([pod("a"), pod("b", **DYING)], [], [], id="the kubelet's own business"),
    pytest.param([pod("a", node="", **DYING), pod("b", node="")], ["a"], [], id="deleted before it was scheduled"),
    pytest.param([pod("a", node="out", **DYING), pod("b", node="out")], ["a"], [], id="on a node out of service"),
    pytest.param([pod("a", node="sick", **DYING)], [], [], id="a lost node alone is not enough"),
    pytest.param([pod("a", node="gone"), pod("b", node="new")], [], ["a"], id="its node has been missing for long"),
    pytest.param(
        [evicted("e", 9), pod("old", phase="Succeeded", created=1), pod("x", phase="Failed", created=5), pod("run")],
        ["e", "old"],
        [],
        id="finished beyond the number: evicted first, then the oldest",
    ),
]


@pytest.mark.parametrize("pods, removed, orphaned", CASES)
def test_plan(pods, removed, orphaned):
    found = plan(pods, NODES, {"gone": NOON - 40, "new": NOON - 39}, 1, NOON)
    assert [p["metadata"]["name"] for p in found.remove] == removed
    assert [p["metadata"]["name"] for p in found.orphaned] == orphaned
