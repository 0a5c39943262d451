"""The pytest plugin, run on a small test file."""

import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

TESTS = """
import asyncio
import random
import pytest
from skiff import env
from skiff.api.gvr import CONFIGMAPS
from skiff.testing.builders import configmap

kept = []

@pytest.mark.virtual
async def test_a_day():
    await asyncio.sleep(86400)
    assert env.now().isoformat() == "2026-01-02T00:00:00+00:00"

@pytest.mark.cluster(nodes=2, controllers=[])
async def test_nodes(cluster):
    assert sorted(cluster.nodes) == ["node-1", "node-2"]

@pytest.mark.virtual
async def test_leaks():
    kept.append(asyncio.create_task(asyncio.sleep(1), name="forgotten"))

@pytest.mark.cluster(nodes=0, controllers=[], scheduler=False)
async def test_mutates(cluster):
    maps = await cluster.informer(CONFIGMAPS)
    await cluster.client.create(CONFIGMAPS, configmap("c", a="1"))
    await cluster.until(lambda: maps.get("default", "c"))
    maps.get("default", "c")["data"]["a"] = "2"

@pytest.mark.virtual
async def test_seed(skiff_seed):
    assert skiff_seed == 7
    assert env.rng().random() == random.Random(7).random()

async def test_not_ours():
    pass
"""


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of a run over TESTS."""
    directory = tmp_path_factory.mktemp("tests")
    (directory / "test_them.py").write_text(TESTS)
    plugin = [] if entry_points(group="pytest11", name="skiff") else ["-p", "skiff.testing.plugin"]
    command = [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", "-rA", "--skiff-seed", "7", "."]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize(
    "name, outcome",
    [
        pytest.param("test_a_day", "PASSED", id="a marked test runs on virtual time"),
        pytest.param("test_nodes", "PASSED", id="the cluster fixture is a running cluster"),
        pytest.param("test_leaks", "FAILED", id="a task left behind fails the test"),
        pytest.param("test_mutates", "FAILED", id="a changed cache object fails the test"),
        pytest.param("test_seed", "PASSED", id="the seed is an option"),
    ],
)
def test_outcome(report, name, outcome):
    assert re.search(rf"^{outcome} .*{name}\b", report, re.MULTILINE), report


def test_other_asynchronous_tests_are_left_to_others(report):
    assert not re.search(r"^PASSED .*test_not_ours", report, re.MULTILINE)


def test_failures_say_what_is_wrong(report):
    assert "forgotten" in report
    assert "a cached object of configmaps was changed" in report
