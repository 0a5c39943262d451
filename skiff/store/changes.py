"""What a transaction means, decided without I/O: comparisons, new versions, events. Shared by the backends."""

from collections.abc import Callable, Sequence

from skiff import env
from skiff.store import Delete, Event, Mismatch, Put, Record

Op = Put | Delete


def check(ops: Sequence[Op]) -> None:
    """Raises ValueError for what no store can write: nothing, a key twice, a key that is no text starting with "/"."""
    if not ops:
        raise ValueError("a transaction needs at least one write")
    for op in ops:
        if not op.key.startswith("/"):
            raise ValueError(f"key {op.key!r} does not start with /")
        op.key.encode()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    if len(ops) > 1 and len({op.key for op in ops}) < len(ops):
        raise ValueError("two writes to one key in one transaction")


def decide(ops: Sequence[Op], revision: int, current: Callable[[str], Record | None], cause: str) -> list[Event]:
    """The events of a transaction that takes `revision`, in the order of its writes; a deletion of a missing key has
    none. Raises Mismatch, and then nothing is to be written."""
    found = [current(op.key) for op in ops]
    for op, old in zip(ops, found, strict=True):
        if op.expected is not None and op.expected != (old.revision if old else 0):
            raise Mismatch(op.key, old)
        if isinstance(op, Delete) and op.expected == 0:
            raise Mismatch(op.key, old)
    return [event for op, old in zip(ops, found, strict=True) if (event := _event(op, old, revision, cause))]


def _event(op: Op, old: Record | None, revision: int, cause: str) -> Event | None:
    cause = op.cause or cause
    if isinstance(op, Put):
        if old is None:
            return Event(False, Record(op.key, op.value, revision, revision, 1, cause), None)
        return Event(False, Record(op.key, op.value, revision, old.created, old.version + 1, cause), old)
    if old is None:
        return None
    return Event(True, Record(op.key, b"", revision, old.created, old.version + 1, cause), old)


def current_cause() -> str:
    """Read on the loop, where the context is the caller's."""
    return env.cause.get()


def prefix_end(prefix: str) -> str | None:
    """The least text above every text with the prefix; None if there is none (an empty prefix)."""
    for i in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[i]) + 1
        if code == 0xD800:  # surrogates are no characters
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:i] + chr(code)
    return None
