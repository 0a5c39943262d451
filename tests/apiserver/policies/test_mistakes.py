"""What is wrong with policies and bindings: paths and words are those of upstream's API server."""

from typing import Any

from tests.apiserver.conftest import Api
from tests.apiserver.policies.builders import (
    GROUP,
    RULE,
    apply_,
    labelled,
    match,
    mutating,
    patch_,
    play,
    validating,
)

VP, VB = (f"{GROUP}/validatingadmissionpolic{end}" for end in ("ies", "ybindings"))
MP, MB = (f"{GROUP}/mutatingadmissionpolic{end}" for end in ("ies", "ybindings"))
R = {"matchConstraints": match()}
b = {"policyName": "x", "validationActions": ["Deny"]}


def v(**changes: Any) -> Any:
    return {**validating("true"), **changes}


def val(**changes: Any) -> Any:
    return v(validations=[{"expression": "true", **changes}])


def m(**changes: Any) -> Any:
    return {**mutating(labelled("x: 'y'")), **changes}


CASES = [
    (
        VP,
        {},
        [
            "spec.matchConstraints: Required value",
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ],
    ),
    (
        VP,
        {"matchConstraints": {}},
        [
            "spec.matchConstraints.resourceRules: Required value",
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ],
    ),
    (
        VP,
        {**R},
        [
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ],
    ),
    (
        VP,
        v(failurePolicy="Nope"),
        ['spec.failurePolicy: Unsupported value: "Nope": supported values: "Fail", "Ignore"'],
    ),
    (VP, v(paramKind={}), ["spec.paramKind.apiVersion: Required value", "spec.paramKind.kind: Required value"]),
    (VP, v(paramKind={"apiVersion": "v1"}), ["spec.paramKind.kind: Required value"]),
    (
        VP,
        v(paramKind={"apiVersion": "a/b/c", "kind": "x y"}),
        [
            'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
            "spec.paramKind.kind: Invalid value: \"x y\": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        ],
    ),
    (
        VP,
        v(paramKind={"apiVersion": "A_/v1", "kind": "Foo"}),
        [
            "spec.paramKind.apiVersion: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ],
    ),
    (
        VP,
        v(matchConstraints=match({**RULE, "operations": ["FOO"]})),
        [
            'spec.matchConstraints.resourceRules[0].operations[0]: Unsupported value: "FOO": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"'
        ],
    ),
    (
        VP,
        v(
            matchConstraints=match(
                {
                    **RULE,
                    "operations": ["*", "CREATE"],
                    "apiGroups": ["*", "x"],
                    "apiVersions": ["*", "v1"],
                    "resources": ["*", "x"],
                    "scope": "Z",
                }
            )
        ),
        [
            'spec.matchConstraints.resourceRules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
            'spec.matchConstraints.resourceRules[0].apiGroups: Invalid value: ["*","x"]: if \'*\' is present, must not specify other API groups',
            'spec.matchConstraints.resourceRules[0].apiVersions: Invalid value: ["*","v1"]: if \'*\' is present, must not specify other API versions',
            'spec.matchConstraints.resourceRules[0].resources: Invalid value: ["*","x"]: if \'*\' is present, must not specify other resources without subresources',
            'spec.matchConstraints.resourceRules[0].scope: Unsupported value: "Z": supported values: "*", "Cluster", "Namespaced"',
        ],
    ),
    (
        VP,
        v(
            matchConstraints=match(
                {**RULE, "resourceNames": ["a/b", "c", "c"]},
                matchPolicy="Foo",
                namespaceSelector={"matchLabels": {"a b": "c d"}},
                objectSelector={"matchExpressions": [{"key": "x", "operator": "Foo"}]},
            )
        ),
        [
            'spec.matchConstraints.matchPolicy: Unsupported value: "Foo": supported values: "Equivalent", "Exact"',
            "spec.matchConstraints.namespaceSelector.matchLabels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.matchConstraints.namespaceSelector.matchLabels: Invalid value: \"c d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            'spec.matchConstraints.objectSelector.matchExpressions[0].operator: Invalid value: "Foo": not a valid selector operator',
            "spec.matchConstraints.resourceRules[0].resourceNames[0]: Invalid value: \"a/b\": may not contain '/'",
            'spec.matchConstraints.resourceRules[0].resourceNames[2]: Duplicate value: "c"',
        ],
    ),
    (
        VP,
        v(matchConstraints={"resourceRules": [], "excludeResourceRules": [{}]}),
        [
            "spec.matchConstraints.excludeResourceRules[0].operations: Required value",
            "spec.matchConstraints.excludeResourceRules[0].apiGroups: Required value",
            "spec.matchConstraints.excludeResourceRules[0].apiVersions: Required value",
            "spec.matchConstraints.excludeResourceRules[0].resources: Required value",
            "spec.matchConstraints.resourceRules: Required value",
        ],
    ),
    (VP, val(expression=""), ["spec.validations[0].expression: Required value: expression is not specified"]),
    (
        VP,
        val(expression="object.x"),
        ['spec.validations[0].expression: Invalid value: "object.x": must evaluate to bool but got dyn'],
    ),
    (
        VP,
        val(expression="1"),
        ['spec.validations[0].expression: Invalid value: "1": must evaluate to bool but got int'],
    ),
    (
        VP,
        val(expression="foo"),
        [
            "spec.validations[0].expression: Invalid value: \"foo\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^"
        ],
    ),
    (
        VP,
        val(expression="object.x +"),
        [
            "spec.validations[0].expression: Invalid value: \"object.x +\": compilation failed: ERROR: <input>:1:11: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | object.x +\n | ..........^"
        ],
    ),
    (
        VP,
        val(expression="params.x == 1"),
        [
            "spec.validations[0].expression: Invalid value: \"params.x == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.x == 1\n | ^"
        ],
    ),
    (
        VP,
        val(expression="variables.x == 1"),
        [
            "spec.validations[0].expression: Invalid value: \"variables.x == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.x == 1\n | ^"
        ],
    ),
    (
        VP,
        val(expression="Object{}"),
        [
            "spec.validations[0].expression: Invalid value: \"Object{}\": compilation failed: ERROR: <input>:1:7: undeclared reference to 'Object' (in container '')\n | Object{}\n | ......^"
        ],
    ),
    (
        VP,
        val(expression="'a' == 1"),
        [
            "spec.validations[0].expression: Invalid value: \"'a' == 1\": compilation failed: ERROR: <input>:1:5: found no matching overload for '_==_' applied to '(string, int)'\n | 'a' == 1\n | ....^"
        ],
    ),
    (
        VP,
        val(expression="request.foo == 1 || namespaceObject.metadata.zip == 'x' || request.userInfo.x"),
        [
            "spec.validations[0].expression: Invalid value: \"request.foo == 1 || namespaceObject.metadata.zip == 'x' || request.userInfo.x\": compilation failed: ERROR: <input>:1:8: undefined field 'foo'\n | request.foo == 1 || namespaceObject.metadata.zip == 'x' || request.userInfo.x\n | .......^\nERROR: <input>:1:45: undefined field 'zip'\n | request.foo == 1 || namespaceObject.metadata.zip == 'x' || request.userInfo.x\n | ............................................^\nERROR: <input>:1:76: undefined field 'x'\n | request.foo == 1 || namespaceObject.metadata.zip == 'x' || request.userInfo.x\n | ...........................................................................^"
        ],
    ),
    (
        VP,
        val(expression="object.a.matches('(') == true"),
        [
            "spec.validations[0].expression: Invalid value: \"object.a.matches('(') == true\": compilation failed: ERROR: <input>:1:18: invalid matches argument\n | object.a.matches('(') == true\n | .................^"
        ],
    ),
    (
        VP,
        val(expression="authorizer.foo()"),
        [
            "spec.validations[0].expression: Invalid value: \"authorizer.foo()\": compilation failed: ERROR: <input>:1:15: undeclared reference to 'foo' (in container '')\n | authorizer.foo()\n | ..............^"
        ],
    ),
    (
        VP,
        val(expression="duration('x') == duration('1s')"),
        [
            "spec.validations[0].expression: Invalid value: \"duration('x') == duration('1s')\": compilation failed: ERROR: <input>:1:10: invalid duration argument\n | duration('x') == duration('1s')\n | .........^"
        ],
    ),
    (
        VP,
        val(expression="  false && foo\n || bar "),
        [
            "spec.validations[0].expression: Invalid value: \"  false && foo\\n || bar \": compilation failed: ERROR: <input>:1:12: undeclared reference to 'foo' (in container '')\n |   false && foo\n | ...........^\nERROR: <input>:2:5: undeclared reference to 'bar' (in container '')\n |  || bar \n | ....^"
        ],
    ),
    (VP, val(message=" "), ['spec.validations[0].message: Invalid value: " ": must be non-empty if specified']),
    (VP, val(message="a\nb"), ['spec.validations[0].message: Invalid value: "a\\nb": must not contain line breaks']),
    (
        VP,
        val(messageExpression=" "),
        ['spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified'],
    ),
    (
        VP,
        val(messageExpression="1"),
        ['spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int'],
    ),
    (
        VP,
        val(messageExpression="object.x"),
        ['spec.validations[0].messageExpression: Invalid value: "object.x": must evaluate to string but got dyn'],
    ),
    (
        VP,
        val(messageExpression="foo +"),
        [
            "spec.validations[0].messageExpression: Invalid value: \"foo +\": compilation failed: ERROR: <input>:1:6: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | foo +\n | .....^"
        ],
    ),
    (
        VP,
        val(messageExpression="authorizer.path('x').check('y').reason()"),
        [
            "spec.validations[0].messageExpression: Invalid value: \"authorizer.path('x').check('y').reason()\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'authorizer' (in container '')\n | authorizer.path('x').check('y').reason()\n | ^"
        ],
    ),
    (
        VP,
        val(reason="NotFound"),
        [
            'spec.validations[0].reason: Unsupported value: "NotFound": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'
        ],
    ),
    (
        VP,
        val(reason="Unauthorized"),
        [
            'spec.validations[0].reason: Unsupported value: "Unauthorized": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'
        ],
    ),
    (
        VP,
        val(reason=""),
        [
            'spec.validations[0].reason: Unsupported value: "": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'
        ],
    ),
    (
        VP,
        v(
            variables=[
                {"name": "", "expression": ""},
                {"name": "a b", "expression": "1"},
                {"name": "in", "expression": "1"},
                {"name": "x", "expression": "foo"},
                {"name": "y", "expression": "variables.x + 1"},
                {"name": "z", "expression": "variables.zz"},
            ]
        ),
        [
            "spec.variables[0].name: Required value: name is not specified",
            "spec.variables[0].expression: Required value: expression is not specified",
            'spec.variables[1].name: Invalid value: "a b": must be a valid CEL identifier',
            'spec.variables[2].name: Invalid value: "in": must be a valid CEL identifier',
            "spec.variables[3].expression: Invalid value: \"foo\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^",
            "spec.variables[5].expression: Invalid value: \"variables.zz\": compilation failed: ERROR: <input>:1:10: undefined field 'zz'\n | variables.zz\n | .........^",
        ],
    ),
    (
        VP,
        v(
            variables=[{"name": "x", "expression": "1"}, {"name": "x", "expression": "'a'"}],
            validations=[{"expression": "variables.x == 'a'"}, {"expression": "variables.x == 1"}],
        ),
        [
            "spec.validations[1].expression: Invalid value: \"variables.x == 1\": compilation failed: ERROR: <input>:1:13: found no matching overload for '_==_' applied to '(string, int)'\n | variables.x == 1\n | ............^"
        ],
    ),
    (
        VP,
        v(
            variables=[
                {"name": "x", "expression": "[1]"},
                {"name": "y", "expression": "{'a': 1}"},
                {"name": "o", "expression": "authorizer"},
                {"name": "r", "expression": "request"},
                {"name": "op", "expression": "optional.of(1)"},
            ],
            validations=[
                {"expression": "variables.x == 'a'"},
                {"expression": "variables.y.foo"},
                {"expression": "variables.o.foo()"},
                {"expression": "variables.r.zip"},
                {"expression": "variables.op"},
            ],
        ),
        [
            "spec.validations[0].expression: Invalid value: \"variables.x == 'a'\": compilation failed: ERROR: <input>:1:13: found no matching overload for '_==_' applied to '(list(int), string)'\n | variables.x == 'a'\n | ............^",
            'spec.validations[1].expression: Invalid value: "variables.y.foo": must evaluate to bool but got int',
            "spec.validations[2].expression: Invalid value: \"variables.o.foo()\": compilation failed: ERROR: <input>:1:16: undeclared reference to 'foo' (in container '')\n | variables.o.foo()\n | ...............^",
            'spec.validations[3].expression: Invalid value: "variables.r.zip": must evaluate to bool but got dyn',
            'spec.validations[4].expression: Invalid value: "variables.op": must evaluate to bool but got dyn',
        ],
    ),
    (
        VP,
        v(
            matchConditions=[
                {"name": "", "expression": ""},
                {"name": "a b", "expression": "1"},
                {"name": "x", "expression": "foo"},
                {"name": "x", "expression": "params.y == 1"},
                {"name": "z", "expression": "variables.y == 1"},
            ]
        ),
        [
            "spec.matchConditions[0].expression: Required value",
            "spec.matchConditions[0].name: Required value",
            'spec.matchConditions[1].expression: Invalid value: "1": must evaluate to bool but got int',
            "spec.matchConditions[1].name: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.matchConditions[2].expression: Invalid value: \"foo\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^",
            "spec.matchConditions[3].expression: Invalid value: \"params.y == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.y == 1\n | ^",
            'spec.matchConditions[3].name: Duplicate value: "x"',
            "spec.matchConditions[4].expression: Invalid value: \"variables.y == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.y == 1\n | ^",
        ],
    ),
    (
        VP,
        v(matchConditions=[{"name": f"n{i}", "expression": "true"} for i in range(65)]),
        ["spec.matchConditions: Too many: 65: must have at most 64 items"],
    ),
    (
        VP,
        v(
            auditAnnotations=[
                {"key": "", "valueExpression": ""},
                {"key": "a/b", "valueExpression": "1"},
                {"key": "c", "valueExpression": "'x'"},
                {"key": "c", "valueExpression": "null"},
                {"key": "d", "valueExpression": "'" + "x" * 5200 + "'"},
                {"key": "e", "valueExpression": " foo "},
                {"key": "f", "valueExpression": "object.x"},
            ]
        ),
        [
            'spec.auditAnnotations[0].key: Invalid value: "n1/": name part must be non-empty',
            "spec.auditAnnotations[0].key: Invalid value: \"n1/\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified",
            "spec.auditAnnotations[1].key: Invalid value: \"n1/a/b\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            'spec.auditAnnotations[1].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int',
            'spec.auditAnnotations[3].key: Duplicate value: "c"',
            "spec.auditAnnotations[4].valueExpression: Required value: must not exceed 5120 bytes in length",
            "spec.auditAnnotations[5].valueExpression: Invalid value: \" foo \": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^",
            'spec.auditAnnotations[6].valueExpression: Invalid value: "object.x": must evaluate to one of [string null_type] but got dyn',
        ],
    ),
    (
        VP,
        v(validations=[], auditAnnotations=[]),
        [
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
        ],
    ),
    (
        VP,
        v(auditAnnotations=[{"key": "x" * 100, "valueExpression": "'x'"}]),
        [
            'spec.auditAnnotations[0].key: Invalid value: "n1/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": name part must be no more than 63 bytes'
        ],
    ),
    (
        VB,
        {},
        [
            "spec.policyName: Required value",
            "spec.validationActions: Required value: at least one validation action is required",
        ],
    ),
    (
        VB,
        {**b, "policyName": "A_b"},
        [
            "spec.policyName: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ],
    ),
    (
        VB,
        {**b, "validationActions": []},
        ["spec.validationActions: Required value: at least one validation action is required"],
    ),
    (
        VB,
        {**b, "validationActions": ["Deny", "Warn"]},
        [
            'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'
        ],
    ),
    (
        VB,
        {**b, "validationActions": ["Deny", "Deny", "Foo"]},
        [
            'spec.validationActions[1]: Duplicate value: "Deny"',
            'spec.validationActions[2]: Unsupported value: "Foo": supported values: "Audit", "Deny", "Warn"',
        ],
    ),
    (
        VB,
        {**b, "paramRef": {}},
        [
            "spec.paramRef: Required value: one of name or selector must be specified",
            "spec.paramRef.parameterNotFoundAction: Required value",
        ],
    ),
    (
        VB,
        {**b, "paramRef": {"name": "a/b", "selector": {}, "parameterNotFoundAction": "Foo"}},
        [
            "spec.paramRef.name: Invalid value: \"a/b\": may not contain '/'",
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            'spec.paramRef.parameterNotFoundAction: Unsupported value: "Foo": supported values: "Deny", "Allow"',
        ],
    ),
    (
        VB,
        {**b, "paramRef": {"name": "..", "namespace": "A B", "parameterNotFoundAction": "Allow"}},
        ["spec.paramRef.name: Invalid value: \"..\": may not be '..'"],
    ),
    (
        VB,
        {**b, "matchResources": {"resourceRules": [{"operations": ["X"]}], "matchPolicy": "Z"}},
        [
            'spec.matchResources.matchPolicy: Unsupported value: "Z": supported values: "Equivalent", "Exact"',
            'spec.matchResources.resourceRules[0].operations[0]: Unsupported value: "X": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
            "spec.matchResources.resourceRules[0].apiGroups: Required value",
            "spec.matchResources.resourceRules[0].apiVersions: Required value",
            "spec.matchResources.resourceRules[0].resources: Required value",
        ],
    ),
    (
        VB,
        {**b, "paramRef": {"selector": {"matchLabels": {"a b": "c"}}, "parameterNotFoundAction": "Deny"}},
        [
            "spec.paramRef.selector.matchLabels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        ],
    ),
    (
        MP,
        {},
        [
            "spec.matchConstraints: Required value",
            "spec.mutations: Required value: mutations must contain at least one item",
            "spec.reinvocationPolicy: Required value",
        ],
    ),
    (MP, m(mutations=[]), ["spec.mutations: Required value: mutations must contain at least one item"]),
    (MP, m(mutations=[{}]), ["spec.mutations[0].patchType: Required value"]),
    (
        MP,
        m(mutations=[{"patchType": "Foo"}]),
        ['spec.mutations[0].patchType: Unsupported value: "Foo": supported values: "ApplyConfiguration", "JSONPatch"'],
    ),
    (
        MP,
        m(mutations=[{"patchType": "JSONPatch"}]),
        ["spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"],
    ),
    (
        MP,
        m(mutations=[{"patchType": "JSONPatch", "jsonPatch": {}}]),
        ["spec.mutations[0].jsonPatch.expression: Required value"],
    ),
    (
        MP,
        m(
            mutations=[
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {"expression": "[]"},
                    "applyConfiguration": {"expression": "Object{}"},
                }
            ]
        ),
        [
            'spec.mutations[0].jsonPatch.expression: Invalid value: "[]": must evaluate to list(JSONPatch) but got list(dyn)',
            'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch',
        ],
    ),
    (
        MP,
        m(
            mutations=[
                {
                    "patchType": "ApplyConfiguration",
                    "jsonPatch": {"expression": "[]"},
                    "applyConfiguration": {"expression": "Object{}"},
                }
            ]
        ),
        [
            'spec.mutations[0].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration'
        ],
    ),
    (MP, m(reinvocationPolicy=""), ["spec.reinvocationPolicy: Required value"]),
    (
        MP,
        m(reinvocationPolicy="Foo"),
        ['spec.reinvocationPolicy: Unsupported value: "Foo": supported values: "IfNeeded", "Never"'],
    ),
    (
        MP,
        m(matchConstraints=match({**RULE, "operations": ["DELETE"]})),
        [
            'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"'
        ],
    ),
    (MP, m(matchConstraints=match({**RULE, "operations": ["*"]})), []),
    (
        MP,
        m(
            mutations=[
                apply_("1"),
                apply_("Object{spec: foo}"),
                apply_("Objet{}"),
                apply_("[Object{}]"),
                apply_("object"),
                apply_("Object.spec{}"),
                apply_("Object{metadata: object.metadata, x: Object.y{z: 1}}"),
                apply_("Object{a: [Object.a{}, Object.b{}]}"),
                apply_("variables.x == 1 ? Object{} : Object.spec{}"),
                apply_("has(object.a) ? Object{} : object"),
            ]
        ),
        [
            'spec.mutations[0].applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int',
            "spec.mutations[1].applyConfiguration.expression: Invalid value: \"Object{spec: foo}\": compilation failed: ERROR: <input>:1:14: undeclared reference to 'foo' (in container '')\n | Object{spec: foo}\n | .............^",
            "spec.mutations[2].applyConfiguration.expression: Invalid value: \"Objet{}\": compilation failed: ERROR: <input>:1:6: undeclared reference to 'Objet' (in container '')\n | Objet{}\n | .....^",
            'spec.mutations[3].applyConfiguration.expression: Invalid value: "[Object{}]": must evaluate to Object but got list(Object)',
            'spec.mutations[4].applyConfiguration.expression: Invalid value: "object": must evaluate to Object but got dyn',
            'spec.mutations[5].applyConfiguration.expression: Invalid value: "Object.spec{}": must evaluate to Object but got Object.spec',
            "spec.mutations[7].applyConfiguration.expression: Invalid value: \"Object{a: [Object.a{}, Object.b{}]}\": compilation failed: ERROR: <input>:1:32: expected type 'Object.a' but found 'Object.b'\n | Object{a: [Object.a{}, Object.b{}]}\n | ...............................^",
            "spec.mutations[8].applyConfiguration.expression: Invalid value: \"variables.x == 1 ? Object{} : Object.spec{}\": compilation failed: ERROR: <input>:1:10: undefined field 'x'\n | variables.x == 1 ? Object{} : Object.spec{}\n | .........^\nERROR: <input>:1:18: found no matching overload for '_?_:_' applied to '(bool, Object, Object.spec)'\n | variables.x == 1 ? Object{} : Object.spec{}\n | .................^",
            'spec.mutations[9].applyConfiguration.expression: Invalid value: "has(object.a) ? Object{} : object": must evaluate to Object but got dyn',
        ],
    ),
    (
        MP,
        m(
            mutations=[
                patch_("1"),
                patch_("JSONPatch{}"),
                patch_("[JSONPatch{op: 1}]"),
                patch_("[JSONPatch{op: 'x', path: object.x, value: [1, 2]}]"),
                patch_("[JSONPatch{op: 'x'}, Object{}]"),
                patch_("[1]"),
                patch_("[] + [JSONPatch{}]"),
                patch_("[JSONPatch{op: 'add', path: jsonpatch.escapeKey(1)}]"),
                patch_("jsonpatch.escapeKey('x')"),
                patch_("object.x.map(y, JSONPatch{op: 'a', path: '/b', value: y})"),
            ]
        ),
        [
            'spec.mutations[0].jsonPatch.expression: Invalid value: "1": must evaluate to list(JSONPatch) but got int',
            'spec.mutations[1].jsonPatch.expression: Invalid value: "JSONPatch{}": must evaluate to list(JSONPatch) but got JSONPatch',
            "spec.mutations[2].jsonPatch.expression: Invalid value: \"[JSONPatch{op: 1}]\": compilation failed: ERROR: <input>:1:14: expected type of field 'op' is 'string' but provided type is 'int'\n | [JSONPatch{op: 1}]\n | .............^",
            "spec.mutations[4].jsonPatch.expression: Invalid value: \"[JSONPatch{op: 'x'}, Object{}]\": compilation failed: ERROR: <input>:1:28: expected type 'JSONPatch' but found 'Object'\n | [JSONPatch{op: 'x'}, Object{}]\n | ...........................^",
            'spec.mutations[5].jsonPatch.expression: Invalid value: "[1]": must evaluate to list(JSONPatch) but got list(int)',
            "spec.mutations[7].jsonPatch.expression: Invalid value: \"[JSONPatch{op: 'add', path: jsonpatch.escapeKey(1)}]\": compilation failed: ERROR: <input>:1:48: found no matching overload for 'jsonpatch.escapeKey' applied to '(int)'\n | [JSONPatch{op: 'add', path: jsonpatch.escapeKey(1)}]\n | ...............................................^",
            "spec.mutations[8].jsonPatch.expression: Invalid value: \"jsonpatch.escapeKey('x')\": must evaluate to list(JSONPatch) but got string",
        ],
    ),
    (
        MP,
        m(
            variables=[{"name": "x", "expression": "Object{}"}, {"name": "y", "expression": "1"}],
            mutations=[apply_("Object{spec: variables.y}")],
        ),
        [
            "spec.variables[0].expression: Invalid value: \"Object{}\": compilation failed: ERROR: <input>:1:7: undeclared reference to 'Object' (in container '')\n | Object{}\n | ......^"
        ],
    ),
    (
        MP,
        m(
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            matchConditions=[{"name": "a", "expression": "params.x == 1"}],
            mutations=[apply_("Object{x: params.y}")],
        ),
        [],
    ),
    (MB, {}, ["spec.policyName: Required value"]),
    (
        MB,
        {"policyName": "x", "matchResources": {"resourceRules": [{**RULE, "operations": ["DELETE", "X"]}]}},
        [
            'spec.matchResources.resourceRules[0].operations[1]: Unsupported value: "X": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
            'spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
            'spec.matchResources.resourceRules.operations: Unsupported value: "X": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
        ],
    ),
    (MB, {"policyName": "x", "paramRef": {"name": "y"}}, ["spec.paramRef.parameterNotFoundAction: Required value"]),
]


def test_mistakes() -> None:
    async def scenario(api: Api) -> None:
        for path, spec, mistakes in CASES:
            answer = await api("POST", f"{path}?dryRun=All", {"metadata": {"name": "n1"}, "spec": spec})
            causes = answer.body["details"]["causes"] if answer.status == 422 else []
            found = [f"{c['field']}: {c['message']}" for c in causes]
            assert (answer.status, found) == (422 if mistakes else 201, mistakes), spec

    play(scenario)
