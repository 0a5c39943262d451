"""Operations on FieldsV1 trees, checked against plain sets of paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.api import fieldset
from skiff.api.fieldset import difference, has, insert, intersection, members, ordered, recursive_difference, union

PATHS = st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":1}']), min_size=1, max_size=3).map(tuple)
PATH_SETS = st.frozensets(PATHS, max_size=6)


def build(paths):
    result = {}
    for path in sorted(paths):
        insert(result, path)
    return result


def paths(found):
    return frozenset(members(found))


@given(PATH_SETS)
def test_a_tree_holds_the_paths_that_were_inserted(a):
    assert paths(build(a)) == a
    assert all(has(build(a), path) for path in a)
    assert ordered(build(a)) == build(a)


@given(PATH_SETS, PATH_SETS)
def test_operations_are_those_of_sets(a, b):
    x, y = build(a), build(b)
    assert paths(union(x, y)) == a | b
    assert paths(difference(x, y)) == a - b
    assert paths(intersection(x, y)) == a & b
    below = {p for p in a for i in range(1, len(p) + 1) if p[:i] in b}
    assert paths(recursive_difference(x, y)) == a - below
    assert (paths(x), paths(y)) == (a, b)


@given(PATH_SETS, PATH_SETS)
def test_trees_have_one_form(a, b):
    assert union(build(a), build(b)) == build(a | b)
    assert difference(build(a), build(b)) == build(a - b)
    assert intersection(build(a), build(b)) == build(a & b)
    below = {p for p in a for i in range(1, len(p) + 1) if p[:i] in b}
    assert recursive_difference(build(a), build(b)) == build(a - below)


@given(PATH_SETS, PATH_SETS)
def test_what_does_not_change_is_returned_itself(a, b):
    x = build(a)
    assert union(x, build(a & b)) is x
    assert difference(x, build(b - a)) is x


@pytest.mark.parametrize(
    "path, text",
    [
        pytest.param(("f:spec", "f:replicas"), ".spec.replicas", id="fields"),
        pytest.param(("f:c", 'k:{"name":"web"}', "f:image"), '.c[name="web"].image', id="a key"),
        pytest.param(("f:p", 'k:{"containerPort":80,"protocol":"TCP"}'), '.p[containerPort=80,protocol="TCP"]', id="keys"),
        pytest.param(("f:finalizers", 'v:"x"'), '.finalizers[="x"]', id="a value"),
        pytest.param(("f:l", "i:3"), ".l[3]", id="an index"),
    ],
)  # fmt: skip
def test_path_text(path, text):
    assert fieldset.path_text(path) == text


def test_decoding_makes_keys_canonical():
    given = {"f:a": {".": {"x": 1}, 'k:{"b": 2, "a": "x"}': {}}, 'v: "y"': {}, "i:01": {}, "z:new": {}}
    expected = {"f:a": {".": {}, 'k:{"a":"x","b":2}': {}}, 'v:"y"': {}, "i:1": {}}
    assert fieldset.decode(given) == expected


@pytest.mark.parametrize("broken", [[], {"x": {}}, {"fx": {}}, {"v:{": {}}, {"k:1": {}}, {"i:x": {}}, {"f:a": []}])
def test_broken_sets(broken):
    with pytest.raises(ValueError):
        fieldset.decode(broken)
