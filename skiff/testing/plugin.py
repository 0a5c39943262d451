"""The pytest plugin: asynchronous tests on the virtual loop, and a cluster as a fixture.

    async def test_scales(cluster): ...                 # a cluster with one simulated node
    @pytest.mark.cluster(nodes=3)                       # arguments of skiff.testing.cluster.Cluster
    async def test_spreads(cluster): ...
    @pytest.mark.virtual                                # only the loop
    async def test_queue(): ...

`--skiff-seed N` chooses the interleaving (a failure names the seed that it had). A test that leaves a task behind fails.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from skiff.testing.loop import run


@dataclass(frozen=True, slots=True)
class Deferred:
    """A fixture's value that is made inside the test's loop: entered before the test, left after it."""

    make: Callable[[], AbstractAsyncContextManager[Any]]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("skiff")
    group.addoption("--skiff-seed", type=int, default=0, help="seed of the virtual loop's interleaving (default 0)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual: run this asynchronous test on skiff's virtual-time loop")
    config.addinivalue_line("markers", "cluster(**arguments): arguments of the `cluster` fixture's Cluster")


@pytest.fixture
def skiff_seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--skiff-seed"))


@pytest.fixture
def cluster(request: pytest.FixtureRequest, skiff_seed: int) -> Deferred:
    """A skiff.testing.cluster.Cluster, running."""
    from skiff.testing.cluster import Cluster

    marker = request.node.get_closest_marker("cluster")
    arguments = {"seed": skiff_seed, **(marker.kwargs if marker else {})}
    return Deferred(functools.partial(Cluster, **arguments))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Takes over asynchronous tests that are ours: marked `virtual`, or with a deferred fixture."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}
    deferred = any(isinstance(value, Deferred) for value in arguments.values())
    if not deferred and pyfuncitem.get_closest_marker("virtual") is None:
        return None
    seed = int(pyfuncitem.config.getoption("--skiff-seed"))
    pyfuncitem.add_report_section("call", "skiff", f"--skiff-seed {seed}")
    run(_call(test, arguments), seed=seed)
    return True


async def _call(test: Callable[..., Any], arguments: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        for name, value in arguments.items():
            if isinstance(value, Deferred):
                arguments[name] = await stack.enter_async_context(value.make())
        await test(**arguments)
