"""The objects that subresources take: checked against their own definitions rather than the parent's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skiff.api import schema
from skiff.api.decode import Checker, DecodeError
from skiff.api.errors import StatusError, bad_request
from skiff.api.types import Obj
from skiff.apiserver.call import Call


@dataclass(slots=True)
class Body:
    """A kind. versions: the apiVersions that are understood, the first one is the default."""

    kind: str
    versions: tuple[str, ...]
    definition: str
    _checker: list[Checker] = field(default_factory=list)

    def decode(self, call: Call, data: Any, validation: str = "Ignore") -> Obj:
        """Raises 400."""
        if not isinstance(data, dict):
            raise self._wrong("the body is not an object")
        version, kind = data.get("apiVersion") or self.versions[0], data.get("kind") or self.kind
        if kind != self.kind or version not in self.versions:
            raise self._wrong(f'no kind "{kind}" is expected in version "{version}"')
        if not self._checker:
            self._checker.append(Checker(schema.load().node(self.definition)))
        try:
            obj, warnings = self._checker[0].check({**data, "apiVersion": version, "kind": kind}, validation=validation)
        except DecodeError as e:
            raise self._wrong(str(e)) from None
        call.warnings += warnings
        obj.setdefault("metadata", {})
        return obj

    def _wrong(self, why: str) -> StatusError:
        return bad_request(f"the object provided is unrecognized (must be of type {self.kind}): {why}")


BINDING = Body("Binding", ("v1",), "io.k8s.api.core.v1.Binding")
EVICTION = Body("Eviction", ("policy/v1", "policy/v1beta1"), "io.k8s.api.policy.v1.Eviction")
SCALE = Body("Scale", ("autoscaling/v1",), "io.k8s.api.autoscaling.v1.Scale")
TOKEN_REQUEST = Body("TokenRequest", ("authentication.k8s.io/v1",), "io.k8s.api.authentication.v1.TokenRequest")

SUCCESS: Mapping[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
