"""One API request on its way through a verb: what was asked, by whom, of which resource, and how to answer."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import orjson

from skiff.api.errors import StatusError, bad_request
from skiff.api.types import Obj
from skiff.apiserver import negotiation
from skiff.apiserver.admission import Attributes, Operation
from skiff.apiserver.entries import Entry
from skiff.apiserver.negotiation import Accepted
from skiff.apiserver.requestinfo import RequestInfo
from skiff.apiserver.served import Served
from skiff.wire.messages import Request, Response, UserInfo

if TYPE_CHECKING:
    from skiff.apiserver.server import APIServer

WARNING_LENGTH = 256
WARNINGS_LENGTH = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class Call:
    """params: the query. warnings: sentences that become Warning headers. repeated: what a YAML body says twice. deadline:
    when it has to be answered, by the loop's clock; None: reads, and what lasts."""

    server: "APIServer"
    request: Request
    info: RequestInfo
    served: Served
    user: UserInfo
    params: dict[str, list[str]]
    warnings: list[str] = field(default_factory=list)
    repeated: Sequence[str] = ()
    deadline: float | None = None

    @property
    def namespace(self) -> str:
        """Where the object is stored; "" for cluster scope (a namespace's own path names it as a namespace too)."""
        return self.info.namespace if self.served.gvr.namespaced else ""

    def accepted(self) -> Accepted:
        asked = negotiation.PROTOBUF in self.request.headers.get("accept", "")
        return negotiation.accepted(self.request, asked and self.served.form is not None)

    def body(self, kind: str = "") -> Any:
        """What was sent, decoded; kind: what it should be, if not the resource's kind."""
        data, self.repeated = negotiation.decode_body(self.request, kind or self.served.gvr.kind)
        return data

    def raw_json(self) -> bytes:
        """The body if it is JSON text (for finding duplicate fields)."""
        kind = self.request.headers.get("content-type", "")
        return self.request.body if not kind or "json" in kind else b""

    def decode(self, data: Any, validation: str, raw: bytes = b"", known: Obj | None = None) -> Obj:
        """A checked, defaulted object; findings become warnings. known: see Served.decode."""
        if self.repeated and validation != "Ignore":
            return self._decode_repeated(data, validation)
        obj, warnings = self.served.decode(data, validation=validation, raw=raw, known=known)
        if warnings:
            self.warnings += warnings
        return obj

    def _decode_repeated(self, data: Any, validation: str) -> Obj:
        """From YAML with keys that stand twice."""
        repeated, self.repeated = self.repeated, ()
        obj, warnings = self.served.decode(data, validation="Warn")
        if validation == "Strict":
            words = ", ".join(["yaml: unmarshal errors:\n  " + "\n  ".join(repeated), *warnings])
            raise self.served.undecodable(f"strict decoding error: {words}", obj)
        self.warnings += [*repeated, *warnings]
        return obj

    def attributes(
        self,
        operation: Operation,
        obj: Obj | None,
        old: Obj | None,
        options: Obj,
        *,
        dry_run: bool = False,
        name: str = "",
    ) -> Attributes:
        """For admission. Its warnings are the call's."""
        gvr = self.served.gvr
        return Attributes(
            operation=operation,
            gvr=gvr,
            subresource=self.info.subresource,
            namespace=self.info.namespace or (name if gvr.plural == "namespaces" and not gvr.group else ""),
            name=name,
            obj=obj,
            old=old,
            user=self.user,
            dry_run=dry_run,
            options=options,
            warnings=self.warnings,
            deadline=self.deadline,
        )

    def manager(self, given: str) -> str:
        """Who owns the fields of this write: as given, else the User-Agent up to its first slash."""
        if given:
            return given
        agent = self.request.headers.get("user-agent", "").split("/", 1)[0]
        return "".join(c for c in agent if c.isprintable())[:128] or "unknown"

    def answer(self, data: bytes, status: int = 200) -> Response:
        """An object in the form that the client wants."""
        return self._answer(self.accepted(), data, status)

    def _answer(self, how: Accepted, data: bytes, status: int = 200) -> Response:
        if how.plain:
            response = negotiation.respond(self.request, how, data, status)
        else:
            from skiff.apiserver import tables

            response = tables.answer_object(self, how, orjson.loads(data), status)
        return self.warned(response)

    def answer_entry(self, entry: Entry) -> Response:
        """What the cache keeps of an object: its bytes in either encoding."""
        how, served = self.accepted(), self.served
        if how.media is negotiation.PROTOBUF and not how.form and served.form is not None:
            return self.warned(negotiation.respond(self.request, how, served.form.wrap(served.raw(entry))))
        return self._answer(how, entry.data if served.native else served.data(entry))

    def answer_obj(self, obj: Obj, status: int = 200) -> Response:
        return self.answer(orjson.dumps(obj), status)

    def warn_with(self, error: StatusError) -> None:
        """What was noticed before a request failed is told with its failure."""
        if self.warnings and (header := warning_header(self.warnings)):
            error.headers = {**error.headers, "warning": header}

    def warned(self, response: Response) -> Response:
        if self.warnings and (header := warning_header(self.warnings)):
            response.headers["warning"] = header
        return response


def warning_header(warnings: Iterable[str]) -> str:
    """RFC 7234: code, agent, quoted text. As upstream, each warning is cut when together they are long, and what is
    still too much is left out; so is one that is empty or has control characters."""
    texts = [text for text in dict.fromkeys(warnings) if text and not _CONTROL.search(text)]
    if sum(map(len, texts)) > WARNINGS_LENGTH:
        texts = [text[:WARNING_LENGTH] for text in texts]
        written = accumulate(map(len, texts), initial=0)
        texts = [text for text, before in zip(texts, written, strict=False) if before < WARNINGS_LENGTH]
    return ", ".join(map(_warning, texts))


def _warning(text: str) -> str:
    clean = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{clean}"'.encode("utf-8", "replace").decode("latin-1")  # header text stands for bytes


def parse_query(request: Request) -> dict[str, list[str]]:
    """Raises 400 for what is not text."""
    if not request.query_string:
        return {}
    try:
        return request.query()
    except ValueError:
        raise bad_request("the query string cannot be decoded") from None
