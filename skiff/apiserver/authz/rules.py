"""RBAC policy rules: does a rule allow a request, and does one set of rules cover another. Pure.

Source: upstream rbac/v1 evaluation_helpers.go and component-helpers auth/rbac/validation/policy_comparator.go.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from skiff.api.types import Obj
from skiff.apiserver.authz import Attributes


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule. Empty `names` means any name; `urls` are for non-resource requests."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()

    def allows(self, attrs: Attributes) -> bool:
        if attrs.verb not in self.verbs and "*" not in self.verbs:
            return False
        if not attrs.resource:
            return any(url_covers(url, attrs.path) for url in self.urls)
        return self._allows_resource(attrs) and (not self.names or attrs.name in self.names)

    def _allows_resource(self, attrs: Attributes) -> bool:
        if attrs.group not in self.groups and "*" not in self.groups:
            return False
        if "*" in self.resources:
            return True
        if not attrs.subresource:
            return attrs.resource in self.resources
        return f"{attrs.resource}/{attrs.subresource}" in self.resources or f"*/{attrs.subresource}" in self.resources


def from_obj(rule: Obj) -> Rule:
    fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    return Rule(*(frozenset(rule.get(f) or ()) for f in fields))


def compile_rules(rules: Sequence[Obj] | None) -> tuple[Rule, ...]:
    return tuple(from_obj(r) for r in rules or ())


def url_covers(owner: str, path: str) -> bool:
    """Whether a URL of a rule, which may end in "*", covers a path (or another such URL)."""
    return owner in ("*", path) or (owner.endswith("*") and path.startswith(owner.rstrip("*")))


def uncovered(owner: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted`, one verb and one resource each, that no rule of `owner` covers."""
    return [part for rule in wanted for part in _parts(rule) if not any(_covers(o, part) for o in owner)]


def _parts(rule: Rule) -> Iterator[Rule]:
    for group, resource, verb in product(sorted(rule.groups), sorted(rule.resources), sorted(rule.verbs)):
        for name in sorted(rule.names) or [""]:
            names = frozenset((name,)) if name else frozenset[str]()
            yield Rule(frozenset((verb,)), frozenset((group,)), frozenset((resource,)), names)
    for url, verb in product(sorted(rule.urls), sorted(rule.verbs)):
        yield Rule(frozenset((verb,)), urls=frozenset((url,)))


def _covers(owner: Rule, part: Rule) -> bool:
    if "*" not in owner.verbs and not part.verbs <= owner.verbs:
        return False
    if part.urls:
        return all(any(url_covers(o, url) for o in owner.urls) for url in part.urls)
    if "*" not in owner.groups and not part.groups <= owner.groups:
        return False
    if owner.names and not (part.names and part.names <= owner.names):
        return False
    return all(_covers_resource(owner.resources, r) for r in part.resources)


def _covers_resource(owner: frozenset[str], resource: str) -> bool:
    if "*" in owner or resource in owner:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owner


def describe(rule: Rule) -> str:
    """As upstream prints a rule in an escalation error."""
    parts = [
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.urls),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    ]
    return "{" + ", ".join(f"{name}:{go_strings(sorted(values))}" for name, values in parts if values) + "}"


def go_strings(values: Iterable[str]) -> str:
    """A Go string slice printed with %q: ["a" "b"]."""
    return "[" + " ".join(f'"{v}"' for v in values) + "]"
