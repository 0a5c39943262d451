"""Aggregation: objects of local groups, availability, and a real extension server over TLS behind a real API server."""

import asyncio
import base64
import ssl
from contextlib import suppress

import orjson
import pytest

from skiff.api.gvr import CONFIGMAPS, NAMESPACES, SERVICES
from skiff.apiserver.aggregator.availability import address, precheck
from skiff.apiserver.aggregator.registration import APISERVICES, local_service
from skiff.apiserver.aggregator.remote import user_headers
from skiff.apiserver.discovery import remote_resources
from skiff.kubeadm import pki
from skiff.wire.messages import Request, Response, UserInfo
from skiff.wire.relay import relay  # noqa: F401 - loaded before sockets are counted
from skiff.wire.server import serve
from skiff.wire.tls import server_context
from tests.apiserver.test_main import DEADLINE_S, running, state  # noqa: F401 - the fixture

REFERENCE = {"name": "ext", "namespace": "default", "port": 443}


def service(**spec):
    return {"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.7", "ports": [{"port": 443, "name": "https"}], **spec}}


def endpoints(name="https", ready=True):
    return {
        "endpoints": [{"addresses": ["10.0.0.5"], "conditions": {"ready": ready}}],
        "ports": [{"name": name, "port": 8443}],
    }


@pytest.mark.parametrize(
    "found, slices, reason, message",
    [
        pytest.param(None, [], "ServiceNotFound", 'service/ext in "default" is not present', id="no service"),
        pytest.param(
            service(ports=[{"port": 80}]),
            [],
            "ServicePortError",
            'service/ext in "default" is not listening on port 443',
            id="another port",
        ),
        pytest.param(
            service(),
            [],
            "EndpointsNotFound",
            'cannot find endpointslices for service/ext in "default"',
            id="no slices",
        ),
        pytest.param(
            service(),
            [endpoints(ready=False)],
            "MissingEndpoints",
            'endpointslices for service/ext in "default" have no addresses with port name "https"',
            id="nobody ready",
        ),
        pytest.param(service(), [endpoints("other")], "MissingEndpoints", None, id="a port under another name"),
        pytest.param(service(), [endpoints()], None, None, id="all there"),
        pytest.param(service(type="ExternalName"), [], None, None, id="an external name is only asked"),
    ],
)
def test_what_stands_against_asking(found, slices, reason, message):
    condition = precheck(REFERENCE, found, slices)
    assert (condition and condition["reason"]) == reason
    if message:
        assert condition["message"] == message


@pytest.mark.parametrize(
    "found, slices, where",
    [
        pytest.param(service(), [], [("10.96.0.7", 443)], id="the cluster address"),
        pytest.param(service(), [endpoints()], [("10.0.0.5", 8443)], id="an endpoint"),
        pytest.param(service(type="ExternalName", externalName="a.b"), [], [("a.b", 443)], id="an external name"),
        pytest.param(service(clusterIP="None"), [], [], id="headless"),
        pytest.param(None, [], [], id="no service"),
    ],
)
def test_addresses(found, slices, where):
    assert address(REFERENCE, found, slices) == where


