"""Requests that nobody should send, as hypothesis strategies: one per kind of attack (`ATTACKS`).

They start from what is right (a seed object, a collection that exists) and spoil it, since nonsense through and through
gets no further than the first check.
"""

import base64
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from hypothesis import strategies as st

from skiff.api import protobuf
from skiff.wire.messages import Request
from tests.fuzz import seeds
from tests.fuzz.shapes import Shapes

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

WORDS = (
    *("", " ", "\0", "a", "default", "p", "..", "../../etc", "a/b", "%2e%2e", "-", "*", "~1", "a" * 300, "é", "\u202e"),
    *("\ud7ff", "𝕏", "\n", "a\r\nb: c", "null", "true", "0", "-1", "1e999", "NaN", "0x10", "9" * 40, "{}", "[", "$(A)"),
    *("2026-01-01T00:00:00Z", "10Gi", "1.5.5", "::1", "10.0.0.1/33", "kube-system", "metadata", "spec.containers[0]"),
)
"""Text that has broken something somewhere."""

words = st.sampled_from(WORDS) | st.text(max_size=8)
numbers = st.sampled_from((0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 0.5, -0.0, 1e300))
scalars = st.none() | st.booleans() | numbers | words
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)
names = st.sampled_from(("x", "new", "p", "m", "web")) | words
"""Of objects."""

collections = st.sampled_from(seeds.COLLECTIONS)
plausible_query = st.sampled_from(("", "dryRun=All", "fieldValidation=Strict", "fieldManager=f", "pretty=1"))
MEDIA = (
    *(JSON, "application/yaml", PROTOBUF, "", "text/plain", "application/json; charset=utf-16", "*/*", "application"),
    *("application/cbor", JSON_PATCH, MERGE, STRATEGIC, APPLY, "application/x-www-form-urlencoded", ";;;=,", "\xff"),
)


def dumps(value: Any) -> bytes:
    """JSON of what hypothesis thinks of, big numbers too."""
    import json

    return json.dumps(value, ensure_ascii=True).encode()


def target(place: tuple[str, str], tail: str = "") -> str:
    return f"{place[0]}/{place[1]}{tail}"


# --- spoiling objects


def spoil(value: Any, rng: random.Random, waste: list[Any]) -> Any:
    """The value with something in it replaced, taken out, put in or doubled for each piece of waste."""
    for piece in waste:
        spots = list(_spots(value))
        if not spots:
            return piece
        container, key = rng.choice(spots)
        how = rng.randrange(5)
        if how == 0 and isinstance(container, dict):
            del container[key]
        elif how == 1 and isinstance(container, dict):
            container[rng.choice(WORDS)] = piece
        elif how == 2 and isinstance(container, list):
            container.append(container[key])
        elif how == 3:
            container[key] = [container[key]]
        else:
            container[key] = piece
    return value


def _spots(value: Any) -> Any:
    if isinstance(value, dict):
        for key in list(value):
            yield value, key
            yield from _spots(value[key])
    elif isinstance(value, list):
        for i in range(len(value)):
            yield value, i
            yield from _spots(value[i])


