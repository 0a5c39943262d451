"""x-kubernetes-validations of a structural schema: compiled once, evaluated on every write.

    validator = Validator.of(schema)            # None: there are no rules
    errors = validator.validate(obj, old)       # old None: a creation

Programs are compiled when a place of the schema is first met in an object. Evaluation stops when the budget for the object
is used up. Call it only on objects that the schema itself accepts (`blocked` says when to leave it). Source:
apiextensions-apiserver pkg/apiserver/schema/cel/validation.go, pkg/registry/customresource/strategy.go.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from skiff.api.cel import costs
from skiff.api.cel.correlation import NOTHING, Pair, Ratchet, by_key, is_correlatable, key_of
from skiff.api.cel.declarations import Declaration, Schema, declare
from skiff.api.cel.env import Result
from skiff.api.cel.errors import CostExceeded
from skiff.api.cel.escaping import escape
from skiff.api.cel.rules import CompiledRule, compile_rules
from skiff.api.cel.values import NONE, Optional
from skiff.api.errors import OMIT, FieldError, invalid

_LONGEST_MESSAGE = 5 * 1024
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_KEYWORD = "x-kubernetes-validations"
_BLOCKING = frozenset(f"FieldValue{what}" for what in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid"))
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


def blocked(errors: Sequence[FieldError]) -> FieldError | None:
    """What to say instead of evaluating rules on an object that has these mistakes; None: evaluate."""
    if any(e.type in _BLOCKING for e in errors):
        return invalid("<nil>", None, _NOT_CHECKED)
    return None


def has_rules(schema: Any) -> bool:
    """Whether a schema or one within it has rules."""
    if not isinstance(schema, Mapping):
        return False
    if schema.get(_KEYWORD):
        return True
    below = [schema.get("items"), schema.get("additionalProperties"), *(schema.get("properties") or {}).values()]
    return any(has_rules(child) for child in [*below, *(schema.get("allOf") or ())])


class _Run:
    """One validation of one object: what is left of the budget, and what was found."""

    __slots__ = ("budget", "errors", "stopped", "warnings")

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.errors: list[FieldError] = []
        self.warnings: list[str] = []
        self.stopped = False

    def stop(self, error: FieldError) -> None:
        self.errors.append(error)
        self.stopped = True

    def spend(self, cost: int) -> bool:
        """False: there was not so much left."""
        if cost > self.budget:
            return False
        self.budget -= cost
        return True


class Validator:
    """The rules at one place of a schema and below. `rules_schema` says them, `schema` says what the values are: they
    differ within allOf."""

    __slots__ = (
        "_all_of",
        "_children",
        "_compiled",
        "_declaration",
        "_element",
        "_root",
        "_rules",
        "_values",
        "schema",
    )

    def __init__(self, rules_schema: Schema, schema: Schema, declaration: Declaration | None, *, root: bool) -> None:
        self.schema = schema
        self._declaration = declaration
        self._root = root
        self._rules: list[Mapping[str, Any]] = list(rules_schema.get(_KEYWORD) or ())
        self._compiled: list[CompiledRule] | None = None if self._rules else []
        self._children: dict[str, Validator] = dict(self._properties(rules_schema))
        self._element = self._below(rules_schema, "items")
        self._values = self._below(rules_schema, "additionalProperties")
        self._all_of = [
            Validator(nested, schema, declaration, root=root)
            for nested in rules_schema.get("allOf") or ()
            if has_rules(nested)
        ]

    @staticmethod
    def of(schema: Schema, *, root: bool = True) -> "Validator | None":
        """For a whole schema; root: it is that of a resource. None: it has no rules."""
        return Validator(schema, schema, declare(schema, root=root), root=root) if has_rules(schema) else None

    def _properties(self, rules_schema: Schema) -> Iterator[tuple[str, "Validator"]]:
        own = self.schema.get("properties") or {}
        for name, child in (rules_schema.get("properties") or {}).items():
            node = own.get(name)
            if node is None or not has_rules(child):
                continue
            embedded = bool(node.get("x-kubernetes-embedded-resource"))
            declared = self._declaration.child(name) if self._declaration else None
            if declared is None and escape(name) is None:
                declared = declare(node, root=embedded)
            if declared is not None:
                yield name, Validator(child, node, declared, root=embedded)

    def _below(self, rules_schema: Schema, keyword: str) -> "Validator | None":
        child, node = rules_schema.get(keyword), self.schema.get(keyword)
        if not isinstance(child, Mapping) or not isinstance(node, Mapping) or not has_rules(child):
            return None
        declared = self._declaration.element if self._declaration else None
        return Validator(child, node, declared, root=bool(node.get("x-kubernetes-embedded-resource")))

    def validate(
        self,
        obj: Any,
        old: Any = None,
        budget: int = costs.PER_OBJECT,
        *,
        path: str = "",
        ratchet: bool = True,
        warnings: list[str] | None = None,
    ) -> list[FieldError]:
        """All failures. old: the former object of an update. ratchet: failures in what did not change are put into
        `warnings` instead."""
        run = _Run(budget)
        place = Ratchet(Pair(obj, old, self.schema)) if ratchet and old is not None else NOTHING
        self._check(run, obj, old, path, place)
        if warnings is not None:
            warnings += run.warnings
        return run.errors

    def _check(self, run: _Run, obj: Any, old: Any, path: str, place: Ratchet) -> None:
        if obj is None:
            return
        if self._compiled is None or self._compiled:
            self._evaluate(run, obj, old, path, place)
        for nested in self._all_of:
            if not run.stopped:
                nested._check(run, obj, old, path, Ratchet(None, place.above))
        if isinstance(obj, dict):
            self._check_object(run, obj, old if isinstance(old, dict) else {}, path, place)
        elif isinstance(obj, list) and self._element is not None:
            self._check_list(run, self._element, obj, old, path, place)

    def _check_object(self, run: _Run, obj: dict[str, Any], old: Mapping[str, Any], path: str, place: Ratchet) -> None:
        before = old if is_correlatable(self.schema) else {}
        for name, value in obj.items():
            child = self._children.get(name)
            if child is not None and not run.stopped:
                child._check(run, value, before.get(name), f"{path}.{name}" if path else name, place.key(name))
            if self._values is not None and not run.stopped:
                self._values._check(run, value, before.get(name), f"{path}[{name}]", place.key(name))

    def _check_list(self, run: _Run, element: "Validator", obj: list[Any], old: Any, path: str, place: Ratchet) -> None:
        before = by_key(self.schema, old)
        names = tuple(self.schema.get("x-kubernetes-list-map-keys") or ())
        for i, value in enumerate(obj):
            if run.stopped:
                return
            key = key_of(value, names) if before else None
            element._check(run, value, before.get(key) if key else None, f"{path}[{i}]", place.index(i, before))

    # --- the rules of this place

    def _type(self) -> str:
        return str(self.schema.get("type", ""))

    def _invalid(self, path: str, detail: str) -> FieldError:
        return invalid(path, self._type(), detail)

    def _evaluate(self, run: _Run, obj: Any, old: Any, path: str, place: Ratchet) -> None:
        if self._declaration is None:
            why = "failed to convert to declType for CEL validation rules"
            run.errors.append(self._invalid(path, f"rule compiler initialization error: {why}"))
            return
        if self._compiled is None:
            self._compiled = compile_rules(self._rules, self.schema, self._declaration)
        if run.budget <= 0:
            run.stop(self._invalid(path, _OUT_OF_BUDGET))
            return
        plain, optional = self._variables(obj, old)
        for rule in self._compiled:
            if run.stopped:
                return
            if rule.error:
                run.errors.append(self._invalid(path, f"rule compile error: {rule.error}"))
            elif rule.program is not None and (old is not None or not rule.uses_old or rule.optional_old):
                variables = optional if rule.optional_old else plain
                self._judge(run, rule, rule.program.evaluate(variables), variables, obj, path, place)

    def _variables(self, obj: Any, old: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The variables of a rule, and of one whose oldSelf is optional."""
        convert = self._declaration.convert if self._declaration else None
        value = convert(obj) if convert else obj
        if old is None:
            return {"self": value}, {"self": value, "oldSelf": NONE}
        before = convert(old) if convert else old
        return {"self": value, "oldSelf": before}, {"self": value, "oldSelf": Optional(before)}

    def _judge(
        self,
        run: _Run,
        rule: CompiledRule,
        result: Result,
        variables: Mapping[str, Any],
        obj: Any,
        path: str,
        place: Ratchet,
    ) -> None:
        if not run.spend(result.cost):
            run.stop(self._invalid(path, _OUT_OF_BUDGET))
        elif isinstance(result.error, CostExceeded):
            why = f"'{result.error}': no further validation rules will be run due to call cost exceeds limit for rule"
            run.stop(self._invalid(path, f"{why}: {rule.text}"))
        elif result.error is not None:
            run.errors.append(self._invalid(path, _failure(str(result.error), rule.text)))
        elif result.value is not True:
            at = _joined(path, rule.field_path)
            detail = self._message(run, rule, variables, at)
            if run.stopped:
                return
            value = OMIT if self._type() in ("object", "array") else obj
            error = FieldError(at, rule.rule.get("reason") or "FieldValueInvalid", value, detail)
            if not rule.uses_old and place.forgives():
                run.warnings.append(str(error))
            else:
                run.errors.append(error)

    def _message(self, run: _Run, rule: CompiledRule, variables: Mapping[str, Any], path: str) -> str:
        """What to say of a rule that failed. Stops the run if saying it is too expensive."""
        otherwise = (rule.rule.get("message") or "").strip() or f"failed rule: {rule.text}"
        if rule.message is None:
            return otherwise
        result = rule.message.evaluate(variables)
        if not run.spend(result.cost):
            why = "messageExpression evaluation failed due to running out of cost budget"
            run.stop(self._invalid(path, f"{why}, no further validation rules will be run"))
        elif isinstance(result.error, CostExceeded):
            why = "no further validation rules will be run due to call cost exceeds limit for messageExpression"
            run.stop(self._invalid(path, f'{why}: "{rule.rule["messageExpression"]}"'))
        elif result.error is None and isinstance(result.value, str):
            text = result.value.strip()
            if text and "\n" not in text and len(text.encode("utf-8", "replace")) <= _LONGEST_MESSAGE:
                return text
        return otherwise


def _failure(error: str, rule: str) -> str:
    if error.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{error}': {why}: {rule}"
    return f"{error} evaluating rule: {rule}"


def _joined(path: str, below: str) -> str:
    if not below or below.startswith("["):
        return path + below
    return f"{path}.{below}" if path else below
