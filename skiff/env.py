"""Time, chance and cause: the three things a component may not take from the machine directly.

Whoever starts a component sets an `Environment`; everything below reads it through `now()`, `rng()` and `uid()`. The
real one is the default. Under a virtual-time loop (skiff.testing) `now()` follows the loop's clock and `rng()` is seeded,
so a run is a function of its seed. Sleeping is `asyncio.sleep`, which follows the loop by itself. Key material is not
chance in this sense: it comes from `secrets` and `cryptography`.
"""

import random
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol


class Environment(Protocol):
    """Where `now()` and `rng()` come from; one per loop."""

    rng: random.Random

    def time(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        ...


class RealEnvironment:
    """The machine's wall clock and an unseeded generator."""

    def __init__(self) -> None:
        self.rng = random.Random()

    def time(self) -> float:
        return time.time()


current: ContextVar[Environment] = ContextVar("skiff.environment", default=RealEnvironment())  # noqa: B039 - shared on purpose

cause: ContextVar[str] = ContextVar("skiff.cause", default="")
"""What led to the code that runs now: a request's id, passed on by queue, client and store. Empty: nothing known."""


def epoch() -> float:
    """Seconds since the Unix epoch."""
    return current.get().time()


def now() -> datetime:
    """The current time, timezone-aware UTC, with microseconds."""
    return datetime.fromtimestamp(current.get().time(), UTC)


def rng() -> random.Random:
    """The seeded source of this run. Not for secrets."""
    return current.get().rng


_NOT_VERSION = ~(0xF << 76 | 0b11 << 62)
_VERSION_4 = 4 << 76 | 0b10 << 62


def uid() -> str:
    """A random (version 4) UUID as lower-case text."""
    bits = current.get().rng.getrandbits(128) & _NOT_VERSION | _VERSION_4
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
