"""What a ValidatingAdmissionPolicy's expressions would say if they knew the types of the objects that they are about.

The policy works without that: the answers only warn. Source: apiserver pkg/admission/plugin/policy/validating/
typechecking.go, pkg/cel/openapi.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from skiff.api import schema
from skiff.api.cel import types
from skiff.api.cel.declarations import Declaration, declare, objects
from skiff.api.cel.types import Type
from skiff.api.resources.policy_expressions import Expressions
from skiff.api.types import Obj

MOST_KINDS = 10
Schema = Mapping[str, Any]

_SHOWN: Mapping[str, Schema] = {"int-or-string": {"x-kubernetes-int-or-string": True}, "quantity": {}}
"""Formats of values that can be of several types, as upstream's definitions have them; expressions see no quantities."""


def builtin_schema(definition: str) -> Schema | None:
    """The complete schema of a built-in kind; None: there is none."""
    known = schema.load()
    return resolved({"$ref": definition}, {n: known.openapi(n) for n in (definition,)}) if definition in known else None


def resolved(root: Schema, definitions: Mapping[str, Schema], prefix: str = "") -> Schema:
    """A schema with what it refers to in place of the references; where it would contain itself, any object stands.
    definitions: by name, which a reference has behind `prefix`; what is missing is looked for among the built-in ones."""
    return _resolved(root, definitions, prefix, ())


def _resolved(at: Schema, definitions: Mapping[str, Schema], prefix: str, within: tuple[str, ...]) -> Schema:
    reference = at.get("$ref") or next((a["$ref"] for a in at.get("allOf") or () if "$ref" in a), "")
    if reference:
        name = reference.removeprefix(prefix)
        if name in within:
            return {"type": "object"}
        found = definitions.get(name)
        at, within = schema.load().openapi(name) if found is None else found, (*within, name)
    if at.get("format") in _SHOWN:
        return _SHOWN[at["format"]]
    made = dict(at)
    if "properties" in at:
        made["properties"] = {n: _resolved(p, definitions, prefix, within) for n, p in at["properties"].items()}
    for below in ("items", "additionalProperties"):
        if isinstance(at.get(below), Mapping):
            made[below] = _resolved(at[below], definitions, prefix, within)
    return made


def expression_warnings(spec: Obj, kinds: Sequence[tuple[str, str, Schema]], params: Schema | None) -> list[Obj]:
    """The status' expressionWarnings. kinds: (group version, kind, schema) of what the policy is about. params: the schema
    of its parameters, if it is known."""
    found = []
    for i, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field)
            if field != "expression" and not text:
                continue
            warnings = [w for kind in kinds if (w := _warning(spec, text or "", kind, params))]
            if warnings:
                found.append({"fieldRef": f"spec.validations[{i}].{field}", "warning": "\n".join(warnings)})
    return found


def _warning(spec: Obj, text: str, of: tuple[str, str, Schema], params: Schema | None) -> str:
    version, kind, shape = of
    declared = declare(shape, root=True, name=kind)
    own = _type(declared)
    typed: dict[str, Type] = {"object": own, "oldObject": own}
    known = dict(objects(declared)) if declared is not None else {}
    if params is not None and (parameters := declare(params, root=True, name="params")) is not None:
        typed["params"] = parameters.type
        known |= objects(parameters)
    expressions = Expressions(spec.get("paramKind") is not None, True, typed=typed, objects=known)
    for variable in spec.get("variables") or ():
        expressions.declare_type(variable.get("name", ""), expressions.check(variable.get("expression", ""))[1])
    issues, _ = expressions.check(text)
    group = version if "/" in version else f"/{version}"
    return f"{group}, Kind={kind}: {issues}\n" if issues else ""


def _type(declared: Declaration | None) -> Type:
    return declared.type if declared is not None else types.DYN
