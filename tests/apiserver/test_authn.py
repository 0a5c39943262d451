"""Who asks: certificates, tokens, impersonation, and what TokenRequest and TokenReview make of them."""

import asyncio
import contextlib
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from skiff import env
from skiff.api.errors import StatusError
from skiff.api.gvr import NODES, PODS, SECRETS, SERVICEACCOUNTS
from skiff.apiserver.authn import Authentication, Unauthorized
from skiff.apiserver.authn import tokenfile as tokenfile_module
from skiff.apiserver.authn.bearer import WEBSOCKET_PREFIX, Bearer
from skiff.apiserver.authn.impersonation import Impersonation
from skiff.apiserver.authn.jwt import KeySet, Signer, b64, unb64
from skiff.apiserver.authn.openid import OpenIDDiscovery
from skiff.apiserver.authn.reviews import self_subject_review, token_review
from skiff.apiserver.authn.serviceaccount import NODE_NAME, ServiceAccountTokens
from skiff.apiserver.authn.tokens import TokenIssuer
from skiff.apiserver.authn.x509 import ClientCertificate, user_of
from skiff.apiserver.authz import Attributes, Decision
from skiff.kubeadm import pki
from skiff.wire.messages import REPEATED, Request, UserInfo
from tests.apiserver.access import ALICE, obj, world

ISSUER = "https://kubernetes.default.svc"
NOW = 1_767_225_600.0


class Clock(env.RealEnvironment):
    now = NOW

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock():
    made = Clock()
    token = env.current.set(made)
    yield made
    env.current.reset(token)


def pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


P256 = pem(ec.generate_private_key(ec.SECP256R1()))
KEYS = [
    pytest.param(P256, "ES256", id="P-256"),
    pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), "ES384", id="P-384"),
    pytest.param(pem(ec.generate_private_key(ec.SECP521R1())), "ES512", id="P-521"),
    pytest.param(pem(rsa.generate_private_key(65537, 2048)), "RS256", id="RSA"),
]


@pytest.mark.parametrize("key, algorithm", KEYS)
def test_a_token_is_verified_by_its_key_only(key, algorithm):
    token = Signer(key).sign({"a": 1})
    keys = KeySet([key])
    assert keys.verify(token) == {"a": 1}
    assert [k["alg"] for k in keys.jwks()["keys"]] == [algorithm]
    with pytest.raises(Unauthorized):
        KeySet([pem(ec.generate_private_key(ec.SECP256R1()))]).verify(token)


def forged(token: str, **header) -> str:
    _, claims, signature = token.split(".")
    return f"{b64(orjson.dumps(header))}.{claims}.{signature}"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: t[:-8] + "AAAAAAAA", id="another signature"),
        pytest.param(lambda t: forged(t, alg="none"), id="no algorithm"),
        pytest.param(lambda t: forged(t, alg="HS256"), id="the public key as a secret"),
        pytest.param(lambda t: forged(t, alg="ES256", kid="unknown"), id="an unknown key"),
        pytest.param(lambda t: t.rsplit(".", 1)[0] + ".", id="an empty signature"),
        pytest.param(lambda t: t + ".x", id="four parts"),
        pytest.param(lambda t: "a.b", id="no token at all"),
        pytest.param(lambda t: "é.é.é", id="not ASCII"),
    ],
)
def test_forged_tokens_are_refused(change):
    token = Signer(P256).sign({"iss": ISSUER})
    with pytest.raises(Unauthorized):
        KeySet([P256]).verify(change(token))


def service(lookup, **options):
    keys = KeySet([P256])
    tokens = ServiceAccountTokens(keys, issuers=[ISSUER], audiences=[ISSUER], lookup=lookup)
    return tokens, TokenIssuer(Signer(P256), issuer=ISSUER, audiences=[ISSUER], lookup=lookup, **options)


def issue(issuer, **spec):
    return asyncio.run(issuer.create("default", "default", {"spec": spec}))


def identify(tokens, token, audiences=()):
    return asyncio.run(tokens.authenticate_token(token, audiences))


BOUND = {"apiVersion": "v1", "kind": "Pod", "name": "p"}


