"""What an API server serves: every resource in its group's preferred version, asked for in one request per root.

Source: the aggregated discovery document (apidiscovery.k8s.io/v2 APIGroupDiscoveryList).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from skiff.api.errors import status_error
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client
from skiff.wire.messages import Request

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Served:
    """resources: with the verbs that each supports, in the server's order. stale: `group/version` of what could not be
    asked for now, because the server behind it does not answer. kinds: (apiVersion, kind) → the resource, in every
    version."""

    resources: tuple[tuple[GVR, frozenset[str]], ...] = ()
    stale: tuple[str, ...] = ()
    kinds: Mapping[tuple[str, str], GVR] = field(default_factory=dict)

    def supporting(self, *verbs: str) -> list[GVR]:
        return [gvr for gvr, known in self.resources if known.issuperset(verbs)]


async def discover(client: Client) -> Served:
    """Raises StatusError when the server refuses, ConnectionError when it cannot be reached."""
    groups: list[Obj] = []
    for root in ("/api", "/apis"):
        response = await client.raw(Request("GET", root, headers={"accept": ACCEPT}, raw_path=root))
        document = orjson.loads(response.body) if response.status == 200 else {}
        if document.get("kind") != "APIGroupDiscoveryList":
            raise status_error(response.status, "", f"{root} gave no discovery document")
        groups += document.get("items") or []
    return read(groups)


def read(groups: Iterable[Obj]) -> Served:
    """From the items of discovery documents. A resource counts once, in the first version that has it."""
    found: dict[tuple[str, str], tuple[GVR, frozenset[str]]] = {}
    stale: list[str] = []
    kinds: dict[tuple[str, str], GVR] = {}
    for group in groups:
        name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                stale.append(f"{name}/{version['version']}" if name else version["version"])
            for resource in version.get("resources") or ():
                kind = (resource.get("responseKind") or {}).get("kind", "")
                namespaced = resource.get("scope") == "Namespaced"
                gvr = GVR(name, version["version"], resource["resource"], kind, namespaced)
                kinds.setdefault((gvr.api_version, kind), gvr)
                found.setdefault((name, gvr.plural), (gvr, frozenset(resource.get("verbs") or ())))
    return Served(tuple(found.values()), tuple(stale), kinds)
