"""What hangs below objects: scale, binding, eviction, ephemeral containers, approval, reviews; and applying."""

import pytest

from skiff.testing.builders import configmap, deployment, pod

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


# --- scale


def test_scale_is_read_and_written(api):
    async def scenario(call):
        await call("POST", DEPLOYMENTS, deployment("d", replicas=2))
        got = (await call("GET", f"{DEPLOYMENTS}/d/scale")).body
        put = await call("PUT", f"{DEPLOYMENTS}/d/scale", {**got, "spec": {"replicas": 5}})
        patched = await call("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 6}}, type=MERGE)
        late = await call("PUT", f"{DEPLOYMENTS}/d/scale", {**got, "spec": {"replicas": 7}})
        return got, put, patched, late, (await call("GET", f"{DEPLOYMENTS}/d")).body

    got, put, patched, late, final = api(scenario)
    assert (got["kind"], got["apiVersion"], got["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 2})
    assert got["status"]["selector"] == "app=d"
    assert put.body["spec"] == {"replicas": 5}
    assert patched.body["spec"] == {"replicas": 6}
    assert late.status == 409
    assert (final["spec"]["replicas"], final["metadata"]["generation"]) == (6, 3)


def test_a_scale_of_nothing_leaves_the_number_out(api):
    async def scenario(call):
        await call("POST", DEPLOYMENTS, deployment("d"))
        return await call("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 0}}, type=MERGE)

    assert api(scenario).body["spec"] == {}


def test_scale_is_not_negative(api):
    async def scenario(call):
        await call("POST", DEPLOYMENTS, deployment("d"))
        return await call("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": -1}}, type=MERGE)

    answer = api(scenario)
    assert answer.status == 422
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in answer.body["message"]


# --- binding


def binding(name="p", node="n1", **meta):
    return {"metadata": {"name": name, **meta}, "target": {"kind": "Node", "name": node}}


def test_binding_sets_the_node_once(api):
    async def scenario(call):
        await call("POST", PODS, pod("p"))
        first = await call("POST", f"{PODS}/p/binding", binding(annotations={"a": "b"}))
        second = await call("POST", f"{PODS}/p/binding", binding(node="n2"))
        return first, second, (await call("GET", f"{PODS}/p")).body

    first, second, found = api(scenario)
    assert (first.status, first.body["status"]) == (201, "Success")
    assert found["spec"]["nodeName"] == "n1"
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert [(c["type"], c["status"]) for c in found["status"]["conditions"]] == [("PodScheduled", "True")]
    assert second.status == 409
    assert second.body["message"] == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    )


BAD_BINDINGS = [
    pytest.param(binding("q"), 400, "name in URL does not match name in Binding object", id="another name"),
    pytest.param(binding(node=""), 422, "target.name: Required value", id="no node"),
    pytest.param(binding(uid="other"), 409, "Precondition failed: UID", id="another pod"),
]


@pytest.mark.parametrize("body, status, message", BAD_BINDINGS)
def test_refused_binding(api, body, status, message):
    async def scenario(call):
        await call("POST", PODS, pod("p"))
        return await call("POST", f"{PODS}/p/binding", body)

    answer = api(scenario)
    assert answer.status == status
    assert message in answer.body["message"]


# --- eviction


def eviction(**more):
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, **more}


READY = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
RUNNING = {"status": {"phase": "Running"}}


