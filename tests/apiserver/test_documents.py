"""Paths that are not resources: health, version, discovery, OpenAPI, metrics."""

import pytest

from skiff.api import protobuf
from skiff.apiserver.discovery import version_order

AGGREGATED = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    "url, body",
    [
        pytest.param("/healthz", "ok", id="healthz"),
        pytest.param("/livez", "ok", id="livez"),
        pytest.param("/readyz", "ok", id="readyz"),
        pytest.param("/readyz/etcd", "ok", id="one check"),
        pytest.param("/livez?verbose", "[+]ping ok\n", id="verbose"),
        pytest.param("/livez?verbose&exclude=ping", "[+]ping excluded: ok\n", id="without one"),
    ],
)
def test_health(api, url, body):
    answer = api(lambda call: call("GET", url))
    assert answer.status == 200
    assert body in answer.body


@pytest.mark.parametrize("url", ["/livez/", "/healthz/", "/metrics/", "/openapi/v2/", "/openapi/v4", "/livez/none"])
def test_unknown_paths(api, url):
    answer = api(lambda call: call("GET", url))
    assert (answer.status, answer.body) == (404, "404 page not found\n")


def test_not_ready_while_it_ends_or_without_its_store(api):
    async def scenario(call):
        call.server.closing = True
        ending = await call("GET", "/readyz")
        alive = await call("GET", "/livez")
        await call.server.registry.store.close()
        return ending, alive, await call("GET", "/livez?verbose")

    ending, alive, broken = api(scenario)
    assert (ending.status, alive.status, broken.status) == (500, 200, 500)
    assert "[-]shutdown failed: reason withheld" in ending.body
    assert "[-]etcd failed: reason withheld" in broken.body
    assert broken.body.endswith("livez check failed\n")


def test_health_is_kept_for_metrics(api):
    async def scenario(call):
        await call("GET", "/livez/ping")
        await call("GET", "/readyz")
        call.server.closing = True
        await call("GET", "/readyz")
        return (await call("GET", "/metrics/slis")).body

    found = api(scenario)
    for line in (
        'kubernetes_healthcheck{name="ping",type="livez"} 1',
        'kubernetes_healthcheck{name="shutdown",type="readyz"} 0',
        'kubernetes_healthchecks_total{name="ping",status="success",type="readyz"} 2',
        'kubernetes_healthchecks_total{name="shutdown",status="success",type="readyz"} 1',
        'kubernetes_healthchecks_total{name="shutdown",status="error",type="readyz"} 1',
    ):
        assert line in found.splitlines()


def test_version(api):
    answer = api(lambda call: call("GET", "/version"))
    assert (answer.body["major"], answer.body["minor"], answer.body["gitVersion"]) == ("1", "36", "v1.36.0")


def test_the_index_lists_paths(api):
    paths = api(lambda call: call("GET", "/")).body["paths"]
    assert {"/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3", "/version"} <= set(paths)


