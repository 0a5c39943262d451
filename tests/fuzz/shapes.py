"""Made-up objects in the shape of the published OpenAPI document: types mostly right, values often not."""

import random
from dataclasses import dataclass
from typing import Any

from skiff.api.types import Obj

DEPTH = 9
TEXTS = (
    *(
        "",
        "a",
        "x",
        "c",
        "web",
        "Always",
        "TCP",
        "ClusterIP",
        "None",
        "10.0.0.1",
        "10.0.0.0/24",
        "::1",
        "fd00::/64",
        "UDP",
    ),
    *(
        "a.b/c",
        "kubernetes.io/os",
        "/var/x",
        "../x",
        "80",
        "http",
        "50%",
        "101%",
        "-1",
        "default",
        "In",
        "Exists",
        "Gt",
    ),
    *(
        "2026-01-01T00:00:00Z",
        "not a time",
        "* * * * *",
        "@daily",
        "Asia/Nowhere",
        "1Gi",
        "100m",
        "1e3",
        "x" * 70,
        "é",
        "\0",
    ),
    *(
        "system:masters",
        "apps/v1",
        "v1",
        "Pod",
        "Deployment",
        "spec.x",
        "self.a > 1",
        "object.x +",
        "-----BEGIN X-----",
        "\n",
    ),
    *(
        "RollingUpdate",
        "Recreate",
        "OnDelete",
        "DoNotSchedule",
        "kubernetes.io/hostname",
        "Delete",
        "Retain",
        "Block",
        "Never",
    ),
)
NUMBERS = (0, 1, 2, -1, 3, 80, 65536, 2**31 - 1, 2**31, 2**63 - 1, 101, 600)
PRESENT = 0.35
"""How likely an optional field is at the top; deeper it grows less."""

SPOILT = 0.0005
"""How likely a value is of another type. One is enough to end at the decoder, and validation lies behind it."""

TIMES = ("2026-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z")
QUANTITIES = ("1", "1Gi", "100m", "0", "-1", "1e3", "9999999999999999999999", "1.5", "0.0001", "1n")


@dataclass(frozen=True, slots=True)
class Write:
    """An operation that takes an object. form: whether it has a protobuf form (else None)."""

    method: str
    path: str
    schema: str
    kind: Obj
    form: bool | None


class Shapes:
    """document: of /openapi/v2. writes: where objects of each kind go."""

    def __init__(self, document: Obj):
        self._definitions = document["definitions"]
        self.writes: list[Write] = []
        for path, operations in sorted(document["paths"].items()):
            for method in ("post", "put"):
                if method in operations and (write := self._write(method, path, operations[method])) is not None:
                    self.writes.append(write)

    def _write(self, method: str, path: str, operation: Obj) -> Write | None:
        body = next((p for p in operation.get("parameters", ()) if p.get("in") == "body"), None)
        ref = (body or {}).get("schema", {}).get("$ref")
        if ref is None:
            return None
        name = ref.removeprefix("#/definitions/")
        kinds = self._definitions[name].get("x-kubernetes-group-version-kind") or [{}]
        group, version = kinds[0].get("group", ""), kinds[0].get("version", "")
        kind = {"apiVersion": f"{group}/{version}" if group else version, "kind": kinds[0].get("kind", "")}
        return Write(method.upper(), path, name, kind, None if group == "fuzz.example" else True)

    def make(self, name: str, rng: random.Random) -> Any:
        return self._value(self._definitions[name], rng, 0)

    def _value(self, node: Obj, rng: random.Random, depth: int) -> Any:
        if "$ref" in node:
            if node["$ref"].endswith("resource.Quantity"):
                return rng.choice(QUANTITIES)
            node = self._definitions[node["$ref"].removeprefix("#/definitions/")]
        if rng.random() < SPOILT:
            return rng.choice((None, "", 0, [], {}, True))
        kind = node.get("type")
        if kind == "object" or "properties" in node:
            return self._object(node, rng, depth)
        if kind == "array":
            return [
                self._value(node["items"], rng, depth + 1)
                for _ in range(rng.choice((0, 1, 1, 2)) if depth < DEPTH else 0)
            ]
        if kind == "integer":
            return rng.choice([n for n in NUMBERS if n < 2**31] if node.get("format") == "int32" else NUMBERS)
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "number":
            return rng.choice((*NUMBERS, 0.5))
        if kind == "string" and node.get("format") == "int-or-string":
            return rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS)))
        if kind == "string" and node.get("format") == "byte":
            return rng.choice(("", "AA==", "QUJD"))
        if kind == "string" and node.get("format") == "date-time":
            return rng.choice(TIMES)
        if kind == "string":
            return self._text(node, rng)
        return rng.choice(({}, {"a": 1}, "x", 1, None, []))

    def _text(self, node: Obj, rng: random.Random) -> str:
        described = [w.strip('".,`') for w in node.get("description", "").split() if w[:1] == '"'][:8]
        return rng.choice(described) if described and rng.random() < 0.6 else rng.choice(TEXTS)

    def _object(self, node: Obj, rng: random.Random, depth: int) -> Obj:
        found: Obj = {}
        properties = node.get("properties") or {}
        required = node.get("required") or ()
        likely = PRESENT if depth < 3 else PRESENT * 3 / depth
        for name, child in properties.items():
            wanted = rng.random() < (0.95 if name in required or name in ("spec", "status", "template") else likely)
            if wanted and depth < DEPTH:
                found[name] = self._value(child, rng, depth + 1)
        more = node.get("additionalProperties")
        if isinstance(more, dict):
            for _ in range(rng.randrange(3)):
                found[rng.choice(TEXTS)] = self._value(more, rng, depth + 1)
        return found
