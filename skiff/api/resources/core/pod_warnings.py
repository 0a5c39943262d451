"""Sentences for Warning headers about pods and pod templates. Source: pkg/api/pod/warnings.go, pkg/api/node/util.go.

Nothing here refuses an object; the object has passed validation.
"""

from collections.abc import Callable, Iterator

from skiff.api import labels, quantity
from skiff.api.resources.fields import get, items
from skiff.api.resources.warnings import ip_warnings
from skiff.api.types import Obj

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
REMOVED_VOLUMES = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
"""Volume source → its name in the warning, what is wrong with it."""

Containers = list[tuple[Obj, str]]


def pod_warnings(spec: Obj, metadata: Obj, path: str, *, template: bool) -> list[str]:
    """path: of the template, "" for a pod."""
    at = f"{path}." if path else ""
    containers: Containers = [
        (c, f"{at}spec.{field}[{i}]")
        for field in ("initContainers", "containers", "ephemeralContainers")
        for i, c in enumerate(items(spec, field))
    ]
    return [
        *_selectors(spec, f"{at}spec"),
        *(
            f"{at}metadata.annotations[{k}]: {_ANNOTATIONS[k]}"
            for k in metadata.get("annotations") or ()
            if k in _ANNOTATIONS
        ),
        *_volumes(spec, f"{at}spec.volumes"),
        *_overlaps(spec),
        *_duplicates(spec, f"{at}spec"),
        *_fractions(spec.get("overhead"), f"{at}spec.overhead"),
        *_profiles(spec, metadata, containers, f"{at}metadata.annotations", template),
        *(w for c, here in containers for w in _container(c, here)),
        *_ports(containers),
        *_rest(spec, f"{at}spec"),
    ]


