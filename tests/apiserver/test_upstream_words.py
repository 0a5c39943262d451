"""What goes wrong, in upstream's own words: each answer was compared with kube-apiserver v1.36's to the same request."""

import pytest

from skiff.api.errors import StatusError
from skiff.apiserver.negotiation import load_json
from skiff.testing.builders import configmap, deployment, pod

CM = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
JSON = "application/json"
YAML = "application/yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "
NO_VERSION = UNRECOGNIZED + "couldn't get version/kind; json parse error: "
HANDLED = 'in version "v1" cannot be handled as a ConfigMap: '
SCHEME = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'

BODIES = [
    pytest.param(b"", JSON, NO_VERSION + "unexpected end of JSON input (<empty>)", id="nothing"),
    pytest.param(b"{", JSON, NO_VERSION + "unexpected end of JSON input ({)", id="an object without end"),
    pytest.param(b'{"a": x}', JSON, NO_VERSION + "invalid character 'x' looking for beginning of value ({\"a\": x})", id="a bare word"),
    pytest.param(b"a: b: c", YAML, UNRECOGNIZED + "yaml: mapping values are not allowed in this context (613a20623a2063)", id="broken YAML"),
    pytest.param(b'{"kind":"Wrong"}', JSON, f'Wrong {HANDLED}no kind "Wrong" is registered for version "v1" {SCHEME}', id="an unknown kind"),
    pytest.param(b'{"kind":"ConfigMap","apiVersion":"wrong/v1"}', JSON, f'ConfigMap {HANDLED}no kind "ConfigMap" is registered for version "wrong/v1" {SCHEME}', id="an unknown group"),
    pytest.param(b'{"kind":"Pod"}', JSON, f"Pod {HANDLED}converting (v1.Pod) to (core.ConfigMap): unknown conversion", id="another kind"),
    pytest.param(b'{"kind":"Deployment","apiVersion":"apps/v1"}', JSON, f"Deployment {HANDLED}converting (v1.Deployment) to (core.ConfigMap): unknown conversion", id="another kind of another group"),
    pytest.param(b'{"kind":"ConfigMap","metadata":"x"}', JSON, f"ConfigMap {HANDLED}json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta", id="metadata that is no object"),
]  # fmt: skip


@pytest.mark.parametrize("body, type, message", BODIES)
def test_undecodable(api, body, type, message):
    answer = api(lambda call: call("POST", CM, body, type=type))
    assert (answer.status, answer.body["message"]) == (400, message)


TWICE = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  name: b\nnope: 1\n"
LINE = 'line 5: key "name" already set in map'


def test_yaml_says_it_twice_and_is_warned(api):
    answer = api(lambda call: call("POST", CM, TWICE, type=YAML))
    assert answer.status == 201
    assert (
        answer.headers["warning"]
        == '299 - "line 5: key \\"name\\" already set in map", 299 - "unknown field \\"nope\\""'
    )


def test_yaml_says_it_twice_and_is_refused(api):
    answer = api(lambda call: call("POST", f"{CM}?fieldValidation=Strict", TWICE, type=YAML))
    words = f'ConfigMap {HANDLED}strict decoding error: yaml: unmarshal errors:\n  {LINE}, unknown field "nope"'
    assert (answer.status, answer.body["message"]) == (400, words)


PATCHES = [
    pytest.param(STRATEGIC, {"spec": {"replicas": "x"}}, 'map[spec:map[replicas:x]]": unrecognized type: int32', id="text for a number, strategic"),
    pytest.param(STRATEGIC, {"metadata": {"labels": {"a": 1}}}, 'map[metadata:map[labels:map[a:1]]]": cannot convert int64 to string', id="a number for text, strategic"),
    pytest.param(STRATEGIC, {"metadata": {"labels": "x"}}, 'map[metadata:map[labels:x]]": cannot restore map from string', id="text for a map, strategic"),
    pytest.param(STRATEGIC, {"spec": {"foo": [None, True]}}, 'map[spec:map[foo:[<nil> true]]]": strict decoding error: unknown field "spec.foo"', id="unknown field, strategic"),
    pytest.param(MERGE, {"spec": {"foo": 1}}, 'strict decoding error: unknown field "spec.foo"', id="unknown field, merge"),
    pytest.param(MERGE, {"spec": {"replicas": "x"}}, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32", id="wrong type"),
]  # fmt: skip


@pytest.mark.parametrize("type, patch, ending", PATCHES)
def test_patch_makes_something_else(api, type, patch, ending):
    async def scenario(call):
        await call("POST", DEPLOYMENTS, deployment("a"))
        return await call("PATCH", f"{DEPLOYMENTS}/a?fieldValidation=Strict", patch, type=type)

    answer = api(scenario)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].startswith(' "" is invalid: patch: Invalid value: "')
    assert answer.body["message"].endswith(ending)
    assert [c["field"] for c in answer.body["details"]["causes"]] == ["patch"]


