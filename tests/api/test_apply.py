"""Server-side apply: the docs page of that name, and structured-merge-diff merge."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skiff.api import schema
from skiff.api.apply import LAST_APPLIED, apply, track_update
from skiff.api.errors import StatusError
from skiff.api.fieldset import members, path_text
from skiff.api.managedfields import fields_of

SCHEMAS = schema.load()
CONFIG_MAP = SCHEMAS.node("io.k8s.api.core.v1.ConfigMap")
DEPLOYMENT = SCHEMAS.node("io.k8s.api.apps.v1.Deployment")
SERVICE = SCHEMAS.node("io.k8s.api.core.v1.Service")


def config(data=None, *, labels=None, annotations=None):
    meta = {"name": "c", "namespace": "d"}
    meta |= {"labels": labels} if labels else {}
    meta |= {"annotations": annotations} if annotations else {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **({"data": data} if data is not None else {})}


def ssa(live, applied, manager="a", *, node=CONFIG_MAP, api_version="v1", now="t1", **more):
    before = copy.deepcopy((live, applied))
    result = apply(live, applied, node, manager=manager, api_version=api_version, now=now, **more)
    assert (live, applied) == before
    result["metadata"].setdefault("uid", "u")
    return result


def update(live, new, manager, now="t5", node=CONFIG_MAP, api_version="v1"):
    new = copy.deepcopy(new)
    new["metadata"]["uid"] = "u"
    track_update(new, live, node, manager=manager, api_version=api_version, now=now)
    return new


def owners(obj):
    entries = obj["metadata"].get("managedFields", [])
    return {
        (e["manager"], e["operation"]): {
            path_text(p) for p in members(fields_of(e)) if path_text(p).startswith(".data")
        }
        for e in entries
    }


def test_creates():
    obj = ssa(None, config({"a": "1"}))
    assert obj["data"] == {"a": "1"}
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "a",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "t1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
        }
    ]


def test_what_is_no_longer_applied_goes():
    obj = ssa(ssa(None, config({"a": "1", "b": "1"})), config({"b": "1"}))
    assert obj["data"] == {"b": "1"}


def test_what_somebody_else_owns_stays():
    live = ssa(ssa(None, config({"a": "1", "b": "1"})), config({"a": "1"}), "b")
    obj = ssa(live, config({"b": "1"}))
    assert obj["data"] == {"a": "1", "b": "1"}
    assert owners(obj) == {("a", "Apply"): {".data.b"}, ("b", "Apply"): {".data.a"}}


def test_what_an_updater_set_stays():
    live = ssa(None, config({"a": "1"}))
    live = update(live, config({"a": "1", "x": "1"}), "u")
    obj = ssa(live, config({"a": "2"}))
    assert obj["data"] == {"a": "2", "x": "1"}


def test_an_updater_takes_a_field_and_a_later_apply_conflicts():
    live = update(ssa(None, config({"a": "1"})), config({"a": "2"}), "u")
    assert owners(live) == {("u", "Update"): {".data.a"}}
    with pytest.raises(StatusError) as raised:
        ssa(live, config({"a": "1"}))
    assert raised.value.code == 409
    assert raised.value.reason == "Conflict"
    assert raised.value.message == 'Apply failed with 1 conflict: conflict with "u" using v1: .data.a'
    assert raised.value.status["details"] == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "u" using v1', "field": ".data.a"}]
    }


def test_several_conflicts_are_grouped_by_manager():
    live = ssa(None, config({"a": "1", "b": "1"}), "x")
    live = update(live, config({"a": "1", "b": "1", "c": "1"}), "u")
    with pytest.raises(StatusError) as raised:
        ssa(live, config({"a": "2", "b": "2", "c": "2"}))
    assert raised.value.message == (
        'Apply failed with 3 conflicts: conflicts with "u" using v1:\n- .data.c\nconflicts with "x":\n- .data.a\n- .data.b'
    )


def test_conflicts_are_told_from_above():
    """As upstream walks a set: what is at a place comes before what is further down at another."""
    live = config({"a": "1"}, labels={"l": "1"})
    live = ssa(None, {**live, "immutable": False}, "x")
    with pytest.raises(StatusError) as raised:
        ssa(live, {**config({"a": "2"}, labels={"l": "2"}), "immutable": True})
    fields = [cause["field"] for cause in raised.value.status["details"]["causes"]]
    assert fields == [".immutable", ".data.a", ".metadata.labels.l"]


def test_a_conflict_with_a_subresource_names_it():
    live = ssa(None, config({"a": "1"}))
    new = config({"a": "2"})
    track_update(new, live, CONFIG_MAP, manager="u", api_version="v1", subresource="status", now="t2")
    with pytest.raises(StatusError, match=r'conflict with "u" with subresource "status" using v1: .data.a'):
        ssa(new, config({"a": "3"}))


def test_force_takes_the_field():
    live = update(ssa(None, config({"a": "1"})), config({"a": "2", "b": "1"}), "u")
    obj = ssa(live, config({"a": "1"}), force=True)
    assert obj["data"] == {"a": "1", "b": "1"}
    assert owners(obj) == {("a", "Apply"): {".data.a"}, ("u", "Update"): {".data.b"}}


def test_equal_values_are_shared():
    live = ssa(ssa(None, config({"a": "1"})), config({"a": "1"}), "b")
    assert owners(live) == {("a", "Apply"): {".data.a"}, ("b", "Apply"): {".data.a"}}
    obj = ssa(live, config({}), "b")
    assert obj["data"] == {"a": "1"}
    assert owners(ssa(obj, config({}))) == {("b", "Apply"): {".data"}, ("a", "Apply"): {".data"}}


def test_an_apply_that_changes_nothing_keeps_its_time():
    live = ssa(None, config({"a": "1"}))
    assert ssa(live, config({"a": "1"}), now="t9") == live
    other = ssa(live, config({"a": "1"}), "b", now="t9")
    assert [e.get("time") for e in other["metadata"]["managedFields"]] == [None, "t1"]


def test_the_first_apply_to_an_untracked_object():
    live = config({"a": "1", "b": "1"})
    live["metadata"]["uid"] = "u"
    with pytest.raises(StatusError, match=r'conflict with "before-first-apply" using v1: .data.a'):
        ssa(live, config({"a": "2"}))
    obj = ssa(live, config({"a": "1"}))
    assert owners(obj) == {
        ("a", "Apply"): {".data.a"},
        ("before-first-apply", "Update"): {".data", ".data.a", ".data.b"},
    }


def test_kubectl_takes_over_from_its_client_side_apply():
    last = orjson.dumps(config({"a": "1", "b": "1"})).decode()
    created = config({"a": "1", "b": "1"}, annotations={LAST_APPLIED: last})
    live = update(None, created, "kubectl-client-side-apply")
    obj = ssa(live, config({"a": "2", "b": "<&"}), "kubectl")
    assert obj["data"] == {"a": "2", "b": "<&"}
    renewed = obj["metadata"]["annotations"][LAST_APPLIED]
    assert renewed.endswith('"b":"\\u003c\\u0026"},"kind":"ConfigMap","metadata":{"name":"c","namespace":"d"}}\n')
    changed = update(live, {**created, "data": {"a": "9", "b": "1"}}, "editor")
    with pytest.raises(StatusError, match=r'1 conflict: conflict with "editor" using v1: \.data\.a'):
        ssa(changed, config({"a": "2", "b": "2"}), "kubectl")
    with pytest.raises(StatusError, match="2 conflicts"):
        ssa(changed, config({"a": "2", "b": "2"}), "somebody")


def deployment(*containers, replicas=None):
    spec = {"template": {"spec": {"containers": list(containers)}}}
    spec |= {} if replicas is None else {"replicas": replicas}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}, "spec": spec}


def apply_deployment(live, applied, manager="a", **more):
    return ssa(live, applied, manager, node=DEPLOYMENT, api_version="apps/v1", **more)


def test_containers_merge_by_name():
    live = apply_deployment(None, deployment({"name": "web", "image": "a"}))
    live = apply_deployment(live, deployment({"name": "sidecar", "image": "s"}), "b")
    obj = apply_deployment(live, deployment({"name": "web", "image": "b"}))
    assert obj["spec"]["template"]["spec"]["containers"] == [
        {"name": "web", "image": "b"},
        {"name": "sidecar", "image": "s"},
    ]
    obj = apply_deployment(obj, deployment({"name": "web", "image": "b"}), "b", force=True)
    assert [c["name"] for c in obj["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_handing_replicas_over_to_an_autoscaler():
    """The docs' example: stop applying the field once the other manager has set it."""
    live = apply_deployment(None, deployment({"name": "web"}, replicas=1))
    scaled = update(
        live, {**live, "spec": {**live["spec"], "replicas": 5}}, "hpa", node=DEPLOYMENT, api_version="apps/v1"
    )
    obj = apply_deployment(scaled, deployment({"name": "web"}))
    assert obj["spec"]["replicas"] == 5
    with pytest.raises(StatusError, match=r'conflict with "hpa" using apps/v1: \.spec\.replicas'):
        apply_deployment(obj, deployment({"name": "web"}, replicas=1))


