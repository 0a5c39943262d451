"""`skiff kubeconfig --merge` changes its own entries and nothing else."""

from skiff.cluster.kubeconfig import with_skiff

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
