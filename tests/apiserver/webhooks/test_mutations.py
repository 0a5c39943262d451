"""What mutating webhooks make of objects, and what the server makes of that: defaults, pruning, what nobody may set."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from skiff.apiserver.apiextensions.conversion import Webhook
from tests.apiserver.apiextensions.builders import FOOS, SUBRESOURCES, definition, established, foo, schema, version
from tests.apiserver.webhooks.test_reviews import BINDING, DEPLOYMENT, DEPLOYMENTS, HPA, rule, two_versions
from tests.apiserver.webhooks.world import (
    MAPS,
    MERGE,
    NAMESPACE,
    add,
    allow,
    config_map,
    deny,
    patch,
    pod,
    reviewed,
    run,
)

PODS = f"{NAMESPACE}/pods"
EVERYTHING = {"objectSelector": {}}
CONTAINER = {"name": "added", "image": "busybox", "ports": [{"containerPort": 80}]}


def test_a_patched_pod_gets_its_defaults():
    async def main(world):
        await world.install("Mutating", world.hook("/h", patch(add("/spec/containers/-", CONTAINER))))
        made = (await world("POST", PODS, pod())).body
        added = made["spec"]["containers"][1]
        assert added["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
        assert added["imagePullPolicy"] == "Always" and added["terminationMessagePath"] == "/dev/termination-log"
        mounts = [m["name"] for m in added["volumeMounts"]]
        assert len(mounts) == 1, "the plugins before the webhook have run once more: the token is mounted here too"
        assert [v["name"] for v in made["spec"]["volumes"]] == mounts, "and only once"

    run(main)


def test_each_webhook_sees_what_its_predecessors_made():
    def second(review: Any) -> Any:
        assert review["request"]["object"]["data"]["one"] == "1"
        return patch(add("/data/two", "2"))(review)

    async def main(world):
        await world.install("Mutating", world.hook("/a", patch(add("/data/one", "1"))), world.hook("/b", second))
        await world.install("Validating", world.hook("/v", allow))
        made = await world("POST", MAPS, config_map())
        assert made.body["data"] == {"a": "b", "one": "1", "two": "2"}
        assert world.requests[-1]["object"]["data"] == made.body["data"]

    run(main)


def test_selectors_and_conditions_see_what_the_predecessors_made():
    async def main(world):
        labelled = world.hook("/b", allow, objectSelector={"matchLabels": {"hooked": "yes"}})
        conditions = [{"name": "a", "expression": "object.metadata.labels.hooked == 'yes'"}]
        await world.install(
            "Mutating",
            world.hook("/a", patch(add("/metadata/labels/hooked", "yes"))),
            labelled,
            world.hook("/c", allow, matchConditions=conditions),
        )
        await world("POST", MAPS, config_map())
        assert world.paths == ["/a", "/b", "/c"]

    run(main)


def once(path: str, value: str) -> Any:
    """Adds data that is not there yet."""

    def reply(review: Any) -> Any:
        there = review["request"]["object"]["data"]
        return reviewed(review) if path in there else patch(add(f"/data/{path}", value))(review)

    return reply


REINVOCATIONS = {
    "asked before a change, and wants to know": ({"/a": "IfNeeded", "/b": "Never"}, ["/a", "/b", "/a"]),
    "asked before a change": ({"/a": "Never", "/b": "Never"}, ["/a", "/b"]),
    "asked after every change": ({"/a": "Never", "/b": "IfNeeded"}, ["/a", "/b"]),
    "all of them want to": ({"/a": "IfNeeded", "/b": "IfNeeded"}, ["/a", "/b", "/a"]),
}


@pytest.mark.parametrize("policies, asked", REINVOCATIONS.values(), ids=REINVOCATIONS)
def test_webhooks_are_asked_again_once(policies, asked):
    """Source: mutating/reinvocationcontext.go."""

    async def main(world):
        replies = {"/a": once("one", "x"), "/b": once("two", "x")}
        hooks = [world.hook(path, replies[path], reinvocationPolicy=policy) for path, policy in policies.items()]
        await world.install("Mutating", *hooks)
        made = await world("POST", MAPS, config_map())
        assert world.paths == asked
        assert set(made.body["data"]) == {"a", "one", "two"}

    run(main)


def test_a_webhook_that_changes_always_is_not_asked_forever():
    counted = {"n": 0}

    def another(review: Any) -> Any:
        counted["n"] += 1
        return patch(add("/data/n", str(counted["n"])))(review)

    async def main(world):
        await world.install(
            "Mutating",
            world.hook("/a", another, reinvocationPolicy="IfNeeded"),
            world.hook("/b", another, reinvocationPolicy="IfNeeded"),
        )
        made = await world("POST", MAPS, config_map())
        assert (world.paths, made.body["data"]["n"]) == (["/a", "/b", "/a", "/b"], "4")

    run(main)


def test_what_other_plugins_add_is_shown_again():
    """A container that a webhook adds gets its token mounted in the second pass."""

    async def main(world):
        await world.install(
            "Mutating",
            world.hook("/a", allow, reinvocationPolicy="IfNeeded"),
            world.hook("/b", lambda r: with_container(r)),
        )
        await world("POST", PODS, pod())
        assert world.paths == ["/a", "/b", "/a"]
        assert len(world.requests[2]["object"]["spec"]["containers"][1]["volumeMounts"]) == 1

    run(main)


def with_container(review: Any) -> Any:
    return patch(add("/spec/containers/-", CONTAINER))(review)


def test_an_empty_patch_changes_nothing():
    async def main(world):
        await world.install("Mutating", world.hook("/h", patch()))
        assert (await world("POST", MAPS, config_map())).body["data"] == {"a": "b"}

    run(main)


def test_replacing_what_is_missing_adds_it_and_unknown_fields_go():
    async def main(world):
        operations = {"op": "replace", "path": "/immutable", "value": True}, add("/frobs", "x")
        await world.install("Mutating", world.hook("/h", patch(*operations)))
        made = (await world("POST", MAPS, config_map())).body
        assert made["immutable"] is True and "frobs" not in made

    run(main)


TAKEN_BACK = {
    "uid": (add("/metadata/uid", "my-uid"), lambda m: m["metadata"]["uid"] != "my-uid"),
    "deletion": (
        add("/metadata/deletionTimestamp", "2026-01-01T00:00:00Z"),
        lambda m: "deletionTimestamp" not in m["metadata"],
    ),
    "status": (add("/status", {"phase": "Running"}), lambda m: m["status"]["phase"] == "Pending"),
}


@pytest.mark.parametrize("operation, check", TAKEN_BACK.values(), ids=TAKEN_BACK)
def test_what_a_webhook_cannot_set_in_a_new_object(operation, check):
    async def main(world):
        await world.install("Mutating", world.hook("/h", patch(operation)))
        made = await world("POST", PODS, pod())
        assert made.status == 201 and check(made.body)

    run(main)


def test_a_webhook_can_name_a_new_object():
    async def main(world):
        await world.install("Mutating", world.hook("/h", patch(add("/metadata/name", "another"))))
        assert (await world("POST", MAPS, config_map())).body["metadata"]["name"] == "another"

    run(main)


def test_managed_fields_that_break_are_restored():
    async def main(world):
        broken = add("/metadata/managedFields", [{"manager": "x", "operation": "Bad"}])
        await world.install("Mutating", world.hook("/h", patch(broken)))
        made = await world("POST", MAPS, config_map())
        assert [e["operation"] for e in made.body["metadata"]["managedFields"]] == ["Update"]
        assert ".metadata.managedFields was in an invalid state after admission" in made.headers["warning"]

    run(main)


def test_an_update_of_the_object_keeps_the_status_and_the_other_way_round():
    async def main(world):
        await world("POST", PODS, pod())
        pods = {"rules": [rule(["UPDATE"], resources=["pods"])], **EVERYTHING}
        await world.install("Mutating", world.hook("/h", patch(add("/status", {"phase": "Running"})), **pods))
        made = await world("PATCH", f"{PODS}/p", {"metadata": {"labels": {"x": "y"}}}, type=MERGE)
        assert (made.status, made.body["status"]["phase"]) == (200, "Pending")
        statuses = {"rules": [rule(["UPDATE"], resources=["pods/status"])], **EVERYTHING}
        await world.install("Mutating", world.hook("/s", patch(add("/spec/nodeName", "n9")), **statuses), name="s")
        made = await world("PATCH", f"{PODS}/p/status", {"status": {"message": "m"}}, type=MERGE)
        assert made.status == 200 and "nodeName" not in made.body["spec"]
        assert made.body["status"]["message"] == "m"

    run(main)


def test_what_cannot_be_updated_cannot_be_by_a_webhook_either():
    async def main(world):
        await world("POST", PODS, pod())
        updates = {"rules": [rule(["UPDATE"])]}
        await world.install("Mutating", world.hook("/h", patch(add("/spec/nodeName", "n9")), **updates))
        answer = await world("PATCH", f"{PODS}/p", {"metadata": {"labels": {"x": "y"}}}, type=MERGE)
        assert answer.status == 422

    run(main)


def test_a_deletion_has_no_object_to_patch():
    async def main(world):
        await world("POST", MAPS, config_map())
        await world.install("Mutating", world.hook("/h", patch(add("/data/x", "y"))))
        answer = await world("DELETE", f"{MAPS}/m")
        words = 'admission webhook "h.example.com" attempted to modify the object'
        expected = f"Internal error occurred: {words}, which is not supported for this operation"
        assert (answer.status, answer.body["message"]) == (500, expected)

    run(main)


def test_each_object_of_a_collection_can_be_kept():
    async def main(world):
        for name in ("keep", "go"):
            await world("POST", MAPS, config_map(name))

        def keeper(review: Any) -> Any:
            kept = review["request"]["oldObject"]["metadata"]["name"] == "keep"
            return (deny(message="kept") if kept else allow)(review)

        await world.install("Validating", world.hook("/h", keeper, rules=[rule(["DELETE"])]))
        answer = await world("DELETE", MAPS)
        assert (answer.status, answer.body["message"]) == (
            400,
            'admission webhook "h.example.com" denied the request: kept',
        )
        left = (await world("GET", MAPS)).body["items"]
        assert [o["metadata"]["name"] for o in left] == ["keep"]

    run(main)


# bodies of other kinds


def test_a_binding_to_another_node():
    async def main(world):
        await world("POST", PODS, pod())
        await world.install("Mutating", world.hook("/h", patch(add("/target/name", "n9")), **EVERYTHING))
        assert (await world("POST", f"{PODS}/p/binding", BINDING)).status == 201
        assert (await world("GET", f"{PODS}/p")).body["spec"]["nodeName"] == "n9"

    run(main)


def test_another_scale():
    async def main(world):
        await world("POST", DEPLOYMENTS, DEPLOYMENT)
        await world.install("Mutating", world.hook("/h", patch(add("/spec/replicas", 7)), **EVERYTHING))
        scaled = await world("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}, type=MERGE)
        assert scaled.body["spec"]["replicas"] == 7
        assert (await world("GET", f"{DEPLOYMENTS}/d")).body["spec"]["replicas"] == 7
        world.replies["/h"] = patch(add("/spec/replicas", -1))
        assert (await world("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}, type=MERGE)).status == 422
        world.replies["/h"] = patch(add("/spec/replicas", "many"))
        assert (await world("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}, type=MERGE)).status == 500

    run(main)


def test_another_container_to_run_a_command_in():
    async def main(world):
        await world("POST", PODS, pod())
        await world.install("Mutating", world.hook("/h", patch(add("/container", "nope")), **EVERYTHING))
        answer = await world("POST", f"{PODS}/p/exec?command=x&container=c")
        assert answer.status == 503, "this server reaches no nodes"
        assert world.requests[0]["object"]["container"] == "c"
        world.replies["/h"] = patch(add("/stdin", "x"))
        assert (await world("POST", f"{PODS}/p/exec?command=x")).status == 500

    run(main)


# other versions


def test_a_patch_in_another_version_comes_back():
    async def main(world):
        ruled = {"rules": [rule(groups=["autoscaling"], versions=["v1"])]}
        await world.install(
            "Mutating", world.hook("/h", patch(add("/spec/targetCPUUtilizationPercentage", 77)), **ruled)
        )
        made = await world("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", HPA)
        (metric,) = made.body["spec"]["metrics"]
        assert made.body["apiVersion"] == "autoscaling/v2"
        assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 77}}

    run(main)


def test_custom_resources_are_pruned_and_get_defaults():
    spec = {
        "type": "object",
        "properties": {"known": {"type": "string"}, "n": {"type": "integer", "default": 4}},
    }

    async def main(world):
        await established(world, definition(versions=[version(schema={"openAPIV3Schema": schema(spec)})]))
        operations = add("/spec", {"known": "x", "unknown": "y"}), add("/top", 1)
        await world.install("Mutating", world.hook("/h", patch(*operations), **EVERYTHING))
        made = await world("POST", FOOS, foo())
        assert made.body["spec"] == {"known": "x", "n": 4} and "top" not in made.body
        world.replies["/h"] = patch(add("/spec/known", 7))
        assert (await world("POST", FOOS, foo("b"))).status == 422

    run(main)


def test_custom_resources_in_another_version_come_back():
    async def main(world):
        await established(world, two_versions())
        ruled = {"rules": [rule(groups=["example.com"], versions=["v1"])], **EVERYTHING}
        await world.install("Mutating", world.hook("/h", patch(add("/spec/known", "patched")), **ruled))
        made = await world("POST", FOOS.replace("/v1/", "/v2/"), foo("a", api_version="example.com/v2"))
        assert (made.body["apiVersion"], made.body["spec"]) == ("example.com/v2", {"known": "patched"})

    run(main)


def test_conversion_webhooks_convert_for_admission_webhooks(monkeypatch):
    """v1 has spec.hostPort, v2 has spec.host and spec.port."""

    async def post(self: Any, body: bytes) -> bytes:
        request = orjson.loads(body)["request"]
        wanted = request["desiredAPIVersion"]
        made = []
        for o in request["objects"]:
            spec = o["spec"]
            if wanted.endswith("/v2"):
                host, _, port = spec["hostPort"].partition(":")
                made.append({**o, "apiVersion": wanted, "spec": {"host": host, "port": port}})
            else:
                made.append({**o, "apiVersion": wanted, "spec": {"hostPort": f"{spec['host']}:{spec['port']}"}})
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": made}
        return orjson.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})

    monkeypatch.setattr(Webhook, "_post", post)
    text = {"type": "string"}
    shapes = {"v1": {"hostPort": text}, "v2": {"host": text, "port": text}}
    versions = [
        version(
            name,
            storage=name == "v1",
            schema={"openAPIV3Schema": schema({"type": "object", "properties": properties})},
            subresources=SUBRESOURCES,
        )
        for name, properties in shapes.items()
    ]
    client = {"url": "https://127.0.0.1:1/"}
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}}

    async def main(world):
        await established(world, definition(versions=versions, conversion=conversion))
        ruled = {"rules": [rule(groups=["example.com"], versions=["v2"])], **EVERYTHING}
        await world.install("Mutating", world.hook("/h", patch(add("/spec/port", "9")), **ruled))
        made = await world("POST", FOOS, foo("a", {"hostPort": "x:1"}))
        assert world.requests[0]["object"]["spec"] == {"host": "x", "port": "1"}
        assert (made.body["apiVersion"], made.body["spec"]) == ("example.com/v1", {"hostPort": "x:9"})

    run(main)


# dry runs, and what is kept for the audit log

DRY = {
    "none": ("None", 201),
    "none then": ("NoneOnDryRun", 201),
    "some": ("Some", 400),
    "unknown": ("Unknown", 400),
}


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
@pytest.mark.parametrize("effects, code", DRY.values(), ids=DRY)
def test_dry_runs(kind, effects, code):
    """Some and Unknown can only be of configurations that were stored long ago."""

    async def main(world):
        hook = world.hook("/h", allow, sideEffects=effects, failurePolicy="Ignore", reinvocationPolicy="Never")
        plural = f"{kind.lower()}webhookconfigurations"
        await world.api.store(plural, {"metadata": {"name": "c"}, "webhooks": [hook]})
        await world.known(kind, lambda hooks: len(hooks) == 1)
        answer = await world("POST", f"{MAPS}?dryRun=All", config_map())
        assert answer.status == code
        if code == 400:
            assert answer.body["message"] == 'admission webhook "h.example.com" does not support dry run'
        assert bool(world.requests) == (code == 201)
        assert (await world("POST", MAPS, config_map())).status == 201

    run(main)


def test_annotations_for_the_audit_log(monkeypatch):
    kept: list[Any] = []

    async def main(world):
        from skiff.apiserver.call import Call

        made = Call.attributes

        def attributes(*args: Any, **kwargs: Any) -> Any:
            kept.append(made(*args, **kwargs))
            return kept[-1]

        monkeypatch.setattr(Call, "attributes", attributes)
        audit = {"auditAnnotations": {"k": "v", "not a key": "x"}}
        await world.install("Mutating", world.hook("/m", patch(add("/data/x", "y"), **audit)))
        broken = world.hook("/v", lambda r: (500, b""), failurePolicy="Ignore")
        await world.install("Validating", broken)
        kept.clear()
        await world("POST", MAPS, config_map())
        assert kept[0].annotations == {
            "m.example.com/k": "v",
            "mutation.webhook.admission.k8s.io/round_0_index_0": '{"configuration":"c","webhook":"m.example.com","mutated":true}',
            "failed-open.validating.webhook.admission.k8s.io/round_0_index_0": "v.example.com",
        }

    run(main)


def test_a_patch_of_a_shape_that_upstream_allows():
    """v1beta1 takes a patch without its type."""

    async def main(world):
        text = b64encode(orjson.dumps([add("/data/x", "y")])).decode()
        hook = world.hook("/h", lambda r: reviewed(r, patch=text), admissionReviewVersions=["v1beta1"])
        await world.install("Mutating", hook)
        assert (await world("POST", MAPS, config_map())).body["data"]["x"] == "y"

    run(main)
