"""JSON Web Tokens of service accounts: sign, verify, and publish the keys (RFC 7515, 7517, 7519).

RS256 and ES256/384/512, as upstream; the key id is the hash of the public key. `cryptography` is loaded on first use,
because it weighs 10 MB and a server that meets no token needs none of it.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from skiff.apiserver.authn import Unauthorized

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures. key: of `cryptography`."""

    id: str
    algorithm: str
    key: Any


class Signer:
    """Signs with a PEM private key. The key is parsed at the first signature."""

    def __init__(self, pem: bytes):
        self._pem = pem
        self._key: Any = None
        self._public: PublicKey | None = None

    def sign(self, claims: Claims) -> str:
        """The compact serialization. Raises ValueError when the key is of no use."""
        if self._public is None:
            self._key = _load(self._pem)
            self._public = _public(self._key.public_key())
        header = {"alg": self._public.algorithm, "kid": self._public.id}
        signed = f"{b64(orjson.dumps(header))}.{b64(orjson.dumps(claims))}"
        return f"{signed}.{b64(_signature(self._key, self._public.algorithm, signed.encode()))}"


class KeySet:
    """The keys that are accepted, by id. PEMs of public or private keys; parsed at the first use."""

    def __init__(self, pems: list[bytes]):
        self._pems = pems
        self._keys: dict[str, PublicKey] | None = None

    @property
    def keys(self) -> dict[str, PublicKey]:
        if self._keys is None:
            loaded = [_load(pem) for pem in self._pems]
            found = [_public(k.public_key() if hasattr(k, "public_key") else k) for k in loaded]
            self._keys = {k.id: k for k in found}
        return self._keys

    def verify(self, token: str) -> Claims:
        """The claims of a token with a good signature; nothing else about them is checked. Raises Unauthorized."""
        signed, _, signature = token.rpartition(".")
        try:
            header_part, _, claims_part = signed.partition(".")
            header, claims = orjson.loads(unb64(header_part)), orjson.loads(unb64(claims_part))
            raw = unb64(signature)
            candidates = self._candidates(header.get("kid"))
        except (ValueError, AttributeError) as err:
            raise Unauthorized("the token is malformed") from err
        if not isinstance(claims, dict):
            raise Unauthorized("the token's claims are not an object")
        for key in candidates:
            # the algorithm is the key's, never the token's choice
            if header.get("alg") == key.algorithm and _verified(key, signed.encode(), raw):
                return claims
        raise Unauthorized("no key verifies the token")

    def _candidates(self, key_id: str | None) -> list[PublicKey]:
        if not key_id:
            return list(self.keys.values())
        return [self.keys[key_id]] if key_id in self.keys else []

    def jwks(self) -> dict[str, Any]:
        """The key set as RFC 7517 has it, for /openid/v1/jwks."""
        return {"keys": [_jwk(k) for k in self.keys.values()]}


def unverified(token: str) -> Claims:
    """The claims without any check, {} if there are none: only to decide who should verify the token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = orjson.loads(unb64(parts[1]))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Base64url without padding. Raises ValueError."""
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


_CURVES = {
    "secp256r1": ("ES256", "P-256", 32),
    "secp384r1": ("ES384", "P-384", 48),
    "secp521r1": ("ES512", "P-521", 66),
}
_SIZES = {name: size for name, _, size in _CURVES.values()}


def _load(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization

    if b"PUBLIC KEY" in pem:
        return serialization.load_pem_public_key(pem)
    if b"CERTIFICATE" in pem:
        from cryptography import x509

        return x509.load_pem_x509_certificate(pem).public_key()
    return serialization.load_pem_private_key(pem, None)


def _public(key: Any) -> PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key_id = b64(hashlib.sha256(der).digest())
    if isinstance(key, rsa.RSAPublicKey):
        return PublicKey(key_id, "RS256", key)
    curve = getattr(getattr(key, "curve", None), "name", "")
    if curve not in _CURVES:
        raise ValueError("service account keys are RSA, or ECDSA on P-256, P-384 or P-521")
    return PublicKey(key_id, _CURVES[curve][0], key)


def _hash(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    found: Any = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[2:]]
    return found()


def _signature(key: Any, algorithm: str, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    if algorithm == "RS256":
        return bytes(key.sign(data, padding.PKCS1v15(), _hash(algorithm)))
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(_hash(algorithm))))
    size = _SIZES[algorithm]
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _verified(key: PublicKey, data: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    try:
        if key.algorithm == "RS256":
            key.key.verify(signature, data, padding.PKCS1v15(), _hash(key.algorithm))
            return True
        size = _SIZES[key.algorithm]
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(_hash(key.algorithm)))
    except InvalidSignature:
        return False
    return True


def _jwk(key: PublicKey) -> dict[str, Any]:
    common = {"use": "sig", "kid": key.id, "alg": key.algorithm}
    numbers = key.key.public_numbers()
    if key.algorithm == "RS256":
        return {**common, "kty": "RSA", "n": b64(_big(numbers.n)), "e": b64(_big(numbers.e))}
    _, curve, size = _CURVES[key.key.curve.name]
    x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
    return {**common, "kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)}


def _big(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