def copied(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


SEEDS = {gvr.path(obj["metadata"].get("namespace", "")): obj for gvr, obj in seeds.OBJECTS}


@st.composite
def spoiled_seeds(draw: Callable[[Any], Any]) -> Request:
    """A good object with something wrong in it, created or put."""
    collection = draw(st.sampled_from(sorted(SEEDS)))
    obj = copied(SEEDS[collection])
    rng = random.Random(draw(st.integers(0, 2**32)))
    method = draw(st.sampled_from(("POST", "PUT")))
    path = collection if method == "POST" else f"{collection}/{obj['metadata']['name']}"
    if method == "POST":
        obj["metadata"]["name"] = draw(names)
    obj = spoil(obj, rng, draw(st.lists(junk, min_size=1, max_size=3)))
    return Request(method, path, draw(plausible_query), {"content-type": JSON}, dumps(obj))


def shaped(shapes: Shapes) -> st.SearchStrategy[Request]:
    """Objects of every kind, made up from the published schemas: types mostly right, values mostly wrong."""

    @st.composite
    def make(draw: Callable[[Any], Any]) -> Request:
        operation = draw(st.sampled_from(shapes.writes))
        rng = random.Random(draw(st.integers(0, 2**32)))
        obj = shapes.make(operation.schema, rng)
        name = rng.choice(("x", "x", "y", "y", "p", "d", "w", "n1", "A_"))
        path = operation.path.replace("{namespace}", "default").replace("{name}", name)
        if isinstance(obj, dict):
            obj.update(operation.kind)
            meta = obj["metadata"] = obj.get("metadata") if isinstance(obj.get("metadata"), dict) else {}
            meta["name"] = name
            if "/namespaces/default" in path:
                meta["namespace"] = "default"
            for field in ("generateName", "resourceVersion", "deletionTimestamp", "uid", "selfLink"):
                meta.pop(field, None)
        if draw(st.integers(0, 3)) == 0:
            obj = spoil(obj, rng, [draw(junk)])
        query = draw(plausible_query)
        if operation.method == "PUT" and rng.random() < 0.5:
            return Request("PATCH", path, query, {"content-type": MERGE}, dumps(obj))
        if operation.form is not None and draw(st.integers(0, 5)) == 0:
            return _as_protobuf(operation.method, path, query, obj)
        return Request(operation.method, path, query, {"content-type": JSON}, dumps(obj))

    return make()


def _as_protobuf(method: str, path: str, query: str, obj: Any) -> Request:
    try:
        body = protobuf.encode(obj)
    except (protobuf.ProtobufError, TypeError, ValueError, AttributeError):
        body = dumps(obj)
    return Request(method, path, query, {"content-type": PROTOBUF, "accept": PROTOBUF}, body)


# --- patches

pointers = st.builds(
    lambda parts: "".join(f"/{p}" for p in parts),
    st.lists(
        st.sampled_from(
            ("metadata", "labels", "spec", "containers", "0", "-", "-1", "name", "99999999999", "~2", "status")
        )
        | words,
        max_size=5,
    ),
) | st.sampled_from(("", "metadata", "/metadata/name", "/spec/containers/0/image", "/metadata/labels/app"))
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(("add", "remove", "replace", "move", "copy", "test", "", "ADD")) | scalars},
    optional={"path": pointers | scalars, "from": pointers | scalars, "value": junk, "extra": junk},
)
directives = st.sampled_from(
    (
        {"$patch": "replace"},
        {"$patch": "delete"},
        {"$patch": "nonsense"},
        {"$patch": 1},
        {"$retainKeys": ["a"]},
        {"$retainKeys": "a"},
        {"$setElementOrder/containers": [{"name": "c"}]},
        {"$setElementOrder/containers": [{"x": "c"}, 1, None]},
        {"$setElementOrder/containers": {}},
        {"$deleteFromPrimitiveList/finalizers": ["a"]},
        {"$deleteFromPrimitiveList/finalizers": {"a": 1}},
        {"$setElementOrder/": []},
        {"containers": [{"$patch": "delete", "name": "c"}]},
        {"containers": [{"$patch": "replace"}, {"name": "n"}]},
        {"containers": [{"name": {}}, {"name": None}, "c", None]},
        {"containers": {"name": "c"}},
        {"containers": [{"$patch": "merge", "name": "c"}, {"name": "c"}, {"name": "c"}]},
        {"tolerations": [None, 1, "x"]},
        {"ports": [{"port": "80"}, {"port": None}, {}]},
    )
)
FIELDS_V1 = (
    {"f:metadata": {"f:labels": {"f:app": {}}}},
    {"k:{": {}},
    {"k:[]": {}},
    {"v:": {}},
    {"i:-9": {}},
    {"x": 1},
    {".": {}},
)
managed = st.fixed_dictionaries(
    {},
    optional={
        "manager": words,
        "operation": st.sampled_from(("Apply", "Update", "", "X")) | scalars,
        "apiVersion": st.sampled_from(("v1", "apps/v1", "a/b/c")) | scalars,
        "time": st.sampled_from(("2026-01-01T00:00:00Z", "x")) | scalars,
        "fieldsType": st.sampled_from(("FieldsV1", "X")) | scalars,
        "fieldsV1": st.sampled_from(FIELDS_V1) | junk,
        "subresource": scalars,
    },
)


