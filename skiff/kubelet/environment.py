"""The environment variables of a container: services, envFrom, env with its references, $(VAR) expansion. Pure.

Objects are handed in; what is missing raises ConfigError with upstream's sentence (CreateContainerConfigError).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from skiff.api import quantity
from skiff.api.types import Obj

Getter = Callable[[str, str], Obj | None]
"""(kind "configmap" or "secret", name) → the object of the pod's namespace, None if it does not exist."""


class ConfigError(Exception):
    """The pod asks for something that is not there or not allowed. The user's fault; the message is for them."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What downward API fields need beyond the pod. allocatable: of the node, as a ResourceList."""

    node_name: str
    host_ips: Sequence[str]
    pod_ips: Sequence[str]
    allocatable: Mapping[str, str]


def references(container: Obj) -> set[tuple[str, str]]:
    """(kind, name) of every config map and secret that the container's environment names."""
    found = set()
    for source in container.get("envFrom") or []:
        for kind, key in (("configmap", "configMapRef"), ("secret", "secretRef")):
            if source.get(key):
                found.add((kind, source[key]["name"]))
    for var in container.get("env") or []:
        value_from = var.get("valueFrom") or {}
        for kind, key in (("configmap", "configMapKeyRef"), ("secret", "secretKeyRef")):
            if value_from.get(key):
                found.add((kind, value_from[key]["name"]))
    return found


def make(pod: Obj, container: Obj, get: Getter, services: Sequence[Obj], facts: PodFacts) -> dict[str, str]:
    """All variables; what the container says comes after, and so wins over, what services and envFrom give."""
    out = _env_from(container, get)
    for var in container.get("env") or []:
        if var.get("valueFrom"):
            value = _value_from(pod, container, var["valueFrom"], get, facts)
            if value is None:
                continue
        else:
            value = expand(var.get("value") or "", {**service_variables(pod, services), **out})
        out[var["name"]] = value
    return {**service_variables(pod, services), **out}


def _env_from(container: Obj, get: Getter) -> dict[str, str]:
    out: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix") or ""
        for kind, key in (("configmap", "configMapRef"), ("secret", "secretRef")):
            ref = source.get(key)
            if not ref:
                continue
            obj = get(kind, ref["name"])
            if obj is None and not ref.get("optional"):
                raise ConfigError(f'{kind} "{ref["name"]}" not found')
            out |= {prefix + k: v for k, v in _text_data(obj).items()}
    return out


def _text_data(obj: Obj | None) -> dict[str, str]:
    if obj is None:
        return {}
    if obj.get("kind") == "Secret":
        return {k: v.decode("utf-8", "replace") for k, v in secret_data(obj).items()}
    return dict(obj.get("data") or {})


def secret_data(secret: Obj) -> dict[str, bytes]:
    import base64

    return {k: base64.b64decode(v or "") for k, v in (secret.get("data") or {}).items()}


def _value_from(pod: Obj, container: Obj, source: Obj, get: Getter, facts: PodFacts) -> str | None:
    """None: optional and not there."""
    if source.get("fieldRef"):
        return field_value(pod, source["fieldRef"]["fieldPath"], facts)
    if source.get("resourceFieldRef"):
        return resource_value(pod, container, source["resourceFieldRef"], facts.allocatable)
    for kind, word, key in (("configmap", "ConfigMap", "configMapKeyRef"), ("secret", "Secret", "secretKeyRef")):
        ref = source.get(key)
        if ref:
            obj = get(kind, ref["name"])
            data = _text_data(obj)
            if ref["key"] in data:
                return data[ref["key"]]
            if ref.get("optional"):
                return None
            if obj is None:
                raise ConfigError(f'{kind} "{ref["name"]}" not found')
            namespace = pod["metadata"].get("namespace", "default")
            raise ConfigError(f"couldn't find key {ref['key']} in {word} {namespace}/{ref['name']}")
    return None


_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]\Z")


