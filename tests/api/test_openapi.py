"""OpenAPI documents: what kubectl looks for in them, and that every reference leads somewhere."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from skiff.api import enums, schema
from skiff.api.openapi import OpenAPI
from skiff.api.openapi_protobuf import encode
from skiff.api.resources import Resource
from skiff.api.resources.builtin import RESOURCES
from skiff.api.types import GVR

DEPLOYMENT_PATH = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
DEPLOYMENT_KIND = {"group": "apps", "version": "v1", "kind": "Deployment"}


@pytest.fixture(scope="module")
def documents() -> OpenAPI:
    return OpenAPI(lambda: RESOURCES)


@pytest.fixture(scope="module")
def apps(documents: OpenAPI) -> Any:
    document = documents.v3("apis/apps/v1")
    assert document
    return json.loads(document.plain())


@pytest.fixture(scope="module")
def swagger(documents: OpenAPI) -> Any:
    return json.loads(documents.v2(protobuf=False).plain())


def test_the_index_names_every_group_version_with_its_hash(documents: OpenAPI) -> None:
    paths = json.loads(documents.index())["paths"]
    assert len(paths) == len({(r.gvr.group, r.gvr.version) for r in RESOURCES})
    for path, entry in paths.items():
        address, _, digest = entry["serverRelativeURL"].partition("?hash=")
        document = documents.v3(path)
        assert document
        assert (address, digest) == (f"/openapi/v3/{path}", document.etag)
    assert documents.v3("apis/nothing/v1") is None


def test_v3_patch_says_what_kubectl_asks(apps: Any) -> None:
    patch = apps["paths"][DEPLOYMENT_PATH]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == DEPLOYMENT_KIND
    assert patch["x-kubernetes-action"] == "patch"
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} <= {p["name"] for p in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]


def test_v3_schemas_explain(apps: Any) -> None:
    schema = apps["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    assert schema["x-kubernetes-group-version-kind"] == [DEPLOYMENT_KIND]
    assert schema["description"].startswith("Deployment enables")
    assert schema["properties"]["spec"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]
    assert "description" in schema["properties"]["spec"]


@pytest.mark.parametrize("path", sorted({r.gvr.root[1:] for r in RESOURCES}))
def test_v3_references_lead_somewhere(documents: OpenAPI, path: str) -> None:
    document = documents.v3(path)
    assert document
    text = document.plain().decode()
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(json.loads(text)["components"]["schemas"])


def test_v2_references_lead_somewhere(swagger: Any) -> None:
    assert set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(swagger))) <= set(swagger["definitions"])


def test_operation_ids_are_unique_and_upstreams(swagger: Any) -> None:
    ids = [o["operationId"] for p in swagger["paths"].values() for m, o in p.items() if m != "parameters"]
    assert len(ids) == len(set(ids))
    assert {
        "listCoreV1PodForAllNamespaces",
        "deleteCoreV1CollectionNamespacedPod",
        "connectCoreV1GetNamespacedPodExec",
        "patchAppsV1NamespacedDeploymentScale",
        "readRbacAuthorizationV1ClusterRole",
        "createAuthorizationV1SubjectAccessReview",
    } <= set(ids)


def test_v2_knows_amounts_and_ports(swagger: Any) -> None:
    definitions = swagger["definitions"]
    assert definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"
    assert "format" not in definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]
    assert definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]["format"] == "int-or-string"


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Field number and value of a protobuf message: int for varints, bytes else."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not byte & 0x80:
                return value, at

    at = 0
    while at < len(message):
        key, at = varint(at)
        value, at = varint(at)
        if key & 7 == 2:
            yield key >> 3, message[at : at + value]
            at += value
        else:
            yield key >> 3, value


def first(message: bytes, *path: int) -> Any:
    for number in path:
        message = next(v for n, v in fields(message) if n == number)
    return message


def test_protobuf_of_a_small_document() -> None:
    schema = {
        "type": "object",
        "description": "d",
        "required": ["a", "b"],
        "properties": {"a": {"$ref": "#/definitions/X"}, "b": {"type": "array", "items": {"type": "string"}}},
        "additionalProperties": {"type": "integer"},
        "x-kubernetes-map-type": "atomic",
    }
    query = {"name": "dryRun", "in": "query", "type": "string", "uniqueItems": True}
    body = {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/X"}}
    operation = {"operationId": "o", "parameters": [body, query], "responses": {"200": {"description": "OK"}}}
    encoded = encode(
        {"swagger": "2.0", "info": {"title": "t", "version": "v"}}, [("/p", {"patch": operation})], [("X", schema)]
    )
    assert first(encoded, 1) == b"2.0"
    assert (first(encoded, 2, 1), first(encoded, 2, 2)) == (b"t", b"v")
    patch = first(encoded, 8, 2, 2, 8)
    assert first(encoded, 8, 2, 1) == b"/p"
    parameters = [v for n, v in fields(patch) if n == 8]
    assert first(parameters[0], 1, 1, 5, 1) == b"#/definitions/X"
    assert (first(parameters[1], 1, 2, 3, 4), first(parameters[1], 1, 2, 3, 20)) == (b"dryRun", 1)
    assert (first(patch, 9, 1, 1), first(patch, 9, 1, 2, 1, 1)) == (b"200", b"OK")
    named = first(encoded, 9, 1)
    assert first(named, 1) == b"X"
    written = first(named, 2)
    assert [v for n, v in fields(written) if n == 19] == [b"a", b"b"]
    assert first(written, 22, 1) == b"object"
    assert first(written, 21, 1, 22, 1) == b"integer"
    properties = {first(v, 1): first(v, 2) for n, v in fields(first(written, 25)) if n == 1}
    assert first(properties[b"a"], 1) == b"#/definitions/X"
    assert first(properties[b"b"], 23, 1, 22, 1) == b"string"
    assert (first(written, 31, 1), first(written, 31, 2, 2)) == (b"x-kubernetes-map-type", b'"atomic"')


def test_protobuf_holds_every_definition_and_path(documents: OpenAPI, swagger: Any) -> None:
    encoded = documents.v2(protobuf=True).plain()
    assert {first(v, 1).decode() for n, v in fields(first(encoded, 9)) if n == 1} == set(swagger["definitions"])
    assert {first(v, 1).decode() for n, v in fields(first(encoded, 8)) if n == 2} == set(swagger["paths"])


def test_custom_resources_come_and_go() -> None:
    foo = Resource(gvr=GVR("a.b", "v1", "foos", "Foo"), schema="b.a.v1.Foo", singular="foo")
    meta = {"$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    kind = [{"group": "a.b", "version": "v1", "kind": "Foo"}]
    schema = {"type": "object", "properties": {"metadata": meta}, "x-kubernetes-group-version-kind": kind}
    served: list[Resource] = []
    documents = OpenAPI(lambda: served, lambda: {"b.a.v1.Foo": schema})
    assert documents.v3("apis/a.b/v1") is None
    before = documents.v2(protobuf=False).etag
    served.append(foo)
    document = documents.v3("apis/a.b/v1")
    assert document
    found = json.loads(document.plain())
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in found["components"]["schemas"]
    patch = found["paths"]["/apis/a.b/v1/namespaces/{namespace}/foos/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert documents.v2(protobuf=False).etag != before


def test_enumerations_are_published(documents: OpenAPI) -> None:
    """What the server of upstream has beyond the published files (compared with its /openapi/v2)."""
    document = documents.v3("api/v1")
    assert document is not None
    schemas = json.loads(document.plain())["components"]["schemas"]
    fields = schemas["io.k8s.api.core.v1.ServiceSpec"]["properties"]
    values = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    assert fields["type"]["enum"] == values
    listed = "".join(f'\n - `"{v}"`' for v in values)
    assert fields["type"]["description"].endswith(f"\n\nPossible enum values:{listed}")
    assert fields["ipFamilies"]["items"]["enum"] == ["", "IPv4", "IPv6"]


def test_every_enumeration_belongs_to_a_definition() -> None:
    names = {name.removeprefix("io.k8s.").removeprefix("api.") for name in schema.load().names()}
    assert set(enums.table()) <= names