def test_apply_warns_about_a_key_that_stands_twice(api):
    body = b"apiVersion: v1\nkind: ConfigMap\nkind: ConfigMap\nmetadata: {name: a}\n"
    answer = api(lambda call: call("PATCH", f"{CM}/a?fieldManager=m", body, type=APPLY))
    assert (answer.status, answer.headers["warning"]) == (201, '299 - "line 3: key \\"kind\\" already set in map"')


NODES = "/api/v1/nodes"
WITHOUT_NAMESPACES = [
    pytest.param(NODES, "field label not supported: metadata.namespace", id="nodes"),
    pytest.param("/apis/resource.k8s.io/v1/resourceslices", "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: metadata.namespace", id="slices"),
]  # fmt: skip


@pytest.mark.parametrize("url, message", WITHOUT_NAMESPACES)
def test_what_has_no_namespace_is_not_selected_by_it(api, url, message):
    answer = api(lambda call: call("GET", f"{url}?fieldSelector=metadata.namespace=x"))
    assert (answer.status, answer.body["message"]) == (400, message)


NOT_ACCEPTABLE = [
    pytest.param("foo/bar", "406: Not Acceptable\n\nAvailable representations: application/json,", id="a type that is none"),
    pytest.param("application/json;as=Foo;v=v1;g=meta.k8s.io", "only the following media types are accepted: ", id="a form that is none"),
    pytest.param("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "you requested PartialObjectMetadata, but the requested object is a list (*apps.DeploymentList)", id="one object of a list"),
]  # fmt: skip


@pytest.mark.parametrize("accept, message", NOT_ACCEPTABLE)
def test_not_acceptable(api, accept, message):
    answer = api(lambda call: call("GET", DEPLOYMENTS, accept=accept))
    assert answer.status == 406
    assert answer.body["message"].startswith(message)


PAGES = [
    pytest.param("GET", "limit=1", 1, True, id="a page"),
    pytest.param("GET", "limit=1&resourceVersion=0", 2, False, id="any version: all of it"),
    pytest.param("DELETE", "limit=1", 1, True, id="a page is deleted"),
]


@pytest.mark.parametrize("method, query, count, more", PAGES)
def test_pages(api, method, query, count, more):
    async def script(call):
        for name in "ab":
            await call("POST", CM, configmap(name))
        return await call(method, f"{CM}?{query}")

    body = api(script).body
    assert (len(body["items"]), "continue" in body["metadata"]) == (count, more)


OPTIONS = [
    pytest.param("POST", f"{CM}?dryRun=", '"All"', id="dry run without a value"),
    pytest.param("DELETE", f"{CM}/a?propagationPolicy=x", '"Foreground", "Background", "Orphan", "nil"', id="propagation"),
    pytest.param("POST", f"{CM}?fieldValidation=x", '"", "Ignore", "Strict", "Warn"', id="field validation"),
    pytest.param("GET", f"{CM}?resourceVersionMatch=x&resourceVersion=1", '"Exact", "NotOlderThan", ""', id="match"),
]  # fmt: skip


@pytest.mark.parametrize("method, url, supported", OPTIONS)
def test_unsupported_option(api, method, url, supported):
    answer = api(lambda call: call(method, url, configmap("a") if method == "POST" else None))
    assert answer.status == 422
    assert answer.body["message"].endswith(f": supported values: {supported}")
    assert "Unsupported value: " in answer.body["message"]


def test_delete_on_a_condition_names_the_kind(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        return await call("DELETE", f"{CM}/a", {"preconditions": {"uid": "other"}})

    answer = api(scenario)
    assert answer.status == 409
    assert answer.body["details"]["kind"] == "ConfigMap"
    assert answer.body["message"].startswith(
        'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition'
    )


@pytest.mark.parametrize(
    "url, body, kind",
    [
        pytest.param(CM, configmap("a"), "Status", id="most kinds"),
        pytest.param(PODS, pod("a"), "Pod", id="pods"),
        pytest.param(
            "/apis/storage.k8s.io/v1/storageclasses",
            {"metadata": {"name": "a"}, "provisioner": "a/b"},
            "StorageClass",
            id="storage classes",
        ),
    ],
)
def test_what_a_deletion_answers(api, url, body, kind):
    async def scenario(call):
        await call("POST", url, body)
        return await call("DELETE", f"{url}/a")

    assert api(scenario).body["kind"] == kind


def test_warnings_come_with_failures(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        return await call("POST", CM, {"metadata": {"name": "a"}, "nope": 1})

    answer = api(scenario)
    assert (answer.status, answer.headers["warning"]) == (409, '299 - "unknown field \\"nope\\""')


def test_exists_but_is_being_deleted(api):
    async def scenario(call):
        await call("POST", CM, configmap("a") | {"metadata": {"name": "a", "finalizers": ["a.b/c"]}})
        await call("DELETE", f"{CM}/a")
        return await call("POST", CM, configmap("a"))

    assert api(scenario).body["message"] == 'object is being deleted: configmaps "a" already exists'


STATUSES = [
    pytest.param("/apis/apps/v1/namespaces/default/daemonsets", "DaemonSet", {"a.b/c"}, {"app": "a", "x": "y"}, id="most kinds: all of it"),
    pytest.param(DEPLOYMENTS, "Deployment", {"a.b/c"}, {"app": "a"}, id="deployments: not the labels"),
]  # fmt: skip


@pytest.mark.parametrize("url, kind, finalizers, labels", STATUSES)
def test_what_a_status_write_changes_of_the_metadata(api, url, kind, finalizers, labels):
    async def scenario(call):
        await call("POST", url, deployment("a") | {"kind": kind, "spec": workload()})
        change = {"metadata": {"finalizers": ["a.b/c"], "labels": {"x": "y"}}}
        return await call("PATCH", f"{url}/a/status", change, type=MERGE)

    meta = api(scenario).body["metadata"]
    assert (set(meta["finalizers"]), meta["labels"]) == (finalizers, labels)


def workload():
    """What deployments and daemon sets have in common."""
    spec = deployment("a")["spec"]
    return {"selector": spec["selector"], "template": spec["template"]}


def test_a_generated_namespace_is_labelled_with_its_name(api):
    answer = api(lambda call: call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "a-"}}))
    meta = answer.body["metadata"]
    assert meta["labels"] == {"kubernetes.io/metadata.name": meta["name"]}


