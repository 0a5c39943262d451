"""What webhooks are asked: about which requests, and in which form. Taken from the reviews that kube-apiserver v1.36 sends."""

from typing import Any

import pytest

from skiff.wire.messages import UserInfo
from tests.apiserver.apiextensions.builders import FOOS, SUBRESOURCES, definition, established, foo, schema, version
from tests.apiserver.webhooks.world import GROUP, MAPS, MERGE, NAMESPACE, allow, config_map, pod, run

EVERYTHING = {"objectSelector": {}}
DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BINDING = {"metadata": {"name": "p"}, "target": {"name": "n1", "kind": "Node"}}
EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
CREATE = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
UPDATE = {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}
DELETE = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}


def gvk(group: str, version: str, kind: str) -> Any:
    return {"group": group, "version": version, "kind": kind}


def gvr(group: str, version: str, resource: str) -> Any:
    return {"group": group, "version": version, "resource": resource}


PODS, CONFIG_MAPS = gvr("", "v1", "pods"), gvr("", "v1", "configmaps")
POD, CONFIG_MAP, SCALE = gvk("", "v1", "Pod"), gvk("", "v1", "ConfigMap"), gvk("autoscaling", "v1", "Scale")


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
def test_a_whole_review(kind):
    async def main(world):
        world.api.user = UserInfo("alice", ("system:masters", "devs"), "u-1", {"scopes": ("a", "b")})
        await world.install(kind, world.hook())
        await world("POST", f"{MAPS}?fieldManager=me&fieldValidation=Strict&dryRun=All", config_map())
        ((path, query, review),) = world.seen
        request = review.pop("request")
        obj = request.pop("object")
        assert (path, query) == ("/", "timeout=5s")
        assert review == {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
        assert len(request.pop("uid")) == 36
        assert request == {
            "kind": CONFIG_MAP,
            "resource": CONFIG_MAPS,
            "requestKind": CONFIG_MAP,
            "requestResource": CONFIG_MAPS,
            "name": "m",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {
                "username": "alice",
                "uid": "u-1",
                "groups": ["system:masters", "devs"],
                "extra": {"scopes": ["a", "b"]},
            },
            "oldObject": None,
            "dryRun": True,
            "options": {**CREATE, "dryRun": ["All"], "fieldManager": "me", "fieldValidation": "Strict"},
        }
        assert (obj["kind"], obj["apiVersion"], obj["data"]) == ("ConfigMap", "v1", {"a": "b"})
        assert ("uid" in obj["metadata"]) == (kind == "Validating"), "who validates sees what will be stored"

    run(main)


CONNECT = ("CONNECT", "p", None)
SENT = {
    "status": (
        ("PATCH", "pods/p/status", {"status": {"phase": "Running"}}),
        ("UPDATE", "p", UPDATE, POD, PODS, "status", ("Pod", "Pod")),
    ),
    "ephemeral containers": (
        ("PATCH", "pods/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}}),
        ("UPDATE", "p", UPDATE, POD, PODS, "ephemeralcontainers", ("Pod", "Pod")),
    ),
    "binding": (
        ("POST", "pods/p/binding", BINDING),
        ("CREATE", "p", CREATE, gvk("", "v1", "Binding"), PODS, "binding", ("Binding", None)),
    ),
    "bindings": (
        ("POST", "bindings", BINDING),
        ("CREATE", "p", CREATE, gvk("", "v1", "Binding"), gvr("", "v1", "bindings"), None, ("Binding", None)),
    ),
    "eviction, and no deletion": (
        ("POST", "pods/p/eviction", EVICTION),
        ("CREATE", "p", CREATE, gvk("policy", "v1", "Eviction"), PODS, "eviction", ("Eviction", None)),
    ),
    "older eviction": (
        ("POST", "pods/p/eviction", {**EVICTION, "apiVersion": "policy/v1beta1"}),
        ("CREATE", "p", CREATE, gvk("policy", "v1", "Eviction"), PODS, "eviction", ("Eviction", None)),
    ),
    "exec": (
        ("POST", "pods/p/exec?command=ls&command=-l&stdin=true&stdout=1&container=c&tty=false", None),
        (
            *CONNECT,
            gvk("", "v1", "PodExecOptions"),
            PODS,
            "exec",
            (
                {
                    "kind": "PodExecOptions",
                    "apiVersion": "v1",
                    "command": ["ls", "-l"],
                    "stdin": True,
                    "stdout": True,
                    "container": "c",
                },
                None,
            ),
        ),
    ),
    "attach": (
        ("POST", "pods/p/attach?stdin=true&stderr=true", None),
        (
            *CONNECT,
            gvk("", "v1", "PodAttachOptions"),
            PODS,
            "attach",
            ({"kind": "PodAttachOptions", "apiVersion": "v1", "stdin": True, "stderr": True}, None),
        ),
    ),
    "port-forward": (
        ("POST", "pods/p/portforward?ports=80&ports=90", None),
        (
            *CONNECT,
            gvk("", "v1", "PodPortForwardOptions"),
            PODS,
            "portforward",
            ({"kind": "PodPortForwardOptions", "apiVersion": "v1", "ports": [80, 90]}, None),
        ),
    ),
    "proxy": (
        ("GET", "pods/p:80/proxy/a b/c?d=e", None),
        (
            "CONNECT",
            "p:80",
            None,
            gvk("", "v1", "PodProxyOptions"),
            PODS,
            "proxy",
            ({"kind": "PodProxyOptions", "apiVersion": "v1", "path": "/a b/c"}, None),
        ),
    ),
    "deletion": (
        ("DELETE", "pods/p?gracePeriodSeconds=3", None),
        ("DELETE", "p", {**DELETE, "gracePeriodSeconds": 3}, POD, PODS, None, (None, "Pod")),
    ),
    "deletion of a collection": (
        ("DELETE", "pods", None),
        ("DELETE", None, DELETE, POD, PODS, None, (None, "Pod")),
    ),
}


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize("sent, expected", SENT.values(), ids=SENT)
def test_requests_about_a_pod(kind, sent, expected):
    async def main(world):
        await world("POST", f"{NAMESPACE}/pods", pod())
        await world.install(kind, world.hook(**EVERYTHING))
        method, path, body = sent
        await world(method, f"{NAMESPACE}/{path}", body, type=MERGE if method == "PATCH" else "application/json")
        assert [summary(r) for r in world.requests] == [(*expected[:6], expected[6])]

    run(main)


def summary(request: Any) -> Any:
    kind, resource, sub = request["kind"], request["resource"], request.get("subResource")
    assert (kind, resource, sub) == (
        request["requestKind"],
        request["requestResource"],
        request.get("requestSubResource"),
    )
    assert request["namespace"] == "default"
    objects = tuple(shown(request[name]) for name in ("object", "oldObject"))
    return request["operation"], request.get("name"), request["options"], kind, resource, sub, objects


def shown(obj: Any) -> Any:
    """The kind of an object; all of what is no object of its own."""
    return obj["kind"] if obj and not obj["kind"].endswith("Options") else obj


REVIEWS = {
    "token reviews": ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}, "TokenReview"),
    "access reviews": (
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}},
        "SelfSubjectAccessReview",
    ),
}


