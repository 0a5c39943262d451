"""Links in HTML pages that come through a proxy: those to the backend itself lead back through the proxy.

Guarantees: works on the stream, tag by tag, and holds no more than one tag; what is not a tag passes as it is, and so does
what stands in scripts and style sheets. Source: which attributes hold links is the HTML standard's table of attributes.
"""

import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

_ATTRIBUTES = {
    b"href": b"a area base link",
    b"src": b"audio embed frame iframe img input script source video",
    b"longdesc": b"frame iframe img",
    b"usemap": b"img input object",
    b"cite": b"blockquote del ins q",
    b"formaction": b"button input",
    b"action": b"form",
    b"background": b"body",
    b"codebase": b"applet object",
    b"classid": b"object",
    b"data": b"object",
    b"icon": b"command",
    b"manifest": b"html",
    b"poster": b"video",
    b"profile": b"head",
}
_TAGS = {name: frozenset(tags.split()) for name, tags in _ATTRIBUTES.items()}
_TAG = re.compile(rb"""<(/?[a-zA-Z][a-zA-Z0-9]*)(?:"[^"]*"|'[^']*'|[^'"<>])*>""")
_ATTRIBUTE = re.compile(rb"""(\s([a-zA-Z]+)\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")
_RAW = (b"script", b"style")
MAX_TAG = 65_536


def is_html(headers: Mapping[str, str]) -> bool:
    """Whether the answer is a page whose encoding is understood."""
    found = {name.lower(): value for name, value in headers.items()}
    kind = found.get("content-type", "").partition(";")[0].strip()
    return kind == "text/html" and found.get("content-encoding", "") in ("", "gzip", "deflate")


class Rewriter:
    """feed() gives what may be sent on already, end() the rest."""

    def __init__(self, rewrite: Callable[[str], str]):
        self._rewrite = rewrite
        self._pending = b""
        self._raw = b""

    def feed(self, data: bytes) -> bytes:
        data = self._pending + data
        out, at = [], 0
        for tag in _TAG.finditer(data):
            out += [data[at : tag.start()], self._tag(tag)]
            at = tag.end()
        cut = data.find(b"<", at)
        cut = len(data) if cut < 0 or len(data) - cut > MAX_TAG else cut
        self._pending = data[cut:]
        return b"".join([*out, data[at:cut]])

    def end(self) -> bytes:
        rest, self._pending = self._pending, b""
        return rest

    def _tag(self, found: re.Match[bytes]) -> bytes:
        name = found[1].lower()
        if self._raw:
            self._raw = b"" if name == b"/" + self._raw else self._raw
            return found[0]
        self._raw = name if name in _RAW else b""
        return _ATTRIBUTE.sub(lambda a: self._attribute(name, a), found[0])

    def _attribute(self, tag: bytes, found: re.Match[bytes]) -> bytes:
        if tag not in _TAGS.get(found[2].lower(), ()):
            return found[0]
        quote = found[3][:1] if found[3][:1] in (b'"', b"'") else b""
        value = found[3].strip(quote) if quote else found[3]
        try:
            return found[1] + quote + self._rewrite(value.decode()).encode() + quote
        except ValueError:  # no URL: not ours to understand
            return found[0]


async def rewritten(stream: AsyncIterator[bytes], encoding: str, rewrite: Callable[[str], str]) -> AsyncIterator[bytes]:
    """The page with its links led back, uncompressed. Raises zlib.error for what is not compressed as it says."""
    rewriter = Rewriter(rewrite)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS if encoding == "deflate" else zlib.MAX_WBITS | 16) if encoding else None
    async for chunk in stream:
        for part in _unpacked(unpack, chunk) if unpack else (chunk,):
            if out := rewriter.feed(part):
                yield out
    yield rewriter.end()


def _unpacked(unpack: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    """In small parts, however much the chunk holds."""
    yield unpack.decompress(chunk, MAX_TAG)
    while unpack.unconsumed_tail:
        yield unpack.decompress(unpack.unconsumed_tail, MAX_TAG)
