"""The published OpenAPI documents as the attacker's map: schemathesis makes requests from what we say of ourselves.

Each slice takes another share of the operations of every group version (v3) and of the one old document (v2). Half of
the requests go to objects that exist, so that they get past the path."""

import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from skiff.wire.messages import Request
from tests.fuzz.world import SLICES, World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis

PER_OPERATION = 4
SHARES = 20
"""Slice n takes every twentieth operation, from the n-th on."""

NAMES = {
    "namespace": ("default", "kube-system", "none"),
    "name": ("p", "m", "d", "web", "w", "n1", "x"),
    "path": ("x", "a/b"),
}
JSON_LIKE = ("application/json", "application/json-patch+json", "application/merge-patch+json")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="module")
def operations(world: World) -> list[Any]:
    """Of all documents, in a fixed order that mixes them."""
    documents = [world.ask(Request("GET", "/openapi/v2")).json]
    index = world.ask(Request("GET", "/openapi/v3")).json["paths"]
    documents += [world.ask(Request("GET", f"/openapi/v3/{path}")).json for path in sorted(index)]
    found = [operation.ok() for d in documents for operation in schemathesis.openapi.from_dict(d).get_all_operations()]
    return sorted(found, key=lambda o: hash_of(f"{o.method} {o.path} {o.definition.raw.get('operationId', '')}"))


def hash_of(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(text.encode()[-6:], "little") * 2654435761 % 2**32


def sent(case: Any, places: tuple[int, int], known: bool) -> Request:
    """A schemathesis case as our request. known: the path names what there is."""
    if known:
        for i, name in enumerate(case.path_parameters or {}):
            choices = NAMES.get(name, ("x",))
            case.path_parameters[name] = choices[places[i % 2] % len(choices)]
    headers = {
        str(k).lower(): str(v).encode("latin-1", "replace").decode("latin-1") for k, v in (case.headers or {}).items()
    }
    body = b""
    if not isinstance(case.body, schemathesis.core.NotSet):
        media = case.media_type if case.media_type in JSON_LIKE or not known else "application/json"
        headers["content-type"] = str(media or "application/json").strip()
        body = (
            case.body
            if isinstance(case.body, bytes)
            else orjson.dumps(case.body, default=str)
            if _fits(case.body)
            else b"{"
        )
    query = urlencode({k: _text(v) for k, v in (case.query or {}).items()}, errors="surrogatepass")
    if case.method.upper() == "DELETE":
        query += "&dryRun=All"
    path = (
        case.formatted_path
        if known
        else case.path.format(**{k: str(v) for k, v in (case.path_parameters or {}).items()})
    )
    return Request(case.method.upper(), path, query, headers, body, raw_path=path)


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value, default=str)
    except (TypeError, ValueError):  # lone surrogates, numbers beyond 64 bits
        return False
    return True


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("number", range(SLICES))
def test_requests_from_our_own_openapi(number: int, world: World, operations: list[Any]):
    before = world.asked
    share = operations[number % SHARES :: SHARES]
    for i, operation in enumerate(share):

        @seed(number * 1000 + i)
        @settings(
            max_examples=PER_OPERATION,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(), st.tuples(st.integers(0, 9), st.integers(0, 9)), st.booleans())
        def one(case: Any, places: tuple[int, int], known: bool) -> None:
            world.ask(sent(case, places, known))

        one()
    assert world.asked - before >= len(share)
