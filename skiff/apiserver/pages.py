"""Lists that are asked for again while nothing has changed: what was selected is kept for a moment, and its bytes in one
string from the second time on, so that many clients that list the same (all at once, after a restart) share the work.
"""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from skiff.apiserver.entries import Entry
from skiff.wire.messages import Items

KEPT_S = 1.0
"""How long a page is kept that nobody asks for."""
KEPT = 64
JOINED_BYTES = 32 << 20
"""A longer page is put together anew for each reader."""
ALL_JOINED_BYTES = 64 << 20


@dataclass(slots=True, eq=False)
class Page:
    """Selected entries of one state of a collection. last: the key of the last one, where there are more behind it.
    remaining: how many those are, None if not known. items: their JSON as parts of a list, once it was asked for."""

    entries: list[Entry]
    last: tuple[str, str] | None = None
    remaining: int | None = None
    items: Items | None = None


@dataclass(slots=True, eq=False)
class _Kept:
    """changed: the cache's last change when the page was made."""

    page: Page
    changed: int
    used: bool = True
    joined: int = 0


class Pages:
    """Those of all resources. Within a cache, equal keys mean equal questions."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._joined = 0
        self._ticking = False

    def find(self, key: Hashable, changed: int) -> Page | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.changed != changed:
            self._drop(key)
            return None
        kept.used = True
        items = kept.page.items
        if items is not None and not kept.joined and self._may_join(items.size):
            items.join()
            kept.joined = items.size
            self._joined += items.size
        return kept.page

    def keep(self, key: Hashable, changed: int, page: Page) -> Page:
        self._drop(key)
        if len(self._kept) >= KEPT:
            self._drop(next(iter(self._kept)))
        self._kept[key] = _Kept(page, changed)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(KEPT_S, self._tick)
        return page

    def _may_join(self, size: int) -> bool:
        return size <= JOINED_BYTES and self._joined + size <= ALL_JOINED_BYTES

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._joined -= kept.joined

    def _tick(self) -> None:
        for key, kept in list(self._kept.items()):
            if not kept.used:
                self._drop(key)
            kept.used = False
        self._ticking = bool(self._kept)
        if self._ticking:
            asyncio.get_running_loop().call_later(KEPT_S, self._tick)
