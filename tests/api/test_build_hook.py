"""The build hook: what it takes back from the package's variant of the definitions, and what it leaves out."""

import importlib.util
import json
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"type": ["string", "null"]}, {"type": "string"}, id="null types"),
        pytest.param({"$ref": "#/$defs/a.b"}, {"$ref": "a.b"}, id="short references"),
        pytest.param(
            {
                "properties": {"kind": {"type": ["string", "null"], "enum": ["Pod"]}, "x": {"enum": ["a"]}},
                "x-kubernetes-group-version-kind": [],
            },
            {"properties": {"kind": {"type": "string"}, "x": {"enum": ["a"]}}, "x-kubernetes-group-version-kind": []},
            id="kinds without enum",
        ),
    ],
)
def test_plain(hook: ModuleType, given: Any, expected: Any) -> None:
    assert hook.plain(given) == expected


def test_previews_go_and_amounts_get_their_format(hook: ModuleType) -> None:
    quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    found = hook.served(
        {"a.v1.X": {}, "a.v1beta1.X": {}, "a.v2alpha3.Y": {}, quantity: {"oneOf": [], "description": "d"}}
    )
    assert found == {"a.v1.X": {}, quantity: {"description": "d", "type": "string", "format": "quantity"}}


def test_prose_goes_but_a_field_named_description_stays(hook: ModuleType) -> None:
    schema = {"description": "d", "properties": {"description": {"type": "string", "description": "e"}}}
    assert hook.without_prose(schema) == {"properties": {"description": {"type": "string"}}}


def test_both_files_hold_the_same_definitions(hook: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_validate")
    hook.build(tmp_path)
    data = tmp_path / hook.DATA
    short = dict(json.loads(line) for line in (data / "schemas.jsonl").read_text().splitlines())
    full = dict(json.loads(line) for line in zlib.decompress((data / "definitions.z").read_bytes()).splitlines())
    assert short.keys() == full.keys()
    assert "description" in full["io.k8s.api.core.v1.Pod"]
    assert short["io.k8s.api.core.v1.Pod"] == hook.without_prose(full["io.k8s.api.core.v1.Pod"])
