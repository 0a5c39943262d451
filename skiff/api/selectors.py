"""Label selectors: from text or LabelSelector objects to cheap predicates and back.

A selector is parsed once and compiled to a closure; `matches` is what list, watch and controllers call per object.
Errors carry upstream's sentences (apimachinery pkg/labels), because clients see them in 400 answers. Field selectors are
in fieldselectors.py.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from skiff.api.labels import key_errors, value_errors

Matcher = Callable[[Mapping[str, str] | None], bool]

IN, NOT_IN, EXISTS, NOT_EXISTS = "in", "notin", "exists", "!"
EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS = "=", "==", "!=", ">", "<"


class SelectorError(ValueError):
    """A selector that cannot be understood. The caller answers 400 with this text."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `values` are sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.operator in (EXISTS, NOT_EXISTS):
            return "!" + self.key if self.operator == NOT_EXISTS else self.key
        joined = ",".join(self.values)
        if self.operator in (IN, NOT_IN):
            return f"{self.key} {self.operator} ({joined})"
        return f"{self.key}{self.operator}{joined}"


@dataclass(frozen=True, slots=True, eq=False)
class Selector:
    """All of its requirements, sorted by key. `matches(labels)` takes None for no labels. `nothing`: matches none."""

    requirements: tuple[Requirement, ...]
    matches: Matcher = field(repr=False)
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Restricts nothing."""
        return not self.requirements and not self.nothing

    def exact(self, key: str) -> str | None:
        """The one value that the label must have, if the selector demands one."""
        for r in self.requirements:
            if r.key == key:
                return r.values[0] if r.operator in (EQUALS, DOUBLE_EQUALS, IN) and len(r.values) == 1 else None
        return None

    def pairs(self) -> list[tuple[str, str]] | None:
        """The labels it demands, if it only demands values of labels."""
        if self.nothing or any(r.operator not in (EQUALS, DOUBLE_EQUALS) for r in self.requirements):
            return None
        return [(r.key, r.values[0]) for r in self.requirements]

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and str(self) == str(other) and self.nothing == other.nothing

    def __hash__(self) -> int:
        return hash(self.requirements)


def _everything(labels: Mapping[str, str] | None) -> bool:
    return True


def _nothing(labels: Mapping[str, str] | None) -> bool:
    return False


EVERYTHING = Selector((), _everything)
NOTHING = Selector((), _nothing, nothing=True)


# --- compiling


def _build(requirements: Iterable[Requirement]) -> Selector:
    ordered = tuple(sorted(requirements, key=lambda r: r.key))
    return Selector(ordered, _compile(ordered)) if ordered else EVERYTHING


def _compile(requirements: tuple[Requirement, ...]) -> Matcher:
    if all(r.operator in (EQUALS, DOUBLE_EQUALS) for r in requirements):
        return _compile_equals([(r.key, r.values[0]) for r in requirements])
    tests = [_test(r) for r in requirements]

    def matches(labels: Mapping[str, str] | None) -> bool:
        present = labels or {}
        return all(test(present) for test in tests)

    return matches


def _compile_equals(pairs: Sequence[tuple[str, str]]) -> Matcher:
    """The common shape, without a call per pair."""
    if len(pairs) == 1:
        key, value = pairs[0]
        return lambda labels: labels is not None and labels.get(key) == value

    def matches(labels: Mapping[str, str] | None) -> bool:
        if not labels:
            return False
        for key, value in pairs:  # noqa: SIM110 - twice as fast as all()
            if labels.get(key) != value:
                return False
        return True

    return matches


def _test(r: Requirement) -> Callable[[Mapping[str, str]], bool]:
    key, values = r.key, frozenset(r.values)
    if r.operator in (EQUALS, DOUBLE_EQUALS, IN):
        return lambda labels: key in labels and labels[key] in values
    if r.operator in (NOT_EQUALS, NOT_IN):
        return lambda labels: key not in labels or labels[key] not in values
    if r.operator == EXISTS:
        return lambda labels: key in labels
    if r.operator == NOT_EXISTS:
        return lambda labels: key not in labels
    bound = int(r.values[0])
    if r.operator == GREATER:
        return lambda labels: (n := _integer(labels.get(key))) is not None and n > bound
    return lambda labels: (n := _integer(labels.get(key))) is not None and n < bound


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z", re.ASCII)


def _integer(text: str | None) -> int | None:
    """What Go's ParseInt(…, 10, 64) accepts, else None."""
    if text is None or not _INTEGER.match(text):
        return None
    n = int(text)
    return n if -(2**63) <= n < 2**63 else None


# --- checking


def requirement(key: str, operator: str, values: Sequence[str]) -> Requirement:
    """A checked requirement. Raises SelectorError with all of its mistakes."""
    errors = []
    if reasons := key_errors(key):
        errors.append(_invalid("key", key, "; ".join(reasons)))
    if problem := _wrong_values(operator, values):
        errors.append(_invalid("values", list(values) or None, problem))
    for i, value in enumerate(values):
        if operator in (GREATER, LESS) and _integer(value) is None:
            text = "for 'Gt', 'Lt' operators, the value must be an integer"
            errors.append(_invalid(f"values[{i}]", value, text))
    for i, value in enumerate(values):
        if reasons := value_errors(value):
            errors.append(_invalid(f"values[{i}][{key}]", value, "; ".join(reasons)))
    if errors:
        unique = list(dict.fromkeys(errors))
        raise SelectorError(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]")
    return Requirement(key, operator, tuple(sorted(set(values))))


