"""Decoding: types, nulls, unknown and duplicate fields, normal forms."""

import copy
from typing import Any

import orjson
import pytest

from skiff.api.decode import Checker, DecodeError, checker
from skiff.api.duplicates import duplicate_fields
from skiff.api.schema import load

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": "http"}},
            }
        ]
    },
}


def check(kind: str = "core.v1.Pod") -> Checker:
    return checker(load(), f"io.k8s.api.{kind}")


def changed(path: str, value: Any, base: dict[str, Any] = POD) -> dict[str, Any]:
    out = copy.deepcopy(base)
    *parents, last = path.split(".")
    here: Any = out
    for name in parents:
        here = here[int(name)] if name.isdigit() else here.setdefault(name, {})
    here[last] = value
    return out


def test_a_sound_object_is_left_as_it_is() -> None:
    obj, warnings = check().check(copy.deepcopy(POD), validation="Strict", raw=orjson.dumps(POD))
    assert (obj, warnings) == (POD, [])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param(
            "spec.containers.0.image",
            3,
            "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
            id="number for text",
        ),
        pytest.param(
            "spec.priority",
            "x",
            "json: cannot unmarshal string into Go struct field PodSpec.spec.priority of type int32",
            id="text for a number",
        ),
        pytest.param(
            "spec.priority",
            1.5,
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
            id="fraction for an integer",
        ),
        pytest.param(
            "spec.priority",
            1 << 31,
            "json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority of type int32",
            id="too large for 32 bits",
        ),
        pytest.param(
            "spec.hostNetwork",
            "true",
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
            id="text for a boolean",
        ),
        pytest.param(
            "spec.containers",
            {},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
            id="object for a list",
        ),
        pytest.param(
            "metadata.labels",
            {"a": True},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
            id="boolean in a map of text",
        ),
        pytest.param(
            "spec",
            [],
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
            id="list for a struct",
        ),
        pytest.param(
            "spec.containers.0.livenessProbe.httpGet.port",
            True,
            "json: cannot unmarshal bool into Go value of type int32",
            id="boolean for a port",
        ),
        pytest.param(
            "spec.containers.0.resources.limits.cpu",
            "much",
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            id="words for an amount",
        ),
        pytest.param(
            "metadata.creationTimestamp",
            "today",
            'parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"',
            id="words for a time",
        ),
    ],
)
def test_wrong_types_are_refused_in_upstreams_words(path: str, value: Any, message: str) -> None:
    for validation in ("Ignore", "Warn", "Strict"):
        with pytest.raises(DecodeError) as caught:
            check().check(changed(path, value), validation=validation)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("path", "value", "after"),
    [
        pytest.param("metadata.creationTimestamp", None, None, id="null is as if it were not there"),
        pytest.param("spec.nodeSelector", {}, None, id="an empty map is not written"),
        pytest.param("spec.volumes", [], None, id="an empty list is not written"),
        pytest.param("spec.containers", [], None, id="an empty list that is always written is null"),
        pytest.param("spec.securityContext", {}, {}, id="an empty struct stays"),
        pytest.param("spec.containers.0.resources.limits.cpu", "1000m", "1", id="an amount in its normal form"),
        pytest.param("spec.containers.0.resources.limits.cpu", 2, "2", id="a bare number as an amount"),
        pytest.param("spec.containers.0.livenessProbe.httpGet.port", 8080, 8080, id="a port's number stays a number"),
        pytest.param("spec.priority", 0, 0, id="zero stays"),
        pytest.param(
            "metadata.creationTimestamp", "2020-01-01T01:00:00.5+01:00", "2020-01-01T00:00:00Z", id="a time in UTC"
        ),
    ],
)
def test_normal_forms(path: str, value: Any, after: Any) -> None:
    obj, warnings = check().check(changed(path, value), validation="Strict")
    assert warnings == []
    for name in path.split("."):
        obj = obj[int(name)] if isinstance(obj, list) else obj.get(name)  # type: ignore[assignment]
    assert obj == after


def test_no_bytes_are_not_written() -> None:
    hook = {"name": "a", "clientConfig": {"caBundle": ""}}
    kind = "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration"
    obj, _ = checker(load(), kind).check({"webhooks": [hook]})
    assert obj["webhooks"][0]["clientConfig"] == {}


SHOWN = [
    pytest.param("apps", "StatefulSet", {"spec": {}}, {"serviceName": "", "selector": None}, id="text and a pointer"),
    pytest.param("core", "LimitRange", {"spec": {"limits": []}}, {"limits": None}, id="a list that was empty"),
    pytest.param("core", "PersistentVolumeClaim", {"spec": {"dataSource": {"kind": "K", "name": "n"}}}, {"dataSource": {"kind": "K", "name": "n", "apiGroup": None}}, id="a pointer further down"),
]  # fmt: skip


