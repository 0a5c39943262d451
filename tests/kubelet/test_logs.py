"""The CRI log format and what clients ask of it."""

import asyncio
from pathlib import Path

import pytest

from skiff.kubelet.logs import LogOptions, parse, plain, read, tail_offset
from skiff.kubelet.server import HttpError, log_container, log_options

LOG = b"""\
2026-01-01T00:00:01.000000000Z stdout F one
2026-01-01T00:00:02.5Z stderr F two
2026-01-01T00:00:03.000000000Z stdout P thr
2026-01-01T00:00:03.000000001Z stdout F ee
rubbish
2026-01-01T00:00:04.000000000Z stdout F 
"""

OPTIONS = [
    pytest.param(LogOptions(), b"one\ntwo\nthree\n\n", id="all"),
    pytest.param(LogOptions(stream=b"stderr"), b"two\n", id="one stream"),
    pytest.param(LogOptions(tail=1), b"\n", id="the last line"),
    pytest.param(LogOptions(tail=0), b"", id="no line"),
    pytest.param(LogOptions(tail=100), b"one\ntwo\nthree\n\n", id="more than there are"),
    pytest.param(LogOptions(since=b"2026-01-01T00:00:02.5Z"), b"two\nthree\n\n", id="since a time, inclusive"),
    pytest.param(LogOptions(limit=5), b"one\nt", id="a limit in bytes"),
    pytest.param(
        LogOptions(timestamps=True, stream=b"stdout", since=b"2026-01-01T00:00:03Z"),
        b"2026-01-01T00:00:03.000000000Z three\n2026-01-01T00:00:04.000000000Z \n",
        id="a time stamp before each whole line",
    ),
]


ODD = [
    pytest.param(LogOptions(), b"50%\r100%\r\nend\n", id="a carriage return is text"),
    pytest.param(LogOptions(timestamps=True, tail=1), b"2026-01-01T02:00:02.500000000+02:00 end\n", id="nine digits"),
    pytest.param(LogOptions(since=b"2026-01-01T00:00:02Z"), b"end\n", id="a time in another zone"),
    pytest.param(LogOptions(since=b"2026-01-01T00:00:03Z"), b"", id="a later time than any"),
]


@pytest.mark.parametrize("options, expected", ODD)
def test_odd_lines(tmp_path: Path, options: LogOptions, expected: bytes) -> None:
    path = tmp_path / "0.log"
    stamp = b"2026-01-01T02:00:0%s+02:00 stdout F %s\n"
    path.write_bytes(stamp % (b"1", b"50%\r100%\r") + stamp % (b"2.5", b"end"))
    assert asyncio.run(collect(path, options)) == expected


async def collect(path: Path, options: LogOptions) -> bytes:
    return b"".join([chunk async for chunk in read(str(path), options, lambda: False)])


@pytest.mark.parametrize("options, expected", OPTIONS)
def test_read(tmp_path: Path, options: LogOptions, expected: bytes) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    assert asyncio.run(collect(path, options)) == expected


def test_following_reads_on_through_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"2026-01-01T00:00:01Z stdout F a\n")

    async def main() -> bytes:
        ended, out = asyncio.Event(), b""
        async for chunk in read(str(path), LogOptions(follow=True), lambda: not ended.is_set()):
            out += chunk
            if out == b"a\n":
                path.rename(tmp_path / "0.log.1")
                path.write_bytes(b"2026-01-01T00:00:02Z stdout F b\n")
            else:
                ended.set()
        return out

    assert asyncio.run(main()) == b"a\nb\n"


def test_tail_counts_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    line = b"2026-01-01T00:00:01Z stdout F " + b"x" * 1000 + b"\n"
    path.write_bytes(line * 300)
    assert tail_offset(str(path), 150) == len(line) * 150


@pytest.mark.parametrize("raw", [b"", b"x", b"2026 other F x", b"a b"])
def test_what_is_no_log_line(raw: bytes) -> None:
    assert parse(raw) is None


def test_plain_leaves_out_a_torn_line() -> None:
    assert plain(b"out F torn\n2026-01-01T00:00:01Z stdout F whole\n") == b"whole\n"


def test_query() -> None:
    found = log_options({"follow": ["true"], "tailLines": ["5"], "sinceSeconds": ["10"]}, now=1767225610.0)
    assert found == LogOptions(follow=True, tail=5, since=b"2026-01-01T00:00:00.000000Z")


@pytest.mark.parametrize(
    "name, value", [("tailLines", "-1"), ("tailLines", "x"), ("limitBytes", "1" * 30), ("sinceTime", "soon")]
)
def test_a_bad_query_is_refused(name: str, value: str) -> None:
    with pytest.raises(HttpError):
        log_options({name: [value]}, now=0.0)


def status(**fields: object) -> dict[str, object]:
    return {"containerStatuses": [{"name": "c", **fields}]}


WAITING = [
    pytest.param({"state": {"waiting": {"reason": "ContainerCreating"}}}, False, "is waiting to start: ContainerCreating", id="creating"),
    pytest.param({"state": {"waiting": {"reason": "ErrImagePull"}}}, False, "is waiting to start: image can't be pulled", id="no image"),
    pytest.param(
        {"state": {"waiting": {"reason": "ImagePullBackOff"}}}, False,
        "is waiting to start: trying and failing to pull image", id="image back-off",
    ),
    pytest.param({"state": {"running": {}}}, True, 'previous terminated container "c" in pod "p" not found', id="no run before"),
]  # fmt: skip


@pytest.mark.parametrize("fields, previous, message", WAITING)
def test_no_log_to_show(fields: dict[str, object], previous: bool, message: str) -> None:
    with pytest.raises(HttpError) as e:
        log_container(status(**fields), "p", "c", previous=previous)
    assert message in e.value.message


def test_which_container_is_read() -> None:
    ended = {"terminated": {"containerID": "containerd://old"}}
    both = status(state={"running": {}}, containerID="containerd://new", lastState=ended)
    assert log_container(both, "p", "c", previous=False) == "new"
    assert log_container(both, "p", "c", previous=True) == "old"
    assert log_container(status(state={"waiting": {}}, lastState=ended), "p", "c", previous=False) == "old"
