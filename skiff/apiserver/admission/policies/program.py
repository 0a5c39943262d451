"""The expressions of one policy, compiled. Mistakes are kept with them and reported when they are evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skiff.api.resources.admission_checks import PATCH_TYPES
from skiff.api.resources.policy_expressions import Compiled, Expressions
from skiff.apiserver.admission.conditions import condition_of


@dataclass(frozen=True, slots=True)
class Validation:
    """message: compiled from messageExpression. fallback: what else is said."""

    expression: Compiled
    message: Compiled | None
    fallback: str
    reason: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """kind: the patch type."""

    kind: str
    expression: Compiled


class PolicyProgram:
    """variables by name; conditions: matchConditions; then what the policy's kind has. uses: which of the variables that
    take some making occur anywhere."""

    def __init__(self, spec: Mapping[str, Any]):
        known = Expressions(spec.get("paramKind") is not None, True)
        self.variables = {v["name"]: known.declare(v["name"], v["expression"]) for v in spec.get("variables") or ()}
        self.conditions = [
            condition_of(known.compile(c.get("expression", ""), "bool")) for c in spec.get("matchConditions") or ()
        ]
        self.validations = [_validation(v, known) for v in spec.get("validations") or ()]
        self.messages = any(v.message is not None for v in self.validations)
        self.annotations = [
            (a.get("key", ""), known.compile(a.get("valueExpression", ""), "string", "null_type"))
            for a in spec.get("auditAnnotations") or ()
        ]
        self.mutations = [_mutation(m, known) for m in spec.get("mutations") or ()]
        every = [*self.variables.values(), *(compiled for _, compiled in self.annotations)]
        every += [made for v in self.validations for made in (v.expression, v.message) if made is not None]
        every += [mutation.expression for mutation in self.mutations]
        programs = [p for p in (*(e.program for e in every), *(c.program for c in self.conditions)) if p is not None]
        self.uses_request, self.uses_namespace = (
            any(program.uses(name) for program in programs) for name in ("request", "namespaceObject")
        )


def _validation(validation: Mapping[str, Any], known: Expressions) -> Validation:
    expression, shown = validation.get("expression", ""), validation.get("messageExpression", "")
    return Validation(
        known.compile(expression, "bool"),
        known.compile(shown, "string", authorizer=False) if shown else None,
        validation.get("message", "").strip() or f"failed expression: {expression.strip()}",
        validation.get("reason") or "Invalid",
    )


_FIELDS = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(mutation: Mapping[str, Any], known: Expressions) -> Mutation:
    kind = mutation.get("patchType", "")
    expression = (mutation.get(_FIELDS[kind]) or {}).get("expression", "")
    return Mutation(kind, known.compile(expression, PATCH_TYPES[kind], patches=True))
