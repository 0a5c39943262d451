"""What volumes contain, and how files are replaced. Source: API reference, Volume; Kubernetes docs, "Projected Volumes"."""

import os
from pathlib import Path
from typing import Any

import pytest

from skiff.api.types import Obj
from skiff.kubelet.environment import ConfigError
from skiff.kubelet.host import EmptyDir, File, HostPath, Payload, VolumePlan
from skiff.kubelet.volumes import atomic, payload, setup
from tests.kubelet.make import pod, spec

SOURCES = payload.Sources(
    {
        ("configmap", "cm"): {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AAE="}},
        ("secret", "s"): {"data": {"p": "aGk="}},
        ("configmap", "no"): None,
        ("secret", "no"): None,
    },
    {("", 3600): "token", ("vault", 600): "other"},
    {"cpu": "4"},
)
TOKEN = {"serviceAccountToken": {"path": "token"}}

PLANS = [
    pytest.param({"emptyDir": {}}, EmptyDir(), id="an empty directory"),
    pytest.param({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, EmptyDir("Memory", 1 << 20), id="in memory"),
    pytest.param({"hostPath": {"path": "/x", "type": "File"}}, HostPath("/x", "File"), id="a path of the node"),
    pytest.param(
        {"configMap": {"name": "cm"}}, Payload({"a": File(b"1"), "b": File(b"2"), "c": File(b"\0\1")}), id="a whole config map"
    ),
    pytest.param(
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "x/y", "mode": 256}]}}, Payload({"x/y": File(b"1", 0o400)}),
        id="one key under its own path and mode",
    ),
    pytest.param({"secret": {"secretName": "s", "defaultMode": 256}}, Payload({"p": File(b"hi", 0o400)}), id="a secret"),
    pytest.param({"secret": {"secretName": "no", "optional": True}}, Payload({}), id="an optional secret that is missing"),
    pytest.param(
        {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        Payload({"l": File(b'k="v"')}), id="labels",
    ),
    pytest.param(
        {"projected": {"sources": [TOKEN, {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca"}]}}]}},
        Payload({"token": File(b"token"), "ca": File(b"1")}), id="token and CA together",
    ),
    pytest.param(
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault", "expirationSeconds": 600}}]}},
        Payload({"t": File(b"other")}), id="a token for somebody else",
    ),
]  # fmt: skip


@pytest.mark.parametrize("volume, expected", PLANS)
def test_plan(volume: Obj, expected: VolumePlan) -> None:
    p = pod()
    p["metadata"]["labels"] = {"k": "v"}
    assert payload.plan(p, {"name": "v", **volume}, SOURCES) == expected


ERRORS = [
    pytest.param({"configMap": {"name": "no"}}, 'configmap "no" not found', id="no config map"),
    pytest.param({"secret": {"secretName": "no"}}, 'secret "no" not found', id="no secret"),
    pytest.param(
        {"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}},
        "configmap references non-existent config key: z", id="no key",
    ),
    pytest.param({"nfs": {"server": "x"}}, "no volume plugin matched: nfs", id="a kind that is not served"),
]  # fmt: skip


@pytest.mark.parametrize("volume, message", ERRORS)
def test_errors(volume: Obj, message: str) -> None:
    with pytest.raises(ConfigError) as e:
        payload.plan(pod(), {"name": "v", **volume}, SOURCES)
    assert str(e.value) == message


@pytest.mark.parametrize(
    "containers, context, expected",
    [
        pytest.param([spec("a")], {}, File(b"token", 0o644), id="nobody said who runs"),
        pytest.param([spec("a")], {"runAsUser": 7}, File(b"token", 0o600, 7), id="the pod's user owns it"),
        pytest.param(
            [spec("a", securityContext={"runAsUser": 1}), spec("b")],
            {"runAsUser": 7},
            File(b"token", 0o644),
            id="users that differ",
        ),
        pytest.param([spec("a")], {"fsGroup": 5}, File(b"token", 0o600), id="a group will be set"),
    ],
)
def test_who_may_read_the_token(containers: list[Obj], context: Obj, expected: File) -> None:
    p = pod(*containers, securityContext=context)
    plan = payload.plan(p, {"name": "v", "projected": {"sources": [TOKEN]}}, SOURCES)
    assert isinstance(plan, Payload) and plan.files["token"] == expected


def contents(directory: Path) -> dict[str, str]:
    """What a reader sees, through the links."""
    names = [n for n in os.listdir(directory) if not n.startswith("..")]
    return {n: (directory / n).read_text() for n in names if (directory / n).is_file()}


def write(directory: Path, **files: str) -> None:
    atomic.write(str(directory), {k: File(v.encode()) for k, v in files.items()}, lambda path: None)


def test_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, a="1", b="2")
    first = os.readlink(tmp_path / "..data")
    write(tmp_path, a="1", b="2")
    assert os.readlink(tmp_path / "..data") == first
    write(tmp_path, a="3", c="4")
    assert contents(tmp_path) == {"a": "3", "c": "4"}
    assert sorted(os.listdir(tmp_path)) == sorted(["..data", os.readlink(tmp_path / "..data"), "a", "c"])


def test_a_directory_of_an_earlier_kubelet_is_taken_over(tmp_path: Path) -> None:
    write(tmp_path, a="1")
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    write(tmp_path, a="2")
    assert contents(tmp_path) == {"a": "2"}


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "..data", ""])
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(OSError, match="invalid path"):
        atomic.write(str(tmp_path), {path: File(b"")}, lambda p: None)


CHECKS: list[Any] = [
    pytest.param("file", "Directory", "is not a directory", id="a file is no directory"),
    pytest.param("dir", "File", "is not a file", id="a directory is no file"),
    pytest.param("missing", "Directory", "is not a directory", id="missing"),
    pytest.param("file", "Socket", "is not a socket file", id="a file is no socket"),
]


@pytest.mark.parametrize("name, kind, message", CHECKS)
def test_host_path_types(tmp_path: Path, name: str, kind: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    with pytest.raises(OSError, match=message):
        setup.check_host_path(HostPath(str(tmp_path / name), kind))


def test_host_path_is_made_when_asked_for(tmp_path: Path) -> None:
    setup.check_host_path(HostPath(str(tmp_path / "d" / "e"), "DirectoryOrCreate"))
    setup.check_host_path(HostPath(str(tmp_path / "f"), "FileOrCreate"))
    assert (tmp_path / "d" / "e").is_dir() and (tmp_path / "f").is_file()
