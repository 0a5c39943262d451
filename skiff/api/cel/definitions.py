"""What a definition's x-kubernetes-validations must look like: well formed, compiling, affordable.

Source: apiextensions-apiserver pkg/apis/apiextensions/validation/{validation,cel_validation}.go.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skiff.api.cel.correlation import is_correlatable
from skiff.api.cel.declarations import Declaration, Schema, declare
from skiff.api.cel.escaping import escape
from skiff.api.cel.rules import CompiledRule, compile_rules, field_path, max_cardinality, multiplied
from skiff.api.errors import FieldError, forbidden_field, invalid, not_supported, required

PER_EXPRESSION = 10_000_000
PER_DEFINITION = 100_000_000
_KEYWORD = "x-kubernetes-validations"
_REASONS = ("FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate")


@dataclass
class _Total:
    cost: int = 0
    expensive: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: str, cost: int) -> None:
        self.cost += cost
        if cost >= PER_DEFINITION // 100:
            self.expensive = sorted([*self.expensive, (cost, path)], key=lambda e: -e[0])[:4]


@dataclass(frozen=True)
class _Place:
    """cardinality: how often the place can occur, None: without a bound. uncorrelatable: the path of the first place
    above whose parts cannot be found again after an update."""

    schema: Schema
    path: str
    declaration: Declaration | None
    root: bool = False
    cardinality: int | None = 1
    uncorrelatable: str = ""


def form_errors(schema: Schema, path: str) -> list[FieldError]:
    """The mistakes of the rules of one place, without compiling them."""
    found: list[FieldError] = []
    for i, rule in enumerate(schema.get(_KEYWORD) or ()):
        found += _form(rule, schema, f"{path}.{_KEYWORD}[{i}]")
    return found


def _form(rule: Mapping[str, Any], schema: Schema, path: str) -> list[FieldError]:
    found = [_text_error(rule, path)]
    expression, reason, pointed = rule.get("messageExpression") or "", rule.get("reason"), rule.get("fieldPath") or ""
    if expression and not expression.strip():
        found.append(required(f"{path}.messageExpression", "messageExpression must be non-empty if specified"))
    if reason is not None and reason not in _REASONS:
        found.append(not_supported(f"{path}.reason", reason, _REASONS))
    if pointed and not pointed.strip():
        found.append(invalid(f"{path}.fieldPath", pointed, "must be non-empty if specified"))
    if "\n" in pointed:
        found.append(invalid(f"{path}.fieldPath", pointed, "must not contain line breaks"))
    if pointed and field_path(pointed, schema) is None:
        found.append(invalid(f"{path}.fieldPath", pointed, "must be a valid path"))
    return [e for e in found if e is not None]


def _text_error(rule: Mapping[str, Any], path: str) -> FieldError | None:
    text, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    if not text:
        return required(f"{path}.rule", "rule is not specified")
    if message and not message.strip():
        return invalid(f"{path}.message", message, "must be non-empty if specified")
    if "\n" in message.strip():
        return invalid(f"{path}.message", message, "must not contain line breaks")
    if "\n" in text and not message.strip():
        return required(f"{path}.message", "message must be specified if rule contains line breaks")
    return None


def rule_errors(schema: Schema, path: str, odd: Sequence[str] = ()) -> list[FieldError]:
    """What is wrong with the rules of a whole version's schema at `path`, which is structural. odd: where it has other
    mistakes; rules there and above are left alone."""
    total = _Total()
    root = _Place(schema, path, declare(schema, root=True), root=True)
    sound = (place for place in _places(root) if not any(_is_within(o, place.path) for o in odd))
    found = [e for place in sound for e in _of_place(place, total)]
    if total.cost > PER_DEFINITION:
        why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        found += [forbidden_field(at, why) for _, at in total.expensive]
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        found.append(forbidden_field(path, _too_expensive(name, total.cost, PER_DEFINITION)))
    return found


def _is_within(path: str, place: str) -> bool:
    return path == place or path.startswith((f"{place}.", f"{place}["))


def _places(place: _Place) -> Iterator[_Place]:
    yield place
    schema, declaration = place.schema, place.declaration
    inner = replace(place, root=False, cardinality=_times(place.cardinality, _most_elements(schema)))
    rest, items = schema.get("additionalProperties"), schema.get("items")
    element = declaration.element if declaration else None
    if isinstance(rest, Mapping):
        yield from _places(_below(inner, rest, f"{place.path}.additionalProperties", element))
    for name, child in (schema.get("properties") or {}).items():
        declared = declaration.child(name) if declaration and escape(name) is not None else None
        below = _below(inner, child, f"{place.path}.properties[{name}]", declared)
        yield from _places(below if is_correlatable(schema) else _lost(below, place.path))
    if isinstance(items, Mapping):
        below = _below(inner, items, f"{place.path}.items", element)
        is_map = schema.get("x-kubernetes-list-type") == "map"
        yield from _places(below if is_map else _lost(below, place.path))
    for i, nested in enumerate(schema.get("allOf") or ()):
        if isinstance(nested, Mapping) and nested.get(_KEYWORD):
            own = {**schema, _KEYWORD: nested[_KEYWORD], "allOf": []}
            yield replace(place, schema=own, path=f"{place.path}.allOf[{i}]")


def _below(inner: _Place, schema: Schema, path: str, declaration: Declaration | None) -> _Place:
    if declaration is None:
        declaration = declare(schema, root=bool(schema.get("x-kubernetes-embedded-resource")))
    return replace(inner, schema=schema, path=path, declaration=declaration)


def _lost(place: _Place, path: str) -> _Place:
    return place if place.uncorrelatable else replace(place, uncorrelatable=path)


def _most_elements(schema: Schema) -> int | None:
    """By how much a schema multiplies what is below; None: without a bound."""
    match schema.get("type"):
        case "array":
            limit = schema.get("maxItems")
        case "object" if schema.get("additionalProperties") is not None:
            limit = schema.get("maxProperties")
        case _:
            return 1
    return None if limit is None else max(limit, 0)


def _times(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else multiplied(a, b)


def _of_place(place: _Place, total: _Total) -> list[FieldError]:
    rules = place.schema.get(_KEYWORD) or ()
    if not rules:
        return []
    if place.declaration is None:
        path = f"{place.path}.{_KEYWORD}"
        why = "unable to convert structural schema to CEL declarations"
        return [FieldError(path, "InternalError", None, f"internal error: failed to construct type information: {why}")]
    times = place.cardinality if place.cardinality is not None else max_cardinality(place.declaration)
    found: list[FieldError] = []
    for i, rule in enumerate(compile_rules(rules, place.schema, place.declaration)):
        path = f"{place.path}.{_KEYWORD}[{i}]"
        found += _costs(rule, path, times, total) + _uses(rule, path, place.uncorrelatable)
    return found


def _costs(rule: CompiledRule, path: str, times: int, total: _Total) -> list[FieldError]:
    found: list[FieldError] = []
    cost = multiplied(rule.cost(), times)
    total.add(f"{path}.rule", cost)
    if cost > PER_EXPRESSION:
        found.append(forbidden_field(f"{path}.rule", _too_expensive("estimated rule cost", cost, PER_EXPRESSION)))
    if rule.error:
        found.append(invalid(f"{path}.rule", _shown(rule.rule), rule.error))
    if rule.message_error:
        found.append(invalid(f"{path}.messageExpression", _shown(rule.rule), rule.message_error))
    elif rule.message is not None:
        cost = rule.message_cost()
        total.add(f"{path}.messageExpression", cost)
        if cost > PER_EXPRESSION:
            why = _too_expensive("estimated messageExpression cost", cost, PER_EXPRESSION)
            found.append(forbidden_field(f"{path}.messageExpression", why))
    return found


def _shown(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in a message has the names and zero values of upstream's struct."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def _uses(rule: CompiledRule, path: str, uncorrelatable: str) -> list[FieldError]:
    if rule.uses_old and uncorrelatable:
        why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}"
        return [invalid(f"{path}.rule", rule.rule["rule"], why)]
    if not rule.uses_old and rule.rule.get("optionalOldSelf") is not None:
        why = "may not be set if oldSelf is not used in rule"
        return [invalid(f"{path}.optionalOldSelf", rule.rule["optionalOldSelf"], why)]
    return []


def _too_expensive(name: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{name} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, and "
        "maxLength where arrays, maps, and strings are declared)"
    )
