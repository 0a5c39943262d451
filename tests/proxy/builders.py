"""Services and endpoint slices for the proxy's tests, as the API gives them."""

from skiff.api.types import Obj


def service(
    name="web", namespace="default", *, ip="10.96.0.1", ports=({"name": "http", "port": 80},), status=None, **spec
) -> Obj:
    full = [{"protocol": "TCP", "targetPort": 8080, **p} for p in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": full, **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": i} for i in status or ()]}},
    }


def endpoint(address: str, node="n1", *, ready=True, serving=None, terminating=False, **more) -> Obj:
    conditions = {"ready": ready, "serving": ready if serving is None else serving, "terminating": terminating}
    return {"addresses": [address], "conditions": conditions, "nodeName": node, **more}


def slice_of(
    name="web", *endpoints: Obj, namespace="default", suffix="1", ports=({"name": "http", "port": 8080},), family="IPv4"
) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{suffix}",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": family,
        "ports": [{"protocol": "TCP", **p} for p in ports],
        "endpoints": list(endpoints),
    }
