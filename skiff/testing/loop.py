"""A virtual-time event loop: time jumps to the next timer when nothing is ready; one seed fixes the order of everything.

Guarantees: no real I/O, no real waiting, no thread (executor calls run at once, in the loop); which of several ready tasks
goes first is drawn from the seed, so that one seed always gives one interleaving and many seeds give many; plain callbacks
keep their order. When nothing is ready and no timer is set, Deadlock names the waiting tasks; when the clock stands still
for too many turns, Livelock does. A run whose hash seed differs (PYTHONHASHSEED) may differ where code iterates over sets.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from skiff import env

T = TypeVar("T")

START = 1767225600.0
"""2026-01-01T00:00:00Z: when every virtual run begins."""

TURNS_PER_INSTANT = 500_000
GRACE_TURNS = 20


class Deadlock(RuntimeError):
    """Every task waits for another one and no timer will wake any."""


class Livelock(RuntimeError):
    """Tasks wake one another for ever while the clock stands still."""


class LeakedTasks(AssertionError):
    """Tasks that outlived the code that started them."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets, signals or threads."""

    # Inherited from BaseEventLoop, which declares neither for subclasses:
    _ready: "deque[asyncio.Handle]"
    _scheduled: "list[asyncio.TimerHandle]"
    _stopping: bool

    def __init__(self, seed: int = 0):
        super().__init__()
        self._now = 0.0
        self._order = random.Random(seed)
        self._turns = 0
        self.unhandled: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        return self._now

    def reseed(self, seed: int) -> None:
        """From now on, tasks take turns as this seed says."""
        self._order = random.Random(seed)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as e:
            future.set_exception(e)
        return future

    def _run_once(self) -> None:
        """One turn: what is ready now, or else what becomes ready next."""
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not self._ready:
            self._jump()
        while self._scheduled and self._scheduled[0].when() <= self._now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)
        self._turns += 1
        if self._turns > TURNS_PER_INSTANT and not self._stopping:
            self._turns = 0
            raise Livelock(f"no progress at {self._now:g} s:\n{self.describe_tasks()}")
        for handle in self._shuffled():
            if not handle._cancelled:
                handle._run()

    def _jump(self) -> None:
        if self._scheduled:
            self._now = max(self._now, self._scheduled[0].when())
            self._turns = 0
        elif not self._stopping:
            raise Deadlock(f"nothing is ready and no timer is set at {self._now:g} s:\n{self.describe_tasks()}")

    def _shuffled(self) -> "list[asyncio.Handle]":
        """The handles of this turn, tasks exchanged among the places of tasks."""
        turn = list(self._ready)
        self._ready.clear()
        if len(turn) > 1:
            places = [i for i, handle in enumerate(turn) if _is_task_step(handle)]
            steps = [turn[i] for i in places]
            self._order.shuffle(steps)
            for i, handle in zip(places, steps, strict=True):
                turn[i] = handle
        return turn

    def describe_tasks(self) -> str:
        """One line per unfinished task: its name and where it waits."""
        return "\n".join(sorted(f"  {_where(task)}" for task in asyncio.all_tasks(self)))

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)


class VirtualEnvironment:
    """A skiff.env.Environment that follows a VirtualLoop."""

    def __init__(self, loop: VirtualLoop, seed: int = 0, start: float = START):
        self.rng = random.Random(seed)
        self._loop = loop
        self._start = start

    def time(self) -> float:
        return self._start + self._loop.time()


def run(main: Coroutine[Any, Any, T], *, seed: int = 0, start: float = START) -> T:
    """Runs a coroutine on a new virtual loop and returns its result.

    Raises what it raises; LeakedTasks if it leaves a task behind; the error of a callback or task that nobody awaited."""
    loop = VirtualLoop(seed)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(_main(main, loop, VirtualEnvironment(loop, seed, start)))
    if loop.unhandled:
        context = loop.unhandled[0]
        raise context.get("exception") or RuntimeError(context["message"])
    return result


async def _main(main: Coroutine[Any, Any, T], loop: VirtualLoop, environment: env.Environment) -> T:
    env.current.set(environment)
    result = await main
    for _ in range(GRACE_TURNS):  # what has been cancelled or is about to end may do so
        await asyncio.sleep(0)
    left = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    if left:
        raise LeakedTasks("tasks left behind:\n" + "\n".join(sorted(f"  {_where(task)}" for task in left)))
    return result


def _is_task_step(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]


def _where(task: "asyncio.Task[Any]") -> str:
    """Name, innermost awaited frame."""
    frame: Any = task.get_coro()
    place = "not started"
    while frame is not None:
        code = getattr(frame, "cr_frame", None) or getattr(frame, "ag_frame", None) or getattr(frame, "gi_frame", None)
        if code is not None:
            place = f"{code.f_code.co_filename}:{code.f_lineno} in {code.f_code.co_qualname}"
        frame = (
            getattr(frame, "cr_await", None) or getattr(frame, "ag_await", None) or getattr(frame, "gi_yieldfrom", None)
        )
    return f"{task.get_name()}: {place}"
