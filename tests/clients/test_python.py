"""The Python client `kubernetes`: what a script does with each of its parts, against our API server.

A Warning header is a failure (upstream sends none for any of this), and so is a Python warning that is not the
library's own.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from api_process import Server
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kubernetes")
CRD = Path(__file__).parent / "kubectl_cases" / "files" / "crd.yaml"


class Strict(client.ApiClient):  # type: ignore[misc]
    """Fails on warnings of the server."""

    def call_api(self, *args: Any, **kwargs: Any) -> Any:
        response = super().call_api(*args, **kwargs)
        headers = (
            response.getheaders()
            if hasattr(response, "getheaders")
            else response[2]
            if isinstance(response, tuple)
            else {}
        )
        assert "Warning" not in headers, headers["Warning"]
        return response


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[client.ApiClient]:
    config.load_kube_config(str(server.kubeconfig))
    with Strict() as api:
        yield api


@pytest.fixture
def ns(api: client.ApiClient, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")[:60].rstrip("-")
    core = client.CoreV1Api(api)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    core.create_namespaced_service_account(name, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="default")))
    return name


def configmap(name: str, labels: dict[str, str] | None = None, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data or None)


def deployment(name: str, replicas: int = 2) -> client.V1Deployment:
    labels = {"app": name}
    containers = [client.V1Container(name="main", image="nginx:1", ports=[client.V1ContainerPort(container_port=80)])]
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=containers)
    )
    spec = client.V1DeploymentSpec(
        replicas=replicas, selector=client.V1LabelSelector(match_labels=labels), template=template
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec)


def pod(name: str, **spec: Any) -> client.V1Pod:
    containers = [client.V1Container(name="main", image="busybox")]
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={"app": name}),
        spec=client.V1PodSpec(containers=containers, **spec),
    )


def test_typed_objects_make_the_round(api: client.ApiClient, ns: str) -> None:
    apps = client.AppsV1Api(api)
    made = apps.create_namespaced_deployment(ns, deployment("web"))
    assert (made.metadata.generation, made.spec.strategy.rolling_update.max_surge) == (1, "25%")
    made.spec.replicas = 3
    made.metadata.labels = {"a": "b"}
    changed = apps.replace_namespaced_deployment("web", ns, made)
    assert (changed.spec.replicas, changed.metadata.generation) == (3, 2)
    read = apps.read_namespaced_deployment("web", ns)
    assert api.sanitize_for_serialization(read) == api.sanitize_for_serialization(changed)
    listed = apps.list_namespaced_deployment(ns)
    assert [d.metadata.name for d in listed.items] == ["web"]
    gone = apps.delete_namespaced_deployment("web", ns, propagation_policy="Background")
    assert (gone["status"], gone["details"]["name"]) == ("Success", "web")


PATCHES = [
    pytest.param([{"op": "add", "path": "/data/b", "value": "2"}], {"a": "1", "b": "2"}, id="JSON patch"),
    pytest.param({"data": {"a": None, "c": "3"}}, {"c": "3"}, id="merge patch"),
]


@pytest.mark.parametrize("patch, data", PATCHES)
def test_patch(api: client.ApiClient, ns: str, patch: Any, data: dict[str, str]) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(ns, configmap("a", a="1"))
    assert core.patch_namespaced_config_map("a", ns, patch).data == data


def test_server_side_apply(api: client.ApiClient, ns: str) -> None:
    resource = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    apply = resource.server_side_apply if hasattr(resource, "server_side_apply") else resource.apply
    apply(body=body, namespace=ns, field_manager="one")
    with pytest.raises(dynamic.exceptions.ConflictError) as caught:
        apply(body={**body, "data": {"x": "2"}}, namespace=ns, field_manager="two")
    assert "conflict with" in str(caught.value.body)
    forced = apply(body={**body, "data": {"x": "2"}}, namespace=ns, field_manager="two", force_conflicts=True)
    managers = {m["manager"] for m in forced.to_dict()["metadata"]["managedFields"]}
    assert (forced.data.x, managers) == ("2", {"two"})


def test_pages(api: client.ApiClient, ns: str) -> None:
    core = client.CoreV1Api(api)
    for i in range(5):
        core.create_namespaced_config_map(ns, configmap(f"c{i}"))
    first = core.list_namespaced_config_map(ns, limit=2)
    assert (len(first.items), first.metadata.remaining_item_count) == (2, 3)
    names, token = [c.metadata.name for c in first.items], first.metadata._continue
    while token:
        page = core.list_namespaced_config_map(ns, limit=2, _continue=token)
        names, token = names + [c.metadata.name for c in page.items], page.metadata._continue
        assert page.metadata.resource_version == first.metadata.resource_version
    assert names == [f"c{i}" for i in range(5)]


def test_selectors_and_deletion_of_many(api: client.ApiClient, ns: str) -> None:
    core = client.CoreV1Api(api)
    for name, tier in (("a", "front"), ("b", "back"), ("c", "back")):
        core.create_namespaced_config_map(ns, configmap(name, {"tier": tier}))
    named = core.list_namespaced_config_map(ns, field_selector="metadata.name=a")
    assert [c.metadata.name for c in named.items] == ["a"]
    chosen = core.list_namespaced_config_map(ns, label_selector="tier in (back),tier!=front")
    assert [c.metadata.name for c in chosen.items] == ["b", "c"]
    core.delete_collection_namespaced_config_map(ns, label_selector="tier=back", grace_period_seconds=0)
    assert [c.metadata.name for c in core.list_namespaced_config_map(ns).items] == ["a"]


def test_watch_from_a_list(api: client.ApiClient, ns: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(ns, configmap("a"))
    version = core.list_namespaced_config_map(ns).metadata.resource_version
    core.patch_namespaced_config_map("a", ns, {"data": {"x": "1"}})
    core.delete_namespaced_config_map("a", ns)
    stream = watch.Watch()
    events = stream.stream(core.list_namespaced_config_map, ns, resource_version=version, timeout_seconds=1)
    assert [(e["type"], e["object"].data) for e in events] == [("MODIFIED", {"x": "1"}), ("DELETED", {"x": "1"})]
    assert int(stream.resource_version) > int(version)


def test_watch_with_bookmarks(api: client.ApiClient, ns: str) -> None:
    core = client.CoreV1Api(api)
    options = {"allow_watch_bookmarks": True, "timeout_seconds": 1, "send_initial_events": True}
    core.create_namespaced_config_map(ns, configmap("a"))
    events = watch.Watch().stream(core.list_namespaced_config_map, ns, resource_version_match="NotOlderThan", **options)
    seen = [(e["type"], (e["raw_object"]["metadata"].get("annotations") or {})) for e in events]
    assert seen[:2] == [("ADDED", {}), ("BOOKMARK", {"k8s.io/initial-events-end": "true"})]


def test_watch_of_a_version_that_never_was(api: client.ApiClient, ns: str) -> None:
    core = client.CoreV1Api(api)
    with pytest.raises(ApiException) as caught:
        core.list_namespaced_config_map(ns, resource_version="999999999", timeout_seconds=1)
    assert caught.value.status == 504
    assert "Too large resource version" in caught.value.body


def test_custom_resources(api: client.ApiClient, ns: str) -> None:
    utils.create_from_yaml(api, str(CRD))
    dynamics = dynamic.DynamicClient(api)
    crontabs = dynamics.resources.get(api_version="stable.example.com/v1", kind="CronTab")
    body = {"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "night"}}
    made = crontabs.create(body={**body, "spec": {"cronSpec": "0 3 * * *"}}, namespace=ns)
    assert (made.spec.replicas, made.metadata.generation) == (1, 1)
    crontabs.patch(
        name="night", namespace=ns, body={"spec": {"replicas": 3}}, content_type="application/merge-patch+json"
    )
    crontabs.status.patch(
        name="night", namespace=ns, body={"status": {"replicas": 2}}, content_type="application/merge-patch+json"
    )
    read = crontabs.get(name="night", namespace=ns)
    assert (read.spec.replicas, read.status.replicas) == (3, 2)
    custom = client.CustomObjectsApi(api)
    scale = custom.get_namespaced_custom_object_scale("stable.example.com", "v1", ns, "crontabs", "night")
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 2)
    with pytest.raises(ApiException) as caught:
        custom.create_namespaced_custom_object("stable.example.com", "v1", ns, "crontabs", {**body, "spec": {}})
    assert (caught.value.status, "spec.cronSpec: Required value" in caught.value.body) == (422, True)
    custom.delete_collection_namespaced_custom_object("stable.example.com", "v1", ns, "crontabs")
    assert crontabs.get(namespace=ns).items == []
    client.ApiextensionsV1Api(api).delete_custom_resource_definition("crontabs.stable.example.com")


def test_yaml_of_many(api: client.ApiClient, ns: str, tmp_path: Path) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {ns}}}\n---\n"
    text += f"apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: {ns}}}\nspec: {{ports: [{{port: 80}}]}}\n"
    file = tmp_path / "two.yaml"
    file.write_text(text)
    made = utils.create_from_yaml(api, str(file))
    assert [group[0].kind for group in made] == ["ConfigMap", "Service"]
    with pytest.raises(utils.FailToCreateError) as caught:
        utils.create_from_yaml(api, str(file))
    assert "AlreadyExists" in str(caught.value)


def test_subresources(api: client.ApiClient, ns: str) -> None:
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    apps.create_namespaced_deployment(ns, deployment("web"))
    scale = apps.read_namespaced_deployment_scale("web", ns)
    scale.spec.replicas = 7
    assert apps.replace_namespaced_deployment_scale("web", ns, scale).spec.replicas == 7
    status = apps.patch_namespaced_deployment_status("web", ns, {"status": {"observedGeneration": 9}}).status
    assert status.observed_generation == 9
    core.create_namespaced_pod(ns, pod("one"))
    core.create_node(client.V1Node(metadata=client.V1ObjectMeta(name=f"node-{ns}")))
    target = client.V1ObjectReference(kind="Node", name=f"node-{ns}")
    binding = client.V1Binding(metadata=client.V1ObjectMeta(name="one"), target=target)
    core.create_namespaced_pod_binding("one", ns, binding, _preload_content=False)
    assert core.read_namespaced_pod("one", ns).spec.node_name == f"node-{ns}"
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="one", namespace=ns))
    core.create_namespaced_pod_eviction("one", ns, eviction)
    assert core.read_namespaced_pod("one", ns).metadata.deletion_timestamp


def test_a_token_of_a_service_account(api: client.ApiClient, server: Server, ns: str) -> None:
    core = client.CoreV1Api(api)
    spec = client.V1TokenRequestSpec(audiences=["https://kubernetes.default.svc.cluster.local"], expiration_seconds=600)
    request = core.create_namespaced_service_account_token(
        "default", ns, client.AuthenticationV1TokenRequest(spec=spec)
    )
    review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=request.status.token))
    found = client.AuthenticationV1Api(api).create_token_review(review).status
    assert (found.authenticated, found.user.username) == (True, f"system:serviceaccount:{ns}:default")
    own = client.Configuration.get_default_copy()
    own.cert_file = own.key_file = None
    own.api_key = {"authorization": f"Bearer {request.status.token}"}
    with client.ApiClient(own) as theirs, pytest.raises(ApiException) as caught:
        client.CoreV1Api(theirs).list_namespaced_pod(ns)
    assert (caught.value.status, "is forbidden: User" in caught.value.body) == (403, True)


def test_what_there_is_and_who_may(api: client.ApiClient) -> None:
    assert client.VersionApi(api).get_code().git_version.startswith("v1.36")
    assert client.CoreApi(api).get_api_versions().versions == ["v1"]
    groups = {g.name: g for g in client.ApisApi(api).get_api_versions().groups}
    assert groups["apps"].preferred_version.group_version == "apps/v1"
    kinds = {r.kind for r in client.CoreV1Api(api).get_api_resources().resources}
    assert {"Pod", "Service", "Node", "Scale", "Eviction"} <= kinds
    asked = client.V1ResourceAttributes(verb="create", resource="pods", namespace="default")
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked))
    assert client.AuthorizationV1Api(api).create_self_subject_access_review(review).status.allowed
    me = client.AuthenticationV1Api(api).create_self_subject_review(client.V1SelfSubjectReview())
    assert me.status.user_info.username == "kubernetes-admin"


ERRORS: list[Any] = [
    pytest.param(lambda core, ns: core.read_namespaced_pod("x", ns), 404, "NotFound", None, id="nothing there"),
    pytest.param(lambda core, ns: core.create_namespaced_config_map(ns, configmap("kube-root")), 201, None, None, id="fine"),
    pytest.param(lambda core, ns: core.create_namespaced_config_map(ns, configmap("A")), 422, "Invalid", "metadata.name", id="a wrong name"),
    pytest.param(lambda core, ns: core.create_namespaced_pod(ns, client.V1Pod(metadata=client.V1ObjectMeta(name="x"))), 422, "Invalid", "spec.containers", id="a pod of nothing"),
    pytest.param(lambda core, ns: core.create_namespaced_config_map("nope", configmap("a")), 404, "NotFound", None, id="no namespace"),
    pytest.param(lambda core, ns: core.list_namespaced_pod(ns, field_selector="nope=1"), 400, "BadRequest", None, id="no such field"),
    pytest.param(lambda core, ns: core.create_namespaced_config_map(ns, configmap("a"), dry_run="Some"), 422, "Invalid", "dryRun", id="a wrong option"),
]  # fmt: skip


@pytest.mark.parametrize("call, code, reason, field", ERRORS)
def test_errors_say_what_is_wrong(
    api: client.ApiClient, ns: str, call: Callable[..., Any], code: int, reason: str | None, field: str | None
) -> None:
    if code == 201:
        assert call(client.CoreV1Api(api), ns).metadata.uid
        return
    with pytest.raises(ApiException) as caught:
        call(client.CoreV1Api(api), ns)
    status = api.deserialize(caught.value.body, "V1Status", "application/json")
    assert (caught.value.status, status.code, status.reason) == (code, code, reason)
    causes = status.details.causes if status.details and status.details.causes else []
    assert field in ([None] if field is None else [c.field for c in causes])


def test_informer(api: client.ApiClient, ns: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(ns, configmap("a"))
    informer = SharedInformer(core.list_namespaced_config_map, namespace=ns)
    seen: dict[str, threading.Event] = {kind: threading.Event() for kind in ("ADDED", "MODIFIED", "DELETED")}
    for kind, event in seen.items():
        informer.add_event_handler(kind, lambda *_, event=event: event.set())
    informer.start()
    try:
        assert seen["ADDED"].wait(10)
        core.patch_namespaced_config_map("a", ns, {"data": {"x": "1"}})
        assert seen["MODIFIED"].wait(10)
        assert [c.data for c in informer.cache.list()] == [{"x": "1"}]
        core.delete_namespaced_config_map("a", ns)
        assert seen["DELETED"].wait(10)
    finally:
        informer.stop()


def test_leader_election(api: client.ApiClient, ns: str) -> None:
    lock = LeaseLock("leader", ns, "me")
    election = electionconfig.Config(
        lock, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=lambda: None, onstopped_leading=None
    )
    assert leaderelection.LeaderElection(election).acquire()
    lease = client.CoordinationV1Api(api).read_namespaced_lease("leader", ns)
    assert lease.spec.holder_identity == "me"


def test_the_version_of_the_client() -> None:
    assert int(kubernetes.__version__.partition(".")[0]) >= 30
