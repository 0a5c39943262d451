"""What /metrics of the API server says: names and labels that dashboards and alerts ask for."""

import asyncio
import re

import pytest

from skiff.testing.builders import configmap
from skiff.wire.messages import UserInfo

CM = "/api/v1/namespaces/default/configmaps"
REQUEST = {"verb", "group", "version", "resource", "subresource", "scope", "component"}


def labels_of(text, name):
    """The labels of the first line of a metric."""
    found = re.search(rf"^{name}(?:\{{(.*)\}})? ", text, re.MULTILINE)
    assert found, f"{name} is missing"
    return set(re.findall(r"(\w+)=\"", found[1] or ""))


@pytest.mark.parametrize(
    "name, labels",
    [
        pytest.param("apiserver_request_total", REQUEST | {"code", "dry_run"}, id="requests"),
        pytest.param("apiserver_request_duration_seconds_bucket", REQUEST | {"dry_run", "le"}, id="their times"),
        pytest.param("apiserver_request_sli_duration_seconds_bucket", REQUEST | {"le"}, id="without webhooks"),
        pytest.param("apiserver_request_terminations_total", REQUEST | {"code"}, id="those that were turned away"),
        pytest.param("apiserver_response_sizes_bucket", REQUEST | {"le"}, id="sizes"),
        pytest.param("apiserver_current_inflight_requests", {"request_kind"}, id="now"),
        pytest.param("apiserver_longrunning_requests", REQUEST, id="watches"),
        pytest.param("apiserver_storage_objects", {"resource"}, id="objects"),
        pytest.param("apiserver_resource_objects", {"group", "resource"}, id="objects, the new way"),
        pytest.param("apiserver_watch_events_total", {"group", "version", "resource"}, id="events"),
        pytest.param("aggregator_unavailable_apiservice", {"name"}, id="groups that cannot be reached"),
        pytest.param("etcd_request_duration_seconds_bucket", {"operation", "group", "resource", "le"}, id="the store"),
        pytest.param("apiserver_storage_size_bytes", {"storage_cluster_id"}, id="its size"),
        pytest.param("apiserver_requested_deprecated_apis", {"group", "version", "resource", "subresource", "removed_release"}, id="old versions"),
        pytest.param("process_cpu_seconds_total", set(), id="the process"),
    ],
)  # fmt: skip
def test_names_and_labels(api, name, labels):
    async def scenario(call):
        await call("POST", CM, configmap("c"))
        await call("GET", CM)
        await call("GET", "/api/v1/componentstatuses")
        call.server.in_flight, call.server.metrics.reading = (1, 1), 1
        admin, call.user = call.user, UserInfo("alice")
        assert (await call("GET", CM)).status == 429
        call.server.in_flight, call.user = (0, 0), admin
        return (await call("GET", "/metrics")).body

    assert labels_of(api(scenario), name) == labels


def test_the_build_is_that_of_the_version(api):
    async def scenario(call):
        return (await call("GET", "/version")).body, (await call("GET", "/metrics")).body

    version, text = api(scenario)
    line = next(line for line in text.splitlines() if line.startswith("kubernetes_build_info"))
    assert f'git_version="{version["gitVersion"]}"' in line
    assert f'build_date="{version["buildDate"]}"' in line


def test_a_request_that_takes_too_long_is_a_termination(api):
    async def scenario(call):
        async def never(*_):
            await asyncio.sleep(3600)

        call.server.admission.mutate = never
        slow = await call("POST", f"{CM}?timeout=1s", configmap("c"))
        return slow.status, (await call("GET", "/metrics")).body

    status, text = api(scenario)
    found = re.search(r"^apiserver_request_terminations_total\{(.*)\} (\d+)$", text, re.MULTILINE)
    assert (status, found[2]) == (504, "1")
    assert 'code="504"' in found[1]
    assert 'resource="configmaps"' in found[1]