@pytest.mark.parametrize("path, body, kind", REVIEWS.values(), ids=REVIEWS)
def test_what_is_not_stored_is_shown_too(path, body, kind):
    async def main(world):
        await world.install("Validating", world.hook(**EVERYTHING))
        assert (await world("POST", path, body)).status == 201
        assert [(r["kind"]["kind"], r["operation"]) for r in world.requests] == [(kind, "CREATE")]

    run(main)


def test_a_scale_is_shown_as_one():
    async def main(world):
        await world("POST", DEPLOYMENTS, DEPLOYMENT)
        await world.install("Validating", world.hook(**EVERYTHING))
        await world("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}, type=MERGE)
        (request,) = world.requests
        assert (request["kind"], request["resource"], request["subResource"]) == (
            SCALE,
            gvr("apps", "v1", "deployments"),
            "scale",
        )
        for name, replicas in (("object", 4), ("oldObject", 2)):
            found = request[name]
            assert (found["kind"], found["apiVersion"], found["spec"]) == (
                "Scale",
                "autoscaling/v1",
                {"replicas": replicas},
            )
            assert found["status"] == {"replicas": 0, "selector": "a=b"}

    run(main)


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
def test_a_name_that_is_generated(kind):
    async def main(world):
        await world.install(kind, world.hook())
        made = await world("POST", MAPS, {"metadata": {"generateName": "g-", "labels": {"t": "1"}}})
        name = made.body["metadata"]["name"]
        assert world.requests[0].get("name") == (name if kind == "Validating" else None)

    run(main)


def test_a_namespace_is_its_own_namespace():
    async def main(world):
        await world.install("Validating", world.hook())
        await world("POST", "/api/v1/namespaces", {"metadata": {"name": "n", "labels": {"t": "1"}}})
        (request,) = world.requests
        assert (request["name"], request["namespace"]) == ("n", "n")

    run(main)


def test_an_update_that_creates_is_a_creation():
    async def main(world):
        await world.install("Mutating", world.hook(**EVERYTHING))
        leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        await world("PUT", f"{leases}/l", {"metadata": {"name": "l"}, "spec": {}})
        (request,) = world.requests
        assert (request["operation"], request["options"], request["oldObject"]) == ("CREATE", CREATE, None)

    run(main)


def test_the_configurations_themselves_are_never_shown():
    async def main(world):
        for kind in ("Mutating", "Validating"):
            await world.install(kind, world.hook(**EVERYTHING))
        for plural in (
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
            "validatingadmissionpolicybindings",
        ):
            await world("POST", f"{GROUP}/{plural}", {"metadata": {"name": "x"}})
        await world("DELETE", f"{GROUP}/mutatingwebhookconfigurations/c")
        assert world.requests == []

    run(main)


# which webhooks are meant


def rule(
    operations: Any = ("*",), groups: Any = ("*",), versions: Any = ("*",), resources: Any = ("*/*",), **more: Any
) -> Any:
    named = zip(
        ("operations", "apiGroups", "apiVersions", "resources"), (operations, groups, versions, resources), strict=True
    )
    return {**{name: list(value) for name, value in named}, **more}


MEANT = {
    "operation": ({"rules": [rule(["CREATE"])]}, True),
    "another operation": ({"rules": [rule(["UPDATE"])]}, False),
    "another group": ({"rules": [rule(groups=["apps"])]}, False),
    "another version": ({"rules": [rule(versions=["v2"])]}, False),
    "another resource": ({"rules": [rule(resources=["pods"])]}, False),
    "only subresources": ({"rules": [rule(resources=["configmaps/status"])]}, False),
    "no rules": ({"rules": []}, False),
    "scope": ({"rules": [rule(scope="Namespaced")]}, True),
    "another scope": ({"rules": [rule(scope="Cluster")]}, False),
    "namespace": ({"namespaceSelector": {"matchLabels": {"env": "test"}}}, True),
    "another namespace": ({"namespaceSelector": {"matchLabels": {"env": "prod"}}}, False),
    "another object": ({"objectSelector": {"matchLabels": {"t": "2"}}}, False),
    "a condition": ({"matchConditions": [{"name": "a", "expression": "object.data.a == 'b'"}]}, True),
    "a condition that is false": ({"matchConditions": [{"name": "a", "expression": "oldObject != null"}]}, False),
    "the request": (
        {
            "matchConditions": [
                {
                    "name": "a",
                    "expression": "request.kind.kind == 'ConfigMap' && request.resource.resource == 'configmaps' && "
                    "request.operation == 'CREATE' && request.namespace == 'default' && request.name == 'm' && "
                    "request.userInfo.username == 'admin' && !request.dryRun && request.options.kind == 'CreateOptions' && "
                    "!has(request.subResource)",
                }
            ]
        },
        True,
    ),
    "the authorizer": (
        {
            "matchConditions": [
                {"name": "a", "expression": "authorizer.group('').resource('pods').check('create').allowed()"},
                {"name": "b", "expression": "authorizer.requestResource.check('create').allowed()"},
                {"name": "c", "expression": "authorizer.path('/healthz').check('get').allowed()"},
            ]
        },
        True,
    ),
}


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize("fields, meant", MEANT.values(), ids=MEANT)
def test_which_webhooks_are_meant(kind, fields, meant):
    async def main(world):
        await world.install(kind, world.hook(**fields))
        await world("POST", MAPS, config_map())
        assert bool(world.requests) == meant

    run(main)


def failed(expression: str, why: str) -> str:
    return f"expression '{expression}' resulted in error: {why}"


MISSING, TOO = "object.nope == 'x'", "object.data.zz == 'x'"
NESTED = "[1,2,3,4,5,6,7,8,9,10]"
COSTLY = "".join(f"{NESTED}.all({v}," for v in "abcdef") + "a+b+c+d+e+f > 0" + ")" * 6
CONDITIONS = {
    "an error": ([MISSING], failed(MISSING, "no such key: nope")),
    "an error and a false one": ([MISSING, "false"], ""),
    "two errors": (
        [MISSING, TOO],
        f"[{failed(MISSING, 'no such key: nope')}, {failed(TOO, 'no such key: zz')}]",
    ),
    "too expensive": ([COSTLY], failed(COSTLY, "operation cancelled: actual cost limit exceeded")),
}


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize("expressions, why", CONDITIONS.values(), ids=CONDITIONS)
def test_conditions_that_fail(policy, expressions, why):
    """The webhook is not called; with failurePolicy Fail the request fails."""

    async def main(world):
        conditions = [{"name": f"c{i}", "expression": e} for i, e in enumerate(expressions)]
        await world.install("Validating", world.hook(failurePolicy=policy, matchConditions=conditions))
        answer = await world("POST", MAPS, config_map())
        assert world.requests == []
        if policy == "Fail" and why:
            assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
            assert answer.body["message"] == f'configmaps "m" is forbidden: {why}'
        else:
            assert answer.status == 201

    run(main)


def test_conditions_see_what_is_deleted():
    async def main(world):
        await world("POST", MAPS, config_map())
        conditions = [{"name": "a", "expression": "object == null && oldObject.data.a == 'b'"}]
        await world.install("Mutating", world.hook(matchConditions=conditions))
        await world("DELETE", f"{MAPS}/m")
        assert len(world.requests) == 1

    run(main)


# other versions of the same objects

HPA = {
    "metadata": {"name": "h", "labels": {"t": "1"}},
    "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}},
}
EVENT = {
    "metadata": {"name": "e", "namespace": "default", "labels": {"t": "1"}},
    "involvedObject": {"namespace": "default", "kind": "Pod", "name": "x"},
    "reason": "r",
    "message": "m",
    "type": "Normal",
}
EQUIVALENT = {
    "autoscalers": (
        ("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", HPA),
        rule(groups=["autoscaling"], versions=["v1"]),
        (gvk("autoscaling", "v1", "HorizontalPodAutoscaler"), gvk("autoscaling", "v2", "HorizontalPodAutoscaler")),
        lambda obj: "metrics" not in obj["spec"],
    ),
    "events": (
        (f"{NAMESPACE}/events", EVENT),
        rule(groups=["events.k8s.io"]),
        (gvk("events.k8s.io", "v1", "Event"), gvk("", "v1", "Event")),
        lambda obj: obj["note"] == "m" and obj["regarding"]["name"] == "x",
    ),
}


@pytest.mark.parametrize("sent, rule_, kinds, check", EQUIVALENT.values(), ids=EQUIVALENT)
def test_a_rule_for_another_version_counts_and_converts(sent, rule_, kinds, check):
    async def main(world):
        await world.install("Validating", world.hook(rules=[rule_]))
        path, body = sent
        name = body["metadata"]["name"]
        assert (await world("POST", path, body)).status == 201
        await world("DELETE", f"{path}/{name}")
        created, deleted = world.requests
        for request in (created, deleted):
            assert (request["kind"], request["requestKind"]) == kinds
            assert request["resource"]["group"] == kinds[0]["group"]
            assert request["requestResource"]["version"] == kinds[1]["version"]
        for obj in (created["object"], deleted["oldObject"]):
            version = "/".join(filter(None, (kinds[0]["group"], kinds[0]["version"])))
            assert (obj["apiVersion"], obj["kind"]) == (version, kinds[0]["kind"])
            assert check(obj)

    run(main)


def test_an_exact_rule_does_not():
    async def main(world):
        exact = rule(groups=["autoscaling"], versions=["v1"])
        await world.install("Validating", world.hook(rules=[exact], matchPolicy="Exact"))
        await world("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", HPA)
        assert world.requests == []

    run(main)


def two_versions() -> Any:
    spec = schema({"type": "object", "properties": {"known": {"type": "string"}, "replicas": {"type": "integer"}}})
    versions = [
        version(name, storage=name == "v1", schema={"openAPIV3Schema": spec}, subresources=SUBRESOURCES)
        for name in ("v1", "v2")
    ]
    return definition(versions=versions)


def test_custom_resources_in_another_version():
    async def main(world):
        await established(world, two_versions())
        await world.install(
            "Validating", world.hook(rules=[rule(groups=["example.com"], versions=["v1"])], **EVERYTHING)
        )
        v2 = FOOS.replace("/v1/", "/v2/")
        await world("POST", v2, foo("a", {"known": "k", "replicas": 1}, api_version="example.com/v2"))
        await world("PATCH", f"{v2}/a/status", {"status": {"phase": "x"}}, type=MERGE)
        await world("PATCH", f"{v2}/a/scale", {"spec": {"replicas": 2}}, type=MERGE)
        create, status, scale = world.requests
        assert create["object"]["apiVersion"] == "example.com/v1"
        assert create["object"]["spec"] == {"known": "k", "replicas": 1}
        assert (status["subResource"], status["oldObject"]["apiVersion"]) == ("status", "example.com/v1")
        assert (scale["kind"], scale["resource"]) == (SCALE, gvr("example.com", "v1", "foos"))
        assert scale["requestResource"] == gvr("example.com", "v2", "foos")
        assert (scale["object"]["apiVersion"], scale["object"]["spec"]) == ("autoscaling/v1", {"replicas": 2})

    run(main)


def test_webhooks_are_asked_in_order_of_their_configurations():
    async def main(world):
        await world.install("Mutating", world.hook("/b2", allow), world.hook("/b1", allow), name="b")
        await world.install("Mutating", world.hook("/a", allow), name="a")
        await world.install("Mutating", world.hook("/c", allow), name="c")
        await world("POST", MAPS, config_map("x"))
        assert world.paths == ["/a", "/b2", "/b1", "/c"]
        world.seen.clear()
        changed = {"webhooks": [world.hook("/b1", allow)]}
        await world("PATCH", f"{GROUP}/mutatingwebhookconfigurations/b", changed, type=MERGE)
        await world.known("Mutating", lambda hooks: len(hooks) == 3)
        await world.remove("Mutating", "a")
        await world("POST", MAPS, config_map("y"))
        assert world.paths == ["/b1", "/c"]

    run(main)
