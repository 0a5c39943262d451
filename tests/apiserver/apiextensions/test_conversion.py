"""Conversion webhooks: what is asked, what is made of the answers, and what readers see meanwhile."""

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest

from skiff.api.errors import StatusError
from skiff.api.gvr import SERVICES
from skiff.apiserver.apiextensions import conversion
from skiff.apiserver.apiextensions.conversion import Webhook
from skiff.apiserver.lookup import DictLookup
from skiff.kubeadm import pki
from skiff.wire.messages import Request, Response
from skiff.wire.server import serve
from skiff.wire.tls import server_context
from tests.apiserver.apiextensions.builders import CRDS, FOOS, definition, established, foo, schema, until, version

MERGE = "application/merge-patch+json"
V2 = FOOS.replace("/v1/", "/v2/")
CONFIG = {
    "strategy": "Webhook",
    "webhook": {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]},
}
NEW = schema({"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}})
OLD = schema({"type": "object", "properties": {"hostPort": {"type": "string"}}})


def converted(obj: Any, api_version: str) -> Any:
    """v1 has spec.hostPort, v2 has spec.host and spec.port."""
    spec = obj["spec"]
    if api_version.endswith("/v2"):
        host, _, port = spec["hostPort"].partition(":")
        return {**obj, "apiVersion": api_version, "spec": {"host": host, "port": port}}
    return {**obj, "apiVersion": api_version, "spec": {"hostPort": f"{spec['host']}:{spec['port']}"}}


class Service:
    """Stands for the webhook's service. broken: what it says instead of converting."""

    def __init__(self) -> None:
        self.broken = ""
        self.asked = 0

    async def post(self, body: bytes) -> bytes:
        request = orjson.loads(body)["request"]
        self.asked += len(request["objects"])
        response: Any = {"uid": request["uid"], "result": {"status": "Success"}}
        if self.broken:
            response["result"] = {"status": "Failure", "message": self.broken}
        else:
            response["convertedObjects"] = [converted(o, request["desiredAPIVersion"]) for o in request["objects"]]
        review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}
        return orjson.dumps(review)


@pytest.fixture
def service(monkeypatch: Any) -> Service:
    made = Service()
    monkeypatch.setattr(Webhook, "_post", lambda self, body: made.post(body))
    return made


def crd(**spec: Any) -> Any:
    versions = [
        version("v1", schema={"openAPIV3Schema": OLD}),
        version("v2", storage=False, schema={"openAPIV3Schema": NEW}),
    ]
    return definition(versions=versions, conversion=CONFIG, **spec)


def test_each_version_shows_all_objects(api, service):
    async def main(call):
        await established(call, crd())
        await call("POST", FOOS, foo("a", {"hostPort": "x:1"}))
        made = await call("POST", V2, foo("b", {"host": "y", "port": "2"}, api_version="example.com/v2"))
        assert made.body["spec"] == {"host": "y", "port": "2"}
        old = (await call("GET", FOOS)).body["items"]
        assert [(o["apiVersion"], o["spec"]) for o in old] == [
            ("example.com/v1", {"hostPort": "x:1"}),
            ("example.com/v1", {"hostPort": "y:2"}),
        ]
        new = (await call("GET", V2)).body["items"]
        assert [o["spec"] for o in new] == [{"host": "x", "port": "1"}, {"host": "y", "port": "2"}]
        asked = service.asked
        await call("GET", V2)
        assert service.asked == asked, "an object version is converted once"
        await call("PATCH", f"{V2}/a", {"spec": {"port": "9"}}, type=MERGE)
        assert (await call("GET", f"{FOOS}/a")).body["spec"] == {"hostPort": "x:9"}

    api(main)


def test_watches_see_their_version(api, service):
    async def main(call):
        await established(call, crd())
        await call("POST", FOOS, foo("a", {"hostPort": "x:1"}))
        response = await call.send("GET", f"{V2}?watch=true")
        await call("POST", FOOS, foo("b", {"hostPort": "y:2"}))
        await call("DELETE", f"{FOOS}/a")
        events = await call.read(response, 3)
        assert [(t, o["metadata"]["name"], o["spec"]["host"]) for t, o in events] == [
            ("ADDED", "a", "x"),
            ("ADDED", "b", "y"),
            ("DELETED", "a", "x"),
        ]

    api(main)


def test_a_list_of_objects_stored_in_different_versions(api, service):
    async def main(call):
        await established(call, crd())
        await call("POST", FOOS, foo("a", {"hostPort": "x:1"}))
        versions = [
            version("v1", storage=False, schema={"openAPIV3Schema": OLD}),
            version("v2", schema={"openAPIV3Schema": NEW}),
        ]
        patched = await call("PATCH", f"{CRDS}/foos.example.com", {"spec": {"versions": versions}}, type=MERGE)
        assert patched.body["status"]["storedVersions"] == ["v1", "v2"]
        await call("POST", V2, foo("b", {"host": "y", "port": "2"}, api_version="example.com/v2"))
        assert [o["spec"]["hostPort"] for o in (await call("GET", FOOS)).body["items"]] == ["x:1", "y:2"]
        assert [o["spec"]["host"] for o in (await call("GET", V2)).body["items"]] == ["x", "y"]

    api(main)


def test_a_broken_webhook_is_named_and_asked_again(api, service):
    async def main(call):
        await established(call, crd())
        await call("POST", FOOS, foo("a", {"hostPort": "x:1"}))
        assert (await call("GET", f"{V2}/a")).status == 200
        service.broken = "no idea"
        await call("POST", FOOS, foo("b", {"hostPort": "y:2"}))
        answer = await call("GET", V2)
        words = "conversion webhook for example.com/v1, Kind=Foo failed: no idea"
        assert (answer.status, answer.body["message"]) == (500, words)
        assert (await call("GET", FOOS)).status == 200
        refused = await call("POST", V2, foo("c", {"host": "z", "port": "3"}, api_version="example.com/v2"))
        assert refused.status == 500
        service.broken = ""
        await until(lambda: is_right(call))

    async def is_right(call):
        return len((await call("GET", V2)).body.get("items", ())) == 2

    api(main)


FOO = foo("a", {"hostPort": "x:1"})


def answer(**changes: Any) -> Any:
    made = converted({**FOO, "metadata": {"name": "a", "uid": "u"}}, "example.com/v2")
    return {**made, **changes}


@pytest.mark.parametrize(
    ("response", "words"),
    [
        pytest.param(None, "failed: no response provided", id="nothing"),
        pytest.param({"uid": "other"}, 'failed: expected response.uid="1", got "other"', id="another request's answer"),
        pytest.param(
            {"uid": "1", "result": {"status": "Odd"}},
            "failed: response.result.status was 'Odd', not 'Success'",
            id="no success",
        ),
        pytest.param(
            {"uid": "1", "result": {"status": "Success"}, "convertedObjects": []},
            "returned 0 objects, expected 1",
            id="too few",
        ),
        pytest.param(
            {"uid": "1", "result": {"status": "Success"}, "convertedObjects": [answer(apiVersion="example.com/v3")]},
            "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v3)",
            id="another version",
        ),
        pytest.param(
            {
                "uid": "1",
                "result": {"status": "Success"},
                "convertedObjects": [answer(metadata={"name": "z", "uid": "u"})],
            },
            "returned invalid object: must have the same name: a != z",
            id="another object",
        ),
    ],
)
def test_bad_answers(monkeypatch: Any, response: Any, words: str) -> None:
    async def post(self: Any, body: bytes) -> bytes:
        return orjson.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})

    monkeypatch.setattr(Webhook, "_post", post)
    monkeypatch.setattr(conversion.env, "uid", lambda: "1")
    webhook = Webhook(CONFIG, "example.com", "Foo", DictLookup())
    obj = {**FOO, "metadata": {"name": "a", "uid": "u"}}
    with pytest.raises(StatusError) as raised:
        asyncio.run(webhook.convert([obj], "example.com/v2"))
    assert raised.value.message == f"conversion webhook for example.com/v1, Kind=Foo {words}"


