"""JSONPath: client-go util/jsonpath, the simple form."""

import pytest

from skiff.api.jsonpath import JSONPathError, parse, text

OBJ = {
    "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "web", "x": "1"}},
    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53}], "none": None, "n": 1.5},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    "path, expected",
    [
        pytest.param(".metadata.name", ["a"], id="fields"),
        pytest.param("{.metadata.name}", ["a"], id="braces"),
        pytest.param("$.metadata.name", ["a"], id="root"),
        pytest.param(".metadata.missing.name", [], id="a missing field"),
        pytest.param(r".metadata.labels.app\.kubernetes\.io/name", ["web"], id="escaped dots"),
        pytest.param(".metadata['name']", ["a"], id="a quoted key"),
        pytest.param(".metadata.labels['app\\.kubernetes\\.io/name']", ["web"], id="a quoted key with dots"),
        pytest.param(".spec.ports[0].port", [80], id="an index"),
        pytest.param(".spec.ports[-1].port", [53], id="the last"),
        pytest.param(".spec.ports[*].port", [80, 53], id="all"),
        pytest.param(".spec.ports.*", OBJ["spec"]["ports"], id="a wildcard"),
        pytest.param(".spec.ports[0:1].name", ["http"], id="a slice"),
        pytest.param(".spec.ports[1:].name", ["dns"], id="an open slice"),
        pytest.param(".spec.ports[0,1].name", ["http", "dns"], id="a union"),
        pytest.param('.status.conditions[?(@.type=="Ready")].status', ["True"], id="a filter"),
        pytest.param(".status.conditions[?(@.type!='Ready')].status", ["False"], id="a negative filter"),
        pytest.param(".spec.ports[?(@.port>60)].name", ["http"], id="a comparison of numbers"),
        pytest.param(".spec.ports[?(@.missing)].name", [], id="an existence filter"),
        pytest.param(".spec.ports[?(@.port)].name", ["http", "dns"], id="an existence filter that holds"),
        pytest.param("..port", [80, 53], id="recursive descent"),
        pytest.param(".spec.none.x", [], id="below null"),
        pytest.param("", [OBJ], id="nothing is the object"),
    ],
)
def test_find(path, expected):
    assert parse(path).find(OBJ) == expected


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[1:2:0]", "}", "{a}", ".a[?(@.b=~2)]"])
def test_paths_that_do_not_parse(path):
    with pytest.raises(JSONPathError):
        parse(path)


@pytest.mark.parametrize("path", [".spec.ports[5]", ".metadata[0]", ".metadata[?(@.a)]", ".spec.ports[?(@.port>'x')]"])
def test_paths_that_do_not_fit(path):
    with pytest.raises(JSONPathError):
        parse(path).find(OBJ)


@pytest.mark.parametrize(
    "value, expected",
    [("a", "a"), (1, "1"), (1.5, "1.5"), (True, "true"), (None, "null"), ({"b": [1]}, '{"b":[1]}')],
)
def test_text(value, expected):
    assert text(value) == expected
