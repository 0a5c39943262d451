"""What is served, told to clients: /api, /apis and below, in the old form and the aggregated one (v2), as JSON or protobuf.

Made from the registry's table when first asked for and again after the table has changed. Source: upstream
apiserver pkg/endpoints/discovery; api/discovery in the Kubernetes repository holds examples.
"""

import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any

from skiff.api.resources import Resource, Subresource
from skiff.api.types import Obj
from skiff.apiserver import negotiation
from skiff.apiserver.negotiation import Accepted
from skiff.apiserver.registry import Registry
from skiff.wire.messages import Request, Response

Answer = Callable[[Request], Awaitable[Response]]

AGGREGATED = "apidiscovery.k8s.io"


class Discovery:
    def __init__(self, registry: Registry):
        self._registry = registry
        self._made_for = -1
        self._documents: dict[str, Obj] = {}
        self._aggregated: dict[tuple[str, str], tuple[str, bytes]] = {}  # by path and media

    def _current(self) -> dict[str, Obj]:
        if self._made_for != self._registry.generation:
            self._documents = documents(self._registry)
            self._aggregated.clear()
            self._made_for = self._registry.generation
        return self._documents

    def paths(self) -> list[str]:
        return [p for p in self._current() if p not in ("/api", "/apis")]

    def find(self, path: str) -> Answer | None:
        document = self._current().get(path)
        if document is None:
            return None

        async def answer(request: Request) -> Response:
            how = negotiation.accepted(request, protobuf=True)
            return negotiation.respond(request, how, negotiation.dump(document, how))

        return answer

    async def core(self, request: Request) -> Response:
        return self._root(request, "/api")

    async def groups(self, request: Request) -> Response:
        return self._root(request, "/apis")

    def _root(self, request: Request, path: str) -> Response:
        documents = self._current()
        media = aggregated_media(request.headers.get("accept", ""))
        if media is None:
            how = _accepted(request)
            return negotiation.respond(request, how, negotiation.dump(documents[path], how))
        etag, body = self._aggregate(path, media)
        headers = {"etag": etag, "vary": "Accept", "cache-control": "public"}
        if request.headers.get("if-none-match", "") == etag:
            return Response(304, headers)
        response = negotiation.respond(request, negotiation.PLAIN, body)
        response.headers |= headers
        response.headers["content-type"] = f"{media};g={AGGREGATED};v=v2;as=APIGroupDiscoveryList"
        return response

    def _aggregate(self, path: str, media: str) -> tuple[str, bytes]:
        found = self._aggregated.get((path, media))
        if found is None:
            body = negotiation.dump(aggregated(self._registry, path == "/api"), Accepted(media))
            etag = '"' + hashlib.sha256(body).hexdigest().upper() + '"'
            found = self._aggregated[(path, media)] = (etag, body)
        return found


def _accepted(request: Request) -> Accepted:
    """As for objects; who asks for the aggregated form in a version unknown here as well gets the old one. Raises 406."""
    header = request.headers.get("accept", "")
    plain = ",".join(c for c in header.split(",") if AGGREGATED not in c)
    found = negotiation.negotiate(plain or header, protobuf=True) if header else negotiation.PLAIN
    return Accepted(found.media, pretty=negotiation.wants_pretty(request))


def aggregated_media(accept: str) -> str | None:
    """The encoding of the aggregated form, if the client prefers that form to the old one."""
    if AGGREGATED not in accept:
        return None
    for name, params in negotiation.clauses(accept):
        media = negotiation.media_of(name)
        if media not in (negotiation.JSON, negotiation.PROTOBUF):
            continue
        if "as" not in params:
            return None
        if (params["as"], params.get("g"), params.get("v")) == ("APIGroupDiscoveryList", AGGREGATED, "v2"):
            return media
    return None


# --- the old form


def documents(registry: Registry) -> dict[str, Obj]:
    """Path → document of the old form."""
    groups = _groups(registry)
    found: dict[str, Obj] = {
        "/api": {
            "kind": "APIVersions",
            "versions": groups.pop("", []),
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
        },
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g, v) for g, v in groups.items()]},
    }
    for group, versions in groups.items():
        found[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}
    for (group, version), plurals in registry.table.items():
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        resources = [r for s in _sorted(plurals) for r in _listed(s)]
        head = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}  # upstream's oldest has none
        found[root] = {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}
    return found


def _sorted(plurals: dict[str, Any]) -> list[Resource]:
    return [plurals[name].resource for name in sorted(plurals)]


def _groups(registry: Registry) -> dict[str, list[str]]:
    """Group → versions, most preferred first."""
    groups: dict[str, list[str]] = {}
    for group, version in {**registry.table, **registry.remote}:
        groups.setdefault(group, []).append(version)
    return {g: sorted(v, key=version_order) for g, v in groups.items()}


