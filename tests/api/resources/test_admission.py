"""Mistakes in admissionregistration.k8s.io: web hooks, policies and their bindings. One mistake at a time, with upstream's path and words."""

from typing import Any

import pytest

from .objects import build, mistakes

VALIDATINGWEBHOOKCONFIGURATION = "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration"
MUTATINGWEBHOOKCONFIGURATION = "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration"
VALIDATINGADMISSIONPOLICY = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
VALIDATINGADMISSIONPOLICYBINDING = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding"
MUTATINGADMISSIONPOLICY = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

SOUND: dict[str, Any] = {
    VALIDATINGWEBHOOKCONFIGURATION: {
        "webhooks": [
            {
                "name": "a.b.c",
                "clientConfig": {"url": "https://a.b"},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            }
        ]
    },
    MUTATINGWEBHOOKCONFIGURATION: {
        "webhooks": [
            {
                "name": "a.b.c",
                "clientConfig": {"url": "https://a.b"},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            }
        ]
    },
    VALIDATINGADMISSIONPOLICY: {
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
                ]
            },
            "validations": [{"expression": "object.metadata.name != 'x'"}],
        }
    },
    VALIDATINGADMISSIONPOLICYBINDING: {"spec": {"policyName": "p", "validationActions": ["Deny"]}},
    MUTATINGADMISSIONPOLICY: {
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
                ]
            },
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
        }
    },
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind, SOUND[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.name",
            "a.b",
            [
                'webhooks[0].name: Invalid value: "a.b": should be a domain with at least three segments separated by dots'
            ],
            id="hook name of two parts",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION, "webhooks.0.name", "", ["webhooks[0].name: Required value"], id="no name"
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks",
            [
                {
                    "name": "a.b.c",
                    "clientConfig": {"url": "https://a.b"},
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "rules": [
                        {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
                    ],
                }
            ]
            * 2,
            ['webhooks[1].name: Duplicate value: "a.b.c"'],
            id="two hooks of one name",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.admissionReviewVersions",
            [],
            ["webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"],
            id="no versions",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.admissionReviewVersions",
            ["v7"],
            ['webhooks[0].admissionReviewVersions: Invalid value: ["v7"]: must include at least one of v1, v1beta1'],
            id="only unknown versions",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.admissionReviewVersions",
            ["v1", "v1"],
            ['webhooks[0].admissionReviewVersions[1]: Invalid value: "v1": duplicate version'],
            id="version twice",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.sideEffects",
            None,
            ["webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"],
            id="no side effects told",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.sideEffects",
            "Some",
            ['webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
            id="some side effects",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.failurePolicy",
            "Shrug",
            ['webhooks[0].failurePolicy: Unsupported value: "Shrug": supported values: "Fail", "Ignore"'],
            id="failure policy",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.matchPolicy",
            "Loose",
            ['webhooks[0].matchPolicy: Unsupported value: "Loose": supported values: "Equivalent", "Exact"'],
            id="match policy",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.timeoutSeconds",
            0,
            ["webhooks[0].timeoutSeconds: Invalid value: 0: the timeout value must be between 1 and 30 seconds"],
            id="no time",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.timeoutSeconds",
            31,
            ["webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"],
            id="too much time",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig",
            {},
            ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
            id="neither address nor service",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig.service",
            {"name": "s", "namespace": "n", "port": 443},
            ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
            id="address and service",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig.url",
            "http://a.b",
            [
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]"
            ],
            id="plain http",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig.url",
            "https://u@a.b",
            ['webhooks[0].clientConfig.url: Invalid value: "u": user information is not permitted in the URL'],
            id="address with a user",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig.url",
            "https://a.b/#x",
            ['webhooks[0].clientConfig.url: Invalid value: "x": fragments are not permitted in the URL'],
            id="address with a fragment",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig.url",
            "https://a.b/?x=1",
            ['webhooks[0].clientConfig.url: Invalid value: "x=1": query parameters are not permitted in the URL'],
            id="address with a query",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig",
            {"service": {"namespace": "n", "name": "", "port": 443}},
            ["webhooks[0].clientConfig.service.namespace: Required value"],
            id="service without name",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig",
            {"service": {"namespace": "n", "name": "s", "path": "p"}},
            [
                "webhooks[0].clientConfig.service.path: Invalid value: \"p\": must start with a '/'",
                'webhooks[0].clientConfig.service.path: Invalid value: "p": segment[0] may not be empty',
            ],
            id="service path without slash",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.clientConfig",
            {"service": {"namespace": "n", "name": "s", "path": "/a//b"}},
            ['webhooks[0].clientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty'],
            id="service path with an empty step",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.operations",
            [],
            ["webhooks[0].rules[0].operations: Required value"],
            id="rule without operation",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.operations",
            ["READ"],
            [
                'webhooks[0].rules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"'
            ],
            id="unknown operation",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.operations",
            ["*", "CREATE"],
            [
                'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations'
            ],
            id="every operation and one",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.apiGroups",
            ["*", "apps"],
            [
                'webhooks[0].rules[0].apiGroups: Invalid value: ["*","apps"]: if \'*\' is present, must not specify other API groups'
            ],
            id="every group and one",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.apiVersions",
            [],
            ["webhooks[0].rules[0].apiVersions: Required value"],
            id="rule without versions",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.resources",
            [],
            ["webhooks[0].rules[0].resources: Required value"],
            id="rule without resources",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.resources",
            ["*", "pods"],
            [
                'webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources without subresources'
            ],
            id="every resource and one",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.resources",
            ["pods/*", "pods/status"],
            [
                "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status"
            ],
            id="every sub-resource and one",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.rules.0.scope",
            "Galactic",
            [
                'webhooks[0].rules[0].scope: Unsupported value: "Galactic": supported values: "*", "Cluster", "Namespaced"'
            ],
            id="scope",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.matchConditions",
            [{"name": "", "expression": "true"}],
            ["webhooks[0].matchConditions[0].name: Required value"],
            id="condition without name",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.matchConditions",
            [{"name": "a", "expression": "true"}] * 2,
            ['webhooks[0].matchConditions[1].name: Duplicate value: "a"'],
            id="conditions of one name",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.matchConditions",
            [{"name": "a", "expression": "'x'"}],
            ["webhooks[0].matchConditions[0].expression: Invalid value: \"'x'\": must evaluate to bool but got string"],
            id="condition that is no truth value",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATION,
            "webhooks.0.namespaceSelector",
            {"matchExpressions": [{"key": "k", "operator": "Near"}]},
            [
                'webhooks[0].namespaceSelector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator'
            ],
            id="selector operator",
        ),
        pytest.param(
            MUTATINGWEBHOOKCONFIGURATION,
            "webhooks.0.reinvocationPolicy",
            "Always",
            ['webhooks[0].reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"'],
            id="reinvocation",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations",
            [],
            [
                "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
                "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
            ],
            id="no validations",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.matchConstraints",
            None,
            ["spec.matchConstraints: Required value"],
            id="no constraints",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.expression",
            " ",
            ["spec.validations[0].expression: Required value: expression is not specified"],
            id="empty expression",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.expression",
            "'x'",
            ["spec.validations[0].expression: Invalid value: \"'x'\": must evaluate to bool but got string"],
            id="expression that is no truth value",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.reason",
            "Whim",
            [
                'spec.validations[0].reason: Unsupported value: "Whim": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'
            ],
            id="reason",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.message",
            "a\nb",
            ['spec.validations[0].message: Invalid value: "a\\nb": must not contain line breaks'],
            id="message of two lines",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.messageExpression",
            "1",
            ['spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int'],
            id="message expression of another type",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.failurePolicy",
            "Shrug",
            ['spec.failurePolicy: Unsupported value: "Shrug": supported values: "Fail", "Ignore"'],
            id="failure policy of a policy",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.paramKind",
            {"apiVersion": "v1", "kind": ""},
            ["spec.paramKind.kind: Required value"],
            id="parameters without kind",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.paramKind",
            {"apiVersion": "a/b/c", "kind": "X"},
            ['spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
            id="parameters of a version not to be parsed",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.expression",
            "params.x == 1",
            [
                "spec.validations[0].expression: Invalid value: \"params.x == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.x == 1\n | ^"
            ],
            id="parameters without a kind asked for",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.variables",
            [{"name": "1x", "expression": "true"}],
            ['spec.variables[0].name: Invalid value: "1x": must be a valid CEL identifier'],
            id="variable name",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.validations.0.expression",
            "variables.y == 1",
            [
                "spec.validations[0].expression: Invalid value: \"variables.y == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.y == 1\n | ^"
            ],
            id="variable not declared",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.auditAnnotations",
            [{"key": "", "valueExpression": "'x'"}],
            [
                'spec.auditAnnotations[0].key: Invalid value: "x/": name part must be non-empty',
                "spec.auditAnnotations[0].key: Invalid value: \"x/\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ],
            id="audit key",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.auditAnnotations",
            [{"key": "k", "valueExpression": "'x'"}] * 2,
            ['spec.auditAnnotations[1].key: Duplicate value: "k"'],
            id="audit annotations of one key",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICY,
            "spec.auditAnnotations",
            [{"key": "k", "valueExpression": "1"}],
            [
                'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int'
            ],
            id="audit value of another type",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING, "spec.policyName", "", ["spec.policyName: Required value"], id="no policy"
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.validationActions",
            [],
            ["spec.validationActions: Required value: at least one validation action is required"],
            id="no actions",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.validationActions",
            ["Sing"],
            ['spec.validationActions[0]: Unsupported value: "Sing": supported values: "Audit", "Deny", "Warn"'],
            id="unknown action",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.validationActions",
            ["Deny", "Deny"],
            ['spec.validationActions[1]: Duplicate value: "Deny"'],
            id="action twice",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.validationActions",
            ["Deny", "Warn"],
            [
                'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'
            ],
            id="deny and warn",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.paramRef",
            {"name": "n", "selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"},
            [
                "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
                "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            ],
            id="parameters by name and selector",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.paramRef",
            {"parameterNotFoundAction": "Deny"},
            ["spec.paramRef: Required value: one of name or selector must be specified"],
            id="parameters by nothing",
        ),
        pytest.param(
            VALIDATINGADMISSIONPOLICYBINDING,
            "spec.paramRef",
            {"name": "n"},
            ["spec.paramRef.parameterNotFoundAction: Required value"],
            id="no word on missing parameters",
        ),
        pytest.param(
            MUTATINGADMISSIONPOLICY,
            "spec.mutations",
            [],
            ["spec.mutations: Required value: mutations must contain at least one item"],
            id="no mutations",
        ),
        pytest.param(
            MUTATINGADMISSIONPOLICY,
            "spec.mutations",
            [{"patchType": "Magic"}],
            [
                'spec.mutations[0].patchType: Unsupported value: "Magic": supported values: "ApplyConfiguration", "JSONPatch"'
            ],
            id="patch type",
        ),
        pytest.param(
            MUTATINGADMISSIONPOLICY,
            "spec.mutations",
            [{"patchType": "JSONPatch"}],
            ["spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"],
            id="patch type without its patch",
        ),
        pytest.param(
            MUTATINGADMISSIONPOLICY,
            "spec.reinvocationPolicy",
            "Always",
            ['spec.reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"'],
            id="no word on reinvocation",
        ),
    ],
)
def test_a_mistake_is_named(kind: str, path: str, value: Any, messages: list[str]) -> None:
    assert mistakes(build(kind, SOUND[kind], path, value)) == messages
