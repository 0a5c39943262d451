"""The first lines of an HTTP/1.1 response as bytes: status line, headers, the Date that is made once per second."""

import http
from collections.abc import Mapping
from email.utils import formatdate

from skiff import env

STATUS_LINES: dict[int, bytes] = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in http.HTTPStatus}
_NO_BODY = frozenset((*range(100, 200), 204, 304))

_REPEATING = frozenset(("content-type", "cache-control", "vary", "content-encoding"))
_REPEATING_PREFIX = "X-Kubernetes-PF-"
"""Headers of which few values exist: their lines are kept."""
_KEPT = 512
_lines: dict[tuple[str, str], bytes] = {}

_date_second = -1
_date_line = b""


def has_body(method: str, status: int) -> bool:
    """Whether a response to this request carries a body at all (RFC 9110, 6.4.1)."""
    return method != "HEAD" and status not in _NO_BODY


def status_line(status: int) -> bytes:
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d status code %d\r\n" % (status, status)


def date_line() -> bytes:
    global _date_second, _date_line
    second = int(env.epoch())
    if second != _date_second:
        _date_second = second
        _date_line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
    return _date_line


def encode(status: int, headers: Mapping[str, str], extra: bytes) -> bytes:
    """The whole head with the empty line. extra: further complete header lines, each with CRLF.

    Raises ValueError when a header holds a line break (a response must not be split) or is not Latin-1."""
    found = [STATUS_LINES.get(status) or status_line(status)]
    for header in headers.items():
        found.append(_lines.get(header) or _line(header))
    found += (date_line(), extra, b"\r\n")
    return b"".join(found)


def _line(header: tuple[str, str]) -> bytes:
    name, value = header
    line = f"{name}: {value}\r\n".encode("latin-1")
    if line.count(b"\n") != 1 or line.count(b"\r") != 1:
        raise ValueError("line break in a response header")
    if (name in _REPEATING or name.startswith(_REPEATING_PREFIX)) and len(_lines) < _KEPT and len(line) < 256:
        _lines[header] = line
    return line
