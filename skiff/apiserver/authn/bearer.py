"""Bearer tokens: found in the Authorization header or a WebSocket subprotocol, asked of each token authenticator.

As upstream, a token that nobody knows is an error, not an anonymous request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from skiff.apiserver.authn import HOLDS, Holds, Unauthorized
from skiff.apiserver.authn.jwt import unb64
from skiff.wire.messages import Request, UserInfo

INVALID = "invalid bearer token"
WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token stands for, and for which of the audiences asked about it is valid (() : no notion of audiences).
    holds: whether it does so still; None: to be asked anew each time."""

    user: UserInfo
    audiences: tuple[str, ...] = ()
    holds: Holds | None = None


class TokenAuthenticator(Protocol):
    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Identity | None:
        """None: not a token of mine. audiences: any of which suffices; () means the API server's own.
        Raises Unauthorized for a token of mine that is not valid."""
        ...


class Bearer:
    """An Authenticator over token authenticators."""

    def __init__(self, authenticators: Sequence[TokenAuthenticator]):
        self.authenticators = list(authenticators)

    async def authenticate(self, request: Request) -> UserInfo | None:
        token = token_of(request)
        if not token:
            return None
        identity = await self.identify(token, ())
        if identity.holds is not None:
            request.notes[HOLDS] = identity.holds
        return identity.user

    async def identify(self, token: str, audiences: Sequence[str]) -> Identity:
        """Who the token stands for. Raises Unauthorized with all reasons, in upstream's words."""
        reasons = []
        for authenticator in self.authenticators:
            try:
                found = await authenticator.authenticate_token(token, audiences)
            except Unauthorized as err:
                reasons.append(str(err))
                continue
            if found is not None:
                return found
        raise Unauthorized(f"[{', '.join((INVALID, *reasons))}]" if reasons else INVALID)


def token_of(request: Request) -> str:
    """The bearer token of a request, "" if there is none."""
    scheme, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.split(" ", 1)[0]
    for protocol in request.headers.get("sec-websocket-protocol", "").split(","):
        protocol = protocol.strip()
        if protocol.startswith(WEBSOCKET_PREFIX):
            try:
                return unb64(protocol[len(WEBSOCKET_PREFIX) :]).decode()
            except ValueError as err:
                raise Unauthorized("the token in the WebSocket subprotocol is malformed") from err
    return ""
