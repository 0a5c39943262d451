"""Bootstrap tokens, with which nodes join: `abcdef.0123456789abcdef`, kept in secrets of kube-system.

Source: upstream plugin/pkg/auth/authenticator/token/bootstrap. A token that is malformed, unknown, expired or not meant
for authentication is not ours: other authenticators are asked.
"""

import base64
import hmac
import re
from collections.abc import Sequence

from skiff import env
from skiff.api import times
from skiff.api.gvr import SECRETS
from skiff.api.types import Obj
from skiff.apiserver.authn import authenticated
from skiff.apiserver.authn.bearer import Identity
from skiff.apiserver.lookup import Lookup

TYPE = "bootstrap.kubernetes.io/token"
PREFIX = "bootstrap-token-"
GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokens:
    """A TokenAuthenticator."""

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Identity | None:
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        secret = await self._lookup.fresh(SECRETS, "kube-system", PREFIX + parts[1])
        groups = groups_of(secret, parts[1], parts[2]) if secret is not None else None
        if groups is None:
            return None
        return Identity(authenticated(f"system:bootstrap:{parts[1]}", groups))


def groups_of(secret: Obj, identifier: str, key: str) -> tuple[str, ...] | None:
    """The groups that the secret gives to who knows its key; None: it does not hold for authentication."""
    data = {name: _text(value) for name, value in (secret.get("data") or {}).items()}
    if secret.get("type") != TYPE or secret["metadata"].get("deletionTimestamp") is not None:
        return None
    if not hmac.compare_digest(data.get("token-secret", "").encode(), key.encode()):
        return None
    if data.get("token-id") != identifier or data.get("usage-bootstrap-authentication") != "true":
        return None
    if "expiration" in data and not _lasts(data["expiration"]):
        return None
    extra = sorted({g for g in data.get("auth-extra-groups", "").split(",") if g})
    if any(not _EXTRA_GROUP.fullmatch(g) for g in extra):
        return None
    return (GROUP, *extra)


def _lasts(expiration: str) -> bool:
    try:
        return times.epoch(expiration) > env.epoch()
    except ValueError:
        return False


def _text(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")
