"""Sums over containers and the QoS class: component-helpers/resource and pkg/apis/core/v1/helper/qos."""

import pytest

from skiff.api.podresources import pod_limits, pod_requests, qos_class
from skiff.api.quantity import parse


def container(requests=None, limits=None, **more):
    resources = {k: v for k, v in (("requests", requests), ("limits", limits)) if v}
    return {"name": more.pop("name", "c"), "resources": resources, **more}


def pod(*containers, init=(), **spec):
    return {"spec": {"containers": list(containers), "initContainers": list(init), **spec}}


def cpu(n, **more):
    return container({"cpu": n}, {"cpu": n}, **more)


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    "obj, requests, limits",
    [
        pytest.param(pod(container()), {}, {}, id="nothing"),
        pytest.param(pod(cpu("1"), cpu("250m")), "1250m", "1250m", id="containers add up"),
        pytest.param(pod(cpu("1"), init=[cpu("3"), cpu("2")]), "3", "3", id="the largest init container"),
        pytest.param(pod(cpu("1"), init=[cpu("2", **SIDECAR)]), "3", "3", id="a sidecar adds up"),
        pytest.param(
            pod(cpu("1"), init=[cpu("5"), cpu("2", **SIDECAR), cpu("4")]), "6", "6", id="an init container beside a sidecar"
        ),
        pytest.param(pod(cpu("1"), overhead={"cpu": "10m"}), "1010m", "1010m", id="overhead"),
        pytest.param(
            pod(cpu("1"), resources={"requests": {"cpu": "3"}, "limits": {"cpu": "4"}}), "3", "4", id="pod level"
        ),
    ],
)  # fmt: skip
def test_sums(obj, requests, limits):
    expected = [{"cpu": parse(x)} if x else {} for x in (requests, limits)]
    assert [pod_requests(obj), pod_limits(obj)] == expected


def test_overhead_without_a_limit_is_only_requested():
    obj = pod(container(), overhead={"cpu": "10m"})
    assert pod_requests(obj) == {"cpu": parse("10m")}
    assert pod_limits(obj) == {}
    assert pod_requests(obj, overhead=False) == {}


def test_defaults_for_containers_that_name_nothing():
    obj = pod(container({"cpu": "0"}), container())
    assert pod_requests(obj, defaults={"cpu": parse("100m")}) == {"cpu": parse("100m")}


def test_during_a_resize_the_larger_amount_counts():
    obj = pod(cpu("1"))
    actual = {"name": "c", "resources": {"requests": {"cpu": "2"}}, "allocatedResources": {"cpu": "3"}}
    obj["status"] = {"containerStatuses": [actual]}
    assert pod_requests(obj, use_status=True) == {"cpu": parse("3")}
    assert pod_requests(obj) == {"cpu": parse("1")}
    obj["status"]["conditions"] = [{"type": "PodResizePending", "reason": "Infeasible"}]
    obj["spec"]["containers"] = [cpu("9")]
    assert pod_requests(obj, use_status=True) == {"cpu": parse("3")}


FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    "obj, expected",
    [
        pytest.param(pod(container()), "BestEffort", id="nothing"),
        pytest.param(pod(container({"cpu": "0"})), "BestEffort", id="zero is nothing"),
        pytest.param(pod(container({"hugepages-2Mi": "2Mi"})), "BestEffort", id="other resources do not count"),
        pytest.param(pod(container(FULL, FULL)), "Guaranteed", id="requests equal limits"),
        pytest.param(pod(container(FULL, {**FULL, "cpu": "2"})), "Burstable", id="a larger limit"),
        pytest.param(pod(container(FULL, FULL), container()), "Burstable", id="one container without"),
        pytest.param(pod(container(FULL, FULL), init=[container()]), "Burstable", id="an init container without"),
        pytest.param(pod(container(None, FULL)), "Burstable", id="limits only, not defaulted"),
        pytest.param(pod(container(), resources={"requests": FULL, "limits": FULL}), "Guaranteed", id="pod level"),
        pytest.param(pod(container(FULL, FULL), resources={"requests": FULL}), "Burstable", id="pod level requests"),
    ],
)
def test_qos_class(obj, expected):
    assert qos_class(obj) == expected
