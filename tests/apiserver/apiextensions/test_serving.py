"""A definition becomes a resource: at once, with discovery, and until it is gone."""

import orjson
import pytest

from tests.apiserver.apiextensions.builders import (
    CRDS,
    FOOS,
    SUBRESOURCES,
    definition,
    established,
    foo,
    schema,
    until,
    version,
    with_condition,
)

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def first(response):
    """The first event of a watch that goes on."""
    return orjson.loads((await anext(response.stream)).splitlines()[0])


def test_an_established_definition_says_so_in_upstreams_words(api):
    async def main(call):
        crd = await established(call)
        conditions = {c["type"]: (c["status"], c["reason"], c["message"]) for c in crd["status"]["conditions"]}
        assert conditions == {
            "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
            "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted"),
        }
        assert crd["status"]["acceptedNames"] == {
            "plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"
        }  # fmt: skip
        assert crd["status"]["storedVersions"] == ["v1"]
        assert crd["metadata"]["generation"] == 1

    api(main)


def test_a_new_definition_is_usable_and_discoverable(api):
    async def main(call):
        before = await call("GET", "/apis", accept=V2)
        await established(call, definition(names={"shortNames": ["fo"], "categories": ["all"]}))
        assert (await call("POST", FOOS, foo())).status == 201
        assert (await call("GET", FOOS)).body["kind"] == "FooList"
        after = await call("GET", "/apis", accept=V2)
        assert after.headers["etag"] != before.headers["etag"]
        listed = (await call("GET", "/apis/example.com/v1")).body["resources"][0]
        assert (listed["name"], listed["shortNames"], listed["categories"]) == ("foos", ["fo"], ["all"])

    api(main)


def test_objects_are_pruned_defaulted_and_checked(api):
    async def main(call):
        await established(call)
        made = await call("POST", FOOS, foo(spec={"extra": 1, "any": {"free": True}, "note": None, "color": None}))
        assert made.body["spec"] == {"any": {"free": True}, "note": None, "replicas": 1}
        assert made.headers["warning"] == '299 - "unknown field \\"spec.extra\\""'
        strict = await call("POST", FOOS + "?fieldValidation=Strict", foo("b", {"extra": 1}))
        assert strict.status == 400
        assert strict.body["message"].endswith('strict decoding error: unknown field "spec.extra"')
        wrong = await call("POST", FOOS, foo("b", {"replicas": "x", "color": "blue", "tags": ["a", "a"]}))
        assert wrong.status == 422
        causes = [(c["reason"], c["field"], c["message"]) for c in wrong.body["details"]["causes"]]
        assert causes == [
            (
                "FieldValueTypeInvalid",
                "spec.replicas",
                'Invalid value: "string": spec.replicas in body must be of type integer: "string"',
            ),
            ("FieldValueNotSupported", "spec.color", 'Unsupported value: "blue": supported values: "red", "green"'),
            ("FieldValueDuplicate", "spec.tags[1]", 'Duplicate value: "a"'),
        ]

    api(main)


def test_generation_follows_the_content(api):
    async def main(call):
        await established(call, definition(versions=[version(subresources=SUBRESOURCES)]))
        made = (await call("POST", FOOS, foo(status={"phase": "no"}))).body
        assert made["metadata"]["generation"] == 1
        assert "status" not in made
        patched = await call("PATCH", f"{FOOS}/a", {"spec": {"replicas": 2}, "status": {"phase": "no"}}, type=MERGE)
        assert (patched.body["metadata"]["generation"], patched.body.get("status")) == (2, None)
        body = {"spec": {"replicas": 9}, "status": {"phase": "on"}, "metadata": {"labels": {"a": "b"}}}
        status = await call("PATCH", f"{FOOS}/a/status", body, type=MERGE)
        assert status.body["status"] == {"phase": "on"}
        assert status.body["spec"]["replicas"] == 2
        assert "labels" not in status.body["metadata"]
        assert status.body["metadata"]["generation"] == 2

    api(main)


