"""Which requests a webhook or a policy is about."""

import asyncio

import pytest

from skiff.api.errors import StatusError
from skiff.api.gvr import CONFIGMAPS, NAMESPACES, NODES, PODS
from skiff.api.types import GVR
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.matching import Criteria, Matcher
from skiff.apiserver.lookup import DictLookup
from skiff.wire.messages import UserInfo

V1 = GVR("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True)
V2 = GVR("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True)


def match(criteria, attrs):
    lookup = DictLookup()
    lookup.put(NAMESPACES, {"metadata": {"name": "blue", "labels": {"colour": "blue"}}}, {"metadata": {"name": "bare"}})
    matcher = Matcher(lookup, lambda gvr: [V1, V2] if gvr.group == "autoscaling" else [gvr])
    return asyncio.run(matcher.match(criteria, attrs))


def request(gvr=PODS, operation="CREATE", namespace="blue", **more):
    return Attributes(operation=operation, gvr=gvr, namespace=namespace, user=UserInfo("jane", ()), **more)


def webhook(groups=("",), versions=("v1",), resources=("pods",), operations=("CREATE",), scope="*", **more):
    rule = {
        "operations": [*operations],
        "apiGroups": [*groups],
        "apiVersions": [*versions],
        "resources": [*resources],
        "scope": scope,
    }
    return Criteria.of_webhook({"rules": [rule], **more})


EXEC = {"operation": "CONNECT", "subresource": "exec"}


@pytest.mark.parametrize(
    ("criteria", "attrs", "matches"),
    [
        (webhook(), request(), True),
        (webhook(), request(CONFIGMAPS), False),
        (webhook(), request(operation="UPDATE"), False),
        (webhook(operations=["*"]), request(**EXEC), False),
        (webhook(operations=["*"], resources=["pods/exec"]), request(**EXEC), True),
        (webhook(operations=["*"], resources=["pods/*"]), request(**EXEC), True),
        (webhook(resources=["*"]), request(subresource="status"), False),
        (webhook(resources=["*/*"]), request(subresource="status"), True),
        (webhook(resources=["*/*"]), request(), True),
        (webhook(resources=["*/status"]), request(), False),
        (webhook(groups=["apps"]), request(), False),
        (webhook(groups=["*"], versions=["*"], resources=["*"]), request(CONFIGMAPS), True),
        (webhook(versions=["v2"]), request(), False),
        (webhook(resources=["*"], scope="Namespaced"), request(), True),
        (webhook(resources=["*"], scope="Cluster"), request(), False),
        (webhook(resources=["*"], scope="Cluster"), request(NODES, namespace=""), True),
        (webhook(resources=["*"], scope="Namespaced"), request(NAMESPACES), False),
        (webhook(resources=["*"], scope="Cluster"), request(NAMESPACES), True),
        (Criteria.of_webhook({}), request(), False),
        (Criteria.of_resources({}), request(), True),
    ],
)
def test_rules(criteria, attrs, matches):
    assert match(criteria, attrs) == (attrs.gvr if matches else None)


def test_policies_name_objects_and_exclude():
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    named = Criteria.of_resources({"resourceRules": [{**rule, "resourceNames": ["a", "b"]}]})
    assert match(named, request(name="a")) == PODS
    assert match(named, request(name="c")) is None
    without = Criteria.of_resources(
        {"resourceRules": [rule], "excludeResourceRules": [{**rule, "resources": ["pods"]}]}
    )
    assert match(without, request()) is None
    assert match(without, request(CONFIGMAPS)) == CONFIGMAPS


def test_equivalent_versions():
    words = (["autoscaling"], ["v1"], ["horizontalpodautoscalers"])
    assert match(webhook(*words, matchPolicy="Exact"), request(V2)) is None
    assert match(webhook(*words, matchPolicy="Equivalent"), request(V2)) == V1
    assert match(webhook(*words, matchPolicy="Equivalent"), request(V1)) == V1


@pytest.mark.parametrize(
    ("attrs", "matches"),
    [
        (request(), True),
        (request(namespace="bare"), False),
        (request(NODES, namespace=""), True),  # of the cluster: no selector of namespaces leaves it out
        (request(NAMESPACES, namespace="new", obj={"metadata": {"labels": {"colour": "blue"}}}), True),
        (request(NAMESPACES, namespace="blue", operation="UPDATE", obj={"metadata": {}}), False),
        (request(NAMESPACES, namespace="blue", operation="DELETE"), True),
    ],
)
def test_selectors_of_namespaces(attrs, matches):
    criteria = webhook(resources=["*"], operations=["*"], namespaceSelector={"matchLabels": {"colour": "blue"}})
    assert (match(criteria, attrs) is not None) == matches


def test_a_missing_namespace_is_an_error_only_for_what_is_meant():
    criteria = webhook(namespaceSelector={"matchLabels": {"colour": "blue"}})
    with pytest.raises(StatusError) as e:
        match(criteria, request(namespace="gone"))
    assert e.value.message == 'namespaces "gone" not found'
    assert match(criteria, request(CONFIGMAPS, namespace="gone")) is None


def test_selectors_of_objects_look_at_both():
    criteria = webhook(operations=["*"], objectSelector={"matchExpressions": [{"key": "x", "operator": "Exists"}]})
    marked, plain = {"metadata": {"labels": {"x": ""}}}, {"metadata": {"name": "p"}}
    assert match(criteria, request(obj=plain)) is None
    assert match(criteria, request(obj=marked)) == PODS
    assert match(criteria, request(operation="UPDATE", obj=plain, old=marked)) == PODS
    assert match(criteria, request(operation="DELETE", old=marked)) == PODS
    assert match(criteria, request(operation="DELETE")) is None
