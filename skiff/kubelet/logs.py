"""The CRI log format: `2026-01-01T00:00:00.000000000Z stdout F text`, P for a part of a line. Reading, following, rotating.

Parsing is pure. Source: CRI, "Logging"; api.proto names the tags.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """time: RFC 3339 text with nanoseconds. text: with its line feed, unless it is only part of a line."""

    time: bytes
    stream: bytes
    text: bytes


def parse(raw: bytes) -> Line | None:
    """One line of the file, with or without its line feed; None for what is not in the format."""
    fields = raw.rstrip(b"\n").split(b" ", 3)
    if len(fields) < 3 or fields[1] not in (b"stdout", b"stderr"):
        return None
    text = fields[3] if len(fields) == 4 else b""
    partial = fields[2].split(b":")[0] == b"P"
    return Line(fields[0], fields[1], text if partial else text + b"\n")


def plain(data: bytes) -> bytes:
    """The text of whole log lines; a torn first line is left out."""
    return b"".join(line.text for line in map(parse, data.splitlines(keepends=True)) if line is not None)