def budget(allowed, **status):
    counts = {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    return {"status": {**counts, "observedGeneration": 1, **status}}


EVICTIONS = [
    pytest.param(READY, None, 201, "", id="no budget"),
    pytest.param(READY, budget(1), 201, "", id="one disruption allowed"),
    pytest.param(READY, budget(0), 429, "The disruption budget b needs 1 healthy pods and has 1 currently", id="none allowed"),
    pytest.param(READY, budget(1, observedGeneration=0), 429, "The disruption budget b is still being processed by the server.", id="the budget is not observed yet"),
    pytest.param(RUNNING, budget(0), 201, "", id="not ready and enough others healthy"),
    pytest.param(RUNNING, budget(0, currentHealthy=0), 429, "needs 1 healthy pods and has 0 currently", id="not ready and too few healthy"),
    pytest.param({"status": {"phase": "Pending"}}, budget(0), 201, "", id="pending pods are not protected"),
]  # fmt: skip


@pytest.mark.parametrize("pod_status, budget_status, status, cause", EVICTIONS)
def test_eviction(api, pod_status, budget_status, status, cause):
    async def scenario(call):
        await call("POST", PODS, pod("p", labels={"a": "b"}, node="n"))
        await call("PATCH", f"{PODS}/p/status", pod_status, type=MERGE)
        if budget_status:
            spec = {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}
            await call("POST", BUDGETS, {"metadata": {"name": "b"}, "spec": spec})
            patched = await call("PATCH", f"{BUDGETS}/b/status", budget_status, type=MERGE)
            assert patched.status == 200
        answer = await call("POST", f"{PODS}/p/eviction", eviction())
        after = await call("GET", f"{PODS}/p")
        left = (await call("GET", f"{BUDGETS}/b")).body
        return answer, after, left

    answer, after, left = api(scenario)
    assert answer.status == status, answer.body
    gone = "deletionTimestamp" in after.body["metadata"]
    assert gone is (status == 201)
    if cause:
        assert answer.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
        assert cause in answer.body["details"]["causes"][0]["message"]
    elif budget_status and pod_status is READY:
        assert left["status"]["disruptionsAllowed"] == 0
        assert list(left["status"]["disruptedPods"]) == ["p"]


def test_eviction_notes_why(api):
    async def scenario(call):
        await call("POST", PODS, pod("p", node="n"))
        await call("POST", f"{PODS}/p/eviction", eviction(deleteOptions={"gracePeriodSeconds": 5}))
        return (await call("GET", f"{PODS}/p")).body

    found = api(scenario)
    assert found["metadata"]["deletionGracePeriodSeconds"] == 5
    condition = found["status"]["conditions"][-1]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")


# --- parts of pods


def test_ephemeral_containers_can_only_be_added(api):
    debug = {"name": "d", "image": "busybox", "terminationMessagePolicy": "File"}

    async def scenario(call):
        await call("POST", PODS, pod("p", node="n"))
        url = f"{PODS}/p/ephemeralcontainers"
        strategic = "application/strategic-merge-patch+json"
        added = await call("PATCH", url, {"spec": {"ephemeralContainers": [debug]}}, type=strategic)
        other = await call("PATCH", url, {"spec": {"nodeName": "elsewhere"}}, type=MERGE)
        removed = await call("PATCH", url, {"spec": {"ephemeralContainers": []}}, type=MERGE)
        return added, other, removed

    added, other, removed = api(scenario)
    assert added.status == 200, added.body
    assert [c["name"] for c in added.body["spec"]["ephemeralContainers"]] == ["d"]
    assert other.body["spec"]["nodeName"] == "n"
    assert removed.status == 422
    assert 'existing ephemeral containers "d" may not be removed' in removed.body["message"]


def test_resize_changes_resources_only(api):
    async def scenario(call):
        await call("POST", PODS, pod("p", node="n", cpu="100m"))
        container = {"name": "app", "image": "other", "resources": {"requests": {"cpu": "200m"}}}
        body = {"spec": {"containers": [container]}}
        return await call("PATCH", f"{PODS}/p/resize", body, type="application/strategic-merge-patch+json")

    answer = api(scenario)
    assert answer.status == 200, answer.body
    (container,) = answer.body["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "200m"}
    assert container["image"] != "other"


# --- certificates

CSR = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def test_approval_and_status_change_different_things(api):
    spec = {"request": "Zm9v", "signerName": "example.com/x", "usages": ["client auth"]}
    approved = {"type": "Approved", "status": "True", "reason": "Me", "message": "fine"}
    denied = {**approved, "type": "Denied"}

    async def scenario(call):
        await call.store("certificatesigningrequests", {"metadata": {"name": "c", "uid": "u"}, "spec": spec})
        status = await call("PATCH", f"{CSR}/c/status", {"status": {"conditions": [approved]}}, type=MERGE)
        approval = await call(
            "PATCH", f"{CSR}/c/approval", {"status": {"conditions": [approved], "certificate": "Zm9v"}}, type=MERGE
        )
        both = await call("PATCH", f"{CSR}/c/approval", {"status": {"conditions": [approved, denied]}}, type=MERGE)
        back = await call("PATCH", f"{CSR}/c/approval", {"status": {"conditions": []}}, type=MERGE)
        return status, approval, both, back

    status, approval, both, back = api(scenario)
    assert status.status == 422
    assert 'updates may not add a condition of type "Approved"' in status.body["message"]
    (condition,) = approval.body["status"]["conditions"]
    assert condition["lastUpdateTime"] == "2026-01-01T00:00:00Z"
    assert "certificate" not in approval.body["status"]
    assert "mutually exclusive" in both.body["message"]
    assert 'updates may not remove a condition of type "Approved"' in back.body["message"]


# --- reviews

REVIEWS = [
    pytest.param(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {},
        lambda s: s["userInfo"]["username"] == "admin",
        id="who am I",
    ),
    pytest.param(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}},
        lambda s: s["allowed"],
        id="may I",
    ),
    pytest.param(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {"spec": {"user": "u", "nonResourceAttributes": {"verb": "get", "path": "/"}}},
        lambda s: s["allowed"],
        id="may somebody",
    ),
    pytest.param(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        {"spec": {"token": "nonsense"}},
        lambda s: "invalid bearer token" in s["error"],
        id="is this a token",
    ),
]


