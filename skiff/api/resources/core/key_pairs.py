"""Whether a certificate and a private key belong together, in the words of Go's crypto/tls.X509KeyPair.

Loaded only when a TLS secret is written, for cryptography is large.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

_RAW = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pair_error(certificate: bytes, key: bytes) -> str:
    """ "" when they are a pair."""
    for what, data in (("certificate", certificate), ("key", key)):
        if b"-----BEGIN" not in data or b"-----END" not in data:
            return f"tls: failed to find any PEM data in {what} input"
    if b"-----BEGIN CERTIFICATE-----" not in certificate:
        return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"
    if b"PRIVATE KEY-----" not in key:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate"
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    if not isinstance(public, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        return "tls: unknown public key algorithm"
    kinds = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)
    families = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)
    expected = next(k for k, f in zip(kinds, families, strict=True) if isinstance(public, f))
    if not isinstance(private, expected):
        return "tls: private key type does not match public key type"
    if private.public_key().public_bytes(*_RAW) != public.public_bytes(*_RAW):
        return "tls: private key does not match public key"
    return ""
