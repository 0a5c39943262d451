"""One API server for the tests of all clients; they share it, each in a namespace of its own."""

from collections.abc import Iterator
from pathlib import Path

import api_process
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("clients"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_process.Server]:
    with api_process.running(tmp_path_factory.mktemp("server")) as server:
        yield server
