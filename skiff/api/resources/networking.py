"""networking.k8s.io/v1: ingresses, network policies, service addresses. Defaults: pkg/apis/networking/v1/defaults.go."""

from collections.abc import Sequence

from skiff.api.resources import Resource, status_checks
from skiff.api.resources import address_checks as addresses
from skiff.api.resources import networking_checks as checks
from skiff.api.resources.checks import update_validator, validator
from skiff.api.resources.core.warn import load_balancer
from skiff.api.resources.define import STATUS, builtin
from skiff.api.resources.fields import child, each, inside, items, nil, rules, struct
from skiff.api.resources.warnings import ingress_warnings, network_policy_warnings
from skiff.api.types import Obj


def default_network_policy(obj: Obj) -> None:
    """Types follow from the rules when they are not said: always Ingress, and Egress when there is an egress rule."""
    spec = child(obj, "spec")
    child(spec, "podSelector")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        for rule in items(spec, direction):
            each("ports", nil(protocol="TCP"))(rule)


default_ingress_class = inside("spec.parameters", nil(scope="Cluster"))

default_ingress = rules(struct("spec"), struct("status.loadBalancer"))


RESOURCES: Sequence[Resource] = (
    builtin(
        "networking.k8s.io",
        "v1",
        "ingressclasses",
        "IngressClass",
        validate=validator(checks.check_ingress_class),
        validate_update=update_validator(checks.check_ingress_class_update),
        namespaced=False,
        default=default_ingress_class,
        has_generation=True,
    ),
    builtin(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        validate=validator(checks.check_ingress),
        validate_status_update=update_validator(status_checks.check_ingress_status),
        short_names=("ing",),
        warn=ingress_warnings,
        warn_status=load_balancer,
        subresources=(STATUS,),
        default=default_ingress,
        has_generation=True,
    ),
    builtin(
        "networking.k8s.io",
        "v1",
        "ipaddresses",
        "IPAddress",
        validate=validator(addresses.check_ip_address),
        validate_update=update_validator(addresses.check_ip_address_update),
        name_rule=addresses.ip_name,
        namespaced=False,
        short_names=("ip",),
    ),
    builtin(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        validate=validator(checks.check_network_policy),
        short_names=("netpol",),
        warn=network_policy_warnings,
        default=default_network_policy,
        has_generation=True,
    ),
    builtin(
        "networking.k8s.io",
        "v1",
        "servicecidrs",
        "ServiceCIDR",
        validate_create=validator(addresses.check_service_cidr),
        validate_update=update_validator(addresses.check_service_cidr_update),
        namespaced=False,
        subresources=(STATUS,),
        default=rules(struct("spec"), struct("status")),
    ),
)
