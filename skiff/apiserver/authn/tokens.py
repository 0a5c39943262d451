"""serviceaccounts/token: makes a token for a service account, bound to a pod, secret or node if asked (TokenRequest).

Claims and their order of trust are upstream's (core/serviceaccount storage/token.go, pkg/serviceaccount/claims.go).
"""

from collections.abc import Sequence

from skiff import env
from skiff.api import times
from skiff.api.errors import FieldError, bad_request, conflict, invalid, invalid_object, not_found
from skiff.api.gvr import NODES, PODS, SECRETS, SERVICEACCOUNTS
from skiff.api.types import GVR, Obj
from skiff.apiserver.authn.jwt import Claims, Signer
from skiff.apiserver.authn.serviceaccount import user_name
from skiff.apiserver.lookup import Lookup

TOKENREQUESTS = GVR("authentication.k8s.io", "v1", "TokenRequest", "TokenRequest")
DEFAULT_S = 3600
MINIMUM_S = 600
MAXIMUM_S = 1 << 32
PROJECTED_S = 3607
"""What admission asks for in a pod's own token: such a token warns after this time instead of failing."""
EXTENDED_S = 365 * 24 * 3600
_BOUND = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}


class TokenIssuer:
    """issuer: the `iss` claim. audiences: the API server's own, which a token gets by default.
    maximum_s: upper bound for what is asked, 0 for none. extend: keep a pod's own token valid for a year."""

    def __init__(
        self,
        signer: Signer,
        *,
        issuer: str,
        audiences: Sequence[str],
        lookup: Lookup,
        maximum_s: int = 0,
        extend: bool = True,
    ):
        self._signer = signer
        self._issuer = issuer
        self._audiences = list(audiences)
        self._lookup = lookup
        self._maximum_s = maximum_s
        self._extend = extend

    async def create(self, namespace: str, name: str, request: Obj) -> Obj:
        """The TokenRequest with its status filled in. Raises StatusError."""
        meta = request.get("metadata") or {}
        _match_url(meta, namespace, name)
        account = await self._existing(SERVICEACCOUNTS, namespace, name)
        uid = account["metadata"]["uid"]
        if meta.get("uid") and meta["uid"] != uid:
            why = f"the UID in the token request ({meta['uid']}) does not match the UID of the service account ({uid})"
            raise conflict(TOKENREQUESTS, name, why)
        spec = request.get("spec") or {}
        audiences = spec.get("audiences") or self._audiences
        asked = spec.get("expirationSeconds")
        asked = DEFAULT_S if asked is None else asked
        if errors := validate(asked):
            raise invalid_object(TOKENREQUESTS, "", errors)
        bound = await self._bound(namespace, name, spec.get("boundObjectRef"))
        seconds = min(asked, self._maximum_s) if self._maximum_s else asked
        issued = env.epoch()
        claims = self._claims(account, bound, int(issued), seconds, audiences)
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid,
                "creationTimestamp": times.format_time(issued),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": spec.get("boundObjectRef"),
            },
            "status": {
                "token": self._signer.sign(claims),
                "expirationTimestamp": times.format_time(issued + seconds),
            },
        }

    def _claims(
        self, account: Obj, bound: dict[str, Obj], issued: int, seconds: int, audiences: Sequence[str]
    ) -> Claims:
        meta = account["metadata"]
        private: Obj = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        for kind, obj in bound.items():
            private[kind.lower()] = {k: v for k in ("name", "uid") if (v := obj["metadata"].get(k))}
        is_own = set(audiences) <= set(self._audiences)
        if self._extend and "Pod" in bound and seconds == PROJECTED_S and is_own:
            private["warnafter"] = issued + seconds
            seconds = EXTENDED_S
        return {
            "aud": list(audiences),
            "exp": issued + seconds,
            "iat": issued,
            "iss": self._issuer,
            "jti": env.uid(),
            "kubernetes.io": private,
            "nbf": issued,
            "sub": user_name(meta["namespace"], meta["name"]),
        }

    async def _bound(self, namespace: str, account: str, ref: Obj | None) -> dict[str, Obj]:
        """The objects that the token dies with, by kind; a pod brings its node along for information."""
        if ref is None:
            return {}
        kind, version = ref.get("kind", ""), ref.get("apiVersion", "")
        if version != "v1" or kind not in _BOUND:
            raise bad_request(f"cannot bind token to object of type {_gvk(version, kind)}")
        if not ref.get("name"):
            raise bad_request("Name parameter required.")
        obj = await self._existing(_BOUND[kind], namespace if kind != "Node" else "", ref.get("name", ""))
        if kind == "Pod" and obj["spec"].get("serviceAccountName") != account:
            why = f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
            raise bad_request(why)
        uid = obj["metadata"]["uid"]
        if ref.get("uid") and ref["uid"] != uid:
            why = (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise conflict(GVR("", "v1", kind, kind), ref["name"], why)
        found = {kind: obj}
        if kind == "Pod" and (node_name := obj["spec"].get("nodeName")):
            node = self._lookup.get(NODES, "", node_name) or await self._lookup.fresh(NODES, "", node_name)
            found["Node"] = node or {"metadata": {"name": node_name}}
        return found

    async def _existing(self, gvr: GVR, namespace: str, name: str) -> Obj:
        obj = await self._lookup.fresh(gvr, namespace, name)
        if obj is None:
            raise not_found(gvr, name)
        return obj


def validate(expiration_seconds: int) -> list[FieldError]:
    path = "spec.expirationSeconds"
    if expiration_seconds < MINIMUM_S:
        return [invalid(path, expiration_seconds, "may not specify a duration less than 10 minutes")]
    if expiration_seconds > MAXIMUM_S:
        return [invalid(path, expiration_seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


def _match_url(meta: Obj, namespace: str, name: str) -> None:
    if (meta.get("namespace") or namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if (meta.get("name") or name) != name:
        why = "must match the service account name if specified"
        raise invalid_object(TOKENREQUESTS, name, [invalid("metadata.name", meta["name"], why)])


def _gvk(api_version: str, kind: str) -> str:
    """As Go prints a GroupVersionKind."""
    group, _, version = api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"
