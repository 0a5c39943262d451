"""What MutatingAdmissionPolicies do with requests. Every answer is the one that upstream's API server gave."""

import pytest

from tests.apiserver.policies.builders import (
    CM,
    DEP,
    DEPLOYMENTS,
    PK,
    POD,
    Case,
    answers,
    apply_,
    case,
    cm,
    labelled,
    match,
    mutating,
    nested,
    patch_,
    ref,
    rule,
)

DEEP = nested(6, "a+b+c+d+e+f > 0")

CASES = [
    case(
        "apply",
        mutating(labelled("x: 'y'")),
        [
            ("POST", CM, cm(labels={"a": "b"}), '201 {"metadata.labels": {"a": "b", "x": "y"}}'),
        ],
        {},
    ),
    case(
        "applyremove",
        mutating(labelled("?a: optional.none(), x: 'z'")),
        [
            ("POST", CM, cm(labels={"x": "b"}), '201 {"metadata.labels": {"x": "z"}}'),
        ],
        {},
    ),
    case(
        "applyescaped",
        mutating(apply_("Object{metadata: Object.metadata{annotations: {'example.com/x': object.metadata.name}}}")),
        [
            ("POST", CM, cm(), '201 {"metadata.annotations": {"example.com/x": "c"}}'),
        ],
        {},
    ),
    case(
        "applydata",
        mutating(apply_("Object{data: {'b': object.data.a + '!'}}")),
        [
            ("POST", CM, cm(a="x"), '201 {"data": {"a": "x", "b": "x!"}}'),
            (
                "POST",
                CM,
                cm("d"),
                "403 Invalid: expression 'Object{data: {'b': object.data.a + '!'}}' resulted in error: no such key: data",
            ),
        ],
        {},
    ),
    case(
        "applyunknown",
        mutating(apply_("Object{nope: 'x'}")),
        [
            (
                "POST",
                CM,
                cm(),
                "403 Invalid: error applying patch: failed to convert patch object to typed object: .nope: field not declared in schema",
            ),
        ],
        {},
    ),
    case(
        "applymisnamed",
        mutating(apply_("Object{metadata: Object.meta{name: 'x'}}")),
        [
            (
                "POST",
                CM,
                cm(),
                '403 Invalid: type mismatch: unexpected type name "Object.meta", expected "Object.metadata", which matches field name path from root Object type',
            ),
        ],
        {},
    ),
    case(
        "applywrongtype",
        mutating(apply_("Object{metadata: Object.metadata{labels: Object.metadata.labels{x: 1}}}")),
        [
            (
                "POST",
                CM,
                cm(),
                "403 Invalid: error applying patch: failed to convert patch object to typed object: .metadata.labels.x: expected string, got &value.valueUnstructured{Value:1}",
            ),
        ],
        {},
    ),
    case(
        "applyignored",
        mutating(apply_("Object{nope: 'x'}"), failurePolicy="Ignore"),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "applyempty",
        mutating(apply_("Object{}")),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "applycontainers",
        mutating(
            apply_(
                "Object{spec: Object.spec{containers: object.spec.containers.map(c, Object.spec.containers{name: c.name, imagePullPolicy: 'Never'})}}"
            ),
            rules=(rule("pods"),),
        ),
        [
            (
                "POST",
                "pods",
                {**POD, "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}},
                '201 {"spec.containers[*].imagePullPolicy": ["Never", "Never"], "spec.containers[*].name": ["a", "b"], "status.phase": "Pending"}',
            ),
        ],
        {},
    ),
    case(
        "applysidecar",
        mutating(
            apply_(
                "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{name: 'mesh', image: 'm:1', args: ['proxy'], restartPolicy: 'Always'}]}}"
            ),
            rules=(rule("pods"),),
            matchConditions=[
                {"name": "no", "expression": "!object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh')"}
            ],
        ),
        [
            (
                "POST",
                "pods",
                POD,
                "403 Invalid: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.initContainers[0].args",
            ),
        ],
        {},
    ),
    case(
        "applyatomic",
        mutating(
            apply_(
                "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: 'a', args: ['x']}], tolerations: [Object.spec.template.spec.tolerations{key: 'a'}]}}}}"
            ),
            rules=(rule("deployments", group="apps"),),
        ),
        [
            (
                "POST",
                DEPLOYMENTS,
                DEP,
                "403 Invalid: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.template.spec.containers[0].args, .spec.template.spec.tolerations",
            ),
        ],
        {},
    ),
    case(
        "applyatomicselector",
        mutating(
            apply_(
                "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: Object.spec.selector.matchLabels{x: 'y'}}}}"
            ),
            rules=(rule("deployments", group="apps"),),
        ),
        [
            (
                "POST",
                DEPLOYMENTS,
                DEP,
                "403 Invalid: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector",
            ),
        ],
        {},
    ),
    case(
        "applyinvalid",
        mutating(apply_("Object{metadata: Object.metadata{name: 'Bad_Name'}}")),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
        ],
        {},
    ),
    case(
        "applyinvalidlabel",
        mutating(labelled("x: 'b a d'")),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: ConfigMap \"c\" is invalid: metadata.labels: Invalid value: \"b a d\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
        ],
        {},
    ),
    case(
        "applydefaults",
        mutating(
            apply_("Object{spec: Object.spec{ports: [Object.spec.ports{port: 81, name: 'b'}]}}"),
            rules=(rule("services"),),
        ),
        [
            (
                "POST",
                "services",
                {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "a"}]}},
                '201 {"spec.ports[*].port": [80, 81], "spec.ports[*].protocol": ["TCP", "TCP"], "spec.ports[*].targetPort": [80, 81]}',
            ),
        ],
        {},
    ),
    case(
        "applyreplicas",
        mutating(
            apply_("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}"),
            rules=(rule("deployments", group="apps"),),
        ),
        [
            ("POST", DEPLOYMENTS, DEP, '201 {"spec.replicas": 4}'),
        ],
        {},
    ),
    case(
        "applyfloat",
        mutating(apply_("Object{spec: Object.spec{replicas: 2.0}}"), rules=(rule("deployments", group="apps"),)),
        [
            ("POST", DEPLOYMENTS, DEP, '201 {"spec.replicas": 2}'),
        ],
        {},
    ),
    case(
        "applystatus",
        mutating(apply_("Object{status: Object.status{phase: 'Failed'}}"), rules=(rule("pods"),)),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
        ],
        {},
    ),
    case(
        "applytwice",
        mutating(
            labelled("n: string(object.metadata.?labels.orValue({}).size())"),
            labelled("m: string(object.metadata.?labels.orValue({}).size())"),
        ),
        [
            ("POST", CM, cm(), '201 {"metadata.labels": {"m": "1", "n": "0"}}'),
        ],
        {},
    ),
    case(
        "ifneeded",
        mutating(
            patch_("[JSONPatch{op: 'add', path: '/data/n', value: object.data.n + 'x'}]"), reinvocationPolicy="IfNeeded"
        ),
        [
            ("POST", CM, cm(n=""), '201 {"data": {"n": "xx"}}'),
        ],
        {},
    ),
    case(
        "never",
        mutating(patch_("[JSONPatch{op: 'add', path: '/data/n', value: object.data.n + 'x'}]")),
        [
            ("POST", CM, cm(n=""), '201 {"data": {"n": "x"}}'),
        ],
        {},
    ),
    case(
        "patchadd",
        mutating(
            patch_(
                "[JSONPatch{op: 'add', path: '/metadata/labels', value: {'a': 'b'}}, JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('x.io/y~z'), value: 'c'}]"
            )
        ),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: ConfigMap \"c\" is invalid: metadata.labels: Invalid value: \"x.io/y~z\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
        ],
        {},
    ),
    case(
        "patchinvalidlabelkey",
        mutating(
            patch_(
                "[JSONPatch{op: 'test', path: '/data/a', value: 'x'}, JSONPatch{op: 'replace', path: '/data/a', value: 'y'}]"
            )
        ),
        [
            ("POST", CM, cm(a="x"), '201 {"data": {"a": "y"}}'),
            ("POST", CM, cm("d", a="z"), '201 {"data": {"a": "z"}}'),
        ],
        {},
    ),
    case(
        "patchremove",
        mutating(patch_("[JSONPatch{op: 'remove', path: '/data/a'}]")),
        [
            ("POST", CM, cm(a="x", b="y"), '201 {"data": {"b": "y"}}'),
            (
                "POST",
                CM,
                cm("d"),
                '403 Invalid: JSON Patch: remove operation does not apply: doc is missing path: "/data/a": missing value',
            ),
        ],
        {},
    ),
    case(
        "patchmove",
        mutating(
            patch_(
                "[JSONPatch{op: 'move', from: '/data/a', path: '/data/b'}, JSONPatch{op: 'copy', from: '/data/b', path: '/data/c'}]"
            )
        ),
        [
            ("POST", CM, cm(a="x"), '201 {"data": {"b": "x", "c": "x"}}'),
            (
                "POST",
                CM,
                cm("d", q="1"),
                "403 Invalid: JSON Patch: error in move for path: 'a': Unable to remove nonexistent key: a: missing value",
            ),
        ],
        {},
    ),
    case(
        "patchpath",
        mutating(patch_("[JSONPatch{op: 'add', path: '/no/where', value: 'x'}]")),
        [
            (
                "POST",
                CM,
                cm(),
                '403 Invalid: JSON Patch: add operation does not apply: doc is missing path: "/no/where": missing value',
            ),
        ],
        {},
    ),
    case(
        "patchunknown",
        mutating(patch_("[JSONPatch{op: 'add', path: '/nope', value: 'x'}]")),
        [
            (
                "POST",
                CM,
                cm(),
                '500 InternalError: Internal error occurred: strict decoding error: unknown field "nope"',
            ),
        ],
        {},
    ),
    case(
        "patchtype",
        mutating(patch_("[JSONPatch{op: 'add', path: '/data/a', value: 1}]")),
        [
            (
                "POST",
                CM,
                cm(),
                '403 Invalid: JSON Patch: add operation does not apply: doc is missing path: "/data/a": missing value',
            ),
        ],
        {},
    ),
    case(
        "patchop",
        mutating(patch_("[JSONPatch{op: 'frob', path: '/data/a', value: 'x'}]")),
        [
            ("POST", CM, cm(), "403 Invalid: JSON Patch: Unexpected kind: frob"),
        ],
        {},
    ),
    case(
        "patchnovalue",
        mutating(patch_("[JSONPatch{op: 'add', path: '/data/a'}]")),
        [
            (
                "POST",
                CM,
                cm(),
                '403 Invalid: JSON Patch: add operation does not apply: doc is missing path: "/data/a": missing value',
            ),
        ],
        {},
    ),
    case(
        "patchobject",
        mutating(
            patch_(
                "[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object{name: 'b', image: 'y', env: [Object.env{name: 'A', value: '1'}]}}]"
            ),
            rules=(rule("pods"),),
        ),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].env": [[{"name": "A", "value": "1"}]], "spec.containers[*].imagePullPolicy": ["Always", "Always"], "spec.containers[*].name": ["a", "b"], "status.phase": "Pending"}',
            ),
        ],
        {},
    ),
    case(
        "patchobjecttyped",
        mutating(
            patch_(
                "[JSONPatch{op: 'add', path: '/spec/containers/-', value: Object.spec.containers{name: 'b', image: 'y', env: [Object.spec.containers.env{name: 'A', value: '1'}]}}]"
            ),
            rules=(rule("pods"),),
        ),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].env": [[{"name": "A", "value": "1"}]], "spec.containers[*].imagePullPolicy": ["Always", "Always"], "spec.containers[*].name": ["a", "b"], "status.phase": "Pending"}',
            ),
        ],
        {},
    ),
    case(
        "patchmap",
        mutating(
            patch_(
                "[JSONPatch{op: 'replace', path: '/spec/selector', value: {'x': 'y'}}, JSONPatch{op: 'add', path: '/spec/ports/0/port', value: object.spec.ports[0].port + 1}]"
            ),
            rules=(rule("services"),),
        ),
        [
            (
                "POST",
                "services",
                {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
                '201 {"spec.ports[*].port": [81], "spec.ports[*].protocol": ["TCP"], "spec.ports[*].targetPort": [80], "spec.selector": {"x": "y"}}',
            ),
        ],
        {},
    ),
    case(
        "patchempty",
        mutating(patch_("object.data.a == 'x' ? [JSONPatch{op: 'add', path: '/data/b', value: 'c'}] : []")),
        [
            ("POST", CM, cm(a="x"), '201 {"data": {"a": "x", "b": "c"}}'),
            ("POST", CM, cm("d", a="y"), '201 {"data": {"a": "y"}}'),
        ],
        {},
    ),
    case(
        "scalepatch",
        mutating(
            patch_("[JSONPatch{op: 'replace', path: '/spec/replicas', value: 2}]"),
            rules=(rule("deployments/scale", group="apps"),),
        ),
        [
            ("POST", DEPLOYMENTS, DEP, '201 {"spec.replicas": 3}'),
            (
                "PUT",
                DEPLOYMENTS + "/d/scale",
                {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 7}},
                '200 {"spec.replicas": 2}',
            ),
            ("GET", DEPLOYMENTS + "/d/scale", None, '200 {"spec.replicas": 2}'),
        ],
        {},
    ),
    case(
        "bindingapply",
        mutating(
            apply_("Object{metadata: Object.metadata{annotations: {'a': 'b'}}}"),
            rules=(rule("pods/binding", operations=["CREATE"]),),
        ),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
            (
                "POST",
                "pods/p/binding",
                {
                    "kind": "Binding",
                    "apiVersion": "v1",
                    "metadata": {"name": "p"},
                    "target": {"kind": "Node", "name": "n"},
                },
                "201",
            ),
            (
                "GET",
                "pods/p",
                None,
                '200 {"metadata.annotations": {"a": "b"}, "spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
        ],
        {},
    ),
    case(
        "statussub",
        mutating(apply_("Object{status: Object.status{message: 'hi'}}"), rules=(rule("pods/status"),)),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
            (
                "PUT",
                "pods/p/status",
                {**POD, "status": {"phase": "Failed"}},
                '200 {"spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.message": "hi", "status.phase": "Failed"}',
            ),
        ],
        {},
    ),
    case(
        "updatestatus",
        mutating(
            apply_(
                "Object{status: Object.status{phase: 'Failed'}, metadata: Object.metadata{labels: Object.metadata.labels{x: 'y'}}}"
            ),
            rules=(rule("pods", operations=["UPDATE"]),),
        ),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
            (
                "PATCH",
                "pods/p",
                {"metadata": {"annotations": {"c": "d"}}},
                '200 {"metadata.annotations": {"c": "d"}, "metadata.labels": {"x": "y"}, "spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
        ],
        {},
    ),
    case(
        "immutable",
        mutating(apply_("Object{immutable: true}"), rules=(rule(CM, operations=["UPDATE"]),)),
        [
            ("POST", CM, cm(), "201"),
            ("PATCH", CM + "/c", {"data": {"a": "b"}}, '200 {"data": {"a": "b"}, "immutable": true}'),
            (
                "PATCH",
                CM + "/c",
                {"data": {"a": "c"}},
                '422 Invalid: ConfigMap "c" is invalid: data: Forbidden: field is immutable when `immutable` is set',
            ),
        ],
        {},
    ),
    case(
        "rename",
        mutating(
            apply_("Object{metadata: Object.metadata{name: 'other'}}"),
            rules=(rule(CM, operations=["CREATE", "UPDATE"]),),
        ),
        [
            ("POST", CM, cm(), "201"),
            ("POST", CM, cm("other"), '409 AlreadyExists: configmaps "other" already exists'),
            ("PUT", CM + "/other", cm("other", x="y"), '200 {"data": {"x": "y"}}'),
        ],
        {},
    ),
    case(
        "renamespace",
        mutating(apply_("Object{metadata: Object.metadata{namespace: 'other'}}")),
        [
            (
                "POST",
                CM,
                cm(),
                "400 BadRequest: the namespace of the provided object does not match the namespace sent on the request",
            ),
        ],
        {},
    ),
    case(
        "error",
        mutating(labelled("x: object.data.none")),
        [
            (
                "POST",
                CM,
                cm(),
                "403 Invalid: expression 'Object{metadata: Object.metadata{labels: Object.metadata.labels{x: object.data.none}}}' resulted in error: no such key: data",
            ),
        ],
        {},
    ),
    case(
        "errorignored",
        mutating(labelled("x: object.data.none"), failurePolicy="Ignore"),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "conditionerror",
        mutating(labelled("x: 'y'"), matchConditions=[{"name": "a", "expression": "object.data.x == 'y'"}]),
        [
            ("POST", CM, cm(), "403 Invalid: expression 'object.data.x == 'y'' resulted in error: no such key: data"),
        ],
        {},
    ),
    case(
        "variables",
        mutating(labelled("x: variables.a"), variables=[{"name": "a", "expression": "object.metadata.name + '1'"}]),
        [
            ("POST", CM, cm(), '201 {"metadata.labels": {"x": "c1"}}'),
        ],
        {},
    ),
    case(
        "params",
        mutating(
            labelled("x: params.data.v"),
            paramKind=PK,
            matchConstraints=match(objectSelector={"matchLabels": {"c": "1"}}),
        ),
        [
            ("POST", CM, cm("par", v="w"), '201 {"data": {"v": "w"}}'),
            (
                "POST",
                CM,
                cm("c1", {"c": "1"}),
                '201 {"metadata.labels": {"c": "1", "x": "w"}}',
            ),
        ],
        ref(name="par"),
    ),
    case(
        "parammissing",
        mutating(labelled("x: 'y'"), paramKind=PK),
        [
            (
                "POST",
                CM,
                cm(),
                "403 Forbidden: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
            ),
        ],
        ref(name="none"),
    ),
    case(
        "paramkindunknown",
        mutating(
            labelled("x: 'y'"),
            paramKind={"apiVersion": "none.example.com/v1", "kind": "Nope"},
            matchConstraints=match(objectSelector={"matchLabels": {"munk": "y"}}),
        ),
        [
            (
                "POST",
                CM,
                cm("c", {"munk": "y"}),
                "403 Forbidden: failed to configure policy: failed to find resource referenced by paramKind: 'none.example.com/v1, Kind=Nope'",
            ),
        ],
        ref(name="x"),
    ),
    case(
        "update",
        mutating(labelled("op: request.operation")),
        [
            ("POST", CM, cm(), '201 {"metadata.labels": {"op": "CREATE"}}'),
            ("PUT", CM + "/c", cm(a="b"), '200 {"data": {"a": "b"}, "metadata.labels": {"op": "UPDATE"}}'),
            (
                "PATCH",
                CM + "/c",
                {"data": {"x": "y"}},
                '200 {"data": {"a": "b", "x": "y"}, "metadata.labels": {"op": "UPDATE"}}',
            ),
        ],
        {},
    ),
    case(
        "scale",
        mutating(apply_("Object{spec: Object.spec{replicas: 2}}"), rules=(rule("deployments/scale", group="apps"),)),
        [
            ("POST", DEPLOYMENTS, DEP, '201 {"spec.replicas": 3}'),
            (
                "PUT",
                DEPLOYMENTS + "/d/scale",
                {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 7}},
                "403 Invalid: error applying patch: failed to convert patch object to typed object: no corresponding type for autoscaling/v1, Kind=Scale",
            ),
            ("GET", DEPLOYMENTS + "/d/scale", None, '200 {"spec.replicas": 3}'),
        ],
        {},
    ),
    case(
        "exec",
        mutating(apply_("Object{command: ['ls']}"), rules=(rule("pods/exec", operations=["CONNECT"]),)),
        [
            (
                "POST",
                "pods",
                POD,
                '201 {"spec.containers[*].imagePullPolicy": ["Always"], "spec.containers[*].name": ["a"], "status.phase": "Pending"}',
            ),
            (
                "POST",
                "pods/p/exec?command=sh",
                None,
                "403 Invalid: error applying patch: failed to convert patch object to typed object: no corresponding type for /v1, Kind=PodExecOptions",
            ),
        ],
        {},
    ),
    case(
        "authorizer",
        mutating(labelled("x: authorizer.requestResource.check('delete').allowed() ? 'yes' : 'no'")),
        [
            ("POST", CM, cm(), '201 {"metadata.labels": {"x": "yes"}}'),
        ],
        {},
    ),
    case(
        "budget",
        mutating(labelled(f"x: {DEEP} ? 'a' : 'b'")),
        [
            (
                "POST",
                CM,
                cm(),
                f"403 Invalid: expression 'Object{{metadata: Object.metadata{{labels: Object.metadata.labels{{x: {DEEP} ? 'a' : 'b'}}}}}}' resulted in error: operation cancelled: actual cost limit exceeded",
            ),
        ],
        {},
    ),
    case(
        "managedfields",
        mutating(labelled("x: 'y'")),
        [
            ("APPLY", CM + "/c", cm(a="b"), '201 {"data": {"a": "b"}, "metadata.labels": {"x": "y"}}'),
        ],
        {},
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_made_of_objects(case: Case):
    assert answers("mutating", case) == [step[3] for step in case.steps]