def field_value(pod: Obj, path: str, facts: PodFacts | None) -> str:
    """A downward API field. Without facts only metadata (volumes). Raises ConfigError for a path that is not served."""
    meta, spec = pod["metadata"], pod["spec"]
    match = _SUBSCRIPT.match(path)
    if match:
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return format_map(meta.get(path.partition(".")[2]) or {})
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return str(meta.get(path.partition(".")[2], ""))
    if facts is not None:
        known = {
            "spec.nodeName": facts.node_name,
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "spec.restartPolicy": spec.get("restartPolicy", ""),
            "spec.schedulerName": spec.get("schedulerName", ""),
            "status.hostIP": next(iter(facts.host_ips), ""),
            "status.hostIPs": ",".join(facts.host_ips),
            "status.podIP": next(iter(facts.pod_ips), ""),
            "status.podIPs": ",".join(facts.pod_ips),
            "status.phase": (pod.get("status") or {}).get("phase", ""),
        }
        if path in known:
            return str(known[path])
    raise ConfigError(f"unsupported fieldPath: {path}")


def format_map(values: Mapping[str, str]) -> str:
    """Labels or annotations as lines `key="value"`, sorted, values quoted as Go does."""
    import json

    return "\n".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in sorted(values.items()))


def resource_value(pod: Obj, container: Obj, ref: Obj, allocatable: Mapping[str, str]) -> str:
    """`limits.cpu` and the like, divided and rounded up. A limit that is not set is what the node can give."""
    which, _, name = ref["resource"].partition(".")
    target = container
    if ref.get("containerName"):
        named = [c for c in _containers(pod) if c["name"] == ref["containerName"]]
        if not named:
            raise ConfigError(f"container {ref['containerName']} not found")
        target = named[0]
    listed = (target.get("resources") or {}).get(which) or {}
    given = listed.get(name)
    if given is None and which == "limits":
        given = allocatable.get(name)
    amount = quantity.parse(given or "0")
    divisor = quantity.parse(ref.get("divisor") or "0")
    if not divisor.nanos:
        divisor = quantity.parse("1")
    if name == "cpu":
        return str(-(-amount.milli // max(divisor.milli, 1)))
    return str(-(-amount.value // max(divisor.value, 1)))


def _containers(pod: Obj) -> list[Obj]:
    spec = pod["spec"]
    return [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]


def expand(text: str, values: Mapping[str, str]) -> str:
    """$(NAME) → its value if known, else left as it is; $$ → $."""
    out: list[str] = []
    i = 0
    while i < len(text):
        if text[i] != "$" or i + 1 == len(text):
            out.append(text[i])
            i += 1
        elif text[i + 1] == "$":
            out.append("$")
            i += 2
        elif text[i + 1] == "(" and ")" in text[i + 2 :]:
            end = text.index(")", i + 2)
            name = text[i + 2 : end]
            out.append(values.get(name, f"$({name})"))
            i = end + 1
        else:
            out.append(text[i])
            i += 1
    return "".join(out)


def service_variables(pod: Obj, services: Sequence[Obj]) -> dict[str, str]:
    """The docker-link style variables: of the services of the pod's namespace, and always of default/kubernetes."""
    links = pod["spec"].get("enableServiceLinks", True) is not False
    namespace = pod["metadata"].get("namespace", "default")
    chosen: dict[str, Obj] = {}
    for s in services:
        meta = s["metadata"]
        master = meta["namespace"] == "default" and meta["name"] == "kubernetes"
        own = links and meta["namespace"] == namespace
        if s["spec"].get("clusterIP") not in (None, "", "None") and (own or (master and meta["name"] not in chosen)):
            chosen[meta["name"]] = s
    out: dict[str, str] = {}
    for name in sorted(chosen):
        out |= _service(name, chosen[name]["spec"])
    return out


def _service(name: str, spec: Obj) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    ip, ports = spec["clusterIP"], spec.get("ports") or []
    if not ports:
        return {}
    shown = f"[{ip}]" if ":" in ip else ip
    out = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for p in ports:
        if p.get("name"):
            out[f"{prefix}_SERVICE_PORT_{p['name'].upper().replace('-', '_')}"] = str(p["port"])
    for i, p in enumerate(ports):
        protocol = p.get("protocol", "TCP")
        url = f"{protocol.lower()}://{shown}:{p['port']}"
        if i == 0:
            out[f"{prefix}_PORT"] = url
        base = f"{prefix}_PORT_{p['port']}_{protocol}"
        out |= {base: url, f"{base}_PROTO": protocol.lower(), f"{base}_PORT": str(p["port"]), f"{base}_ADDR": ip}
    return out
