"""In-place resize: which containers get new limits, which are restarted, which are left alone."""

from dataclasses import replace

import pytest

from skiff.kubelet.resize import Limits
from skiff.kubelet.runtime import Container

MEMORY = 8 << 30


def pod(cpu: str = "100m", memory: str = "64Mi", *, generation: int = 1, policy: dict[str, str] | None = None):
    policies = [{"resourceName": k, "restartPolicy": v} for k, v in (policy or {}).items()]
    container = {"name": "c", "resources": {"limits": {"cpu": cpu, "memory": memory}}, "resizePolicy": policies}
    meta = {"name": "p", "namespace": "n", "uid": "u", "generation": generation}
    return {"metadata": meta, "spec": {"containers": [container]}}


RUNNING = Container(id="1", sandbox_id="s", name="c", pod_uid="u", attempt=0, state="running", created=0.0)


def test_a_container_of_an_unchanged_pod_is_left_alone():
    assert Limits().changes(pod(), [RUNNING], MEMORY) == []


def test_after_a_restart_of_the_kubelet_limits_are_written_once_more():
    limits = Limits()
    (change,) = limits.changes(pod(generation=2), [RUNNING], MEMORY)
    assert not change.restart
    limits.gave(change)
    assert limits.changes(pod(generation=2), [RUNNING], MEMORY) == []


@pytest.mark.parametrize(
    ("cpu", "memory", "policy", "restart"),
    [
        pytest.param("200m", "64Mi", None, False, id="more cpu comes without a restart"),
        pytest.param("100m", "32Mi", None, False, id="less memory comes without a restart"),
        pytest.param("200m", "64Mi", {"cpu": "RestartContainer"}, True, id="cpu by a restart, as asked for"),
        pytest.param(
            "200m", "64Mi", {"memory": "RestartContainer"}, False, id="the other resource's policy is nothing"
        ),
        pytest.param("100m", "128Mi", {"memory": "RestartContainer"}, True, id="memory by a restart, as asked for"),
        pytest.param("100m", "128Mi", {"memory": "NotRequired"}, False, id="no restart is required"),
    ],
)
def test_changed_limits(cpu, memory, policy, restart):
    limits = Limits()
    limits.changes(pod(), [RUNNING], MEMORY)
    (change,) = limits.changes(pod(cpu, memory, generation=2, policy=policy), [RUNNING], MEMORY)
    assert change.restart is restart
    assert change.limits.memory_limit in (32 << 20, 64 << 20, 128 << 20)


def test_what_failed_is_tried_again_and_what_was_given_is_not():
    limits = Limits()
    limits.changes(pod(), [RUNNING], MEMORY)
    bigger = pod("200m", generation=2)
    (first,) = limits.changes(bigger, [RUNNING], MEMORY)
    (again,) = limits.changes(bigger, [RUNNING], MEMORY)
    assert first == again
    limits.gave(again)
    assert limits.changes(bigger, [RUNNING], MEMORY) == []


def test_a_container_that_the_pod_does_not_name_is_left_alone():
    assert Limits().changes(pod(generation=2), [replace(RUNNING, name="other")], MEMORY) == []
