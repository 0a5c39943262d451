"""Users from a front proxy's headers, and bootstrap tokens."""

import base64

import pytest

from skiff.api.gvr import SECRETS
from skiff.apiserver.authn.bootstraptoken import BootstrapTokens
from skiff.apiserver.authn.requestheader import Authority, Names, RequestHeader
from skiff.apiserver.authn.x509 import ClientCertificate
from skiff.apiserver.bootstrap import advertised
from skiff.apiserver.lookup import DictLookup
from skiff.kubeadm import pki
from skiff.testing import run
from skiff.wire.messages import REPEATED, Request

TOKEN = "abcdef.0123456789abcdef"


def secret(**data):
    given = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", **data}
    return {
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in given.items()},
    }


@pytest.mark.parametrize(
    "stored, token, groups",
    [
        pytest.param(secret(), TOKEN, ("system:bootstrappers",), id="a token"),
        pytest.param(
            secret(**{"auth-extra-groups": "system:bootstrappers:workers"}),
            TOKEN,
            ("system:bootstrappers", "system:bootstrappers:workers"),
            id="with another group",
        ),
        pytest.param(secret(**{"auth-extra-groups": "system:masters"}), TOKEN, None, id="a group that it cannot give"),
        pytest.param(secret(), "abcdef.0123456789abcdee", None, id="a wrong key"),
        pytest.param(secret(), "zzzzzz.0123456789abcdef", None, id="unknown"),
        pytest.param(secret(), "nonsense", None, id="malformed"),
        pytest.param(secret(expiration="2001-01-01T00:00:00Z"), TOKEN, None, id="expired"),
        pytest.param(secret(expiration="soon"), TOKEN, None, id="an expiration that is no time"),
        pytest.param(secret(**{"usage-bootstrap-authentication": "false"}), TOKEN, None, id="not for authentication"),
        pytest.param({**secret(), "type": "Opaque"}, TOKEN, None, id="another type of secret"),
    ],
)
def test_bootstrap_tokens(stored, token, groups):
    lookup = DictLookup()
    lookup.put(SECRETS, stored)
    found = run(BootstrapTokens(lookup).authenticate_token(token, ()))
    if groups is None:
        assert found is None
    else:
        assert found.user.name == "system:bootstrap:abcdef"
        assert found.user.groups == (*groups, "system:authenticated")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    pki.ensure_pki(directory, node_name="n1", node_ips=["127.0.0.1"], service_ip="10.96.0.1")
    return directory


def der(path):
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


HEADERS = {
    "x-remote-user": "alice",
    "x-remote-group": "dev, ops, qa",
    "x-remote-uid": "u1",
    "x-remote-extra-example.org%2fteam": "blue",
}


@pytest.mark.parametrize(
    "certificate, headers, allowed, name",
    [
        pytest.param("front-proxy-client", HEADERS, (), "alice", id="a proxy names a user"),
        pytest.param("front-proxy-client", {}, (), None, id="a proxy that names nobody is nobody"),
        pytest.param("front-proxy-client", HEADERS, ("other",), None, id="a proxy under a name that is not allowed"),
        pytest.param("apiserver-kubelet-client", HEADERS, (), "kube-apiserver-kubelet-client", id="headers of a user"),
        pytest.param(None, HEADERS, (), None, id="no certificate"),
    ],
)
def test_front_proxy_headers(certs, certificate, headers, allowed, name):
    authority = Authority((certs / "front-proxy-ca.crt").read_bytes())
    authenticator = RequestHeader(authority, Names(allowed=allowed), ClientCertificate())
    request = Request("GET", "/", headers=headers, notes={REPEATED: {"x-remote-group": ["dev, ops", "qa"]}})
    request.peer_cert = der(certs / f"{certificate}.crt") if certificate else None
    user = run(authenticator.authenticate(request))
    assert (user and user.name) == name
    if name == "alice":
        assert user.groups == ("dev, ops", "qa", "system:authenticated")
        assert (user.uid, user.extra) == ("u1", {"example.org/team": ("blue",)})


@pytest.mark.parametrize(
    "wanted, bound, found",
    [
        pytest.param("10.0.0.1", ["127.0.0.1"], "10.0.0.1", id="as asked"),
        pytest.param("", ["127.0.0.1", "10.89.0.1"], "10.89.0.1", id="what is listened on"),
        pytest.param("127.0.0.1", ["127.0.0.1"], "127.0.0.1", id="loopback if that is what is wanted"),
    ],
)
def test_advertised_address(wanted, bound, found):
    assert advertised(wanted, bound) == found
