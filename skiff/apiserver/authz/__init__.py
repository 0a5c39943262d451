"""Authorization: may this user do this. One module per authorizer, asked in order; the first opinion decides.

`Authorization.authorize` answers a request's attributes; `forbidden_error` words the refusal as upstream does. Each
decision names the authorizer and the rule that led to it, so that `why` can tell.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from skiff.api.errors import StatusError, forbidden
from skiff.api.types import GVR
from skiff.wire.messages import UserInfo


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked for. verb: get, list, watch, create, update, patch, delete, deletecollection, impersonate, bind, ...
    or the lower-case HTTP method for a non-resource path. resource "" means a non-resource request for `path`.
    field_selector: of a list, watch or deletecollection, as sent; some authorizers allow only a narrowed one."""

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


@dataclass(frozen=True, slots=True)
class Decision:
    """verdict "none" is no opinion. reason: a sentence for the user. by: which authorizer decided. rule: what in it.
    general: the same holds for every object of the resource in the namespace, until the authorizer says `changed`."""

    verdict: Literal["allow", "deny", "none"]
    reason: str = ""
    by: str = ""
    rule: str = ""
    general: bool = False

    @property
    def allowed(self) -> bool:
        return self.verdict == "allow"


NO_OPINION = Decision("none", general=True)


class Authorizer(Protocol):
    async def authorize(self, attrs: Attributes) -> Decision:
        """Never raises; what cannot be decided is no opinion with a reason."""
        ...


class Changing:
    """Of an authorizer whose general decisions may change."""

    def __init__(self) -> None:
        self.on_change: list[Callable[[], None]] = []

    def changed(self) -> None:
        for listener in self.on_change:
            listener()


class Authorization(Changing):
    """Authorizers in order: the first allow or deny wins, nobody's opinion is a refusal. generation: rises whenever a
    decision that was general may be another one now."""

    def __init__(self, authorizers: Sequence[Authorizer]):
        super().__init__()
        self.authorizers = list(authorizers)
        self.generation = 0
        self.on_change.append(self._next)
        for authorizer in self.authorizers:
            if isinstance(authorizer, Changing):
                authorizer.on_change.append(self.changed)

    def _next(self) -> None:
        self.generation += 1

    async def authorize(self, attrs: Attributes) -> Decision:
        """The decision; the reasons of those without an opinion are joined, as upstream's union does. It is general if
        all who were asked are."""
        reasons = []
        general = True
        for authorizer in self.authorizers:
            decision = await authorizer.authorize(attrs)
            general = general and decision.general
            if decision.verdict != "none":
                return decision if general == decision.general else replace(decision, general=general)
            if decision.reason:
                reasons.append(decision.reason)
        return Decision("none", "\n".join(reasons))


def forbidden_error(attrs: Attributes, reason: str = "") -> StatusError:
    """403 as upstream words it (apiserver endpoints/handlers/responsewriters/errors.go)."""
    why = _message(attrs).translate(_NO_HTML)
    if reason:
        why = f"{why}: {reason}"
    error = forbidden(GVR(attrs.group, attrs.version, attrs.resource, ""), attrs.name, why)
    error.headers["X-Content-Type-Options"] = "nosniff"
    return error


_NO_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _message(attrs: Attributes) -> str:
    user = f"User {_quoted(attrs.user.name)}"
    if not attrs.is_resource:
        return f"{user} cannot {attrs.verb} path {_quoted(attrs.path)}"
    resource = f"{attrs.resource}/{attrs.subresource}" if attrs.subresource else attrs.resource
    message = f"{user} cannot {attrs.verb} resource {_quoted(resource)} in API group {_quoted(attrs.group)}"
    if attrs.namespace:
        return f"{message} in the namespace {_quoted(attrs.namespace)}"
    return f"{message} at the cluster scope"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
