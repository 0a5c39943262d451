"""The whole life of a cluster in a fresh network namespace: up with the demo, up again, down, up, and nothing left."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

WATCHED = ("/run", "/var", "/etc", "/opt", "/srv", "/usr/lib/cni")
HERE = """
set -e
ip link set lo up
before=$(ip -o link; ip route; nft list ruleset)
$SKIFF up --cgroup-root=/$NAME --node-name=node-1 --demo
$SKIFF up --demo
$SKIFF status
$SKIFF down
$SKIFF up
$SKIFF status
$SKIFF down --purge
after=$(ip -o link; ip route; nft list ruleset)
diff <(echo "$before") <(echo "$after")
"""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="skiff-purge-", dir="/var/lib"))
    yield path
    if path.exists():
        subprocess.run([sys.executable, "-m", "skiff", "down", "--purge", f"--state-dir={path}"], check=False)


def files(without: Path) -> set[str]:
    """Every file and folder where system programs leave things, other than below `without`'s siblings."""
    found = set()
    for top in WATCHED:
        for folder, folders, names in os.walk(top):
            folders[:] = [f for f in folders if not f.startswith("skiff-")]
            found.update(os.path.join(folder, n) for n in [*folders, *names])
    return found


def cgroups() -> set[str]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [m[1] for m in mounts if m[2].startswith("cgroup")]
    return {folder for root in roots for folder, _, _ in os.walk(root)}


def mounts() -> set[str]:
    return {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()}


def processes_naming(text: str) -> list[str]:
    """Command lines and cgroups of live processes in which the text occurs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line or text in (process / "cgroup").read_text():
                found.append(f"{process.name} {line}")
        except OSError:
            continue  # it ended while we looked
    return found


def test_a_purged_cluster_leaves_nothing_behind(own_network: None, state_dir: Path) -> None:
    before = files(state_dir), mounts(), cgroups()
    env = {
        **os.environ,
        "SKIFF": f"{sys.executable} -m skiff",
        "NAME": state_dir.name,
        "SKIFF_STATE_DIR": str(state_dir),
    }
    done = subprocess.run(
        ["unshare", "--net", "bash", "-c", HERE], env=env, capture_output=True, text=True, timeout=240
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("3 pods are ready") == 2, said
    assert said.count(" 0 failed") == 2, said
    assert not state_dir.exists()
    assert processes_naming(state_dir.name) == []
    after = files(state_dir), mounts(), cgroups()
    left = [sorted(now - then) for now, then in zip(after, before, strict=True)]
    assert left == [[], [], []], json.dumps(left, indent=1)
