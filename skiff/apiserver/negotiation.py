"""What the client wants to read and what it has sent: Accept and Content-Type, and the bytes that follow from them.

Answers are JSON unless YAML is asked for; `as=Table` and `as=PartialObjectMetadata` ask for another form of the object.
Protobuf is for built-in kinds and for metadata, never for tables: who asks for it together with JSON gets JSON then. Source: upstream endpoints/handlers/negotiation.
"""

import asyncio
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import orjson

from skiff.api.errors import StatusError, bad_request, not_acceptable, request_too_large, unsupported_media_type
from skiff.wire.messages import Pieces, Request, Response

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SUPPORTED = f"{JSON}, {YAML}, {PROTOBUF}"
BODY_LIMIT = 3 * 1024 * 1024
DEPTH_LIMIT = 200
"""Nesting that a body may have: below what the JSON encoder can write again."""
GZIP_FROM = 128 * 1024
GZIP_SLICE = 256 * 1024
GZIPPED = {"content-encoding": "gzip", "vary": "Accept-Encoding"}

_FORMS = {
    ("Table", "meta.k8s.io", "v1"): "Table",
    ("Table", "meta.k8s.io", "v1beta1"): "Table",
    ("PartialObjectMetadata", "meta.k8s.io", "v1"): "PartialObjectMetadata",
    ("PartialObjectMetadata", "meta.k8s.io", "v1beta1"): "PartialObjectMetadata",
    ("PartialObjectMetadataList", "meta.k8s.io", "v1"): "PartialObjectMetadataList",
    ("PartialObjectMetadataList", "meta.k8s.io", "v1beta1"): "PartialObjectMetadataList",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """media: JSON, YAML or PROTOBUF. form: "" (the object itself), Table, PartialObjectMetadata or PartialObjectMetadataList.
    form_version: v1 or v1beta1. params: those of the chosen clause (discovery reads them)."""

    media: str = JSON
    form: str = ""
    form_version: str = ""
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """The cached bytes can be sent as they are."""
        return not self.form and self.media is JSON and not self.pretty


PLAIN = Accepted()
_NOTES = ("accepted", "accepted, protobuf too")


def accepted(request: Request, protobuf: bool = False) -> Accepted:
    """What to answer with. protobuf: the answer's kind has that form. Raises 406."""
    noted = "pretty" not in request.query_string
    if noted and (known := request.notes.get(_NOTES[protobuf])) is not None:
        return cast(Accepted, known)
    header = request.headers.get("accept", "")
    found = negotiate(header, protobuf) if header else PLAIN
    if wants_pretty(request):
        found = Accepted(found.media, found.form, found.form_version, True)
    if noted:
        request.notes[_NOTES[protobuf]] = found
    return found


def for_error(request: Request) -> Accepted:
    """How to send a Status: as protobuf to who prefers that, otherwise as JSON."""
    if PROTOBUF in request.headers.get("accept", ""):
        try:
            media = accepted(request, True).media
        except StatusError:
            media = JSON
        if media is PROTOBUF:
            return Accepted(PROTOBUF)
    return Accepted(pretty=wants_pretty(request))


def wants_pretty(request: Request) -> bool:
    """The query's `pretty`, otherwise whether a person with a browser, curl or wget is asking."""
    if "pretty" in request.query_string:
        try:
            value = request.query().get("pretty", [""])[0]
        except ValueError:
            value = ""  # whoever reads the query for good refuses it
        if value:
            return value.lower() in ("1", "t", "true")
    agent = request.headers.get("user-agent", "")
    return agent.startswith(("curl", "Wget", "Mozilla/5.0"))


@lru_cache(maxsize=256)
def negotiate(header: str, protobuf: bool = False) -> Accepted:
    known = False
    for media, params in clauses(header):
        target = media_of(media)
        if target is None:
            continue
        known = True
        if "as" not in params and "g" not in params and "v" not in params:
            if target is PROTOBUF and not protobuf:
                continue
            return Accepted(target, pretty=params.get("pretty") == "1")
        form = _FORMS.get((params.get("as", ""), params.get("g", ""), params.get("v", "")))
        if form is not None and (form != "Table" or target is not PROTOBUF):
            return Accepted(target, form, params["v"], params.get("pretty") == "1")
    if not known:
        raise not_acceptable(f"406: Not Acceptable\n\nAvailable representations: {SUPPORTED}", {})
    raise not_acceptable(f"only the following media types are accepted: {SUPPORTED}")


def media_of(media: str) -> str | None:
    """What we send for an Accept clause's media type; None: nothing."""
    if media in (JSON, "*/*", "application/*"):
        return JSON
    return {YAML: YAML, PROTOBUF: PROTOBUF}.get(media)


def clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """The Accept header's clauses, most wanted first, in their order otherwise."""
    found = []
    for i, clause in enumerate(header.split(",")):
        media, *rest = (part.strip() for part in clause.split(";"))
        params = dict(_param(p) for p in rest)
        try:
            q = float(params.pop("q", "1"))
        except ValueError:
            q = 1.0
        found.append((-q, i, media.lower(), params))
    return [(media, params) for _, _, media, params in sorted(found, key=lambda f: (f[0], f[1]))]


def _param(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def decode_body(request: Request, kind: str = "Object") -> tuple[Any, list[str]]:
    """The body as JSON data, from JSON, YAML or protobuf, and what a YAML text says twice. Raises 400, 413, 415."""
    given = request.headers.get("content-type", "")
    media = media_type(given) if given else JSON
    if media == PROTOBUF:
        return load_protobuf(request.body, kind), []
    if media not in (JSON, YAML):
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - accepted media types include: {SUPPORTED}"
        )
    return (load_json(request.body, kind), []) if media == JSON else load_yaml(request.body, kind)


def check_size(body: bytes) -> None:
    if len(body) > BODY_LIMIT:
        raise request_too_large(f"limit is {BODY_LIMIT}")


def load_json(body: bytes, kind: str) -> Any:
    """Raises 400 for what is not JSON, 413 for what is too large."""
    check_size(body)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        why = f"couldn't get version/kind; json parse error: {json_error(e)}"
        raise undecodable(f"{why} ({summary(body)})", kind) from None
    check_depth(body, data)
    return data


_JSON_ERRORS = (
    ("UTF-8", -1, "the text is not valid UTF-8"),
    ("depth limit", -1, "exceeded max depth"),
    ("content after document", 0, "after top-level value"),
    ("expected ':'", 0, "after object key"),
    ("expected ',' or '}'", 0, "after object key:value pair"),
    ("expected ',' or ']'", 0, "after array element"),
    ("expected a string key", 0, "looking for beginning of object key string"),
    ("escaped sequence", 1, "in string escape code"),
    ("control character", 0, "in string literal"),
    ("trailing comma", 1, "looking for beginning of value"),
    ("", 0, "looking for beginning of value"),
)
"""Words of orjson, how far behind the position the wrong character is (-1: it is not about one), words of Go."""


def json_error(error: orjson.JSONDecodeError) -> str:
    """In the words of Go's decoder, as far as it says the same."""
    behind, words = next((behind, words) for part, behind, words in _JSON_ERRORS if part in error.msg)
    if behind < 0:
        return words
    at = error.pos + behind
    character = error.doc[at : at + 1] if isinstance(error.doc, str) else ""
    return f"invalid character {_go_character(character)} {words}" if character else "unexpected end of JSON input"


def _go_character(character: str) -> str:
    return {"'": "'\\''", '"': "'\"'"}.get(character, f"'{character}'")


def summary(body: bytes, limit: int = 30) -> str:
    """The beginning of a body as upstream shows it: JSON as it is, other text in hexadecimal digits."""
    if not body:
        return "<empty>"
    more = " ..." if len(body) > limit else ""
    start = body[:limit]
    return (start.decode(errors="replace") if body[:1] == b"{" else start.hex()) + more


def load_yaml(body: bytes, kind: str) -> tuple[Any, list[str]]:
    """YAML as JSON data: mapping keys become text, times stay text; with sentences about keys that stand twice. Raises
    400, 413."""
    from skiff.apiserver import yamls

    check_size(body)
    try:
        data, repeated = yamls.load_with_repeated(body)
    except (ValueError, RecursionError) as e:
        raise undecodable(f"yaml: {e} ({summary(body)})", kind) from None
    check_depth(body, data)
    return data, repeated


def load_configuration(body: bytes) -> tuple[Any, list[str]]:
    """The same for what is applied, in other words; nothing is an empty configuration."""
    from skiff.apiserver import yamls

    check_size(body)
    try:
        data, repeated = yamls.load_with_repeated(body)
    except (ValueError, RecursionError) as e:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: yaml: {e}") from None
    check_depth(body, data)
    return {} if data is None else data, repeated


def load_protobuf(body: bytes, kind: str) -> Any:
    """Kubernetes' protobuf envelope as JSON data. Raises 400, 413."""
    from skiff.api import protobuf

    check_size(body)
    try:
        return protobuf.decode(body)
    except protobuf.ProtobufError as e:
        raise undecodable(str(e), kind) from None


def check_depth(body: bytes, data: Any) -> None:
    """A body with few brackets cannot be deep; otherwise look."""
    if body.count(b"{") + body.count(b"[") <= DEPTH_LIMIT:
        return
    level = [data]
    for _ in range(DEPTH_LIMIT):
        level = [c for v in level if isinstance(v, (dict, list)) for c in (v.values() if isinstance(v, dict) else v)]
        level = [v for v in level if isinstance(v, (dict, list))]
        if not level:
            return
    raise undecodable("exceeded max depth")


def undecodable(why: str, kind: str = "Object") -> StatusError:
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {why}")


def dump(data: Any, how: Accepted) -> bytes:
    """An answer's body."""
    if how.media is YAML:
        from skiff.apiserver import yamls

        return yamls.dump(data)
    if how.media is PROTOBUF:
        return dump_protobuf(data)
    return orjson.dumps(data, option=orjson.OPT_INDENT_2) if how.pretty else orjson.dumps(data)


def dump_protobuf(data: Any) -> bytes:
    """An object with its envelope. Raises 406 for a kind without that form."""
    from skiff.api import protobuf

    try:
        return protobuf.encode(data)
    except protobuf.ProtobufError as e:
        raise not_acceptable(f"the object cannot be encoded to a protobuf message: {e}") from None


def respond(request: Request, how: Accepted, body: bytes, status: int = 200) -> Response:
    """A complete answer, compressed when it is large and the client can read that."""
    headers = {"content-type": how.media, "cache-control": "no-cache, private"}
    if len(body) >= GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip(body)
        headers |= GZIPPED
    return Response(status, headers, body)


async def respond_pieces(request: Request, how: Accepted, pieces: Pieces) -> Response:
    """The same of what is not put together yet; others get their turn while it is compressed."""
    if pieces.size < GZIP_FROM:
        return respond(request, how, bytes(pieces))
    headers = {"content-type": how.media, "cache-control": "no-cache, private"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(200, headers, pieces=pieces)
    packer = _packer()
    packed = []
    for some in pieces.slices(GZIP_SLICE):
        packed.append(packer.compress(some))
        await asyncio.sleep(0)
    packed.append(packer.flush())
    return Response(200, {**headers, **GZIPPED}, b"".join(packed))


def gzip(body: bytes) -> bytes:
    packer = _packer()
    return packer.compress(body) + packer.flush()


def _packer() -> "zlib._Compress":
    return zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