def test_metadata_is_the_originals_but_for_labels_and_annotations(monkeypatch: Any, service: Service) -> None:
    async def post(body: bytes) -> bytes:
        review = orjson.loads(await Service().post(body))
        meta = review["response"]["convertedObjects"][0]["metadata"]
        meta |= {"labels": {"new": "yes"}, "generation": 99}
        return orjson.dumps(review)

    monkeypatch.setattr(Webhook, "_post", lambda self, body: post(body))
    webhook = Webhook(CONFIG, "example.com", "Foo", DictLookup())
    obj = {**FOO, "metadata": {"name": "a", "uid": "u", "generation": 1, "annotations": {"old": "x"}}}
    found = asyncio.run(webhook.convert([obj], "example.com/v2"))[0]
    assert found["metadata"] == {
        "name": "a",
        "uid": "u",
        "generation": 1,
        "annotations": {"old": "x"},
        "labels": {"new": "yes"},
    }


async def over_tls(directory: Path, server_name: str) -> Any:
    """What a webhook over real TLS, behind a service, makes of an object."""
    pki.ensure_pki(directory, node_name="n", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
    authority = pki.load_authority(directory)
    certificate, key = pki.issue(authority, pki.Spec("hook", (), (pki.SERVER,), (server_name,)))
    for name, text in (("hook.crt", certificate), ("hook.key", key)):
        (directory / name).write_bytes(text)
    service = Service()

    async def handle(request: Request) -> Response:
        return Response(200, {"content-type": "application/json"}, await service.post(request.body))

    context = server_context(str(directory / "hook.crt"), str(directory / "hook.key"))
    server = await serve(handle, host="127.0.0.1", port=0, ssl=context)
    lookup = DictLookup()
    spec = {"clusterIP": "127.0.0.1", "ports": [{"port": server.port}]}
    lookup.put(SERVICES, {"metadata": {"name": "hook", "namespace": "default"}, "spec": spec})
    bundle = b64encode((directory / "ca.crt").read_bytes()).decode()
    client = {
        "service": {"name": "hook", "namespace": "default", "port": server.port, "path": "/x"},
        "caBundle": bundle,
    }
    config = {"webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}}
    try:
        obj = {**FOO, "metadata": {"name": "a", "uid": "u"}}
        return (await Webhook(config, "example.com", "Foo", lookup).convert([obj], "example.com/v2"))[0]
    finally:
        await server.close(0)


def test_a_service_behind_its_cluster_address_is_verified_by_its_name(tmp_path: Path) -> None:
    found = asyncio.run(over_tls(tmp_path, "hook.default.svc"))
    assert found["spec"] == {"host": "x", "port": "1"}
    with pytest.raises(StatusError, match=r"x509: certificate is not valid for 'hook.default.svc'"):
        asyncio.run(over_tls(tmp_path, "other.default.svc"))
