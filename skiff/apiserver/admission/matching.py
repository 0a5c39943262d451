"""What a webhook or a policy is about: rules over resources and operations, and selectors of namespaces and objects.

Criteria are compiled once from a configuration; `Matcher.match` holds a request against them. With matchPolicy
`Equivalent` a rule for another version of the same objects counts too, and the request is then shown in that version.
Source: apiserver pkg/admission/plugin/webhook/predicates and plugin/policy/matching.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skiff.api.errors import not_found
from skiff.api.gvr import NAMESPACES
from skiff.api.selectors import EVERYTHING, Selector, from_label_selector
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.lookup import Lookup

GROUP = "admissionregistration.k8s.io"
EXEMPT = frozenset(
    f"{plural}.{GROUP}"
    for plural in (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )
)
"""Group resources that no webhook and no policy sees: who locks himself out must be able to mend it."""

Equivalents = Callable[[GVR], Sequence[GVR]]
"""All versions in which the objects of a resource are served."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A RuleWithOperations, or a NamedRuleWithOperations (names: of objects, empty: any)."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    scope: str
    names: frozenset[str]

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Rule":
        split = (r.partition("/") for r in rule.get("resources") or ())
        return cls(
            frozenset(rule.get("operations") or ()),
            frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("apiVersions") or ()),
            tuple((resource, subresource) for resource, _, subresource in split),
            rule.get("scope") or "*",
            frozenset(rule.get("resourceNames") or ()),
        )

    def matches(self, attrs: Attributes, gvr: GVR) -> bool:
        """gvr: the request's resource, or an equivalent of it."""
        return (
            _has(self.operations, attrs.operation)
            and _has(self.groups, gvr.group)
            and _has(self.versions, gvr.version)
            and any(r in ("*", gvr.plural) and s in ("*", attrs.subresource) for r, s in self.resources)
            and self._in_scope(attrs, gvr)
            and (not self.names or attrs.name in self.names)
        )

    def _in_scope(self, attrs: Attributes, gvr: GVR) -> bool:
        """A request for a namespace itself carries its name as its namespace, but is of the cluster."""
        cluster = not attrs.namespace or gvr.group_resource == "namespaces"
        return self.scope == "*" or (self.scope == "Cluster") == cluster


def _has(words: frozenset[str], word: str) -> bool:
    return word in words or "*" in words


@dataclass(frozen=True, slots=True)
class Criteria:
    """rules: one must match; None: every request does. exclude: none may match."""

    rules: tuple[Rule, ...] | None
    exclude: tuple[Rule, ...]
    namespaces: Selector
    objects: Selector
    equivalent: bool

    @classmethod
    def of_webhook(cls, webhook: Mapping[str, Any]) -> "Criteria":
        """Of a webhook in a configuration. Raises SelectorError."""
        return cls(
            tuple(map(Rule.of, webhook.get("rules") or ())),
            (),
            _selector(webhook.get("namespaceSelector")),
            _selector(webhook.get("objectSelector")),
            webhook.get("matchPolicy") == "Equivalent",
        )

    @classmethod
    def of_resources(cls, resources: Mapping[str, Any]) -> "Criteria":
        """Of a policy's matchConstraints or a binding's matchResources. Raises SelectorError."""
        rules = resources.get("resourceRules")
        return cls(
            tuple(map(Rule.of, rules)) if rules else None,
            tuple(map(Rule.of, resources.get("excludeResourceRules") or ())),
            _selector(resources.get("namespaceSelector")),
            _selector(resources.get("objectSelector")),
            resources.get("matchPolicy") == "Equivalent",
        )


def _selector(selector: Mapping[str, Any] | None) -> Selector:
    return EVERYTHING if selector is None else from_label_selector(selector)


class Matcher:
    def __init__(self, lookup: Lookup, equivalents: Equivalents):
        self._lookup = lookup
        self._equivalents = equivalents

    async def match(self, criteria: Criteria, attrs: Attributes) -> GVR | None:
        """In which version the request is meant, None if it is not. Raises 404 for a namespace that is missing."""
        if not criteria.objects.empty and not _selects(criteria.objects, attrs):
            return None
        if self._rule(criteria.exclude, attrs, criteria.equivalent) is not None:
            return None
        found = attrs.gvr if criteria.rules is None else self._rule(criteria.rules, attrs, criteria.equivalent)
        if found is None or not await self._in_namespace(criteria.namespaces, attrs):
            return None
        return found

    def _rule(self, rules: Sequence[Rule], attrs: Attributes, equivalent: bool) -> GVR | None:
        if any(rule.matches(attrs, attrs.gvr) for rule in rules):
            return attrs.gvr
        if not equivalent or not rules:
            return None
        others = [gvr for gvr in self._equivalents(attrs.gvr) if gvr != attrs.gvr]
        return next((gvr for rule in rules for gvr in others if rule.matches(attrs, gvr)), None)

    async def _in_namespace(self, selector: Selector, attrs: Attributes) -> bool:
        is_namespace = attrs.gvr.group_resource == "namespaces"
        if selector.empty or not (attrs.namespace or is_namespace):
            return True
        if is_namespace and not attrs.subresource and attrs.operation in ("CREATE", "UPDATE"):
            return selector.matches(_labels(attrs.obj))  # nobody else has its new labels yet
        namespace = await self.namespace(attrs.namespace)
        if namespace is None:
            raise not_found(NAMESPACES, attrs.namespace)
        return selector.matches(_labels(namespace))

    async def namespace(self, name: str) -> Obj | None:
        """The namespace object, asked of the store when the cache has none yet."""
        return self._lookup.get(NAMESPACES, "", name) or await self._lookup.fresh(NAMESPACES, "", name)


def _selects(selector: Selector, attrs: Attributes) -> bool:
    return any(obj is not None and selector.matches(_labels(obj)) for obj in (attrs.obj, attrs.old))


def _labels(obj: Obj | None) -> dict[str, str] | None:
    return ((obj or {}).get("metadata") or {}).get("labels")
