"""The cluster's keys and certificates, under kubeadm's names: made when missing, renewed when they run out, else kept.

Guarantees: keys are ECDSA P-256 and 0600; files are replaced atomically; a certificate is remade when it is near its
end, does not belong to its key or authority, or lacks a name it should carry. An authority whose key is kept elsewhere
(ca.crt without ca.key) is respected: then only what must be signed is an error.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes as PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from skiff import env
from skiff.kubeadm import files

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 30
BACKDATE = timedelta(minutes=5)
"""Certificates are valid a little earlier, for clocks that go behind ours."""

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


T = TypeVar("T")


class PKIError(Exception):
    """The PKI cannot be completed; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a certificate says. names: DNS names and IP addresses it is valid for."""

    common_name: str
    organizations: tuple[str, ...] = ()
    usages: tuple[x509.ObjectIdentifier, ...] = (CLIENT,)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA. key is None when it is kept elsewhere."""

    certificate: x509.Certificate
    key: PrivateKey | None

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def ensure_pki(
    directory: Path,
    *,
    node_name: str,
    node_ips: Sequence[str],
    service_ip: str,
    domain: str = "cluster.local",
    etcd: bool = False,
) -> None:
    """Completes the PKI directory of a control-plane node. Safe to call at any time, by several processes.

    Raises PKIError, OSError."""
    with files.locked(directory):
        ca = _authority(directory / "ca", "kubernetes")
        front_proxy = _authority(directory / "front-proxy-ca", "front-proxy-ca")
        apiserver = Spec("kube-apiserver", (), (SERVER,), api_server_names(node_name, node_ips, service_ip, domain))
        _leaf(directory / "apiserver", ca, apiserver)
        _leaf(directory / "apiserver-kubelet-client", ca, Spec("kube-apiserver-kubelet-client"))
        _leaf(directory / "front-proxy-client", front_proxy, Spec("front-proxy-client"))
        _leaf(directory / "kubelet", ca, kubelet_server(node_name, node_ips))
        if etcd:
            _ensure_etcd(directory, node_name, node_ips)
        _service_account_keys(directory)


def _ensure_etcd(directory: Path, node_name: str, node_ips: Sequence[str]) -> None:
    (directory / "etcd").mkdir(exist_ok=True)
    authority = _authority(directory / "etcd" / "ca", "etcd-ca")
    names = ("localhost", node_name, "127.0.0.1", "::1", *node_ips)
    _leaf(directory / "etcd" / "server", authority, Spec(node_name, (), (SERVER, CLIENT), names))
    _leaf(directory / "etcd" / "peer", authority, Spec(node_name, (), (SERVER, CLIENT), names))
    _leaf(directory / "apiserver-etcd-client", authority, Spec("kube-apiserver-etcd-client"))


def api_server_names(node_name: str, node_ips: Sequence[str], service_ip: str, domain: str) -> tuple[str, ...]:
    """All names under which clients reach the API server."""
    services = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}")
    return _distinct((node_name, *services, "localhost", service_ip, "127.0.0.1", "::1", *node_ips))


def kubelet_server(node_name: str, node_ips: Sequence[str]) -> Spec:
    names = _distinct((node_name, "localhost", "127.0.0.1", *node_ips))
    return Spec(f"system:node:{node_name}", ("system:nodes",), (SERVER,), names)


def load_authority(directory: Path, name: str = "ca") -> Authority:
    """An existing CA of a PKI directory. Raises PKIError, OSError."""
    certificate = _read_certificate(directory / f"{name}.crt")
    if certificate is None:
        raise PKIError(f"{directory / name}.crt is missing or not a certificate")
    return Authority(certificate, _read_key(directory / f"{name}.key"))


def issue(authority: Authority, spec: Spec, *, days: int = LEAF_DAYS) -> tuple[bytes, bytes]:
    """A new key and its certificate, both PEM: (certificate, key). Raises PKIError without the authority's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(spec, key, authority, days)
    return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)


def usable(certificate_pem: bytes, key_pem: bytes, authority: Authority, spec: Spec) -> bool:
    """Whether this pair still does what the spec asks: not near its end, signed by the authority, names complete."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, None)
    except (ValueError, TypeError):
        return False
    return (
        not _near_end(certificate, RENEW_DAYS)
        and certificate.public_key() == key.public_key()
        and certificate.subject == _subject(spec)
        and _signed_by(certificate, authority)
        and set(_alternative_names(spec.names)) <= set(_names_of(certificate))
    )


