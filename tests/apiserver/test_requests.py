"""Requests and what they are answered with: statuses, reasons and words of the ordinary and of the hostile."""

import asyncio

import orjson
import pytest

from skiff import env
from skiff.testing.builders import configmap, deployment, namespace, pod
from skiff.wire.messages import Request, UserInfo

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"

TIMEOUTS = [
    pytest.param("invalid", 400, id="no duration"),
    pytest.param("5", 400, id="no unit"),
    pytest.param("0s", 200, id="none"),
    pytest.param("3m", 200, id="longer than allowed"),
    pytest.param("-1s", 200, id="negative"),
]


@pytest.mark.parametrize("given, status", TIMEOUTS)
def test_the_timeout_of_a_request(api, given, status):
    """Source: apiserver pkg/endpoints/filters/request_deadline.go."""

    async def scenario(call):
        return await call("GET", f"/version?timeout={given}")

    found = api(scenario)
    assert found.status == status
    if status == 400:
        why = f'invalid timeout specified in the request URL - time: invalid duration "{given}"'
        assert (found.body["reason"], found.body["message"]) == ("BadRequest", why)


def test_a_write_ends_with_its_own_timeout(api):
    async def scenario(call):
        async def never(*_):
            await asyncio.sleep(3600)

        call.server.admission.mutate = never
        loop = asyncio.get_running_loop()
        before = loop.time()
        return await call("POST", f"{CM}?timeout=2s", configmap("a")), loop.time() - before

    found, seconds = api(scenario)
    assert (found.status, found.body["reason"], seconds) == (504, "Timeout", 2)


