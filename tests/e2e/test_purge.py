"""The whole life of a cluster in a fresh network namespace: up with the demo, up again, down, up, and nothing left."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kubectls
import pytest
from kube import until

from skiff.cluster.demo import IMAGE
from skiff.kubelet.images import busybox_archive

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

BESIDE_OTHERS = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /run
$SKIFF up --cgroup-root=/$NAME --node-name=node-1
export KUBECONFIG=$SKIFF_STATE_DIR/admin.conf
$SKIFF image load $IMAGE
$KUBECTL run first --image=skiff-demo:1 --command -- sleep 1000
$KUBECTL wait --for=condition=Ready --timeout=60s pod/first
ip netns add others
$KUBECTL run second --image=skiff-demo:1 --command -- sleep 1000
$KUBECTL wait --for=condition=Ready --timeout=60s pod/second
$KUBECTL delete pod first --grace-period=1 --timeout=60s
$SKIFF down --purge
test "$(ls /run/netns)" = others
ip netns delete others
umount /run/netns
$SKIFF up --cgroup-root=/$NAME --node-name=node-1
mounted=$(grep -c ' /run/netns ' /proc/self/mountinfo)
ip netns add others
test "$(grep -c ' /run/netns ' /proc/self/mountinfo)" = "$mounted"
ip netns delete others
$SKIFF down --purge
test ! -e /run/netns
"""

HARMED = """
set -e
ip link set lo up
before=$(ip -o link; ip route; nft list ruleset)
$SKIFF up --cgroup-root=/$NAME --node-name=node-1
export KUBECONFIG=$SKIFF_STATE_DIR/admin.conf
$SKIFF image load $IMAGE
$KUBECTL run first --image=skiff-demo:1 --command -- sleep 1000
$KUBECTL wait --for=condition=Ready --timeout=60s pod/first
for p in /proc/[0-9]*; do
  ! grep -aqs "$HARMED.*$SKIFF_STATE_DIR" $p/cmdline || kill -$SIGNAL ${p#/proc/}
done
$SKIFF down --purge
after=$(ip -o link; ip route; nft list ruleset)
diff <(echo "$before") <(echo "$after")
"""

UP = """
set -e
ip link set lo up
exec $SKIFF up --cgroup-root=/$NAME --node-name=node-1
"""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="skiff-purge-", dir="/var/lib"))
    yield path
    if path.exists():
        purge = [sys.executable, "-m", "skiff", "down", "--purge", f"--state-dir={path}"]
        subprocess.run(["unshare", "--net", *purge], check=False)  # what is in this network is another cluster's


def environment(state_dir: Path) -> dict[str, str]:
    """For the shell scripts above."""
    program = f"{sys.executable} -m skiff"
    return {**os.environ, "SKIFF": program, "NAME": state_dir.name, "SKIFF_STATE_DIR": str(state_dir)}


def with_kubectl(state_dir: Path, folder: Path) -> dict[str, str]:
    """And with a kubectl, and an archive of the demo's image."""
    busybox_archive(folder / "image.tar", IMAGE)
    own = {"IMAGE": str(folder / "image.tar"), "KUBECTL": kubectls.newest(), "HOME": str(folder)}
    return {**environment(state_dir), **own}


def files() -> set[str]:
    """Every file and folder where system programs leave things, other than below clusters' state directories."""
    found = set()
    for top in WATCHED:
        for folder, folders, names in os.walk(top):
            folders[:] = [f for f in folders if not f.startswith("skiff-")]
            found.update(os.path.join(folder, n) for n in [*folders, *names])
    return found


def in_use(path: str) -> bool:
    """Whether a network namespace, their folder, CNI's note on a pod or a socket serves another cluster, since all of ours is gone."""
    if path.endswith("/netns"):
        return any(held == path for held in map(link, Path("/proc").glob("[0-9]*/fd/*")))
    if "/netns/" in path:
        return namespace(Path(path)) in {namespace(p) for p in Path("/proc").glob("[0-9]*/ns/net")}
    if "/cni/results/" in path:
        return any(p.read_text().split()[0] in path for p in Path("/var/lib").glob("skiff*/cni/ipam/*/*.*.*.*"))
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(path)
        except OSError:
            return False
    return True