def test_an_issued_token_names_the_account_its_pod_and_its_node(clock):
    tokens, issuer = service(world())
    answer = issue(issuer, boundObjectRef=BOUND, expirationSeconds=3607)
    user = identify(tokens, answer["status"]["token"]).user
    assert user.name == "system:serviceaccount:default:default"
    assert user.uid == "uid-default"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    extra = {k.rsplit("/", 1)[1]: v for k, v in user.extra.items()}
    assert extra["pod-name"] == ("p",)
    assert extra["node-name"] == ("n1",)
    assert extra["credential-id"][0].startswith("JTI=")


def claims_of(answer):
    return orjson.loads(unb64(answer["status"]["token"].split(".")[1]))


def test_a_pods_own_token_warns_after_an_hour_and_lives_for_a_year(clock):
    _, issuer = service(world())
    answer = issue(issuer, boundObjectRef=BOUND, expirationSeconds=3607)
    claims = claims_of(answer)
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600
    assert claims["kubernetes.io"]["warnafter"] - claims["iat"] == 3607
    assert answer["status"]["expirationTimestamp"] == "2026-01-01T01:00:07Z"


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"expirationSeconds": 3600, "boundObjectRef": BOUND}, id="another time"),
        pytest.param({"expirationSeconds": 3607}, id="no pod"),
        pytest.param(
            {"expirationSeconds": 3607, "boundObjectRef": BOUND, "audiences": ["vault"]}, id="another audience"
        ),
    ],
)
def test_only_a_pods_own_token_is_extended(clock, spec):
    _, issuer = service(world())
    claims = claims_of(issue(issuer, **spec))
    assert claims["exp"] - claims["iat"] == spec["expirationSeconds"]


END = [
    pytest.param(lambda w, c: setattr(c, "now", NOW + 3700), id="it has expired"),
    pytest.param(lambda w, c: setattr(c, "now", NOW - 100), id="it is not valid yet"),
    pytest.param(lambda w, c: w.remove(PODS, "default", "p"), id="its pod is gone"),
    pytest.param(lambda w, c: w.put(PODS, obj("p", "default", metadata={"uid": "other"})), id="its pod is another one"),
    pytest.param(
        lambda w, c: w.put(PODS, obj("p", "default", metadata={"deletionTimestamp": "2025-12-31T23:58:59Z"})),
        id="its pod was deleted a minute ago",
    ),
    pytest.param(lambda w, c: w.remove(SERVICEACCOUNTS, "default", "default"), id="its account is gone"),
]


@pytest.mark.parametrize("end", END)
def test_a_token_dies(clock, end):
    lookup = world()
    tokens, issuer = service(lookup)
    token = issue(issuer, boundObjectRef=BOUND, expirationSeconds=3600)["status"]["token"]
    assert identify(tokens, token)
    end(lookup, clock)
    with pytest.raises(Unauthorized):
        identify(tokens, token)


@pytest.mark.parametrize(
    "gvr, kind, name",
    [pytest.param(SECRETS, "Secret", "s", id="a secret"), pytest.param(NODES, "Node", "n1", id="a node")],
)
def test_a_token_may_be_bound_to(clock, gvr, kind, name):
    lookup = world()
    tokens, issuer = service(lookup)
    token = issue(issuer, boundObjectRef={"apiVersion": "v1", "kind": kind, "name": name})["status"]["token"]
    assert identify(tokens, token)
    lookup.remove(gvr, "default" if kind == "Secret" else "", name)
    with pytest.raises(Unauthorized):
        identify(tokens, token)


def test_audiences(clock):
    tokens, issuer = service(world())
    token = issue(issuer, audiences=["vault", "other"])["status"]["token"]
    assert identify(tokens, token, ["x", "vault"]).audiences == ("vault",)
    with pytest.raises(Unauthorized):
        identify(tokens, token)


