"""Regular expressions with the syntax of RE2 on Python's engine, which can take exponential time where RE2 cannot.

What RE2 lacks (look-around, back references, possessive quantifiers) is refused with RE2's words. A pattern that nests
repetitions is matched by `nfa` against all but short texts, so that no expression can occupy the process. Source: Go's
regexp/syntax.
"""

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from skiff.api.cel import nfa
from skiff.api.cel.errors import CelError

_LONGEST_PATTERN = 10_000
_RISKY_TEXT = 24
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_CLASSES = {
    "L": "A-Za-zª-￿", "Lu": "A-ZÀ-ÖØ-ÞΑ-ΩА-Я", "Ll": "a-zß-öø-ÿα-ωа-я", "N": "0-9", "Nd": "0-9",
    "P": r"!-#%-*,-/:;?@\[-\]_{}", "Z": " \u00a0\u2000-\u200a\u2028\u2029\u3000",
}  # fmt: skip
_TOKEN = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|\Z)|\\(?P<unicode>[pP](?:\{\^?\w+\}|\w))|\\(?P<escape>x\{[0-9a-fA-F]+\}|.)"
    r"|\[:(?P<negated>\^?)(?P<posix>\w+):\]|(?P<group>\(\?)|(?P<twice>[*+?}]\+)|(?P<other>.)",
    re.DOTALL,
)
_GROUP = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|[imsU]*(?:-[imsU]+)?[:)])", re.ASCII)
_ESCAPES = {"z": r"\Z", "C": r"[\s\S]"}
_KNOWN_ESCAPES = frozenset("AbBdDsSwWzCaftnrv01234567x")


@lru_cache(1024)
def compile_re2(pattern: str) -> tuple[re.Pattern[str], nfa.Program, int]:
    """The pattern, a machine for texts on which it might run away, and how long those are. Raises CelError."""
    if len(pattern) > _LONGEST_PATTERN:
        raise CelError("error parsing regexp: expression too large")
    try:
        translated = _translate(pattern)
        compiled = re.compile(translated, re.ASCII)
        tree = sre_parser.parse(translated, re.ASCII)
        return compiled, nfa.Program(tree), _longest_text(tree)
    except nfa.TooLarge as e:
        raise CelError(f"error parsing regexp: expression too large: `{pattern}`") from e
    except (re.error, RecursionError, OverflowError) as e:
        raise CelError(f"error parsing regexp: {_in_go_words(str(e), pattern)}") from e


_WORDS = {
    "unbalanced parenthesis": "unexpected )",
    "missing ), unterminated subpattern": "missing closing )",
    "unterminated character set": "missing closing ]",
    "nothing to repeat": "missing argument to repetition operator",
    "multiple repeat": "invalid nested repetition operator",
    "bad character range": "invalid character class range",
    "bad escape (end of pattern)": "trailing backslash at end of expression",
}


def _in_go_words(error: str, pattern: str) -> str:
    if "`" in error:
        return error
    words = next((go for python, go in _WORDS.items() if error.startswith(python)), error.partition(" at position")[0])
    return f"{words}: `{pattern}`"


def _translate(pattern: str) -> str:
    out: list[str] = []
    opened = -1
    for match in _TOKEN.finditer(pattern):
        kind, text = match.lastgroup, match[0]
        inside = opened >= 0
        if kind == "other" and text == "[" and not inside:
            opened = len(out)
        elif kind == "other" and text == "]" and inside and _closes(out[opened:]):
            opened = -1
        out.append(_translate_token(pattern, match, inside))
    return "".join(out)


def _closes(since: list[str]) -> bool:
    """A bracket that is the first in a class stands for itself."""
    return len(since) > 1 and since[-1:] != ["["] and since != ["[", "^"]


