"""What a controller has written but not yet seen come back: so that a stale cache does not make it create twice.

Before a controller creates or deletes dependents it notes how many; each one that the informer then reports is counted
off; until all are (or TIMEOUT_S passed, in case an event was missed) the controller does not act on that key again.
Source: upstream's ControllerExpectations (pkg/controller/controller_utils.go).
"""

from dataclasses import dataclass, field

from skiff import env

TIMEOUT_S = 300.0


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Per controller key: creations by number (their names are not known before), deletions by uid."""

    def __init__(self) -> None:
        self._keys: dict[str, _Expected] = {}

    def expect(self, key: str, *, creations: int = 0, deletions: set[str] | frozenset[str] = frozenset()) -> None:
        """Note what is about to be written. Call it before the first write: the event may arrive before the answer."""
        self._keys[key] = _Expected(env.epoch(), creations, set(deletions))

    def creation_observed(self, key: str) -> None:
        """An `added` event arrived, or a creation failed and will not be seen."""
        if expected := self._keys.get(key):
            expected.creations -= 1

    def deletion_observed(self, key: str, uid: str) -> None:
        """The object is gone or has its deletionTimestamp, or the deletion failed."""
        if expected := self._keys.get(key):
            expected.deletions.discard(uid)

    def satisfied(self, key: str) -> bool:
        """The cache has caught up with this controller's writes for the key (or they are too long ago to wait for)."""
        expected = self._keys.get(key)
        if expected is None:
            return True
        if expected.creations > 0 or expected.deletions:
            return env.epoch() - expected.since > TIMEOUT_S
        return True

    def forget(self, key: str) -> None:
        """The key is gone."""
        self._keys.pop(key, None)
