"""The watch cache against what the store really holds: lists and watches agree, through reloads and lost history."""

import asyncio
import random
from contextlib import aclosing

import orjson
import pytest

from skiff.apiserver.cache import SINGLE
from skiff.apiserver.entries import Entry, Recent
from skiff.testing.builders import configmap, pod
from skiff.testing.builders import namespace as namespace_object

CM = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"

VIEWS = [
    "",
    "labelSelector=color",
    "labelSelector=color%3Dred",
    "labelSelector=color+notin+(red)",
    "fieldSelector=spec.nodeName%3Dn1",
    "fieldSelector=spec.nodeName%3D",
    "fieldSelector=metadata.namespace%3Da,spec.nodeName%21%3Dn1",
    "fieldSelector=metadata.name%3Dp3",
]


async def change(call, dice):
    """One random write to one of a few pods."""
    space, name = dice.choice("ab"), f"p{dice.randrange(6)}"
    url = f"/api/v1/namespaces/{space}/pods"
    action = dice.randrange(5)
    if action == 0:
        await call("DELETE", f"{url}/{name}?gracePeriodSeconds=0")
    elif action == 1:
        body = {"metadata": {"name": name}, "target": {"name": dice.choice(["n1", "n2"])}}
        await call("POST", f"{url}/{name}/binding", body)
    elif action == 2:
        labels = {"color": dice.choice(["red", "blue", None])}
        await call("PATCH", f"{url}/{name}", {"metadata": {"labels": labels}}, type=MERGE)
    else:
        labels = dice.choice([{}, {"color": "red"}, {"color": "blue"}])
        await call("POST", url, pod(name, space, labels=labels, node=dice.choice(["", "n1"])))


async def follow(call, query, known):
    """Keeps `known` as the events tell; checks that each event fits what was known."""
    response = await call.send("GET", f"/api/v1/pods?watch=1&{query}")
    async with aclosing(response.stream) as chunks:
        async for chunk in chunks:
            for line in chunk.splitlines():
                event = orjson.loads(line)
                meta = event["object"]["metadata"]
                key = (meta["namespace"], meta["name"])
                assert (key in known) is (event["type"] != "ADDED"), (query, event["type"], key)
                if event["type"] == "DELETED":
                    del known[key]
                else:
                    known[key] = meta["resourceVersion"]


@pytest.mark.parametrize("seed", range(5))
def test_watches_add_up_to_lists(api, seed):
    async def scenario(call):
        dice = random.Random(seed)
        for space in "ab":
            await call("POST", "/api/v1/namespaces", namespace_object(space))
        for _ in range(5):
            await change(call, dice)
        known = {query: {} for query in VIEWS}
        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(follow(call, q, known[q])) for q in VIEWS]
            await asyncio.sleep(1)
            for _ in range(15):
                await asyncio.gather(*[change(call, dice) for _ in range(8)])
                await asyncio.sleep(1)
                for query in VIEWS:
                    answer = await call("GET", f"/api/v1/pods?{query}")
                    metas = [o["metadata"] for o in answer.body["items"]]
                    listed = {(m["namespace"], m["name"]): m["resourceVersion"] for m in metas}
                    assert known[query] == listed, query
                    keys = [f"{m['namespace']}/{m['name']}" for m in metas]
                    assert keys == sorted(keys)
            for task in watchers:
                task.cancel()

    api(scenario)


def test_lost_history_starts_the_caches_anew(api):
    """As when the store's watch falls so far behind that its events are compacted away."""

    async def scenario(call):
        registry = call.server.registry
        told = []
        gvr = next(p["configmaps"] for p in registry.table.values() if "configmaps" in p).gvr
        registry.lookup.subscribe(gvr, lambda old, new: told.append((old, new)))
        await call("POST", CM, configmap("a"))
        await call("POST", CM, configmap("b"))
        await call("GET", CM)
        watch = await call.send("GET", f"{CM}?watch=1&resourceVersion=0")
        served = registry.served(gvr)
        # What happens meanwhile is not seen by the caches.
        registry.hub._attached.clear()
        await call("POST", CM, configmap("c"))
        await call("DELETE", f"{CM}/a")
        registry.hub._reset(await registry.store.current_revision())
        events = await call.read(watch, 99)
        listed = [o["metadata"]["name"] for o in (await call("GET", CM)).body["items"]]
        await asyncio.sleep(1)
        return events, listed, told, served.cache.loaded

    events, listed, told, loaded = api(scenario)
    assert [(t, o["metadata"]["name"]) for t, o in events] == [("ADDED", "a"), ("ADDED", "b")]
    assert listed == ["b", "c"]
    changes = [((o or {}).get("metadata", {}).get("name"), (n or {}).get("metadata", {}).get("name")) for o, n in told]
    assert changes[:2] == [(None, "a"), (None, "b")]
    assert sorted(changes[2:], key=str) == [("a", None), (None, "c")] or set(changes[2:]) == {(None, "c"), ("a", None)}
    assert loaded