def link(file: Path) -> str:
    """What it leads to; empty when it is gone."""
    try:
        return str(file.readlink())
    except OSError:
        return ""


def namespace(link: Path) -> int:
    """The inode of a process's namespace; 0 when the process is gone."""
    try:
        return link.stat().st_ino
    except OSError:
        return 0


def cgroups(own: str) -> set[str]:
    """All of them but those below the roots of other clusters, which come and go as they like."""
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = set()
    for top in [mount for _, mount, kind, *_ in lines if kind.startswith("cgroup")]:
        for folder, folders, _ in os.walk(top):
            folders[:] = [f for f in folders if f == own or not f.startswith("skiff-")]
            found.add(folder)
    return found


def mounts(own: str) -> set[str]:
    """All but those of other clusters."""
    points = {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()}
    return {p for p in points if own in p or "/skiff-" not in p}


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


class Left:
    """What a machine has more of since this was made, other clusters' things aside."""

    def __init__(self, own: str):
        self._own = own
        self._before = self._there()

    def _there(self) -> tuple[set[str], set[str], set[str]]:
        return files(), mounts(self._own), cgroups(self._own)

    def nothing(self) -> bool:
        """Others' come and go while we look, ours would stay."""
        pairs = zip(self._there(), self._before, strict=True)
        self._last = [sorted(p for p in now - then if not in_use(p)) for now, then in pairs]
        return not any(self._last)

    def __repr__(self) -> str:
        return json.dumps(self._last, indent=1)


def test_a_purged_cluster_leaves_nothing_behind(own_network: None, state_dir: Path) -> None:
    left = Left(state_dir.name)
    command = ["unshare", "--net", "bash", "-c", HERE]
    done = subprocess.run(command, env=environment(state_dir), capture_output=True, text=True, timeout=240)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("3 pods are ready") == 2, said
    assert said.count(" 0 failed") == 2, said
    assert not state_dir.exists()
    assert processes_naming(state_dir.name) == []
    until(left.nothing, left, 10)


@pytest.mark.parametrize(
    ("harmed", "sent"),
    [
        pytest.param("", "KILL", id="everything killed"),
        pytest.param("containerd-shim", "STOP", id="shims hang"),
    ],
)
def test_a_purge_of_what_was_harmed_leaves_nothing_behind(
    own_network: None, state_dir: Path, tmp_path: Path, harmed: str, sent: str
) -> None:
    left = Left(state_dir.name)
    command = ["unshare", "--net", "bash", "-c", HARMED]
    env = {**with_kubectl(state_dir, tmp_path), "HARMED": harmed, "SIGNAL": sent}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not state_dir.exists()
    until(lambda: processes_naming(state_dir.name) == [], "no process is left", 10)  # pods' were given to init to reap
    until(left.nothing, left, 10)


def test_pods_come_and_go_beside_network_namespaces_of_others(
    own_network: None, state_dir: Path, tmp_path: Path
) -> None:
    command = ["unshare", "--net", "--mount", "bash", "-c", BESIDE_OTHERS]
    env = with_kubectl(state_dir, tmp_path)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", ["Certificates", "containerd runs"])
def test_an_interrupted_start_leaves_nothing_running(
    own_network: None, state_dir: Path, after: str, sent: signal.Signals
) -> None:
    # What a shell starts in the background ignores SIGINT, these tests and all that they start included.
    command = ["env", "--default-signal=INT", "unshare", "--net", "bash", "-c", UP]
    env = {**environment(state_dir), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as up:
        assert up.stdout is not None
        assert any(after in line for line in up.stdout)
        up.send_signal(sent)
        said, _ = up.communicate(timeout=60)
    assert up.returncode == 128 + sent, said
    assert "Stopping what was started." in said
    assert processes_naming(state_dir.name) == []


def test_two_starts_at_once_make_one_cluster(own_network: None, state_dir: Path) -> None:
    script = "ip link set lo up; $SKIFF up --cgroup-root=/$NAME & $SKIFF up --cgroup-root=/$NAME; wait $!; $SKIFF status; $SKIFF down"
    command = ["unshare", "--net", "bash", "-ec", script]
    done = subprocess.run(command, env=environment(state_dir), capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("Kubernetes is ready") == 2, said
    assert processes_naming(state_dir.name) == []
