"""The status of ValidatingAdmissionPolicies: what their expressions get wrong about the types of what they are about.

What knows CEL and all built-in kinds is loaded with the first policy: most clusters have none, and it takes 5 MB. Source: upstream pkg/controller/validatingadmissionpolicystatus.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import orjson

from skiff.api.gvr import VALIDATINGADMISSIONPOLICIES as POLICIES
from skiff.api.types import GVR, Obj
from skiff.client.controller import Key, Watch, key_of
from skiff.client.discovery import discover
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.wire.messages import Request

if TYPE_CHECKING:
    from skiff.api.resources.policy_types import Schema

MANAGER = "validatingadmissionpolicy-status-controller"
_REFERENCE = "#/components/schemas/"


class PolicyStatusController:
    name = MANAGER
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._policies = informers.get(POLICIES)

    def watches(self) -> list[Watch]:
        return [Watch(POLICIES, self._changed)]

    def _changed(self, change: Change) -> Iterable[Key]:
        return [key_of(change.new)] if change.new is not None else []

    async def reconcile(self, key: Key) -> float | None:
        policy = self._policies.get("", key)
        if policy is None:
            return None
        generation = policy["metadata"].get("generation", 0)
        if generation <= (policy.get("status") or {}).get("observedGeneration", 0):
            return None
        warnings = await self._warnings(policy.get("spec") or {})
        wanted = {
            "apiVersion": POLICIES.api_version,
            "kind": POLICIES.kind,
            "metadata": {"name": key},
            "status": {
                "observedGeneration": generation,
                "typeChecking": {"expressionWarnings": warnings} if warnings else {},
            },
        }
        await self._client.apply(POLICIES, wanted, field_manager=MANAGER, force=True, subresource="status")
        return None

    async def _warnings(self, spec: Obj) -> list[Obj]:
        from skiff.api.resources import policy_types

        kinds = []
        for gvr in await self._kinds(spec):
            if (schema := await self._schema(gvr.api_version, gvr.kind)) is not None:
                kinds.append((gvr.api_version, gvr.kind, schema))
        param = spec.get("paramKind")
        params = await self._schema(param.get("apiVersion", ""), param.get("kind", "")) if param else None
        return policy_types.expression_warnings(spec, kinds, params)

    async def _kinds(self, spec: Obj) -> list[GVR]:
        """What the policy names without wildcards, sorted; a rule is followed until there are enough."""
        from skiff.api.resources.builtin import RESOURCES
        from skiff.api.resources.policy_types import MOST_KINDS

        found: set[GVR] = set()
        others: list[GVR] | None = None
        for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
            count = 0
            for wanted in _named(rule):
                kinds = _matching(wanted, [r.gvr for r in RESOURCES])
                if not kinds:
                    others = [*(await discover(self._client)).kinds.values()] if others is None else others
                    kinds = _matching(wanted, others)
                for gvr in kinds:
                    found.add(gvr)
                    count += 1
                    if count == MOST_KINDS:
                        return _ordered(found)
        return _ordered(found)

    async def _schema(self, api_version: str, kind: str) -> "Schema | None":
        """Of a kind; None: it is not known."""
        from skiff.api.resources import policy_types
        from skiff.api.resources.builtin import RESOURCES

        builtin = next((r for r in RESOURCES if (r.gvr.api_version, r.gvr.kind) == (api_version, kind)), None)
        if builtin is not None:
            return policy_types.builtin_schema(builtin.schema)
        path = f"/openapi/v3/{'apis' if '/' in api_version else 'api'}/{api_version}"
        response = await self._client.raw(Request("GET", path, headers={"accept": "application/json"}, raw_path=path))
        if response.status != 200:
            return None
        definitions: Mapping[str, Schema] = orjson.loads(response.body).get("components", {}).get("schemas", {})
        group, _, version = api_version.rpartition("/")
        wanted = {"group": group, "version": version, "kind": kind}
        for schema in definitions.values():
            if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
                return policy_types.resolved(schema, definitions, _REFERENCE)
        return None


def _named(rule: Obj) -> Iterable[tuple[str, str, str]]:
    """(group, version, plural) of a rule, if it names its groups and versions."""
    groups, versions = sorted(rule.get("apiGroups") or ()), sorted(rule.get("apiVersions") or ())
    plurals = sorted(r for r in rule.get("resources") or () if "*" not in r and "/" not in r)
    if any("*" in name for name in (*groups, *versions)):
        return []
    return [(group, version, plural) for group in groups for version in versions for plural in plurals]


def _matching(wanted: tuple[str, str, str], resources: Iterable[GVR]) -> list[GVR]:
    """The core group stands for any: its name is empty. A resource may be named in the singular."""
    group, version, name = wanted
    return [
        r for r in resources if r.version == version and name in (r.plural, r.kind.lower()) and group in ("", r.group)
    ]


def _ordered(found: set[GVR]) -> list[GVR]:
    kinds = {(g.group, g.version, g.kind): g for g in found}
    return [gvr for _, gvr in sorted(kinds.items())]
