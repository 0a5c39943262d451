"""Environment variables, downward API, host files. Source: Kubernetes docs, "Define Environment Variables", "DNS for
Services and Pods"."""

from typing import Any

import pytest

from skiff.api.types import Obj
from skiff.kubelet import netfiles
from skiff.kubelet.environment import ConfigError, PodFacts, expand, make, service_variables
from skiff.kubelet.netfiles import Resolver
from tests.kubelet.make import pod, spec

FACTS = PodFacts("n1", ["10.1.0.1"], ["10.0.0.2"], {"cpu": "4", "memory": "8Gi"})
OBJECTS = {
    ("configmap", "cm"): {"kind": "ConfigMap", "data": {"a": "1", "b": "2"}},
    ("secret", "s"): {"kind": "Secret", "data": {"p": "aGk="}},
}


def value_from(**source: Any) -> Obj:
    return {"name": "X", "valueFrom": source}


RESOURCES = {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
VALUES = [
    pytest.param({"name": "X", "value": "plain"}, "plain", id="plain"),
    pytest.param({"name": "X", "value": "$(KNOWN)/$(UNKNOWN)/$$(KNOWN)"}, "k/$(UNKNOWN)/$(KNOWN)", id="expansion"),
    pytest.param(value_from(configMapKeyRef={"name": "cm", "key": "b"}), "2", id="a config map's key"),
    pytest.param(value_from(secretKeyRef={"name": "s", "key": "p"}), "hi", id="a secret's key, decoded"),
    pytest.param(
        value_from(configMapKeyRef={"name": "no", "key": "b", "optional": True}), None, id="optional and missing"
    ),
    pytest.param(value_from(fieldRef={"fieldPath": "metadata.name"}), "web", id="the pod's name"),
    pytest.param(value_from(fieldRef={"fieldPath": "metadata.labels['l']"}), "v", id="one label"),
    pytest.param(value_from(fieldRef={"fieldPath": "status.podIP"}), "10.0.0.2", id="the pod's address"),
    pytest.param(value_from(fieldRef={"fieldPath": "spec.nodeName"}), "n1", id="the node's name"),
    pytest.param(value_from(resourceFieldRef={"resource": "limits.cpu"}), "2", id="cpu is rounded up"),
    pytest.param(value_from(resourceFieldRef={"resource": "limits.cpu", "divisor": "1m"}), "1500", id="cpu in milli"),
    pytest.param(value_from(resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"}), "64", id="memory in Mi"),
    pytest.param(value_from(resourceFieldRef={"resource": "requests.memory"}), "0", id="a request that is not set"),
]


@pytest.mark.parametrize("variable, expected", VALUES)
def test_values(variable: Obj, expected: str | None) -> None:
    p = pod(spec("app", env=[{"name": "KNOWN", "value": "k"}, variable], resources=RESOURCES), enableServiceLinks=False)
    p["metadata"]["labels"] = {"l": "v"}
    made = make(p, p["spec"]["containers"][0], lambda k, n: OBJECTS.get((k, n)), [], FACTS)
    assert made.get("X") == expected


ERRORS = [
    pytest.param({"env": [value_from(configMapKeyRef={"name": "no", "key": "k"})]}, 'configmap "no" not found', id="no config map"),
    pytest.param({"env": [value_from(secretKeyRef={"name": "no", "key": "k"})]}, 'secret "no" not found', id="no secret"),
    pytest.param(
        {"env": [value_from(configMapKeyRef={"name": "cm", "key": "k"})]}, "couldn't find key k in ConfigMap default/cm", id="no key"
    ),
    pytest.param({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found', id="no source"),
]  # fmt: skip


@pytest.mark.parametrize("container, message", ERRORS)
def test_errors(container: Obj, message: str) -> None:
    p = pod(spec("app", **container))
    with pytest.raises(ConfigError) as e:
        make(p, p["spec"]["containers"][0], lambda k, n: OBJECTS.get((k, n)), [], FACTS)
    assert str(e.value) == message


def test_a_limit_that_is_not_set_is_what_the_node_has() -> None:
    p = pod(spec("app", env=[value_from(resourceFieldRef={"resource": "limits.cpu"})]))
    assert make(p, p["spec"]["containers"][0], lambda k, n: None, [], FACTS)["X"] == "4"


def test_the_containers_own_variables_win() -> None:
    own = spec("app", envFrom=[{"configMapRef": {"name": "cm"}, "prefix": "P_"}], env=[{"name": "P_a", "value": "own"}])
    made = make(pod(own), own, lambda k, n: OBJECTS.get((k, n)), [], FACTS)
    assert (made["P_a"], made["P_b"]) == ("own", "2")


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("$(A)", "1", id="known"),
        pytest.param("$", "$", id="a lone dollar"),
        pytest.param("$(A", "$(A", id="not closed"),
        pytest.param("$$$(A)", "$1", id="escaped, then known"),
        pytest.param("a$b", "a$b", id="no parenthesis"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def service(name: str, namespace: str = "default", ip: str = "10.96.0.5") -> Obj:
    ports = [{"port": 80, "name": "http"}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}}


def test_service_variables() -> None:
    found = service_variables(pod(), [service("my-db"), service("other", "elsewhere"), service("none", ip="None")])
    assert found == {
        "MY_DB_SERVICE_HOST": "10.96.0.5",
        "MY_DB_SERVICE_PORT": "80",
        "MY_DB_SERVICE_PORT_HTTP": "80",
        "MY_DB_PORT": "tcp://10.96.0.5:80",
        "MY_DB_PORT_80_TCP": "tcp://10.96.0.5:80",
        "MY_DB_PORT_80_TCP_PROTO": "tcp",
        "MY_DB_PORT_80_TCP_PORT": "80",
        "MY_DB_PORT_80_TCP_ADDR": "10.96.0.5",
    }


def test_without_links_only_kubernetes_is_told() -> None:
    found = service_variables(pod(enableServiceLinks=False), [service("db"), service("kubernetes")])
    assert {k.split("_")[0] for k in found} == {"KUBERNETES"}


HOST = Resolver(("8.8.8.8",), ("example.org",), ("timeout:1",))
OWN = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.org")
DNS = [
    pytest.param({}, Resolver(("10.96.0.10",), OWN, ("ndots:5",)), id="the cluster first"),
    pytest.param({"dnsPolicy": "Default"}, HOST, id="as the node"),
    pytest.param({"hostNetwork": True}, HOST, id="in the host's network as the node"),
    pytest.param({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, Resolver(("10.96.0.10",), OWN, ("ndots:5",)), id="unless told otherwise"),
    pytest.param(
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}]}},
        Resolver(("1.1.1.1",), ("a.b",), ("ndots:2",)), id="only what the pod says",
    ),
    pytest.param(
        {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}]}},
        Resolver(("10.96.0.10",), OWN, ("ndots:1", "edns0")), id="options of the pod win",
    ),
]  # fmt: skip


@pytest.mark.parametrize("more, expected", DNS)
def test_resolver(more: dict[str, Any], expected: Resolver) -> None:
    assert netfiles.resolver(pod(**more), ["10.96.0.10"], "cluster.local", HOST) == expected


def test_resolv_conf_is_read() -> None:
    text = "# c\nnameserver 8.8.8.8\nsearch example.org.\noptions timeout:1\n"
    assert netfiles.parse_resolv_conf(text) == HOST


def test_hosts_file() -> None:
    p = pod(hostname="h", subdomain="s", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}])
    text = netfiles.hosts_file(p, ["10.0.0.2"], "cluster.local", "")
    assert "10.0.0.2\th.s.default.svc.cluster.local\th\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n")


def test_a_host_name_that_is_too_long_is_refused() -> None:
    p = pod(hostname="h" * 60, subdomain="sub", setHostnameAsFQDN=True)
    with pytest.raises(ConfigError, match="64 characters is the max"):
        netfiles.kernel_hostname(p, "cluster.local")
