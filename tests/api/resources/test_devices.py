"""Mistakes in resource.k8s.io: slices, classes and claims of devices. One mistake at a time, with upstream's path and words."""

from typing import Any

import pytest

from .objects import build, mistakes

RESOURCESLICE = "resource.k8s.io/v1/ResourceSlice"
DEVICECLASS = "resource.k8s.io/v1/DeviceClass"
RESOURCECLAIM = "resource.k8s.io/v1/ResourceClaim"
RESOURCECLAIMTEMPLATE = "resource.k8s.io/v1/ResourceClaimTemplate"

SOUND: dict[str, Any] = {
    RESOURCESLICE: {
        "spec": {
            "driver": "a.b",
            "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "d0"}],
        }
    },
    DEVICECLASS: {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'a.b'"}}]}},
    RESOURCECLAIM: {
        "spec": {
            "devices": {
                "requests": [
                    {"name": "r", "exactly": {"deviceClassName": "d.e", "allocationMode": "ExactCount", "count": 1}}
                ]
            }
        }
    },
    RESOURCECLAIMTEMPLATE: {
        "spec": {
            "spec": {
                "devices": {
                    "requests": [
                        {"name": "r", "exactly": {"deviceClassName": "d.e", "allocationMode": "ExactCount", "count": 1}}
                    ]
                }
            }
        }
    },
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_a_sound_object_has_no_mistakes(kind: str) -> None:
    assert mistakes(build(kind, SOUND[kind])) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "messages"),
    [
        pytest.param(RESOURCESLICE, "spec.driver", "", ["spec.driver: Required value"], id="no driver"),
        pytest.param(
            RESOURCESLICE,
            "spec.driver",
            "A_b",
            [
                "spec.driver: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ],
            id="driver name",
        ),
        pytest.param(RESOURCESLICE, "spec.pool.name", "", ["spec.pool.name: Required value"], id="pool without name"),
        pytest.param(
            RESOURCESLICE,
            "spec.pool.name",
            "a//b",
            [
                "spec.pool.name: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ],
            id="pool name",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.pool.resourceSliceCount",
            0,
            ["spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"],
            id="no slices",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.pool.generation",
            -1,
            ["spec.pool.generation: Invalid value: -1: must be greater than or equal to zero"],
            id="negative generation",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.nodeName",
            None,
            [
                "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
            ],
            id="on no node",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.allNodes",
            True,
            [
                'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set'
            ],
            id="on one node and all",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices",
            [{"name": "d"}] * 2,
            ['spec.devices[1]: Duplicate value: "d"'],
            id="devices of one name",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.name",
            "D_0",
            [
                "spec.devices[0].name: Invalid value: \"D_0\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
            id="device name",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.attributes",
            {"k": {}},
            ['spec.devices[0].attributes[k]: Invalid value: "": exactly one value must be specified'],
            id="attribute without value",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.attributes",
            {"k": {"int": 1, "bool": True}},
            [
                'spec.devices[0].attributes[k]: Invalid value: {"IntValue":1,"BoolValue":true,"StringValue":null,"VersionValue":null,"IntValues":null,"BoolValues":null,"StringValues":null,"VersionValues":null}: exactly one value must be specified'
            ],
            id="attribute of two values",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.attributes",
            {"a-b": {"int": 1}},
            [
                "spec.devices[0].attributes: Invalid value: \"a-b\": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
            ],
            id="attribute name",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.attributes",
            {"k": {"version": "1"}},
            [
                'spec.devices[0].attributes[k].version: Invalid value: "1": must be a string compatible with semver.org spec 2.0.0'
            ],
            id="version attribute",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.attributes",
            {"k": {"string": "x" * 65}},
            ["spec.devices[0].attributes[k].string: Too long: may not be more than 64 bytes"],
            id="long text",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices",
            [{"name": f"d{i}"} for i in range(129)],
            ["spec.devices: Too many: 129: must have at most 128 items"],
            id="too many devices",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.capacity",
            {"9a": {"value": "1"}},
            [
                "spec.devices[0].capacity: Invalid value: \"9a\": a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
            ],
            id="capacity name",
        ),
        pytest.param(
            RESOURCESLICE,
            "spec.devices.0.taints",
            [{"key": "k", "effect": "Slow"}],
            [
                'spec.devices[0].taints[0].effect: Unsupported value: "Slow": supported values: "NoExecute", "NoSchedule", "None"'
            ],
            id="taint effect",
        ),
        pytest.param(
            DEVICECLASS,
            "spec.selectors.0.cel.expression",
            "device.drive ==",
            [
                "spec.selectors[0].cel.expression: Invalid value: \"device.drive ==\": compilation failed: ERROR: <input>:1:16: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | device.drive ==\n | ...............^"
            ],
            id="expression without compiler's blessing",
        ),
        pytest.param(
            DEVICECLASS,
            "spec.selectors.0.cel.expression",
            "device.driver",
            [
                'spec.selectors[0].cel.expression: Invalid value: "device.driver": must evaluate to bool or the unknown type, not string'
            ],
            id="expression of another type",
        ),
        pytest.param(
            DEVICECLASS, "spec.selectors", [{}], ["spec.selectors[0].cel: Required value"], id="selector without cel"
        ),
        pytest.param(
            DEVICECLASS,
            "spec.selectors",
            [{"cel": {"expression": "true"}}] * 33,
            ["spec.selectors: Too many: 33: must have at most 32 items"],
            id="too many selectors",
        ),
        pytest.param(
            DEVICECLASS,
            "spec.config",
            [{"opaque": {"driver": "", "parameters": {"a": 1}}}],
            ["spec.config[0].opaque.driver: Required value"],
            id="configuration without driver",
        ),
        pytest.param(
            DEVICECLASS,
            "spec.config",
            [{"opaque": {"driver": "a.b"}}],
            ["spec.config[0].opaque.parameters: Required value"],
            id="configuration without parameters",
        ),
        pytest.param(
            DEVICECLASS,
            "spec.extendedResourceName",
            "cpu",
            ['spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name'],
            id="extended resource",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.name",
            "",
            [
                "spec.devices.requests[0].name: Invalid value: \"\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
            id="request without name",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests",
            [{"name": "r", "exactly": {"deviceClassName": "d.e", "allocationMode": "ExactCount", "count": 1}}] * 2,
            ['spec.devices.requests[1]: Duplicate value: "r"'],
            id="requests of one name",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests",
            [{"name": "r"}],
            ["spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"],
            id="request without body",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests",
            [
                {
                    "name": "r",
                    "exactly": {"deviceClassName": "d.e", "allocationMode": "ExactCount", "count": 1},
                    "firstAvailable": [{"name": "s", "deviceClassName": "d.e"}],
                }
            ],
            [
                "spec.devices.requests[0]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
            ],
            id="request of both forms",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.deviceClassName",
            "",
            ["spec.devices.requests[0].exactly.deviceClassName: Required value"],
            id="request without class",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.allocationMode",
            "Some",
            [
                'spec.devices.requests[0].exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"'
            ],
            id="allocation mode",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.allocationMode",
            "All",
            [
                "spec.devices.requests[0].exactly.count: Invalid value: 1: must not be specified when allocationMode is 'All'"
            ],
            id="count with all",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.count",
            -1,
            ["spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero"],
            id="no devices asked for",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.selectors",
            [{"cel": {"expression": "1"}}],
            [
                'spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: "1": must evaluate to bool or the unknown type, not int'
            ],
            id="selector expression",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.constraints",
            [{"requests": ["q"], "matchAttribute": "a.b/c"}],
            [
                "spec.devices.constraints[0].requests[0]: Invalid value: \"q\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
            ],
            id="constraint on an unknown request",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.constraints",
            [{"requests": ["r"]}],
            [
                'spec.devices.constraints[0]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
            ],
            id="constraint without attribute",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.constraints",
            [{"matchAttribute": "c"}],
            [
                'spec.devices.constraints[0].matchAttribute: Invalid value: "c": a fully qualified name must be a domain and a name separated by a slash'
            ],
            id="constraint on a short attribute",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.config",
            [{"requests": ["q"], "opaque": {"driver": "a.b", "parameters": {"a": 1}}}],
            [
                "spec.devices.config[0].requests[0]: Invalid value: \"q\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
            ],
            id="configuration of an unknown request",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.config",
            [{"requests": ["r"]}],
            ["spec.devices.config[0].opaque: Required value"],
            id="configuration of nothing",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests",
            [{"name": "r", "firstAvailable": [{"name": "s", "deviceClassName": "d.e"}] * 2}],
            ['spec.devices.requests[0].firstAvailable[1]: Duplicate value: "s"'],
            id="choices of one name",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests",
            [{"name": "r", "firstAvailable": [{"name": f"s{i}", "deviceClassName": "d.e"} for i in range(9)]}],
            ["spec.devices.requests[0].firstAvailable: Too many: 9: must have at most 8 items"],
            id="too many choices",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.tolerations",
            [{"key": "k", "operator": "Near"}],
            [
                'spec.devices.requests[0].exactly.tolerations[0].operator: Unsupported value: "Near": supported values: "Equal", "Exists"'
            ],
            id="tolerations operator",
        ),
        pytest.param(
            RESOURCECLAIM,
            "spec.devices.requests.0.exactly.tolerations",
            [{"key": "k", "operator": "Exists", "value": "v"}],
            [
                'spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: "v": must be empty for operator `Exists`'
            ],
            id="toleration with a value for any",
        ),
        pytest.param(
            RESOURCECLAIMTEMPLATE,
            "spec.spec.devices.requests.0.name",
            "",
            [
                "spec.spec.devices.requests[0].name: Invalid value: \"\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ],
            id="template's request without name",
        ),
    ],
)
def test_a_mistake_is_named(kind: str, path: str, value: Any, messages: list[str]) -> None:
    assert mistakes(build(kind, SOUND[kind], path, value)) == messages
