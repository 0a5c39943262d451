"""Validation of CertificateSigningRequest. Source: pkg/apis/certificates/validation/validation.go.

cryptography is loaded when the first request is written.
"""

import binascii
from typing import TYPE_CHECKING, Any

from skiff.api import names
from skiff.api.errors import not_supported
from skiff.api.resources.checks import ErrorList
from skiff.api.resources.fields import get, items
from skiff.api.types import Obj

if TYPE_CHECKING:
    from cryptography import x509

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
DECISIONS = ("Approved", "Denied")
FINAL = (*DECISIONS, "Failed")
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
MAX_DOMAIN, MAX_SIGNER = 253, 571
MIN_SECONDS = 600


def check_signing_request(obj: Obj, errors: ErrorList) -> None:
    spec = obj.get("spec") or {}
    why = request_error(spec.get("request") or "")
    if why:
        errors.invalid("spec.request", spec.get("request"), why)
    usages = spec.get("usages") or []
    if not usages:
        errors.required("spec.usages")
    for i, usage in enumerate(usages):
        if usage not in USAGES:
            errors.append(not_supported(f"spec.usages[{i}]", usage, USAGES))
    for i, usage in enumerate(usages):
        if usage in usages[:i]:
            errors.duplicate(f"spec.usages[{i}]", usage)
    signer = spec.get("signerName", "")
    if signer == LEGACY_SIGNER:
        errors.invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        check_signer_name(signer, "spec.signerName", errors)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < MIN_SECONDS:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.invalid("spec.expirationSeconds", seconds, why)


def check_signer_name(value: str, path: str, errors: ErrorList) -> None:
    """`example.com/signer`."""
    if not value:
        errors.required(path)
        return
    domain, slash, name = value.partition("/")
    if not slash or "/" in name:
        form = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        errors.invalid(path, value, form)
        return
    if len(domain.encode()) > MAX_DOMAIN:
        errors.too_long(path, MAX_DOMAIN)
    _check_labels(domain, path, errors, names.is_dns1123_label)
    if "." not in domain:
        errors.invalid(path, domain, "should be a domain with at least two segments separated by dots")
    _check_labels(name, path, errors, names.is_dns1123_subdomain)
    if len(value.encode()) > MAX_SIGNER:
        errors.too_long(path, MAX_SIGNER)


def _check_labels(text: str, path: str, errors: ErrorList, rule: Any) -> None:
    """The first label that is wrong."""
    for label in text.split("."):
        wrong = rule(label)
        for why in wrong:
            errors.invalid(path, text, f'validating label "{label}": {why}')
        if wrong:
            return


def request_error(encoded: str) -> str:
    """What is wrong with a PKCS#10 request in base64 PEM, "" if nothing."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        data = binascii.a2b_base64(encoded)
    except ValueError:
        data = b""
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in data and b"-----BEGIN NEW CERTIFICATE REQUEST-----" not in data:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(data)
        fine = request.is_signature_valid or _signed_with_sha1(request)
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as e:
        return f"asn1: {e}"
    return "" if fine else "x509: invalid signature"


def _signed_with_sha1(request: "x509.CertificateSigningRequest") -> bool:
    """Upstream still accepts these of a request; the library calls them invalid."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA1

    algorithm, key = request.signature_hash_algorithm, request.public_key()
    if not isinstance(algorithm, SHA1):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(request.signature, request.tbs_certrequest_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(request.signature, request.tbs_certrequest_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def certificate_error(encoded: str) -> str:
    """What is wrong with an issued certificate, "" if nothing."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    if not encoded:
        return ""
    try:
        data = binascii.a2b_base64(encoded)
        kinds = [line[11:-5] for line in data.decode("ascii", "replace").splitlines() if line.startswith("-----BEGIN ")]
        if not kinds:
            return "must contain at least one CERTIFICATE PEM block"
        other = next((k for k in kinds if k != "CERTIFICATE"), None)
        if other is not None:
            return f'only CERTIFICATE PEM blocks are allowed, found "{other}"'
        x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm) as e:
        return f"x509: {e}"
    return ""


# The status: conditions and the certificate.


def check_status(new: Obj, old: Obj, errors: ErrorList, *, approval: bool = False, certificate: bool = False) -> None:
    """approval: decisions may be added; certificate: it may be set."""
    _check_conditions(new, old, errors)
    issued, before = get(new, "status", "certificate") or "", get(old, "status", "certificate") or ""
    if issued != before and not certificate_error(before):
        why = certificate_error(issued)
        if why:
            errors.invalid("status.certificate", "<certificate data>", why)
    counts = {kind: (len(_of(new, kind)), len(_of(old, kind))) for kind in FINAL}
    for kind, (now, then) in counts.items():
        if now < then:
            errors.forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
    for kind in () if approval else DECISIONS:
        now, then = counts[kind]
        if now > then:
            errors.forbidden("status.conditions", f'updates may not add a condition of type "{kind}"')
        elif now == then and _of(new, kind) != _of(old, kind):
            errors.forbidden("status.conditions", f'updates may not modify a condition of type "{kind}"')
    if issued != before and not certificate:
        errors.forbidden("status.certificate", "updates may not set certificate content")
    elif issued != before and before:
        errors.forbidden("status.certificate", "updates may not modify existing certificate content")


def _of(obj: Obj, kind: str) -> list[Obj]:
    return [c for c in items(obj, "status", "conditions") if c.get("type") == kind]


def _check_conditions(new: Obj, old: Obj, errors: ErrorList) -> None:
    both = {c.get("type") for c in items(old, "status", "conditions")} >= {*DECISIONS}
    seen: set[str] = set()
    for i, condition in enumerate(items(new, "status", "conditions")):
        path, kind, status = f"status.conditions[{i}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            errors.required(f"{path}.type")
        allowed = ("True",) if kind in FINAL else ("False", "True", "Unknown")
        if not status:
            errors.required(f"{path}.status")
        elif status not in allowed:
            errors.append(not_supported(f"{path}.status", status, allowed))
        if kind in DECISIONS and not both and seen & {*DECISIONS} - {kind}:
            errors.invalid("status.conditions", kind, "Approved and Denied conditions are mutually exclusive")
        if kind in seen:
            errors.duplicate(f"{path}.type", kind)
        seen.add(kind)
