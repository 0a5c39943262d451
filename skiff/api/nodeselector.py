"""Node selectors: `nodeSelector` and the terms of node affinity, compiled to a test on labels and name.

Source: component-helpers scheduling/corev1/nodeaffinity. An empty term matches nothing; terms are alternatives; a term that
cannot be parsed matches nothing.
"""

from collections.abc import Callable, Mapping, Sequence

from skiff.api.selectors import Selector, SelectorError, from_label_selector
from skiff.api.types import Obj

NodeTest = Callable[[Mapping[str, str], str], bool]
"""(labels, name) → whether the node matches."""

_OPERATORS = {"In": "In", "NotIn": "NotIn", "Exists": "Exists", "DoesNotExist": "DoesNotExist"}


def required(spec: Obj) -> NodeTest | None:
    """All that a pod's spec demands of a node; None: nothing."""
    plain = spec.get("nodeSelector")
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not plain and terms is None:
        return None
    wanted = list((plain or {}).items())
    alternatives = any_term(terms.get("nodeSelectorTerms") or ()) if terms is not None else None

    def test(labels: Mapping[str, str], name: str) -> bool:
        if any(labels.get(k) != v for k, v in wanted):
            return False
        return alternatives is None or alternatives(labels, name)

    return test


def any_term(terms: Sequence[Obj]) -> NodeTest:
    tests = [one_term(t) for t in terms]
    return lambda labels, name: any(test(labels, name) for test in tests)


def one_term(term: Obj) -> NodeTest:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return _never
    try:
        tests = [_expression(e) for e in expressions]
    except (SelectorError, ValueError):
        return _never
    names = [_name_test(f) for f in fields]
    return lambda labels, name: all(t(labels) for t in tests) and all(t(name) for t in names)


def _never(labels: Mapping[str, str], name: str) -> bool:
    return False


def _expression(expression: Obj) -> Callable[[Mapping[str, str]], bool]:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    if operator in ("Gt", "Lt"):
        return _number_test(key, operator == "Gt", int(values[0]))
    selector: Selector = from_label_selector(
        {"matchExpressions": [{"key": key, "operator": _OPERATORS[operator], "values": values}]}
    )
    return selector.matches


def _number_test(key: str, greater: bool, bound: int) -> Callable[[Mapping[str, str]], bool]:
    def test(labels: Mapping[str, str]) -> bool:
        try:
            value = int(labels.get(key, ""))
        except ValueError:
            return False
        return value > bound if greater else value < bound

    return test


def _name_test(field: Obj) -> Callable[[str], bool]:
    """matchFields knows metadata.name with In and NotIn of one value."""
    names = frozenset(field.get("values") or ())
    if field["key"] != "metadata.name":
        return lambda name: False
    if field["operator"] == "In":
        return lambda name: name in names
    return lambda name: field["operator"] == "NotIn" and name not in names


def only_names(spec: Obj) -> frozenset[str] | None:
    """The nodes that the required terms name, if every term does; None: others may match too."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    if not terms:
        return None
    found: frozenset[str] = frozenset()
    for term in terms:
        named = [
            frozenset(f.get("values") or ())
            for f in term.get("matchFields") or ()
            if f["key"] == "metadata.name" and f["operator"] == "In"
        ]
        if not named:
            return None
        found |= frozenset.intersection(*named)
    return found
