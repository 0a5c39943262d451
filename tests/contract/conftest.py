"""Every implementation of a Protocol, by name. A test takes `run`, gives it an async function of one store."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from skiff.store import Store
from skiff.store.open import open_store

BACKENDS = ["memory", "sqlite"]


def url(backend: str, directory: Path) -> str:
    return "memory" if backend == "memory" else f"{backend}://{directory}/state.db"


@pytest.fixture(params=BACKENDS)
def run(request, tmp_path) -> Callable[[Callable[[Store], Awaitable[None]]], None]:
    async def with_store(test: Callable[[Store], Awaitable[None]]) -> None:
        store = await open_store(url(request.param, tmp_path))
        try:
            async with asyncio.timeout(20):
                await test(store)
        finally:
            await store.close()

    return lambda test: asyncio.run(with_store(test))
