"""Field selectors: `spec.nodeName=n1,status.phase!=Running`.

Errors carry upstream's sentences (apimachinery pkg/fields). Which fields a kind can be selected by, and how an object
yields them, is left to the resource's record.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from skiff.api.selectors import EQUALS, NOT_EQUALS, SelectorError


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """`operator` is "=" or "!="."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{_escape(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All of its requirements. `matches(get)` asks for the value of a field; a missing one is ""."""

    requirements: tuple[FieldRequirement, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, get: Callable[[str], str]) -> bool:
        return all((get(r.field) == r.value) == (r.operator == EQUALS) for r in self.requirements)

    def exact(self, name: str) -> str | None:
        """The value that the field must have, if the selector demands one."""
        return next((r.value for r in self.requirements if r.field == name and r.operator == EQUALS), None)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


_TERM = re.compile(r"((?:[^\\,]|\\.|\\\Z)*)(?:,|\Z)", re.DOTALL)
_SPLIT = re.compile(r"(.*?)(!=|==|=)(.*)\Z", re.DOTALL)


@lru_cache(maxsize=1024)
def parse(text: str) -> FieldSelector:
    r"""`a=b,c==d,e!=f`; in values `\`, `,` and `=` are escaped by a backslash. Raises SelectorError."""
    found = []
    for term in sorted(t for t in _TERM.findall(text) if t):
        split = _SPLIT.match(term)
        if not split:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = NOT_EQUALS if split[2] == NOT_EQUALS else EQUALS
        found.append(FieldRequirement(split[1], operator, _unescape(split[3])))
    return FieldSelector(tuple(found))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(value: str) -> str:
    result, characters = [], iter(value)
    for c in characters:
        if c in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(c)}")
        if c == "\\":
            c = next(characters, "")
            if not c or c not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{c}")
        result.append(c)
    return "".join(result)