@st.composite
def patches(draw: Callable[[Any], Any]) -> Request:
    place = draw(collections)
    media = draw(st.sampled_from((JSON_PATCH, MERGE, STRATEGIC, APPLY)))
    tail = draw(st.sampled_from(("", "", "", "/status", "/scale", "/resize", "/ephemeralcontainers", "/finalize")))
    rng = random.Random(draw(st.integers(0, 2**32)))
    query = draw(plausible_query)
    body: Any
    if media == JSON_PATCH:
        body = draw(st.lists(operations, max_size=4) | junk)
    else:
        body = copied(
            next(o for g, o in seeds.OBJECTS if g.path(o["metadata"].get("namespace", "")) == place[0])
            if place[0] in SEEDS
            else {"metadata": {}}
        )
        body = spoil(body, rng, draw(st.lists(junk, max_size=2)))
        for inside in ("metadata", "spec", "template"):
            if isinstance(body, dict) and isinstance(body.get(inside), dict) and draw(st.booleans()):
                body[inside].update(draw(directives))
        if isinstance(body, dict) and isinstance(body.get("metadata"), dict) and draw(st.integers(0, 3)) == 0:
            body["metadata"]["managedFields"] = draw(st.lists(managed, max_size=2) | junk)
    if media == APPLY:
        query = draw(
            st.sampled_from(
                ("fieldManager=f&force=true", "fieldManager=g", "fieldManager=", "force=1", "fieldManager=f&force=x")
            )
        )
    data = dumps(body)
    if media == APPLY and draw(st.integers(0, 4)) == 0:
        data += draw(
            st.sampled_from((b"\nspec: 1", b'\n"spec": {}\n"spec": []', b"\n---\na: b", b"\n&a [*a]", b"\n\t- x"))
        )
    return Request("PATCH", target(place, tail), query, {"content-type": media}, data)


# --- queries

label_selectors = st.builds(
    ",".join,
    st.lists(
        st.sampled_from(
            (
                "a",
                "!a",
                "a=b",
                "a==b",
                "a!=b",
                "a in (b,c)",
                "a notin ()",
                "a in b",
                "a>1",
                "a<x",
                "a=,",
                "()",
                "a b c",
                "in in (in)",
                "a=" + "b" * 64,
                "/a=b",
                "a//b",
                "é=1",
                "a in (,)",
                "a in ((b))",
                "!",
                "=",
                "a,,b",
                "((" * 50,
            )
        )
        | words,
        max_size=4,
    ),
)
field_selectors = st.builds(
    ",".join,
    st.lists(
        st.sampled_from(
            (
                "metadata.name=p",
                "metadata.name!=p",
                "metadata.namespace=",
                "spec.nodeName=n1",
                "status.phase=x",
                "x=y",
                "metadata.name=p\\",
                "metadata.name",
                "=",
                "spec.mode=on",
                "metadata.name=a=b",
                "status.phase!=Running",
                "spec.nodeName==n1",
                "a\\,b=c",
                "metadata.name==",
                "..=.",
            )
        )
        | words,
        max_size=3,
    ),
)


def _token(content: Any) -> str:
    return base64.urlsafe_b64encode(dumps(content)).rstrip(b"=").decode()


