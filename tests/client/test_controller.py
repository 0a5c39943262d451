"""The controller runner and the event recorder."""

import asyncio

import pytest

from skiff import env
from skiff.api.errors import conflict
from skiff.api.gvr import CONFIGMAPS, EVENTS
from skiff.client.controller import Recorder, Watch, key_of, owner_keys, run_controllers, split_key
from skiff.client.informer import Change, Informers
from tests.client.fakeapi import FakeApi

pytestmark = pytest.mark.virtual


def config(name: str, **meta: object) -> dict:
    return {"metadata": {"namespace": "ns", "name": name, **meta}}


class Counting:
    """Fails as often as told, then wants to look again as told."""

    name = "counting"
    workers = 2

    def __init__(self, failures: list[Exception], again: float | None = None):
        self.failures = failures
        self.again = again
        self.calls: list[tuple[float, str]] = []

    def watches(self) -> list[Watch]:
        return [Watch(CONFIGMAPS)]

    async def reconcile(self, key: str) -> float | None:
        self.calls.append((round(asyncio.get_running_loop().time(), 3), key))
        if self.failures:
            raise self.failures.pop(0)
        return self.again


async def run_for(api: FakeApi, controller: Counting, seconds: float) -> None:
    informers = Informers(api.client())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(informers.run())
            group.create_task(run_controllers(api.client(), informers, [controller]))


async def test_every_object_is_reconciled_once(api: FakeApi):
    api.put(config("a"))
    api.put(config("b"))
    controller = Counting([])
    await run_for(api, controller, 100)
    assert sorted(controller.calls) == [(0, "ns/a"), (0, "ns/b")]


async def test_failures_back_off(api: FakeApi, caplog):
    api.put(config("a"))
    controller = Counting([conflict(CONFIGMAPS, "a"), ConnectionError("away"), ValueError("bug")])
    await run_for(api, controller, 100)
    assert [t for t, _ in controller.calls] == [0, 0.005, 0.015, 0.035]
    assert caplog.text.count("Traceback") == 1


async def test_a_number_means_look_again(api: FakeApi):
    api.put(config("a"))
    controller = Counting([], again=30)
    await run_for(api, controller, 100)
    assert [t for t, _ in controller.calls] == [0, 30, 60, 90]


async def test_a_key_that_always_comes_again_leaves_others_their_turn(api: FakeApi):
    api.put(config("a"))
    controller = Counting([], again=0)
    informers = Informers(api.client())
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(informers.run()),
            group.create_task(run_controllers(api.client(), informers, [controller])),
        ]
        for _ in range(1000):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    assert len(controller.calls) > 100


def test_keys():
    assert key_of(config("a")) == "ns/a"
    assert split_key("ns/a") == ("ns", "a")
    assert split_key("n1") == ("", "n1")


OWNED = {"ownerReferences": [{"kind": "Job", "name": "x"}, {"kind": "ReplicaSet", "name": "rs", "controller": True}]}


@pytest.mark.parametrize(
    "kind, old, new, expected",
    [
        pytest.param("ReplicaSet", None, config("p", **OWNED), ["ns/rs"], id="the controlling owner"),
        pytest.param("Job", None, config("p", **OWNED), [], id="not a plain owner"),
        pytest.param("ReplicaSet", config("p", **OWNED), config("p"), ["ns/rs"], id="the owner that was"),
        pytest.param("ReplicaSet", config("p", **OWNED), config("p", **OWNED), ["ns/rs"], id="each once"),
    ],
)
def test_owner_keys(kind, old, new, expected):
    assert list(owner_keys(kind)(Change("updated", old, new))) == expected


@pytest.fixture
def events() -> FakeApi:
    return FakeApi(EVENTS)


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "ns", "name": "p", "uid": "u1"}}


async def test_an_event_is_written(events: FakeApi):
    recorder = Recorder(events.client(), "kubelet", "n1")
    recorder.event(POD, "Normal", "Pulled", "It is here", field_path="spec.containers{c}")
    await asyncio.sleep(1)
    (event,) = events.objects.values()
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "ns",
        "name": "p",
        "uid": "u1",
        "apiVersion": "v1",
        "fieldPath": "spec.containers{c}",
    }
    assert event["source"] == {"component": "kubelet", "host": "n1"}
    assert (event["type"], event["reason"], event["message"], event["count"]) == ("Normal", "Pulled", "It is here", 1)
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"
    assert event["metadata"]["name"].startswith("p.")


async def test_repeats_count_up(events: FakeApi):
    recorder = Recorder(events.client(), "c")
    for _ in range(3):
        recorder.event(POD, "Normal", "Again", "same")
        await asyncio.sleep(10)
    (event,) = events.objects.values()
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:20Z",
    )


async def test_an_expired_event_is_written_anew_and_counts_on(events: FakeApi):
    recorder = Recorder(events.client(), "c")
    recorder.event(POD, "Normal", "Again", "same")
    await asyncio.sleep(10)
    events.remove(*next(iter(events.objects)))
    recorder.event(POD, "Normal", "Again", "same")
    await asyncio.sleep(10)
    (event,) = events.objects.values()
    assert event["count"] == 2


async def test_similar_sentences_are_combined(events: FakeApi):
    recorder = Recorder(events.client(), "c")
    for i in range(15):
        recorder.event(POD, "Normal", "Many", f"number {i}")
    await asyncio.sleep(1)
    messages = [e["message"] for e in events.objects.values()]
    assert len(messages) == 10
    assert messages[-1] == "(combined from similar events): number 14"


async def test_a_chatty_object_is_limited(events: FakeApi):
    recorder = Recorder(events.client(), "c")
    for i in range(40):
        recorder.event(POD, "Normal", f"Reason{i}", "x")
    await asyncio.sleep(1)
    assert len(events.objects) == 25
    await asyncio.sleep(300)
    recorder.event(POD, "Normal", "Later", "x")
    await asyncio.sleep(1)
    assert len(events.objects) == 26


async def test_an_event_that_cannot_be_written_harms_nobody(events: FakeApi, caplog):
    recorder = Recorder(events.client(), "c")
    events.fail = [ConnectionError("away")]
    recorder.event(POD, "Normal", "Lost", "x")
    await asyncio.sleep(1)
    assert "not written" in caplog.text
    assert recorder.idle


async def test_event_names_differ_within_one_instant(events: FakeApi):
    recorder = Recorder(events.client(), "c")
    for i in range(5):
        recorder.event(POD, "Normal", f"R{i}", "x")
    await asyncio.sleep(1)
    assert len(events.objects) == 5
    assert env.epoch() == 1767225601
