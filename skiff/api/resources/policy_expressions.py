"""Expressions of admission policies and webhooks: which variables there are, and of which type. Loaded when the first one
is met. Source: apiserver pkg/admission/plugin/cel/compile.go, composition.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from skiff.api.cel import types
from skiff.api.cel.access import Field
from skiff.api.cel.env import LIBRARIES, Env, Program
from skiff.api.cel.errors import CompileError, ProgramError
from skiff.api.cel.functions import Functions
from skiff.api.cel.library.authorizer import AUTHORIZER, RESOURCE_CHECK
from skiff.api.cel.library.strings import JSON_PATCH_ROWS
from skiff.api.cel.messages import PATCH_TYPES
from skiff.api.cel.parser import deep_stack
from skiff.api.cel.types import Type

_TEXT, _TIME = types.STRING, types.TIMESTAMP
_TEXTS, _LABELS = types.list_of(_TEXT), types.map_of(_TEXT, _TEXT)
_OBJECTS: Mapping[str, Mapping[str, Type]] = {
    "kubernetes.GroupVersionKind": {"group": _TEXT, "version": _TEXT, "kind": _TEXT},
    "kubernetes.GroupVersionResource": {"group": _TEXT, "version": _TEXT, "resource": _TEXT},
    "kubernetes.UserInfo": {
        "username": _TEXT,
        "uid": _TEXT,
        "groups": _TEXTS,
        "extra": types.map_of(_TEXT, _TEXTS),
    },
    "kubernetes.AdmissionRequest": {
        "kind": types.object_type("kubernetes.GroupVersionKind"),
        "resource": types.object_type("kubernetes.GroupVersionResource"),
        "subResource": _TEXT,
        "requestKind": types.object_type("kubernetes.GroupVersionKind"),
        "requestResource": types.object_type("kubernetes.GroupVersionResource"),
        "requestSubResource": _TEXT,
        "name": _TEXT,
        "namespace": _TEXT,
        "operation": _TEXT,
        "userInfo": types.object_type("kubernetes.UserInfo"),
        "dryRun": types.BOOL,
        "options": types.DYN,
    },
    "kubernetes.NamespaceSpec": {"finalizers": _TEXTS},
    "kubernetes.NamespaceCondition": {
        "status": _TEXT,
        "type": _TEXT,
        "lastTransitionTime": _TIME,
        "message": _TEXT,
        "reason": _TEXT,
    },
    "kubernetes.NamespaceStatus": {
        "conditions": types.list_of(types.object_type("kubernetes.NamespaceCondition")),
        "phase": _TEXT,
    },
    "kubernetes.NamespaceMetadata": {
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), _TEXT),
        "labels": _LABELS,
        "annotations": _LABELS,
        "creationTimestamp": _TIME,
        "deletionTimestamp": _TIME,
        "deletionGracePeriodSeconds": types.INT,
        "generation": types.INT,
        "finalizers": _TEXTS,
    },
    "kubernetes.Namespace": {
        "metadata": types.object_type("kubernetes.NamespaceMetadata"),
        "spec": types.object_type("kubernetes.NamespaceSpec"),
        "status": types.object_type("kubernetes.NamespaceStatus"),
    },
}
VARIABLES = "kubernetes.variables"


@lru_cache(1)
def _objects() -> Mapping[str, Mapping[str, Field]]:
    return {
        name: {f: Field(f, t, nullable=f == "options") for f, t in fields.items()} for name, fields in _OBJECTS.items()
    }


@lru_cache(1)
def _with_patches() -> Functions:
    return Functions(*LIBRARIES, JSON_PATCH_ROWS)


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression; either its program or what is wrong with it. internal: it is not the expression's type or text."""

    expression: str
    program: Program | None
    error: str = ""
    internal: bool = False


@dataclass(slots=True)
class Expressions:
    """What the expressions of one policy can refer to. params: the policy has a paramKind. variables: those that have been
    declared so far, with their types. objects: the types of `object` and `params` where they are known."""

    params: bool = False
    composed: bool = False
    variables: dict[str, Type] = field(default_factory=dict)
    typed: Mapping[str, Type] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)

    def _environment(self, authorizer: bool, patches: bool) -> Env:
        known: dict[str, Type] = {"object": types.DYN, "oldObject": types.DYN}
        known["request"] = types.object_type("kubernetes.AdmissionRequest")
        known["namespaceObject"] = types.object_type("kubernetes.Namespace")
        if self.params:
            known["params"] = types.DYN
        if authorizer:
            known |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
        known |= self.typed
        objects = {**_objects(), **self.objects}
        if self.composed:
            known["variables"] = types.object_type(VARIABLES)
            objects[VARIABLES] = {n: Field(n, type, nullable=True) for n, type in self.variables.items()}
        if patches:
            return Env(known, objects, _with_patches(), PATCH_TYPES)
        return Env(known, objects)

    def check(self, expression: str) -> tuple[str, Type]:
        """What is wrong with an expression as far as types go, and its own type."""
        try:
            with deep_stack():
                return "", self._environment(True, False).check(expression).type
        except CompileError as e:
            return str(e), types.DYN

    def compile(self, expression: str, *expected: str, authorizer: bool = True, patches: bool = False) -> Compiled:
        """expected: the types that it may have; none: any. patches: it can make objects."""
        try:
            program = self._environment(authorizer, patches).compile(expression)
        except CompileError as e:
            return Compiled(expression, None, f"compilation failed: {e}")
        except ProgramError as e:
            return Compiled(expression, None, f"program instantiation failed: {e}", internal=True)
        kind = _declared(program.type)
        if not expected or kind in expected:
            return Compiled(expression, program)
        one_of = expected[0] if len(expected) == 1 else f"one of [{' '.join(expected)}]"
        return Compiled(expression, None, f"must evaluate to {one_of} but got {kind}")

    def declare(self, name: str, expression: str) -> Compiled:
        """The same for a variable, which can be used from now on."""
        made = self.compile(expression)
        self.variables[name] = _plain(made.program.type) if made.program is not None else types.DYN
        return made

    def declare_type(self, name: str, type: Type) -> None:
        self.variables[name] = _plain(type)


def _declared(t: Type) -> str:
    """A type under its own name, which is not always the one that the checker's messages have."""
    return f"{t.name}({', '.join(map(_declared, t.params))})" if t.params else t.name


def _plain(t: Type) -> Type:
    """What a variable's type is remembered as: objects may be anything."""
    if t.kind in ("list", "map"):
        return Type(t.kind, t.name, tuple(map(_plain, t.params)))
    return t if t.kind in _REMEMBERED else types.DYN


_REMEMBERED = frozenset(("bool", "bytes", "double", "duration", "int", "null", "string", "timestamp", "uint"))
