"""Build hook: turns upstream's OpenAPI definitions (package kubernetes-validate) into the two files Skiff installs.

skiff/api/data/schemas.jsonl     one line per definition, `["name",{...}]`, without prose: what the machinery needs.
skiff/api/data/definitions.z     the same with descriptions, zlib: what `kubectl explain` needs, read on demand.

Alpha and beta versions are left out: v1.36 does not serve them by default. `python hatch_build.py` does the same for a
working tree. The package's files are JSON Schema made from the OpenAPI ones; `plain` takes those changes back.
"""

import json
import re
import zlib
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program in an environment without the build tools
    BuildHookInterface = object

DATA = Path("skiff/api/data")
SOURCE = "kubernetes-json-schema/v1.36.0-local/_definitions.json"
PREVIEW = re.compile(r"\.v\d+(alpha|beta)\d+\.")
SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string", "format": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
}


def plain(schema: Any) -> Any:
    """An OpenAPI schema from the package's variant: no null types, no enum for kind and apiVersion, short references."""
    if isinstance(schema, list):
        return [plain(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            out[key] = next(t for t in value if t != "null")
        elif key == "$ref":
            out[key] = value.removeprefix("#/$defs/")
        elif key == "properties":
            out[key] = {name: plain(prop) for name, prop in value.items()}
            for name in ("apiVersion", "kind"):
                if name in out[key] and "x-kubernetes-group-version-kind" in schema:
                    out[key][name].pop("enum", None)
        else:
            out[key] = plain(value)
    return out


def served(definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions of stable versions, by name, in OpenAPI form."""
    out: dict[str, Any] = {}
    for name in sorted(definitions):
        if PREVIEW.search(name):
            continue
        schema = plain(definitions[name])
        if name in SPECIAL:
            schema = {k: v for k, v in schema.items() if k == "description"} | SPECIAL[name]
        kinds = schema.get("x-kubernetes-group-version-kind")
        if kinds:
            stable = [k for k in kinds if not PREVIEW.search(f".{k['version']}.")]
            schema["x-kubernetes-group-version-kind"] = stable
        out[name] = schema
    return out


def without_prose(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without descriptions (a property may itself be named "description")."""
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "description":
            continue
        if key == "properties":
            out[key] = {name: without_prose(prop) for name, prop in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = without_prose(value)
        else:
            out[key] = value
    return out


def lines(definitions: dict[str, Any]) -> bytes:
    """One compact JSON line per definition."""
    return "".join(
        json.dumps([n, d], separators=(",", ":"), ensure_ascii=False) + "\n" for n, d in definitions.items()
    ).encode()


def build(root: Path) -> None:
    """Write both files below `root`."""
    import kubernetes_validate

    source = Path(kubernetes_validate.__file__).parent / SOURCE
    definitions = served(json.loads(source.read_text())["$defs"])
    target = root / DATA
    target.mkdir(parents=True, exist_ok=True)
    (target / "schemas.jsonl").write_bytes(lines({n: without_prose(d) for n, d in definitions.items()}))
    (target / "definitions.z").write_bytes(zlib.compress(lines(definitions), 9))


class SchemaBuildHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    """Runs `build` before a wheel or an editable installation is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build(Path(self.root))


if __name__ == "__main__":
    build(Path(__file__).parent)
