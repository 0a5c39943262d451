"""Whether the server behind an APIService can be used: its service, its endpoints, its answer.

Reasons and sentences are upstream's (kube-aggregator pkg/controllers/status/remote). `precheck` is pure.
"""

from collections.abc import Sequence

from skiff.api.resources.apiregistration import condition
from skiff.api.types import Obj

PASSED = condition("True", "Passed", "all checks passed")


def precheck(reference: Obj, service: Obj | None, slices: Sequence[Obj]) -> Obj | None:
    """What stands against asking the server: a condition; None: nothing."""
    name, namespace, port = reference["name"], reference["namespace"], reference.get("port", 443)
    named = f'service/{name} in "{namespace}"'
    if service is None:
        return condition("False", "ServiceNotFound", f"{named} is not present")
    if service["spec"].get("type", "ClusterIP") != "ClusterIP":
        return None
    ports = [p for p in service["spec"].get("ports") or () if p["port"] == port]
    if not ports:
        return condition("False", "ServicePortError", f"{named} is not listening on port {port}")
    if not slices:
        return condition("False", "EndpointsNotFound", f"cannot find endpointslices for {named}")
    port_name = ports[0].get("name", "")
    if not any(has_endpoint(s, port_name) for s in slices):
        message = f'endpointslices for {named} have no addresses with port name "{port_name}"'
        return condition("False", "MissingEndpoints", message)
    return None


def has_endpoint(endpoint_slice: Obj, port_name: str) -> bool:
    ready = any(is_ready(e) for e in endpoint_slice.get("endpoints") or ())
    ports = endpoint_slice.get("ports") or ()
    return ready and any((p.get("name") or "") == port_name and p.get("port") for p in ports)


def is_ready(endpoint: Obj) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def address(reference: Obj, service: Obj | None, slices: Sequence[Obj]) -> list[tuple[str, int]]:
    """Where the service is reached: its cluster address, its external name, or (slices given) its endpoints."""
    port = int(reference.get("port", 443))
    if service is None:
        return []
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return [(spec.get("externalName", ""), port)]
    ports = [p for p in spec.get("ports") or () if p["port"] == port]
    if not ports:
        return []
    if not slices:
        ip = spec.get("clusterIP", "")
        return [(ip, port)] if ip not in ("", "None") else []
    name = ports[0].get("name", "")
    return [
        (ip, p["port"])
        for s in slices
        for p in s.get("ports") or ()
        if (p.get("name") or "") == name and p.get("port")
        for e in s.get("endpoints") or ()
        if is_ready(e)
        for ip in e.get("addresses") or ()
    ]