REFUSED = [
    pytest.param({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes", id="too short"),
    pytest.param({"expirationSeconds": 2**32 + 1}, 422, "larger than 2^32 seconds", id="too long"),
    pytest.param({"boundObjectRef": {**BOUND, "name": "q"}}, 404, 'pods "q" not found', id="no such pod"),
    pytest.param({"boundObjectRef": {**BOUND, "uid": "u"}}, 409, "does not match the UID in record", id="another pod"),
    pytest.param(
        {"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}},
        400,
        "cannot bind token to object of type apps/v1, Kind=Deployment",
        id="a kind that binds nothing",
    ),
]


@pytest.mark.parametrize("spec, code, message", REFUSED)
def test_token_requests_are_refused(clock, spec, code, message):
    _, issuer = service(world())
    with pytest.raises(StatusError) as caught:
        issue(issuer, **spec)
    assert caught.value.code == code
    assert message in caught.value.message


def test_token_review(clock):
    tokens, issuer = service(world())
    bearer = Bearer([tokens])
    token = issue(issuer)["status"]["token"]
    good = asyncio.run(token_review(bearer, [ISSUER], {"kind": "TokenReview", "spec": {"token": token}}))["status"]
    bad = asyncio.run(token_review(bearer, [ISSUER], {"spec": {"token": token[:-5] + "AAAAA"}}))["status"]
    assert good["authenticated"] and good["user"]["username"].endswith(":default") and good["audiences"] == [ISSUER]
    assert "authenticated" not in bad and "invalid bearer token" in bad["error"]
    with pytest.raises(StatusError, match="token is required"):
        asyncio.run(token_review(bearer, [ISSUER], {"spec": {}}))


def test_whoami():
    found = self_subject_review(ALICE, {"kind": "SelfSubjectReview"})["status"]["userInfo"]
    assert found == {"username": "alice", "groups": ["dev", "system:authenticated"]}


def test_discovery_of_the_issuer():
    openid = OpenIDDiscovery(KeySet([P256]), issuer=ISSUER, jwks_uri="https://10.89.0.1:6443/openid/v1/jwks")
    document = orjson.loads(asyncio.run(openid.configuration(Request("GET", "/"))).body)
    assert document["issuer"] == ISSUER
    assert document["id_token_signing_alg_values_supported"] == ["ES256"]
    keys = orjson.loads(asyncio.run(openid.jwks(Request("GET", "/"))).body)["keys"]
    assert (keys[0]["kty"], keys[0]["crv"], keys[0]["use"]) == ("EC", "P-256", "sig")


# certificates


def client_certificate(tmp_path: Path, *spec) -> bytes:
    pki.ensure_pki(tmp_path, node_name="n", node_ips=[], service_ip="10.96.0.1")
    text, _ = pki.issue(pki.load_authority(tmp_path), pki.Spec(*spec))
    from cryptography import x509

    return x509.load_pem_x509_certificate(text).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "name, organizations",
    [
        pytest.param("alice", (), id="a name alone"),
        pytest.param("system:node:n1", ("system:nodes", "b"), id="groups in order"),
        pytest.param("Zoë", ("Gruppe ß",), id="text beyond ASCII"),
    ],
)
def test_a_certificate_is_a_user(tmp_path, name, organizations):
    der = client_certificate(tmp_path, name, organizations)
    user = asyncio.run(ClientCertificate().authenticate(Request("GET", "/", peer_cert=der)))
    assert (user.name, user.groups) == (name, (*organizations, "system:authenticated"))


def test_a_damaged_certificate_is_refused_not_crashed_on(tmp_path):
    der = client_certificate(tmp_path, "alice")
    for position in range(len(der)):
        for value in (0, 0x7F, 0xFF):
            damaged = der[:position] + bytes((value,)) + der[position + 1 :]
            with contextlib.suppress(Unauthorized):
                user_of(damaged)


# the chain


def chain(tmp_path, *, anonymous=True):
    (tmp_path / "tokens.csv").write_text('# a comment\nsecret,bob,u1,"a, b"\nplain,eve,u2\n')
    return Authentication(
        [ClientCertificate(), Bearer([tokenfile_module.load(tmp_path / "tokens.csv")])], anonymous=anonymous
    )


CREDENTIALS = [
    pytest.param({}, "system:anonymous", ("system:unauthenticated",), id="nothing"),
    pytest.param({"authorization": "Bearer secret"}, "bob", ("a", "b", "system:authenticated"), id="a token"),
    pytest.param({"authorization": "bearer plain"}, "eve", ("system:authenticated",), id="without groups"),
    pytest.param({"authorization": "Basic eDp5"}, "system:anonymous", ("system:unauthenticated",), id="another scheme"),
    pytest.param(
        {"sec-websocket-protocol": f"{WEBSOCKET_PREFIX}{b64(b'secret')}, v4"},
        "bob",
        ("a", "b", "system:authenticated"),
        id="a token in a WebSocket protocol",
    ),
]


@pytest.mark.parametrize("headers, name, groups", CREDENTIALS)
def test_credentials(tmp_path, headers, name, groups):
    user = asyncio.run(chain(tmp_path).authenticate(Request("GET", "/", headers=headers)))
    assert (user.name, user.groups) == (name, groups)


@pytest.mark.parametrize(
    "headers, anonymous",
    [
        pytest.param({"authorization": "Bearer wrong"}, True, id="a wrong token is not anonymous"),
        pytest.param({}, False, id="nobody is let in without a credential"),
    ],
)
def test_unauthorized(tmp_path, headers, anonymous):
    with pytest.raises(StatusError) as caught:
        asyncio.run(chain(tmp_path, anonymous=anonymous).authenticate(Request("GET", "/", headers=headers)))
    assert caught.value.code == 401


@pytest.mark.parametrize(
    "text", [pytest.param("token,user\n", id="no uid"), pytest.param(",u,i\n", id="an empty token")]
)
def test_a_wrong_token_file_names_the_line(tmp_path, text):
    (tmp_path / "t").write_text(text)
    with pytest.raises(ValueError, match="line 1"):
        tokenfile_module.load(tmp_path / "t")


# impersonation


class Allow:
    """Allows what is listed, as `verb resource/name`, and notes what was asked of the legacy mode."""

    def __init__(self, *allowed: str):
        self.allowed = allowed
        self.asked: list[str] = []

    async def authorize(self, attrs: Attributes) -> Decision:
        what = f"{attrs.resource}/{attrs.subresource + '/' if attrs.subresource else ''}{attrs.name}"
        if attrs.verb == "impersonate":
            self.asked.append(what)
        allowed = f"{attrs.verb} {what}" in self.allowed or (attrs.verb == "impersonate" and what in self.allowed)
        return Decision("allow" if allowed else "none")


def act(headers, authorizer, user=ALICE, notes=None, impersonation=None):
    asked = Attributes(user, "list", resource="pods", version="v1", namespace="ns")
    request = Request("GET", "/", headers=headers, notes=notes or {})
    return asyncio.run((impersonation or Impersonation()).act(request, asked, authorizer))


def repeated(**values):
    return {REPEATED: {name.replace("_", "-"): found for name, found in values.items()}}


IMPERSONATED = [
    pytest.param({"impersonate-user": "bob"}, {}, ["users/bob"], ("bob", ("system:authenticated",)), id="a user"),
    pytest.param(
        {"impersonate-user": "bob", "impersonate-group": "a, b"},
        repeated(impersonate_group=["a", "b"]),
        ["users/bob", "groups/a", "groups/b"],
        ("bob", ("a", "b", "system:authenticated")),
        id="a user with groups",
    ),
    pytest.param(
        {"impersonate-user": "bob", "impersonate-group": "a, b"},
        {},
        ["users/bob", "groups/a, b"],
        ("bob", ("a, b", "system:authenticated")),
        id="a group with a comma in its name",
    ),
    pytest.param(
        {"impersonate-user": "Zo\u00c3\u00ab"}, {}, ["users/Zoë"], ("Zoë", ("system:authenticated",)), id="UTF-8"
    ),
    pytest.param(
        {"impersonate-user": "system:serviceaccount:ns:sa"},
        {},
        ["serviceaccounts/sa"],
        (
            "system:serviceaccount:ns:sa",
            ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
        ),
        id="a service account with its groups",
    ),
    pytest.param(
        {"impersonate-user": "system:anonymous"},
        {},
        ["users/system:anonymous"],
        ("system:anonymous", ("system:unauthenticated",)),
        id="nobody",
    ),
    pytest.param(
        {"impersonate-user": "b", "impersonate-extra-a%2fb": "v, w", "impersonate-uid": "u"},
        repeated(**{"impersonate-extra-a%2fb": ["v", "w"]}),
        ["users/b", "uids/u", "userextras/a/b/v", "userextras/a/b/w"],
        ("b", ("system:authenticated",)),
        id="extra and uid",
    ),
]


@pytest.mark.parametrize("headers, notes, asked, expected", IMPERSONATED)
def test_impersonation_asks_for_every_part(headers, notes, asked, expected):
    authorizer = Allow(*asked)
    user = act(headers, authorizer, notes=notes)
    assert (user.name, user.groups) == expected
    assert authorizer.asked == asked
    for missing in asked:
        with pytest.raises(StatusError) as caught:
            act(headers, Allow(*(a for a in asked if a != missing)), notes=notes)
        assert caught.value.code == 403


def test_impersonation_needs_a_user():
    with pytest.raises(StatusError) as caught:
        act({"impersonate-group": "a"}, Allow("groups/a"))
    assert caught.value.code == 400
    assert 'Groups:[]string{"a"}' in caught.value.message


AGENT = UserInfo("system:serviceaccount:ns:agent", (), "", {NODE_NAME: ("n1",), "x/y": ("z",)})
ON = "impersonate-on:{}:list pods/"
CONSTRAINED = [
    pytest.param({"impersonate-user": "bob"}, ALICE, "user-info", ["users/bob"], ("system:authenticated",), id="a user"),
    pytest.param(
        {"impersonate-user": "bob", "impersonate-group": "g", "impersonate-uid": "u", "impersonate-extra-a.b%2fc": "v"},
        ALICE,
        "user-info",
        ["users/bob", "groups/g", "uids/u", "userextras/a.b/c/v"],
        ("g", "system:authenticated"),
        id="all parts of a user",
    ),
    pytest.param(
        {"impersonate-user": "system:node:n1"}, AGENT, "associated-node", ["nodes/*"], ("system:nodes", "system:authenticated"), id="the own node"
    ),
    pytest.param(
        {"impersonate-user": "system:node:n2"}, AGENT, "arbitrary-node", ["nodes/n2"], ("system:nodes", "system:authenticated"), id="any node"
    ),
    pytest.param(
        {"impersonate-user": "system:serviceaccount:ns:sa"},
        ALICE,
        "serviceaccount",
        ["serviceaccounts/sa"],
        ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
        id="a service account",
    ),
]  # fmt: skip


@pytest.mark.parametrize("headers, user, mode, parts, groups", CONSTRAINED)
def test_constrained_impersonation_asks_about_the_user_and_the_request(headers, user, mode, parts, groups):
    """KEP-5284, on by default in v1.36."""
    needed = [ON.format(mode), *(f"impersonate:{mode} {part}" for part in parts)]
    found = act(headers, Allow(*needed), user)
    assert (found.name, found.groups) == (headers["impersonate-user"], groups)
    for missing in needed:
        with pytest.raises(StatusError) as caught:
            act(headers, Allow(*(n for n in needed if n != missing)), user)
        assert caught.value.code == 403


def test_nobody_becomes_a_master_in_a_constrained_way():
    headers = {"impersonate-user": "bob", "impersonate-group": "system:masters"}
    names = ["users/bob", "groups/system:masters", "groups/*"]
    needed = [ON.format("user-info"), *(f"impersonate:user-info {name}" for name in names)]
    with pytest.raises(StatusError, match="impersonating the system:masters group is not allowed"):
        act(headers, Allow(*needed))


def test_the_first_refusal_is_told_and_the_last_mode_that_worked_is_asked_first():
    impersonation = Impersonation()
    with pytest.raises(StatusError, match='cannot impersonate-on:user-info:list resource "pods"'):
        act({"impersonate-user": "bob"}, Allow(), impersonation=impersonation)
    act({"impersonate-user": "bob"}, Allow("users/bob"), impersonation=impersonation)
    with pytest.raises(StatusError, match='User "alice" cannot impersonate resource "users"'):
        act({"impersonate-user": "eve"}, Allow("users/bob"), impersonation=impersonation)
