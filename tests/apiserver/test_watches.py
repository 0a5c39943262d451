"""Watches: what they begin with, what they show of a selection, how they resume and end."""

import asyncio

import orjson
import pytest

from skiff.api.resources.builtin import RESOURCES
from skiff.apiserver.admission import Chain
from skiff.apiserver.authn import Authentication
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.testing.builders import configmap, pod
from tests.apiserver.conftest import Api

CM = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"


def brief(events):
    return [(type, obj["metadata"].get("name", "")) for type, obj in events]


async def label(call, name, **labels):
    return await call("PATCH", f"{PODS}/{name}", {"metadata": {"labels": labels}}, type=MERGE)


def test_begins_with_what_there_is(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        await call("POST", CM, configmap("b"))
        response = await call.send("GET", f"{CM}?watch=1")
        await call("DELETE", f"{CM}/a")
        return await call.read(response, 3)

    assert brief(api(scenario)) == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]


def test_resumes_after_a_version(api):
    async def scenario(call):
        first = (await call("POST", CM, configmap("a"))).body["metadata"]["resourceVersion"]
        await call("GET", CM)
        await call("PATCH", f"{CM}/a", {"data": {"x": "1"}}, type=MERGE)
        await call("POST", CM, configmap("b"))
        await call("DELETE", f"{CM}/a")
        return await call.watch(f"{CM}?watch=1&resourceVersion={first}", 3)

    events = api(scenario)
    assert brief(events) == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    versions = [int(o["metadata"]["resourceVersion"]) for _, o in events]
    assert versions == sorted(set(versions))
    assert events[2][1]["data"] == {"x": "1"}


