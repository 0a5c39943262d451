"""What a volume should be, from the pod's spec and the objects that it names. Pure; only tokens and objects come in.

Source: API reference, Volume; the messages are upstream's (they follow `MountVolume.SetUp failed for volume "x" : `).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from skiff.api import quantity
from skiff.api.types import Obj
from skiff.kubelet.environment import ConfigError, field_value, resource_value, secret_data
from skiff.kubelet.host import EmptyDir, File, HostPath, Payload, VolumePlan
from skiff.kubelet.pods import every_container


@dataclass(frozen=True, slots=True)
class Sources:
    """What the volume refers to, fetched: (kind, name) → object or None; (audience, seconds) → token."""

    objects: Mapping[tuple[str, str], Obj | None]
    tokens: Mapping[tuple[str, int], str]
    allocatable: Mapping[str, str]


TOKEN_SECONDS = 3600


def projections(volume: Obj) -> list[Obj]:
    """A volume with contents from the API as a list of projected sources; [] for any other."""
    if volume.get("projected"):
        return volume["projected"].get("sources") or []
    if volume.get("configMap"):
        return [{"configMap": volume["configMap"]}]
    if volume.get("secret"):
        return [{"secret": {**volume["secret"], "name": volume["secret"].get("secretName", "")}}]
    if volume.get("downwardAPI"):
        return [{"downwardAPI": volume["downwardAPI"]}]
    return []


def references(volume: Obj) -> set[tuple[str, str]]:
    """(kind, name) of config maps and secrets that it names."""
    pairs = (("configmap", "configMap"), ("secret", "secret"))
    return {(kind, s[key]["name"]) for s in projections(volume) for kind, key in pairs if s.get(key)}


def tokens(volume: Obj) -> set[tuple[str, int]]:
    """(audience, lifetime in seconds) of the service account tokens that it contains."""
    found = (s["serviceAccountToken"] for s in projections(volume) if s.get("serviceAccountToken"))
    return {(t.get("audience", ""), t.get("expirationSeconds", TOKEN_SECONDS)) for t in found}


def is_payload(volume: Obj) -> bool:
    return any(k in volume for k in ("configMap", "secret", "downwardAPI", "projected"))


def plan(pod: Obj, volume: Obj, sources: Sources) -> VolumePlan:
    """Raises ConfigError when something is missing or the kind is not supported. Claims are resolved by the manager."""
    if is_payload(volume):
        return _payload(pod, volume, sources)
    if volume.get("emptyDir") is not None:
        empty = volume["emptyDir"]
        return EmptyDir(empty.get("medium") or "", memory_size(pod, empty))
    if volume.get("hostPath"):
        return HostPath(volume["hostPath"]["path"], volume["hostPath"].get("type") or "")
    kind = next((k for k in volume if k != "name"), "nothing")
    raise ConfigError(f"no volume plugin matched: {kind}")


def memory_size(pod: Obj, empty: Obj) -> int:
    """The size of a tmpfs: the smaller of sizeLimit and the pod's memory limit; 0: neither is set."""
    from skiff.api import podresources

    sizes = [quantity.value(empty["sizeLimit"])] if empty.get("sizeLimit") else []
    memory = podresources.pod_limits(pod).get("memory")
    if memory is not None and memory.nanos:
        sizes.append(memory.value)
    return min((s for s in sizes if s), default=0)


def _payload(pod: Obj, volume: Obj, sources: Sources) -> Payload:
    source = next(volume[k] for k in ("projected", "configMap", "secret", "downwardAPI") if k in volume) or {}
    mode = source.get("defaultMode", 0o644)
    files: dict[str, File] = {}
    for part in projections(volume):
        if part.get("configMap"):
            files |= _config_map(part["configMap"], mode, sources)
        elif part.get("secret"):
            files |= _secret(part["secret"], mode, sources)
        elif part.get("downwardAPI"):
            files |= _downward(pod, part["downwardAPI"], mode, sources)
        elif part.get("serviceAccountToken"):
            files |= _token(pod, part["serviceAccountToken"], mode, sources)
    return Payload(files)


def _config_map(ref: Obj, mode: int, sources: Sources) -> dict[str, File]:
    import base64

    obj = sources.objects.get(("configmap", ref["name"]))
    if obj is None:
        if ref.get("optional"):
            return {}
        raise ConfigError(f'configmap "{ref["name"]}" not found')
    data = {k: v.encode() for k, v in (obj.get("data") or {}).items()}
    data |= {k: base64.b64decode(v) for k, v in (obj.get("binaryData") or {}).items()}
    return _select(data, ref, mode, "configmap references non-existent config key: ")


def _secret(ref: Obj, mode: int, sources: Sources) -> dict[str, File]:
    obj = sources.objects.get(("secret", ref["name"]))
    if obj is None:
        if ref.get("optional"):
            return {}
        raise ConfigError(f'secret "{ref["name"]}" not found')
    return _select(secret_data(obj), ref, mode, "references non-existent secret key: ")


def _select(data: Mapping[str, bytes], ref: Obj, mode: int, missing: str) -> dict[str, File]:
    """All keys, or those that `items` names under the paths given there."""
    if not ref.get("items"):
        return {k: File(v, mode) for k, v in data.items()}
    out = {}
    for item in ref["items"]:
        if item["key"] in data:
            out[item["path"]] = File(data[item["key"]], item.get("mode", mode))
        elif not ref.get("optional"):
            raise ConfigError(missing + item["key"])
    return out


def _downward(pod: Obj, source: Obj, mode: int, sources: Sources) -> dict[str, File]:
    out = {}
    for item in source.get("items") or []:
        if item.get("fieldRef"):
            text = field_value(pod, item["fieldRef"]["fieldPath"], None)
        else:
            text = resource_value(pod, {}, item["resourceFieldRef"], sources.allocatable)
        out[item["path"]] = File(text.encode(), item.get("mode", mode))
    return out


def _token(pod: Obj, source: Obj, mode: int, sources: Sources) -> dict[str, File]:
    """Readable for its owner only when the pod says who that is."""
    text = sources.tokens.get((source.get("audience", ""), source.get("expirationSeconds", TOKEN_SECONDS)), "")
    user = common_user(pod)
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return {source["path"]: File(text.encode(), 0o600 if user is not None or group is not None else mode, user)}


def common_user(pod: Obj) -> int | None:
    """The user that all of the pod's containers run as, if they say so and agree."""
    default = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        (c.get("securityContext") or {}).get("runAsUser", default)
        for kind, c in every_container(pod)
        if kind != "ephemeral"
    }
    found = users.pop() if len(users) == 1 else None
    return None if found is None else int(found)
