"""What is kept of lists that are asked for again: as long as nothing changes and somebody asks, within bounds."""

import asyncio

from skiff.apiserver import pages
from skiff.apiserver.pages import Page, Pages
from skiff.testing import run
from skiff.wire.messages import Items


def page(size: int = 10) -> Page:
    return Page([], items=Items([b"x" * size], b","))


def test_a_page_is_found_until_something_changes() -> None:
    async def main() -> None:
        kept = Pages()
        first = kept.keep("a", 1, page())
        assert kept.find("a", 1) is first
        assert kept.find("b", 1) is None
        assert kept.find("a", 2) is None
        assert kept.find("a", 1) is None

    run(main())


def test_a_page_that_nobody_asks_for_is_let_go() -> None:
    async def main() -> None:
        kept = Pages()
        first = kept.keep("a", 1, page())
        for _ in range(10):
            await asyncio.sleep(pages.KEPT_S)
            assert kept.find("a", 1) is first
        await asyncio.sleep(2 * pages.KEPT_S)
        assert kept.find("a", 1) is None

    run(main())


def test_pages_are_joined_when_asked_for_again_within_bounds() -> None:
    async def main() -> None:
        kept = Pages()
        sizes = [pages.JOINED_BYTES, pages.JOINED_BYTES + 1, pages.JOINED_BYTES, 1]
        for number, size in enumerate(sizes):
            kept.keep(number, 1, page(size))
        found = [kept.find(number, 1) for number in range(len(sizes))]
        slices = [len(list(p.items.slices(1 << 20))) if p and p.items else 0 for p in found]
        assert slices == [32, 33, 32, 1]
        assert kept.find(3, 2) is None  # what is let go makes room
        assert kept.find(0, 2) is None
        kept.keep(4, 2, page())
        assert kept.find(4, 2) is not None

    run(main())


def test_there_is_a_bound_to_their_number() -> None:
    async def main() -> None:
        kept = Pages()
        for number in range(pages.KEPT + 5):
            kept.keep(number, 1, page())
        assert [number for number in range(pages.KEPT + 5) if kept.find(number, 1)] == list(range(5, pages.KEPT + 5))

    run(main())
