"""Links of proxied pages."""

import asyncio
import gzip
import zlib

import pytest

from skiff.apiserver.connect import links

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"


def led_back(link: str) -> str:
    return PREFIX + link if link.startswith("/") else link


async def _chunks(data: bytes, size: int):
    for at in range(0, len(data), size):
        yield data[at : at + size]


def page(data: bytes, size: int = 7, encoding: str = "") -> bytes:
    async def run() -> bytes:
        return b"".join([part async for part in links.rewritten(_chunks(data, size), encoding, led_back)])

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('<a href="/x">t</a>', f'<a href="{PREFIX}/x">t</a>', id="a link"),
        pytest.param("<IMG alt=a SRC='/x'>", f"<IMG alt=a SRC='{PREFIX}/x'>", id="an image, single quotes, upper case"),
        pytest.param("<form action=/x>", f"<form action={PREFIX}/x>", id="without quotes"),
        pytest.param('<a href="x">', '<a href="x">', id="a relative link stays"),
        pytest.param('<b href="/x">', '<b href="/x">', id="another tag's attribute is no link"),
        pytest.param('<a title=">" href="/x">', f'<a title=">" href="{PREFIX}/x">', id="a bracket in a value"),
        pytest.param(
            '<script>\'<a href="/x">\'</script><a href="/y">',
            f'<script>\'<a href="/x">\'</script><a href="{PREFIX}/y">',
            id="scripts stay as they are",
        ),
        pytest.param("1 < 2 and <a href=", "1 < 2 and <a href=", id="what never becomes a tag"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_page(before, after, size):
    assert page(before.encode(), size).decode() == after


def test_compressed_pages_are_unpacked():
    text = b'<a href="/x">'
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    expected = f'<a href="{PREFIX}/x">'.encode()
    assert page(gzip.compress(text), 9, "gzip") == expected
    assert page(deflate.compress(text) + deflate.flush(), 9, "deflate") == expected


def test_an_endless_tag_is_not_kept():
    rewriter = links.Rewriter(led_back)
    assert len(rewriter.feed(b"<a " + b"x" * links.MAX_TAG)) > links.MAX_TAG
    assert rewriter.end() == b""


@pytest.mark.parametrize(
    ("headers", "html"),
    [
        pytest.param({"Content-Type": "text/html; charset=utf-8"}, True, id="html"),
        pytest.param({"content-type": "text/html", "content-encoding": "br"}, False, id="an encoding nobody knows"),
        pytest.param({"Content-Type": "text/plain"}, False, id="text"),
        pytest.param({}, False, id="nothing said"),
    ],
)
def test_is_html(headers, html):
    assert links.is_html(headers) is html
