"""How long to wait before the next try: 10 s doubling to 300 s, forgotten after twice the longest. Pure arithmetic.

Source: Kubernetes docs, "Pod Lifecycle", how Pods handle problems with containers.
"""

from dataclasses import dataclass, field

BASE_SECONDS = 10.0
CAP_SECONDS = 300.0


@dataclass(slots=True)
class _Entry:
    seconds: float
    updated: float


@dataclass(slots=True)
class Backoff:
    """Waits per key. Keys are forgotten with `forget`, or when a failure comes late enough to count as a first one."""

    base: float = BASE_SECONDS
    cap: float = CAP_SECONDS
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def seconds(self, key: str) -> float:
        """The present wait, 0.0 if the key did not fail yet."""
        entry = self._entries.get(key)
        return entry.seconds if entry else 0.0

    def until(self, key: str, since: float) -> float:
        """When the next try is allowed after a failure at `since`; `since` itself for an unknown key or one long quiet."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, since):
            return since
        return since + entry.seconds

    def failed(self, key: str, at: float) -> None:
        """Count a failure at `at`: the next wait starts at the base or doubles."""
        entry = self._entries.get(key)
        seconds = self.base if entry is None or self._expired(entry, at) else min(entry.seconds * 2, self.cap)
        self._entries[key] = _Entry(seconds, at)

    def forget(self, prefix: str) -> None:
        for key in [k for k in self._entries if k.startswith(prefix)]:
            del self._entries[key]

    def _expired(self, entry: _Entry, at: float) -> bool:
        return at - entry.updated > 2 * self.cap
