"""Protobuf over the API: bodies, objects, lists, watches, errors, metadata; and who does not get it."""

import asyncio
import struct
from contextlib import aclosing
from typing import Any

import pytest

from skiff.api import protobuf
from skiff.api.protobuf.special import pairs
from skiff.wire.messages import Response

PROTOBUF = "application/vnd.kubernetes.protobuf"
METADATA = PROTOBUF + ";as={};g=meta.k8s.io;v=v1"
MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def create(call: Any, name: str) -> Any:
    answer = await call("POST", MAPS, config_map(name, k="v"))
    assert answer.status == 201
    return answer.body


def decoded(response: Response) -> Any:
    assert response.headers["content-type"] == PROTOBUF
    return protobuf.decode(response.body)


async def frames(response: Response, count: int) -> list[bytes]:
    """The first frames of a watch, without their lengths."""
    assert response.headers["content-type"] == PROTOBUF + ";stream=watch"
    assert response.stream is not None
    found: list[bytes] = []
    rest = b""
    stream: Any = response.stream
    async with aclosing(stream):
        while len(found) < count:
            rest += await asyncio.wait_for(anext(stream), 100)
            while rest:
                size = struct.unpack(">I", rest[:4])[0]
                found.append(rest[4 : 4 + size])
                rest = rest[4 + size :]
    return found


def event(frame: bytes) -> tuple[str, Any]:
    fields = dict(pairs(frame))
    return fields[1].decode(), protobuf.decode(dict(pairs(fields[2]))[1])


def test_an_object_sent_and_read(api: Any) -> None:
    async def check(call: Any) -> None:
        sent = protobuf.encode(config_map("a", k="v"))
        made = await call.send("POST", MAPS, sent, type=PROTOBUF, accept=PROTOBUF)
        assert made.status == 201
        await call("GET", MAPS)
        plain = (await call("GET", MAPS + "/a")).body
        assert decoded(made) == plain
        got = await call.send("GET", MAPS + "/a", accept=PROTOBUF + ",application/json")
        assert decoded(got) == plain
        entry = call.server.registry.find("", "v1", "configmaps").cache.get("default", "a")
        kept = entry.raw
        await call.send("GET", MAPS + "/a", accept=PROTOBUF)
        assert entry.raw is kept
        changed = protobuf.encode({**plain, "data": {"k": "w"}})
        answer = await call.send("PUT", MAPS + "/a", changed, type=PROTOBUF, accept=PROTOBUF)
        assert decoded(answer)["data"] == {"k": "w"}

    api(check)


def test_an_unchanged_pod_stays_unchanged(api: Any) -> None:
    """What a typed client reads and sends back as protobuf is no change: neither version nor generation grow."""

    async def check(call: Any) -> None:
        spec = {"selector": {"matchLabels": {"a": "b"}}}
        spec["template"] = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        path = "/apis/apps/v1/namespaces/default/deployments"
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
        assert (await call("POST", path, body)).status == 201
        read = await call.send("GET", path + "/d", accept=PROTOBUF)
        back = await call.send("PUT", path + "/d", read.body, type=PROTOBUF, accept=PROTOBUF)
        assert back.status == 200
        assert decoded(back)["metadata"]["generation"] == 1

    api(check)


def test_lists(api: Any) -> None:
    async def check(call: Any) -> None:
        for name in ("a", "b"):
            await create(call, name)
        got = decoded(await call.send("GET", MAPS + "?limit=1", accept=PROTOBUF))
        plain = (await call("GET", MAPS + "?limit=1")).body
        assert got["kind"] == "ConfigMapList"
        assert [i["metadata"]["name"] for i in got["items"]] == ["a"]
        assert got["metadata"] == plain["metadata"]
        names = decoded(await call.send("GET", MAPS, accept=METADATA.format("PartialObjectMetadataList")))
        assert names["kind"] == "PartialObjectMetadataList"
        assert [i["metadata"]["name"] for i in names["items"]] == ["a", "b"]
        assert "data" not in names["items"][0]

    api(check)