def test_ports_with_one_number_and_two_protocols():
    def service(*protocols):
        ports = [{"port": 53, "protocol": p, "name": p.lower()} for p in protocols]
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}, "spec": {"ports": ports}}

    live = ssa(None, service("UDP", "TCP"), node=SERVICE)
    obj = ssa(live, service("TCP"), node=SERVICE)
    assert [p["protocol"] for p in obj["spec"]["ports"]] == ["TCP"]


@pytest.mark.parametrize(
    "applied, more, code, message",
    [
        pytest.param({"apiVersion": "v1", "kind": "Pod", "metadata": {}}, {"kind": "ConfigMap"}, 400, "invalid object type: /v1, Kind=Pod", id="another kind"),
        pytest.param({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {}}, {}, 400, "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1", id="another version"),
        pytest.param({**config(), "metadata": {"managedFields": []}}, {}, 400, "metadata.managedFields must be nil", id="managed fields"),
        pytest.param({**config(), "nope": 1}, {}, 400, "failed to create typed patch object (d/c; /v1, Kind=ConfigMap): .nope: field not declared in schema", id="an unknown field"),
        pytest.param({**config(), "immutable": "x", "nope": 1}, {}, 400, "failed to create typed patch object (d/c; /v1, Kind=ConfigMap): errors:\n  .immutable: expected boolean, got &{x}\n  .nope: field not declared in schema", id="two mistakes"),
    ],
)  # fmt: skip
def test_mistakes(applied, more, code, message):
    with pytest.raises(StatusError) as raised:
        ssa(None, applied, **more)
    assert (raised.value.code, raised.value.message) == (code, message)


