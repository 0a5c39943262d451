"""Revisions of a deployment. Source: upstream deployment/util/deployment_util_test.go for the situations."""

import pytest

from skiff.controllers.common.templates import compute_hash, equal_ignoring_hash
from skiff.controllers.deployment import revision as rev
from tests.controllers.builders import deployment, replica_set, template

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

ANNOTATIONS = [
    pytest.param({}, 1, {"team": "x", rev.REVISION: "1"}, id="a new set gets the first revision and what is copied"),
    pytest.param(
        {rev.REVISION: "1"},
        4,
        {"team": "x", rev.REVISION: "4", rev.HISTORY: "1"},
        id="a set that comes back remembers its former revision",
    ),
    pytest.param(
        {rev.REVISION: "4", rev.HISTORY: "1"},
        6,
        {"team": "x", rev.REVISION: "6", rev.HISTORY: "1,4"},
        id="and all of them",
    ),
    pytest.param({rev.REVISION: "5"}, 3, {"team": "x", rev.REVISION: "5"}, id="a revision is never lowered"),
    pytest.param({rev.REVISION: "odd"}, 3, {rev.REVISION: "odd"}, id="what is no number is left alone"),
]


@pytest.mark.parametrize("present, number, expected", ANNOTATIONS)
def test_annotations(present, number, expected):
    d = deployment(annotations={"team": "x", LAST_APPLIED: "{}", rev.REVISION: "9"})
    assert rev.new_annotations(d, present, number) == expected


def test_history_drops_the_oldest_when_it_gets_too_long():
    long = ",".join(str(n) for n in range(1000, 1400))
    found = rev.new_annotations(deployment(), {rev.REVISION: "1400", rev.HISTORY: long}, 1500)[rev.HISTORY]
    assert len(found) <= rev.HISTORY_LENGTH and found.endswith("1399,1400") and not found.startswith("1000")


def test_the_new_set_is_the_oldest_with_the_template():
    sets = [replica_set("c", 1, created=3), replica_set("b", 1, created=2), replica_set("x", 1, image="b", created=1)]
    found = rev.find_new(deployment(), sets)
    assert found is not None and found["metadata"]["name"] == "b"
    assert rev.find_new(deployment(image="z"), sets) is None
    assert [s["metadata"]["name"] for s in rev.find_old(sets, found)] == ["c", "x"]


def test_new_set_is_complete():
    made = rev.new_set(deployment(10, minReadySeconds=5), [replica_set("old", 10, image="b")], 2)
    name = made["metadata"]["name"]
    template_hash = name.removeprefix("web-")
    assert template_hash == compute_hash(template())
    assert made["metadata"]["labels"] == {"app": "web", "pod-template-hash": template_hash}
    assert made["metadata"]["annotations"] == {
        rev.REVISION: "2",
        "deployment.kubernetes.io/desired-replicas": "10",
        "deployment.kubernetes.io/max-replicas": "13",
    }
    assert made["spec"]["replicas"] == 3
    assert made["spec"]["minReadySeconds"] == 5
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": template_hash}}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-web"


def test_long_names_are_cut_so_that_the_hash_fits():
    assert len(rev.set_name("d" * 253, "abcdefghij")) == 253
    assert rev.set_name("web", "abc") == "web-abc"


def test_history_limit_spares_what_is_not_empty_and_settled():
    old = [
        replica_set("a", 0, annotations={rev.REVISION: "1"}),
        replica_set("b", 0, annotations={rev.REVISION: "2"}, status={"replicas": 1, "observedGeneration": 1}),
        replica_set("c", 0, annotations={rev.REVISION: "3"}),
        replica_set("d", 0, annotations={rev.REVISION: "10"}),
    ]

    def names(limit):
        d = deployment(revisionHistoryLimit=limit)
        return [s["metadata"]["name"] for s in rev.surplus_history(d, reversed(old))]

    assert names(1) == ["a", "c"]
    assert names(3) == ["a"]
    assert names(2**31 - 1) == []


SAME = [
    pytest.param(template(), template(**{"pod-template-hash": "x"}), True, id="the hash label does not count"),
    pytest.param(template(), template("b"), False, id="another image does"),
    pytest.param(
        template(),
        {
            "metadata": {**template()["metadata"], "annotations": {}, "creationTimestamp": None},
            "spec": template()["spec"],
        },
        True,
        id="empty means absent",
    ),
    pytest.param(
        {"metadata": {}, "spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
        {"metadata": {}, "spec": {"volumes": [{"name": "v"}]}},
        False,
        id="an empty emptyDir is not nothing",
    ),
]


@pytest.mark.parametrize("a, b, expected", SAME)
def test_equal_templates(a, b, expected):
    assert equal_ignoring_hash(a, b) is expected


def test_a_collision_count_gives_another_hash_in_the_safe_alphabet():
    hashes = {compute_hash(template(), count) for count in (None, 0, 1, 2)}
    assert len(hashes) == 4
    assert set("".join(hashes)) <= set("bcdfghjklmnpqrstvwxz2456789")