def _translate_token(pattern: str, match: re.Match[str], inside: bool) -> str:
    kind, text = match.lastgroup, match[0]
    if kind == "quoted":
        return re.escape(match["quoted"])
    if kind == "unicode":
        return _unicode_class(match["unicode"], inside)
    if kind == "escape":
        return _escape(match["escape"], inside)
    if kind == "posix":
        if not inside:
            return text
        if match["posix"] not in _POSIX or match["negated"]:
            raise re.error(f"invalid character class range: `{text}`")
        return _POSIX[match["posix"]]
    if inside:
        return "\\[" if text == "[" else text.replace("[", "\\[")
    if kind == "group":
        return _group(pattern, match.start())
    if kind == "twice":
        raise re.error(f"invalid nested repetition operator: `{text}`")
    return r"\Z" if text == "$" and not _is_multiline(pattern, match.start()) else text


def _is_multiline(pattern: str, at: int) -> bool:
    return re.search(r"\(\?[a-zA-Z]*m", pattern[:at]) is not None


def _group(pattern: str, at: int) -> str:
    if not _GROUP.match(pattern, at):
        raise re.error(f"invalid or unsupported Perl syntax: `{pattern[at : at + 3]}`")
    return "(?P" if pattern.startswith("(?<", at) else "(?"


def _escape(escape: str, inside: bool) -> str:
    if escape.startswith("x{"):
        code = int(escape[2:-1], 16)
        if code > 0x10FFFF:
            raise re.error(f"invalid escape sequence: `\\{escape}`")
        return re.escape(chr(code))
    first = escape[0]
    if first.isalnum() and (first not in _KNOWN_ESCAPES or first in "123456789"):
        raise re.error(f"invalid escape sequence: `\\{escape}`")
    return "\\" + escape if inside else _ESCAPES.get(escape, "\\" + escape)


def _unicode_class(name: str, inside: bool) -> str:
    letters = name[1:].strip("{}")
    ranges = _CLASSES.get(letters)
    if ranges is None or (inside and name[0] == "P"):
        raise re.error(f"invalid character class range: `\\{name}`")
    if inside:
        return ranges
    return f"[{'^' if name[0] == 'P' else ''}{ranges}]"


def _longest_text(tree: Any) -> int:
    """Up to which length Python's engine takes an acceptable time: it may try all ways to divide a text among the
    repetitions of a pattern, and exponentially many where a repetition or a choice stands within another."""
    count = _repetitions(tree, repeated=False)
    return _LIMITS[min(count, len(_LIMITS) - 1)]


_LIMITS = (1 << 30, 4000, 400, 120, _RISKY_TEXT)
_ENDLESS = len(_LIMITS)


def _repetitions(tree: Any, *, repeated: bool) -> int:
    """How many repetitions of varying length there are one after another; _ENDLESS: within one another."""
    count = 0
    for op, argument in tree:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, inner = argument
            varies = least != most
            if varies and repeated:
                return _ENDLESS
            count += varies + _repetitions(inner, repeated=repeated or most > 1)
        elif op is sre.SUBPATTERN:
            count += _repetitions(argument[-1], repeated=repeated)
        elif op is sre.BRANCH:
            if repeated:
                return _ENDLESS
            count += max(_repetitions(branch, repeated=repeated) for branch in argument[1])
    return count


def _spans(text: str, pattern: str) -> Iterator[tuple[int, int]]:
    """The matches from left to right, not overlapping; an empty one never directly after another."""
    compiled, slow, longest = compile_re2(pattern)
    at, end_before = 0, -1
    while at <= len(text):
        if len(text) <= longest:
            match = compiled.search(text, at)
            span = match.span() if match else None
        else:
            span = slow.search(text, at)
        if span is None:
            return
        if span[0] != span[1] or span[0] != end_before:
            yield span
        end_before = span[1]
        at = span[1] + (span[0] == span[1])


def matches(text: str, pattern: str) -> bool:
    return any(True for _ in _spans(text, pattern))


def find(text: str, pattern: str) -> str:
    return next((text[start:end] for start, end in _spans(text, pattern)), "")


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    spans = _spans(text, pattern)
    return [text[start:end] for start, end in (islice(spans, limit) if limit >= 0 else spans)]