def test_a_cache_that_loads_while_others_write(api):
    async def scenario(call):
        async def write(i):
            await call("POST", CM, configmap(f"c{i}"))

        results = await asyncio.gather(*[write(i) for i in range(20)], *[call("GET", CM) for _ in range(5)])
        counts = [len(r.body["items"]) for r in results[20:]]
        return counts, len((await call("GET", CM)).body["items"])

    counts, final = api(scenario)
    assert final == 20
    assert all(0 <= c <= 20 for c in counts)


def test_single_objects_do_not_wait_for_all(api):
    """As long as nobody lists them, objects are read and changed one by one; who reads many has the cache filled."""

    async def scenario(call):
        await call("POST", CM, configmap("a", x="1"))
        cache = call.server.registry.find("", "v1", "configmaps").cache
        found = [(await call("GET", f"{CM}/a")).body["data"]]
        await call("PATCH", f"{CM}/a", {"data": {"x": "2"}}, type=MERGE)
        found.append((await call("GET", f"{CM}/a")).body["data"])
        missing = (await call("GET", f"{CM}/b")).status
        loaded = [cache.loaded]
        for _ in range(SINGLE):
            await call("GET", f"{CM}/a")
        await asyncio.sleep(1)
        loaded.append(cache.loaded)
        found.append((await call("GET", f"{CM}/a")).body["data"])
        return found, missing, loaded

    assert api(scenario) == ([{"x": "1"}, {"x": "2"}, {"x": "2"}], 404, [False, True])


def test_lookups_share_nothing_with_requests(api):
    async def scenario(call):
        await call("POST", CM, configmap("a", x="1"))
        lookup = call.server.registry.lookup
        gvr = next(p["configmaps"] for p in call.server.registry.table.values() if "configmaps" in p).gvr
        await lookup.ready(gvr)
        seen = await lookup.fresh(gvr, "default", "a")
        await call("PATCH", f"{CM}/a", {"data": {"x": "2"}}, type=MERGE)
        return seen, await lookup.fresh(gvr, "default", "a"), lookup.get(gvr, "default", "a"), list(lookup.list(gvr))

    before, after, now, listed = api(scenario)
    assert (before["data"], after["data"], now["data"]) == ({"x": "1"}, {"x": "2"}, {"x": "2"})
    assert listed == [now]


def test_what_is_kept_decoded_is_what_is_stored(api):
    """After any writes, each decoded object that an entry has equals its bytes."""

    async def scenario(call):
        dice = random.Random(3)
        for space in "ab":
            await call("POST", "/api/v1/namespaces", namespace_object(space))
        await call("GET", "/api/v1/pods")
        cache = call.server.registry.find("", "v1", "pods").cache
        for _ in range(20):
            await asyncio.gather(*[change(call, dice) for _ in range(6)])
            await asyncio.sleep(1)
            entries = list(cache.entries())
            assert any(e.peek() is e.peek() for e in entries)
            for entry in entries:
                assert entry.peek() == entry.decode()
            assert not cache._expected

    api(scenario)


def test_a_write_that_fails_leaves_nothing_expected(api):
    async def scenario(call):
        await call("GET", CM)
        cache = call.server.registry.find("", "v1", "configmaps").cache
        assert (await call("POST", CM, configmap("a"))).status == 201
        assert (await call("POST", CM, configmap("a"))).status == 409
        await asyncio.sleep(1)
        assert not cache._expected
        assert cache.get("default", "a").peek()["metadata"]["name"] == "a"

    api(scenario)


def entry(name, size):
    found = Entry("", name, 1, orjson.dumps({"n": "x" * size}), {}, ())
    found.keep({})
    return found


def test_decoded_objects_are_kept_within_a_budget():
    recent = Recent(budget=1000)
    entries = [entry(str(i), 292) for i in range(5)]
    for each in entries:
        recent.add(each)
    assert [e.peek() == {} for e in entries] == [False, False, True, True, True]
    recent.discard(entries[3])
    assert entries[3].peek() != {}
    recent.discard(entries[3])
    recent.add(more := entry("more", 292))
    assert [e.peek() == {} for e in (*entries[2:], more)] == [True, False, True, True]
    recent.add(large := entry("large", 5000))
    assert [e for e in (*entries, more, large) if e.peek() == {}] == []
