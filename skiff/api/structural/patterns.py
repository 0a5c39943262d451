"""Regular expressions as Go writes them, for Python's engine."""

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TOKEN = re.compile(r"\\Q(?P<quoted>.*?)(?:\\E|\Z)|\\(?P<escape>.)|\[:(?P<posix>\w+):\]|(?P<other>.)", re.DOTALL)


@lru_cache(4096)
def compile_go(pattern: str) -> re.Pattern[str]:
    """`search` with it is Go's MatchString. Raises re.error for what neither can read."""
    multiline = re.match(r"\(\?[a-zA-Z]*m", pattern) is not None
    out: list[str] = []
    in_class = False
    for match in _TOKEN.finditer(pattern):
        kind, text = match.lastgroup, match[0]
        if kind == "quoted":
            out.append(re.escape(match["quoted"]))
        elif kind == "escape":
            out.append({"z": r"\Z", "C": "."}.get(match["escape"], text))
        elif kind == "posix" and in_class and match["posix"] in _POSIX:
            out.append(_POSIX[match["posix"]])
        elif kind == "other" and text == "$" and not in_class and not multiline:
            out.append(r"\Z")
        else:
            out.append("\\[" if kind == "other" and text == "[" and in_class else text)
            opens = text == "[" and not in_class
            if opens:
                in_class = True
            elif text == "]" and in_class and out[-2] not in ("[", "^"):
                in_class = False
    return re.compile("".join(out), re.ASCII)


def is_valid(pattern: str) -> str:
    """Why it cannot be read, "" if it can."""
    try:
        compile_go(pattern)
    except (re.error, RecursionError, OverflowError) as e:
        return f"error parsing regexp: {e}"
    return ""
