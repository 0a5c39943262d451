"""Wrong input and half-broken state: one message that says what, why and what to do, an exit code, and nothing destroyed."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from skiff.cli import main
from skiff.cluster.layout import Layout, Settings
from skiff.cluster.problem import EXIT_FAILED, EXIT_NO_CLUSTER, EXIT_USAGE, Problem
from skiff.cluster.up import wrong

WRONG = {
    "a node name with capitals": ({"node_name": "Foo_Bar"}, "--node-name Foo_Bar: a lowercase RFC 1123 subdomain"),
    "port 0": ({"secure_port": 0}, "--secure-port 0: not from 1 to 65535"),
    "a port beyond the last": ({"secure_port": 65536}, "--secure-port 65536: not from 1 to 65535"),
    "no network": ({"pod_cidr": "foo"}, "--pod-cidr foo: "),
    "bits of a host": ({"pod_cidr": "10.244.0.1/16"}, "--pod-cidr 10.244.0.1/16: 10.244.0.1/16 has host bits set"),
    "no room for a node": ({"pod_cidr": "10.244.0.0/25"}, "--pod-cidr 10.244.0.0/25: has no room for a node's /24"),
    "pods among services": ({"pod_cidr": "10.96.0.0/24"}, "overlaps with the addresses of services, 10.96.0.0/12"),
    "pods beside the node": ({"pod_cidr": "10.88.0.0/15"}, "overlaps with the addresses of the node, 10.89.0.0/24"),
    "every cgroup": ({"cgroup_root": "/"}, "--cgroup-root /: not an absolute path below /"),
    "a relative cgroup": ({"cgroup_root": "a"}, "--cgroup-root a: not an absolute path below /"),
    "a cgroup above": ({"cgroup_root": "/a/.."}, "--cgroup-root /a/..: not an absolute path below /"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_choices_are_named(case: str) -> None:
    chosen, expected = WRONG[case]
    (error,) = wrong(Settings(**{"node_name": "n", **chosen}))  # type: ignore[arg-type]
    assert expected in error


def test_what_is_chosen_without_flags_is_right() -> None:
    assert wrong(Settings(node_name="n")) == []
    assert wrong(Settings(node_name="n", cgroup_root="/skiff-e2e-x_1/a.b", pod_cidr="192.168.0.0/16")) == []


def run(state_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SKIFF_STATE_DIR": str(state_dir)}
    return subprocess.run([sys.executable, "-m", "skiff", *words], env=environment, capture_output=True, text=True)


NO_CLUSTER = (
    "status",
    "down",
    "kubeconfig",
    "kubeconfig --path",
    "kubeconfig --merge",
    "kubectl get pods",
    "image list",
)


@pytest.mark.parametrize("command", NO_CLUSTER)
def test_without_a_cluster_every_command_says_so(command: str, tmp_path: Path) -> None:
    done = run(tmp_path / "none", *command.split())
    assert done.returncode == EXIT_NO_CLUSTER
    assert done.stderr.startswith("skiff: no cluster is running\n  why:  nothing is kept under")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"node_name": 5}', "{}"])
@pytest.mark.parametrize("command", ["up", "status", "manager"])
def test_damaged_settings_are_told_and_kept(command: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(text)
    done = run(tmp_path, command)
    assert done.returncode == EXIT_FAILED
    assert done.stderr.startswith(f"skiff: {tmp_path}/settings.json is damaged\n  why:  ")
    assert (tmp_path / "settings.json").read_text() == text


def test_a_directory_with_other_things_becomes_no_cluster(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = run(tmp_path, "up")
    assert done.returncode == EXIT_USAGE
    assert "it holds thesis.tex" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("beside", [[], ["run"]])
def test_purging_what_is_no_cluster_removes_nothing(beside: list[str], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for name in beside:
        (tmp_path / name).mkdir()
    done = run(tmp_path, "down", "--purge")
    assert done.returncode == (EXIT_USAGE if beside else 0)
    assert (tmp_path / "thesis.tex").exists()


def test_an_unusable_state_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in ("up", "status"):
        done = run(tmp_path / "file", command)
        assert done.returncode == EXIT_FAILED
        assert done.stderr.startswith(f"skiff: {tmp_path}/file")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["up", "down", "down --purge", "status", "kubeconfig", "kubectl get pods"])
def test_who_is_not_root_is_told_so(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "settings.json").touch()
    (tmp_path / "admin.conf").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setenv("SKIFF_STATE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == EXIT_FAILED
    assert "\n  do:   sudo skiff " in capsys.readouterr().err


def test_one_command_at_a_time_works_on_a_cluster(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "s"
    program = "from skiff.cluster.layout import *; from pathlib import Path; import sys\nwith Layout(Path(sys.argv[1])).locked(): print('mine')"
    with Layout(root).locked():
        other = subprocess.Popen([sys.executable, "-c", program, root], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert other.stderr and b"Waiting for another skiff command" in other.stderr.readline()
        assert other.poll() is None
    out, _ = other.communicate(timeout=20)  # the first has removed the directory and the lock in it
    assert out == b"mine\n"
    assert not root.exists()


def test_a_taken_port_is_told_before_anything_is_made(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(tmp_path / "s", "up", f"--secure-port={port}")
    assert done.returncode == EXIT_FAILED
    assert done.stderr.startswith(f"skiff: port {port} is taken\n")
    assert not (tmp_path / "s").exists()


def test_problems_are_laid_out_in_lines() -> None:
    assert str(Problem("a", "b", "c", "d")) == "skiff: a\n  why:  b\n  do:   c\n  log:  d"
