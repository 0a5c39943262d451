"""The store: a multi-version key-value log with compare-and-swap, behind one small Protocol.

Keys are text that starts with "/"; values are opaque bytes. Every successful transaction gets the next revision: one
global, strictly rising integer that clients see as resourceVersion. All writes of one transaction share it.
Implementations: memory.py, sqlite.py (etcd.py to come); tests/contract/ holds the suite that each of them passes.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """One version of one key. revision: of the write that made it; created: of the write that created the key;
    version: 1 for the creation, then counting up; cause: what led to the write (skiff.env.cause), may be ""."""

    key: str
    value: bytes
    revision: int
    created: int
    version: int = 1
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What a range read saw. revision: of the store at the read; remaining: how many keys follow beyond the limit."""

    records: Sequence[Record]
    revision: int
    remaining: int = 0


class Put(NamedTuple):
    """Write a key. expected: the revision that the key must have now; 0: must not exist; None: whatever it has.
    ttl_seconds: delete the key that long after this write (a lease); None: keeps."""

    key: str
    value: bytes
    expected: int | None = None
    ttl_seconds: float | None = None
    cause: str = ""


class Delete(NamedTuple):
    """Remove a key. expected: as for Put, but 0 is not meaningful. A missing key is a Mismatch if expected is given,
    otherwise a no-op that still takes a revision."""

    key: str
    expected: int | None = None
    cause: str = ""


class Event(NamedTuple):
    """One change. record: the new version; for a deletion its value is b"" and its revision that of the deletion.
    previous: the version before, None for a creation."""

    deleted: bool
    record: Record
    previous: Record | None


class StoreError(Exception):
    """Base of what a store raises."""


class Mismatch(StoreError):
    """A comparison failed; nothing was written. `current` is the key's present record, None if it does not exist."""

    def __init__(self, key: str, current: Record | None):
        super().__init__(f"{key}: expected another revision than {current.revision if current else 'none'}")
        self.key = key
        self.current = current


class Compacted(StoreError):
    """The revision asked for is no longer kept. `compacted` is the oldest one that is."""

    def __init__(self, compacted: int):
        super().__init__(f"revisions before {compacted} are compacted")
        self.compacted = compacted


class FutureRevision(StoreError):
    """The revision asked for has not happened yet."""


class Unavailable(StoreError):
    """The store cannot answer now (closed, disk full, no quorum). Whether a write in flight happened is unknown."""


class Store(Protocol):
    """Contract: an operation that has returned is durable and visible to every later read (linearizable). All methods
    may be called concurrently from one event loop. The caller cancels freely: a cancelled write happened wholly or not
    at all."""

    @property
    def revision(self) -> int:
        """The latest revision that reads and watches of this process have seen. A new store starts at 1."""
        ...

    async def current_revision(self) -> int:
        """The latest committed revision, asked of the authority (for a consistent read with several servers)."""
        ...

    async def get(self, key: str, *, revision: int = 0) -> Record | None:
        """The key's record, now or as of a past revision. Raises Compacted, FutureRevision."""
        ...

    async def range(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Records whose key starts with prefix, sorted by key (bytewise), after `start_after` (exclusive), at most
        `limit` (0: all), now or as of a past revision. Raises Compacted, FutureRevision."""
        ...

    async def count(self, prefix: str) -> int: ...

    async def txn(self, ops: Sequence[Put | Delete]) -> int:
        """All of the writes or none; keys are distinct. Returns the new revision. Raises Mismatch for the first op whose
        comparison fails, ValueError for two ops on one key."""
        ...

    def watch(self, prefix: str, *, since: int = 0) -> AsyncIterator[Sequence[Event]]:
        """Every change of keys with the prefix whose revision is > since (0: from now on, fixed at the call), in
        revision order, all events of one revision in one batch, each exactly once. A batch may hold several revisions.
        Endless; the consumer closes the generator. Raises Compacted at once or later when the consumer is too slow."""
        ...

    async def events(self, prefix: str, since: int, until: int) -> Sequence[Event]:
        """Past changes of keys with the prefix, since < revision <= until, in revision order. Raises Compacted."""
        ...

    def progress(self) -> int:
        """A revision such that every watcher has been handed all events up to it (for bookmarks)."""
        ...

    def size(self) -> int:
        """Bytes on the disk."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget versions that no read at `revision` or later can see. Idempotent; raises FutureRevision."""
        ...

    async def close(self) -> None: ...
