"""The first lines of an HTTP/1.1 response as bytes: status line, headers, the Date that is made once per second."""

import http
from collections.abc import Mapping
from email.utils import formatdate

from skiff import env

STATUS_LINES: dict[int, str] = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in http.HTTPStatus}
_NO_BODY = frozenset((*range(100, 200), 204, 304))

_date_second = -1
_date_line = ""


def has_body(method: str, status: int) -> bool:
    """Whether a response to this request carries a body at all (RFC 9110, 6.4.1)."""
    return method != "HEAD" and status not in _NO_BODY


def status_line(status: int) -> str:
    return STATUS_LINES.get(status) or f"HTTP/1.1 {status} status code {status}\r\n"


def date_line() -> str:
    global _date_second, _date_line
    second = int(env.epoch())
    if second != _date_second:
        _date_second = second
        _date_line = f"Date: {formatdate(second, usegmt=True)}\r\n"
    return _date_line


def encode(status: int, headers: Mapping[str, str], extra: str) -> bytes:
    """The whole head with the empty line. extra: further complete header lines, each with CRLF.

    Raises ValueError when a header holds a line break (a response must not be split) or is not Latin-1."""
    lines = [status_line(status)]
    for name, value in headers.items():
        lines.append(f"{name}: {value}\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError("line break in a response header")
    return f"{text}{date_line()}{extra}\r\n".encode("latin-1")
