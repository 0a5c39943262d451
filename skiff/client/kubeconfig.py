"""Where the API server is and who we are: kubeconfig files and the service account of a pod.

Guarantees: relative paths are relative to the kubeconfig; embedded keys reach OpenSSL through an unlinked-at-once
private file, never a readable one. Exec plugins and auth providers are not followed.
"""

import base64
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skiff import env
from skiff.client.https import HTTPSTransport, Token
from skiff.wire.tls import client_context

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_REREAD_S = 60


class ConfigError(Exception):
    """The kubeconfig is missing something or wrong; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a transport needs. server_name: the name that the certificate must carry, if not the URL's host."""

    base_url: str
    ssl_context: ssl.SSLContext
    token: Token = None
    server_name: str = ""
    namespace: str = "default"


def transport_from_kubeconfig(path: str | Path, *, context: str = "") -> HTTPSTransport:
    """A transport for the current (or the named) context of a kubeconfig. Raises ConfigError, OSError."""
    return transport(load(path, context=context))


def transport(access: Access) -> HTTPSTransport:
    return HTTPSTransport(access.base_url, access.ssl_context, token=access.token, server_name=access.server_name)


def load(path: str | Path, *, context: str = "", credentials: bool = True) -> Access:
    """Reads a kubeconfig. credentials: the user's too, not only where the server is. Raises ConfigError, OSError."""
    import yaml

    try:
        config = yaml.load(Path(path).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as err:
        raise ConfigError(f"{path} is not valid YAML: {err}") from err
    if not isinstance(config, dict):
        raise ConfigError(f"{path} is not a kubeconfig")
    base = Path(path).parent
    chosen = _entry(config, "contexts", context or config.get("current-context") or "", "context")
    cluster = _entry(config, "clusters", chosen.get("cluster", ""), "cluster")
    user = _entry(config, "users", chosen["user"], "user") if chosen.get("user") and credentials else {}
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise ConfigError(f"{path}: the cluster has no server URL")
    return Access(
        server,
        _tls(cluster, user, base),
        _token(user, base),
        cluster.get("tls-server-name", ""),
        chosen.get("namespace") or "default",
    )


def in_cluster() -> Access:
    """The pod's own service account. Raises ConfigError outside of a pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = SERVICE_ACCOUNT / "token"
    if not host or not token.exists():
        raise ConfigError("not in a pod: KUBERNETES_SERVICE_HOST or the service account token is missing")
    context = client_context(ca_data=(SERVICE_ACCOUNT / "ca.crt").read_text())
    namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
    literal = f"[{host}]" if ":" in host else host
    return Access(f"https://{literal}:{port}", context, TokenFile(token), namespace=namespace)


class TokenFile:
    """A bearer token in a file that someone else renews: read again every minute."""

    def __init__(self, path: Path):
        self._path = path
        self._token = ""
        self._read_at = -TOKEN_REREAD_S - 1.0

    def __call__(self) -> str:
        now = env.epoch()
        if now - self._read_at > TOKEN_REREAD_S:
            self._token, self._read_at = self._path.read_text().strip(), now
        return self._token


def _entry(config: dict[str, Any], section: str, name: str, key: str) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry.get(key) or {}
    raise ConfigError(f'no {key} "{name}" in the kubeconfig')


def _token(user: dict[str, Any], base: Path) -> Token:
    if user.get("tokenFile"):
        return TokenFile(base / user["tokenFile"])
    return user.get("token") or None


def _tls(cluster: dict[str, Any], user: dict[str, Any], base: Path) -> ssl.SSLContext:
    verify = not cluster.get("insecure-skip-tls-verify")
    context = client_context(ca_data=(_data(cluster, "certificate-authority", base) or b"").decode(), verify=verify)
    certificate = _data(user, "client-certificate", base)
    key = _data(user, "client-key", base)
    if certificate and key:
        load_pair(context, certificate, key)
    elif certificate or key:
        raise ConfigError("the user has a client certificate without its key, or a key without a certificate")
    return context


def _data(entry: dict[str, Any], name: str, base: Path) -> bytes | None:
    """The bytes of `name-data` (base64), which wins as in client-go, or of the file `name`."""
    if entry.get(f"{name}-data"):
        try:
            return base64.b64decode(entry[f"{name}-data"], validate=True)
        except ValueError as err:
            raise ConfigError(f"{name}-data is not base64") from err
    if entry.get(name):
        return (base / entry[name]).read_bytes()
    return None


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Gives the context a certificate from memory (OpenSSL's binding reads files only)."""
    with _private_file(certificate + b"\n" + key) as name:
        try:
            context.load_cert_chain(name)
        except ssl.SSLError as err:
            raise ConfigError(f"the client certificate cannot be used: {err.reason or err}") from err


@contextlib.contextmanager
def _private_file(data: bytes) -> Iterator[str]:
    """The data under a name that only this process can open: a memory file, or else a 0600 temporary file."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.name
