"""Every stored kind, every field of its schema: what is written comes back, whichever way it was written.

The objects come from the schemas (populate.py). A field may be left out only if OMITTED says why, and come back changed only
if CHANGED or DEFAULTED does. What is listed there without being needed makes a test fail too.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from skiff.api import protobuf
from skiff.api.resources import Resource
from skiff.api.resources.builtin import RESOURCES
from skiff.api.schema import load
from skiff.api.types import Obj

from ..conftest import Api
from . import expectations as expected
from .populate import everything, fields, leaves

STORED = [r for r in RESOURCES if {"create", "get", "update", "patch"} <= {*r.verbs}]
"""Reviews and bindings are answered, not stored; component statuses are made by the server."""

PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
PROTOBUF = "application/vnd.kubernetes.protobuf"
SYSTEM = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def key(resource: Resource) -> str:
    return f"{resource.gvr.api_version} {resource.gvr.kind}"


def url(resource: Resource, name: str = "", part: str = "") -> str:
    gvr = resource.gvr
    group = f"/apis/{gvr.group}/{gvr.version}" if gvr.group else f"/api/{gvr.version}"
    space = "/namespaces/default" if gvr.namespaced else ""
    return group + space + "/".join(["", gvr.plural, *filter(None, (name, part))])


def variants(resource: Resource) -> Iterator[Obj]:
    """The populated objects, each with a name of its own where the kind leaves the name free."""
    for i, obj in enumerate(everything((resource.gvr.api_version, resource.gvr.kind), resource.schema)):
        if not resource.gvr.namespaced:
            obj["metadata"].pop("namespace", None)
        if obj["metadata"]["name"] == "name":
            obj["metadata"]["name"] = f"name-{i}"
        yield obj


def differences(sent: Any, got: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, "lost" | "new" | "changed"), indices left out of the path."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name in {**sent, **got}:
            here = f"{path}.{name}" if path else name
            if name not in got:
                if sent[name] not in ("", 0, False):
                    yield here, "lost"
            elif name not in sent:
                yield here, "new"
            else:
                yield from differences(sent[name], got[name], here)
    elif isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        for one, other in zip(sent, got, strict=True):
            yield from differences(one, other, path + "[]")
    elif sent != got:
        yield path, "changed"


def allowed(resource: Resource, table: Any) -> list[str]:
    return [pattern for kinds, pattern in table if re.fullmatch(kinds, key(resource))]


def unexpected(resource: Resource, sent: Obj, got: Obj) -> list[tuple[str, str]]:
    patterns = {
        "lost": allowed(resource, expected.DROPPED),
        "new": [*allowed(resource, expected.DEFAULTED), *(rf"metadata\.{name}" for name in SYSTEM)],
        "changed": [*allowed(resource, expected.CHANGED), r"metadata\.(resourceVersion|generation|managedFields.*)"],
    }
    return [
        (path, how) for path, how in differences(sent, got) if not any(re.fullmatch(p, path) for p in patterns[how])
    ]


def without_owners(obj: Obj) -> Obj:
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "managedFields"}}


@pytest.mark.parametrize("resource", STORED, ids=key)
def test_a_populated_object_survives(resource: Resource, api: Any) -> None:
    node = load().node(resource.schema)
    seen: set[str] = set()

    async def scenario(call: Api) -> None:
        for sent in variants(resource):
            stored = await written(call, resource, sent)
            seen.update(leaves(stored, node))
            await unchanged(call, resource, stored)

    api(scenario)
    dropped = (rf"{pattern}([.\[{{].*)?" for pattern in allowed(resource, expected.DROPPED))
    omitted = [*allowed(resource, expected.OMITTED), *dropped]
    missing = {f for f in fields(node) if f not in seen}
    assert {f for f in missing if not any(re.fullmatch(p, f) for p in omitted)} == set()


async def written(call: Api, resource: Resource, sent: Obj) -> Obj:
    """Created and, where status is a part of its own, its status put: nothing is lost on either way."""
    status = sent.get("status") if resource.subresource("status") else None
    spec = {k: v for k, v in sent.items() if k != "status" or status is None}
    debug = (
        spec.get("spec", {}).pop("ephemeralContainers", None) if resource.subresource("ephemeralcontainers") else None
    )
    created = await call("POST", url(resource), spec)
    assert created.status == 201, created.body
    assert unexpected(resource, spec, {k: v for k, v in created.body.items() if k in spec or status is None}) == []
    name = created.body["metadata"]["name"]
    if status is None:
        return dict(created.body)
    if debug is not None:
        await with_debugging(call, resource, created.body, debug)
    await asyncio.sleep(1)  # what the server itself writes then (definitions) has been written
    current = (await call("GET", url(resource, name))).body
    with_status = {**current, "status": status}
    put = await call("PUT", url(resource, name, "status"), with_status)
    assert put.status == 200, put.body
    await asyncio.sleep(1)
    put = await call("GET", url(resource, name))
    assert unexpected(resource, with_status, put.body) == []
    assert {**put.body, "metadata": 0, "status": 0} == {**current, "metadata": 0, "status": 0}
    return dict(put.body)


async def with_debugging(call: Api, resource: Resource, created: Obj, debug: list[Obj]) -> None:
    """Ephemeral containers have a way of their own."""
    wanted = {**created, "spec": {**created["spec"], "ephemeralContainers": debug}}
    put = await call("PUT", url(resource, created["metadata"]["name"], "ephemeralcontainers"), wanted)
    assert put.status == 200, put.body
    assert unexpected(resource, wanted, put.body) == []


async def unchanged(call: Api, resource: Resource, stored: Obj) -> None:
    """Read in both encodings and written back in every way, an object stays what it is."""
    here = url(resource, stored["metadata"]["name"])
    assert (await call("GET", here)).body == stored
    assert (await call("PUT", here, stored)).body == stored
    for name, type_ in PATCHES.items():
        patched = await call("PATCH", here, without_owners(stored), type=type_)
        assert patched.body == stored, name
    whole = [{"op": "test", "path": "/metadata/name", "value": stored["metadata"]["name"]}]
    whole += [{"op": "replace", "path": f"/{field}", "value": stored[field]} for field in stored if field != "kind"]
    assert (await call("PATCH", here, whole, type="application/json-patch+json")).body == stored
    await encoded(call, resource, stored)
    config = {k: v for k, v in stored.items() if k != "status"}
    config["metadata"] = {k: v for k, v in stored["metadata"].items() if k not in SYSTEM}
    applied = await call("PATCH", f"{here}?fieldManager=m&force=true", config, type="application/apply-patch+yaml")
    assert applied.status == 200, applied.body
    after = {
        **applied.body,
        "metadata": {**applied.body["metadata"], "resourceVersion": stored["metadata"]["resourceVersion"]},
    }
    assert without_owners(after) == without_owners(stored)


async def encoded(call: Api, resource: Resource, stored: Obj) -> None:
    """The same object through protobuf: what is sent, and what is taken back. The kinds of embedded objects do not travel."""
    here = url(resource, stored["metadata"]["name"])
    answer = await call.send("GET", here, accept=PROTOBUF)
    assert answer.body == protobuf.encode(stored)
    decoded = protobuf.decode(answer.body)
    resource.default(decoded)
    assert decoded == stored
    back = await call.send("PUT", here, answer.body, type=PROTOBUF, accept="application/json")
    assert orjson.loads(back.body) == stored


@pytest.mark.parametrize("table", ["DROPPED", "CHANGED", "DEFAULTED", "OMITTED"])
def test_every_exception_is_needed_by_a_kind(table: str) -> None:
    """A row that names no kind, or the same twice, hides something."""
    rows = getattr(expected, table)
    assert len(set(rows)) == len(rows)
    for kinds, pattern in rows:
        assert any(re.fullmatch(kinds, key(r)) for r in STORED), (kinds, pattern)
