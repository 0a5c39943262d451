"""Acting as someone else: the Impersonate-* headers.

Who may say `impersonate` of a part of a user may be that user in every way (legacy). Constrained impersonation (KEP-5284)
asks twice: `impersonate:MODE` of the user, and `impersonate-on:MODE:VERB` of what the request does. The modes are
asked in upstream's order, the one that a caller had success with first. Source: apiserver endpoints/filters/impersonation.
"""

from collections.abc import Iterator
from dataclasses import replace

from skiff.api.errors import StatusError, bad_request
from skiff.api.names import is_dns1123_subdomain
from skiff.apiserver.authn import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS, MASTERS, extra_key
from skiff.apiserver.authn.serviceaccount import NODE_NAME, group_names, split_user_name
from skiff.apiserver.authz import Attributes, Authorizer, forbidden_error
from skiff.wire.messages import Request, UserInfo, header_text

USER = "impersonate-user"
GROUP = "impersonate-group"
UID = "impersonate-uid"
EXTRA = "impersonate-extra-"
_ANY = (USER, GROUP, UID, EXTRA)
_ASKED = "impersonation"
NODE_PREFIX = "system:node:"
NODES = "system:nodes"
MANY = 4
"""From so many groups or extra values on, constrained impersonation asks for all at once first."""
REMEMBERED = 10_000
_API = ("authentication.k8s.io", "v1")


class Impersonation:
    """`act` gives the user that a request acts as. Remembers by which mode a caller may."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    async def act(self, request: Request, asked: Attributes, authorizer: Authorizer) -> UserInfo:
        """asked: what the request is about, by who really asks. Raises StatusError 400 or 403."""
        wanted = wanted_user(request)
        if wanted is None:
            return asked.user
        last = self._last.get(asked.user.name, -1)
        refusal: StatusError | None = None
        for i in sorted(range(len(MODES)), key=lambda i: i != last):
            try:
                found = await MODES[i](wanted, asked, authorizer)
            except StatusError as e:
                refusal = refusal or e
                continue
            if found is not None:
                if len(self._last) > REMEMBERED:
                    self._last.clear()
                self._last[asked.user.name] = i
                return found
        assert refusal is not None, "the legacy mode always has an opinion"
        raise refusal


def is_asked(request: Request) -> bool:
    """Whether the request wants to act as someone else at all."""
    asked = request.notes.get(_ASKED)
    if asked is None:
        asked = request.notes[_ASKED] = any(h.startswith(_ANY) for h in request.headers)
    return bool(asked)


def wanted_user(request: Request) -> UserInfo | None:
    """What the headers say, word by word; None without any. Raises 400 for parts of a user without a name."""
    name, uid = (header_text(next(iter(request.values(h)), "")) for h in (USER, UID))
    groups = tuple(header_text(g) for g in request.values(GROUP))
    extra: dict[str, tuple[str, ...]] = {}
    for header in request.headers:
        if header.startswith(EXTRA):
            key = extra_key(header[len(EXTRA) :])
            extra[key] = (*extra.get(key, ()), *(header_text(v) for v in request.values(header)))
    wanted = UserInfo(name, groups, uid, extra)
    if not name and (groups or uid or extra):
        raise bad_request(f"requested {_go(wanted)} without impersonating a user name")
    return wanted if name else None


def _go(user: UserInfo) -> str:
    """As Go's %#v prints a user."""

    def strings(values: tuple[str, ...]) -> str:
        return "[]string{" + ", ".join(f'"{v}"' for v in values) + "}" if values else "[]string(nil)"

    pairs = ", ".join(f'"{k}":{strings(v)}' for k, v in sorted(user.extra.items()))
    extra = f"map[string][]string{{{pairs}}}" if pairs else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"{user.name}", UID:"{user.uid}", Groups:{strings(user.groups)}, Extra:{extra}}}'


# --- modes: each gives the user, None when it is not about such a user, or raises 403


async def _associated_node(wanted: UserInfo, asked: Attributes, authorizer: Authorizer) -> UserInfo | None:
    """A service account on a node may be that node; for all nodes alike, so neither its name nor the caller's says which."""
    node = _node_of(wanted.name)
    caller = asked.user
    if node is None or not _is_only_name(wanted) or split_user_name(caller.name) is None:
        return None
    if caller.extra.get(NODE_NAME) != (node,):
        return None
    keys = {"authentication.kubernetes.io/associated-node-keys": tuple(sorted(caller.extra))}
    anonymized = replace(asked, user=replace(caller, extra=keys))
    return await _constrained("associated-node", wanted, anonymized, authorizer)


async def _arbitrary_node(wanted: UserInfo, asked: Attributes, authorizer: Authorizer) -> UserInfo | None:
    if not _is_only_name(wanted) or _node_of(wanted.name) is None:
        return None
    return await _constrained("arbitrary-node", wanted, asked, authorizer)


async def _service_account(wanted: UserInfo, asked: Attributes, authorizer: Authorizer) -> UserInfo | None:
    if not _is_only_name(wanted) or split_user_name(wanted.name) is None:
        return None
    return await _constrained("serviceaccount", wanted, asked, authorizer)


async def _user_info(wanted: UserInfo, asked: Attributes, authorizer: Authorizer) -> UserInfo | None:
    if _node_of(wanted.name) is not None or split_user_name(wanted.name) is not None:
        return None
    return await _constrained("user-info", wanted, asked, authorizer)


