"""From a store's URL to the store: `memory`, `sqlite:///path`."""

from skiff.store import Store
from skiff.store.memory import MemoryStore


async def open_store(url: str) -> Store:
    """The caller closes it. Raises ValueError for an unknown URL, Unavailable when the store cannot be opened."""
    if url == "memory":
        return MemoryStore()
    scheme, _, path = url.partition("://")
    if scheme == "sqlite" and path.startswith("/"):
        from skiff.store.sqlite import SqliteStore

        return await SqliteStore.open(path)
    raise ValueError(f"unknown store {url!r}; known are memory and sqlite:///path")
