"""Lists: order, selection, versions, pages. Source: API concepts, "Retrieving large results sets in chunks"."""

import asyncio

import pytest
import yaml

from skiff.testing.builders import configmap, pod

CM = "/api/v1/namespaces/default/configmaps"
ALL = "/api/v1/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def names(answer):
    return [o["metadata"]["name"] for o in answer.body["items"]]


async def make(call, *names, namespace="default", **labels):
    url = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in names:
        body = configmap(name, namespace)
        if labels:
            body["metadata"]["labels"] = labels
        answer = await call("POST", url, body)
        assert answer.status == 201


def test_sorted_by_key_over_namespaces(api):
    async def scenario(call):
        await make(call, "b", namespace="a")
        await make(call, "a", namespace="a-b")
        await make(call, "z", "c", namespace="a")
        answer = await call("GET", ALL)
        return [(o["metadata"]["namespace"], o["metadata"]["name"]) for o in answer.body["items"]]

    # stored keys are `a-b/a` and `a/b`: bytewise the dash comes before the slash
    assert api(scenario) == [("a-b", "a"), ("a", "b"), ("a", "c"), ("a", "z")]


def test_an_empty_list(api):
    answer = api(lambda call: call("GET", CM))
    assert answer.body == {
        "kind": "ConfigMapList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1"},
        "items": [],
    }


SELECTIONS = [
    pytest.param("labelSelector=app%3Da", ["a"], id="label equals"),
    pytest.param("labelSelector=app%21%3Da", ["b", "c"], id="label differs"),
    pytest.param("labelSelector=app+in+(a,b)", ["a", "b"], id="label in a set"),
    pytest.param("fieldSelector=metadata.name%3Db", ["b"], id="name equals"),
    pytest.param("fieldSelector=metadata.name%21%3Db", ["a", "c"], id="name differs"),
    pytest.param("fieldSelector=spec.nodeName%3Dn1", ["a", "c"], id="indexed field equals"),
    pytest.param("fieldSelector=spec.nodeName%3D", ["b"], id="indexed field is empty"),
    pytest.param("fieldSelector=spec.nodeName%21%3D,status.phase%3DPending", ["a", "c"], id="two fields"),
    pytest.param("fieldSelector=spec.nodeName%3Dn1&labelSelector=app%3Da", ["a"], id="field and label"),
    pytest.param("fieldSelector=metadata.namespace%3Dother", [], id="another namespace"),
    pytest.param("fieldSelector=metadata.name%3Dnone", [], id="a name that does not exist"),
]


@pytest.mark.parametrize("url", ["/api/v1/namespaces/default/pods", "/api/v1/pods"])
@pytest.mark.parametrize("query, expected", SELECTIONS)
def test_selection(api, query, expected, url):
    async def scenario(call):
        await call("POST", PODS, pod("a", labels={"app": "a"}, node="n1"))
        await call("POST", PODS, pod("b", labels={"app": "b"}))
        await call("POST", PODS, pod("c", node="n1"))
        answer = await call("GET", f"{url}?{query}")
        assert answer.status == 200, answer.body
        return names(answer)

    assert api(scenario) == expected


async def pages(call, url, limit, between=None):
    """All pages: (names, remainingItemCount)."""
    found, token = [], ""
    while True:
        answer = await call("GET", f"{url}{'&' if '?' in url else '?'}limit={limit}&continue={token}")
        assert answer.status == 200, answer.body
        meta = answer.body["metadata"]
        found.append((names(answer), meta.get("remainingItemCount"), meta["resourceVersion"]))
        token = meta.get("continue", "")
        if not token:
            return found
        if between:
            await between()


def test_pages_count_what_remains(api):
    async def scenario(call):
        await make(call, "a", "b", "c", "d", "e")
        return await pages(call, CM, 2)

    assert [p[:2] for p in api(scenario)] == [(["a", "b"], 3), (["c", "d"], 1), (["e"], None)]


def test_pages_show_one_state(api):
    """Objects made, changed and deleted meanwhile do not show."""

    async def scenario(call):
        await make(call, "a", "b", "c", "d", "e")

        async def between():
            await call("DELETE", f"{CM}/d")
            await call("POST", CM, configmap("bb"))
            await call("DELETE", f"{CM}/bb")

        return await pages(call, CM, 2, between)

    found = api(scenario)
    assert [p[:2] for p in found] == [(["a", "b"], 3), (["c", "d"], 1), (["e"], None)]
    assert len({p[2] for p in found}) == 1


def test_pages_over_namespaces_with_a_selector(api):
    async def scenario(call):
        await make(call, "a", "b", namespace="one", x="y")
        await make(call, "c", namespace="one")
        await make(call, "a", "b", namespace="two", x="y")
        return await pages(call, f"{ALL}?labelSelector=x", 3)

    assert [p[:2] for p in api(scenario)] == [(["a", "b", "a"], None), (["b"], None)]


