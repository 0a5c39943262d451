"""One x-kubernetes-validations rule, compiled for the node of a schema that it stands at.

Source: apiextensions-apiserver pkg/apiserver/schema/cel/{compilation,validation}.go.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skiff.api.cel import types
from skiff.api.cel.declarations import MAX_REQUEST_BYTES, Declaration, Schema, objects
from skiff.api.cel.env import Env, Program
from skiff.api.cel.errors import CompileError, ProgramError
from skiff.api.cel.estimate import MOST, Path, estimate

Rule = Mapping[str, Any]


@dataclass(slots=True)
class CompiledRule:
    """program None and no error: the rule is empty. field_path: what a failure points at, below the node, "" the node."""

    rule: Rule
    program: Program | None = None
    error: str = ""
    message: Program | None = None
    message_error: str = ""
    uses_old: bool = False
    field_path: str = ""
    declaration: Declaration | None = field(default=None, repr=False)

    @property
    def optional_old(self) -> bool:
        return bool(self.rule.get("optionalOldSelf"))

    @property
    def text(self) -> str:
        """What names the rule in a message: its message, or the rule itself."""
        return (self.rule.get("message") or self.rule.get("rule") or "").strip()

    def cost(self) -> int:
        """The most that one evaluation can cost."""
        return self._most(self.program)

    def message_cost(self) -> int:
        return self._most(self.message)

    def _most(self, program: Program | None) -> int:
        if program is None or self.declaration is None:
            return 0
        return estimate(program.root, sizes_of(self.declaration))[1]


def environment(declaration: Declaration, *, optional_old: bool) -> Env:
    old = types.optional_of(declaration.type) if optional_old else declaration.type
    return Env({"self": declaration.type, "oldSelf": old}, objects(declaration))


def compile_rules(rules: Sequence[Rule], schema: Schema, declaration: Declaration) -> list[CompiledRule]:
    """schema: the node's own, for field paths."""
    environments: dict[bool, Env] = {}
    compiled = []
    for rule in rules:
        optional = bool(rule.get("optionalOldSelf"))
        if optional not in environments:
            environments[optional] = environment(declaration, optional_old=optional)
        compiled.append(_compile(rule, schema, declaration, environments[optional]))
    return compiled


def _compile(rule: Rule, schema: Schema, declaration: Declaration, env: Env) -> CompiledRule:
    made = CompiledRule(rule, declaration=declaration)
    if not (rule.get("rule") or "").strip():
        return made
    made.program, made.error = _program(env, rule["rule"], "bool", "")
    if made.program is None:
        return made
    made.uses_old = made.program.uses("oldSelf")
    if rule.get("messageExpression"):
        made.message, made.message_error = _program(env, rule["messageExpression"], "string", "messageExpression ")
    if rule.get("fieldPath"):
        made.field_path = field_path(rule["fieldPath"], schema) or ""
    return made


def _program(env: Env, text: str, kind: str, what: str) -> tuple[Program | None, str]:
    """The program of a text, or why there is none. what: begins the messages."""
    try:
        program = env.compile(text)
    except CompileError as e:
        return None, f"{what}compilation failed: {e}"
    except ProgramError as e:
        return None, f"{what}instantiation failed: {e}" if what else f"program instantiation failed: {e}"
    if program.type.kind == kind:
        return program, ""
    return None, f"{what}must evaluate to a string" if what else "cel expression must evaluate to a bool"


def sizes_of(declaration: Declaration) -> Any:
    """A path's size by a node's declaration. The path begins with the variable, whose name says nothing."""

    def size_of(path: Path) -> int | None:
        at: Declaration | None = declaration
        for name in path[1:]:
            assert at is not None
            if name in ("@items", "@values"):
                at = at.element
            elif name == "@keys":
                at = at.key
            else:
                at = (at.fields or {}).get(name, (name, None))[1]
            if at is None:
                return None
        return at.max_elements if at else None

    return size_of


def max_cardinality(declaration: Declaration) -> int:
    """How often a value can stand in one request where nothing else limits it."""
    return MAX_REQUEST_BYTES // (declaration.min_size + 1)


def multiplied(cost: int, times: int) -> int:
    return min(cost * times, MOST)


_PATH_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]']+|.", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


def field_path(text: str, schema: Schema) -> str | None:
    """`.spec['a.b']` as the path of an error, `spec.a.b`; None if it names nothing in the schema."""
    words = _PATH_TOKEN.findall(text)
    at: Schema | None = schema
    path = ""
    while words:
        delimiter = words.pop(0)
        if delimiter not in (".", "[") or not words or at is None:
            return None
        name = words.pop(0) if delimiter == "." else _quoted_name(words)
        if name is None:
            return None
        if at.get("properties"):
            at = at["properties"].get(name)
            path += f".{name}" if path else name
        elif isinstance(at.get("additionalProperties"), Mapping):
            at = at["additionalProperties"]
            path += f"[{name}]"
        else:
            return None
    return None if at is None else path


def _quoted_name(words: list[str]) -> str | None:
    quoted = words.pop(0)
    if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'" or not words or words.pop(0) != "]":
        return None
    escapes = re.findall(r"\\(.)", quoted[1:-1])
    if any(e not in _ESCAPES for e in escapes):
        return None
    return re.sub(r"\\(.)", lambda m: _ESCAPES[m[1]], quoted[1:-1])
