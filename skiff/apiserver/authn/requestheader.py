"""Users named by an authenticating proxy in X-Remote-* headers, believed from its client certificate only.

The proxy's CA (--requestheader-client-ca-file) is another one than the users': its certificates give no identity of
their own. Source: upstream apiserver pkg/authentication/request/headerrequest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from skiff.apiserver.authn import authenticated, extra_key
from skiff.apiserver.authn.x509 import ClientCertificate
from skiff.wire.messages import Request, UserInfo, header_text
from skiff.wire.x509 import subject


@dataclass(frozen=True, slots=True)
class Names:
    """The headers to look into, and the common names that a proxy may have (none given: any)."""

    username: Sequence[str] = ("X-Remote-User",)
    uid: Sequence[str] = ("X-Remote-Uid",)
    group: Sequence[str] = ("X-Remote-Group",)
    extra_prefix: Sequence[str] = ("X-Remote-Extra-",)
    allowed: Sequence[str] = ()


class Authority:
    """Tells which of the CAs a client's certificate comes from; TLS has verified that it comes from one of them."""

    def __init__(self, pem: bytes):
        from cryptography import x509

        self._certificates = x509.load_pem_x509_certificates(pem)
        self._known: dict[bytes, bool] = {}

    def issued(self, der: bytes) -> bool:
        known = self._known.get(der)
        if known is None:
            if len(self._known) > 1000:
                self._known.clear()
            known = self._known[der] = self._verify(der)
        return known

    def _verify(self, der: bytes) -> bool:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError:
            return False
        for authority in self._certificates:
            try:
                certificate.verify_directly_issued_by(authority)
                return True
            except (ValueError, TypeError, InvalidSignature):
                continue
        return False


class RequestHeader:
    """An Authenticator that also stands before the one for the users' own certificates."""

    def __init__(self, authority: Authority, names: Names, users: ClientCertificate | None):
        self._authority = authority
        self._names = names
        self._users = users

    async def authenticate(self, request: Request) -> UserInfo | None:
        der = request.peer_cert
        if der is None:
            return None
        if not self._authority.issued(der):
            return await self._users.authenticate(request) if self._users is not None else None
        if self._names.allowed and subject(der).common_name not in self._names.allowed:
            return None
        return user_of(request, self._names)


def user_of(request: Request, names: Names) -> UserInfo | None:
    name = _first(request, names.username)
    if not name:
        return None
    groups = tuple(header_text(g) for n in names.group for g in request.values(n.lower()) if g)
    extra: dict[str, tuple[str, ...]] = {}
    for prefix in names.extra_prefix:
        for header in request.headers:
            if header.startswith(prefix.lower()):
                key = extra_key(header[len(prefix) :])
                extra[key] = (*extra.get(key, ()), *(header_text(v) for v in request.values(header)))
    return authenticated(name, groups, uid=_first(request, names.uid), extra=extra)


def _first(request: Request, names: Sequence[str]) -> str:
    """The first header that says something; of a repeated one the first value."""
    values = (next(iter(request.values(n.lower())), "") for n in names)
    return header_text(next((v for v in values if v), ""))
