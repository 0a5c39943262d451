"""Server-side apply and managed fields over HTTP."""

import json

import pytest

from skiff.testing.builders import configmap, deployment, pod

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def managers(obj):
    return [(e["manager"], e["operation"], e.get("subresource", "")) for e in obj["metadata"]["managedFields"]]


async def applied(call, body, manager="m", more="", url=f"{CM}/c"):
    return await call("PATCH", f"{url}?fieldManager={manager}{more}", body, type=APPLY)


def test_apply_creates_then_changes(api):
    async def scenario(call):
        created = await applied(call, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}\n")
        assert (created.status, created.body["data"]) == (201, {"a": "1"})
        changed = await applied(call, config(b="1"))
        assert (changed.status, changed.body["data"]) == (200, {"b": "1"})
        assert managers(changed.body) == [("m", "Apply", "")]
        again = await applied(call, config(b="1"))
        assert again.body == changed.body
        assert (await applied(call, config())).body.get("data") is None

    api(scenario)


def test_who_creates_by_apply_names_the_object(api):
    async def scenario(call):
        nameless = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
        refused = await applied(call, nameless)
        why = "the name of the object (c based on URL) was undeterminable: name must be provided"
        assert (refused.status, refused.body["message"]) == (400, why)
        await applied(call, config())
        assert (await applied(call, nameless)).body["data"] == {"a": "1"}

    api(scenario)


def test_conflicts_are_409_with_causes(api):
    async def scenario(call):
        await applied(call, config(a="1"))
        await call("PATCH", f"{CM}/c", {"data": {"a": "2"}}, type=MERGE, user_agent="curl/8.0")
        refused = await applied(call, config(a="1"))
        assert refused.status == 409
        assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "curl" using v1: .data.a'
        assert refused.body["details"]["causes"][0]["reason"] == "FieldManagerConflict"
        forced = await applied(call, config(a="1"), more="&force=true")
        assert (forced.status, forced.body["data"]) == (200, {"a": "1"})

    api(scenario)


def test_plain_writes_are_tracked(api):
    async def scenario(call):
        created = await call("POST", f"{PODS}?fieldManager=maker", pod("p"))
        assert managers(created.body) == [("maker", "Update", "")]
        entry = created.body["metadata"]["managedFields"][0]
        assert (entry["apiVersion"], entry["fieldsType"]) == ("v1", "FieldsV1")
        assert set(entry["fieldsV1"]) <= {"f:metadata", "f:spec"}
        status = {"status": {"phase": "Running"}}
        patched = await call("PATCH", f"{PODS}/p/status", status, type=MERGE, user_agent="kubelet/v1.36 (linux)")
        assert set(managers(patched.body)) == {("maker", "Update", ""), ("kubelet", "Update", "status")}
        same = await call("PATCH", f"{PODS}/p/status", status, type=MERGE, user_agent="kubelet/v1.36 (linux)")
        assert same.body["metadata"]["resourceVersion"] == patched.body["metadata"]["resourceVersion"]

    api(scenario)


def test_a_status_apply_owns_only_status(api):
    async def scenario(call):
        await call("POST", PODS, pod("p"))
        config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": "Failed"}}
        answer = await applied(call, config, url=f"{PODS}/p/status")
        assert (answer.status, answer.body["status"]["phase"]) == (200, "Failed")
        assert ("m", "Apply", "status") in managers(answer.body)
        missing = await applied(call, {**config, "metadata": {"name": "q"}}, url=f"{PODS}/q/status")
        assert missing.status == 404

    api(scenario)