def _wrong_values(operator: str, values: Sequence[str]) -> str:
    if operator in (IN, NOT_IN):
        return "" if values else "for 'in', 'notin' operators, values set can't be empty"
    if operator in (EXISTS, NOT_EXISTS):
        return "values set must be empty for exists and does not exist" if values else ""
    if len(values) == 1:
        return ""
    if operator in (GREATER, LESS):
        return "for 'Gt', 'Lt' operators, exactly one value is required"
    return "exact-match compatibility requires one single value"


def _invalid(path: str, value: Any, detail: str) -> str:
    return f"{path}: Invalid value: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}: {detail}"


# --- text form

_TOKEN = re.compile(r"[ \t\r\n]*(!=|==|[=!(),<>]|[^=!(),<> \t\r\n]+)?")
_SYMBOLS = frozenset(["!=", "==", "=", "!", "(", ")", ",", "<", ">"])
_BINARY = {op: op for op in (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS)}
_END = ""


@lru_cache(maxsize=1024)
def parse(text: str) -> Selector:
    """The string form: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Empty text selects everything. Raises SelectorError."""
    return _build(_Parser(text).parse())


class _Parser:
    """Recursive descent over the tokens; `""` is the end. A literal that is no symbol is an identifier, `in` too."""

    def __init__(self, text: str):
        self.tokens = [t for t in _TOKEN.findall(text) if t]
        self.position = 0

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else _END

    def take(self) -> str:
        token = self.peek()
        self.position += 1
        return token

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            token = self.peek()
            if token == _END:
                return found
            if not _is_identifier(token) and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            found.append(self._requirement())
            token = self.take()
            if token == _END:
                return found
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
            token = self.peek()
            if not _is_identifier(token) and token != "!":
                raise SelectorError(f"found '{token}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        try:
            key, operator = self._key()
            if operator:
                return requirement(key, operator, ())
            operator = self._operator()
            values = self._values() if operator in (IN, NOT_IN) else [self._exact()]
            return requirement(key, operator, sorted(set(values)))
        except SelectorError as e:
            raise SelectorError(f"unable to parse requirement: {e}") from None

    def _key(self) -> tuple[str, str]:
        """The key, and the operator if nothing has to follow."""
        key, operator = self.take(), ""
        if key == "!":
            key, operator = self.take(), NOT_EXISTS
        if not _is_identifier(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        if reasons := key_errors(key):
            raise SelectorError(_invalid("<nil>", key, "; ".join(reasons)))
        if not operator and self.peek() in (_END, ","):
            operator = EXISTS
        return key, operator

    def _operator(self) -> str:
        token = self.take()
        if token not in _BINARY:
            raise SelectorError(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        return token

    def _exact(self) -> str:
        if self.peek() in (_END, ","):
            return ""
        token = self.take()
        if not _is_identifier(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> list[str]:
        """`(a,b)`; an empty place between commas or parentheses is the empty value."""
        token = self.take()
        if token != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        token = self.peek()
        if token == ")":
            self.take()
            return [""]
        if not _is_identifier(token) and token != ",":
            raise SelectorError(f"found '{token}', expected: ',', ')' or identifier")
        values = self._list()
        self.take()
        return values

    def _list(self) -> list[str]:
        values: list[str] = []
        while True:
            token = self.take()
            if _is_identifier(token):
                values.append(token)
                token = self.peek()
                if token == ")":
                    return values
                if token != ",":
                    raise SelectorError(f"found '{token}', expected: ',' or ')'")
            elif token == ",":
                if not values or self.peek() in (",", ")"):
                    values.append("")
                if self.peek() == ")":
                    return values
            else:
                raise SelectorError(f"found '{token}', expected: ',', or identifier")


def _is_identifier(token: str) -> bool:
    return token != _END and token not in _SYMBOLS


# --- LabelSelector objects and plain maps

_OBJECT_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": NOT_EXISTS}


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """A LabelSelector (matchLabels, matchExpressions): None selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    found = [requirement(k, EQUALS, (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f"{json.dumps(expression.get('operator', ''))} is not a valid label selector operator")
        found.append(requirement(expression.get("key", ""), operator, expression.get("values") or ()))
    return _build(found)


def from_set(labels: Mapping[str, str] | None) -> Selector:
    """All of these labels with these values (unchecked); an empty or missing map selects everything."""
    return _build(Requirement(k, EQUALS, (v,)) for k, v in (labels or {}).items())


def to_label_selector(selector: Selector) -> dict[str, Any]:
    """The object form of a parsed selector. Raises SelectorError for operators that it cannot express."""
    words = {IN: "In", NOT_IN: "NotIn", EXISTS: "Exists", NOT_EXISTS: "DoesNotExist"}
    result: dict[str, Any] = {}
    for r in selector.requirements:
        if r.operator in (EQUALS, DOUBLE_EQUALS):
            result.setdefault("matchLabels", {})[r.key] = r.values[0]
            continue
        if r.operator not in words:
            raise SelectorError(f'"{r.operator}" isn\'t supported in label selectors')
        expression: dict[str, Any] = {"key": r.key, "operator": words[r.operator]}
        if r.values:
            expression["values"] = list(r.values)
        result.setdefault("matchExpressions", []).append(expression)
    return result


def format_label_selector(selector: Mapping[str, Any] | None) -> str:
    """As upstream prints a LabelSelector: its canonical text, `<none>` when empty, `<error>` when wrong."""
    try:
        parsed = from_label_selector(selector)
    except SelectorError:
        return "<error>"
    return str(parsed) or "<none>"
