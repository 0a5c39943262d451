"""Text to tokens, and the values of string literals.

A character that begins no token is an issue and is skipped, as in cel-go, so that the parser can go on. Source: the CEL
language definition, "Lexis".
"""

import re
from dataclasses import dataclass

from skiff.api.cel.errors import Issue

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_STRINGS = [
    r'[rR]"""[\s\S]*?"""', r"[rR]'''[\s\S]*?'''", r'[rR]"[^"\n\r]*"', r"[rR]'[^'\n\r]*'",
    rf'"""(?:{_ESCAPE}|[^\\])*?"""', rf"'''(?:{_ESCAPE}|[^\\])*?'''",
    rf'"(?:{_ESCAPE}|[^\\"\n\r])*"', rf"'(?:{_ESCAPE}|[^\\'\n\r])*'",
]  # fmt: skip
_STRING = "|".join(_STRINGS)
_TOKEN = re.compile(
    rf"(?P<space>[\t \r\n\f]+|//[^\n]*)"
    rf"|(?P<bytes>[bB](?:{_STRING}))|(?P<string>{_STRING})"
    r"|(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])|(?P<int>0x[0-9a-fA-F]+|[0-9]+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<quoted>`[A-Za-z0-9_./ -]+`)"
    r"|(?P<op>==|!=|<=|>=|&&|\|\||[\[\]{}().,\-!?:+*/%<>])"
)
KEYWORDS = frozenset(("in", "true", "false", "null"))


@dataclass(frozen=True, slots=True)
class Token:
    """kind: name, quoted, int, uint, float, string, bytes, end, or the operator or keyword itself."""

    kind: str
    text: str
    pos: int


def tokens(source: str) -> tuple[list[Token], list[Issue]]:
    """The tokens, an `end` last, and what could not be read."""
    found: list[Token] = []
    issues: list[Issue] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            wrong = source[at : at + _length_of_wrong(source, at)]
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{_shown(wrong)}'"))
            at += len(wrong)
            continue
        kind, text = match.lastgroup or "", match[0]
        if kind != "space":
            found.append(Token(text if kind == "op" or text in KEYWORDS else kind, text, at))
        at = match.end()
    found.append(Token("end", "<EOF>", len(source)))
    return found, issues


def _length_of_wrong(source: str, at: int) -> int:
    """How much a lexer has read when it gives up: half an operator takes the next character along, a quote its line."""
    c = source[at]
    if c in "&|=" and at + 1 < len(source):
        return 2
    if c in "\"'":
        end = re.compile(r"[\n\r\\]|\Z").search(source, at)
        return max(1, (end.end() if end else len(source)) - at)
    return 1


def _shown(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED = re.compile(r"\\([0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)


def _body(text: str) -> tuple[str, bool]:
    """What stands between the quotes, and whether escapes mean nothing in it."""
    raw = text[0] in "rR"
    text = text[1:] if raw else text
    quotes = 3 if text[:3] in ('"""', "'''") and len(text) >= 6 else 1
    return text[quotes:-quotes].replace("\r\n", "\n").replace("\r", "\n"), raw


def string_value(text: str) -> str:
    """A string literal's value. Raises ValueError for a code point that does not exist."""
    body, raw = _body(text)
    if raw or "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] in "0123":
            return chr(int(escape, 8))
        if escape[0] not in "xXuU":
            return _SIMPLE.get(escape, escape)
        code = int(escape[1:], 16)
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            raise ValueError("invalid unicode code point")
        return chr(code)

    return _ESCAPED.sub(replace, body)


def bytes_value(text: str) -> bytes:
    """A bytes literal's value: escapes by number are bytes, everything else is UTF-8."""
    body, raw = _body(text[1:])
    if raw:
        return body.encode()
    out, at = bytearray(), 0
    for match in _ESCAPED.finditer(body):
        out += body[at : match.start()].encode()
        escape, at = match[1], match.end()
        if escape[0] in "uU":
            raise ValueError("unable to unescape string")
        if escape[0] in "0123":
            out.append(int(escape, 8))
        elif escape[0] in "xX":
            out.append(int(escape[1:], 16))
        else:
            out += _SIMPLE.get(escape, escape).encode()
    return bytes(out + body[at:].encode())
