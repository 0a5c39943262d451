"""CustomResourceDefinitions: each mistake in upstream's words."""

import copy
from typing import Any

import pytest

from skiff.api.resources.apiextensions import RESOURCES, default_crd

CRD = RESOURCES[0]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
SOUND: dict[str, Any] = {
    "metadata": {"name": "foos.example.com", "generation": 1},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "foos", "kind": "Foo"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
    },
}


def build(*changes: tuple[str, Any]) -> dict[str, Any]:
    """A sound definition with changes at paths (`spec.versions.0.name`)."""
    made = copy.deepcopy(SOUND)
    for path, value in changes:
        *parents, last = path.split("/")
        here: Any = made
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
        here[last] = value
    default_crd(made)
    CRD.prepare(made, None)
    return made


def mistakes(*changes: tuple[str, Any]) -> list[str]:
    made = build(*changes)
    return [str(e) for e in (*CRD.validate_create(made), *CRD.validate(made))]


V = "spec/versions/0"
S = f"{V}/schema/openAPIV3Schema"
P = "spec.validation.openAPIV3Schema"
EMBEDDED = {"type": "object", "x-kubernetes-embedded-resource": True}


def test_a_sound_definition() -> None:
    assert mistakes() == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec/group", "example", 'spec.group: Invalid value: "example": should be a domain with at least one dot'),
        ("spec/scope", "World", 'spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced"'),
        (
            "spec/names/listKind",
            "Foo",
            'spec.names.listKind: Invalid value: "Foo": kind and listKind may not be the same',
        ),
        (f"{S}/type", "array", f'{P}.type: Invalid value: "array": must be object at the root'),
        (f"{S}/properties/spec/type", "", f"{P}.properties[spec].type: Required value: must not be empty for specified object fields"),
        (
            f"{S}/properties/l", {"type": "array"},
            f"{P}.properties[l].items: Required value: must be specified",
        ),
        (
            f"{S}/properties/l", {"type": "array", "items": {}},
            f"{P}.properties[l].items.type: Required value: must not be empty for specified array items",
        ),
        (
            f"{S}/properties/metadata", {"type": "object", "properties": {"labels": {"type": "object"}}},
            f"{P}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, "
            "but metadata is implicitly specified",
        ),
        (
            f"{S}/anyOf", [{"type": "object"}],
            f"{P}.anyOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            f"{S}/anyOf", [{"properties": {"z": {"minimum": 1}}}],
            f"{P}.properties[z]: Required value: because it is defined in {P}.anyOf[0].properties[z]",
        ),
        (f"{S}/additionalProperties", {"type": "string"}, f"{P}.additionalProperties: Forbidden: must not be used at the root"),
        (f"{S}/nullable", True, f"{P}.nullable: Forbidden: nullable cannot be true at the root"),
        (
            f"{S}/properties/u", {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            f"{P}.properties[u].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity "
            "becomes quadratic",
        ),
        (
            f"{S}/properties/m", {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            f"{P}.properties[m].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            f"{S}/properties/t", {"type": "text"},
            f'{P}.properties[t].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", '
            '"object", "string"',
        ),
        (
            f"{S}/properties/l", {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"},
            f"{P}.properties[l].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            f"{S}/properties/l",
            {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}},
            },
            f"{P}.properties[l].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, "
            "so it must have a default or be a required property",
        ),
        (
            f"{S}/properties/l", {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"},
            f"{P}.properties[l].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with "
            "x-kubernetes-list-type=set",
        ),
        (
            f"{S}/properties/d", {"type": "string", "default": 1},
            f'{P}.properties[d].default: Invalid value: "integer":  in body must be of type string: "integer"',
        ),
        (
            f"{S}/properties/d", {"type": "object", "default": {"x": 1}},
            f'{P}.properties[d].default: Invalid value: {{"x":1}}: must not have unknown fields',
        ),
        (
            f"{S}/properties/kind", {"type": "string", "default": "x"},
            f"{P}.properties[kind].default: Forbidden: must not be set in top-level kind",
        ),
        (
            f"{S}/properties/d", {"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self > 1"}]},
            f"{P}.properties[d].default: Invalid value: 1: failed rule: self > 1",
        ),
        (
            f"{S}/properties/e", {**EMBEDDED, "properties": {"kind": {"type": "string", "default": ""}}},
            f'{P}.properties[e].properties[kind].default: Invalid value: "": must result in valid metadata: kind: '
            'Invalid value: "": must not be empty',
        ),
        (
            f"{S}/properties/e",
            {**EMBEDDED, "properties": {"metadata": {"type": "object", "default": {"labels": {"a": 1}}}}},
            f'{P}.properties[e].properties[metadata].default: Invalid value: {{"labels":{{"a":1}}}}: must result in valid '
            'metadata: metadata: Invalid value: {"labels":{"a":1}}: json: cannot unmarshal number into Go struct field '
            "ObjectMeta.labels of type string",
        ),
        (
            f"{S}/properties/e", {**EMBEDDED, "properties": {"a": {"type": "string"}}, "default": {"kind": "Pod"}},
            f"{P}.properties[e].default.apiVersion: Required value",
        ),
        (
            f"{S}/properties/r", {"$ref": "x", "type": "object"},
            f"{P}.properties[r].$ref: Forbidden: $ref is not supported",
        ),
        (
            f"{S}/properties/i", {"type": "array", "items": {"type": 5}},
            f'{P}: Invalid value: "": json: cannot unmarshal number into Go struct field JSONSchemaProps.type of type string',
        ),
        (
            f"{V}/additionalPrinterColumns", [{"name": "A", "type": "text", "jsonPath": ".a"}],
            'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
        ),
        (
            f"{V}/additionalPrinterColumns", [{"name": "A", "type": "string", "jsonPath": "a"}],
            'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .',
        ),
        (
            f"{V}/selectableFields", [{"jsonPath": ".spec.none"}],
            'spec.selectableFields[0].jsonPath: Invalid value: ".spec.none": is an invalid path: does not refer to a valid field',
        ),
        (
            f"{V}/selectableFields", [{"jsonPath": ".spec"}],
            'spec.selectableFields[0].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or '
            "integer. Enum string fields and strings with formats are allowed.",
        ),
        (
            f"{V}/subresources", {"scale": {"specReplicasPath": ".replicas", "statusReplicasPath": ".status.replicas"}},
            'spec.subresources.scale.specReplicasPath: Invalid value: ".replicas": should be a json path under .spec',
        ),
        (
            f"{V}/deprecationWarning", "x",
            'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions',
        ),
        (
            "spec/conversion", {"strategy": "Webhook"},
            "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
        ),
        (
            "spec/conversion",
            {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "http://x"}, "conversionReviewVersions": ["v1"]}},
            'spec.conversion.webhookClientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; '
            "desired format: https://host[/path]",
        ),
        (
            "spec/preserveUnknownFields", True,
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields "
            "to true in spec.versions[*].schema instead",
        ),
    ],
)  # fmt: skip
def test_one_mistake(path: str, value: Any, message: str) -> None:
    found = mistakes((path, value))
    assert message in found, found


