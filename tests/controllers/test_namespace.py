"""What is reported while a namespace is emptied. Source: upstream pkg/controller/namespace/deletion."""

from collections import Counter

import pytest

from skiff.controllers.namespace import Findings, grace_estimate, next_conditions, problems
from tests.controllers.builders import NOON, at, pod

CASES = [
    pytest.param(Findings(), {}, id="nothing wrong"),
    pytest.param(
        Findings(remaining={"pods.": 2, "deployments.apps": 1}),
        {
            "NamespaceContentRemaining": (
                "SomeResourcesRemain",
                "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances",
            )
        },
        id="content",
    ),
    pytest.param(
        Findings(finalizers=Counter({"example.com/x": 3})),
        {
            "NamespaceFinalizersRemaining": (
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: example.com/x in 3 resource instances",
            )
        },
        id="finalizers",
    ),
    pytest.param(
        Findings(errors=["b", "a"]),
        {
            "NamespaceDeletionContentFailure": (
                "ContentDeletionFailed",
                "Failed to delete all resource types, 2 remaining: a, b",
            )
        },
        id="refusals",
    ),
    pytest.param(
        Findings(stale=("metrics.k8s.io/v1beta1",)),
        {
            "NamespaceDeletionDiscoveryFailure": (
                "DiscoveryFailed",
                "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
                "metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1",
            )
        },
        id="an API that does not answer",
    ),
]


@pytest.mark.parametrize("found, expected", CASES)
def test_problems(found, expected):
    assert problems(found) == expected


def test_conditions_change_their_time_only_with_their_status():
    first = next_conditions([], {"NamespaceContentRemaining": ("SomeResourcesRemain", "two")}, NOON)
    assert len(first) == 5
    second = next_conditions(first, {"NamespaceContentRemaining": ("SomeResourcesRemain", "one")}, NOON + 5)
    third = next_conditions(second, {}, NOON + 9)

    def content(conditions):
        (found,) = (c for c in conditions if c["type"] == "NamespaceContentRemaining")
        return found["status"], found["message"], found["lastTransitionTime"]

    assert content(first) == ("True", "two", at(0))
    assert content(second) == ("True", "one", at(0))
    assert content(third) == ("False", "All content successfully removed", at(9))


def test_grace_is_that_of_the_slowest_pod_until_it_is_over():
    def p(name, seconds, **more):
        return pod(name, spec={"terminationGracePeriodSeconds": seconds}, **more)

    pods = [p("a", 30), p("b", 5), p("done", 900, phase="Succeeded")]
    assert grace_estimate(pods, NOON, NOON + 10) == 30
    assert grace_estimate(pods, NOON, NOON + 31) == 0