def test_without_status_subresource_the_status_is_content(api):
    async def main(call):
        await established(call)
        await call("POST", FOOS, foo(status={"phase": "on"}))
        patched = await call("PATCH", f"{FOOS}/a", {"status": {"phase": "off"}}, type=MERGE)
        assert (patched.body["metadata"]["generation"], patched.body["status"]["phase"]) == (2, "off")
        assert (await call("GET", f"{FOOS}/a/status")).status == 404

    api(main)


def test_scale(api):
    async def main(call):
        await established(call, definition(versions=[version(subresources=SUBRESOURCES)]))
        await call("POST", FOOS, foo(spec={"replicas": 3}))
        await call("PATCH", f"{FOOS}/a/status", {"status": {"replicas": 2, "selector": "a=b"}}, type=MERGE)
        scale = (await call("GET", f"{FOOS}/a/scale")).body
        assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
        scale["spec"]["replicas"] = 7
        assert (await call("PUT", f"{FOOS}/a/scale", scale)).body["spec"]["replicas"] == 7
        await call("PATCH", f"{FOOS}/a/scale", {"spec": {"replicas": 5}}, type=MERGE)
        assert (await call("GET", f"{FOOS}/a")).body["spec"]["replicas"] == 5

    api(main)


def test_columns_and_selectable_fields(api):
    async def main(call):
        columns = [{"name": "Color", "type": "string", "jsonPath": ".spec.color"}]
        made = version(additionalPrinterColumns=columns, selectableFields=[{"jsonPath": ".spec.color"}])
        await established(call, definition(versions=[made]))
        for name, color in (("a", "red"), ("b", "green")):
            await call("POST", FOOS, foo(name, {"color": color}))
        table = (await call("GET", FOOS, accept=TABLE)).body
        assert [r["cells"] for r in table["rows"]] == [["a", "red"], ["b", "green"]]
        found = (await call("GET", FOOS + "?fieldSelector=spec.color%3Dgreen")).body
        assert [o["metadata"]["name"] for o in found["items"]] == ["b"]
        unknown = await call("GET", FOOS + "?fieldSelector=spec.other%3Dx")
        assert (unknown.status, unknown.body["message"]) == (400, "field label not supported: spec.other")

    api(main)


def test_apply_merges_by_the_schema(api):
    async def main(call):
        await established(call)
        url = f"{FOOS}/a?fieldManager="
        await call("PATCH", url + "one", foo(spec={"ports": [{"name": "x", "number": 1}]}), type=APPLY)
        both = await call("PATCH", url + "two", foo(spec={"ports": [{"name": "y", "number": 2}]}), type=APPLY)
        assert both.body["spec"]["ports"] == [{"name": "x", "number": 1}, {"name": "y", "number": 2}]
        taken = await call("PATCH", url + "two", foo(spec={"ports": [{"name": "x", "number": 3}]}), type=APPLY)
        assert taken.status == 409
        assert '.spec.ports[name="x"].number' in taken.body["message"]

    api(main)


STRING = {"type": "string"}
NULLS = schema({
    "type": "object",
    "properties": {
        "plain": STRING,
        "nullable": {**STRING, "nullable": True},
        "default": {**STRING, "default": "d"},
        "both": {**STRING, "nullable": True, "default": "d"},
        "list": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {**STRING, "default": "kk"}}},
        },
        "object": {
            "type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True
        },
    },
})  # fmt: skip
OWN_KEY = 'k:{"k":null}'
TYPED = {"apiVersion": "v1", "kind": "X"}


