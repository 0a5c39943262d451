"""Cgroups of both versions, on folders that look like the kernel's."""

from pathlib import Path

import pytest

from skiff.kubelet import cgroups
from skiff.kubelet.runtime import Resources

POD = "/skiff/burstable/pod1"
LIMITED = Resources(cpu_shares=512, cpu_quota=50000, cpu_period=100000, memory_limit=64 << 20)
V1 = {
    "cpu": {"cpu.shares": "1024", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "-1"},
    "memory": {"memory.limit_in_bytes": "9223372036854771712"},
    "pids": {},
    "systemd": {},
    "unified": {},
}
V2 = {"": {"cpu.weight": "100", "cpu.max": "max 100000", "memory.max": "max"}}


def kernel(mount: Path, trees: dict[str, dict[str, str]], path: str = POD) -> Path:
    """A folder with these trees and, in each, the files of a cgroup that the kernel would have made."""
    for tree, files in trees.items():
        here = mount / tree
        for part in ["", *path.strip("/").split("/")]:
            here = here / part
            here.mkdir(parents=True, exist_ok=True)
            (here / "cgroup.procs").write_text("")
            if tree in ("", "unified"):
                (here / "cgroup.controllers").write_text("cpu memory" if tree == "" else "")
                (here / "cgroup.subtree_control").write_text("")
        for name, text in files.items():
            (here / name).write_text(text)
    return mount


@pytest.mark.parametrize(
    ("trees", "version", "roots", "named"),
    [
        pytest.param(V1, 1, {"cpu", "memory", "pids"}, {"systemd", "unified"}, id="v1, with named trees beside it"),
        pytest.param({"cpu": {}}, 1, {"cpu"}, set(), id="v1 alone"),
        pytest.param(V2, 2, {""}, set(), id="v2"),
        pytest.param({"unified": {}}, 2, {""}, set(), id="v2 in its folder, no v1"),
    ],
)
def test_detect(tmp_path: Path, trees: dict[str, dict[str, str]], version: int, roots: set[str], named: set[str]):
    found = cgroups.detect(kernel(tmp_path, trees))
    assert (found.version, set(found.trees), {p.name for p in found.named}) == (version, roots, named)


@pytest.mark.parametrize(
    ("trees", "resources", "expected"),
    [
        pytest.param(
            V1,
            LIMITED,
            {
                "cpu": {"cpu.shares": "512", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"},
                "memory": {"memory.limit_in_bytes": "67108864"},
            },
            id="limits on v1",
        ),
        pytest.param(
            V1,
            Resources(),
            {
                "cpu": {"cpu.shares": "2", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "-1"},
                "memory": {"memory.limit_in_bytes": "9223372036854771712"},
            },
            id="no limits on v1: what says so already is left alone",
        ),
        pytest.param(
            V2,
            LIMITED,
            {"": {"cpu.weight": "20", "cpu.max": "50000 100000", "memory.max": "67108864"}},
            id="limits on v2",
        ),
        pytest.param(
            V2, Resources(), {"": {"cpu.weight": "1", "cpu.max": "max 100000", "memory.max": "max"}}, id="none on v2"
        ),
    ],
)
def test_limits(
    tmp_path: Path, trees: dict[str, dict[str, str]], resources: Resources, expected: dict[str, dict[str, str]]
):
    tree = cgroups.detect(kernel(tmp_path, trees))
    cgroups.make(tree, POD, resources)
    for name, files in expected.items():
        directory = tree.trees[name] / POD.strip("/")
        assert {f: (directory / f).read_text() for f in files} == files


def test_v2_hands_controllers_down_to_the_pod(tmp_path: Path):
    cgroups.make(cgroups.detect(kernel(tmp_path, V2)), POD, LIMITED)
    handed = [tmp_path, tmp_path / "skiff", tmp_path / "skiff/burstable"]
    assert [(d / "cgroup.subtree_control").read_text() for d in handed] == ["+cpu +memory"] * 3
    assert (tmp_path / POD.strip("/") / "cgroup.subtree_control").read_text() == ""


def test_what_the_runtime_made_in_named_trees_is_removed_too(tmp_path: Path):
    tree = cgroups.detect(kernel(tmp_path, V1))
    for root in [*tree.trees.values(), *tree.named]:
        for left in (root / "skiff").rglob("*"):
            if left.is_file():
                left.unlink()  # in the kernel's trees a folder with nothing but its own files can be removed
        (root / POD.strip("/") / "container").mkdir()
    cgroups.remove(tree, POD)
    assert [str(p) for p in tmp_path.rglob("pod1")] == []
    assert (tree.trees["cpu"] / "skiff/burstable").exists()