async def _constrained(mode: str, wanted: UserInfo, asked: Attributes, authorizer: Authorizer) -> UserInfo:
    await _require(replace(asked, verb=f"impersonate-on:{mode}:{asked.verb}"), authorizer)
    verb = f"impersonate:{mode}"
    await _require(_name_attributes(asked.user, verb, wanted, _API, mode), authorizer)
    if wanted.uid:
        await _require(Attributes(asked.user, verb, *_API, "uids", name=wanted.uid), authorizer)
    if wanted.groups:
        await _groups_constrained(Attributes(asked.user, verb, *_API, "groups"), wanted.groups, authorizer)
    if wanted.extra:
        await _extra_constrained(Attributes(asked.user, verb, *_API, "userextras"), wanted, authorizer)
    return _with_standing(wanted, (NODES,) if _node_of(wanted.name) is not None else wanted.groups)


async def _groups_constrained(attrs: Attributes, groups: tuple[str, ...], authorizer: Authorizer) -> None:
    if "" in groups:
        raise forbidden_error(attrs, "impersonating the empty string group is not allowed")
    if MASTERS in groups:
        raise forbidden_error(replace(attrs, name=MASTERS), f"impersonating the {MASTERS} group is not allowed")
    if len(groups) >= MANY and (await authorizer.authorize(replace(attrs, name="*"))).allowed:
        return
    for group in groups:
        await _require(replace(attrs, name=group), authorizer)


async def _extra_constrained(attrs: Attributes, wanted: UserInfo, authorizer: Authorizer) -> None:
    for key, values in wanted.extra.items():
        if why := _wrong_extra(key, values):
            raise forbidden_error(attrs, why)
    many = sum(map(len, wanted.extra.values())) >= MANY or len(wanted.extra) >= MANY
    if many and (await authorizer.authorize(replace(attrs, subresource="*", name="*"))).allowed:
        return
    for part in _extra_attributes(attrs, wanted):
        await _require(part, authorizer)


def _wrong_extra(key: str, values: tuple[str, ...]) -> str:
    domain, slash, path = key.partition("/")
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    if not domain or not slash or not path:
        why = f'extra.key: Invalid value: "{key}": must be a domain-prefixed path (such as "acme.io/foo")'
        return f"impersonating an invalid key in extra is not allowed: {why}"
    if problems := is_dns1123_subdomain(domain):
        why = f'extra.key: Invalid value: "{domain}": {problems[0]}'
        return f"impersonating an invalid key in extra is not allowed: {why}"
    if key != key.lower():
        return f'impersonating a non-lowercase key in extra is not allowed: "{key}"'
    return "impersonating the empty string value in extra is not allowed" if "" in values else ""


async def _legacy(wanted: UserInfo, asked: Attributes, authorizer: Authorizer) -> UserInfo:
    user, verb = asked.user, "impersonate"
    await _require(_name_attributes(user, verb, wanted, ("", "v1"), ""), authorizer)
    if wanted.uid:
        await _require(Attributes(user, verb, *_API, "uids", name=wanted.uid), authorizer)
    for group in wanted.groups:
        await _require(Attributes(user, verb, version="v1", resource="groups", name=group), authorizer)
    for part in _extra_attributes(Attributes(user, verb, *_API, "userextras"), wanted):
        await _require(part, authorizer)
    return _with_standing(wanted, wanted.groups)


MODES = (_associated_node, _arbitrary_node, _service_account, _user_info, _legacy)


def _name_attributes(user: UserInfo, verb: str, wanted: UserInfo, api: tuple[str, str], mode: str) -> Attributes:
    account = split_user_name(wanted.name)
    if account is not None:
        return Attributes(user, verb, *api, "serviceaccounts", namespace=account[0], name=account[1])
    node = _node_of(wanted.name) if mode else None
    if node is not None:
        return Attributes(user, verb, *api, "nodes", name="*" if mode == "associated-node" else node)
    return Attributes(user, verb, *api, "users", name=wanted.name)


def _extra_attributes(attrs: Attributes, wanted: UserInfo) -> Iterator[Attributes]:
    for key, values in wanted.extra.items():
        for value in values:
            yield replace(attrs, subresource=key, name=value)


async def _require(attrs: Attributes, authorizer: Authorizer) -> None:
    decision = await authorizer.authorize(attrs)
    if not decision.allowed:
        raise forbidden_error(attrs, decision.reason)


def _with_standing(wanted: UserInfo, groups: tuple[str, ...]) -> UserInfo:
    """With a service account's fixed groups if none were named, and with system:authenticated or, for the anonymous user,
    system:unauthenticated, unless the caller has chosen that himself."""
    account = split_user_name(wanted.name)
    if account is not None and not groups:
        groups = group_names(account[0])
    if wanted.name == ANONYMOUS.name:
        standing = ALL_UNAUTHENTICATED
    elif ALL_UNAUTHENTICATED in groups:
        standing = ""
    else:
        standing = ALL_AUTHENTICATED
    more = (standing,) if standing and standing not in groups else ()
    return UserInfo(wanted.name, (*groups, *more), wanted.uid, wanted.extra)


def _is_only_name(user: UserInfo) -> bool:
    return not user.uid and not user.groups and not user.extra


def _node_of(name: str) -> str | None:
    node = name.removeprefix(NODE_PREFIX)
    return node if node != name and not is_dns1123_subdomain(node) else None
