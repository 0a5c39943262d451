"""Gives every node its type and every call its overloads, and says what cannot be.

Names are looked up in loops from within, then among the variables, then among the types and the messages. Source: cel-go checker/checker.go.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from skiff.api.cel import types, unify
from skiff.api.cel.access import Field
from skiff.api.cel.ast import (
    Call,
    Comprehension,
    Entry,
    Expr,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Select,
    Struct,
    children,
)  # fmt: skip
from skiff.api.cel.errors import Issue
from skiff.api.cel.functions import Functions, Overload
from skiff.api.cel.types import BOOL, DYN, ERROR, INT, Type, is_dyn, is_optional, list_of, map_of, optional_of
from skiff.api.cel.values import TypeValue, type_name

_SIMPLE = {t.name: t for t in (
    types.BOOL, types.INT, types.UINT, types.DOUBLE, types.STRING, types.BYTES, types.NULL, types.TIMESTAMP,
    types.DURATION, types.TYPE, types.IP, types.CIDR, types.URL, types.QUANTITY, types.SEMVER, types.FORMAT,
)}  # fmt: skip
TYPE_NAMES: dict[str, Type] = {
    **_SIMPLE,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "optional_type": optional_of(DYN),
}
"""What a name that is a type's means."""


class Checker:
    """variables: name → type. objects: the name of an object type → its fields. messages: those of them that expressions
    can make."""

    def __init__(
        self,
        functions: Functions,
        variables: Mapping[str, Type],
        objects: Mapping[str, Mapping[str, Field]],
        messages: Container[str] = (),
    ) -> None:
        self.functions = functions
        self.scopes: list[Mapping[str, Type]] = [variables]
        self.objects = objects
        self.messages = messages
        self.mapping: unify.Mapping = {}
        self.issues: list[Issue] = []
        self._fresh = 0

    def check(self, root: Expr) -> list[Issue]:
        """Fills in the tree. Returns the mistakes, in the order they were met."""
        self.visit(root)
        self._settle(root)
        return self.issues

    def _settle(self, e: Expr) -> None:
        e.type = unify.substitute(self.mapping, e.type, final=True)
        for child in children(e):
            self._settle(child)

    # --- one kind of node each

    def visit(self, e: Expr) -> Type:
        match e:
            case Literal():
                e.type = _SIMPLE[type_name(e.value)]
            case Ident():
                e.type = self._name(e, e.name)
            case Select():
                e.type = self._select(e)
            case Call():
                e.type = self._call(e)
            case ListLiteral():
                e.type = self._list(e)
            case MapLiteral():
                e.type = self._map(e)
            case Struct():
                e.type = self._struct(e)
            case Comprehension():
                e.type = self._comprehension(e)
        return e.type

    def _lookup(self, name: str) -> tuple[Type | None, Any]:
        plain = name.removeprefix(".")
        for scope in reversed(self.scopes[:1] if plain != name else self.scopes):
            if plain in scope:
                return scope[plain], None
        known = TYPE_NAMES.get(plain)
        if known is None and plain in self.messages:
            known = types.object_type(plain)
        return (types.type_of(known), TypeValue(known.name)) if known else (None, None)

    def _name(self, e: Ident, name: str) -> Type:
        found, e.constant = self._lookup(name)
        if found is not None:
            e.name = name.removeprefix(".")
            return found
        return self.issue(e.pos, f"undeclared reference to '{name}' (in container '')")

    def _select(self, e: Select) -> Type:
        name = "" if e.test else qualified_name(e)
        if name:
            found, constant = self._lookup(name)
            if found is not None:
                e.name, e.constant = name, constant
                return found
        result = self._field(e.pos, e.operand, e.field, optional=False)
        return BOOL if e.test else unify.substitute(self.mapping, result)

    def _field(self, pos: int, operand: Expr, field: str, *, optional: bool) -> Type:
        of = unify.substitute(self.mapping, self.visit(operand))
        target = types.unwrap(of)
        if target.kind == "map":
            result = target.params[1]
        elif target.kind == "object":
            result = self._declared_field(pos, target.name, field)
        elif target.kind == "param":
            self._fits([DYN], [target])
            result = DYN
        else:
            if not is_dyn(target):
                self.issue(pos, f"type '{target}' does not support field selection")
            result = DYN
        return optional_of(result) if optional or is_optional(of) else result

    def _declared_field(self, pos: int, name: str, field: str) -> Type:
        fields = self.objects.get(name)
        if fields is None:
            return self.issue(pos, f"unexpected failed resolution of '{name}'")
        found = fields.get(field)
        return found.type if found is not None else self.issue(pos, f"undefined field '{field}'")

    def _call(self, e: Call) -> Type:
        if e.function == "_?._":
            field = e.args[1]
            assert isinstance(field, Literal)
            field.type = types.STRING
            e.overloads = ["select_optional_field"]
            return unify.substitute(self.mapping, self._field(e.pos, e.args[0], field.value, optional=True))
        for arg in e.args:
            self.visit(arg)
        if e.target is not None:
            namespaced = qualified_name(e.target)
            if namespaced and self.functions.lookup(f"{namespaced}.{e.function}"):
                e.function, e.target = f"{namespaced}.{e.function}".removeprefix("."), None
            else:
                self.visit(e.target)
        found = self.functions.lookup(e.function)
        if found is None:
            return self.issue(e.pos, f"undeclared reference to '{e.function}' (in container '')")
        e.function = e.function.removeprefix(".")
        return self._resolve(e, found)

    def _resolve(self, e: Call, candidates: Sequence[Overload]) -> Type:
        given = [operand.type for operand in e.operands]
        if e.function in ("_&&_", "_||_"):
            e.overloads = ["logical_and" if e.function == "_&&_" else "logical_or"]
            right = [self._assert(arg, BOOL) for arg in e.args]
            return BOOL if all(right) else ERROR
        result: Type | None = None
        for overload in candidates:
            if overload.member != (e.target is not None):
                continue
            args, own_result = self._instance(overload)
            if not self._fits(given, args):
                continue
            e.overloads.append(overload.id)
            own_result = unify.substitute(self.mapping, own_result)
            if result is None:
                result = own_result
            elif result != DYN and own_result != result:
                result = DYN
        if result is not None:
            return result
        shown = [str(unify.substitute(self.mapping, t, final=True)) for t in given]
        applied = f"{shown[0]}.({', '.join(shown[1:])})" if e.target is not None else f"({', '.join(shown)})"
        return self.issue(e.pos, f"found no matching overload for '{e.function}' applied to '{applied}'")

    def _instance(self, overload: Overload) -> tuple[Sequence[Type], Type]:
        """An overload's types with parameters of its own."""
        if not overload.parameters:
            return overload.args, overload.result
        own = {p: self._variable() for p in overload.parameters}
        return [unify.substitute(own, a) for a in overload.args], unify.substitute(own, overload.result)

    def _list(self, e: ListLiteral) -> Type:
        joined: Type | None = None
        for i, element in enumerate(e.elements):
            own = self._given(element, self.visit(element), i in e.optional)
            joined = self._join(joined, own)
        return list_of(joined or self._variable())

    def _map(self, e: MapLiteral) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in e.entries:
            key = self._join(key, self.visit(entry.key))
            own = self._given(entry.value, self.visit(entry.value), entry.optional)
            value = self._join(value, own)
        return map_of(key or self._variable(), value or self._variable())

    def _struct(self, e: Struct) -> Type:
        found, constant = self._lookup(e.name)
        if found is None:
            return self.issue(e.pos, f"undeclared reference to '{e.name}' (in container '')")
        e.name = e.name.removeprefix(".")
        if constant is None:
            made = self.issue(e.pos, f"'{found.name}' is not a type")
        elif e.name not in self.messages:
            made = self.issue(e.pos, f"'{e.name}' is not a message type")
        else:
            made = found.params[0]
        for entry in e.entries:
            self._initialize(e.name, entry)
        return made

    def _initialize(self, message: str, entry: Entry) -> None:
        """One field of an object that is made."""
        assert isinstance(entry.key, Literal)
        entry.key.type = types.STRING
        given = self._given(entry.value, self.visit(entry.value), entry.optional)
        name = entry.key.value
        wanted = self._declared_field(entry.pos, message, name)
        if not self._fits([wanted], [given]):
            shown = unify.substitute(self.mapping, given, final=True)
            self.issue(entry.pos, f"expected type of field '{name}' is '{wanted}' but provided type is '{shown}'")

    def _comprehension(self, e: Comprehension) -> Type:
        over = unify.substitute(self.mapping, self.visit(e.range))
        collected = self.visit(e.init)
        self.scopes.append({e.accumulator: collected})
        first, second = self._variables(e, over)
        self.scopes.append({e.var: first, e.var2: second} if e.var2 else {e.var: first})
        self.visit(e.condition)
        self._assert(e.condition, BOOL)
        self.visit(e.step)
        self._assert(e.step, collected)
        self.scopes.pop()
        self.visit(e.result)
        self.scopes.pop()
        return unify.substitute(self.mapping, e.result.type)

    def _variables(self, e: Comprehension, over: Type) -> tuple[Type, Type]:
        if over.kind == "list":
            return (INT, over.params[0]) if e.var2 else (over.params[0], ERROR)
        if over.kind == "map":
            return over.params[0], over.params[1]
        if is_dyn(over) or over.kind == "param":
            self._fits([DYN], [over])
            return DYN, DYN
        message = f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)"
        return self.issue(e.range.pos, message), ERROR

    # --- helpers

    def issue(self, pos: int, message: str) -> Type:
        self.issues.append(Issue(pos, message))
        return ERROR

    def _variable(self) -> Type:
        self._fresh += 1
        return types.parameter(f"_var{self._fresh - 1}")

    def _fits(self, wanted: Sequence[Type], given: Sequence[Type]) -> bool:
        mapping = unify.assignable(self.mapping, wanted, given)
        if mapping is None:
            return False
        self.mapping = mapping
        return True

    def _assert(self, e: Expr, wanted: Type) -> bool:
        if self._fits([wanted], [e.type]):
            return True
        self._mismatch(e, wanted, e.type)
        return False

    def _mismatch(self, e: Expr, wanted: Type, found: Type) -> None:
        self.issue(e.pos, f"expected type '{wanted}' but found '{found}'")

    def _given(self, e: Expr, t: Type, optional: bool) -> Type:
        """The type that an element or entry adds; one written with `?` must be an optional."""
        if not optional:
            return t
        if not is_optional(t) and not is_dyn(t):
            self._mismatch(e, optional_of(t), t)
        return types.unwrap(t)

    def _join(self, before: Type | None, own: Type) -> Type:
        """The type of the elements so far and one more; `literals` judges mixed ones."""
        if before is None:
            return own
        if self._fits([before], [own]):
            return unify.most_general(before, own)
        return DYN


def qualified_name(e: Expr) -> str:
    """a.b.c for a chain of names, else ""."""
    if isinstance(e, Ident):
        return e.name
    if isinstance(e, Select) and not e.test:
        before = qualified_name(e.operand)
        return f"{before}.{e.field}" if before else ""
    return ""