REFUSED = [
    pytest.param("GET", "/foo", None, 404, "404 page not found\n", id="a path outside of the API"),
    pytest.param("GET", "/api/v1/foos", None, 404, "the server could not find the requested resource", id="unknown resource"),
    pytest.param("GET", "/apis/x.y/v1/foos", None, 404, "the server could not find the requested resource", id="unknown group"),
    pytest.param("GET", f"{CM}/x", None, 404, 'configmaps "x" not found', id="missing object"),
    pytest.param("GET", f"{CM}/x/status", None, 404, "the server could not find the requested resource", id="no such subresource"),
    pytest.param("GET", "/api/v1/configmaps/x", None, 404, "the server could not find the requested resource", id="a namespaced object without namespace"),
    pytest.param("GET", "/api/v1/namespaces/default/nodes", None, 404, "the server could not find the requested resource", id="a cluster object in a namespace"),
    pytest.param("POST", f"{CM}/x", configmap(), 405, "the server does not allow this method on the requested resource", id="POST to an object"),
    pytest.param("PUT", CM, configmap(), 405, "the server does not allow this method on the requested resource", id="PUT to a collection"),
    pytest.param("POST", "/api/v1/configmaps", configmap(), 405, "the server does not allow this method on the requested resource", id="create over all namespaces"),
    pytest.param("TRACE", CM, None, 405, "the server does not allow this method on the requested resource", id="unknown method"),
    pytest.param("POST", "/version", {}, 405, "the server does not allow this method on the requested resource", id="POST to a document"),
    pytest.param("POST", CM, b"{", 400, "the object provided is unrecognized", id="broken JSON"),
    pytest.param("POST", CM, b"\xff\xfe{}", 400, "the object provided is unrecognized", id="not UTF-8"),
    pytest.param("POST", CM, b"[]", 400, "cannot unmarshal", id="a list as object"),
    pytest.param("POST", CM, b"[" * 100_000, 400, "the object provided is unrecognized", id="very deep JSON"),
    pytest.param("POST", CM, b'{"data":' + b'{"a":' * 300 + b"1" + b"}" * 301, 400, "exceeded max depth", id="deeper than can be written"),
    pytest.param("POST", CM, b'"' + b"x" * (3 << 20) + b'"', 413, "Request entity too large: limit is 3145728", id="a large body"),
    pytest.param("POST", CM, {"kind": "Pod", "apiVersion": "v1"}, 400, 'Pod in version "v1" cannot be handled as a ConfigMap', id="another kind"),
    pytest.param("POST", CM, {"kind": "ConfigMap", "apiVersion": "v2"}, 400, 'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2"', id="a version that never was"),
    pytest.param("POST", "/apis/batch/v1/namespaces/default/cronjobs", {"kind": "CronJob", "apiVersion": "batch/v1beta1"}, 400, "the API version in the data (batch/v1beta1) does not match the expected API version (batch/v1)", id="another version"),
    pytest.param("POST", CM, {"kind": 1}, 400, "(must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string (", id="a kind that is no text"),
    pytest.param("POST", CM, {"apiVersion": "a/b/c"}, 400, "(must be of type ConfigMap): unexpected GroupVersion string: a/b/c (", id="a version that cannot be"),
    pytest.param("POST", CM, {"metadata": []}, 400, "cannot unmarshal", id="metadata is a list"),
    pytest.param("POST", CM, {"metadata": {"name": "a", "namespace": "b"}}, 400, "the namespace of the provided object does not match the namespace sent on the request", id="another namespace"),
    pytest.param("POST", CM, {"metadata": {"name": "a", "resourceVersion": "1"}}, 400, "resourceVersion should not be set on objects to be created", id="a resourceVersion on create"),
    pytest.param("POST", CM, {"metadata": {}}, 422, "name or generateName is required", id="no name"),
    pytest.param("POST", CM, {"metadata": {"name": "A_b"}}, 422, 'ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b"', id="a wrong name"),
    pytest.param("POST", CM, {"metadata": {"name": "a", "labels": {"-": "x"}}}, 422, "metadata.labels: Invalid value", id="a wrong label"),
    pytest.param("POST", CM, {"metadata": {"name": "a", "finalizers": ["x"]}}, 422, "name is neither a standard finalizer name nor is it fully qualified", id="a wrong finalizer"),
    pytest.param("POST", CM, {"data": {"a": 1}}, 400, "cannot unmarshal number into Go struct field", id="a wrong type"),
    pytest.param("POST", f"{CM}?dryRun=x", configmap(), 422, "dryRun: Unsupported value", id="a wrong dryRun"),
    pytest.param("POST", f"{CM}?fieldValidation=x", configmap(), 422, "fieldValidation: Unsupported value", id="a wrong fieldValidation"),
    pytest.param("POST", f"{CM}?fieldManager={'x' * 129}", configmap(), 422, "fieldManager: Too long", id="a long fieldManager"),
    pytest.param("POST", f"{CM}?fieldValidation=Strict", {"metadata": {"name": "a"}, "x": 1}, 400, 'strict decoding error: unknown field "x"', id="strict about unknown fields"),
    pytest.param("GET", f"{CM}?labelSelector=a==b==c", None, 400, "found '==', expected: ',' or 'end of string'", id="a wrong label selector"),
    pytest.param("GET", f"{CM}?labelSelector={'(' * 5000}", None, 400, "", id="an absurd label selector"),
    pytest.param("GET", f"{CM}?fieldSelector=spec.x%3D1", None, 400, '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"', id="an unknown field"),
    pytest.param("GET", f"{PODS}?fieldSelector=spec.x%3D1", None, 400, "field label not supported: spec.x", id="an unknown field of pods"),
    pytest.param("GET", f"{CM}?limit=x", None, 400, 'strconv.ParseInt: parsing "x": invalid syntax', id="a wrong limit"),
    pytest.param("GET", f"{CM}/..", None, 400, 'Name parameter invalid: "..": may not be \'..\'', id="the parent directory as a name"),
    pytest.param("GET", f"{CM}?resourceVersion=x", None, 400, "invalid syntax", id="a wrong resourceVersion"),
    pytest.param("GET", f"{CM}?resourceVersion=999", None, 504, "Timeout: Too large resource version: 999, current: 1", id="a future resourceVersion"),
    pytest.param("GET", f"{CM}?continue=x", None, 400, "continue key is not valid", id="a wrong continue token"),
    pytest.param("GET", f"{CM}?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi94In0", None, 400, "continue key is not valid", id="a continue token that leaves its place"),
    pytest.param("GET", f"{CM}?resourceVersionMatch=Exact", None, 422, "resourceVersionMatch is forbidden unless resourceVersion is provided", id="a match without version"),
    pytest.param("GET", f"{CM}?resourceVersionMatch=Exact&resourceVersion=0", None, 422, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"', id="exactly any"),
    pytest.param("GET", f"{CM}?watch=1&sendInitialEvents=true", None, 422, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan", id="initial events without match"),
    pytest.param("GET", f"{CM}?%ff=1", None, 400, "the query string cannot be decoded", id="a query that is no text"),
    pytest.param("DELETE", f"{CM}/x?propagationPolicy=y", None, 422, "propagationPolicy: Unsupported value", id="a wrong propagation policy"),
    pytest.param("DELETE", f"{CM}/x", {"gracePeriodSeconds": "x"}, 400, "", id="wrong delete options"),
    pytest.param("PUT", f"{CM}/x", configmap("y"), 400, "the name of the object (y) does not match the name on the URL (x)", id="another name"),
    pytest.param("PUT", f"{CM}/x", configmap("x"), 404, 'configmaps "x" not found', id="update of nothing"),
    pytest.param("PUT", f"{CM}/x", {"data": {}}, 400, "name must be provided", id="update without a name"),
    pytest.param("GET", f"{CM}/a\0b", None, 404, "not found", id="a zero byte in the path"),
]  # fmt: skip


@pytest.mark.parametrize("method, url, body, status, message", REFUSED)
def test_refused(api, method, url, body, status, message):
    answer = api(lambda call: call(method, url, body))
    assert answer.status == status
    text = answer.body["message"] if isinstance(answer.body, dict) else answer.body
    assert message in text


def test_create_fills_in_what_the_server_sets(api):
    answer = api(lambda call: call("POST", CM, {"metadata": {"name": "a", "uid": "mine", "selfLink": "/x"}}))
    meta = answer.body["metadata"]
    assert answer.status == 201
    assert meta.keys() - {"managedFields"} == {"name", "namespace", "uid", "creationTimestamp", "resourceVersion"}
    assert meta["uid"] != "mine"
    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMap", "v1")


def test_create_twice_is_a_conflict(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        return await call("POST", CM, configmap("a"))

    answer = api(scenario)
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.body["message"] == 'configmaps "a" already exists'
    assert answer.body["details"] == {"name": "a", "kind": "configmaps"}


def test_generated_names(api):
    async def scenario(call):
        body = {"metadata": {"generateName": "n-" + "x" * 80}}
        return [await call("POST", CM, body) for _ in range(3)]

    names = [a.body["metadata"]["name"] for a in api(scenario)]
    assert len(set(names)) == 3
    assert all(len(n) == 63 and n.startswith("n-xxx") for n in names)


def test_unknown_fields_are_warned_of_and_dropped(api):
    answer = api(lambda call: call("POST", CM, {"metadata": {"name": "a"}, "dta": {}}))
    assert answer.status == 201
    assert answer.headers["warning"] == '299 - "unknown field \\"dta\\""'
    assert "dta" not in answer.body


def test_dry_run_changes_nothing(api):
    async def scenario(call):
        made = await call("POST", f"{CM}?dryRun=All", configmap("a"))
        missing = await call("GET", f"{CM}/a")
        await call("POST", CM, configmap("a", x="1"))
        put = await call("PUT", f"{CM}/a?dryRun=All", configmap("a", x="2"))
        patched = await call("PATCH", f"{CM}/a?dryRun=All", {"data": {"x": "3"}}, type=MERGE)
        deleted = await call("DELETE", f"{CM}/a?dryRun=All")
        return made, missing, put, patched, deleted, await call("GET", f"{CM}/a")

    made, missing, put, patched, deleted, found = api(scenario)
    assert (made.status, missing.status) == (201, 404)
    assert "resourceVersion" not in made.body["metadata"]
    assert put.body["data"] == {"x": "2"}
    assert patched.body["data"] == {"x": "3"}
    assert deleted.status == 200
    assert found.body["data"] == {"x": "1"}


# --- update


def test_update_with_an_old_version_is_a_conflict(api):
    async def scenario(call):
        first = (await call("POST", CM, configmap("a", x="1"))).body
        second = (await call("PUT", f"{CM}/a", {**first, "data": {"x": "2"}})).body
        return second, await call("PUT", f"{CM}/a", {**first, "data": {"x": "3"}})

    second, answer = api(scenario)
    assert second["data"] == {"x": "2"}
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.body["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_update_without_a_version_is_unconditional(api):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="1"))
        return await call("PUT", f"{CM}/a", configmap("a", x="2"))

    assert api(scenario).body["data"] == {"x": "2"}


def test_update_that_changes_nothing_keeps_the_version(api):
    async def scenario(call):
        first = (await call("POST", CM, configmap("a", x="1"))).body
        put = await call("PUT", f"{CM}/a", first)
        patch = await call("PATCH", f"{CM}/a", {"data": {"x": "1"}}, type=MERGE)
        return [first, put.body, patch.body]

    versions = {o["metadata"]["resourceVersion"] for o in api(scenario)}
    assert len(versions) == 1


def test_update_keeps_identity(api):
    async def scenario(call):
        first = (await call("POST", CM, configmap("a"))).body
        body = configmap("a", x="1")
        body["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z"
        return first, (await call("PUT", f"{CM}/a", body)).body

    first, second = api(scenario)
    for name in ("uid", "creationTimestamp"):
        assert second["metadata"][name] == first["metadata"][name]


def test_update_with_another_uid_is_a_conflict(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        body = configmap("a")
        body["metadata"]["uid"] = "other"
        return await call("PUT", f"{CM}/a", body)

    answer = api(scenario)
    assert answer.status == 409
    assert "Precondition failed: UID in precondition: other, UID in object meta: " in answer.body["message"]


def test_a_lease_is_created_by_an_update(api):
    url = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    answer = api(lambda call: call("PUT", url, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}))
    assert answer.status == 201
    assert answer.body["metadata"]["uid"]


# --- generation and status

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def test_generation_follows_the_spec_only(api):
    async def scenario(call):
        first = (await call("POST", DEPLOYMENTS, deployment("d"))).body
        labelled = await call("PATCH", f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": "b"}}}, type=MERGE)
        status = await call("PATCH", f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 1}}, type=MERGE)
        scaled = await call("PATCH", f"{DEPLOYMENTS}/d", {"spec": {"replicas": 7}}, type=MERGE)
        return [o["metadata"]["generation"] for o in (first, labelled.body, status.body, scaled.body)]

    assert api(scenario) == [1, 1, 1, 2]


def test_status_is_only_for_the_status_subresource(api):
    async def scenario(call):
        made = (await call("POST", DEPLOYMENTS, {**deployment("d"), "status": {"replicas": 9}})).body
        main = (await call("PATCH", f"{DEPLOYMENTS}/d", {"status": {"replicas": 8}}, type=MERGE)).body
        change = {"status": {"replicas": 3}, "spec": {"replicas": 9}, "metadata": {"labels": {"x": "y"}}}
        status = (await call("PATCH", f"{DEPLOYMENTS}/d/status", change, type=MERGE)).body
        return made, main, status

    made, main, status = api(scenario)
    assert "replicas" not in made["status"]
    assert "replicas" not in main["status"]
    assert status["status"] == {"replicas": 3}
    assert status["spec"] == made["spec"]
    assert status["metadata"].get("labels") == made["metadata"].get("labels")


def test_a_node_keeps_the_status_it_is_created_with(api):
    node = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2"}}}
    answer = api(lambda call: call("POST", "/api/v1/nodes", node))
    assert answer.body["status"]["capacity"] == {"cpu": "2"}


def test_a_namespace_is_active_and_keeps_its_finalizer(api):
    async def scenario(call):
        made = (await call("POST", "/api/v1/namespaces", namespace("n"))).body
        got = await call("GET", "/api/v1/namespaces/n")
        deleted = (await call("DELETE", "/api/v1/namespaces/n")).body
        body = {**deleted, "spec": {"finalizers": []}}
        final = await call("PUT", "/api/v1/namespaces/n/finalize", body)
        return made, got, deleted, final, await call("GET", "/api/v1/namespaces/n")

    made, got, deleted, final, gone = api(scenario)
    assert (made["status"], made["spec"]) == ({"phase": "Active"}, {"finalizers": ["kubernetes"]})
    assert got.status == 200
    assert deleted["status"]["phase"] == "Terminating"
    assert deleted["metadata"]["deletionTimestamp"]
    assert final.status == 200
    assert gone.status == 404


# --- patches


PATCHES = [
    pytest.param(MERGE, {"data": {"x": None, "z": "3"}}, {"y": "2", "z": "3"}, id="merge patch"),
    pytest.param("application/json-patch+json", [{"op": "replace", "path": "/data/x", "value": "9"}], {"x": "9", "y": "2"}, id="JSON patch"),
    pytest.param("application/strategic-merge-patch+json", {"data": {"$patch": "replace", "q": "1"}}, {"q": "1"}, id="strategic merge patch"),
]  # fmt: skip


@pytest.mark.parametrize("type, patch, data", PATCHES)
def test_patch(api, type, patch, data):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="1", y="2"))
        return await call("PATCH", f"{CM}/a", patch, type=type)

    answer = api(scenario)
    assert (answer.status, answer.body["data"]) == (200, data)


BAD_PATCHES = [
    pytest.param("application/json", {}, 415, "415: Unsupported Media Type", id="an ordinary media type"),
    pytest.param(MERGE, b"{", 400, "", id="broken JSON"),
    pytest.param(MERGE, {"metadata": {"resourceVersion": "1"}}, 409, "the object has been modified", id="an old version"),
    pytest.param(MERGE, {"metadata": {"name": "b"}}, 400, "does not match the name on the URL", id="another name"),
    pytest.param(MERGE, {"data": 1}, 422, "cannot unmarshal", id="a wrong type"),
    pytest.param("application/json-patch+json", [{"op": "remove", "path": "/data/none"}], 422, "", id="does not apply"),
]  # fmt: skip


@pytest.mark.parametrize("type, patch, status, message", BAD_PATCHES)
def test_refused_patch(api, type, patch, status, message):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="1"))
        return await call("PATCH", f"{CM}/a", patch, type=type)

    answer = api(scenario)
    assert answer.status == status, answer.body
    assert message in answer.body["message"]


