"""The Python client `kubernetes_asyncio`: what a program does with each of its parts, against our API server.

As in test_python.py, a Warning header is a failure.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_process import Server
from kubernetes_asyncio import client, config, dynamic, utils, watch
from kubernetes_asyncio.client.exceptions import ApiException

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kubernetes_asyncio")
Scenario = Callable[[client.ApiClient, str], Awaitable[Any]]
MERGE = "application/merge-patch+json"


class Strict(client.ApiClient):  # type: ignore[misc]
    """Fails on warnings of the server."""

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        response = await super().request(*args, **kwargs)
        headers = response.getheaders() if hasattr(response, "getheaders") else response.headers
        assert "Warning" not in headers, headers["Warning"]
        return response


@pytest.fixture
def play(server: Server, request: pytest.FixtureRequest) -> Callable[[Scenario], Any]:
    """Runs a scenario with a client and a namespace of its own."""
    name = "async-" + request.node.name.replace("_", "-").lower()

    async def main(scenario: Scenario) -> Any:
        configuration = client.Configuration()
        await config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
        async with Strict(configuration) as api:
            meta = client.V1ObjectMeta(name=name)
            await client.CoreV1Api(api).create_namespace(client.V1Namespace(metadata=meta))
            return await scenario(api, name)

    return lambda scenario: asyncio.run(main(scenario))


def configmap(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data or None)


def test_objects_make_the_round(play: Callable[[Scenario], Any]) -> None:
    async def scenario(api: client.ApiClient, ns: str) -> None:
        core = client.CoreV1Api(api)
        made = await core.create_namespaced_config_map(ns, configmap("a", x="1"))
        made.data = {"x": "2"}
        changed = await core.replace_namespaced_config_map("a", ns, made)
        read = await core.read_namespaced_config_map("a", ns)
        assert read.to_dict() == changed.to_dict()
        body = [{"op": "replace", "path": "/data/x", "value": "3"}]
        assert (await core.patch_namespaced_config_map("a", ns, body)).data == {"x": "3"}
        merged = await core.patch_namespaced_config_map("a", ns, {"data": {"y": "4"}}, _content_type=MERGE)
        assert merged.data == {"x": "3", "y": "4"}
        gone = await core.delete_namespaced_config_map("a", ns)
        assert gone.status == "Success"
        assert (await core.list_namespaced_config_map(ns)).items == []

    play(scenario)


def test_pages(play: Callable[[Scenario], Any]) -> None:
    async def scenario(api: client.ApiClient, ns: str) -> None:
        core = client.CoreV1Api(api)
        await asyncio.gather(*(core.create_namespaced_config_map(ns, configmap(f"c{i}")) for i in range(5)))
        first = await core.list_namespaced_config_map(ns, limit=3)
        rest = await core.list_namespaced_config_map(ns, limit=3, _continue=first.metadata._continue)
        assert [c.metadata.name for c in [*first.items, *rest.items]] == [f"c{i}" for i in range(5)]
        assert not rest.metadata._continue

    play(scenario)


def test_watch(play: Callable[[Scenario], Any]) -> None:
    async def scenario(api: client.ApiClient, ns: str) -> list[str]:
        core = client.CoreV1Api(api)
        version = (await core.list_namespaced_config_map(ns)).metadata.resource_version
        await core.create_namespaced_config_map(ns, configmap("a"))
        await core.delete_namespaced_config_map("a", ns)
        seen = []
        async with watch.Watch().stream(
            core.list_namespaced_config_map, ns, resource_version=version, timeout_seconds=1
        ) as events:
            async for event in events:
                seen.append(event["type"])
        return seen

    assert play(scenario) == ["ADDED", "DELETED"]


def test_dynamic_client_and_custom_resources(play: Callable[[Scenario], Any], tmp_path: Path) -> None:
    text = (Path(__file__).parent / "kubectl_cases" / "files" / "crd.yaml").read_text()
    definition = yaml.safe_load(text.replace("crontabs", "asynctabs").replace("CronTab", "AsyncTab"))
    definition["spec"]["names"] |= {"singular": "asynctab", "shortNames": ["at"]}

    async def scenario(api: client.ApiClient, ns: str) -> None:
        await utils.create_from_dict(api, definition)
        async with dynamic.DynamicClient(api) as dynamics:
            tabs = await dynamics.resources.get(api_version="stable.example.com/v1", kind="AsyncTab")
            body = {"apiVersion": "stable.example.com/v1", "kind": "AsyncTab", "metadata": {"name": "night"}}
            made = await tabs.create(body={**body, "spec": {"cronSpec": "0 3 * * *"}}, namespace=ns)
            assert made.spec.replicas == 1
            changed = await tabs.patch(name="night", namespace=ns, body={"spec": {"replicas": 3}}, content_type=MERGE)
            assert (changed.spec.replicas, changed.metadata.generation) == (3, 2)
            assert [t.metadata.name for t in (await tabs.get(namespace=ns)).items] == ["night"]
            await tabs.delete(name="night", namespace=ns)
        await client.ApiextensionsV1Api(api).delete_custom_resource_definition("asynctabs.stable.example.com")

    play(scenario)


def test_errors(play: Callable[[Scenario], Any]) -> None:
    async def scenario(api: client.ApiClient, ns: str) -> ApiException:
        core = client.CoreV1Api(api)
        with pytest.raises(ApiException) as caught:
            await core.create_namespaced_config_map(ns, configmap("Not_A_Name"))
        return caught.value

    error = play(scenario)
    assert error.status == 422
    assert "metadata.name: Invalid value" in error.body


def test_what_there_is_and_who_one_is(play: Callable[[Scenario], Any]) -> None:
    async def scenario(api: client.ApiClient, ns: str) -> None:
        assert (await client.VersionApi(api).get_code()).minor == "36"
        groups = {g.name for g in (await client.ApisApi(api).get_api_versions()).groups}
        assert {"apps", "batch", "networking.k8s.io"} <= groups
        me = await client.AuthenticationV1Api(api).create_self_subject_review(client.V1SelfSubjectReview())
        assert me.status.user_info.username == "kubernetes-admin"

    play(scenario)