# one file pair each


def _authority(base: Path, common_name: str) -> Authority:
    """An expired or missing authority is made anew (and with it, because they no longer verify, all it signed)."""
    certificate, key = _read_certificate(base.with_suffix(".crt")), _read_key(base.with_suffix(".key"))
    if certificate is not None and not _near_end(certificate, 0):
        if key is not None and key.public_key() != certificate.public_key():
            raise PKIError(f"{base}.key does not belong to {base}.crt: put the right one there, or remove both")
        return Authority(certificate, key)
    if certificate is not None and key is None:
        raise PKIError(f"{base}.crt has expired and its key is not here: renew it where the key is")
    new_key = ec.generate_private_key(ec.SECP256R1())
    made = _sign(Spec(common_name, (), (), (common_name,)), new_key, None, AUTHORITY_DAYS)
    _write_pair(base, made.public_bytes(serialization.Encoding.PEM), _key_pem(new_key))
    return Authority(made, new_key)


def _leaf(base: Path, authority: Authority, spec: Spec) -> None:
    certificate, key = base.with_suffix(".crt"), base.with_suffix(".key")
    if certificate.exists() and key.exists() and usable(certificate.read_bytes(), key.read_bytes(), authority, spec):
        key.chmod(0o600)
        return
    _write_pair(base, *issue(authority, spec))


def _service_account_keys(directory: Path) -> None:
    """sa.key signs the tokens of service accounts; sa.pub checks them. A public key without its private one is kept."""
    private, public = directory / "sa.key", directory / "sa.pub"
    key = _read_key(private)
    if key is None:
        if public.exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        files.write(private, _key_pem(key), mode=0o600)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    if not public.exists() or public.read_bytes() != pem:
        files.write(public, pem, mode=0o644)


def _write_pair(base: Path, certificate: bytes, key: bytes) -> None:
    """The key first: a crash in between leaves a pair that does not match, which the next run remakes."""
    crt = base.with_suffix(".crt")
    crt.unlink(missing_ok=True)
    files.write(base.with_suffix(".key"), key, mode=0o600)
    files.write(crt, certificate, mode=0o644)


def _read_certificate(path: Path) -> x509.Certificate | None:
    return _read(path, x509.load_pem_x509_certificate)


def _read_key(path: Path) -> PrivateKey | None:
    return _read(path, lambda data: cast(PrivateKey, serialization.load_pem_private_key(data, None)))


def _read(path: Path, parse: Callable[[bytes], T]) -> T | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return parse(data)
    except (ValueError, TypeError) as err:
        raise PKIError(f"{path} cannot be read: {err}; remove it to have it made again") from err


# certificates


def _sign(spec: Spec, key: ec.EllipticCurvePrivateKey, authority: Authority | None, days: int) -> x509.Certificate:
    """authority None: self-signed, a CA."""
    now = env.now().replace(microsecond=0)
    subject = _subject(spec)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(_key_usage(authority is None), critical=True)
    )
    if spec.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternative_names(spec.names)), critical=False)
    if authority is None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return builder.sign(key, hashes.SHA256())
    if authority.key is None:
        who = authority.certificate.subject.rfc4514_string()
        raise PKIError(f"a certificate for {spec.common_name} must be signed by {who}, whose key is not here")
    issuer = authority.certificate.public_key()
    builder = builder.add_extension(x509.ExtendedKeyUsage(spec.usages), critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer),  # type: ignore[arg-type]
        critical=False,
    )
    return builder.sign(authority.key, hashes.SHA256())


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(spec: Spec) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in spec.organizations]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, spec.common_name)])


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    out: list[x509.GeneralName] = []
    for name in names:
        try:
            out.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            out.append(x509.DNSName(name))
    return out


def _names_of(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _near_end(certificate: x509.Certificate, days: int) -> bool:
    now = env.now()
    return not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - timedelta(days=days)


def _signed_by(certificate: x509.Certificate, authority: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