@pytest.mark.parametrize(
    "body, more, status, message",
    [
        pytest.param(config(), "", 422, "fieldManager: Required value: is required for apply patch", id="no manager"),
        pytest.param(b"- 1", "?fieldManager=m", 400, "json: cannot unmarshal", id="a list"),
        pytest.param(b"a: [", "?fieldManager=m", 400, "", id="no YAML"),
        pytest.param({**config(), "kind": "Pod"}, "?fieldManager=m", 400, "invalid object type: /v1, Kind=Pod", id="another kind"),
        pytest.param({**config(), "x": 1}, "?fieldManager=m", 400, ".x: field not declared in schema", id="an unknown field"),
        pytest.param({**config(), "metadata": {"name": "d"}}, "?fieldManager=m", 400, "the name of the object (d) does not match the name on the URL (c)", id="another name"),
        pytest.param({**config(), "metadata": None}, "?fieldManager=m", 400, "the name of the object (c based on URL) was undeterminable: name must be provided", id="no name"),
        pytest.param({**config(), "metadata": {"name": "c", "managedFields": [{"manager": "x"}]}}, "?fieldManager=m", 400, "metadata.managedFields must be nil", id="managed fields"),
        pytest.param({**config(), "immutable": "yes"}, "?fieldManager=m", 400, ".immutable: expected boolean, got &{yes}", id="a wrong type"),
    ],
)  # fmt: skip
def test_refused(api, body, more, status, message):
    async def scenario(call):
        answer = await call("PATCH", f"{CM}/c{more}", body, type=APPLY)
        assert answer.status == status, answer.body
        assert message in answer.body["message"]

    api(scenario)


def test_a_client_may_reset_managed_fields(api):
    async def scenario(call):
        created = await call("POST", CM, configmap("c", a="1"))
        assert created.body["metadata"]["managedFields"]
        body = {**created.body, "metadata": {**created.body["metadata"], "managedFields": [{}]}}
        assert "managedFields" not in (await call("PUT", f"{CM}/c", body)).body["metadata"]

    api(scenario)


DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def test_an_applied_scale_conflicts_with_who_owns_the_replicas(api):
    async def scenario(call):
        url = f"{DEPLOYMENTS}/d"
        body = deployment("d", replicas=1) | {"apiVersion": "apps/v1", "kind": "Deployment"}
        await applied(call, body, url=url)
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 3}}
        refused = await applied(call, scale, manager="s", url=f"{url}/scale")
        forced = await applied(call, scale, manager="s", more="&force=true", url=f"{url}/scale")
        return refused, forced, (await call("GET", url)).body

    refused, forced, after = api(scenario)
    words = 'Apply failed with 1 conflict: conflict with "m": .spec.replicas'
    assert (refused.status, refused.body["message"]) == (409, words)
    assert (forced.status, forced.body["spec"], after["spec"]["replicas"]) == (200, {"replicas": 3}, 3)
    assert ("s", "Apply", "scale") in managers(after)


def test_the_configuration_is_noted_as_it_was_sent(api):
    """The namespace of the URL is the object's, not the configuration's."""

    async def scenario(call):
        body = configmap("c")
        body["metadata"] = {"name": "c", "annotations": {LAST_APPLIED: "{}"}}
        await call("POST", CM, body)
        return await applied(call, config(a="1"), manager="kubectl")

    answer = api(scenario)
    noted = json.loads(answer.body["metadata"]["annotations"][LAST_APPLIED])
    assert (answer.body["metadata"]["namespace"], noted["metadata"]) == ("default", {"name": "c"})


@pytest.mark.parametrize("value", [[], [{}]], ids=["an empty list", "an empty entry"])
def test_managed_fields_are_reset(api, value):
    async def scenario(call):
        await call("POST", CM, config(a="1"))
        return await call("PATCH", f"{CM}/c", {"metadata": {"managedFields": value}}, type=MERGE)

    assert "managedFields" not in api(scenario).body["metadata"]


def test_a_patch_cannot_change_the_uid(api):
    async def scenario(call):
        await call("POST", CM, config(a="1"))
        return await call("PATCH", f"{CM}/c", {"metadata": {"uid": "x"}}, type=MERGE)

    answer = api(scenario)
    assert (answer.status, answer.body["details"]["causes"][0]["field"]) == (422, "metadata.uid")