# --- forms of the answer


def test_yaml_in_and_out(api):
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {when: 2020-01-01, 'on': 'yes'}\n"

    async def scenario(call):
        made = await call("POST", CM, body, type="application/yaml")
        return made, await call("GET", f"{CM}/a", accept="application/yaml")

    made, got = api(scenario)
    assert made.body["data"] == {"when": "2020-01-01", "on": "yes"}
    assert got.headers["content-type"] == "application/yaml"
    assert "when: '2020-01-01'" in got.body or 'when: "2020-01-01"' in got.body or "when: 2020-01-01" in got.body


@pytest.mark.parametrize(
    "accept, status",
    [
        pytest.param(
            "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json", 200, id="falls through"
        ),
        pytest.param("application/vnd.kubernetes.protobuf", 200, id="protobuf alone"),
        pytest.param("application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1", 406, id="no table is protobuf"),
        pytest.param("text/html", 406, id="HTML"),
        pytest.param("*/*", 200, id="anything"),
        pytest.param("application/json;as=Nothing;g=meta.k8s.io;v=v1", 406, id="an unknown form"),
    ],
)
def test_accept(api, accept, status):
    assert api(lambda call: call("GET", CM, accept=accept)).status == status


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def test_tables(api):
    async def scenario(call):
        await call("POST", PODS, pod("a"))
        await call("POST", PODS, pod("b"))
        listed = await call("GET", PODS, accept=TABLE)
        one = await call("GET", f"{PODS}/a", accept=TABLE)
        events = await call.watch(f"{PODS}?watch=1", 2, accept=TABLE)
        return listed.body, one.body, events

    listed, one, events = api(scenario)
    assert listed["kind"] == "Table"
    assert [r["cells"][:3] for r in listed["rows"]] == [["a", "0/1", "Pending"], ["b", "0/1", "Pending"]]
    assert listed["columnDefinitions"][0]["name"] == "Name"
    assert listed["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert len(one["rows"]) == 1
    assert [t for t, _ in events] == ["ADDED", "ADDED"]
    assert events[0][1]["columnDefinitions"] and not events[1][1]["columnDefinitions"]


def test_metadata_only(api):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="1"))
        accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        listed = await call("GET", CM, accept=accept)
        events = await call.watch(f"{CM}?watch=1", 1, accept=accept.replace("List", ""))
        return listed.body, events

    listed, events = api(scenario)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}
    assert events[0][1]["kind"] == "PartialObjectMetadata"


