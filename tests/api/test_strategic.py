"""Strategic merge patch over real schemas: API docs "Update API Objects in Place Using kubectl patch"."""

import copy

import pytest

from skiff.api import schema
from skiff.api.errors import StatusError
from skiff.api.strategic import strategic_merge_patch

SCHEMAS = schema.load()
POD = SCHEMAS.node("io.k8s.api.core.v1.Pod")
DEPLOYMENT = SCHEMAS.node("io.k8s.api.apps.v1.Deployment")


def containers(*names, **more):
    return {"spec": {"containers": [{"name": n, **more} for n in names]}}


def finalizers(*names):
    return {"metadata": {"finalizers": list(names)}}


@pytest.mark.parametrize(
    "document, patch, expected",
    [
        pytest.param(
            containers("a", "b", image="x"),
            containers("b", image="y"),
            {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}},
            id="merges list elements by key",
        ),
        pytest.param(containers("a"), containers("b", "c"), containers("b", "c", "a"), id="what the patch names comes first"),
        pytest.param(
            containers("a", "b", "c"),
            {"spec": {"containers": [{"name": "b", "$patch": "delete"}]}},
            containers("a", "c"),
            id="deletes an element",
        ),
        pytest.param(
            containers("a", "b"),
            {"spec": {"containers": [{"name": "c"}, {"$patch": "replace"}]}},
            containers("c"),
            id="replaces a list",
        ),
        pytest.param(
            {"spec": {"nodeName": "n", "hostname": "h"}},
            {"spec": {"$patch": "replace", "hostname": "i"}},
            {"spec": {"hostname": "i"}},
            id="replaces an object",
        ),
        pytest.param({"spec": {"hostname": "h"}}, {"spec": {"$patch": "delete"}}, {"spec": {}}, id="empties an object"),
        pytest.param({"spec": {"hostname": "h"}}, {"spec": {"hostname": None}}, {"spec": {}}, id="null deletes"),
        pytest.param({}, {"spec": {"hostname": None, "nodeName": "n"}}, {"spec": {"nodeName": "n"}}, id="nulls of new objects vanish"),
        pytest.param(finalizers("a", "b"), finalizers("c", "a"), finalizers("c", "a", "b"), id="primitive lists merge"),
        pytest.param(
            finalizers("a", "b", "c"),
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c"]}},
            finalizers("b"),
            id="deletes from a primitive list",
        ),
        pytest.param(
            finalizers("a", "b", "c"),
            {"metadata": {"$setElementOrder/finalizers": ["c", "d", "a"], "finalizers": ["d"]}},
            finalizers("b", "c", "d", "a"),
            id="orders a primitive list",
        ),
        pytest.param(
            {"metadata": {"labels": {"a": "1", "b": "2"}}},
            {"metadata": {"labels": {"a": None, "c": "3"}}},
            {"metadata": {"labels": {"b": "2", "c": "3"}}},
            id="maps merge",
        ),
        pytest.param(
            {"spec": {"tolerations": [{"key": "a"}, {"key": "b"}]}},
            {"spec": {"tolerations": [{"key": "c"}]}},
            {"spec": {"tolerations": [{"key": "c"}]}},
            id="atomic lists replace",
        ),
        pytest.param(
            containers("a", "b", "c"),
            {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "d"}, {"name": "a"}], **containers("d")["spec"]}},
            containers("b", "c", "d", "a"),
            id="orders a list and keeps what the server added",
        ),
        pytest.param(
            containers("a", "b"),
            {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
            containers("b", "a"),
            id="orders a list without changing it",
        ),
        pytest.param(
            {"spec": {}},
            {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], **containers("b", "a")["spec"]}},
            containers("b", "a"),
            id="orders a new list",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
            {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}},
            {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}},
            id="retains only the keys named",
        ),
        pytest.param(
            {},
            {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"]}], "$setElementOrder/x": [], "$retainKeys": ["volumes"]}},
            {"spec": {"volumes": [{"name": "v"}]}},
            id="no directive remains in a new object",
        ),
        pytest.param({"spec": {"hostname": "h"}}, {"spec": None}, {}, id="null deletes an object"),
        pytest.param({"unknown": {"a": 1}}, {"unknown": {"b": 2}}, {"unknown": {"a": 1, "b": 2}}, id="unknown fields merge"),
    ],
)  # fmt: skip
def test_pods(document, patch, expected):
    before = copy.deepcopy((document, patch))
    assert strategic_merge_patch(document, patch, POD) == expected
    assert (document, patch) == before


def test_kubectl_set_image_and_strategy():
    """What `kubectl apply` sends when the strategy's type changes."""
    live = {
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": containers("web", image="a:1", imagePullPolicy="Always"),
        }
    }
    patch = {
        "spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "template": {
                "spec": {
                    "$setElementOrder/containers": [{"name": "web"}],
                    "containers": [{"name": "web", "image": "a:2"}],
                }
            },
        }
    }
    assert strategic_merge_patch(live, patch, DEPLOYMENT)["spec"] == {
        "strategy": {"type": "Recreate"},
        "template": containers("web", image="a:2", imagePullPolicy="Always"),
    }


@pytest.mark.parametrize(
    "document, patch, code, message",
    [
        pytest.param(
            {}, [], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}", id="no object"
        ),
        pytest.param({}, {"$patch": "x"}, 400, "unknown patch type: x in map: map[$patch:x]", id="unknown directive"),
        pytest.param(
            containers("a"),
            {"spec": {"containers": [{"image": "x"}]}},
            400,
            "map: map[image:x] does not contain declared merge key: name",
            id="no merge key",
        ),
        pytest.param(
            finalizers("a"),
            {"metadata": {"finalizers": [["a"]]}},
            422,
            "the server rejected our request due to an error in our request",
            id="lists of lists",
        ),
        pytest.param(
            finalizers("a"),
            {"metadata": {"finalizers": [1]}},
            400,
            "list element types are not identical: [[a] [1]]",
            id="mixed types",
        ),
        pytest.param(
            {"spec": {"a": 1}},
            {"spec": {"$retainKeys": ["b"], "c": 1}},
            400,
            "invalid patch format of retainKeys",
            id="a key that is not retained",
        ),
        pytest.param(
            finalizers("a"),
            {"metadata": {"$setElementOrder/finalizers": ["a"], "finalizers": ["b"]}},
            400,
            "The order in patch list:\n[b]\n doesn't match $setElementOrder list:\n[a]\n",
            id="an element that the order does not name",
        ),
        pytest.param(
            finalizers("a"),
            {"metadata": {"$setElementOrder/finalizers": "a"}},
            400,
            "invalid patch format of setElementOrder list",
            id="an order that is no list",
        ),
        pytest.param(
            finalizers("a"),
            {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
            400,
            "invalid patch format of primitive list",
            id="a deletion that is no list",
        ),
    ],
)
def test_mistakes(document, patch, code, message):
    with pytest.raises(StatusError) as raised:
        strategic_merge_patch(document, patch, POD)
    assert (raised.value.code, raised.value.message) == (code, message)


def test_custom_resources_have_no_strategic_merge():
    with pytest.raises(StatusError, match="strategic merge patch format is not supported"):
        strategic_merge_patch({}, {}, None)
