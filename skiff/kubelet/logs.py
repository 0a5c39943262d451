"""Container logs: `2026-01-01T00:00:00.000000000Z stdout F text`, P instead of F for a part of a line. Reading, following.

Parsing and selecting are pure; `read` yields what a client asked for and follows rotation. Source: CRI, "Logging";
api.proto names the tags.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

BLOCK = 64 << 10
LINE_LIMIT = 1 << 20
FOLLOW_S = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """time: RFC 3339 text with nanoseconds. text: with its line feed, unless it is only part of a line."""

    time: bytes
    stream: bytes
    text: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """As PodLogOptions. tail: -1 for all lines; limit: -1 for no limit; since: RFC 3339 text in UTC, b"" for all;
    stream: b"stdout", b"stderr" or b"" for both."""

    follow: bool = False
    timestamps: bool = False
    tail: int = -1
    limit: int = -1
    since: bytes = b""
    stream: bytes = b""


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
    return b"".join(line.text for line in map(parse, _lines(data)) if line is not None)


def _lines(data: bytes) -> list[bytes]:
    """Split behind line feeds only: a carriage return is text."""
    return [part for part in re.split(rb"(?<=\n)", data) if part]


class Selector:
    """Turns raw lines into output: filters by time and stream, puts time stamps before whole lines, stops at the limit."""

    def __init__(self, options: LogOptions):
        self._options = options
        self._left = options.limit
        self._fresh = True
        self.full = False

    def add(self, raw: bytes) -> bytes:
        o = self._options
        line = parse(raw)
        if line is None or self.full:
            return b""
        if (o.since and _before(line.time, o.since)) or (o.stream and line.stream != o.stream):
            return b""
        out = _stamp(line.time) + b" " + line.text if o.timestamps and self._fresh else line.text
        self._fresh = out.endswith(b"\n")
        if self._left >= 0:
            out = out[: self._left]
            self._left -= len(out)
            self.full = self._left <= 0
        return out


_STAMP = re.compile(rb"(.{19})(?:\.(\d+))?(.*)", re.DOTALL)


def _parts(time: bytes) -> tuple[bytes, bytes, bytes]:
    """(up to the second, nine digits of its fraction, zone). The runtime leaves out a fraction's last zeros."""
    match = _STAMP.fullmatch(time)
    return (match[1], (match[2] or b"").ljust(9, b"0"), match[3]) if match else (time, b"", b"")


def _stamp(time: bytes) -> bytes:
    """As it is shown: always with nine digits."""
    second, fraction, zone = _parts(time)
    return second + b"." + fraction + zone if fraction else time


def _before(time: bytes, since: bytes) -> bool:
    """`since` is in UTC; the runtime writes the machine's own zone."""
    return _in_utc(time) < _in_utc(since)


def _in_utc(time: bytes) -> bytes:
    second, fraction, zone = _parts(time)
    if zone not in (b"", b"Z"):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat((second + zone).decode("ascii", "replace")).astimezone(UTC)
            second = moment.strftime("%Y-%m-%dT%H:%M:%S").encode()
    return second + b"." + fraction


def tail_offset(path: str, lines: int) -> int:
    """Where the last `lines` lines of a file begin."""
    with open(path, "rb") as f:
        end = f.seek(0, os.SEEK_END)
        if lines <= 0:
            return end
        at, found = end, 0
        while at > 0:
            start = max(0, at - BLOCK)
            f.seek(start)
            block = f.read(at - start)
            cut = len(block)
            while (cut := block.rfind(b"\n", 0, cut)) >= 0:
                if start + cut + 1 < end:
                    found += 1
                    if found == lines:
                        return start + cut + 1
            at = start
    return 0


class _Follower:
    """Reads on from where it was, into the next file when the log has been rotated."""

    def __init__(self, path: str, offset: int):
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115 - lives as long as the reader
        self._file.seek(offset)
        self._rest = b""

    def lines(self) -> list[bytes]:
        """Whole lines that have come; [] at the end of what there is."""
        data = self._rest + self._file.read(BLOCK)
        whole, _, self._rest = data.rpartition(b"\n")
        if len(self._rest) > LINE_LIMIT:
            whole, self._rest = data, b""
        return _lines(whole)

    def rotated(self) -> bool:
        """Moves on to a new file at the path, if there is one."""
        try:
            if os.stat(self._path).st_ino == os.fstat(self._file.fileno()).st_ino:
                return False
            following = open(self._path, "rb")  # noqa: SIM115
        except FileNotFoundError:
            return False
        self._file.close()
        self._file = following
        return True

    def close(self) -> None:
        self._file.close()


async def read(path: str, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log from a file. Following ends when the container does not run any more. Raises FileNotFoundError."""
    selector = Selector(options)
    follower = _Follower(path, tail_offset(path, options.tail) if options.tail >= 0 else 0)
    try:
        while not selector.full:
            alive = options.follow and running()
            lines = follower.lines()
            if lines:
                out = b"".join(map(selector.add, lines))
                if out:
                    yield out
                await asyncio.sleep(0)
            elif not follower.rotated():
                if not alive:
                    return
                await asyncio.sleep(FOLLOW_S)
    finally:
        follower.close()
