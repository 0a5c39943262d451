"""The work queue's promises (upstream: client-go util/workqueue doc.go)."""

import asyncio

import pytest
import uvloop

from skiff import env
from skiff.client import metrics
from skiff.client.queue import KeyQueue, WorkQueue, backoff_seconds
from skiff.testing import run


def drain(queue: KeyQueue) -> list[str]:
    out = []
    while found := queue.pop():
        out.append(found[0])
        queue.done(found[0])
    return out


def test_keys_come_in_order_and_once():
    queue = KeyQueue()
    for key in "abac":
        queue.add(key)
    assert drain(queue) == ["a", "b", "c"]


def test_a_key_added_while_worked_on_waits_for_done():
    queue = KeyQueue()
    queue.add("a")
    queue.pop()
    queue.add("a")
    assert queue.pop() is None
    queue.done("a")
    assert queue.pop() == ("a", "")


def test_done_alone_brings_nothing_back():
    queue = KeyQueue()
    queue.add("a")
    queue.pop()
    queue.done("a")
    assert queue.pop() is None
    assert queue.idle


def test_the_latest_known_cause_travels_with_the_key():
    queue = KeyQueue()
    queue.add("a", "one")
    queue.add("a", "two")
    queue.add("a")
    assert queue.pop() == ("a", "two")


@pytest.mark.parametrize(
    "adds, now, expected",
    [
        pytest.param([("a", 5)], 4, [], id="too early"),
        pytest.param([("a", 5)], 5, ["a"], id="exactly due"),
        pytest.param([("a", 5), ("b", 3)], 9, ["b", "a"], id="in order of time"),
        pytest.param([("a", 5), ("a", 3)], 4, ["a"], id="the earlier of two wins"),
        pytest.param([("a", 3), ("a", 5)], 9, ["a"], id="a later add of a waiting key is dropped"),
    ],
)
def test_delayed_keys(adds, now, expected):
    queue = KeyQueue()
    for key, when in adds:
        queue.add_at(key, when)
    queue.advance(now)
    assert drain(queue) == expected


def test_next_due_skips_what_was_superseded():
    queue = KeyQueue()
    queue.add_at("a", 5)
    queue.add_at("a", 3)
    queue.advance(3)
    assert queue.next_due() is None


@pytest.mark.parametrize(
    "failures, expected",
    [
        pytest.param(1, 0.005, id="the first wait is 5 ms"),
        pytest.param(2, 0.01, id="then it doubles"),
        pytest.param(18, 655.36, id="up to the last below the cap"),
        pytest.param(19, 1000, id="the cap is 1000 s"),
        pytest.param(100000, 1000, id="and stays"),
    ],
)
def test_backoff(failures, expected):
    assert backoff_seconds(failures) == pytest.approx(expected)


@pytest.mark.virtual
async def test_delayed_add_arrives_on_time():
    loop = asyncio.get_running_loop()
    queue = WorkQueue()
    queue.add_after("late", 10)
    queue.add_after("early", 2)
    assert (await queue.get())[0] == "early"
    assert loop.time() == pytest.approx(2)
    assert (await queue.get())[0] == "late"
    assert loop.time() == pytest.approx(10)


def test_delays_already_over_on_uvloop():
    """uvloop answers `call_at` of a moment that has passed with a handle that knows no time."""

    async def add_two() -> set[str]:
        queue = WorkQueue()
        queue.add_after("a", 1e-9)
        queue.add_after("b", 1e-10)
        return {(await queue.get())[0], (await queue.get())[0]}

    assert uvloop.run(asyncio.wait_for(add_two(), 5)) == {"a", "b"}


@pytest.mark.virtual
async def test_retry_backs_off_until_forgotten():
    queue = WorkQueue()
    waits = [queue.retry("a") for _ in range(3)]
    queue.forget("a")
    waits.append(queue.retry("a"))
    assert waits == pytest.approx([0.005, 0.01, 0.02, 0.005])
    queue.close()


@pytest.mark.virtual
async def test_a_cancelled_waiter_passes_its_wakeup_on():
    queue = WorkQueue()
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add("a")
    first.cancel()
    assert (await asyncio.wait_for(second, 1))[0] == "a"


@pytest.mark.virtual
async def test_many_workers_never_share_a_key():
    queue = WorkQueue()
    working: set[str] = set()
    handled: list[str] = []

    async def worker() -> None:
        while True:
            key, _ = await queue.get()
            assert key not in working
            working.add(key)
            await asyncio.sleep(env.rng().random())
            working.discard(key)
            handled.append(key)
            queue.done(key)

    async with asyncio.timeout(1000):
        workers = [asyncio.create_task(worker()) for _ in range(4)]
        for _ in range(200):
            queue.add(f"k{env.rng().randrange(5)}")
            await asyncio.sleep(env.rng().random() / 10)
        while not queue.idle:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    for task in workers:
        task.cancel()
    assert set(handled) == {f"k{i}" for i in range(5)}


def test_a_named_queue_is_measured(monkeypatch):
    """workqueue_* as upstream names them."""
    monkeypatch.setattr(metrics, "queues", {})

    async def main():
        queue = WorkQueue(name="deployment")
        queue.add("a")
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(2)
        key, _ = await queue.get()
        await asyncio.sleep(3)
        text = "\n".join(metrics.render())
        queue.retry(key)
        queue.done(key)
        queue.close()
        return text, "\n".join(metrics.render())

    working, after = run(main())
    assert 'workqueue_adds_total{name="deployment"} 2' in working
    assert 'workqueue_depth{name="deployment"} 1' in working
    assert 'workqueue_queue_duration_seconds_sum{name="deployment"} 2.000000' in working
    assert 'workqueue_unfinished_work_seconds{name="deployment"} 3.000000' in working
    assert 'workqueue_work_duration_seconds_sum{name="deployment"} 3.000000' in after
    assert 'workqueue_retries_total{name="deployment"} 1' in after
    assert 'workqueue_unfinished_work_seconds{name="deployment"} 0.000000' in after