def test_versions() -> None:
    twice = [SOUND["spec"]["versions"][0]] * 2
    found = mistakes(("spec/versions", twice))
    assert any(m.endswith("must contain unique version names") for m in found)
    assert any(m.endswith("must have exactly one version marked as storage version") for m in found)


def test_what_versions_do_not_share_is_named_by_version() -> None:
    other = {
        **SOUND["spec"]["versions"][0],
        "name": "v2",
        "storage": False,
        "schema": {"openAPIV3Schema": {"type": "array"}},
    }
    found = mistakes(("spec/versions", [SOUND["spec"]["versions"][0], other]))
    path = "spec.versions[1].schema.openAPIV3Schema"
    assert f'{path}.type: Invalid value: "array": must be object at the root' in found


def test_groups_of_the_community_need_an_approval() -> None:
    changes = (("spec/group", "a.k8s.io"), ("metadata/name", "foos.a.k8s.io"))
    annotation = "metadata.annotations[api-approved.kubernetes.io]"
    assert mistakes(*changes)[0].startswith(
        f"{annotation}: Required value: protected groups must have approval annotation"
    )
    approved = {"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/1"}
    assert mistakes(*changes, ("metadata/annotations", approved)) == []


def test_updates() -> None:
    old = build()
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new = copy.deepcopy(old)
    new["spec"]["scope"], new["spec"]["names"]["plural"] = "Cluster", "bars"
    assert [str(e) for e in CRD.validate_update(new, old)] == [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.plural: Invalid value: "bars": field is immutable',
    ]


def test_a_stored_version_stays() -> None:
    old = build()
    new = build((f"{V}/name", "v2"))
    new["status"] = old["status"]
    CRD.prepare(new, old)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert [e.path for e in CRD.validate(new)] == ["status.storedVersions[0]"]


def test_unknown_fields_deep_in_a_schema_go() -> None:
    made = build((f"{S}/properties/l", {"type": "array", "items": {"type": "string", "odd": 1}}))
    assert made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["l"]["items"] == {"type": "string"}


def test_rules_are_judged_where_the_schema_is_sound() -> None:
    wrong = {"type": "string", "x-kubernetes-validations": [{"rule": "self == 1"}]}
    odd = {"type": "object", "x-kubernetes-map-type": "odd", "properties": {"w": wrong}}
    ruled = {**odd, "x-kubernetes-validations": [{"rule": "nonsense"}]}
    paths = [m.partition(": ")[0] for m in mistakes((f"{S}/properties/o", ruled))]
    assert sorted(paths) == [
        f"{P}.properties[o].properties[w].x-kubernetes-validations[0].rule",
        f"{P}.properties[o].x-kubernetes-map-type",
    ]


def test_a_schema_that_does_not_preserve_is_only_told_so() -> None:
    assert mistakes((S, {"x-kubernetes-preserve-unknown-fields": False})) == [
        f"{P}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"
    ]


def test_the_first_version_is_named_twice() -> None:
    paths = [m.partition(": ")[0] for m in mistakes((f"{V}/name", "V 1"))]
    assert paths == ["spec.versions[0].name", "spec.version"]


def test_formats_that_nobody_checks_are_told_once() -> None:
    assert CRD.warn is not None
    kinds = {
        "a": ("string", "date-time"),
        "b": ("integer", "uint32"),
        "c": ("number", "double"),
        "d": ("object", "byte"),
    }
    fields = {name: {"type": t, "format": f} for name, (t, f) in kinds.items()}
    new, old = build((f"{S}/properties/f", {"type": "object", "properties": fields})), build()
    assert CRD.warn(new, None) == ['unrecognized format "uint32"', 'unrecognized format "byte"']
    assert CRD.warn(new, old) == CRD.warn(new, None)
    assert CRD.warn(new, new) == []