def test_a_job_without_labels_has_its_pods_labels(api):
    containers = [{"name": "c", "image": "i"}]
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}}
    body = {"metadata": {"name": "a"}, "spec": spec}
    job = api(lambda call: call("POST", "/apis/batch/v1/namespaces/default/jobs", body)).body
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]


ZEROS = [
    pytest.param("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 0, "description": "d"}, {"f:description", "f:preemptionPolicy"}, id="a number that is always shown"),
    pytest.param("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", {"metadata": {"name": "a", "labels": {"a": "b"}}}, {"f:metadata"}, id="a list that is always shown"),
    pytest.param("/api/v1/namespaces/default/events", {"involvedObject": {"namespace": "default"}, "message": "m"}, {"f:involvedObject", "f:message"}, id="times that are always shown"),
]  # fmt: skip


@pytest.mark.parametrize("url, body, fields", ZEROS)
def test_nobody_owns_what_is_there_unset(api, url, body, fields):
    answer = api(lambda call: call("POST", url, {"metadata": {"name": "a"}} | body))
    assert set(answer.body["metadata"]["managedFields"][0]["fieldsV1"]) == fields


@pytest.mark.parametrize(
    "body, words",
    [
        pytest.param(b"{} {}", "invalid character '{' after top-level value", id="two documents"),
        pytest.param(b'{"a" 1}', "invalid character '1' after object key", id="no colon"),
        pytest.param(b'{"a":1 "b"}', "invalid character '\"' after object key:value pair", id="no comma"),
        pytest.param(b"[1 2]", "invalid character '2' after array element", id="no comma in a list"),
        pytest.param(b"{a:1}", "invalid character 'a' looking for beginning of object key string", id="a bare key"),
        pytest.param(b"[1,]", "invalid character ']' looking for beginning of value", id="a comma too many"),
        pytest.param(b'"\\x"', "invalid character 'x' in string escape code", id="no such escape"),
        pytest.param(b'{"a":', "unexpected end of JSON input", id="cut off"),
        pytest.param(b'{"a":' * 2000, "exceeded max depth", id="too deep"),
        pytest.param(b'{"a":"\xff"}', "the text is not valid UTF-8", id="no text"),
    ],
)
def test_broken_json_is_told_in_the_words_of_gos_decoder(body, words):
    with pytest.raises(StatusError) as caught:
        load_json(body, "Pod")
    assert f"json parse error: {words} (" in caught.value.message


def test_a_deprecated_resource_is_deprecated_when_nothing_is_there(api):
    answer = api(lambda call: call("GET", "/api/v1/namespaces/default/endpoints/x"))
    words = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    assert (answer.status, answer.headers["warning"]) == (404, f'299 - "{words}"')


def test_many_warnings_are_shown_up_to_a_length(api):
    names = [f"a{'x' * 60}{i:03}" for i in range(90)]
    answer = api(lambda call: call("POST", CM, {"metadata": {"name": "a"}} | dict.fromkeys(names, 1)))
    found = answer.headers["warning"].split(", ")
    assert len(found) == -(-4096 // len(f'unknown field "{names[0]}"'))


def test_a_mistake_that_is_found_twice_is_said_once(api):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    body = {"metadata": {"name": "a"}, "spec": {"maxReplicas": 2, "scaleTargetRef": target, "metrics": [{"type": "X"}]}}
    url = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    answer = api(lambda call: call("POST", url, body))
    assert answer.body["message"].count("Unsupported value") == 1
    assert len(answer.body["details"]["causes"]) == 2


def test_an_invalid_event_is_one_of_the_core_group(api):
    body = {"metadata": {"name": "a"}, "eventTime": "2026-01-01T00:00:00.000000Z"}
    answer = api(lambda call: call("POST", "/apis/events.k8s.io/v1/namespaces/default/events", body))
    assert answer.body["message"].startswith('Event "a" is invalid: ')
    assert "group" not in answer.body["details"]


JOBS = "/apis/batch/v1/namespaces/default/jobs"
JOB_SELECTORS = [
    pytest.param({"selector": {"matchLabels": {"app": "a"}}}, {"app": "a"}, ["spec.selector"], id="a selector of one's own"),
    pytest.param({}, {"controller-uid": "x"}, ["spec.template.metadata.labels[controller-uid]"], id="a label of one's own"),
]  # fmt: skip


@pytest.mark.parametrize("spec, labels, fields", JOB_SELECTORS)
def test_a_job_is_selected_by_what_the_server_makes(api, spec, labels, fields):
    template = {"metadata": {"labels": labels}, "spec": workload()["template"]["spec"] | {"restartPolicy": "Never"}}
    answer = api(lambda call: call("POST", JOBS, {"metadata": {"name": "a"}, "spec": spec | {"template": template}}))
    assert (answer.status, [c["field"] for c in answer.body["details"]["causes"]]) == (422, fields)


def test_a_claim_that_stands_twice_in_a_stateful_set_is_one(api):
    claim = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}},
    }
    body = {"metadata": {"name": "a"}, "spec": workload() | {"volumeClaimTemplates": [claim, claim]}}
    assert api(lambda call: call("POST", "/apis/apps/v1/namespaces/default/statefulsets", body)).status == 201


OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}
OWNED_TWICE = [
    pytest.param("POST", CM, JSON, "entries;", id="create"),
    pytest.param("PUT", f"{CM}/old", JSON, "entries;", id="update"),
    pytest.param("PATCH", f"{CM}/old", MERGE, "entries after mutating admission happens;", id="patch"),
]  # fmt: skip


@pytest.mark.parametrize("method, url, type, words", OWNED_TWICE)
def test_an_owner_counts_once(api, method, url, type, words):
    async def script(call):
        await call("POST", CM, configmap("old"))
        owners = [OWNER, {**OWNER, "uid": "v"}, OWNER]
        body = {"metadata": {"name": "old" if "old" in url else "new", "ownerReferences": owners}}
        return await call(method, url, body, type=type)

    answer = api(script)
    assert [o["uid"] for o in answer.body["metadata"]["ownerReferences"]] == ["u", "v"]
    assert words in answer.headers["warning"]
    assert answer.headers["warning"].endswith('duplicate UID(s) observed: u"')


OLD_VERSIONS = [
    pytest.param("apps/v1beta1", "the API version in the data (apps/v1beta1) does not match", id="read but not served"),
    pytest.param("apps/v7", f'Deployment in version "v7" cannot be handled as a Deployment: no kind "Deployment" is registered for version "apps/v7" {SCHEME}', id="never there"),
    pytest.param("v7", 'Deployment in version "v7" cannot be handled', id="of another group"),
]  # fmt: skip


