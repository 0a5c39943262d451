"""Informers: what the cache holds and what handlers are told, through every way a watch can break."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from skiff.api.errors import service_unavailable, timeout
from skiff.api.gvr import CONFIGMAPS
from skiff.client.informer import Informer, Informers
from tests.client.fakeapi import FakeApi, answer

pytestmark = pytest.mark.virtual


def config(name: str, namespace: str = "ns", **data: str) -> dict:
    return {"metadata": {"namespace": namespace, "name": name, "managedFields": [{}]}, "data": data}


@asynccontextmanager
async def running(informer: Informer):
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    try:
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def told(informer: Informer) -> list[str]:
    out: list[str] = []
    informer.add_handler(lambda c: out.append(f"{c.type} {c.object['metadata']['name']} {c.object['data']}"))
    return out


async def test_lists_then_follows(api: FakeApi):
    api.put(config("a"))
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        changes = told(informer)
        api.put(config("b"))
        api.put(config("a", x="1"))
        api.remove("ns", "b")
        await asyncio.sleep(1)
        assert changes == ["added a {}", "added b {}", "updated a {'x': '1'}", "deleted b {}"]
        assert [o["metadata"]["name"] for o in informer.items()] == ["a"]
        assert "managedFields" not in informer.get("ns", "a")["metadata"]


async def test_a_broken_connection_resumes_without_a_list(api: FakeApi):
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        await asyncio.sleep(5)
        changes = told(informer)
        api.cut(ConnectionError("hung up"))
        api.put(config("a"))
        await asyncio.sleep(5)
        assert changes == ["added a {}"]
        assert [r.query().get("watch", ["list"])[0] for r in api.log] == ["list", "true", "true"]


async def test_a_version_too_old_leads_to_a_relist_with_the_differences(api: FakeApi):
    for name in "abc":
        api.put(config(name))
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        changes = told(informer)
        changes.clear()
        api.fail = [ConnectionError("down")] * 3
        api.cut(ConnectionError("hung up"))
        api._watchers.clear()
        api.put(config("b", x="1"))
        api.remove("ns", "c")
        api.put(config("d"))
        api.compact()
        await asyncio.sleep(10)
        assert changes == ["updated b {'x': '1'}", "added d {}", "deleted c {}"]


@pytest.mark.parametrize(
    "failure, requests",
    [
        pytest.param(service_unavailable("starting"), ["list", "true", "true", "true"], id="a busy server: no relist"),
        pytest.param(
            timeout("Too large resource version"), ["list", "true", "true", "list", "true"], id="another store"
        ),
    ],
)
async def test_what_follows_a_refused_watch(api: FakeApi, failure, requests):
    async with running(Informer(api.client(), CONFIGMAPS)):
        await asyncio.sleep(5)
        api.fail = [answer(failure.code, failure.status)]
        api.cut(ConnectionError("hung up"))
        await asyncio.sleep(5)
        assert [r.query().get("watch", ["list"])[0] for r in api.log] == requests


async def test_bookmarks_move_the_version_on(api: FakeApi):
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        api.revision = 70
        api.bookmark()
        await asyncio.sleep(1)
        assert informer.resource_version == "70"


async def test_an_object_recreated_between_list_and_watch_is_an_update(api: FakeApi):
    api.put(config("a"))
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        changes = told(informer)
        api.remove("ns", "a")
        api.put(config("a", x="new"))
        await asyncio.sleep(1)
        assert changes[1:] == ["deleted a {}", "added a {'x': 'new'}"]


async def test_a_server_that_is_away_is_asked_ever_less_often(api: FakeApi):
    api.fail = [ConnectionError("refused")] * 1000
    informer = Informer(api.client(), CONFIGMAPS)
    task = asyncio.create_task(informer.run())
    await asyncio.sleep(60)
    first = len(api.log)
    await asyncio.sleep(60)
    assert first <= 15
    assert 3 <= len(api.log) - first <= 9
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_index_follows_changes(api: FakeApi):
    informer = Informer(api.client(), CONFIGMAPS)
    informer.add_index("color", lambda o: [o["data"].get("color", "")])
    api.put(config("a", color="red"))
    api.put(config("b", color="red"))
    async with running(informer):
        api.put(config("a", color="blue"))
        api.remove("ns", "b")
        await asyncio.sleep(1)
        assert [o["metadata"]["name"] for o in informer.by_index("color", "blue")] == ["a"]
        assert informer.by_index("color", "red") == []


async def test_items_of_one_namespace(api: FakeApi):
    api.put(config("a", "x"))
    api.put(config("a", "y"))
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        assert len(informer.items()) == len(informer) == 2
        assert [o["metadata"]["namespace"] for o in informer.items("y")] == ["y"]


async def test_transform_makes_small_records_and_leaves_out(api: FakeApi):
    def small(obj: dict) -> dict | None:
        return {"metadata": obj["metadata"], "data": {"x": "kept"}} if obj["data"] else None

    api.put(config("a", x="1", y="2"))
    api.put(config("b"))
    async with running(Informer(api.client(), CONFIGMAPS, transform=small)) as informer:
        changes = told(informer)
        api.put(config("a"))
        await asyncio.sleep(1)
        assert changes == ["added a {'x': 'kept'}", "deleted a {'x': 'kept'}"]


async def test_a_raising_handler_does_not_stop_the_others(api: FakeApi, caplog):
    async with running(Informer(api.client(), CONFIGMAPS)) as informer:
        informer.add_handler(lambda c: 1 / 0)
        changes = told(informer)
        api.put(config("a"))
        await asyncio.sleep(1)
        assert changes == ["added a {}"]
        assert "ZeroDivisionError" in caplog.text


async def test_shared_informers_list_once_and_start_late_ones(api: FakeApi):
    informers = Informers(api.client())
    first = informers.get(CONFIGMAPS)
    assert informers.get(CONFIGMAPS) is first
    task = asyncio.create_task(informers.run())
    await informers.wait_synced()
    late = informers.get(CONFIGMAPS, namespace="ns")
    await asyncio.wait_for(late.wait_synced(), 5)
    assert late is not first
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert api.watchers == 0