def test_fields_that_an_endpoint_resets_are_not_owned():
    obj = ssa(None, config({"a": "1"}, labels={"x": "1"}), reset={"f:data": {}})
    assert fields_of(obj["metadata"]["managedFields"][0]) == {"f:metadata": {"f:labels": {"f:x": {}}}}


DATA = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
MANAGERS = st.sampled_from(["m", "n"])


@given(st.lists(st.tuples(MANAGERS, DATA), max_size=6))
def test_forced_applies_converge(applies):
    """Afterwards the last configuration holds, and a field exists if and only if somebody applies it."""
    live, wanted = None, {}
    for manager, data in applies:
        live = ssa(live, config(data), manager, force=True)
        for other in wanted.values():
            for key in [k for k in other if data.get(k, other[k]) != other[k]]:
                del other[key]
        wanted[manager] = dict(data)
        expected = {k: v for found in wanted.values() for k, v in found.items()}
        assert live.get("data", {}) == expected
        owned = {m: {f".data.{k}" for k in found} for m, found in wanted.items()}
        found = {m: {p for p in fields if p != ".data"} for (m, _), fields in owners(live).items()}
        assert {m: f for m, f in found.items() if f} == {m: f for m, f in owned.items() if f}


@given(DATA, DATA)
def test_applying_twice_is_applying_once(first, second):
    live = ssa(ssa(None, config(first), "n"), config(second), force=True)
    assert ssa(live, config(second), force=True, now="t9") == live
