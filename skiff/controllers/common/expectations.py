"""What a controller has asked for and not yet seen in its cache.

A cache lags behind the writes. A controller that created three pods must not count the two it sees so far and create a
third again: it waits until the cache has shown what it expects, at most five minutes (a lost event must not stop it
forever). Source: upstream ControllerExpectations and UIDTrackingControllerExpectations.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from skiff import env

TIMEOUT_SECONDS = 300.0


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Per owner key: a number of creations, and the keys of what is being deleted (each counted once)."""

    def __init__(self) -> None:
        self._by_owner: dict[str, _Expected] = {}

    def satisfied(self, owner: str) -> bool:
        expected = self._by_owner.get(owner)
        if expected is None:
            return True
        done = expected.creations <= 0 and not expected.deletions
        return done or env.epoch() - expected.since > TIMEOUT_SECONDS

    def expect_creations(self, owner: str, count: int) -> None:
        self._by_owner[owner] = _Expected(env.epoch(), creations=count)

    def expect_deletions(self, owner: str, keys: Iterable[str]) -> None:
        self._by_owner[owner] = _Expected(env.epoch(), deletions=set(keys))

    def creation_observed(self, owner: str) -> None:
        """Also called for a creation that failed: it will not be seen."""
        if expected := self._by_owner.get(owner):
            expected.creations -= 1

    def deletion_observed(self, owner: str, key: str) -> None:
        if expected := self._by_owner.get(owner):
            expected.deletions.discard(key)

    def forget(self, owner: str) -> None:
        self._by_owner.pop(owner, None)