def test_a_page_that_is_too_old_offers_to_go_on_inconsistently(api):
    async def scenario(call):
        await make(call, "a", "b", "c")
        first = await call("GET", f"{CM}?limit=1")
        await call("DELETE", f"{CM}/b")
        await call.server.registry.store.compact(call.server.registry.store.revision)
        url = f"{CM}?limit=1&continue="
        late = await call("GET", url + first.body["metadata"]["continue"])
        return late, await call("GET", url + late.body["metadata"]["continue"])

    late, rest = api(scenario)
    assert (late.status, late.body["reason"]) == (410, "Expired")
    assert late.body["message"].startswith("The provided continue parameter is too old to display a consistent list")
    assert names(rest) == ["c"]


@pytest.mark.parametrize(
    "url, heads",
    [
        pytest.param(CM, {}, id="as it is stored"),
        pytest.param("/apis/events.k8s.io/v1/events", {}, id="converted"),
        pytest.param(CM, {"accept": "application/yaml"}, id="as YAML"),
        pytest.param(CM + "?pretty=true", {}, id="pretty"),
    ],
)
def test_items_of_built_in_kinds_do_not_repeat_their_kind(api, url, heads):
    """Typed clients would fill in what the answer to a GET of one object, or protobuf, leaves empty."""

    async def scenario(call):
        await make(call, "a", "b")
        event = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"namespace": "default"}}
        await call("POST", "/api/v1/namespaces/default/events", event)
        return await call("GET", url, **heads)

    found = api(scenario)
    text = found.body
    items = (yaml.safe_load(text) if isinstance(text, str) else text)["items"]
    assert items and all("metadata" in i and not {"kind", "apiVersion"} & i.keys() for i in items)


@pytest.mark.parametrize(
    "waited, status",
    [pytest.param(290, 200, id="young enough"), pytest.param(365, 410, id="past the compaction interval")],
)
def test_pages_end_with_the_compaction_interval(api, waited, status):
    """As where upstream's store is compacted every five minutes, though nothing of the list has changed."""

    async def scenario(call):
        hub = call.server.registry.hub
        hub.spawn(hub.move_horizon(300), "horizon")
        await make(call, "a", "b", "c")
        first = await call("GET", f"{CM}?limit=1")
        version = first.body["metadata"]["resourceVersion"]
        for _ in range(waited // 5):
            await asyncio.sleep(5)
            await call("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"generateName": "s"}})
        url = f"{CM}?limit=1&continue="
        late = await call("GET", url + first.body["metadata"]["continue"])
        exact = await call("GET", f"{CM}?resourceVersion={version}&resourceVersionMatch=Exact")
        return late, await call("GET", url + late.body["metadata"]["continue"]), exact

    late, rest, exact = api(scenario)
    assert (late.status, exact.status) == (status, status)
    assert names(rest) == (["c"] if status == 200 else ["b"])


def test_exactly_as_of_a_version(api):
    async def scenario(call):
        await make(call, "a")
        then = (await call("GET", CM)).body["metadata"]["resourceVersion"]
        await make(call, "b")
        await call("DELETE", f"{CM}/a")
        exact = await call("GET", f"{CM}?resourceVersion={then}&resourceVersionMatch=Exact")
        await call("GET", CM)
        newer = await call("GET", f"{CM}?resourceVersion={then}&resourceVersionMatch=NotOlderThan")
        await call.server.registry.store.compact(call.server.registry.store.revision)
        gone = await call("GET", f"{CM}?resourceVersion={then}&resourceVersionMatch=Exact")
        return exact, newer, gone

    exact, newer, gone = api(scenario)
    assert names(exact) == ["a"]
    assert names(newer) == ["b"]
    assert (gone.status, gone.body["message"]) == (410, "The resourceVersion for the provided list is too old.")


def test_a_read_sees_the_write_before_it(api):
    """Also through a cache that is only now filled, and one that is behind."""

    async def scenario(call):
        await make(call, "a")
        first = await call("GET", f"{CM}/a")
        await make(call, "b")
        return first.status, (await call("GET", f"{CM}/b")).status, names(await call("GET", CM))

    assert api(scenario) == (200, 200, ["a", "b"])


def test_delete_of_a_collection(api):
    async def scenario(call):
        await make(call, "a", "b", x="y")
        await make(call, "c")
        answer = await call("DELETE", f"{CM}?labelSelector=x%3Dy")
        return answer, names(await call("GET", CM))

    answer, rest = api(scenario)
    assert (answer.status, answer.body["kind"], names(answer)) == (200, "ConfigMapList", ["a", "b"])
    assert rest == ["c"]