def _selectors(spec: Obj, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {NODE_LABELS[key]}"
    here, affinity = f"{path}.affinity.nodeAffinity", get(spec, "affinity", "nodeAffinity") or {}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    for i, term in enumerate(items(affinity, required, "nodeSelectorTerms")):
        yield from node_term_warnings(term, f"{here}.{required}.nodeSelectorTerms[{i}]")
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    for i, weighted in enumerate(items(affinity, preferred)):
        yield from node_term_warnings(
            weighted.get("preference") or {}, f"{here}.{preferred}[{i}].preference", values=True
        )
    for i, spread in enumerate(items(spec, "topologySpreadConstraints")):
        key, here = spread.get("topologyKey", ""), f"{path}.topologySpreadConstraints[{i}]"
        if key in NODE_LABELS:
            yield f"{here}.topologyKey: {key} is {NODE_LABELS[key]}"
        if spread.get("labelSelector") is None:
            yield f"{here}.labelSelector: a null labelSelector results in matching no pod"


def node_term_warnings(term: Obj, path: str, *, values: bool = False) -> Iterator[str]:
    """values: those of a preference, which validation lets through, are looked at too."""
    for i, requirement in enumerate(items(term, "matchExpressions")):
        here, key = f"{path}.matchExpressions[{i}]", requirement.get("key", "")
        if key in NODE_LABELS:
            yield f"{here}.key: {key} is {NODE_LABELS[key]}"
        for j, value in enumerate(requirement.get("values") or () if values else ()):
            for why in labels.value_errors(value):
                yield f"{here}.values[{j}]: {value} is invalid, {why}"


def _volumes(spec: Obj, path: str) -> Iterator[str]:
    for i, volume in enumerate(items(spec, "volumes")):
        for source, (name, why) in REMOVED_VOLUMES.items():
            if volume.get(source) is not None:
                yield f"{path}[{i}].{name}: {why}"
        claim = get(volume, "ephemeral", "volumeClaimTemplate", "spec")
        if claim:
            yield from claim_spec_warnings(claim, f"{path}[{i}].ephemeral.volumeClaimTemplate.spec")


def claim_spec_warnings(spec: Obj, path: str) -> Iterator[str]:
    for field in ("requests", "limits"):
        yield from _fractions(get(spec, "resources", field), f"{path}.resources.{field}", ("storage",))


def _fractions(
    amounts: Obj | None, path: str, names: tuple[str, ...] = ("memory", "ephemeral-storage")
) -> Iterator[str]:
    for name in names:
        value = (amounts or {}).get(name)
        if isinstance(value, str) and value.endswith(("m", "u", "n")) and quantity.parse(value).milli % 1000:
            yield f'{path}[{name}]: fractional byte value "{value}" is invalid, must be an integer'


def _duplicates(spec: Obj, path: str) -> Iterator[str]:
    for field, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for i, item in enumerate(items(spec, field)):
            value = item.get(key, "")
            if value in seen:
                yield f'{path}.{field}[{i}].{key}: duplicate {key} "{value}"'
            seen.add(value)
    for i, item in enumerate(items(spec, "imagePullSecrets")):
        if not item.get("name"):
            yield f'{path}.imagePullSecrets[{i}].name: invalid empty name ""'


def _profiles(spec: Obj, metadata: Obj, containers: Containers, path: str, template: bool) -> Iterator[str]:
    """Annotations that security profiles had before they had fields."""
    given = metadata.get("annotations") or {}
    if not any("alpha.kubernetes.io" in k or "apparmor" in k for k in given):
        return
    pod = "seccomp.security.alpha.kubernetes.io/pod"
    instead = 'non-functional in v1.27+; use the "seccompProfile" field instead'
    if pod in given and get(spec, "securityContext", "seccompProfile") is None:
        yield f"{path}[{pod}]: {instead}"
    for container, _ in containers:
        name, context = container.get("name", ""), container.get("securityContext") or {}
        key = f"container.seccomp.security.alpha.kubernetes.io/{name}"
        if key in given and context.get("seccompProfile") is None:
            yield f"{path}[{key}]: {instead}"
        key = f"container.apparmor.security.beta.kubernetes.io/{name}"
        own = context.get("appArmorProfile") or get(spec, "securityContext", "appArmorProfile")
        same = context.get("appArmorProfile") is not None or own == app_armor_profile(given.get(key, ""))
        if template and key in given and not same:
            yield f'{path}[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'


def app_armor_profile(annotation: str) -> Obj | None:
    """The field that an annotation's value stands for."""
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    local = annotation.removeprefix("localhost/")
    return {"type": "Localhost", "localhostProfile": local} if local != annotation and local else None


def _container(container: Obj, path: str) -> Iterator[str]:
    resources = container.get("resources") or {}
    for name in ("memory", "ephemeral-storage"):
        for field in ("limits", "requests"):
            yield from _fractions(resources.get(field), f"{path}.resources.{field}", (name,))
    seen: set[str] = set()
    for i, variable in enumerate(items(container, "env")):
        name, value = variable.get("name", ""), variable.get("value", "")
        own = f"$({name})"
        if name in seen and (variable.get("valueFrom") is not None or value == own or own not in value):
            yield f'{path}.env[{i}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(containers: Containers) -> Iterator[str]:
    taken: dict[tuple[int, str], list[tuple[str, Obj]]] = {}
    every = [(port, f"{path}.ports[{i}]") for c, path in containers for i, port in enumerate(items(c, "ports"))]
    for port, here in every:
        ip, host = port.get("hostIP", ""), port.get("hostPort", 0)
        number, protocol = port.get("containerPort", 0), port.get("protocol", "")
        if ip and not host:
            shown = f"{{Name:{port.get('name', '')} HostPort:0 ContainerPort:{number} Protocol:{protocol} HostIP:{ip}}}"
            yield f"{here}: hostIP set without hostPort: {shown}"
        others = taken.setdefault((number, protocol), [])
        for there, other in others:
            if ip == other.get("hostIP", "") and host == other.get("hostPort", 0):
                yield f"{here}: duplicate port definition with {there}"
            elif not host or not other.get("hostPort"):
                yield f"{here}: overlapping port definition with {there}"
            elif host == other["hostPort"] and bool(ip) != bool(other.get("hostIP")):
                yield f"{here}: dangerously ambiguous port definition with {there}"
        others.append((here, port))
    named: dict[str, str] = {}
    for port, here in every:
        name = port.get("name", "")
        if name in named:
            there = named[name]
            why = f"services and probes that select ports by name will use {there}"
            yield f'{here}: duplicate port name "{name}" with {there}, {why}'
        elif name:
            named[name] = here


def _rest(spec: Obj, path: str) -> Iterator[str]:
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {why}"
    for kind in ("podAffinity", "podAntiAffinity"):
        for field, inner in (
            ("requiredDuringSchedulingIgnoredDuringExecution", ""),
            ("preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm"),
        ):
            for i, term in enumerate(items(spec, "affinity", kind, field)):
                if (term.get(inner) or {} if inner else term).get("labelSelector") is None:
                    here = f"{path}.affinity.{kind}.{field}[{i}]" + (f".{inner}" if inner else "")
                    yield f"{here}.labelSelector: a null labelSelector results in matching no pod"
    for i, server in enumerate(get(spec, "dnsConfig", "nameservers") or ()):
        yield from ip_warnings(server, f"{path}.dnsConfig.nameservers[{i}]")
    for i, alias in enumerate(items(spec, "hostAliases")):
        yield from ip_warnings(alias.get("ip", ""), f"{path}.hostAliases[{i}].ip")


# Files that fall on one another in one volume.

_Place = tuple[str, str]
"""A path and where it comes from."""


def _overlaps(spec: Obj) -> Iterator[str]:
    for volume in items(spec, "volumes"):
        for kind, label in _FILE_VOLUMES.items():
            if volume.get(kind) is not None:
                places = [[(f.get("path", ""), "")] for f in items(volume[kind], "items")]
                yield from _collisions(volume.get("name", ""), label(volume[kind]), places)
        if volume.get("projected") is not None:
            sources = list(items(volume["projected"], "sources"))
            for source in sources:
                if not source:
                    yield f'volume "{volume.get("name", "")}" (Projected) has no sources provided'
            yield from _collisions(volume.get("name", ""), "Projected", [_projected(s) for s in sources])


_FILE_VOLUMES: dict[str, Callable[[Obj], str]] = {
    "configMap": lambda s: f'ConfigMap "{s.get("name", "")}"',
    "secret": lambda s: f'Secret "{s.get("secretName", "")}"',
    "downwardAPI": lambda s: "DownwardAPI",
}


def _projected(source: Obj) -> list[_Place]:
    for field, label in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if get(source, field, "items"):
            return [(f.get("path", ""), f'{label} "{source[field].get("name", "")}"') for f in source[field]["items"]]
    if get(source, "downwardAPI", "items"):
        return [(f.get("path", ""), "DownwardAPI") for f in source["downwardAPI"]["items"]]
    if source.get("serviceAccountToken") is not None:
        return [(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")]
    return []


def _collisions(volume: str, label: str, sources: list[list[_Place]]) -> Iterator[str]:
    taken: list[_Place] = []
    for places in sources:
        for path, origin in places:
            path = path.rstrip("/")
            for other in taken:
                if (
                    path
                    and other[0]
                    and (f"{other[0]}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other[0]}/"))
                ):
                    yield f'volume "{volume}" ({label}): overlapping paths: {_place(path, origin)} with {_place(*other)}'
            taken.append((path, origin))


def _place(path: str, origin: str) -> str:
    return f'"{path}" ({origin})' if origin else f'"{path}"'
