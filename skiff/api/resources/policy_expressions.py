"""Expressions of admission policies and webhooks, compiled to be checked. Loaded when the first one is met.

Which variables there are, and of which type. Those that make objects (`Object{...}`, `JSONPatch{...}`) are only checked for
their syntax. Source: apiserver pkg/admission/plugin/cel/compile.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from skiff.api.cel import types
from skiff.api.cel.access import Field
from skiff.api.cel.env import Env, Program
from skiff.api.cel.errors import CompileError, ProgramError
from skiff.api.cel.library.authorizer import AUTHORIZER, RESOURCE_CHECK
from skiff.api.cel.parser import deep_stack, parse
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
_VARIABLES = "kubernetes.variables"


@lru_cache(1)
def _objects() -> Mapping[str, Mapping[str, Field]]:
    return {name: {f: Field(f, t) for f, t in fields.items()} for name, fields in _OBJECTS.items()}


@dataclass(slots=True)
class Expressions:
    """What the expressions of one policy can refer to. params: the policy has a paramKind. variables: those that have been
    declared so far, with their types."""

    params: bool = False
    composed: bool = False
    variables: dict[str, Type] = field(default_factory=dict)

    def _environment(self, authorizer: bool) -> Env:
        known: dict[str, Type] = {"object": types.DYN, "oldObject": types.DYN}
        known["request"] = types.object_type("kubernetes.AdmissionRequest")
        known["namespaceObject"] = types.object_type("kubernetes.Namespace")
        if self.params:
            known["params"] = types.DYN
        if authorizer:
            known |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
        objects = dict(_objects())
        if self.composed:
            known["variables"] = types.object_type(_VARIABLES)
            objects[_VARIABLES] = {name: Field(name, type) for name, type in self.variables.items()}
        return Env(known, objects)

    def error(self, expression: str, *expected: str, authorizer: bool = True) -> str:
        """What is wrong with an expression, "" if nothing. expected: the types that it may have; none: any."""
        return self._compile(expression, expected, authorizer)[0]

    def declare(self, name: str, expression: str) -> str:
        """The same for a variable, which can be used from now on."""
        why, kind = self._compile(expression, (), True)
        self.variables[name] = kind
        return why

    def program(self, expression: str) -> Program:
        """To be evaluated. Raises CompileError, ProgramError."""
        return self._environment(True).compile(expression)

    def _compile(self, expression: str, expected: tuple[str, ...], authorizer: bool) -> tuple[str, Type]:
        try:
            program = self._environment(authorizer).compile(expression)
        except CompileError as e:
            return f"compilation failed: {e}", types.DYN
        except ProgramError as e:
            return f"program instantiation failed: {e}", types.DYN
        kind = str(program.type)
        if not expected or kind in expected:
            return "", program.type
        one_of = expected[0] if len(expected) == 1 else f"one of [{' '.join(expected)}]"
        return f"must evaluate to {one_of} but got {kind}", program.type


def syntax_error(expression: str) -> str:
    try:
        with deep_stack():
            parse(expression)
    except CompileError as e:
        return f"compilation failed: {e}"
    return ""
