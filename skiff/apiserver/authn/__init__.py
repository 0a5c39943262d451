"""Authentication: who asks. One module per authenticator, asked in order; the first that knows the caller decides.

An authenticator returns a UserInfo, or None when the request carries no credential of its kind, and raises Unauthorized
when it carries one that is wrong. A wrong credential never becomes anonymous: as upstream, other authenticators may
still accept the request, but if none does it is 401.
"""

import re
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import unquote

from skiff.api.errors import unauthorized
from skiff.wire.messages import Request, UserInfo

ALL_AUTHENTICATED = "system:authenticated"
ALL_UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
ANONYMOUS = UserInfo("system:anonymous", (ALL_UNAUTHENTICATED,))


HOLDS = "authentication.holds"
"""A note on a request: a callable that tells whether the identity found still holds. Only who sets it lets the identity
stand for the connection's next requests with equal headers; the others are asked each time."""
_USER = "authentication.user"

Holds = Callable[[], bool]


def always() -> bool:
    return True


class Unauthorized(Exception):
    """The credential is wrong. The sentence goes to the log, never to the client."""


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> UserInfo | None:
        """None: nothing of mine in this request. Raises Unauthorized. May leave the note HOLDS with a user."""
        ...


class Authentication:
    """The union of authenticators, then the anonymous user if allowed."""

    def __init__(self, authenticators: Sequence[Authenticator], *, anonymous: bool = True):
        self.authenticators = list(authenticators)
        self.anonymous = anonymous

    def known(self, request: Request) -> UserInfo | None:
        """Who has authenticated with the same headers on the same connection, if that still holds."""
        user = request.user
        if user is None and (user := request.notes.get(_USER)) is not None and not request.notes[HOLDS]():
            return None
        return user

    def lasts(self, request: Request) -> bool:
        """Whether next requests can bring the very same UserInfo."""
        return request.user is not None or _USER in request.notes

    async def authenticate(self, request: Request) -> UserInfo:
        """The caller with system:authenticated (or anonymous with system:unauthenticated). Raises StatusError 401.

        A user that the in-process transport has set is taken as it is."""
        if request.user is not None:
            return request.user
        notes = request.notes
        notes.pop(_USER, None)
        notes.pop(HOLDS, None)
        failed = False
        for authenticator in self.authenticators:
            try:
                user = await authenticator.authenticate(request)
            except Unauthorized:
                failed = True  # as upstream: another authenticator may know the same credential
                continue
            if user is not None:
                if HOLDS in notes:
                    notes[_USER] = user
                return user
        if failed or not self.anonymous:
            raise unauthorized()
        return ANONYMOUS


def authenticated(name: str, groups: Sequence[str] = (), **rest: object) -> UserInfo:
    """A user with system:authenticated added to the groups, once."""
    if ALL_AUTHENTICATED not in groups:
        groups = (*groups, ALL_AUTHENTICATED)
    return UserInfo(name, tuple(groups), **rest)  # type: ignore[arg-type]


def extra_key(encoded: str) -> str:
    """The key of extra in a header's name, percent-decoded if it is well encoded."""
    return encoded if _BAD_ESCAPE.search(encoded) else unquote(encoded)


_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
