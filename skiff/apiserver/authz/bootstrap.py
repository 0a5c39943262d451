"""The roles and bindings that a cluster starts with: read from bootstrap.txt, brought into the cluster at each start.

Reconciling only ever adds (missing objects, rules, subjects, labels), leaves alone what carries
`rbac.authorization.kubernetes.io/autoupdate: "false"`, and remakes a binding whose role differs, as upstream does
(component-helpers auth/rbac/reconciliation). Aggregated roles get their first rules here; later the controller keeps them.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skiff.api.errors import is_already_exists, is_conflict, is_not_found
from skiff.api.gvr import NAMESPACES
from skiff.api.types import GVR, Obj
from skiff.apiserver.authz.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, GROUP, ROLEBINDINGS, ROLES
from skiff.apiserver.authz.rules import Rule, compile_rules, from_obj, uncovered
from skiff.client.rest import Client

TABLE = Path(__file__).with_name("bootstrap.txt")
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
SYSTEM_NAMESPACES = ("kube-system", "kube-public")
AT_A_TIME = 32
ATTEMPTS = 5

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_VERBS = {"READ": _READ, "WRITE": _WRITE, "ALL": (*_READ, *_WRITE)}


@dataclass(slots=True)
class Policy:
    """Everything the table says, as objects ready to be created."""

    cluster_roles: dict[str, Obj] = field(default_factory=dict)
    roles: list[Obj] = field(default_factory=list)
    bindings: list[Obj] = field(default_factory=list)

    def objects(self) -> Iterator[tuple[GVR, Obj]]:
        """Roles before the bindings that refer to them."""
        for obj in (*self.cluster_roles.values(), *self.roles, *self.bindings):
            yield _BY_KIND[obj["kind"]], obj


_BY_KIND = {g.kind: g for g in (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS)}


def load() -> Policy:
    """The table of this release."""
    return parse(TABLE.read_text())


def node_rules() -> tuple[Rule, ...]:
    """What a kubelet may do besides what the node authorizer decides by itself (role system:node)."""
    return compile_rules(load().cluster_roles["system:node"]["rules"])


def parse(text: str) -> Policy:
    policy = Policy()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if line.startswith("role "):
            rules = _add_role(policy, words[1], words[2:])
        elif line.startswith("bind "):
            policy.bindings.append(_binding(words[1], words[2:]))
        else:
            rules.append(_rule(words))
    _aggregate(policy)
    return policy


def _head(kind: str, full_name: str) -> Obj:
    namespace, _, name = full_name.rpartition("/")
    meta = {"name": name, "labels": dict(LABELS), "annotations": {AUTOUPDATE: "true"}}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": f"{GROUP}/v1", "kind": kind if namespace else f"Cluster{kind}", "metadata": meta}


def _add_role(policy: Policy, full_name: str, marks: Sequence[str]) -> list[Obj]:
    """Returns the list that the following lines fill."""
    rules: list[Obj] = []
    role = _head("Role", full_name)
    role["rules"] = rules
    for mark in marks:
        if mark[0] == "+":
            role["metadata"]["labels"][AGGREGATE + mark[1:]] = "true"
        else:
            role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE + mark[1:]: "true"}}]}
    if role["kind"] == "Role":
        policy.roles.append(role)
    else:
        policy.cluster_roles[full_name] = role
    return rules


def _rule(words: Sequence[str]) -> Obj:
    verbs = list(_VERBS.get(words[0]) or words[0].split(","))
    if words[1] == "url":
        return {"verbs": verbs, "nonResourceURLs": words[2].split(",")}
    groups = ["" if g == "core" else g for g in words[1].split(",")]
    rule: Obj = {"verbs": verbs, "apiGroups": groups, "resources": words[2].split(",")}
    if len(words) > 3:
        rule["resourceNames"] = words[3].split(",")
    return rule


def _binding(full_name: str, words: Sequence[str]) -> Obj:
    binding = _head("RoleBinding", full_name)
    name = binding["metadata"]["name"]
    subjects = [_subject(w) for w in words if not w.startswith("->")]
    role = next((w[2:] for w in words if w.startswith("->")), name)
    kind = "Role" if binding["kind"] == "RoleBinding" else "ClusterRole"
    binding["roleRef"] = {"apiGroup": GROUP, "kind": kind, "name": role}
    if subjects:
        binding["subjects"] = subjects
    return binding


def _subject(word: str) -> Obj:
    kind, _, name = word.partition(":")
    if kind == "sa":
        namespace, _, name = name.partition("/")
        return {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    return {"kind": kind.capitalize(), "apiGroup": GROUP, "name": name}


def _aggregate(policy: Policy) -> None:
    """Fills the aggregated roles, the innermost first (view is part of edit, edit of admin)."""
    for name in ("view", "edit", "admin"):
        for other_name, other in policy.cluster_roles.items():
            if other_name != name and f"{AGGREGATE}{name}" in other["metadata"]["labels"]:
                _add_rules(policy.cluster_roles[name]["rules"], other["rules"])


def _add_rules(rules: list[Obj], more: Iterable[Obj]) -> None:
    rules += [r for r in more if r not in rules]


# into the cluster


async def reconcile(client: Client) -> None:
    """Brings all of it into the cluster; on an empty one that is some 150 creations, a few at a time. Raises StatusError."""
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(gvr: GVR, obj: Obj) -> None:
        async with slots:
            await _ensure(client, gvr, obj)

    for namespace in SYSTEM_NAMESPACES:
        await _ensure_namespace(client, namespace)
    async with asyncio.TaskGroup() as group:
        for gvr, obj in load().objects():
            group.create_task(one(gvr, obj))


async def _ensure_namespace(client: Client, name: str) -> None:
    try:
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    except Exception as error:
        if not is_already_exists(error):
            raise


async def _ensure(client: Client, gvr: GVR, wanted: Obj) -> None:
    """Create, or add what is missing; again when someone else was faster."""
    meta = wanted["metadata"]
    name, namespace = meta["name"], meta.get("namespace", "")
    for attempt in range(ATTEMPTS):
        try:
            try:
                existing = await client.get(gvr, name, namespace)
            except Exception as error:
                if not is_not_found(error):
                    raise
                await client.create(gvr, wanted, namespace)
                return
            await _improve(client, gvr, existing, wanted)
            return
        except Exception as error:
            if attempt == ATTEMPTS - 1 or not (is_conflict(error) or is_already_exists(error)):
                raise


async def _improve(client: Client, gvr: GVR, existing: Obj, wanted: Obj) -> None:
    annotations = existing["metadata"].get("annotations") or {}
    if annotations.get(AUTOUPDATE) == "false":
        return
    if "roleRef" in wanted and existing.get("roleRef") != wanted["roleRef"]:
        meta = existing["metadata"]
        await client.delete(gvr, meta["name"], meta.get("namespace", ""), uid=meta["uid"])
        await client.create(gvr, wanted, meta.get("namespace", ""))
        return
    improved = merged(existing, wanted)
    if improved != existing:
        await client.update(gvr, improved)


def merged(existing: Obj, wanted: Obj) -> Obj:
    """`existing` with what it lacks of `wanted`: labels, annotations, rules that its own do not cover, subjects."""
    meta = dict(existing["metadata"])
    for part in ("labels", "annotations"):
        meta[part] = {**wanted["metadata"][part], **(meta.get(part) or {})}
    out = {**existing, "metadata": meta}
    if "aggregationRule" in wanted:
        out["aggregationRule"] = existing.get("aggregationRule") or wanted["aggregationRule"]
    elif "rules" in wanted:
        owner = compile_rules(existing.get("rules"))
        missing = [r for r in wanted["rules"] if uncovered(owner, [from_obj(r)])]
        if missing:
            out["rules"] = [*(existing.get("rules") or ()), *missing]
    if wanted.get("subjects"):
        subjects = existing.get("subjects") or []
        missing = [s for s in wanted["subjects"] if s not in subjects]
        if missing:
            out["subjects"] = [*subjects, *missing]
    return out