@pytest.mark.parametrize("url, body, holds", REVIEWS)
def test_review(api, url, body, holds):
    answer = api(lambda call: call("POST", url, body))
    assert answer.status == 201, answer.body
    assert holds(answer.body["status"])


@pytest.mark.parametrize(
    "query, names",
    [
        pytest.param("", ["controller-manager", "etcd-0", "scheduler"], id="all"),
        pytest.param("?labelSelector=a%3Db", [], id="they have no labels"),
        pytest.param("?fieldSelector=metadata.name%3Detcd-0", ["etcd-0"], id="by name"),
    ],
)
def test_component_statuses(api, query, names):
    answer = api(lambda call: call("GET", f"/api/v1/componentstatuses{query}"))
    assert [o["metadata"]["name"] for o in answer.body["items"]] == names
    assert all("kind" not in o for o in answer.body["items"])


def test_reviews_of_the_cluster_have_no_namespace(api):
    asked = {"resourceAttributes": {"verb": "get", "resource": "pods"}, "user": "a"}
    body = {"metadata": {"namespace": "x"}, "spec": asked}
    answer = api(lambda call: call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body))
    assert (answer.status, "namespace" in answer.body["metadata"]) == (201, False)


# --- applying


def applied(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}


def test_apply_creates_merges_and_removes(api):
    async def scenario(call):
        url = f"{CM}/a?fieldManager=me"
        made = await call("PATCH", url, applied(x="1", y="1"), type=APPLY)
        await call("PATCH", f"{CM}/a", {"data": {"z": "other"}}, type=MERGE)
        again = await call("PATCH", url, applied(x="2"), type=APPLY)
        same = await call("PATCH", url, applied(x="2"), type=APPLY)
        return made, again, same

    made, again, same = api(scenario)
    assert (made.status, again.status) == (201, 200)
    assert again.body["data"] == {"x": "2", "z": "other"}
    assert same.body["metadata"]["resourceVersion"] == again.body["metadata"]["resourceVersion"]


def test_apply_conflicts_unless_forced(api):
    async def scenario(call):
        await call("PATCH", f"{CM}/a?fieldManager=one", applied(x="1"), type=APPLY)
        refused = await call("PATCH", f"{CM}/a?fieldManager=two", applied(x="2"), type=APPLY)
        forced = await call("PATCH", f"{CM}/a?fieldManager=two&force=true", applied(x="2"), type=APPLY)
        return refused, forced

    refused, forced = api(scenario)
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    assert forced.body["data"] == {"x": "2"}


def test_apply_needs_a_manager(api):
    answer = api(lambda call: call("PATCH", f"{CM}/a", applied(), type=APPLY))
    assert answer.status == 422
    assert "fieldManager: Required value: is required for apply patch" in answer.body["message"]


def test_every_write_is_tracked(api):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="1"), user_agent="kubectl/v1")
        return (await call("PATCH", f"{CM}/a?fieldManager=me", {"data": {"y": "2"}}, type=MERGE)).body

    entries = api(scenario)["metadata"]["managedFields"]
    assert {e["manager"]: e["fieldsV1"] for e in entries} == {
        "kubectl": {"f:data": {".": {}, "f:x": {}}},
        "me": {"f:data": {"f:y": {}}},
    }
