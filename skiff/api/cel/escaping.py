"""Names of properties as names in expressions, and back. Source: apiserver pkg/cel/escaping.go."""

import re
from functools import lru_cache

_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_SEQUENCES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_BACK = {escaped[2:-2]: plain for plain, escaped in _SEQUENCES.items()}
_SPECIAL = re.compile(r"__|[-./]")
_ESCAPED = re.compile(r"__([^_]+)__")
_ALLOWED = re.compile(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*\Z")


@lru_cache(4096)
def escape(name: str) -> str | None:
    """None: expressions cannot name this property."""
    if not _ALLOWED.match(name):
        return None
    if name in _RESERVED:
        return f"__{name}__"
    return _SPECIAL.sub(lambda m: _SEQUENCES[m[0]], name)


@lru_cache(4096)
def unescape(name: str) -> str | None:
    """None: no property has this name in expressions."""
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _RESERVED:
        return name[2:-2]
    parts = [m[1] for m in _ESCAPED.finditer(name)]
    if any(p not in _BACK for p in parts):
        return None
    return _ESCAPED.sub(lambda m: _BACK[m[1]], name)
