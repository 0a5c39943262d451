"""What a request asks for, read off its method and path: the attributes that authorization, audit and routing share.

Pure. Source: upstream apiserver pkg/endpoints/request/requestinfo.go.
"""

from dataclasses import dataclass, replace

_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))


@dataclass(slots=True)
class RequestInfo:
    """verb: of the API for a resource, the lower-case method otherwise. resource "": not a resource request.

    rest: path segments after the subresource (of proxies), joined by "/", with a leading one if not empty.
    Shared by requests once it is parsed: never changed then.
    """

    path: str
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""

    @property
    def is_object(self) -> bool:
        """Of objects like it in the same collection only path and name differ (a namespace is its own namespace)."""
        return bool(self.name) and not self.subresource and self.resource != "namespaces"

    def named(self, path: str, name: str) -> "RequestInfo":
        """The same of another object of the collection."""
        return RequestInfo(path, self.verb, self.group, self.version, self.namespace, self.resource, "", name)


def parse(method: str, path: str) -> RequestInfo:
    """Whether list or watch is meant rather than get depends on the query too: see `refined`."""
    info = RequestInfo(path, method.lower())
    parts = path.split("/")
    if len(parts) > 3 and parts[1] == "api":
        info.version = parts[2]
        tail = parts[3:]
    elif len(parts) > 4 and parts[1] == "apis":
        info.group, info.version = parts[2], parts[3]
        tail = parts[4:]
    else:
        return info
    while tail and not tail[-1] and "proxy" not in tail:
        tail.pop()
    if tail and "" not in tail[:5]:
        info.verb = _VERBS.get(method, "")
        _resource(info, tail)
    return info


def _resource(info: RequestInfo, tail: list[str]) -> None:
    if tail[0] == "watch" and len(tail) > 1:
        info.verb = "watch"
        tail = tail[1:]
    if tail[0] == "namespaces" and len(tail) > 1:
        info.namespace = tail[1]
        if len(tail) > 2 and tail[2] not in _NAMESPACE_SUBRESOURCES:
            tail = tail[2:]
    count = len(tail)
    info.resource = tail[0]
    if count > 1:
        info.name = tail[1]
    if count > 2:
        info.subresource = tail[2]
    if count > 3:
        info.rest = "/" + "/".join(tail[3:])
    if not info.name:
        if info.verb == "get":
            info.verb = "list"
        elif info.verb == "delete":
            info.verb = "deletecollection"


def refined(info: RequestInfo, watch: bool, field_name: str | None) -> RequestInfo:
    """For a query: `watch=true` makes a list a watch; a field selector metadata.name=x names the object."""
    if info.verb not in ("list", "watch", "deletecollection"):
        return info
    verb = "watch" if watch and info.verb == "list" else info.verb
    name = info.name or field_name or ""
    return info if (verb, name) == (info.verb, info.name) else replace(info, verb=verb, name=name)