def test_discovery_of_the_core(api):
    async def scenario(call):
        return (await call("GET", "/api")).body, (await call("GET", "/api/v1")).body

    versions, resources = api(scenario)
    assert (versions["kind"], versions["versions"]) == ("APIVersions", ["v1"])
    by_name = {r["name"]: r for r in resources["resources"]}
    assert by_name["pods"]["shortNames"] == ["po"]
    assert by_name["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8="
    assert by_name["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }


def test_discovery_of_groups(api):
    async def scenario(call):
        return (await call("GET", "/apis")).body, (await call("GET", "/apis/autoscaling")).body

    groups, one = api(scenario)
    names = [g["name"] for g in groups["groups"]]
    assert names[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    assert one["kind"] == "APIGroup"
    assert [v["version"] for v in one["versions"]] == ["v2", "v1"]
    assert one["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}


def test_aggregated_discovery(api):
    async def scenario(call):
        first = await call("GET", "/apis", accept=f"{AGGREGATED},application/json")
        again = await call("GET", "/apis", accept=AGGREGATED, if_none_match=first.headers["etag"])
        core = await call("GET", "/api", accept=AGGREGATED)
        old = await call("GET", "/apis", accept="application/json;v=v9;g=apidiscovery.k8s.io;as=X,application/json")
        return first, again, core, old

    first, again, core, old = api(scenario)
    assert first.headers["content-type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert first.body["kind"] == "APIGroupDiscoveryList"
    assert (again.status, again.response.body) == (304, b"")
    assert core.body["items"][0]["versions"][0]["version"] == "v1"
    assert old.body["kind"] == "APIGroupList"


def test_openapi(api):
    async def scenario(call):
        index = (await call("GET", "/openapi/v3")).body
        url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        document = await call("GET", url)
        packed = await call.send("GET", url, accept_encoding="gzip")
        missing = await call("GET", "/openapi/v3/apis/none/v1")
        v2 = await call.send("GET", "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
        return document, packed, missing, v2

    document, packed, missing, v2 = api(scenario)
    assert "io.k8s.api.apps.v1.Deployment" in document.body["components"]["schemas"]
    assert packed.headers["content-encoding"] == "gzip"
    assert missing.status == 404
    assert v2.headers["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def test_metrics_have_bounded_labels(api):
    async def scenario(call):
        await call("GET", "/api/v1/namespaces/default/pods")
        for i in range(20):
            await call("GET", f"/api/v1/namespaces/default/nonsense{i}")
            await call(f"M{i}", "/version")
            await call("GET", f"/api/v1/namespaces/default/pods/x/sub{i}")
        return (await call("GET", "/metrics")).body

    text = api(scenario)
    pods = 'verb="LIST",group="",version="v1",resource="pods",subresource="",scope="namespace",component="apiserver",dry_run=""'
    assert f'apiserver_request_total{{{pods},code="200"}} 1' in text
    assert f"apiserver_request_duration_seconds_count{{{pods}}} 1" in text
    sizes = pods.removesuffix(',dry_run=""')
    assert f"apiserver_request_sli_duration_seconds_count{{{sizes}}} 1" in text
    assert 'aggregator_unavailable_apiservice{name="v1.apps"} 0' in text
    assert 'apiserver_resource_objects{group="",resource="pods"} 0' in text
    assert f'apiserver_response_sizes_bucket{{{sizes},le="1000"}} 1' in text
    assert "nonsense" not in text
    assert 'resource="",subresource="",scope="",component="apiserver",dry_run="",code="404"} 40' in text
    assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 1' in text, "this very request"
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize(
    "versions, ordered",
    [
        pytest.param(["v1alpha1", "v2", "v1beta1", "v10", "v1"], ["v10", "v2", "v1", "v1beta1", "v1alpha1"], id="stability, then number"),
        pytest.param(["v1beta2", "v1beta10", "foo"], ["v1beta10", "v1beta2", "foo"], id="names that are no versions come last"),
    ],
)  # fmt: skip
def test_version_order(versions, ordered):
    assert sorted(versions, key=version_order) == ordered


PROTOBUF = "application/vnd.kubernetes.protobuf"
LISTED = f"{PROTOBUF};v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    "url, accept, kind",
    [
        pytest.param("/apis", PROTOBUF, "APIGroupList", id="groups"),
        pytest.param("/apis/apps", PROTOBUF, "APIGroup", id="a group"),
        pytest.param("/apis/apps/v1", PROTOBUF, "APIResourceList", id="resources"),
        pytest.param("/apis", LISTED, "APIGroupDiscoveryList", id="everything at once"),
    ],
)
def test_discovery_as_protobuf(api, url, accept, kind):
    answer = api(lambda call: call.send("GET", url, accept=accept))
    assert (answer.status, answer.headers["content-type"]) == (
        200,
        accept.replace("v=v2;g=apidiscovery.k8s.io", "g=apidiscovery.k8s.io;v=v2"),
    )
    assert protobuf.decode(answer.body)["kind"] == kind


def test_an_aggregated_form_that_nobody_knows(api):
    answer = api(
        lambda call: call("GET", "/apis", accept="application/json;v=v9;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList")
    )
    assert (answer.status, answer.body["reason"]) == (406, "NotAcceptable")


def test_what_a_built_in_resource_answers_goes_without_saying(api):
    items = api(lambda call: call("GET", "/apis", accept=AGGREGATED)).body["items"]
    apps = next(i for i in items if i["metadata"] == {"name": "apps"})
    deployments = next(r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments")
    assert deployments["responseKind"] == {"group": "", "version": "", "kind": "Deployment"}
    assert [s["responseKind"] for s in deployments["subresources"]] == [
        {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        {"group": "", "version": "", "kind": "Deployment"},
    ]


def test_yaml_says_twice_what_is_there_twice(api):
    answer = api(lambda call: call("GET", "/apis", accept="application/yaml"))
    assert "&id" not in answer.body


@pytest.mark.parametrize(
    "url, type",
    [
        pytest.param("/apis/nope", "text/plain; charset=utf-8", id="a group"),
        pytest.param("/apis/apps/v9", "application/json", id="a version"),
    ],
)
def test_nothing_there(api, url, type):
    answer = api(lambda call: call("GET", url))
    assert (answer.status, answer.headers["content-type"]) == (404, type)
