"""`skiff kubeconfig --merge` changes its own entries and nothing else."""

from pathlib import Path

import pytest
import yaml

from skiff.cluster.kubeconfig import merge, with_skiff
from skiff.cluster.problem import Problem

OURS = {
    "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:6443"}}],
    "users": [{"name": "admin", "user": {"client-key-data": "Zm9v"}}],
}


def test_an_empty_file_becomes_a_whole_kubeconfig() -> None:
    merged = with_skiff({}, OURS)
    assert merged["kind"] == "Config"
    assert merged["current-context"] == "skiff"
    assert merged["contexts"] == [{"name": "skiff", "context": {"cluster": "skiff", "user": "skiff"}}]
    assert merged["clusters"] == [{"name": "skiff", "cluster": {"server": "https://127.0.0.1:6443"}}]


def test_other_entries_stay_and_an_old_one_of_ours_is_replaced() -> None:
    other = {"name": "work", "cluster": {"server": "https://work"}}
    mine = {
        "clusters": [other, {"name": "skiff", "cluster": {"server": "https://old"}}],
        "preferences": {"colors": True},
    }
    merged = with_skiff(mine, OURS)
    assert merged["clusters"] == [other, {"name": "skiff", "cluster": {"server": "https://127.0.0.1:6443"}}]
    assert merged["preferences"] == {"colors": True}
    assert merged["users"] == [{"name": "skiff", "user": {"client-key-data": "Zm9v"}}]


REFUSED = {
    "no YAML": (b"clusters: [", "is not valid YAML"),
    "no text": (b"\xff\xfe", "is not valid YAML"),
    "a list": (b"- a\n", "its top level is not a mapping"),
    "clusters that are no list": (b"clusters: x\n", "clusters is not a list of mappings"),
    "users that are words": (b"users: [a]\n", "users is not a list of mappings"),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "admin.conf"
    path.write_text(yaml.safe_dump(OURS))
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_kubeconfig_is_left_alone(
    case: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, why = REFUSED[case]
    (tmp_path / "mine").write_bytes(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    with pytest.raises(Problem, match=why):
        merge(source)
    assert (tmp_path / "mine").read_bytes() == text


TARGETS = {
    "one file": ("a", (), "a"),
    "the first that exists": ("a:b:c", ("b", "c"), "b"),
    "the last when none does": ("a:b", (), "b"),
    "empty words do not count": (":b:", ("b",), "b"),
    "none named": ("", (), "home/.kube/config"),
}
"""$KUBECONFIG, the files that exist, the one that is written. Source: client-go clientcmd PathOptions."""


@pytest.mark.parametrize("case", TARGETS)
def test_the_file_that_kubectl_would_write_is_taken(
    case: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, existing, expected = TARGETS[case]
    for name in existing:
        (tmp_path / name).touch()
    monkeypatch.setenv("KUBECONFIG", ":".join(str(tmp_path / n) if n else "" for n in named.split(":")))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert merge(source) == tmp_path / expected
    assert merge(source) == tmp_path / expected
    assert yaml.safe_load((tmp_path / expected).read_text())["contexts"] == with_skiff({}, OURS)["contexts"]


def test_a_link_stays_a_link(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "link"))
    merge(source)
    assert (tmp_path / "link").is_symlink()
    assert "current-context: skiff" in (tmp_path / "real").read_text()


def test_the_clusters_own_file_is_not_merged_into_itself(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source.read_text()
    monkeypatch.setenv("KUBECONFIG", str(source))
    with pytest.raises(Problem, match="nothing to merge"):
        merge(source)
    assert source.read_text() == before