def version_order(version: str) -> tuple[int, int, int, str]:
    """GA before beta before alpha, higher numbers first (upstream's CompareKubeAwareVersionStrings)."""
    rest = version.removeprefix("v")
    for rank, word in ((1, "beta"), (2, "alpha")):
        major, found, minor = rest.partition(word)
        if found and major.isdigit() and minor.isdigit():
            return (rank, -int(major), -int(minor), "")
    return (0, -int(rest), 0, "") if rest.isdigit() else (3, 0, 0, version)


def _group(group: str, versions: list[str]) -> Obj:
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _verbs(resource: Resource) -> list[str]:
    """In upstream's order: it sorts those of built-in resources only."""
    return sorted(resource.verbs, key=CUSTOM_VERBS.index) if resource.custom else sorted(resource.verbs)


CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def _listed(resource: Resource) -> list[Obj]:
    """The APIResource entries of a resource and of its subresources."""
    gvr = resource.gvr
    entry: Obj = {
        "name": gvr.plural,
        "singularName": resource.singular,
        "namespaced": gvr.namespaced,
        "kind": gvr.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if "list" in resource.verbs and "create" in resource.verbs:
        entry["storageVersionHash"] = _hash(resource)
    return [entry, *[_listed_subresource(resource, s) for s in sorted(resource.subresources, key=lambda s: s.name)]]


STORED_EARLIER = frozenset(
    ("customresourcedefinitions", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
)
"""Kinds that upstream stores as v1beta1 still, which clients can tell by the hash."""


def _hash(resource: Resource) -> str:
    stored = resource.storage or resource.gvr
    version = "v1beta1" if stored.plural in STORED_EARLIER else stored.version
    digest = hashlib.sha256(f"{stored.group}/{version}/{stored.kind}".encode()).digest()
    return b64encode(digest[:8]).decode()


def _listed_subresource(resource: Resource, subresource: Subresource) -> Obj:
    entry: Obj = {
        "name": f"{resource.gvr.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.gvr.namespaced,
    }
    if subresource.group or subresource.version:
        entry |= {"group": subresource.group, "version": subresource.version}
    return {**entry, "kind": subresource.kind or resource.gvr.kind, "verbs": sorted(subresource.verbs)}


# --- the aggregated form


def aggregated(registry: Registry, core: bool) -> Obj:
    groups = _groups(registry)
    wanted = [g for g in groups if (g == "") is core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{AGGREGATED}/v2",
        "metadata": {},
        "items": [_group_discovery(registry, g, groups[g]) for g in wanted],
    }


def _group_discovery(registry: Registry, group: str, versions: list[str]) -> Obj:
    listed = [_version_discovery(registry, group, v) for v in versions]
    return {"metadata": {"name": group} if group else {}, "versions": listed}


def _version_discovery(registry: Registry, group: str, version: str) -> Obj:
    remote = registry.remote.get((group, version))
    if remote is not None:
        resources = remote_resources(group, version, remote.resources)
        return {"version": version, "resources": resources, "freshness": "Current" if remote.available else "Stale"}
    resources = [_resource_discovery(r) for r in _sorted(registry.table[(group, version)])]
    return {"version": version, "resources": resources, "freshness": "Current"}


def remote_resources(group: str, version: str, listed: list[Obj]) -> list[Obj]:
    """The entries of another server's APIResourceList in the aggregated form."""
    found: dict[str, Obj] = {}
    for entry in sorted(listed, key=lambda e: e["name"].count("/")):
        plural, _, below = entry["name"].partition("/")
        kind = {"group": entry.get("group") or group, "version": entry.get("version") or version}
        kind["kind"] = entry.get("kind", "")
        verbs = entry.get("verbs") or []
        if below and plural in found:
            part = {"subresource": below, "responseKind": kind, "verbs": verbs}
            found[plural].setdefault("subresources", []).append(part)
        elif not below:
            names = {k: entry[k] for k in ("shortNames", "categories") if entry.get(k)}
            found[plural] = {
                "resource": plural,
                "responseKind": kind,
                "scope": "Namespaced" if entry.get("namespaced") else "Cluster",
                "singularResource": entry.get("singularName", ""),
                "verbs": verbs,
                **names,
            }
    return list(found.values())


def _resource_discovery(resource: Resource) -> Obj:
    gvr = resource.gvr
    entry: Obj = {
        "resource": gvr.plural,
        "responseKind": _response_kind(resource, gvr.kind),
        "scope": "Namespaced" if gvr.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        ordered = sorted(resource.subresources, key=lambda s: s.name)
        entry["subresources"] = [_subresource_discovery(resource, s) for s in ordered]
    return entry


def _subresource_discovery(resource: Resource, subresource: Subresource) -> Obj:
    kind = _response_kind(resource, subresource.kind or resource.gvr.kind, subresource.group, subresource.version)
    return {"subresource": subresource.name, "responseKind": kind, "verbs": sorted(subresource.verbs)}


def _response_kind(resource: Resource, kind: str, group: str = "", version: str = "") -> Obj:
    """A built-in kind's own group and version go without saying (upstream's installer leaves them empty)."""
    if resource.custom and not version:
        group, version = resource.gvr.group, resource.gvr.version
    return {"group": group, "version": version, "kind": kind}
