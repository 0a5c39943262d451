"""How long pods may stay. Source: upstream pkg/controller/tainteviction, component-helpers TolerationToleratesTaint."""

import pytest

from skiff.controllers.tainteviction import seconds_allowed
from tests.controllers.builders import pod

LOST = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
DISK = {"key": "disk", "value": "slow", "effect": "NoExecute"}
DEFAULT = {"key": LOST["key"], "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}

ALLOWED = [
    pytest.param([], [], None, id="no taint, no limit"),
    pytest.param([], [LOST], 0, id="not tolerated: at once"),
    pytest.param([DEFAULT], [LOST], 300, id="the default toleration: five minutes"),
    pytest.param([{"operator": "Exists"}], [LOST, DISK], None, id="everything tolerated: forever"),
    pytest.param([DEFAULT], [LOST, DISK], 0, id="one of two not tolerated"),
    pytest.param([DEFAULT, {"key": "disk", "value": "slow"}], [LOST, DISK], 300, id="the shortest counts"),
    pytest.param([{"key": "disk", "value": "fast"}], [DISK], 0, id="another value"),
    pytest.param([{**DEFAULT, "tolerationSeconds": -1}], [LOST], 0, id="a negative time is none"),
    pytest.param([{**DEFAULT, "effect": "NoSchedule"}], [LOST], 0, id="another effect"),
]


@pytest.mark.parametrize("tolerations, taints, expected", ALLOWED)
def test_seconds_allowed(tolerations, taints, expected):
    assert seconds_allowed(pod("p", spec={"tolerations": tolerations}), taints) == expected