@pytest.mark.parametrize(
    "applied, stored, owned",
    [
        pytest.param({"plain": None}, "spec.plain in body must be of type string", None, id="where none is allowed"),
        pytest.param({"nullable": None}, {"nullable": None}, {"f:nullable": {}}, id="where it is allowed"),
        pytest.param({"default": None}, {"default": "d"}, {"f:default": {}}, id="where there is a default"),
        pytest.param({"both": None}, {"both": None}, {"f:both": {}}, id="where it is allowed and there is a default"),
        pytest.param({"list": [{"k": None}]}, {"list": [{"k": "kk"}]}, {"f:list": {OWN_KEY: {".": {}, "f:k": {}}}}, id="as a key"),
        pytest.param({"object": {**TYPED, "kind": None}}, "spec.object.kind: Invalid value: null: must be a string", None, id="as a kind"),
        pytest.param({"object": {**TYPED, "metadata": None}}, {"object": {**TYPED, "metadata": {}}}, {"f:object": {"f:apiVersion": {}, "f:kind": {}, "f:metadata": {}}}, id="as metadata"),
        pytest.param({"object": {**TYPED, "metadata": {"labels": None}}}, {"object": {**TYPED, "metadata": {}}}, {"f:object": {"f:apiVersion": {}, "f:kind": {}, "f:metadata": {"f:labels": {}}}}, id="in metadata"),
    ],
)  # fmt: skip
def test_a_null_in_what_is_applied(api, applied, stored, owned):
    async def main(call):
        await established(call, definition(versions=[version(schema={"openAPIV3Schema": NULLS})]))
        answer = await call("PATCH", f"{FOOS}/a?fieldManager=m", foo(spec=applied), type=APPLY)
        if owned is None:
            assert (answer.status, stored in answer.body["message"]) == (422, True), answer.body
            return
        assert answer.body["spec"] == {"default": "d", "both": "d", **stored}
        assert answer.body["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": owned}
        given_up = await call("PATCH", f"{FOOS}/a?fieldManager=m", foo(), type=APPLY)
        assert given_up.body["spec"] == {"default": "d", "both": "d"}

    api(main)


def test_strategic_merge_patch_is_refused(api):
    async def main(call):
        await established(call)
        await call("POST", FOOS, foo())
        answer = await call("PATCH", f"{FOOS}/a", {}, type="application/strategic-merge-patch+json")
        assert answer.status == 415
        assert "strategic" not in answer.body["message"]

    api(main)


def test_an_update_needs_a_version_and_forgives_old_mistakes(api):
    async def main(call):
        await established(call, definition(versions=[version(schema={"openAPIV3Schema": schema({
            "type": "object", "properties": {"color": {"type": "string"}, "n": {"type": "integer"}}
        })})]))  # fmt: skip
        made = (await call("POST", FOOS, foo(spec={"color": "blue"}))).body
        without = {**made, "metadata": {"name": "a"}}
        refused = await call("PUT", f"{FOOS}/a", without)
        assert refused.status == 422
        assert "must be specified for an update" in refused.body["message"]
        stricter = schema({"type": "object", "properties": {
            "color": {"type": "string", "enum": ["red"]}, "n": {"type": "integer"}
        }})  # fmt: skip
        patch = {"spec": {"versions": [version(schema={"openAPIV3Schema": stricter})]}}
        assert (await call("PATCH", f"{CRDS}/foos.example.com", patch, type=MERGE)).status == 200
        other = await call("PATCH", f"{FOOS}/a", {"spec": {"n": 1}}, type=MERGE)
        assert other.status == 200, other.body
        changed = await call("PATCH", f"{FOOS}/a", {"spec": {"color": "black"}}, type=MERGE)
        assert changed.status == 422

    api(main)


def test_a_changed_schema_shows_in_objects_that_are_stored(api):
    async def main(call):
        await established(call)
        await call("POST", FOOS, foo(spec={"replicas": 2, "color": "red"}))
        spec = {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "new": {"type": "string", "default": "x"}},
        }
        patch = {"spec": {"versions": [version(schema={"openAPIV3Schema": schema(spec)})]}}
        changed = await call("PATCH", f"{CRDS}/foos.example.com", patch, type=MERGE)
        assert changed.body["metadata"]["generation"] == 2
        await until(lambda: is_new(call))

    async def is_new(call):
        return (await call("GET", f"{FOOS}/a")).body["spec"] == {"replicas": 2, "new": "x"}

    api(main)