def test_large_answers_are_compressed_for_who_can_read_it(api):
    import gzip

    async def scenario(call):
        for i in range(3):
            await call("POST", CM, configmap(f"a{i}", x="x" * 60_000))
        return await call.send("GET", CM, accept_encoding="gzip"), await call.send("GET", CM)

    packed, plain = api(scenario)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


# --- causes


@pytest.mark.parametrize(
    "headers, length",
    [
        pytest.param({}, 36, id="a new one for each write"),
        pytest.param({"skiff_cause": "because"}, 7, id="the client's"),
        pytest.param({"skiff_cause": "x" * 1000}, 128, id="a long one is cut"),
    ],
)
def test_a_write_carries_its_cause(api, headers, length):
    async def scenario(call):
        await call("POST", CM, configmap("a"), **headers)
        page = await call.server.registry.store.range("/registry/core/configmaps/")
        return page.records[0].cause

    assert len(api(scenario)) == length


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(None, id="from a connection"),
        pytest.param(UserInfo("someone"), id="from the in-process transport"),
    ],
)
def test_a_cause_ends_with_its_request(api, user):
    async def scenario(call):
        for name, headers in (("a", {"skiff-cause": "because"}), ("b", {})):
            body = orjson.dumps(configmap(name))
            headers = {"content-type": "application/json", **headers}
            answer = await call.server.handler(Request("POST", CM, headers=headers, body=body, user=user))
            assert answer.status == 201
            assert env.cause.get() == ""
        page = await call.server.registry.store.range("/registry/core/configmaps/")
        return [record.cause for record in page.records]

    first, second = api(scenario)
    assert first == "because"
    assert len(second) == 36