@pytest.mark.parametrize("version, message", OLD_VERSIONS)
def test_another_version(api, version, message):
    answer = api(lambda call: call("POST", DEPLOYMENTS, deployment("a") | {"apiVersion": version}))
    assert answer.status == 400
    assert answer.body["message"].startswith(message)


def test_a_limit_range_without_a_name_gets_one(api):
    made = api(lambda call: call("POST", "/api/v1/namespaces/default/limitranges", {"spec": {"limits": []}}))
    assert (made.status, len(made.body["metadata"]["name"]), made.body["spec"]) == (201, 36, {"limits": None})


DAEMON_SETS = "/apis/apps/v1/namespaces/default/daemonsets"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def test_the_template_generation_of_a_daemon_set_is_always_there(api):
    async def script(call):
        body = deployment("a") | {"kind": "DaemonSet", "spec": workload()}
        made = (await call("POST", DAEMON_SETS, body)).body["metadata"]
        put = (await call("PUT", f"{DAEMON_SETS}/a", body)).body["metadata"]
        status = (await call("PUT", f"{DAEMON_SETS}/a/status", body)).body["metadata"]
        body["spec"]["template"]["spec"]["hostNetwork"] = True
        changed = (await call("PUT", f"{DAEMON_SETS}/a", body)).body["metadata"]
        return [made, put, status, changed]

    found = api(script)
    assert [m["annotations"][TEMPLATE_GENERATION] for m in found] == ["1", "1", "1", "2"]
    assert f"f:{TEMPLATE_GENERATION}" in found[0]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:annotations"]


def test_an_api_service_of_this_server_is_available_at_once(api):
    spec = {"group": "a.example", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
    url = "/apis/apiregistration.k8s.io/v1/apiservices"
    made = api(lambda call: call("POST", url, {"metadata": {"name": "v1.a.example"}, "spec": spec})).body
    assert [(c["type"], c["status"], c["reason"]) for c in made["status"]["conditions"]] == [
        ("Available", "True", "Local")
    ]
    assert made["status"]["conditions"][0]["lastTransitionTime"] == made["metadata"]["creationTimestamp"]


COST = "controller.kubernetes.io/pod-deletion-cost"


def test_a_patch_of_nothing_but_annotations_is_checked_by_the_kind(api):
    async def script(call):
        assert (await call("POST", PODS, pod("a"))).status == 201
        return await call("PATCH", f"{PODS}/a", {"metadata": {"annotations": {COST: "much"}}}, type=MERGE)

    answer = api(script)
    assert answer.status == 422
    assert answer.body["details"]["causes"][0]["message"] == 'Invalid value: "much": must be a 32bit integer'
