"""From a parsed request to the function that answers it: dictionaries, no patterns.

`VERBS` serves objects and collections; `subresources.HANDLERS` what is special; everything else is 404 or 405.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache

from skiff.api.errors import StatusError, bad_request, status_error
from skiff.apiserver.call import Call
from skiff.apiserver.requestinfo import RequestInfo
from skiff.apiserver.served import Served
from skiff.apiserver.subresources import GENERIC, SPECIAL
from skiff.apiserver.verbs import create, delete, deletecollection, get, list, patch, update, watch
from skiff.apiserver.virtual import VIRTUAL
from skiff.wire.messages import Response

Verb = Callable[[Call], Awaitable[Response]]

CONNECT = frozenset(("log", "exec", "attach", "portforward", "proxy"))
"""Subresources that lead to nodes, pods and services: room connect/."""

VERBS: dict[str, Verb] = {
    "get": get.handle,
    "list": list.handle,
    "watch": watch.handle,
    "create": create.handle,
    "update": update.handle,
    "patch": patch.handle,
    "delete": delete.handle,
    "deletecollection": deletecollection.handle,
}


def find(served: Served | None, info: RequestInfo) -> Verb:
    """The verb's function. Raises 404, 405."""
    if served is None or not _scoped(served, info):
        raise no_such_path()
    if info.name in (".", ".."):
        raise bad_request(f"Name parameter invalid: \"{info.name}\": may not be '{info.name}'")
    if info.subresource:
        return _subresource(served, info)
    special = VIRTUAL.get((served.gvr.group, served.gvr.plural))
    verb = VERBS.get(info.verb) if special is None else special.get(info.verb)
    if verb is None or info.verb not in served.resource.verbs or not _placed(served, info):
        raise method_not_allowed()
    return verb


def _scoped(served: Served, info: RequestInfo) -> bool:
    """A namespace in the path exactly where the resource has one (a list over all has none)."""
    if served.gvr.namespaced:
        return bool(info.namespace) or not info.name or info.verb in ("list", "watch")  # named by a field selector
    return not info.namespace or served.gvr.plural == "namespaces"


def _placed(served: Served, info: RequestInfo) -> bool:
    """A new object goes to a collection, an existing one has a name; nothing is created over all namespaces."""
    if info.verb == "create":
        return not info.name and (bool(info.namespace) or not served.gvr.namespaced)
    if info.verb in ("update", "patch"):
        return bool(info.name)
    if info.verb == "deletecollection":
        return bool(info.namespace) or not served.gvr.namespaced
    return True


def _subresource(served: Served, info: RequestInfo) -> Verb:
    gvr = served.gvr
    special = SPECIAL.get((gvr.group, gvr.plural, info.subresource))
    if special is None and info.subresource in CONNECT:
        special = _connecting().get((gvr.group, gvr.plural, info.subresource))
    found = served.resource.subresource(info.subresource)
    if found is None or not info.name or (info.rest and info.subresource != "proxy"):
        raise no_such_path()
    if special is not None and info.verb in special:
        return special[info.verb]
    generic = GENERIC.get(info.subresource, {})
    if info.verb in found.verbs and info.verb in generic:
        return generic[info.verb]
    raise method_not_allowed()


@cache
def _connecting() -> Mapping[tuple[str, str, str], Mapping[str, Verb]]:
    """Imported when first asked for: much of it speaks protocols that an idle server does not need."""
    from skiff.apiserver.connect.handlers import SUBRESOURCES

    return SUBRESOURCES


def no_such_path() -> StatusError:
    return status_error(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    return status_error(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