def test_versions_share_objects(api):
    async def main(call):
        beta = version("v1beta1", storage=False, deprecated=True, schema={"openAPIV3Schema": schema({
            "type": "object", "properties": {"color": {"type": "string"}}
        })})  # fmt: skip
        await established(call, definition(versions=[version(), beta]))
        await call("POST", FOOS, foo(spec={"color": "red", "replicas": 4}))
        url = FOOS.replace("/v1/", "/v1beta1/")
        other = await call("GET", f"{url}/a")
        assert (other.body["apiVersion"], other.body["spec"]) == ("example.com/v1beta1", {"color": "red"})
        assert other.headers["warning"] == '299 - "example.com/v1beta1 Foo is deprecated"'
        await call("POST", url, foo("b", {"color": "green"}, api_version="example.com/v1beta1"))
        listed = (await call("GET", FOOS)).body["items"]
        assert [(o["apiVersion"], o["spec"].get("color")) for o in listed] == [
            ("example.com/v1", "red"), ("example.com/v1", "green")
        ]  # fmt: skip
        events = await call.watch(f"{url}?watch=true", 2)
        assert {o["apiVersion"] for _, o in events} == {"example.com/v1beta1"}

    api(main)


def test_names_are_given_once(api):
    async def main(call):
        await established(call)
        await call("POST", CRDS, definition("foots", "Foo", names={"singular": "foot"}))
        found = await until(lambda: with_condition(call, "foots.example.com", "NamesAccepted", "False"))
        conditions = {c["type"]: (c["status"], c["reason"], c["message"]) for c in found["status"]["conditions"]}
        assert conditions["NamesAccepted"] == ("False", "ListKindConflict", '"FooList" is already in use')
        assert conditions["Established"] == ("False", "NotAccepted", "not all names are accepted")
        assert (await call("GET", "/apis/example.com/v1/foots")).status == 404
        await call("DELETE", f"{CRDS}/foos.example.com")
        await until(lambda: with_condition(call, "foots.example.com", "Established", "True"))
        assert (await call("GET", "/apis/example.com/v1/foots")).status == 200

    api(main)


def test_a_deleted_definition_takes_its_objects_along_and_ends_watches(api):
    async def main(call):
        await established(call)
        await call("POST", FOOS, foo())
        response = await call.send("GET", f"{FOOS}?watch=true")
        assert (await first(response))["type"] == "ADDED"
        answer = await call("DELETE", f"{CRDS}/foos.example.com")
        assert answer.body["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        events = await call.read(response, 5)
        assert [type for type, _ in events] == ["DELETED"]
        await until(lambda: is_gone(call))
        assert (await call("GET", FOOS)).status == 404
        assert (await call("GET", "/apis/example.com")).status == 404

    async def is_gone(call):
        return (await call("GET", f"{CRDS}/foos.example.com")).status == 404

    api(main)


def test_objects_with_finalizers_hold_their_definition(api):
    async def main(call):
        await established(call)
        held = foo()
        held["metadata"]["finalizers"] = ["example.com/hold"]
        await call("POST", FOOS, held)
        await call("DELETE", f"{CRDS}/foos.example.com")
        await until(lambda: is_marked(call))
        refused = await call("POST", FOOS, foo("b"))
        assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
        found = await with_condition(call, "foos.example.com", "Terminating", "True")
        assert found["status"]["conditions"][-1]["reason"] == "InstanceDeletionInProgress"
        await call("PATCH", f"{FOOS}/a", {"metadata": {"finalizers": None}}, type=MERGE)
        await until(lambda: is_gone(call))

    async def is_marked(call):
        return (await call("GET", f"{FOOS}/a")).body["metadata"].get("deletionTimestamp")

    async def is_gone(call):
        return (await call("GET", f"{CRDS}/foos.example.com")).status == 404

    api(main)


@pytest.mark.parametrize("scope", ["Namespaced", "Cluster"])
def test_scope(api, scope):
    async def main(call):
        await established(call, definition(scope=scope))
        own, other = (
            ("namespaces/default/foos", "foos") if scope == "Namespaced" else ("foos", "namespaces/default/foos")
        )
        assert (await call("POST", f"/apis/example.com/v1/{own}", foo())).status == 201
        assert (await call("POST", f"/apis/example.com/v1/{other}", foo("b"))).status in (404, 405)

    api(main)


def test_openapi_tells_of_custom_resources(api):
    async def main(call):
        before = (await call("GET", "/openapi/v3")).body["paths"]
        await established(call)
        after = (await call("GET", "/openapi/v3")).body["paths"]
        assert set(after) - set(before) == {"apis/example.com/v1"}
        document = (await call("GET", "/openapi/v3/apis/example.com/v1")).body
        model = document["components"]["schemas"]["com.example.v1.Foo"]
        assert model["properties"]["spec"]["properties"]["color"] == {"type": "string", "enum": ["red", "green"]}
        assert model["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Foo"}]
        assert "/apis/example.com/v1/namespaces/{namespace}/foos/{name}" in document["paths"]
        definitions = (await call("GET", "/openapi/v2")).body["definitions"]
        spec = definitions["com.example.v1.Foo"]["properties"]["spec"]["properties"]
        assert "type" not in spec["note"]
        assert "type" not in spec["any"]
        assert definitions["com.example.v1.FooList"]["properties"]["items"]["items"] == {
            "$ref": "#/definitions/com.example.v1.Foo"
        }
        hashed = after["apis/example.com/v1"]["serverRelativeURL"]
        patch = {"spec": {"versions": [version(schema={"openAPIV3Schema": schema({"type": "object"})})]}}
        await call("PATCH", f"{CRDS}/foos.example.com", patch, type=MERGE)
        await until(lambda: is_other(call, hashed))

    async def is_other(call, hashed):
        paths = (await call("GET", "/openapi/v3")).body["paths"]
        return paths["apis/example.com/v1"]["serverRelativeURL"] != hashed

    api(main)


