"""Service account tokens: whose they are, and whether what they are bound to still exists.

Signatures are checked once per token and remembered. What a token was found to mean stands until it expires or an object
that it is bound to is another version, so it dies with its pod, secret, node or service account at once (upstream
pkg/serviceaccount, jwt.go and claims.go).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from skiff import env
from skiff.api import times
from skiff.api.gvr import NODES, PODS, SECRETS, SERVICEACCOUNTS
from skiff.api.types import GVR, Obj
from skiff.apiserver.authn import Unauthorized, authenticated
from skiff.apiserver.authn.bearer import Identity
from skiff.apiserver.authn.jwt import Claims, KeySet, unverified
from skiff.apiserver.authn.x509 import CREDENTIAL_ID
from skiff.apiserver.lookup import Lookup
from skiff.wire.messages import UserInfo

PREFIX = "system:serviceaccount:"
ALL = "system:serviceaccounts"
NODE_NAME = "authentication.kubernetes.io/node-name"
LEEWAY_S = 60
REMEMBERED = 2048


def user_name(namespace: str, name: str) -> str:
    return f"{PREFIX}{namespace}:{name}"


def split_user_name(user: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name, None for any other user."""
    if not user.startswith(PREFIX):
        return None
    namespace, colon, name = user[len(PREFIX) :].partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None


def group_names(namespace: str) -> tuple[str, str]:
    return ALL, f"{ALL}:{namespace}"


@dataclass(slots=True)
class Standing:
    """How long a token that is valid now stays so without being looked at again: `holds`. bound: the objects that it is
    bound to, as they were."""

    lookup: Lookup
    since: float
    until: float
    bound: list[tuple[GVR, str, str, Obj | None]] = field(default_factory=list)

    def holds(self) -> bool:
        get = self.lookup.get
        for gvr, namespace, name, obj in self.bound:
            if obj is None or get(gvr, namespace, name) is not obj:
                return False
        return self.since <= env.epoch() <= self.until


class ServiceAccountTokens:
    """A TokenAuthenticator. issuers: the first signs, all are accepted. audiences: those of the API server."""

    def __init__(self, keys: KeySet, *, issuers: Sequence[str], audiences: Sequence[str], lookup: Lookup):
        self.keys = keys
        self.issuers = frozenset(issuers)
        self.audiences = tuple(audiences)
        self._lookup = lookup
        self._verified: dict[str, Claims] = {}
        self._identities: dict[str, tuple[Identity, Standing]] = {}

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Identity | None:
        known = self._identities.get(token)
        if known is not None and not audiences and known[1].holds():
            return known[0]
        claims = self._verified.get(token)
        if claims is None:
            if unverified(token).get("iss") not in self.issuers:
                return None
            claims = self._remember(token, self.keys.verify(token))
        wanted = tuple(audiences) or self.audiences
        valid = tuple(a for a in _audiences(claims) or self.audiences if a in wanted)
        if not valid:
            raise Unauthorized(
                f"token audiences {_quoted(_audiences(claims))} is invalid for the target audiences {_quoted(wanted)}"
            )
        since, until = times_of(claims, env.epoch())
        standing = Standing(self._lookup, since, until)
        identity = Identity(await self._user(claims, standing), valid, standing.holds)
        if not audiences:
            self._identities[token] = identity, standing
        return identity

    def _remember(self, token: str, claims: Claims) -> Claims:
        if len(self._verified) >= REMEMBERED:
            oldest = next(iter(self._verified))
            del self._verified[oldest]
            self._identities.pop(oldest, None)
        self._verified[token] = claims
        return claims

    async def _user(self, claims: Claims, standing: Standing) -> UserInfo:
        private = claims.get("kubernetes.io")
        if not isinstance(private, dict):
            raise Unauthorized("the token names no service account")
        namespace = str(private.get("namespace", ""))
        account = _ref(private, "serviceaccount")
        await self._check(SERVICEACCOUNTS, namespace, account, standing)
        secret, pod, node = (_ref(private, kind) for kind in ("secret", "pod", "node"))
        if secret:
            await self._check(SECRETS, namespace, secret, standing)
        if pod:
            await self._check(PODS, namespace, pod, standing)
        elif node:
            await self._check(NODES, "", node, standing)
        extra = _extra(claims, pod, node)
        groups = group_names(namespace)
        return authenticated(user_name(namespace, account["name"]), groups, uid=account["uid"], extra=extra)

    async def _check(self, gvr: GVR, namespace: str, ref: dict[str, str], standing: Standing) -> None:
        """Raises Unauthorized unless the very object exists and was not deleted a while ago."""
        name = ref.get("name", "")
        cached = self._lookup.get(gvr, namespace, name)
        standing.bound.append((gvr, namespace, name, cached))
        obj = cached or await self._lookup.fresh(gvr, namespace, name)
        if obj is None or obj["metadata"].get("uid") != ref.get("uid"):
            raise Unauthorized(f"the {gvr.kind} that the token is bound to is gone")
        deleted = obj["metadata"].get("deletionTimestamp")
        if deleted:
            end = times.epoch(deleted) + LEEWAY_S
            if end < env.epoch():
                raise Unauthorized(f"the {gvr.kind} that the token is bound to has been deleted")
            standing.until = min(standing.until, end)


def times_of(claims: Claims, now: float) -> tuple[float, float]:
    """The token's life as first and last second; clocks may differ by a minute. Raises Unauthorized outside of it."""
    until = _number(claims, "exp", 0) + LEEWAY_S
    if now > until:
        raise Unauthorized("service account token has expired")
    not_before, issued = _number(claims, "nbf", now) - LEEWAY_S, _number(claims, "iat", now) - LEEWAY_S
    if now < not_before:
        raise Unauthorized("service account token is not valid yet")
    if now < issued:
        raise Unauthorized("service account token is issued in the future")
    return max(not_before, issued), until


def _number(claims: Claims, name: str, default: float) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f"the token's {name} is not a number")
    return value


def _audiences(claims: Claims) -> tuple[str, ...]:
    found = claims.get("aud") or ()
    return (found,) if isinstance(found, str) else tuple(a for a in found if isinstance(a, str))


def _quoted(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{v}"' for v in values) + "]"


def _ref(private: dict[str, Any], kind: str) -> dict[str, str]:
    found = private.get(kind)
    return found if isinstance(found, dict) else {}


def _extra(claims: Claims, pod: dict[str, str], node: dict[str, str]) -> dict[str, tuple[str, ...]]:
    pairs = {
        "authentication.kubernetes.io/pod-name": pod.get("name"),
        "authentication.kubernetes.io/pod-uid": pod.get("uid"),
        NODE_NAME: node.get("name"),
        "authentication.kubernetes.io/node-uid": node.get("uid"),
        CREDENTIAL_ID: f"JTI={claims['jti']}" if claims.get("jti") else "",
    }
    return {key: (value,) for key, value in pairs.items() if value}
