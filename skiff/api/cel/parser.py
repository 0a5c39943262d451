"""Tokens to nodes, by precedence climbing, with macros expanded on the way.

Every mistake that can be found in one pass is reported; the words are those of cel-go's generated parser where its
recovery can be imitated with one token of look-ahead. Source: cel-go parser/gen/CEL.g4, parser/parser.go.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from skiff.api.cel import lexer, macros
from skiff.api.cel.ast import Call, Entry, Expr, Ident, ListLiteral, Literal, MapLiteral, Select, Struct
from skiff.api.cel.errors import CompileError, Issue
from skiff.api.cel.lexer import Token
from skiff.api.cel.values import MAX_INT, MAX_UINT, MIN_INT, Uint

MAX_DEPTH = 250
MAX_CODE_POINTS = 100_000

_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "null",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
_LEVELS: list[dict[str, str]] = [
    {op: f"_{op}_" for op in ("<", "<=", ">=", ">", "==", "!=")} | {"in": "@in"},
    {"+": "_+_", "-": "_-_"},
    {"*": "_*_", "/": "_/_", "%": "_%_"},
]
_STARTS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)


class _Stop(Exception):
    """A syntax error from which there is no going on."""


@contextmanager
def deep_stack() -> Iterator[None]:
    """Room for MAX_DEPTH levels of every pass over a tree."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20 * MAX_DEPTH))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def parse(source: str) -> Expr:
    """Raises CompileError with everything that is wrong."""
    if len(source) > MAX_CODE_POINTS:
        message = f"expression code point size exceeds limit: size: {len(source)}, limit {MAX_CODE_POINTS}"
        raise CompileError(source, [Issue(0, message)])
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens, self.issues = lexer.tokens(source)
        self.at = 0
        self.depth = 0

    def parse(self) -> Expr:
        result: Expr | None = None
        try:
            result = self.expr()
            if self.token.kind != "end":
                self.unexpected_rest()
        except _Stop:
            pass
        except RecursionError:
            self.issue(0, f"expression recursion limit exceeded: {MAX_DEPTH}")
        if result is None or self.issues:
            raise CompileError(self.source, self.issues)
        return result

    # --- tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def accept(self, kind: str) -> Token | None:
        return self.take() if self.token.kind == kind else None

    def expect(self, kind: str, shown: str = "") -> Token:
        token = self.token
        if token.kind == kind:
            return self.take()
        wanted = shown or f"'{kind}'"
        follows = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if follows.kind == kind and token.kind != "end":
            self.syntax(token, f"extraneous input '{_shown(token)}' expecting {wanted}")
            self.take()
            return self.take()
        if token.kind == "end" and kind in (")", "]", "}"):
            self.syntax(token, f"missing {wanted} at '<EOF>'")
        else:
            self.syntax(token, f"mismatched input '{_shown(token)}' expecting {wanted}")
        raise _Stop

    def issue(self, pos: int, message: str) -> None:
        self.issues.append(Issue(pos, message))

    def syntax(self, token: Token, message: str) -> None:
        self.issue(token.pos, f"Syntax error: {message}")

    def unexpected_rest(self) -> None:
        follows = self.tokens[self.at + 1]
        word = "extraneous" if follows.kind == "end" else "mismatched"
        self.syntax(self.token, f"{word} input '{_shown(self.token)}' expecting <EOF>")

    # --- expressions, from loose to tight

    def expr(self) -> Expr:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.issue(0, f"expression recursion limit exceeded: {MAX_DEPTH}")
            raise _Stop
        condition = self.logical("||", "_||_", self.conjunction)
        if op := self.accept("?"):
            yes = self.logical("||", "_||_", self.conjunction)
            self.expect(":")
            condition = Call(op.pos, "_?_:_", None, [condition, yes, self.expr()])
        self.depth -= 1
        return condition

    def conjunction(self) -> Expr:
        return self.logical("&&", "_&&_", lambda: self.binary(0))

    def logical(self, operator: str, function: str, operand: Callable[[], Expr]) -> Expr:
        """A chain of one operator as a balanced tree, so that long chains are not deep."""
        terms, places = [operand()], []
        while op := self.accept(operator):
            places.append(op.pos)
            terms.append(operand())
        return _balanced(function, terms, places, 0, len(places) - 1) if places else terms[0]

    def binary(self, level: int) -> Expr:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        length = 0
        while function := _LEVELS[level].get(self.token.kind):
            length += 1
            if length + self.depth > MAX_DEPTH:
                self.issue(0, f"expression recursion limit exceeded: {MAX_DEPTH}")
                raise _Stop
            op = self.take()
            left = Call(op.pos, function, None, [left, self.binary(level + 1)])
        return left

    def unary(self) -> Expr:
        first = self.token
        if first.kind not in ("!", "-") or (first.kind == "-" and self._is_number(self.at + 1)):
            return self.member()
        count = 0
        while self.token.kind == first.kind and not (first.kind == "-" and self._is_number(self.at + 1)):
            self.take()
            count += 1
        operand = self.member()
        if count % 2 == 0:
            return operand
        return Call(first.pos, "!_" if first.kind == "!" else "-_", None, [operand])

    def _is_number(self, at: int) -> bool:
        return at < len(self.tokens) and self.tokens[at].kind in ("int", "float")

    def member(self) -> Expr:
        e = self.primary()
        length = 0
        while self.token.kind in (".", "["):
            length += 1
            if length + self.depth > MAX_DEPTH:
                self.issue(0, f"expression recursion limit exceeded: {MAX_DEPTH}")
                raise _Stop
            op = self.take()
            e = self.dot(e, op) if op.kind == "." else self.index(e, op)
        return e

    def dot(self, operand: Expr, op: Token) -> Expr:
        optional = self.accept("?")
        if self.token.kind == "quoted":
            quoted = self.take()
            self.issue(quoted.pos, "unsupported syntax: '`'")
            return Select(op.pos, operand, quoted.text.strip("`"))
        name = self.identifier()
        if optional:
            return Call(op.pos, "_?._", None, [operand, Literal(name.pos, name.text)])
        if paren := self.accept("("):
            return self.call(paren.pos, name.text, operand, self.arguments())
        return Select(op.pos, operand, name.text)

    def identifier(self) -> Token:
        token = self.token
        if token.kind == "name":
            return self.take()
        self.syntax(token, f"mismatched input '{_shown(token)}' expecting IDENTIFIER")
        raise _Stop

    def index(self, operand: Expr, op: Token) -> Expr:
        function = "_[?_]" if self.accept("?") else "_[_]"
        inner = self.expr()
        self.expect("]")
        return Call(op.pos, function, None, [operand, inner])

    def arguments(self) -> list[Expr]:
        found: list[Expr] = []
        if self.accept(")"):
            return found
        found.append(self.expr())
        while self.accept(","):
            found.append(self.expr())
        self.expect(")")
        return found

    def call(self, pos: int, function: str, target: Expr | None, args: list[Expr]) -> Expr:
        """A call, or what the macro of that name makes of it."""
        try:
            expanded = macros.expand(pos, function, target, args)
        except macros.MacroError as e:
            self.issue(e.pos, str(e))
            return Literal(pos, None)
        return expanded if expanded is not None else Call(pos, function, target, args)

    # --- primaries

    def primary(self) -> Expr:
        token = self.take()
        if token.kind in _LITERALS or token.kind == "-":
            return self.literal(token)
        match token.kind:
            case "(":
                inner = self.expr()
                self.expect(")")
                return inner
            case "[":
                return self.list_literal(token)
            case "{":
                return MapLiteral(token.pos, self.entries(names=False))
            case ".":
                return self.name(token, self.identifier())
            case "name":
                return self.name(None, token)
        self.syntax(token, f"mismatched input '{_shown(token)}' expecting {_STARTS}")
        raise _Stop

    def name(self, dot: Token | None, token: Token) -> Expr:
        text = "." + token.text if dot else token.text
        if self.token.kind == "{" or (self.token.kind == "." and self._is_struct()):
            return self.struct(text)
        if token.text in _RESERVED:
            self.issue((dot or token).pos, f"reserved identifier: {token.text}")
        if paren := self.accept("("):
            return self.call(paren.pos, text, None, self.arguments())
        return Ident(token.pos, text)

    def _is_struct(self) -> bool:
        at = self.at
        while self.tokens[at].kind == "." and self.tokens[at + 1].kind == "name":
            at += 2
        return self.tokens[at].kind == "{"

    def struct(self, name: str) -> Expr:
        while self.accept("."):
            name += "." + self.take().text
        brace = self.take()
        return Struct(brace.pos, name, self.entries(names=True))

    def entries(self, *, names: bool) -> list[Entry]:
        found: list[Entry] = []
        while self.token.kind != "}":
            optional = self.accept("?") is not None
            key = self.field_name() if names else self.expr()
            colon = self.expect(":")
            found.append(Entry(colon.pos, key, self.expr(), optional))
            if not self.accept(","):
                break
        self.expect("}")
        return found

    def field_name(self) -> Expr:
        token = self.identifier()
        return Literal(token.pos, token.text)

    def list_literal(self, bracket: Token) -> Expr:
        elements: list[Expr] = []
        optional: set[int] = set()
        while self.token.kind != "]":
            if self.accept("?"):
                optional.add(len(elements))
            elements.append(self.expr())
            if not self.accept(","):
                break
        self.expect("]")
        return ListLiteral(bracket.pos, elements, frozenset(optional))

    def literal(self, token: Token) -> Expr:
        sign, pos = "", token.pos
        if token.kind == "-":
            sign, token = "-", self.take()
        if token.kind in _CONSTANTS:
            return Literal(pos, _CONSTANTS[token.kind])
        try:
            return Literal(pos, _LITERALS[token.kind](sign + token.text))
        except KeyError:
            self.syntax(token, f"mismatched input '{_shown(token)}' expecting {_STARTS}")
            raise _Stop from None
        except ValueError as e:
            self.issue(pos, str(e))
            return Literal(pos, None)


def _balanced(function: str, terms: list[Expr], places: list[int], low: int, high: int) -> Expr:
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, places, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, places, middle + 1, high)
    return Call(places[middle], function, None, [left, right])


def _shown(token: Token) -> str:
    return token.text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _number(text: str, low: int, high: int, kind: str) -> int:
    digits = text.replace("0x", "", 1)
    value = int(digits, 16) if digits != text else int(text[:30])
    if len(text) > 30 or not low <= value <= high:
        raise ValueError(f"invalid {kind} literal")
    return value


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("invalid double literal")
    return value


_CONSTANTS = {"true": True, "false": False, "null": None}
_LITERALS: dict[str, Callable[[str], object]] = {
    "int": lambda text: _number(text, MIN_INT, MAX_INT, "int"),
    "uint": lambda text: Uint(_number(text[:-1], 0, MAX_UINT, "uint")),
    "float": _float,
    "string": lexer.string_value,
    "bytes": lexer.bytes_value,
    **dict.fromkeys(("true", "false", "null"), str),
}
