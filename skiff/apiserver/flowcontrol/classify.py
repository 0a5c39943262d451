"""Which FlowSchema a request falls under: the schemas compiled to tests, in the order in which they are asked. Pure.

Source: upstream apiserver pkg/util/flowcontrol/rule.go.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from skiff.api.types import Obj
from skiff.apiserver.requestinfo import RequestInfo
from skiff.wire.messages import UserInfo

Test = Callable[[UserInfo, RequestInfo], bool]


@dataclass(frozen=True, slots=True)
class Schema:
    """distinguish: "", ByUser or ByNamespace."""

    name: str
    uid: str
    level: str
    precedence: int
    distinguish: str
    matches: Test

    def flow(self, user: UserInfo, info: RequestInfo) -> int:
        """The hash of the flow that the request belongs to."""
        which = {"ByUser": user.name, "ByNamespace": info.namespace}.get(self.distinguish, "")
        return int.from_bytes(hashlib.sha256(f"{self.name}\0{which}".encode()).digest()[:8], "little")


def compile_schema(obj: Obj) -> Schema:
    meta, spec = obj["metadata"], obj["spec"]
    return Schema(
        meta["name"],
        meta.get("uid", ""),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 1000),
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        _any([_rule(r) for r in spec.get("rules") or ()]),
    )


def ordered(schemas: Iterable[Schema]) -> list[Schema]:
    return sorted(schemas, key=lambda s: (s.precedence, s.name))


def find(schemas: Sequence[Schema], levels: Mapping[str, object], user: UserInfo, info: RequestInfo) -> Schema | None:
    """The first that matches and whose level exists."""
    return next((s for s in schemas if s.level in levels and s.matches(user, info)), None)


def _any(tests: Sequence[Test]) -> Test:
    return lambda user, info: any(test(user, info) for test in tests)


def _rule(rule: Obj) -> Test:
    subjects = _any([_subject(s) for s in rule.get("subjects") or ()])
    resources = _any([_resource(r) for r in rule.get("resourceRules") or ()])
    paths = _any([_path(r) for r in rule.get("nonResourceRules") or ()])
    return lambda user, info: subjects(user, info) and (resources if info.resource else paths)(user, info)


def _subject(subject: Obj) -> Test:
    kind = subject.get("kind")
    if kind == "User":
        name = (subject.get("user") or {}).get("name", "")
        return lambda user, info: name in ("*", user.name)
    if kind == "Group":
        name = (subject.get("group") or {}).get("name", "")
        return lambda user, info: name == "*" or name in user.groups
    account = subject.get("serviceAccount") or {}
    prefix, name = f"system:serviceaccount:{account.get('namespace', '')}:", account.get("name", "")
    if name == "*":
        return lambda user, info: user.name.startswith(prefix)
    return lambda user, info: user.name == prefix + name


def _resource(rule: Obj) -> Test:
    verbs, groups, resources = _set(rule, "verbs"), _set(rule, "apiGroups"), _set(rule, "resources")
    namespaces, cluster = _set(rule, "namespaces"), bool(rule.get("clusterScope"))

    def test(user: UserInfo, info: RequestInfo) -> bool:
        if not (_in(verbs, info.verb) and _in(groups, info.group)):
            return False
        named = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        if not _in(resources, named):
            return False
        return _in(namespaces, info.namespace) if info.namespace else cluster

    return test


def _path(rule: Obj) -> Test:
    verbs, exact = _set(rule, "verbs"), _set(rule, "nonResourceURLs")
    prefixes = tuple(u[:-1] for u in exact if u.endswith("*"))

    def test(user: UserInfo, info: RequestInfo) -> bool:
        return _in(verbs, info.verb) and (info.path in exact or info.path.startswith(prefixes))

    return test


def _set(rule: Obj, name: str) -> frozenset[str]:
    return frozenset(rule.get(name) or ())


def _in(wanted: frozenset[str], found: str) -> bool:
    return found in wanted or "*" in wanted
