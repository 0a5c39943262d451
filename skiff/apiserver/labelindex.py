"""A watch cache's indexes by label: made for the keys that selectors ask for again and again, current from then on.

Each costs every write a step, so there are few, only in caches of some size, and the one that was asked for least
recently makes room for a new one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from skiff.apiserver.entries import Entry

KEYS = 4
ASKED = 3
"""So often a key is asked for before its index is made."""
LEAST = 256
"""Objects; fewer are looked through as fast."""
COUNTED = 64


def _place(entry: Entry) -> tuple[str, str]:
    """The order of stored keys, in which a slash ends the namespace."""
    return f"{entry.namespace}/", entry.name


class LabelIndexes:
    """everything: all entries of the cache, sorted."""

    def __init__(self, everything: Callable[[], Iterable[Entry]]):
        self._everything = everything
        self._asked: dict[str, int] = {}
        self._kept: dict[str, dict[str, list[Entry]]] = {}
        """Label → value → entries, sorted. The label that was asked for last stands last."""

    def clear(self) -> None:
        self._kept.clear()

    def find(self, key: str, value: str, count: int) -> list[Entry] | None:
        """Entries whose label `key` has the value, sorted, not to be changed; None: there is no index. count: of all."""
        buckets = self._kept.pop(key, None)
        if buckets is None:
            if count < LEAST or not self._is_wanted(key):
                return None
            buckets = self._make(key)
            if len(self._kept) >= KEYS:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = buckets
        return buckets.get(value, [])

    def _is_wanted(self, key: str) -> bool:
        if len(self._asked) >= COUNTED:
            self._asked.clear()
        self._asked[key] = asked = self._asked.get(key, 0) + 1
        return asked >= ASKED

    def _make(self, key: str) -> dict[str, list[Entry]]:
        buckets: dict[str, list[Entry]] = {}
        for entry in self._everything():
            value = entry.labels.get(key)
            if value is not None:
                buckets.setdefault(value, []).append(entry)
        return buckets

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """An entry has come (old is None), gone (new is None) or been replaced."""
        for key, buckets in self._kept.items():
            was = old.labels.get(key) if old is not None else None
            now = new.labels.get(key) if new is not None else None
            if old is not None and was is not None:
                bucket = buckets[was]
                at = bisect_left(bucket, _place(old), key=_place)
                if new is not None and was == now:
                    bucket[at] = new
                    continue
                del bucket[at]
                if not bucket:
                    del buckets[was]
            if new is not None and now is not None:
                bucket = buckets.setdefault(now, [])
                bucket.insert(bisect_left(bucket, _place(new), key=_place), new)


def within(entries: list[Entry], namespace: str, after: tuple[str, str] | None) -> list[Entry]:
    """The part of sorted entries that lies in the namespace ("": in any) and after (namespace, name)."""
    start, end = 0, len(entries)
    if namespace:
        start = bisect_left(entries, (f"{namespace}/", ""), key=_place)
        end = bisect_right(entries, (f"{namespace}0", ""), lo=start, key=_place)  # "0" follows the slash
    if after is not None:
        start = bisect_right(entries, (f"{after[0]}/", after[1]), lo=start, hi=end, key=_place)
    return entries[start:end]