def test_watches_share_their_frames(api: Any) -> None:
    async def check(call: Any) -> None:
        await create(call, "a")
        url = MAPS + "?watch=1&allowWatchBookmarks=1&sendInitialEvents=1&resourceVersionMatch=NotOlderThan"
        one = await call.send("GET", url, accept=PROTOBUF)
        two = await call.send("GET", url, accept=PROTOBUF)
        cache = call.server.registry.find("", "v1", "configmaps").cache
        await create(call, "b")
        await cache.fresh()
        assert [len(change.wires) for change in cache.since(0)][-1:] == [1]
        first, second = await frames(one, 3), await frames(two, 3)
        assert first == second
        events = [event(f) for f in first]
        assert [kind for kind, _ in events] == ["ADDED", "BOOKMARK", "ADDED"]
        assert events[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert events[2][1] == (await call("GET", MAPS + "/b")).body

    api(check)


def test_a_watch_of_metadata(api: Any) -> None:
    async def check(call: Any) -> None:
        await create(call, "a")
        accept = METADATA.format("PartialObjectMetadata")
        watch = await call.send("GET", MAPS + "?watch=1", accept=accept)
        kind, obj = event((await frames(watch, 1))[0])
        assert (kind, obj["kind"], obj["apiVersion"]) == ("ADDED", "PartialObjectMetadata", "meta.k8s.io/v1")

    api(check)


def test_errors_and_deletions_are_statuses(api: Any) -> None:
    async def check(call: Any) -> None:
        missing = decoded(await call.send("GET", MAPS + "/a", accept=PROTOBUF))
        assert (missing["kind"], missing["code"], missing["reason"]) == ("Status", 404, "NotFound")
        assert missing["details"]["name"] == "a"
        made = await create(call, "a")
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "other"}}
        refused = await call.send("DELETE", MAPS + "/a", protobuf.encode(options), type=PROTOBUF, accept=PROTOBUF)
        assert decoded(refused)["code"] == 409
        options["preconditions"] = {"uid": made["metadata"]["uid"]}
        gone = await call.send("DELETE", MAPS + "/a", protobuf.encode(options), type=PROTOBUF, accept=PROTOBUF)
        assert decoded(gone)["status"] == "Success"

    api(check)


def test_a_watch_of_forgotten_history_is_one_error_frame(api: Any) -> None:
    async def check(call: Any) -> None:
        await create(call, "a")
        cache = call.server.registry.find("", "v1", "configmaps").cache
        await cache.fresh()
        cache._ring.floor = cache.hub.horizon = cache.revision + 100
        watch = await call.send("GET", MAPS + "?watch=1&resourceVersion=1", accept=PROTOBUF)
        kind, status = event((await frames(watch, 1))[0])
        assert (kind, status["code"]) == ("ERROR", 410)

    api(check)


def test_a_broken_object_does_not_end_the_watch(api: Any) -> None:
    async def check(call: Any) -> None:
        watch = await call.send("GET", MAPS + "?watch=1", accept=PROTOBUF)
        broken = config_map("a")
        broken["metadata"]["namespace"] = "default"
        await call.store("configmaps", {**broken, "data": {"k": 1}})
        await create(call, "b")
        events = [event(f) for f in await frames(watch, 2)]
        assert [(kind, obj["kind"]) for kind, obj in events] == [("ERROR", "Status"), ("ADDED", "ConfigMap")]

    api(check)


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        pytest.param(
            METADATA.format("Table") + ",application/json", 200, "application/json", id="a table is not protobuf"
        ),
        pytest.param("application/json," + PROTOBUF, 200, "application/json", id="JSON first"),
        pytest.param("application/json;q=0.5," + PROTOBUF, 200, PROTOBUF, id="protobuf weighs more"),
        pytest.param(METADATA.format("Table"), 406, "application/json", id="a table as protobuf alone"),
    ],
)
def test_negotiation(api: Any, accept: str, status: int, media: str) -> None:
    async def check(call: Any) -> None:
        answer = await call.send("GET", MAPS, accept=accept)
        assert (answer.status, answer.headers["content-type"]) == (status, media)

    api(check)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="JSON that says it is protobuf"),
        pytest.param(protobuf.MAGIC + b"\xff" * 20, id="noise"),
        pytest.param(protobuf.encode(config_map("a"))[:-8], id="cut off"),
    ],
)
def test_bad_bodies(api: Any, body: bytes) -> None:
    async def check(call: Any) -> None:
        answer = await call.send("POST", MAPS, body or b"\x00", type=PROTOBUF)
        assert answer.status == 400

    api(check)
