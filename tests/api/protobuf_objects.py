"""Objects of every kind with every field set, made from the schemas. Deterministic: digests.txt depends on them."""

from collections.abc import Iterator
from typing import Any

from skiff.api import schema
from skiff.api.resources.builtin import RESOURCES
from skiff.api.schema import SchemaNode

STRINGS = {
    "quantity": ("1500m", "2Gi", "0"),
    "date-time": ("2026-11-21T04:00:00Z", "1969-12-31T23:59:59Z"),
    "byte": ("AAEC/w==", ""),
    "int-or-string": (8080, "http", -1, "25%"),
}
TEXTS = ("text", "grüße 你好 😀", "x" * 130, "")
NUMBERS = (1, 127, 128, 300, 2147483647, 0, -1)
EMBEDDED: Any = {"b": [1, "a<b>&c", None, True], "a": {"deep": {}}}
SCHEMA_FORMS = {
    "JSON": EMBEDDED,
    "JSONSchemaPropsOrArray": {"type": "string"},
    "JSONSchemaPropsOrBool": {"type": "integer"},
    "JSONSchemaPropsOrStringArray": ["a", "b"],
}
DEPTH = 2
"""How often a definition may occur inside of itself."""


class Populator:
    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, choices: Any) -> Any:
        self._drawn += 1
        return choices[self._drawn % len(choices)]

    def value(self, node: SchemaNode, above: tuple[str, ...]) -> Any:
        """None: the recursion ends here."""
        short = node.definition.rpartition(".")[2]
        if node.definition:
            if above.count(node.definition) >= DEPTH:
                return None
            above = (*above, node.definition)
        if node.kind == "object":
            found = {k: self.value(child, above) for k, child in node.properties.items()}
            return {k: v for k, v in found.items() if v is not None}
        if node.kind == "array":
            items = [self.value(node.items, above) for _ in range(2)] if node.items else []
            return [i for i in items if i is not None] or None
        if node.kind == "map":
            values = {k: self.value(node.values, above) for k in ("zeta", "alpha.example/x")} if node.values else {}
            return {k: v for k, v in values.items() if v is not None} or None
        if node.kind == "any":
            return SCHEMA_FORMS.get(short, EMBEDDED)
        return self.scalar(node, short)

    def scalar(self, node: SchemaNode, short: str) -> Any:
        if short == "MicroTime":
            return "2026-11-21T04:00:00.123456Z"
        if node.format in STRINGS:
            return self.draw(STRINGS[node.format])
        if node.type == "boolean":
            return self.draw((True, True, False))
        if node.type == "number":
            return self.draw((1.5, 3, -0.25))
        return self.draw(NUMBERS) if node.type == "integer" else self.draw(TEXTS)


def populated() -> Iterator[dict[str, Any]]:
    """One object per served kind, and of what subresources take, all with apiVersion and kind."""
    schemas = schema.load()
    kinds = {(r.gvr.api_version, r.gvr.kind): r.schema for r in RESOURCES}
    kinds[("autoscaling/v1", "Scale")] = "io.k8s.api.autoscaling.v1.Scale"
    kinds[("policy/v1", "Eviction")] = "io.k8s.api.policy.v1.Eviction"
    kinds[("v1", "Binding")] = "io.k8s.api.core.v1.Binding"
    kinds[("authentication.k8s.io/v1", "TokenRequest")] = "io.k8s.api.authentication.v1.TokenRequest"
    kinds[("v1", "Status")] = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
    kinds[("v1", "DeleteOptions")] = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    for (api_version, kind), definition in kinds.items():
        obj = Populator().value(schemas.node(definition), ())
        yield {**obj, "apiVersion": api_version, "kind": kind}
