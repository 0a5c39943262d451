"""Functions on strings, counted in code points. Source: cel-go ext/strings.go, version 2; library/jsonpatch.go."""

from typing import Any

from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row
from skiff.api.cel.library.formatting import format_string
from skiff.api.cel.values import show

_UPPER = {c: c - 32 for c in range(ord("a"), ord("z") + 1)}
_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def _out_of_range(at: int) -> CelError:
    return CelError(f"index out of range: {at}")


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise _out_of_range(at)
    return text[at : at + 1]


def _index_of(text: str, part: str, at: int = 0) -> int:
    if not part:
        return at
    if at < 0:
        raise _out_of_range(at)
    return text.find(part, at)


def _last_index_of(text: str, part: str, at: int | None = None) -> int:
    if at is None:
        return text.rfind(part)
    if not part:
        return at
    if at < 0:
        raise _out_of_range(at)
    return -1 if at >= len(text) else text.rfind(part, 0, at + len(part))


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, max(limit, -1))


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


def _substring(text: str, start: int, end: int | None = None) -> str:
    if end is not None and start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    if end is not None and not 0 <= end <= len(text):
        raise _out_of_range(end)
    return text[start:end]


def _join(values: list[Any], separator: str = "") -> str:
    for v in values:
        if not isinstance(v, str):
            raise CelError(f"join: invalid input: {show(v)}")
    return separator.join(values)


_QUOTED = str.maketrans({
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
})  # fmt: skip


ROWS: list[Row] = [
    (".charAt", "string_char_at_int", "string, int -> string", _char_at),
    (".indexOf", "string_index_of_string", "string, string -> int", _index_of),
    (".indexOf", "string_index_of_string_int", "string, string, int -> int", _index_of),
    (".lastIndexOf", "string_last_index_of_string", "string, string -> int", _last_index_of),
    (".lastIndexOf", "string_last_index_of_string_int", "string, string, int -> int", _last_index_of),
    (".lowerAscii", "string_lower_ascii", "string -> string", lambda s: s.translate(_LOWER)),
    (".upperAscii", "string_upper_ascii", "string -> string", lambda s: s.translate(_UPPER)),
    (".replace", "string_replace_string_string", "string, string, string -> string", _replace),
    (".replace", "string_replace_string_string_int", "string, string, string, int -> string", _replace),
    (".split", "string_split_string", "string, string -> list(string)", _split),
    (".split", "string_split_string_int", "string, string, int -> list(string)", _split),
    (".substring", "string_substring_int", "string, int -> string", _substring),
    (".substring", "string_substring_int_int", "string, int, int -> string", _substring),
    (".trim", "string_trim", "string -> string", lambda s: s.strip(_SPACE)),
    (".format", "string_format", "string, list(dyn) -> string", format_string),
    ("strings.quote", "strings_quote", "string -> string", lambda s: '"' + s.translate(_QUOTED) + '"'),
    (".join", "list_join", "list(string) -> string", _join),
    (".join", "list_join_string", "list(string), string -> string", _join),
]

JSON_PATCH_ROWS: list[Row] = [
    (
        "jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", "string -> string",
        lambda s: s.replace("~", "~0").replace("/", "~1"),
    ),
]  # fmt: skip
"""For mutating admission policies only."""