@pytest.mark.parametrize("package, kind, sent, spec", SHOWN)
def test_fields_that_upstream_always_writes(package: str, kind: str, sent: Any, spec: Any) -> None:
    for extra in ({}, {"nope": 1}):  # the fast pass, and the slow one for what is odd
        obj, _ = checker(load(), f"io.k8s.api.{package}.v1.{kind}").check(copy.deepcopy(sent) | extra)
        assert obj["spec"] == spec


def test_null_elements_become_zero_values() -> None:
    obj, _ = check().check(changed("metadata.labels", {"a": None, "b": "c"}))
    assert obj["metadata"]["labels"] == {"a": "", "b": "c"}


def test_unknown_fields_are_dropped_warned_about_or_refused() -> None:
    odd = changed("spec.containers.0.imagge", "x", changed("spec.nodeNme", "y"))
    expected = ['unknown field "spec.containers[0].imagge"', 'unknown field "spec.nodeNme"']
    assert check().check(copy.deepcopy(odd), validation="Ignore") == (POD, [])
    assert check().check(copy.deepcopy(odd), validation="Warn") == (POD, expected)
    with pytest.raises(DecodeError) as caught:
        check().check(odd, validation="Strict")
    assert str(caught.value) == "strict decoding error: " + ", ".join(expected)


def test_duplicate_fields_are_found_in_the_text() -> None:
    raw = b'{"metadata":{"name":"a","name":"b"},"spec":{"containers":[{"name":"x"},{"name":"y", "name" : "y"}]}}'
    found = duplicate_fields(raw, orjson.loads(raw))
    assert found == ['duplicate field "metadata.name"', 'duplicate field "spec.containers[1].name"']


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a": "x:y", "b": [{"a": 1}, {"a": 2}]}', id="the same name in different objects"),
        pytest.param(rb'{"a": "\u003a\u003a", "b": "::"}', id="escaped colons"),
        pytest.param(b'{"a" :\n1 , "b"\t: "\\""}', id="white space before the colon"),
    ],
)
def test_no_duplicates_where_there_are_none(raw: bytes) -> None:
    assert duplicate_fields(raw, orjson.loads(raw)) == []


def test_an_escaped_name_is_the_same_name() -> None:
    raw = rb'{"a":"\u003a","\u0061":2}'
    assert duplicate_fields(raw, orjson.loads(raw)) == ['duplicate field "a"']


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("YQ==", "", id="padded base64"),
        pytest.param("Y\nQ==", "", id="line breaks are ignored"),
        pytest.param("a!b=", "illegal base64 data at input byte 1", id="a letter that is none"),
        pytest.param("YQ", "illegal base64 data at input byte 0", id="cut off"),
    ],
)
def test_bytes(value: str, message: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"k": value}}
    if not message:
        assert check("core.v1.Secret").check(secret)[0]["data"] == {"k": "YQ=="}
        return
    with pytest.raises(DecodeError, match=message):
        check("core.v1.Secret").check(secret)


def test_raw_extensions_keep_everything() -> None:
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {"x": {"y": [None]}}}
    assert check("apps.v1.ControllerRevision").check(copy.deepcopy(revision), validation="Strict") == (revision, [])


def test_micro_times_need_six_digits() -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "spec": {"renewTime": "2020-01-01T00:00:00.000001Z"},
    }
    assert check("coordination.v1.Lease").check(copy.deepcopy(lease))[0] == lease
    with pytest.raises(DecodeError, match=r'cannot parse "Z" as ".000000"'):
        check("coordination.v1.Lease").check(changed("spec.renewTime", "2020-01-01T00:00:00Z", lease))


def test_what_a_known_object_has_is_not_checked_again():
    config_map = checker(load(), "io.k8s.api.core.v1.ConfigMap")
    known = {"metadata": {"name": "a"}, "data": {"k": "v"}}
    strange = {"k": 5}
    assert config_map.check({**known, "data": strange}, known={**known, "data": strange}) == (
        {**known, "data": strange},
        [],
    )
    with pytest.raises(DecodeError):
        config_map.check({**known, "data": {"k": 5}}, known=known)
    obj, warnings = config_map.check({**known, "binaryData": None, "immutable": None, "x": 1}, known=known)
    assert (obj, warnings) == (known, ['unknown field "x"'])
    obj, _ = config_map.check({**known, "binaryData": None, "data": {}}, known=known)
    assert obj == {"metadata": {"name": "a"}}
