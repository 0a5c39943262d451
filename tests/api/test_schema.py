"""Schema nodes: what patch and apply ask of upstream's definitions."""

import pytest

from skiff.api.schema import SchemaNode, load

POD_SPEC = "io.k8s.api.core.v1.PodSpec"


def at(definition: str, path: str) -> SchemaNode:
    node = load().node(definition)
    for name in path.split("."):
        if name == "*":
            node = node.items or node.values  # type: ignore[assignment]
        else:
            node = node.properties[name]
    return node


@pytest.mark.parametrize(
    ("path", "keys", "merge_key", "strategy"),
    [
        pytest.param("containers", ("name",), "name", ("merge",), id="containers merge by name"),
        pytest.param(
            "containers.*.ports", ("containerPort", "protocol"), "containerPort", ("merge",), id="ports have two keys"
        ),
        pytest.param(
            "volumes", ("name",), "name", ("merge", "retainKeys"), id="volumes keep only the keys of their source"
        ),
        pytest.param("imagePullSecrets", ("name",), "name", ("merge",), id="pull secrets merge by name"),
    ],
)
def test_lists_of_a_pod_that_merge(path: str, keys: tuple[str, ...], merge_key: str, strategy: tuple[str, ...]) -> None:
    node = at(POD_SPEC, path)
    assert (node.kind, node.list_type, node.list_map_keys) == ("array", "map", keys)
    assert (node.patch_merge_key, node.patch_strategy) == (merge_key, strategy)


@pytest.mark.parametrize(
    ("definition", "path", "kind", "go_type"),
    [
        pytest.param(POD_SPEC, "nodeSelector", "map", "map[string]string", id="free keys are a map"),
        pytest.param(POD_SPEC, "containers.*.resources.limits", "map", "map[string]resource.Quantity", id="amounts"),
        pytest.param(POD_SPEC, "containers.*.command", "array", "[]string", id="a plain list"),
        pytest.param(POD_SPEC, "priority", "scalar", "int32", id="a number"),
        pytest.param("io.k8s.api.apps.v1.ControllerRevision", "data", "any", "runtime.RawExtension", id="anything"),
        pytest.param(
            "io.k8s.api.apps.v1.Deployment", "spec.strategy", "object", "v1.DeploymentStrategy", id="a struct"
        ),
    ],
)
def test_kinds_of_places(definition: str, path: str, kind: str, go_type: str) -> None:
    node = at(definition, path)
    assert (node.kind, node.go_type) == (kind, go_type)


def test_a_strategy_beside_a_reference_is_kept() -> None:
    node = at("io.k8s.api.apps.v1.Deployment", "spec.strategy")
    assert node.patch_strategy == ("retainKeys",)
    assert set(node.properties) == {"type", "rollingUpdate"}


def test_a_list_without_a_type_is_atomic_and_protocol_has_the_default_that_keys_need() -> None:
    assert at(POD_SPEC, "containers.*.command").list_type == "atomic"
    assert at(POD_SPEC, "containers.*.ports.*.protocol").default == "TCP"


def test_atomic_structs() -> None:
    assert at("io.k8s.api.apps.v1.Deployment", "spec.selector").map_type == "atomic"
    assert at("io.k8s.api.apps.v1.Deployment", "spec.template").map_type == "granular"


def test_recursive_definitions_end() -> None:
    props = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    assert at(props, "properties.*.not.allOf.*").definition == props


def test_previews_are_left_out() -> None:
    assert not [n for n in load().names() if ".v1beta" in n or ".v1alpha" in n]


def test_every_definition_becomes_nodes() -> None:
    schemas = load()
    for name in schemas.names():
        for child in schemas.node(name).properties.values():
            assert child.kind in ("object", "array", "map", "scalar", "any")


def test_a_custom_resources_schema_becomes_such_a_tree() -> None:
    node = SchemaNode(
        {
            "type": "object",
            "properties": {
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "either": {"x-kubernetes-int-or-string": True},
            },
        }
    )
    assert node.properties["open"].unknown
    assert node.properties["either"].format == "int-or-string"
