"""The PKI: complete after one run, untouched by the next, mended where it lacks something; kubeconfigs from it."""

import asyncio
import contextlib
import os
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from skiff import env
from skiff.client.kubeconfig import ConfigError, load, transport_from_kubeconfig
from skiff.kubeadm import pki
from skiff.kubeadm.kubeconfig import users, write_kubeconfigs
from skiff.kubeadm.pki import PKIError, ensure_pki
from skiff.wire.messages import Request, Response
from skiff.wire.server import serve
from skiff.wire.tls import server_context

START = datetime(2026, 1, 1, tzinfo=UTC)
LEAVES = ("apiserver", "apiserver-kubelet-client", "front-proxy-client", "kubelet")


class Clock(env.RealEnvironment):
    def __init__(self) -> None:
        super().__init__()
        self.now = START.timestamp()

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock():
    made = Clock()
    token = env.current.set(made)
    yield made
    env.current.reset(token)


def ensure(directory, **changed):
    wanted = {"node_name": "n1", "node_ips": ["10.89.0.1"], "service_ip": "10.96.0.1", **changed}
    ensure_pki(directory, **wanted)


def contents(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir()}


def certificate(directory, name):
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def names(found):
    extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(extension.get_values_for_type(x509.DNSName)), set(extension.get_values_for_type(x509.IPAddress))


def test_makes_everything_under_kubeadms_names(tmp_path, clock):
    ensure(tmp_path)
    pairs = ("ca", "front-proxy-ca", *LEAVES)
    assert set(contents(tmp_path)) == {f"{p}.{end}" for p in pairs for end in ("crt", "key")} | {"sa.key", "sa.pub"}
    dns, ips = names(certificate(tmp_path, "apiserver"))
    services = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    assert dns == {"n1", "localhost", *services}
    assert ips == {ip_address(i) for i in ("10.96.0.1", "127.0.0.1", "::1", "10.89.0.1")}
    assert certificate(tmp_path, "apiserver-kubelet-client").subject.rfc4514_string() == (
        "CN=kube-apiserver-kubelet-client"
    )


def test_keys_are_private(tmp_path, clock):
    old = os.umask(0)
    try:
        ensure(tmp_path)
    finally:
        os.umask(old)
    for path in tmp_path.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_run_changes_nothing(tmp_path, clock):
    ensure(tmp_path)
    before = contents(tmp_path)
    ensure(tmp_path)
    assert contents(tmp_path) == before


MENDED = [
    pytest.param(
        lambda d, c: setattr(c, "now", c.now + timedelta(days=340).total_seconds()), {*LEAVES}, id="near the end"
    ),
    pytest.param(lambda d, c: (d / "kubelet.key").unlink(), {"kubelet"}, id="a key is missing"),
    pytest.param(lambda d, c: (d / "kubelet.crt").write_text("rubbish"), {"kubelet"}, id="a certificate is rubbish"),
    pytest.param(
        lambda d, c: (d / "kubelet.key").write_bytes((d / "apiserver.key").read_bytes()),
        {"kubelet"},
        id="a key of another",
    ),
    pytest.param(
        lambda d, c: [(d / f"ca.{end}").unlink() for end in ("crt", "key")],
        {"ca", "apiserver", "apiserver-kubelet-client", "kubelet"},
        id="the authority is gone",
    ),
]


@pytest.mark.parametrize("damage, remade", MENDED)
def test_mends_what_is_wrong_and_only_that(tmp_path, clock, damage, remade):
    ensure(tmp_path)
    before = contents(tmp_path)
    damage(tmp_path, clock)
    ensure(tmp_path)
    after = contents(tmp_path)
    assert {n.removesuffix(".crt") for n in after if n.endswith(".crt") and after[n] != before[n]} == remade
    for name in ("ca", *LEAVES):
        key = serialization.load_pem_private_key(after[f"{name}.key"], None)
        assert key.public_key() == certificate(tmp_path, name).public_key()


def test_a_new_address_of_the_node_gets_into_the_certificate(tmp_path, clock):
    ensure(tmp_path)
    ensure(tmp_path, node_ips=["10.89.0.1", "192.0.2.7"])
    assert ip_address("192.0.2.7") in names(certificate(tmp_path, "apiserver"))[1]


def test_an_authority_kept_elsewhere_is_respected(tmp_path, clock):
    ensure(tmp_path)
    (tmp_path / "ca.key").unlink()
    ensure(tmp_path)
    (tmp_path / "kubelet.crt").unlink()
    with pytest.raises(PKIError, match="whose key is not here"):
        ensure(tmp_path)


def test_a_foreign_authority_key_is_an_error_and_not_overwritten(tmp_path, clock):
    ensure(tmp_path)
    (tmp_path / "ca.key").write_bytes((tmp_path / "front-proxy-ca.key").read_bytes())
    before = contents(tmp_path)
    with pytest.raises(PKIError, match=r"ca\.key does not belong"):
        ensure(tmp_path)
    assert contents(tmp_path) == before


