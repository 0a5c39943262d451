"""The objects that subresources take: checked against their own definitions rather than the parent's.

Those of CONNECT are query parameters, and only admission sees them as objects; upstream publishes no definition of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skiff.api import schema
from skiff.api.decode import Checker, DecodeError
from skiff.api.errors import StatusError, bad_request
from skiff.api.schema import SchemaNode
from skiff.api.types import Obj
from skiff.apiserver import metadata
from skiff.apiserver.call import Call
from skiff.apiserver.options import WriteOptions


@dataclass(slots=True)
class Body:
    """A kind. versions: the apiVersions that are understood, the first one is what they become. definition: its name, or the
    schema itself."""

    kind: str
    versions: tuple[str, ...]
    definition: str | Mapping[str, Any]
    _checker: list[Checker] = field(default_factory=list)

    def decode(self, call: Call, data: Any, validation: str = "Ignore") -> Obj:
        """Raises 400."""
        if not isinstance(data, dict):
            raise self._wrong("the body is not an object")
        try:
            obj, warnings = self._checked(data, validation)
        except DecodeError as e:
            raise self._wrong(str(e)) from None
        call.warnings += warnings
        obj.setdefault("metadata", {})
        return obj

    def read(self, data: Obj) -> Obj:
        """Without looking for unknown fields. Raises DecodeError."""
        return self._checked(data, "Ignore")[0]

    def _checked(self, data: Obj, validation: str) -> tuple[Obj, list[str]]:
        version, kind = data.get("apiVersion") or self.versions[0], data.get("kind") or self.kind
        if kind != self.kind or version not in self.versions:
            raise DecodeError(f'no kind "{kind}" is expected in version "{version}"')
        if not self._checker:
            self._checker.append(Checker(self.node()))
        return self._checker[0].check({**data, "apiVersion": self.versions[0], "kind": kind}, validation=validation)

    def node(self) -> SchemaNode:
        known = schema.load().node
        return known(self.definition) if isinstance(self.definition, str) else SchemaNode(self.definition)

    def _wrong(self, why: str) -> StatusError:
        return bad_request(f"the object provided is unrecognized (must be of type {self.kind}): {why}")


async def admit(call: Call, body: Obj, wanted: WriteOptions, name: str) -> Obj:
    """What admission makes of a body that is created. Raises what it refuses."""
    metadata.match_namespace(body["metadata"], call.namespace)
    options = wanted.as_object("CreateOptions")
    attrs = call.attributes("CREATE", body, None, options, dry_run=wanted.dry_run, name=name)
    await call.server.admission.mutate(attrs)
    await call.server.admission.validate(attrs)
    assert attrs.obj is not None
    return attrs.obj


def _options(kind: str, **types: str) -> Body:
    """Of CONNECT: a flat object."""
    one: dict[str, Any] = {t: {"type": t} for t in ("boolean", "string")}
    one |= {
        "strings": {"type": "array", "items": {"type": "string"}},
        "integers": {"type": "array", "items": {"type": "integer", "format": "int32"}},
    }
    properties = {name: one[t] for name, t in {"apiVersion": "string", "kind": "string", **types}.items()}
    return Body(kind, ("v1",), {"type": "object", "properties": properties})


BINDING = Body("Binding", ("v1",), "io.k8s.api.core.v1.Binding")
EVICTION = Body("Eviction", ("policy/v1", "policy/v1beta1"), "io.k8s.api.policy.v1.Eviction")
SCALE = Body("Scale", ("autoscaling/v1",), "io.k8s.api.autoscaling.v1.Scale")
TOKEN_REQUEST = Body("TokenRequest", ("authentication.k8s.io/v1",), "io.k8s.api.authentication.v1.TokenRequest")

_STREAMS = {"stdin": "boolean", "stdout": "boolean", "stderr": "boolean", "tty": "boolean", "container": "string"}

BY_KIND: Mapping[str, Body] = {
    body.kind: body
    for body in (
        BINDING,
        EVICTION,
        SCALE,
        TOKEN_REQUEST,
        _options("PodExecOptions", **_STREAMS, command="strings"),
        _options("PodAttachOptions", **_STREAMS),
        _options("PodPortForwardOptions", ports="integers"),
        _options("PodProxyOptions", path="string"),
        _options("ServiceProxyOptions", path="string"),
        _options("NodeProxyOptions", path="string"),
    )
}

SUCCESS: Mapping[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