tokens = words | st.builds(
    _token,
    st.fixed_dictionaries(
        {"v": st.sampled_from(("meta.k8s.io/v1", "v2")) | scalars},
        optional={
            "rv": st.sampled_from((0, 1, -1, 5, 2**40, "1")) | scalars,
            "start": st.sampled_from(("p\0", "default/p\0", "/default/p", "../x", "a/b/c/d", "\0")) | scalars,
        },
    )
    | junk,
)
versions = (
    st.sampled_from(("0", "1", "20", "-1", "9999999999", "18446744073709551616", "abc", "1.5", " 1", "٣")) | words
)
integers = st.sampled_from(("0", "1", "-1", "5", "2147483648", "9223372036854775808", "x", "1e3", "1_0", "0x1")) | words
flags = st.sampled_from(("true", "false", "1", "0", "", "TRUE", "maybe"))
parameters = st.fixed_dictionaries(
    {},
    optional={
        "labelSelector": label_selectors,
        "fieldSelector": field_selectors,
        "limit": integers,
        "continue": tokens,
        "resourceVersion": versions,
        "resourceVersionMatch": st.sampled_from(("Exact", "NotOlderThan", "x", "")),
        "timeoutSeconds": integers,
        "timeout": st.sampled_from(("1s", "-1s", "0", "x", "9" * 30, "1h1h", "60s", "1ns")),
        "watch": flags,
        "allowWatchBookmarks": flags,
        "sendInitialEvents": flags,
        "pretty": flags,
        "dryRun": st.sampled_from(("All", "", "x")),
        "gracePeriodSeconds": integers,
        "propagationPolicy": words,
        "orphanDependents": flags,
        "includeObject": words,
    },
)
ACCEPT = (
    *(
        JSON,
        "application/yaml",
        PROTOBUF,
        "*/*",
        "text/html",
        "",
        ",",
        ";q=",
        "application/json;as=Table;g=meta.k8s.io;v=v1",
    ),
    *("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "application/json;as=Nonsense;g=x;v=v9"),
    *("application/json;as=Table;g=meta.k8s.io;v=v1beta1,application/json", f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1"),
    *(
        "application/yaml;as=Table;g=meta.k8s.io;v=v1",
        "application/json;stream=watch",
        "application/json;q=x",
        "a" * 9000,
    ),
    *(
        "application/yaml;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        f"{PROTOBUF};as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ),
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
)


@st.composite
def queries(draw: Callable[[Any], Any]) -> Request:
    place = draw(collections)
    method = draw(st.sampled_from(("GET", "GET", "GET", "GET", "DELETE", "HEAD")))
    one = draw(st.booleans()) or method == "DELETE"
    path = target(place) if one else draw(st.sampled_from((place[0], place[0].replace("namespaces/default/", ""))))
    pairs = draw(parameters)
    if method == "DELETE":
        pairs["dryRun"] = "All"  # what exists is wanted by the requests after this one
    query = urlencode(pairs, errors="surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        query += draw(
            st.sampled_from(
                ("&", "&&watch", "&%", "&%ff=%fe", "&a=%zz", "&limit=1&limit=x", "&=", ";a=b", "&watch&", "?")
            )
        )
    return Request(method, path, query, {"accept": draw(st.sampled_from(ACCEPT))})


# --- paths, methods and headers

segments = (
    st.sampled_from(
        (
            "api",
            "apis",
            "v1",
            "apps",
            "namespaces",
            "default",
            "pods",
            "p",
            "status",
            "log",
            "exec",
            "proxy",
            "watch",
            "",
            "nodes",
            "n1",
            "deployments",
            "d",
            "scale",
            "widgets",
            "w",
            "fuzz.example",
            "openapi",
            "v2",
            "v3",
            "healthz",
            "livez",
            "readyz",
            "metrics",
            "version",
            ".well-known",
            "openid-configuration",
            "..",
            ".",
            "token",
            "eviction",
            "serviceaccounts",
            "binding",
            "portforward",
            "attach",
            "services",
            "http:web:80",
            "web:",
            ":::",
            "finalize",
        )
    )
    | words
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "accept": st.sampled_from(ACCEPT) | words,
        "content-type": st.sampled_from(MEDIA) | words,
        "accept-encoding": st.sampled_from(("gzip", "br", "gzip;q=0", "")) | words,
        "user-agent": st.sampled_from(("kubectl/v1", "/", "Mozilla/5.0")) | words,
        "audit-id": words,
        "if-none-match": words,
        "authorization": st.sampled_from(("Bearer x", "Bearer ", "Basic YTpi", "Bearer a.b.c", "bearer " + "e30." * 3))
        | words,
        "impersonate-user": st.sampled_from(("alice", "system:serviceaccount:default:default", "system:anonymous"))
        | words,
        "impersonate-group": words,
        "impersonate-uid": words,
        "impersonate-extra-scopes": words,
        "impersonate-extra-%zz": words,
        "upgrade": st.sampled_from(("websocket", "SPDY/3.1", "h2c", "")) | words,
        "connection": st.sampled_from(("Upgrade", "keep-alive, Upgrade", "close")) | words,
        "sec-websocket-key": st.sampled_from(("dGhlIHNhbXBsZSBub25jZQ==", "x")) | words,
        "sec-websocket-version": st.sampled_from(("13", "8", "x")) | words,
        "sec-websocket-protocol": st.sampled_from(
            ("v5.channel.k8s.io", "v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io")
        )
        | words,
        "x-stream-protocol-version": st.sampled_from(("v4.channel.k8s.io", "x")) | words,
        "x-remote-user": words,
    },
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "")


def _sent(headers: dict[str, str]) -> dict[str, str]:
    """As they can come over the wire: Latin-1, one line, without spaces around."""
    clean = {k: v.encode("latin-1", "ignore").decode("latin-1") for k, v in headers.items()}
    return {k: v.replace("\r", "").replace("\n", "").replace("\0", "").strip() for k, v in clean.items()}


@st.composite
def paths(draw: Callable[[Any], Any]) -> Request:
    method = draw(st.sampled_from(METHODS))
    path = "/" + "/".join(draw(st.lists(segments, max_size=9)))
    if draw(st.booleans()):
        place = draw(collections)
        path = draw(st.sampled_from((place[0], target(place), target(place) + "/" + draw(segments))))
    if method in ("DELETE", "PUT", "PATCH") and "/" + path.rsplit("/", 1)[-1] in [
        f"/{n}" for _, n in seeds.COLLECTIONS
    ]:
        method = "GET"
    query = urlencode(draw(parameters), errors="surrogatepass") if draw(st.booleans()) else ""
    body = draw(
        st.sampled_from((b"", b"{}", b"null", b"[]", b'"', b"\xff", b'{"kind":"DeleteOptions","dryRun":["All"]}'))
    )
    if method == "DELETE":
        body = b'{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}'
    return Request(method, path, query, _sent(draw(headers)), body, raw_path=quote(path, errors="surrogatepass"))


# --- bytes

DEEP = (
    *(b"[" * 5000, b"[" * 300 + b"]" * 300, b'{"a":' * 5000, b'{"a":' * 300 + b"1" + b"}" * 300, b"- " * 3000 + b"a"),
    *(b"a: " * 200, b"{a: " * 2000 + b"}" * 2000, b"? " * 2000),
    b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 110)),
    *(
        b"&a {k: *a}",
        b"<<: [&a {b: 1}, *a, *a]\nc: d",
        b"a: *nope",
        b"!!python/object/apply:os.system [x]",
        b"!!binary 'x'",
    ),
    *(
        b"%YAML 9.9\n---\na",
        b"a: b\n---\nc: d",
        b"{1: a, [b]: c, {d: e}: f}",
        b"? [a]\n: b",
        b"a: .inf\nb: .nan",
        b"a: 1_000\nb: 0o17",
    ),
    *(
        b'{"a":1,"a":2}',
        b'{"metadata":{"name":"x","name":"y"}}',
        b'{"a":\xff}',
        b'"\\ud800"',
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
    ),
    *(
        b"1e9999",
        b"-",
        b"nul",
        b"\0",
        b"",
        b" ",
        b"{} {}",
        b"{}x",
        b"9" * 5000,
        b'"' + b"\\u0000" * 100 + b'"',
        b"{" * 10 + b"[" * 10,
    ),
    *(
        b"k8s\x00",
        b"k8s\x00\x0a\xff\xff\xff\xff\xff",
        b"k8s\x00\x0a\x00\x12\x00",
        b"k8s\x00" + b"\x0b" * 1000,
        b"k8s\x00\x12\x80\x80\x80\x80\x10",
    ),
)


