"""The client's requests and how it reads answers."""

from contextlib import aclosing

import orjson
import pytest

from skiff import env
from skiff.api.errors import StatusError, not_found, too_many_requests
from skiff.api.gvr import CONFIGMAPS, NODES, PODS
from skiff.client.rest import delete_options
from skiff.wire.messages import Request, Response
from tests.client.fakeapi import FakeApi, answer

pytestmark = pytest.mark.virtual

CALLS = [
    pytest.param(
        lambda c: c.get(CONFIGMAPS, "a", "ns"), "GET", "/api/v1/namespaces/ns/configmaps/a", "", None, id="get"
    ),
    pytest.param(lambda c: c.get(NODES, "n1"), "GET", "/api/v1/nodes/n1", "", None, id="get in cluster scope"),
    pytest.param(
        lambda c: c.list(PODS, "ns", labels="a=b", fields="spec.nodeName=n", limit=5),
        "GET",
        "/api/v1/namespaces/ns/pods",
        "labelSelector=a%3Db&fieldSelector=spec.nodeName%3Dn&limit=5",
        None,
        id="list with selectors",
    ),
    pytest.param(
        lambda c: c.create(PODS, {"target": 1}, "ns", name="p", subresource="binding"),
        "POST",
        "/api/v1/namespaces/ns/pods/p/binding",
        "",
        {"target": 1},
        id="create a subresource",
    ),
    pytest.param(
        lambda c: c.update(PODS, {"metadata": {"namespace": "ns", "name": "p"}}, subresource="status"),
        "PUT",
        "/api/v1/namespaces/ns/pods/p/status",
        "",
        {"metadata": {"namespace": "ns", "name": "p"}},
        id="update status",
    ),
    pytest.param(
        lambda c: c.apply(NODES, {"metadata": {"name": "n"}}, field_manager="me", force=True),
        "PATCH",
        "/api/v1/nodes/n",
        "fieldManager=me&force=true",
        {"metadata": {"name": "n"}},
        id="apply",
    ),
    pytest.param(
        lambda c: c.delete(PODS, "p", "ns", uid="u", grace_seconds=0),
        "DELETE",
        "/api/v1/namespaces/ns/pods/p",
        "",
        {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "u"},
            "gracePeriodSeconds": 0,
        },
        id="delete with options",
    ),
]


@pytest.mark.parametrize("call, method, path, query, body", CALLS)
async def test_request(api: FakeApi, call, method, path, query, body):
    api.fail = [answer(200, {})]
    await call(api.client())
    (request,) = api.log
    assert (request.method, request.path, request.query_string) == (method, path, query)
    assert (orjson.loads(request.body) if request.body else None) == body


@pytest.mark.parametrize(
    "type, expected",
    [
        pytest.param("merge", "application/merge-patch+json", id="merge"),
        pytest.param("strategic", "application/strategic-merge-patch+json", id="strategic"),
        pytest.param("json", "application/json-patch+json", id="json"),
    ],
)
async def test_patch_types(api: FakeApi, type, expected):
    api.fail = [answer(200, {})]
    await api.client().patch(PODS, "p", {}, "ns", type=type)
    assert api.log[0].headers["content-type"] == expected


async def test_the_cause_travels_as_a_header(api: FakeApi):
    env.cause.set("req-1")
    api.fail = [answer(200, {})]
    await api.client().get(PODS, "p", "ns")
    assert api.log[0].headers["skiff-cause"] == "req-1"


async def test_a_server_that_sets_a_cause_leaves_ours_alone(api: FakeApi):
    async def handler(request: Request) -> Response:
        env.cause.set("the server's")
        return answer(200, {})

    client = api.client()
    client.transport._handler = handler
    await client.get(PODS, "p", "ns")
    assert env.cause.get() == ""


@pytest.mark.parametrize(
    "response, code, reason, message",
    [
        pytest.param(
            answer(404, not_found(PODS, "p").status), 404, "NotFound", 'pods "p" not found', id="the server's Status"
        ),
        pytest.param(Response(502, {}, b"bad gateway\n"), 502, "", "bad gateway", id="plain text from a proxy"),
    ],
)
async def test_failures_are_status_errors(api: FakeApi, response, code, reason, message):
    api.fail = [response]
    with pytest.raises(StatusError) as e:
        await api.client().get(PODS, "p", "ns")
    assert (e.value.code, e.value.reason, e.value.message) == (code, reason, message)


async def test_retry_after_is_waited_for(api: FakeApi):
    busy = too_many_requests("busy", 3)
    api.fail = [Response(429, {"Retry-After": "3"}, orjson.dumps(busy.status)), answer(200, {"kind": "Pod"})]
    started = env.epoch()
    assert await api.client().get(PODS, "p", "ns") == {"kind": "Pod"}
    assert env.epoch() - started == pytest.approx(3)


async def test_list_items_get_their_kind(api: FakeApi):
    api.put({"metadata": {"namespace": "ns", "name": "a"}})
    found = await api.client().list(CONFIGMAPS)
    assert found.items[0]["kind"] == "ConfigMap"
    assert found.resource_version == "2"


async def test_watch_joins_lines_over_chunks_and_ends_with_the_server(api: FakeApi):
    api.put({"metadata": {"namespace": "ns", "name": "a"}})
    api.put({"metadata": {"namespace": "ns", "name": "b"}})
    events = [e async for e in api.client().watch(CONFIGMAPS, resource_version="1", timeout_seconds=5)]
    assert [(e.type, e.object["metadata"]["name"]) for e in events] == [("ADDED", "a"), ("ADDED", "b")]


async def test_leaving_a_watch_ends_the_request(api: FakeApi):
    api.put({"metadata": {"namespace": "ns", "name": "a"}})
    async with aclosing(api.client().watch(CONFIGMAPS, resource_version="1")) as events:
        await anext(events)
    assert api.watchers == 0


async def test_an_error_event_is_raised(api: FakeApi):
    api.put({"metadata": {"namespace": "ns", "name": "a"}})
    api.compact()
    with pytest.raises(StatusError, match="too old resource version"):
        await anext(api.client().watch(CONFIGMAPS, resource_version="1"))


def test_no_options_no_body():
    assert delete_options("", "", "", None) is None
