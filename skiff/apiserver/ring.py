"""The last changes of one cache, from which a watch resumes after a short absence.

How many there are follows from their age and from what they weigh: a change keeps the version that it replaced. Older ones
have to come from the store's history (`restore`). A change that is dropped raises `floor`.
"""

from collections import deque
from collections.abc import Sequence

from skiff.apiserver.entries import Change

SOME = 256
"""So many may be of any age."""

MOST = 65536

FRESH_S = 75.0
"""The others are kept this long (upstream: eventFreshDuration)."""

BUDGET = 8 << 20
"""Bytes of the versions that were replaced."""

WARM = 32
"""So many of the last changes stay encoded: every watcher of then has its bytes, few come back for older ones."""


class Ring:
    """floor: the lowest revision from which a watch can resume."""

    def __init__(self, floor: int = 0):
        self.floor = floor
        self._changes: deque[Change] = deque()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: Change) -> None:
        changes = self._changes
        changes.append(change)
        self._weight += _weight(change)
        if len(changes) > WARM:
            changes[-WARM - 1].wires.clear()
        self.trim(change.at)

    def trim(self, now: float) -> bool:
        """Drops what need not be kept. True: more will have to be dropped when it has come of age."""
        changes = self._changes
        while len(changes) > SOME or self._weight > BUDGET:
            oldest = changes[0]
            if self._weight <= BUDGET and len(changes) <= MOST and now - oldest.at <= FRESH_S:
                return True
            del changes[0]
            self._weight -= _weight(oldest)
            self.floor = oldest.revision
        return False

    def restore(self, changes: Sequence[Change], since: int) -> None:
        """What was before the oldest one, back to a revision. It stays until the next change, if it is too much."""
        self._changes.extendleft(reversed(changes))
        self._weight += sum(map(_weight, changes))
        self.floor = since

    def since(self, revision: int) -> list[Change]:
        """Changes after a revision that is at least `floor`."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found


def _weight(change: Change) -> int:
    return len(change.old.data) if change.old is not None else 0