UNNAMED = "the object provided is unrecognized (must be of type Foo): Object 'Kind' is missing in '"
ANOTHER = "does not match the expected API version (example.com/v1)"


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        pytest.param({"kind": None}, 400, UNNAMED, id="no kind"),
        pytest.param({"apiVersion": None}, 400, f"the API version in the data () {ANOTHER}", id="no version"),
        pytest.param({"apiVersion": "v1"}, 400, f"the API version in the data (v1) {ANOTHER}", id="another version"),
        pytest.param(
            {"kind": "Bar"},
            422,
            'Bar.example.com "a" is invalid: kind: Invalid value: "Bar": must be Foo',
            id="another kind",
        ),
    ],
)
def test_a_body_says_what_it_is(api, said, status, message):
    async def main(call):
        await established(call)
        refused = await call("POST", FOOS, {**foo(), **said})
        assert (refused.status, refused.body["message"][: len(message)]) == (status, message)

    api(main)


def test_a_patch_cannot_make_it_something_else(api):
    async def main(call):
        await established(call)
        await call("POST", FOOS, foo())
        refused = await call("PATCH", f"{FOOS}/a", {"kind": "Bar", "apiVersion": "v9"}, type=MERGE)
        assert refused.status == 422
        assert refused.body["message"] == (
            'Bar "a" is invalid: [kind: Invalid value: "Bar": must be Foo, '
            'apiVersion: Invalid value: "v9": must be example.com/v1]'
        )

    api(main)


def test_finalizers_without_a_domain_are_warned_of(api):
    async def main(call):
        await established(call)
        own = {"name": "a", "finalizers": ["orphan", "mine", "my.own", "example.com/x"]}
        made = await call("POST", FOOS, {**foo(), "metadata": own})
        assert made.headers["warning"].count("prefer a domain-qualified finalizer name") == 2
        assert (
            'metadata.finalizers: \\"my.own\\": prefer a domain-qualified finalizer name including'
            in made.headers["warning"]
        )
        again = await call("PATCH", f"{FOOS}/a", {"metadata": {"labels": {"a": "b"}}}, type=MERGE)
        assert "warning" not in again.headers

    api(main)


def test_verbs_are_listed_in_upstreams_order(api):
    async def main(call):
        await established(call)
        listed = (await call("GET", "/apis/example.com/v1")).body["resources"][0]
        assert listed["verbs"] == ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]

    api(main)
