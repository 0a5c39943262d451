"""Client certificates: the common name is the user, each organization a group.

TLS has verified the chain and the purpose; here only the subject is read (upstream's request/x509,
CommonNameUserConversion). One certificate is read once.
"""

import hashlib

from skiff.apiserver.authn import HOLDS, Unauthorized, always, authenticated
from skiff.wire.messages import Request, UserInfo
from skiff.wire.x509 import subject

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
REMEMBERED = 4096


class ClientCertificate:
    """An Authenticator for the certificate that the client showed in the TLS handshake."""

    def __init__(self) -> None:
        self._known: dict[bytes, UserInfo | None] = {}

    async def authenticate(self, request: Request) -> UserInfo | None:
        der = request.peer_cert
        if der is None:
            return None
        if der in self._known:
            user = self._known[der]
        else:
            user = self._known[der] = user_of(der)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        if user is not None:
            request.notes[HOLDS] = always
        return user


def user_of(der: bytes) -> UserInfo | None:
    """None for a certificate without a common name. Raises Unauthorized for one that cannot be read."""
    try:
        found = subject(der)
    except (ValueError, IndexError) as err:
        raise Unauthorized(f"the client certificate's subject cannot be read: {err}") from err
    if not found.common_name:
        return None
    extra = {CREDENTIAL_ID: (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)}
    return authenticated(found.common_name, found.organizations, uid=found.uid, extra=extra)
