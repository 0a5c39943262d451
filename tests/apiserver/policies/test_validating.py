"""What ValidatingAdmissionPolicies do with requests. Every answer is the one that upstream's API server gave."""

import pytest

from tests.apiserver.policies.builders import (
    CM,
    DEP,
    DEPLOYMENTS,
    EVENT,
    HPA,
    HPAS,
    PK,
    POD,
    RULE,
    Case,
    answers,
    case,
    cm,
    match,
    nested,
    ref,
    rule,
    validating,
)

DEEP = nested(6, "a+b+c+d+e+f > 0")
FLAT = nested(5, " a+b+c+d+e > 0")

ROLE = {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}

CASES = [
    case(
        "expression",
        validating("object.data.a == 'x'"),
        [
            ("POST", CM, cm(a="x"), "201"),
            ("POST", CM, cm("d", a="y"), "422 Invalid: failed expression: object.data.a == 'x'"),
            (
                "POST",
                CM,
                cm("e"),
                "422 Invalid: expression 'object.data.a == 'x'' resulted in error: no such key: data",
            ),
        ],
        {},
    ),
    case(
        "message",
        validating({"expression": "false", "message": "  no way  "}),
        [
            ("POST", CM, cm(), "422 Invalid: no way"),
        ],
        {},
    ),
    case(
        "messageexpression",
        validating(
            {"expression": "false", "message": "no", "messageExpression": "'not ' + object.metadata.name + ' '"}
        ),
        [
            ("POST", CM, cm(), "422 Invalid: not c"),
        ],
        {},
    ),
    case(
        "messageexpressionfails",
        validating({"expression": "false", "message": "no", "messageExpression": "object.data.zzz + ''"}),
        [
            ("POST", CM, cm(), "422 Invalid: no"),
        ],
        {},
    ),
    case(
        "messagelines",
        validating({"expression": "false", "messageExpression": "'a\\nb'"}),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "messagelong",
        validating({"expression": "false", "messageExpression": "object.data.a" + " + object.data.a" * 6 + " + ''"}),
        [
            ("POST", CM, cm(a="x" * 1000), "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "reasonforbidden",
        validating({"expression": "false", "reason": "Forbidden"}),
        [
            ("POST", CM, cm(), "403 Forbidden: failed expression: false"),
        ],
        {},
    ),
    case(
        "reasonlarge",
        validating({"expression": "false", "reason": "RequestEntityTooLarge"}),
        [
            ("POST", CM, cm(), "413 RequestEntityTooLarge: failed expression: false"),
        ],
        {},
    ),
    case(
        "second",
        validating("true", "object.metadata.name != 'c'"),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: object.metadata.name != 'c'"),
        ],
        {},
    ),
    case(
        "warn",
        validating({"expression": "false", "message": "careful"}),
        [
            ("POST", CM, cm(), "201 | careful"),
        ],
        {"validationActions": ["Warn"]},
    ),
    case(
        "warnaudit",
        validating({"expression": "false", "message": "careful"}, "object.data.x == 'y'"),
        [
            (
                "POST",
                CM,
                cm(),
                "201 | careful | expression 'object.data.x == 'y'' resulted in error: no such key: data",
            ),
        ],
        {"validationActions": ["Warn", "Audit"]},
    ),
    case(
        "denyaudit",
        validating({"expression": "false", "message": "careful"}),
        [
            ("POST", CM, cm(), "422 Invalid: careful"),
        ],
        {"validationActions": ["Deny", "Audit"]},
    ),
    case(
        "errorfail",
        validating("object.data.missing == 'x'"),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'object.data.missing == 'x'' resulted in error: no such key: data",
            ),
        ],
        {},
    ),
    case(
        "errorignore",
        validating("object.data.missing == 'x'", failurePolicy="Ignore"),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "falseignore",
        validating("false", failurePolicy="Ignore"),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "variables",
        validating(
            {"expression": "variables.both == 'xy'", "messageExpression": "variables.both + string(variables.count)"},
            variables=[
                {"name": "a", "expression": "object.data.a"},
                {"name": "both", "expression": "variables.a + object.data.b"},
                {"name": "count", "expression": "size(object.data)"},
            ],
        ),
        [
            ("POST", CM, cm(a="x", b="y"), "201"),
            ("POST", CM, cm("d", a="x", b="z"), "422 Invalid: xz2"),
            (
                "POST",
                CM,
                cm("e", b="z"),
                "422 Invalid: expression 'variables.both == 'xy'' resulted in error: composited variable \"both\" fails to evaluate: composited variable \"a\" fails to evaluate: no such key: a",
            ),
        ],
        {},
    ),
    case(
        "lazyvariable",
        validating("true || variables.bad == 1", variables=[{"name": "bad", "expression": "object.data.nope"}]),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "nullvariable",
        validating("variables.n == null", variables=[{"name": "n", "expression": "object.?data.?a.orValue(null)"}]),
        [
            ("POST", CM, cm(), "201"),
            ("POST", CM, cm("d", a="x"), "422 Invalid: failed expression: variables.n == null"),
        ],
        {},
    ),
    case(
        "hasvariable",
        validating("has(variables.n)", variables=[{"name": "n", "expression": "object.data.nope"}]),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'has(variables.n)' resulted in error: composited variable \"n\" fails to evaluate: no such key: data",
            ),
        ],
        {},
    ),
    case(
        "conditions",
        validating(
            "false",
            matchConditions=[
                {"name": "a", "expression": "object.metadata.name == 'c'"},
                {"name": "b", "expression": "!('skip' in object.metadata.?labels.orValue({}))"},
            ],
        ),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: false"),
            ("POST", CM, cm("d"), "201"),
            ("POST", CM, cm("c", {"skip": "1"}), "201"),
        ],
        {},
    ),
    case(
        "conditionerror",
        validating(
            "true",
            matchConditions=[
                {"name": "a", "expression": "object.data.x == 'y'"},
                {"name": "b", "expression": "object.data.z == 'y'"},
            ],
        ),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: [expression 'object.data.x == 'y'' resulted in error: no such key: data, expression 'object.data.z == 'y'' resulted in error: no such key: data]",
            ),
        ],
        {},
    ),
    case(
        "conditionerrorignore",
        validating(
            "false", matchConditions=[{"name": "a", "expression": "object.data.x == 'y'"}], failurePolicy="Ignore"
        ),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "conditionerrorandfalse",
        validating(
            "false",
            matchConditions=[{"name": "a", "expression": "object.data.x == 'y'"}, {"name": "b", "expression": "false"}],
        ),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "conditionnamespace",
        validating(
            "true",
            matchConditions=[
                {"name": "a", "expression": "namespaceObject == null"},
                {"name": "b", "expression": "namespaceObject.metadata.name == 'x'"},
            ],
        ),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'namespaceObject.metadata.name == 'x'' resulted in error: no such key: metadata",
            ),
        ],
        {},
    ),
    case(
        "update",
        validating("oldObject == null || object.data.a == oldObject.data.a"),
        [
            ("POST", CM, cm(a="x"), "201"),
            (
                "PUT",
                CM + "/c",
                cm(a="y"),
                "422 Invalid: failed expression: oldObject == null || object.data.a == oldObject.data.a",
            ),
            ("PUT", CM + "/c", cm(a="x", b="z"), "200"),
        ],
        {},
    ),
    case(
        "delete",
        validating("object == null && oldObject.metadata.name != 'c'", rules=(rule(CM, operations=["DELETE"]),)),
        [
            ("POST", CM, cm(), "201"),
            ("POST", CM, cm("d"), "201"),
            (
                "DELETE",
                CM + "/c",
                None,
                "422 Invalid: failed expression: object == null && oldObject.metadata.name != 'c'",
            ),
            ("DELETE", CM + "/d", None, "200"),
        ],
        {},
    ),
    case(
        "request",
        validating(
            {
                "expression": "false",
                "messageExpression": "request.operation + ' ' + request.name + ' ' + request.namespace + ' ' + request.kind.kind + ' ' + request.resource.resource + ' ' + request.requestKind.version + ' ' + request.userInfo.username + ' ' + request.userInfo.groups[0] + ' ' + string(request.dryRun) + ' ' + string(has(request.subResource)) + string(has(request.userInfo.extra)) + ' ' + request.options.kind + ' ' + request.options.apiVersion",
            }
        ),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: CREATE c ns ConfigMap configmaps v1 admin system:masters false falsefalse CreateOptions meta.k8s.io/v1",
            ),
            (
                "POST",
                CM + "?dryRun=All",
                cm(),
                "422 Invalid: CREATE c ns ConfigMap configmaps v1 admin system:masters true falsefalse CreateOptions meta.k8s.io/v1",
            ),
        ],
        {},
    ),
    case(
        "namespaceobject",
        validating(
            {
                "expression": "false",
                "messageExpression": "namespaceObject.metadata.labels['case'] + ' ' + namespaceObject.status.phase + ' ' + namespaceObject.spec.finalizers[0] + string(has(namespaceObject.metadata.UID))",
            }
        ),
        [
            ("POST", CM, cm(), "422 Invalid: x Active kubernetesfalse"),
        ],
        {},
    ),
    case(
        "namespacetime",
        validating("namespaceObject.metadata.creationTimestamp < timestamp('2100-01-01T00:00:00Z')"),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'namespaceObject.metadata.creationTimestamp < timestamp('2100-01-01T00:00:00Z')' resulted in error: no such overload",
            ),
        ],
        {},
    ),
    case(
        "authorizer",
        validating(
            "authorizer.group('').resource('secrets').namespace('x').check('get').allowed() && authorizer.requestResource.check('update').allowed() && !authorizer.serviceAccount('x','y').path('/metrics').check('get').allowed()"
        ),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'authorizer.group('').resource('secrets').namespace('x').check('get').allowed() && authorizer.requestResource.check('update').allowed() && !authorizer.serviceAccount('x','y').path('/metrics').check('get').allowed()' resulted in error: operation cancelled: actual cost limit exceeded",
            ),
        ],
        {},
    ),
    case(
        "authorizerreason",
        validating(
            {
                "expression": "authorizer.serviceAccount('default','x').group('').resource('secrets').check('get').reason() == 'zzz'"
            }
        ),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: failed expression: authorizer.serviceAccount('default','x').group('').resource('secrets').check('get').reason() == 'zzz'",
            ),
        ],
        {},
    ),
    case(
        "authorizer in variables",
        validating(
            "variables.both == 'yes no'",
            variables=[
                {"name": "may", "expression": "authorizer.path('/x').check('get').allowed() ? 'yes' : 'no'"},
                {
                    "name": "other",
                    "expression": "authorizer.serviceAccount('x', 'y').path('/x').check('get').allowed() ? 'yes' : 'no'",
                },
                {"name": "both", "expression": "variables.may + ' ' + variables.other"},
            ],
        ),
        [("POST", CM, cm(), "201")],
    ),
    case(
        "authorizermessage",
        validating(
            {"expression": "false", "messageExpression": "variables.a"},
            variables=[{"name": "a", "expression": "authorizer.path('/x').check('get').allowed() ? 'yes' : 'no'"}],
        ),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "percall",
        validating(DEEP),
        [
            (
                "POST",
                CM,
                cm(),
                f"422 Invalid: expression '{DEEP}' resulted in error: operation cancelled: actual cost limit exceeded",
            ),
        ],
        {},
    ),
    case(
        "manybudget",
        validating(*[FLAT] * 14),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: validation failed due to running out of cost budget, no further validation rules will be run",
            ),
        ],
        {},
    ),
    case(
        "variablebudget",
        validating("variables.a == 1", variables=[{"name": "a", "expression": DEEP + " ? 1 : 2"}]),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'variables.a == 1' resulted in error: composited variable \"a\" fails to evaluate: operation cancelled: actual cost limit exceeded",
            ),
        ],
        {},
    ),
    case(
        "twobindings",
        validating(
            {
                "expression": "object.data.a == params.data.a",
                "messageExpression": "string(params.metadata.name + params.kind + params.apiVersion)",
            },
            paramKind=PK,
            matchConstraints=match(objectSelector={"matchLabels": {"c": "1"}}),
        ),
        [
            ("POST", CM, cm("p1", a="x"), "201"),
            ("POST", CM, cm("p2", a="y"), "201"),
            ("POST", CM, cm("c", {"c": "1"}, a="x"), "422 Invalid: p2ConfigMapv1"),
        ],
        [ref(name="p1"), ref(name="p2")],
    ),
    case(
        "paramname",
        validating(
            {"expression": "object.data.a == params.data.a", "messageExpression": "string(params.metadata.name)"},
            paramKind=PK,
            matchConstraints=match(objectSelector={"matchLabels": {"c": "1"}}),
        ),
        [
            ("POST", CM, cm("par", a="x"), "201"),
            ("POST", CM, cm("c1", {"c": "1"}, a="x"), "201"),
            ("POST", CM, cm("c2", {"c": "1"}, a="y"), "422 Invalid: par"),
        ],
        ref(name="par"),
    ),
    case(
        "parammissing",
        validating("false", paramKind=PK),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
            ),
        ],
        ref(name="none"),
    ),
    case(
        "parammissingallow",
        validating("false", paramKind=PK),
        [
            ("POST", CM, cm(), "201"),
        ],
        {"paramRef": {"name": "none", "parameterNotFoundAction": "Allow"}},
    ),
    case(
        "parammissingignore",
        validating("false", paramKind=PK, failurePolicy="Ignore"),
        [
            ("POST", CM, cm(), "201"),
        ],
        ref(name="none"),
    ),
    case(
        "paramunused",
        validating("params == null", paramKind=PK),
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "paramselector",
        validating(
            {"expression": "object.data.a == params.data.a", "messageExpression": "string(params.metadata.name)"},
            paramKind=PK,
            matchConstraints=match(objectSelector={"matchLabels": {"c": "1"}}),
        ),
        [
            ("POST", CM, cm("par", {"p": "1"}, a="x"), "201"),
            ("POST", CM, cm("oar", {"p": "2"}, a="z"), "201"),
            ("POST", CM, cm("c1", {"c": "1"}, a="x"), "201"),
            ("POST", CM, cm("c2", {"c": "1"}, a="y"), "422 Invalid: par"),
        ],
        ref(selector={"matchLabels": {"p": "1"}}),
    ),
    case(
        "paramkindunknown",
        validating(
            "true",
            paramKind={"apiVersion": "none.example.com/v1", "kind": "Nope"},
            matchConstraints=match(objectSelector={"matchLabels": {"vunk": "y"}}),
        ),
        [
            (
                "POST",
                CM,
                cm("c", {"vunk": "y"}),
                "422 Invalid: failed to configure policy: failed to find resource referenced by paramKind: 'none.example.com/v1, Kind=Nope'",
            ),
        ],
        ref(name="x"),
    ),
    case(
        "paramcluster",
        validating(
            {"expression": "params.metadata.name == 'zzz'", "messageExpression": "string(params.kind)"},
            paramKind={"apiVersion": "v1", "kind": "Namespace"},
        ),
        [
            ("POST", CM, cm(), "422 Invalid: Namespace"),
        ],
        ref(name="default"),
    ),
    case(
        "paramclusternamespace",
        validating("false", paramKind={"apiVersion": "v1", "kind": "Namespace"}),
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
            ),
        ],
        ref(name="default", namespace="x"),
    ),
    case(
        "paramrole",
        validating(
            {
                "expression": "params.rules.size() == 100",
                "messageExpression": "string(params.rules.size()) + params.apiVersion",
            },
            paramKind={"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"},
        ),
        [
            ("POST", "rbac.authorization.k8s.io/v1:roles", ROLE, "201"),
            ("POST", CM, cm(), "422 Invalid: 1rbac.authorization.k8s.io/v1"),
        ],
        ref(name="r"),
    ),
    case(
        "objectselector",
        validating("false", matchConstraints=match(objectSelector={"matchLabels": {"x": "y"}})),
        [
            ("POST", CM, cm(), "201"),
            ("POST", CM, cm("d", {"x": "y"}), "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "exclude",
        validating("false", matchConstraints=match(RULE, excludeResourceRules=[{**RULE, "resourceNames": ["c"]}])),
        [
            ("POST", CM, cm(), "201"),
            ("POST", CM, cm("d"), "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "names",
        validating("false", rules=({**RULE, "resourceNames": ["c"]},)),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: false"),
            ("POST", CM, cm("d"), "201"),
        ],
        {},
    ),
    case(
        "wildcard",
        validating("false", rules=(rule("*", group="*", version="*", operations=["*"], scope="Namespaced"),)),
        [
            ("POST", CM, cm(), "422 Invalid: failed expression: false"),
            ("POST", "pods", POD, "422 Invalid: failed expression: false"),
        ],
        {},
    ),
    case(
        "subresource",
        validating("object.status.phase != 'Failed'", rules=(rule("pods/status"),)),
        [
            ("POST", "pods", POD, "201"),
            (
                "PUT",
                "pods/p/status",
                {**POD, "status": {"phase": "Failed"}},
                "422 Invalid: failed expression: object.status.phase != 'Failed'",
            ),
        ],
        {},
    ),
    case(
        "scale",
        validating(
            {
                "expression": "object.spec.replicas < 5",
                "messageExpression": "object.kind + ' ' + object.apiVersion + ' ' + string(object.spec.replicas) + ' ' + string(oldObject.spec.replicas) + ' ' + request.kind.kind + request.subResource + ' ' + request.requestKind.group + object.metadata.name",
            },
            rules=(rule("deployments/scale", group="apps"),),
        ),
        [
            ("POST", DEPLOYMENTS, DEP, "201"),
            (
                "PUT",
                DEPLOYMENTS + "/d/scale",
                {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 7}},
                "422 Invalid: Scale autoscaling/v1 7 3 Scalescale autoscalingd",
            ),
            (
                "PUT",
                DEPLOYMENTS + "/d/scale",
                {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 4}},
                "200",
            ),
        ],
        {},
    ),
    case(
        "eviction",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.kind + ' ' + object.apiVersion + ' ' + object.metadata.name + ' ' + request.operation + string(oldObject == null) + request.kind.group + request.name",
            },
            rules=(rule("pods/eviction", operations=["CREATE"]),),
        ),
        [
            ("POST", "pods", POD, "201"),
            (
                "POST",
                "pods/p/eviction",
                {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}},
                "422 Invalid: Eviction policy/v1 p CREATEtruepolicyp",
            ),
        ],
        {},
    ),
    case(
        "binding",
        validating(
            {
                "expression": "object.target.name != 'n'",
                "messageExpression": "object.kind + object.target.name + request.name + request.kind.kind",
            },
            rules=(rule("pods/binding", operations=["CREATE"]),),
        ),
        [
            ("POST", "pods", POD, "201"),
            (
                "POST",
                "pods/p/binding",
                {
                    "kind": "Binding",
                    "apiVersion": "v1",
                    "metadata": {"name": "p"},
                    "target": {"kind": "Node", "name": "n"},
                },
                "422 Invalid: BindingnpBinding",
            ),
        ],
        {},
    ),
    case(
        "exec",
        validating(
            {
                "expression": "object.command[0] != 'sh'",
                "messageExpression": "object.kind + object.apiVersion + object.container + string(object.stdin) + string(has(object.stderr)) + request.operation + request.name + request.kind.kind + string(oldObject==null) + string(request.options == null)",
            },
            rules=(rule("pods/exec", operations=["CONNECT"]),),
        ),
        [
            ("POST", "pods", POD, "201"),
            (
                "POST",
                "pods/p/exec?command=sh&stdin=true&container=a&command=-c",
                None,
                "422 Invalid: PodExecOptionsv1atruefalseCONNECTpPodExecOptionstruetrue",
            ),
        ],
        {},
    ),
    case(
        "attach",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.kind + string(has(object.command)) + string(object.stdout) + string(has(object.stderr) ? object.stderr : false) + string(has(object.tty))",
            },
            rules=(rule("pods/attach", operations=["CONNECT"]),),
        ),
        [
            ("POST", "pods", POD, "201"),
            ("POST", "pods/p/attach?stdout=true&tty=0", None, "422 Invalid: PodAttachOptionsfalsetruefalsefalse"),
        ],
        {},
    ),
    case(
        "portforward",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.kind + string(has(object.ports) ? object.ports[0] : 0)",
            },
            rules=(rule("pods/portforward", operations=["CONNECT"]),),
        ),
        [
            ("POST", "pods", POD, "201"),
            ("POST", "pods/p/portforward?ports=80", None, "422 Invalid: PodPortForwardOptions80"),
        ],
        {},
    ),
    case(
        "proxy",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.kind + (has(object.path) ? object.path : '-') + request.subResource",
            },
            rules=(rule("pods/proxy", "services/proxy", operations=["CONNECT"]),),
        ),
        [
            ("POST", "pods", POD, "201"),
            ("GET", "pods/p/proxy/a/b", None, "422 Invalid: PodProxyOptions/a/bproxy"),
            ("GET", "services/x/proxy", None, "422 Invalid: ServiceProxyOptions-proxy"),
        ],
        {},
    ),
    case(
        "fields",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.map(k,k).sort().join(',') + ';' + object.spec.map(k,k).sort().join(',') + ';' + object.spec.containers[0].map(k,k).sort().join(',') + ';' + object.metadata.map(k,k).sort().join(',')",
            },
            rules=(rule("pods"),),
        ),
        [
            (
                "POST",
                "pods",
                POD,
                "422 Invalid: apiVersion,kind,metadata,spec,status;containers,dnsPolicy,enableServiceLinks,preemptionPolicy,priority,restartPolicy,schedulerName,securityContext,serviceAccount,serviceAccountName,terminationGracePeriodSeconds,tolerations,volumes;image,imagePullPolicy,name,resources,terminationMessagePath,terminationMessagePolicy,volumeMounts;creationTimestamp,generation,managedFields,name,namespace,uid",
            ),
        ],
        {},
    ),
    case(
        "fieldsdeployment",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.map(k,k).sort().join(',') + ';' + object.spec.map(k,k).sort().join(',') + ';' + object.spec.template.map(k,k).sort().join(',') + ';' + object.spec.template.metadata.map(k,k).sort().join(',') + ';' + object.metadata.map(k,k).sort().join(',')",
            },
            rules=(rule("deployments", group="apps"),),
        ),
        [
            (
                "POST",
                DEPLOYMENTS,
                DEP,
                "422 Invalid: apiVersion,kind,metadata,spec,status;progressDeadlineSeconds,replicas,revisionHistoryLimit,selector,strategy,template;metadata,spec;labels;creationTimestamp,generation,managedFields,name,namespace,uid",
            ),
        ],
        {},
    ),
    case(
        "fieldsservice",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.map(k,k).sort().join(',') + ';' + object.spec.map(k,k).sort().join(',') + ';' + object.status.map(k,k).sort().join(',')+ ';' + object.spec.ports[0].map(k,k).sort().join(',')",
            },
            rules=(rule("services"),),
        ),
        [
            (
                "POST",
                "services",
                {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
                "422 Invalid: apiVersion,kind,metadata,spec,status;clusterIP,clusterIPs,internalTrafficPolicy,ipFamilies,ipFamilyPolicy,ports,sessionAffinity,type;loadBalancer;port,protocol,targetPort",
            ),
        ],
        {},
    ),
    case(
        "types",
        validating(
            "type(object.spec.ports[0].targetPort) == int && object.spec.ports[0].targetPort == 80 && object.spec.ports[0].port > 79 && type(object.spec.ports[0].port) == int",
            rules=(rule("services"),),
        ),
        [
            ("POST", "services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}, "201"),
            (
                "POST",
                "services",
                {"metadata": {"name": "s2"}, "spec": {"ports": [{"port": 80, "targetPort": "x"}]}},
                "422 Invalid: failed expression: type(object.spec.ports[0].targetPort) == int && object.spec.ports[0].targetPort == 80 && object.spec.ports[0].port > 79 && type(object.spec.ports[0].port) == int",
            ),
        ],
        {},
    ),
    case(
        "quantity",
        validating(
            "quantity(object.spec.containers[0].resources.limits.cpu).isLessThan(quantity('1'))", rules=(rule("pods"),)
        ),
        [
            (
                "POST",
                "pods",
                {**POD, "spec": {"containers": [{"name": "a", "image": "x", "resources": {"limits": {"cpu": "2"}}}]}},
                "422 Invalid: failed expression: quantity(object.spec.containers[0].resources.limits.cpu).isLessThan(quantity('1'))",
            ),
            (
                "POST",
                "pods",
                {**POD, "spec": {"containers": [{"name": "a", "image": "x", "resources": {"limits": {"cpu": 0.5}}}]}},
                "201",
            ),
            (
                "POST",
                "pods",
                {**POD, "metadata": {"name": "q"}},
                "422 Invalid: expression 'quantity(object.spec.containers[0].resources.limits.cpu).isLessThan(quantity('1'))' resulted in error: no such key: limits",
            ),
        ],
        {},
    ),
    case(
        "deletecollection",
        validating(
            {
                "expression": "false",
                "messageExpression": "string(object == null) + string(oldObject == null) + (has(request.name) ? request.name : 'none')",
            },
            rules=(rule(CM, operations=["DELETE"]),),
            matchConditions=[{"name": "x", "expression": "oldObject == null || oldObject.metadata.name == 'c'"}],
        ),
        [
            ("POST", CM, cm(), "201"),
            ("DELETE", CM + "?labelSelector=x", None, "200"),
            ("DELETE", CM + "?fieldSelector=metadata.name=c", None, "422 Invalid: truefalsenone"),
        ],
        {},
    ),
    case(
        "events",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.apiVersion + ' ' + request.kind.group + '/' + request.kind.version + ' ' + request.resource.group + ' ' + request.requestKind.group + string(has(object.regarding)) + string(has(object.involvedObject))",
            },
            rules=(rule("events", group="events.k8s.io"),),
        ),
        [
            ("POST", "events", EVENT, "422 Invalid: events.k8s.io/v1 events.k8s.io/v1 events.k8s.io truefalse"),
        ],
        {},
    ),
    case(
        "hpa",
        validating(
            {
                "expression": "false",
                "messageExpression": "object.apiVersion + ' ' + string(object.spec.?targetCPUUtilizationPercentage.orValue(0)) + request.requestResource.version + request.resource.version",
            },
            rules=(rule("horizontalpodautoscalers", group="autoscaling", version="v1"),),
        ),
        [
            ("POST", HPAS, HPA, "422 Invalid: autoscaling/v1 55v2v1"),
        ],
        {},
    ),
    case(
        "exact",
        validating("false", matchConstraints=match(rule("events", group="events.k8s.io"), matchPolicy="Exact")),
        [
            ("POST", "events", EVENT, "201"),
        ],
        {},
    ),
    case(
        "auditannotationerror",
        {**validating("true"), "auditAnnotations": [{"key": "k", "valueExpression": "'v ' + object.data.none"}]},
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression ''v ' + object.data.none' resulted in error: no such key: data",
            ),
        ],
        {},
    ),
    case(
        "auditannotationerrorignore",
        {
            **validating("true", failurePolicy="Ignore"),
            "auditAnnotations": [{"key": "k", "valueExpression": "'v ' + object.data.none"}],
        },
        [
            ("POST", CM, cm(), "201"),
        ],
        {},
    ),
    case(
        "auditannotationauthorizer",
        {
            **validating("true"),
            "auditAnnotations": [
                {"key": "k", "valueExpression": "authorizer.path('/x').check('get').allowed() ? 'y' : 'n'"}
            ],
        },
        [
            (
                "POST",
                CM,
                cm(),
                "422 Invalid: expression 'authorizer.path('/x').check('get').allowed() ? 'y' : 'n'' resulted in error: no such attribute(s): authorizer",
            ),
        ],
        {},
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_what_is_answered(case: Case):
    assert answers("validating", case) == [step[3] for step in case.steps]