def test_a_version_that_is_too_old(api):
    async def scenario(call):
        for i in range(600):
            await call("POST", CM, configmap(f"a{i}"))
            if i == 0:
                await call("GET", CM)
            await asyncio.sleep(1)
        call.server.registry.hub.horizon = 100
        return await call.watch(f"{CM}?watch=1&resourceVersion=2", 1)

    ((type, status),) = api(scenario)
    assert type == "ERROR"
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"].startswith("too old resource version: 2 (")


async def restarted(call):
    """Another server over the same store; the first one ends."""
    registry = Registry(call.server.registry.store, RESOURCES)
    server = APIServer(
        registry,
        authentication=Authentication([]),
        authorization=call.server.authorization,
        admission=Chain([]),
    )
    await call.server.close()
    await server.start()
    return Api(server)


def test_a_watch_goes_on_after_the_server_has_restarted(api):
    """What happened before the restart, and what only the new server has seen, each once and in order."""

    async def scenario(call):
        first = (await call("POST", CM, configmap("a"))).body["metadata"]["resourceVersion"]
        await call("POST", CM, configmap("b"))
        await call("DELETE", f"{CM}/a")
        await call("POST", f"{CM.replace('default', 'other')}", configmap("c", "other"))
        call = await restarted(call)
        try:
            later = await call.watch(f"{CM}?watch=1&resourceVersion={first}", 2)
            await call("PATCH", f"{CM}/b", {"data": {"x": "1"}}, type=MERGE)
            wide = await call.watch(f"/api/v1/configmaps?watch=1&resourceVersion={first}", 4)
            return later, wide
        finally:
            await call.server.close()

    later, wide = api(scenario)
    assert brief(later) == [("ADDED", "b"), ("DELETED", "a")]
    assert later[1][1]["metadata"]["resourceVersion"] == "4"
    assert brief(wide) == [("ADDED", "b"), ("DELETED", "a"), ("ADDED", "c"), ("MODIFIED", "b")]


def test_a_selection_goes_on_after_the_server_has_restarted(api):
    async def scenario(call):
        first = (await call("POST", PODS, pod("a", labels={"x": "1"}))).body["metadata"]["resourceVersion"]
        await label(call, "a", x="2")
        await call("POST", PODS, pod("b", labels={"x": "1"}))
        call = await restarted(call)
        try:
            return await call.watch(f"{PODS}?watch=1&labelSelector=x%3D1&resourceVersion={first}", 2)
        finally:
            await call.server.close()

    assert brief(api(scenario)) == [("DELETED", "a"), ("ADDED", "b")]


def test_after_a_restart_what_is_compacted_is_too_old(api):
    async def scenario(call):
        for name in "abc":
            await call("POST", CM, configmap(name))
        await call.server.registry.store.compact(4)
        call = await restarted(call)
        try:
            return await call.watch(f"{CM}?watch=1&resourceVersion=2", 1)
        finally:
            await call.server.close()

    ((type, status),) = api(scenario)
    assert (type, status["code"]) == ("ERROR", 410)


def test_an_object_enters_and_leaves_a_selection(api):
    async def scenario(call):
        await call("POST", PODS, pod("a"))
        await call("POST", PODS, pod("b", labels={"on": "1"}))
        response = await call.send("GET", f"{PODS}?watch=1&labelSelector=on")
        await label(call, "a", on="1")
        await label(call, "a", more="2")
        await label(call, "a", on=None)
        await label(call, "a", more="3")
        await call("DELETE", f"{PODS}/b")
        return await call.read(response, 5)

    events = api(scenario)
    assert brief(events) == [("ADDED", "b"), ("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("DELETED", "b")]
    left = events[3][1]
    assert left["metadata"]["labels"] == {"on": "1", "more": "2"}
    assert int(left["metadata"]["resourceVersion"]) > int(events[2][1]["metadata"]["resourceVersion"])


def test_a_pod_moves_to_a_node(api):
    """The indexed field: only the new node's watcher hears of it."""

    async def scenario(call):
        await call("POST", PODS, pod("a"))
        mine = await call.send("GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1")
        other = await call.send("GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn2&timeoutSeconds=5")
        unbound = await call.send("GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D")
        await call("POST", f"{PODS}/a/binding", {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}})
        return await call.read(mine, 1), await call.read(other, 1), await call.read(unbound, 2)

    mine, other, unbound = api(scenario)
    assert brief(mine) == [("ADDED", "a")]
    assert mine[0][1]["spec"]["nodeName"] == "n1"
    assert other == []
    assert brief(unbound) == [("ADDED", "a"), ("DELETED", "a")]


def test_one_object(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        response = await call.send("GET", f"{CM}?watch=1&fieldSelector=metadata.name%3Da&resourceVersion=1")
        old = await call.send("GET", "/api/v1/watch/namespaces/default/configmaps/a?timeoutSeconds=9")
        await call("POST", CM, configmap("b"))
        await call("PATCH", f"{CM}/a", {"data": {"x": "1"}}, type=MERGE)
        del response
        return await call.read(old, 9)

    assert brief(api(scenario)) == [("ADDED", "a"), ("MODIFIED", "a")]


def test_ends_in_time_with_a_bookmark(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        response = await call.send("GET", f"{CM}?watch=1&timeoutSeconds=150&allowWatchBookmarks=true")
        loop = asyncio.get_running_loop()
        start = loop.time()
        events = await call.read(response, 99)
        return events, loop.time() - start

    events, seconds = api(scenario)
    assert seconds == 150
    assert brief(events) == [("ADDED", "a"), ("BOOKMARK", ""), ("BOOKMARK", ""), ("BOOKMARK", "")]
    assert events[-1][1]["kind"] == "ConfigMap"
    assert events[-1][1]["metadata"]["resourceVersion"] == "2"


def test_without_a_time_limit_it_ends_within_an_hour(api):
    async def scenario(call):
        response = await call.send("GET", f"{CM}?watch=1")
        loop = asyncio.get_running_loop()
        start = loop.time()
        await call.read(response, 1)
        return loop.time() - start

    assert 1800 <= api(scenario) <= 3600


def test_initial_events_end_with_an_annotated_bookmark(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        response = await call.send("GET", f"{CM}?{query}")
        await call("POST", CM, configmap("b"))
        return await call.read(response, 3)

    events = api(scenario)
    assert brief(events) == [("ADDED", "a"), ("BOOKMARK", ""), ("ADDED", "b")]
    assert events[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
WATCHED = [r.gvr for r in RESOURCES if "watch" in r.verbs]


@pytest.mark.parametrize("gvr", [pytest.param(g, id=f"{g.api_version} {g.plural}") for g in WATCHED])
def test_a_bookmark_has_the_form_of_the_events(api, gvr):
    async def scenario(call):
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        response = await call.send("GET", f"{gvr.path('')}?{query}", accept=TABLE)
        return (await call.read(response, 1))[0]

    kind, table = api(scenario)
    assert (kind, table["kind"]) == ("BOOKMARK", "Table")
    (row,) = table["rows"]
    assert row["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert len(row["cells"]) == len(table["columnDefinitions"])


def test_only_the_first_event_of_a_table_has_columns(api):
    async def scenario(call):
        await call("POST", CM, configmap("a"))
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        return await call.read(await call.send("GET", f"{CM}?{query}", accept=TABLE), 2)

    first, second = (table for _, table in api(scenario))
    assert first["columnDefinitions"] and not second["columnDefinitions"]


def test_a_slow_watcher_ends(api):
    async def scenario(call):
        response = await call.send("GET", f"{CM}?watch=1")
        (watcher,) = call.server.watchers
        for _ in range(10_001):
            watcher.push(b"{}\n")
        chunks = [chunk async for chunk in response.stream]
        return chunks, len(call.server.watchers)

    assert api(scenario) == ([], 0)


def test_watchers_share_one_encoding(api):
    async def scenario(call):
        streams = [(await call.send("GET", f"{CM}?watch=1")).stream for _ in range(3)]
        await call("POST", CM, configmap("a"))
        chunks = [await anext(s) for s in streams]
        for s in streams:
            await s.aclose()
        return chunks

    a, b, c = api(scenario)
    assert a is b is c
    assert orjson.loads(a)["object"]["metadata"]["name"] == "a"


def test_ends_when_the_server_closes(api):
    async def scenario(call):
        response = await call.send("GET", f"{CM}?watch=1")
        asyncio.get_running_loop().call_later(3, lambda: asyncio.ensure_future(call.server.close()))
        return await call.read(response, 1)

    assert api(scenario) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="PATCH without a difference"),
        pytest.param({"data": {"x": "0"}}, id="PATCH to the same value"),
    ],
)
def test_no_event_without_a_change(api, change):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="0"))
        response = await call.send("GET", f"{CM}?watch=1&resourceVersion=0&timeoutSeconds=5")
        await call("PATCH", f"{CM}/a", change, type=MERGE)
        return brief(await call.read(response, 5))

    assert api(scenario) == [("ADDED", "a")]