def test_kubeconfigs_are_kept_while_they_are_good(tmp_path, clock):
    ensure(tmp_path / "pki")
    write_kubeconfigs(tmp_path, tmp_path / "pki", server="https://127.0.0.1:6443", node_name="n1")
    found = {p.name: p.read_bytes() for p in tmp_path.glob("*.conf")}
    assert set(found) == set(users("n1"))
    assert {stat.S_IMODE((tmp_path / n).stat().st_mode) for n in found} == {0o600}
    write_kubeconfigs(tmp_path, tmp_path / "pki", server="https://127.0.0.1:6443", node_name="n1")
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.conf")} == found
    write_kubeconfigs(tmp_path, tmp_path / "pki", server="https://127.0.0.1:7443", node_name="n1")
    assert yaml.safe_load((tmp_path / "admin.conf").read_text())["clusters"][0]["cluster"]["server"].endswith(":7443")


@contextlib.asynccontextmanager
async def cluster(tmp_path):
    """A TLS server with the API server's certificate, and kubeconfigs for it."""
    ensure(tmp_path / "pki")

    async def who(request: Request) -> Response:
        from skiff.wire.x509 import subject

        found = subject(request.peer_cert) if request.peer_cert else None
        text = f"{found.common_name} {','.join(found.organizations)}" if found else "nobody"
        return Response(200, {}, f"{text} {request.headers.get('authorization', '-')}".encode())

    p = tmp_path / "pki"
    context = server_context(str(p / "apiserver.crt"), str(p / "apiserver.key"), client_ca_file=str(p / "ca.crt"))
    server = await serve(who, ssl=context)
    write_kubeconfigs(tmp_path, p, server=f"https://127.0.0.1:{server.port}", node_name="n1")
    try:
        yield server
    finally:
        await server.close(0)


async def ask(path) -> str:
    transport = transport_from_kubeconfig(path)
    try:
        return (await transport.send(Request("GET", "/"))).body.decode()
    finally:
        await transport.close()


@pytest.mark.parametrize(
    "file, who",
    [
        pytest.param("admin.conf", "kubernetes-admin system:masters", id="the administrator"),
        pytest.param("kubelet.conf", "system:node:n1 system:nodes", id="a node"),
        pytest.param("scheduler.conf", "system:kube-scheduler ", id="the scheduler"),
    ],
)
def test_a_kubeconfig_leads_to_the_server_as_its_user(tmp_path, file, who):
    async def main():
        async with cluster(tmp_path):
            return await ask(tmp_path / file)

    assert asyncio.run(main()) == f"{who} -"


def test_a_kubeconfig_with_files_and_a_token(tmp_path):
    async def main():
        async with cluster(tmp_path) as server:
            (tmp_path / "token").write_text("secret\n")
            config = {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": [
                    {
                        "name": "k",
                        "cluster": {
                            "server": f"https://localhost:{server.port}",
                            "certificate-authority": "pki/ca.crt",
                            "tls-server-name": "kubernetes",
                        },
                    }
                ],
                "users": [{"name": "u", "user": {"tokenFile": "token"}}],
            }
            (tmp_path / "my.conf").write_text(yaml.safe_dump(config))
            return await ask(tmp_path / "my.conf")

    assert asyncio.run(main()) == "nobody Bearer secret"


def test_a_server_of_another_authority_is_not_trusted(tmp_path):
    async def main():
        async with cluster(tmp_path / "a"), cluster(tmp_path / "b") as other:
            text = (tmp_path / "a" / "admin.conf").read_text()
            foreign = tmp_path / "foreign.conf"
            lines = [f"    server: https://127.0.0.1:{other.port}" if "server:" in x else x for x in text.splitlines()]
            foreign.write_text("\n".join(lines))
            with pytest.raises(ConnectionError, match="tls"):
                await ask(foreign)

    asyncio.run(main())


@pytest.mark.parametrize(
    "text, why",
    [
        pytest.param("a: [", "not valid YAML", id="no YAML"),
        pytest.param("[]", "is not a kubeconfig", id="a list"),
        pytest.param("current-context: x", 'no context "x"', id="a context that is missing"),
        pytest.param(
            "{current-context: x, contexts: [{name: x, context: {cluster: k}}], clusters: [{name: k, cluster: {}}]}",
            "no server URL",
            id="no server",
        ),
    ],
)
def test_a_wrong_kubeconfig_says_what_is_wrong(tmp_path, text, why):
    (tmp_path / "c").write_text(text)
    with pytest.raises(ConfigError, match=why):
        load(tmp_path / "c")


def test_etcd_certificates_on_request(tmp_path, clock):
    ensure(tmp_path, etcd=True)
    server = certificate(tmp_path / "etcd", "server")
    assert pki.SERVER in server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    server.verify_directly_issued_by(certificate(tmp_path / "etcd", "ca"))
