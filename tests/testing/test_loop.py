"""The virtual loop: time, order, and what it refuses."""

import asyncio

import pytest

from skiff import env
from skiff.testing import Deadlock, LeakedTasks, Livelock, run
from skiff.testing import loop as loops


async def interleaving() -> list[int]:
    order: list[int] = []

    async def step(number: int) -> None:
        for _ in range(3):
            order.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(step(number))
    return order


def test_one_seed_one_order_other_seeds_other_orders():
    assert run(interleaving(), seed=3) == run(interleaving(), seed=3)
    assert len({tuple(run(interleaving(), seed=seed)) for seed in range(8)}) > 4


def test_plain_callbacks_keep_their_order():
    async def main() -> list[int]:
        order: list[int] = []
        for number in range(20):
            asyncio.get_running_loop().call_soon(order.append, number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return order

    assert all(run(main(), seed=seed) == list(range(20)) for seed in range(5))


def test_a_month_passes_at_once_and_the_wall_clock_with_it():
    async def main() -> tuple[float, str]:
        await asyncio.sleep(30 * 86400)
        return asyncio.get_running_loop().time(), env.now().isoformat()

    assert run(main()) == (30 * 86400, "2026-01-31T00:00:00+00:00")


def test_chance_follows_the_seed():
    async def main() -> str:
        return env.uid()

    assert run(main(), seed=1) == run(main(), seed=1) != run(main(), seed=2)


def test_threads_are_not_used():
    async def main() -> int:
        return await asyncio.to_thread(lambda: 5)

    assert run(main()) == 5


def test_deadlock_names_who_waits():
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"locks\.py:\d+ in Event\.wait"):
        run(main())


def test_livelock_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loops, "TURNS_PER_INSTANT", 100)

    async def main() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Livelock, match="no progress at 0 s"):
        run(main())


def test_a_task_left_behind_fails():
    kept = []

    async def main() -> None:
        kept.append(asyncio.create_task(asyncio.sleep(100), name="forgotten"))

    with pytest.raises(LeakedTasks, match="forgotten"):
        run(main())


def test_an_error_that_nobody_awaited_fails():
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_a_cancelled_timer_does_not_move_time():
    async def main() -> float:
        handle = asyncio.get_running_loop().call_later(50, lambda: None)
        handle.cancel()
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert run(main()) == 1