def _good_bytes() -> list[tuple[str, str, bytes]]:
    """(collection, media type, body) of objects in each encoding."""
    found = []
    for gvr, obj in seeds.OBJECTS:
        path = gvr.path(obj["metadata"].get("namespace", ""))
        found.append((path, JSON, orjson.dumps(obj)))
        if gvr.group != "fuzz.example":
            found.append((path, PROTOBUF, protobuf.encode(obj)))
    return found


GOOD = _good_bytes()


@st.composite
def bodies(draw: Callable[[Any], Any]) -> Request:
    """Bytes: cut, flipped, inserted, or from the list of classics."""
    collection, media, data = draw(st.sampled_from(GOOD))
    how = draw(st.integers(0, 4))
    at = draw(st.integers(0, len(data) - 1))
    if how == 0:
        data = draw(st.sampled_from(DEEP))
    elif how == 1:
        data = data[:at]
    elif how == 2:
        data = data[:at] + bytes((data[at] ^ (1 << draw(st.integers(0, 7))),)) + data[at + 1 :]
    elif how == 3:
        data = data[:at] + draw(st.binary(min_size=1, max_size=6)) + data[at + draw(st.integers(0, 6)) :]
    else:
        data = data[:at] + draw(st.sampled_from(DEEP)) + data[at:]
    if draw(st.integers(0, 3)) == 0:
        media = draw(st.sampled_from(MEDIA))
    method, path, query = draw(
        st.sampled_from(
            (
                ("POST", collection, ""),
                ("PUT", f"{collection}/p", ""),
                ("DELETE", f"{collection}/none", ""),
                ("PATCH", f"{collection}/none", "fieldManager=f"),
                ("POST", collection, "fieldValidation=Strict"),
            )
        )
    )
    return Request(method, path, query, _sent({"content-type": media}), data)


ATTACKS: dict[str, Callable[[Shapes], st.SearchStrategy[Request]]] = {
    "spoiled objects": lambda shapes: spoiled_seeds(),
    "objects of every kind": shaped,
    "patches": lambda shapes: patches(),
    "queries": lambda shapes: queries(),
    "paths and headers": lambda shapes: paths(),
    "bytes": lambda shapes: bodies(),
}
