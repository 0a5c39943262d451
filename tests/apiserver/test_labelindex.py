"""Label indexes: whatever has changed, they hold what looking through all objects finds."""

from random import Random

import pytest

from skiff.apiserver import labelindex
from skiff.apiserver.entries import Entry
from skiff.apiserver.labelindex import LabelIndexes, within

NAMESPACES = ("a", "a-b", "a0", "b")


def entry(namespace, name, revision, labels):
    return Entry(namespace, name, revision, b"", labels, ())


class World:
    """Entries as a cache has them, with the indexes beside."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.entries = {}
        self.indexes = LabelIndexes(self.sorted)

    def sorted(self):
        return [self.entries[k] for k in sorted(self.entries, key="/".join)]

    def step(self, revision):
        key = self.random.choice(NAMESPACES), f"n{self.random.randrange(40)}"
        old = self.entries.pop(key, None)
        new = None
        if old is None or self.random.random() < 0.7:
            labels = {k: self.random.choice("xyz") for k in ("p", "q") if self.random.random() < 0.8}
            new = self.entries[key] = entry(*key, revision, labels)
        self.indexes.change(old, new)

    def expected(self, key, value, namespace, after):
        return [
            e
            for e in self.sorted()
            if e.labels.get(key) == value
            and namespace in ("", e.namespace)
            and (after is None or f"{e.namespace}/{e.name}" > "/".join(after))
        ]


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_what_a_search_finds(seed, monkeypatch):
    monkeypatch.setattr(labelindex, "LEAST", 1)
    monkeypatch.setattr(labelindex, "ASKED", 1)
    world = World(seed)
    for i in range(400):
        world.step(i)
        key, value = world.random.choice("pq"), world.random.choice("xyzw")
        namespace = world.random.choice(["", *NAMESPACES])
        after = world.random.choice([None, (namespace or "a-b", "n2")])
        found = within(world.indexes.find(key, value, len(world.entries)), namespace, after)
        assert found == world.expected(key, value, namespace, after)


def test_an_index_is_made_for_who_asks_again():
    world = World(0)
    asked = [world.indexes.find("p", "x", labelindex.LEAST) for _ in range(labelindex.ASKED)]
    assert asked == [None] * (labelindex.ASKED - 1) + [[]]
    assert world.indexes.find("p", "x", 1) == [], "one that is there is used"
    assert all(world.indexes.find("q", "x", labelindex.LEAST - 1) is None for _ in range(5)), "a small cache"


def test_there_are_few(monkeypatch):
    monkeypatch.setattr(labelindex, "ASKED", 1)
    world = World(0)
    for i in range(3 * labelindex.COUNTED):
        assert world.indexes.find(f"k{i}", "x", labelindex.LEAST) == []
        assert world.indexes.find("p", "x", labelindex.LEAST) == []
    assert len(world.indexes._kept) == labelindex.KEYS
    assert len(world.indexes._asked) <= labelindex.COUNTED
    assert "p" in world.indexes._kept, "the one in use stays"


def test_lists_by_label_see_every_change(api):
    def config_map(i, label):
        return {"metadata": {"name": f"p{i:03d}", "namespace": "d", "uid": f"u{i}", "labels": {"app": label}}}

    async def names(call, query=""):
        answer = await call("GET", f"/api/v1/namespaces/d/configmaps?labelSelector=app%3Da{query}")
        return [o["metadata"]["name"] for o in answer.body["items"]], answer.body["metadata"]

    async def scenario(call):
        for i in range(labelindex.LEAST):
            await call.store("configmaps", config_map(i, "a" if i % 100 == 0 else "b"))
        found = [(await names(call))[0] for _ in range(4)]
        await call("PATCH", "/api/v1/namespaces/d/configmaps/p001", {"metadata": {"labels": {"app": "a"}}}, type=MERGE)
        await call("PATCH", "/api/v1/namespaces/d/configmaps/p100", {"metadata": {"labels": {"app": "b"}}}, type=MERGE)
        await call("DELETE", "/api/v1/namespaces/d/configmaps/p200")
        found.append((await names(call))[0])
        page, meta = await names(call, "&limit=1")
        rest, _ = await names(call, f"&limit=5&continue={meta['continue']}")
        return [*found, page, rest]

    *before, after, page, rest = api(scenario)
    assert before == [["p000", "p100", "p200"]] * 4
    assert after == ["p000", "p001"]
    assert (page, rest) == (["p000"], ["p001"])


MERGE = "application/merge-patch+json"
