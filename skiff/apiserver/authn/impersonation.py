"""Acting as someone else: the Impersonate-* headers, each part of which must be allowed (verb "impersonate").

Upstream apiserver pkg/endpoints/filters/impersonation. Repeated headers arrive joined by ", ": a group whose name holds
that is taken for two, each authorized by itself.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from skiff.api.errors import bad_request
from skiff.apiserver.authn import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS
from skiff.apiserver.authn.serviceaccount import group_names, split_user_name
from skiff.apiserver.authz import Attributes, Authorizer, forbidden_error
from skiff.wire.messages import Request, UserInfo

USER = "impersonate-user"
GROUP = "impersonate-group"
UID = "impersonate-uid"
EXTRA = "impersonate-extra-"
_ANY = (USER, GROUP, UID, EXTRA)
_ASKED = "impersonation"


async def impersonate(headers: Mapping[str, str], user: UserInfo, authorizer: Authorizer) -> UserInfo:
    """The user that the request acts as: `user` itself without such headers. Raises StatusError 400 or 403."""
    name = headers.get(USER, "")
    groups = tuple(g for g in headers.get(GROUP, "").split(", ") if g)
    uid = headers.get(UID, "")
    extra = _extra(headers)
    if not name:
        if groups or uid or extra:
            raise bad_request("requested impersonation of a group, uid or extra without impersonating a user")
        return user
    for attrs in _checks(user, name, groups, uid, extra):
        decision = await authorizer.authorize(attrs)
        if not decision.allowed:
            raise forbidden_error(attrs, decision.reason)
    account = split_user_name(name)
    if account and not groups:
        groups = group_names(account[0])
    return UserInfo(name, _with_standing(name, groups), uid, extra)


def is_asked(request: Request) -> bool:
    """Whether the request wants to act as someone else at all."""
    asked = request.notes.get(_ASKED)
    if asked is None:
        asked = request.notes[_ASKED] = any(h.startswith(_ANY) for h in request.headers)
    return bool(asked)


def _extra(headers: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {
        unquote(header[len(EXTRA) :]): tuple(value.split(", "))
        for header, value in headers.items()
        if header.startswith(EXTRA)
    }


def _checks(
    user: UserInfo, name: str, groups: tuple[str, ...], uid: str, extra: Mapping[str, tuple[str, ...]]
) -> Iterator[Attributes]:
    """What must be allowed, part by part."""
    account = split_user_name(name)
    if account:
        yield Attributes(
            user, "impersonate", resource="serviceaccounts", version="v1", namespace=account[0], name=account[1]
        )
    else:
        yield Attributes(user, "impersonate", resource="users", version="v1", name=name)
    for group in groups:
        yield Attributes(user, "impersonate", resource="groups", version="v1", name=group)
    api = ("authentication.k8s.io", "v1")
    for key, values in extra.items():
        for value in values:
            yield Attributes(user, "impersonate", *api, resource="userextras", subresource=key, name=value)
    if uid:
        yield Attributes(user, "impersonate", *api, resource="uids", name=uid)


def _with_standing(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Adds system:authenticated or, for the anonymous user, system:unauthenticated, unless the caller chose himself."""
    if name == ANONYMOUS.name:
        return groups if ALL_UNAUTHENTICATED in groups else (*groups, ALL_UNAUTHENTICATED)
    if ALL_AUTHENTICATED in groups or ALL_UNAUTHENTICATED in groups:
        return groups
    return (*groups, ALL_AUTHENTICATED)