def test_headers_name_the_user_one_line_each():
    user = UserInfo("älice", ("a", "b,c"), "u", {"Example.org/Team x": ("1", "2")})
    assert user_headers(user) == [
        ("X-Remote-User", "älice".encode().decode("latin-1")),
        ("X-Remote-Uid", "u"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", "b,c"),
        ("X-Remote-Extra-example.org%2Fteam%20x", "1"),
        ("X-Remote-Extra-example.org%2Fteam%20x", "2"),
    ]
    assert user_headers(UserInfo("a\r\nX-Evil: 1"))[0] == ("X-Remote-User", "a  X-Evil: 1")


@pytest.mark.parametrize(
    "group, version, builtin, priorities",
    [
        pytest.param("", "v1", True, (18000, 1), id="core"),
        pytest.param("apps", "v1", True, (17800, 15), id="apps"),
        pytest.param("autoscaling", "v2", True, (17500, 30), id="autoscaling v2"),
        pytest.param("example.org", "v1", False, (1000, 100), id="a custom group"),
    ],
)
def test_local_services(group, version, builtin, priorities):
    made = local_service(group, version, builtin)
    assert made["metadata"]["name"] == f"{version}.{group}"
    assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == priorities


def test_what_another_server_lists_in_the_aggregated_form():
    listed = [
        {"name": "flunders/status", "kind": "Flunder", "verbs": ["get"]},
        {"name": "flunders", "singularName": "flunder", "kind": "Flunder", "namespaced": True, "verbs": ["list"]},
    ]
    (entry,) = remote_resources("wardle", "v1", listed)
    assert (entry["resource"], entry["scope"], entry["verbs"]) == ("flunders", "Namespaced", ["list"])
    assert [s["subresource"] for s in entry["subresources"]] == ["status"]


# --- a small extension server


class Extension:
    """wardle.example.com/v1: one list, an echo of who asked, an upgrade."""

    def __init__(self):
        self.seen: list[Request] = []

    async def handle(self, request: Request) -> Response:
        self.seen.append(request)
        json = {"content-type": "application/json"}
        if request.headers.get("upgrade"):
            return Response(101, {"Connection": "Upgrade", "Upgrade": "echo"}, upgrade=self.echo)
        if request.path == "/apis/wardle.example.com/v1":
            resource = {
                "name": "flunders",
                "singularName": "flunder",
                "kind": "Flunder",
                "namespaced": True,
                "verbs": ["list"],
            }
            body = {"kind": "APIResourceList", "groupVersion": "wardle.example.com/v1", "resources": [resource]}
            return Response(200, json, orjson.dumps(body))
        if request.path == "/openapi/v3":
            url = "/openapi/v3/apis/wardle.example.com/v1?hash=AB"
            return Response(
                200, json, orjson.dumps({"paths": {"apis/wardle.example.com/v1": {"serverRelativeURL": url}}})
            )
        if request.path.startswith("/openapi/v3/"):
            return Response(200, json, b'{"openapi":"3.0.0"}')
        return Response(200, json, orjson.dumps({"path": request.path, "query": request.query_string}))

    async def echo(self, stream) -> None:
        await stream.write(await stream.read())
        await stream.close()


async def until(get, condition):
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(Exception):
                found = await get()
                if condition(found):
                    return found
            await asyncio.sleep(0.02)


def condition(obj):
    found = (obj.get("status") or {}).get("conditions") or [{}]
    return found[0].get("reason"), found[0].get("status")


def test_an_extension_server(state):  # noqa: F811
    certs = state / "pki"
    front = [
        f"--requestheader-client-ca-file={certs}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        f"--proxy-client-cert-file={certs}/front-proxy-client.crt",
        f"--proxy-client-key-file={certs}/front-proxy-client.key",
    ]

    async def scenario():
        extension = Extension()
        names = state / "ext"
        pki.ensure_pki(names, node_name="ext.default.svc", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
        tls = server_context(
            str(names / "apiserver.crt"), str(names / "apiserver.key"), client_ca_file=str(certs / "front-proxy-ca.crt")
        )
        tls.verify_mode = ssl.CERT_REQUIRED
        far = await serve(extension.handle, ssl=tls)
        try:
            async with running(state, *front) as (client, _):
                return await use(client, extension, far, (names / "ca.crt").read_bytes())
        finally:
            await far.close(1)

    async def use(client, extension, far, ca):
        local = await until(lambda: client.get(APISERVICES, "v1.apps"), lambda o: condition(o)[0])
        await until(lambda: client.get(APISERVICES, "v1.batch"), lambda o: condition(o)[0])
        await client.patch(APISERVICES, "v1.apps", {"spec": {"versionPriority": 3}})
        await client.delete(APISERVICES, "v1.batch")
        here = {"group": "here.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15}
        await client.create(APISERVICES, {"metadata": {"name": "v1.here.example.com"}, "spec": here})
        await until(lambda: client.get(APISERVICES, "v1.here.example.com"), lambda o: condition(o)[0] == "Local")
        left = {o["metadata"]["name"]: o for o in (await client.list(APISERVICES)).items}
        assert left["v1.apps"]["spec"]["versionPriority"] == 3  # what is made at the start is left alone then
        assert "v1.batch" not in left
        service = {"type": "ExternalName", "externalName": "127.0.0.1"}
        port = {"name": "ext", "namespace": "default", "port": far.port}
        spec = {"group": "wardle.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15}
        spec |= {"service": port, "caBundle": base64.b64encode(ca).decode()}
        await client.create(APISERVICES, {"metadata": {"name": "v1.wardle.example.com"}, "spec": spec})
        missing = await until(
            lambda: client.get(APISERVICES, "v1.wardle.example.com"), lambda o: condition(o)[1] == "False"
        )
        refused = await client.transport.send(Request("GET", "/apis/wardle.example.com/v1/flunders"))
        await client.create(SERVICES, {"metadata": {"name": "ext"}, "spec": service}, "default")
        await until(lambda: client.get(APISERVICES, "v1.wardle.example.com"), lambda o: condition(o)[1] == "True")
        get = Request("GET", "/apis/wardle.example.com/v1/namespaces/a/flunders", "limit=5", {"x-remote-user": "evil"})
        answer = await client.transport.send(get)
        asked = extension.seen[-1]
        up, stream = await client.transport.upgrade(
            Request("POST", "/apis/wardle.example.com/v1/x/exec", "", {"Upgrade": "echo"})
        )
        await stream.write(b"hello")
        echoed = await stream.read()
        await stream.close()
        accept = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        found = [
            await client.transport.send(r)
            for r in (
                Request("GET", "/apis"),
                Request("GET", "/apis", headers=accept),
                Request("GET", "/openapi/v3"),
                Request("GET", "/openapi/v3/apis/wardle.example.com/v1"),
                Request("GET", "/apis/wardle.example.com/v1"),
            )
        ]
        auth = await client.get(CONFIGMAPS, "extension-apiserver-authentication", "kube-system")
        await client.delete(APISERVICES, "v1.wardle.example.com")
        gone = await until(
            lambda: client.transport.send(Request("GET", "/apis/wardle.example.com/v1")), lambda r: r.status == 404
        )
        await client.get(NAMESPACES, "default")
        return local, missing, refused, answer, asked, up, echoed, found, auth, gone

    local, missing, refused, answer, asked, up, echoed, found, auth, gone = asyncio.run(scenario())
    assert condition(local) == ("Local", "True")
    assert condition(missing) == ("ServiceNotFound", "False")
    assert (refused.status, refused.body) == (503, b"service unavailable\n")
    assert orjson.loads(answer.body) == {
        "path": "/apis/wardle.example.com/v1/namespaces/a/flunders",
        "query": "limit=5",
    }
    assert asked.headers["x-remote-user"] == "kubernetes-admin"
    assert asked.headers["x-remote-group"] == "system:masters, system:authenticated"
    assert "authorization" not in asked.headers
    assert (up.status, echoed) == (101, b"hello")
    groups, aggregated, index, document, listed = (orjson.loads(r.body) for r in found)
    assert "wardle.example.com" in [g["name"] for g in groups["groups"]]
    (mine,) = [i for i in aggregated["items"] if i["metadata"]["name"] == "wardle.example.com"]
    assert mine["versions"][0]["freshness"] == "Current"
    assert mine["versions"][0]["resources"][0]["resource"] == "flunders"
    assert index["paths"]["apis/wardle.example.com/v1"]["serverRelativeURL"].endswith("?hash=AB")
    assert document == {"openapi": "3.0.0"}
    assert listed["resources"][0]["name"] == "flunders"
    assert orjson.loads(auth["data"]["requestheader-allowed-names"]) == ["front-proxy-client"]
    assert "BEGIN CERTIFICATE" in auth["data"]["requestheader-client-ca-file"]
    assert gone.status == 404
