"""ServiceAccount: every pod runs as a service account that exists, with its token mounted and its pull secrets."""

import asyncio
from collections.abc import Iterator

from skiff import env
from skiff.api.gvr import SERVICEACCOUNTS
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.lookup import Lookup

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME = "kube-api-access"
EXPIRATION_S = 3607
"""A recognisable value: tokens asked for with it may live longer (authn/tokens.py)."""
MIRROR = "kubernetes.io/config.mirror"
ENFORCE = "kubernetes.io/enforce-mountable-secrets"
_WAITS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""The default account of a new namespace is a controller's work: it may take a moment."""
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount(Plugin):
    name = "ServiceAccount"
    resources = frozenset(("pods", "pods/ephemeralcontainers"))

    def __init__(self, lookup: Lookup):
        self._lookup = lookup

    async def mutate(self, attrs: Attributes) -> None:
        pod = attrs.obj
        if attrs.operation != "CREATE" or attrs.subresource or pod is None or _is_mirror(pod):
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attrs, name)
        if _wants_token(spec, account):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": s.get("name", "")} for s in account["imagePullSecrets"]]

    async def validate(self, attrs: Attributes) -> None:
        pod = attrs.obj
        if pod is None or (attrs.operation == "UPDATE") != (attrs.subresource == "ephemeralcontainers"):
            return
        spec = pod["spec"]
        if _is_mirror(pod) and not attrs.subresource:
            if why := mirror_refusal(spec):
                raise attrs.forbid(why)
            return
        if not spec.get("serviceAccountName"):
            pod_name = pod["metadata"].get("name", "")
            raise attrs.forbid(f"no service account specified for pod {attrs.namespace}/{pod_name}")
        account = await self._account(attrs, spec["serviceAccountName"])
        enforced = (account["metadata"].get("annotations") or {}).get(ENFORCE, "").lower() in ("true", "1", "t")
        if enforced and (why := secret_refusal(spec, account, ephemeral=bool(attrs.subresource))):
            raise attrs.forbid(why)

    async def _account(self, attrs: Attributes, name: str) -> Obj:
        found = self._lookup.get(SERVICEACCOUNTS, attrs.namespace, name)
        for wait in (0.0, *(_WAITS_S if name == "default" else ())):
            if found is not None:
                return found
            if wait:
                await asyncio.sleep(wait)
            found = await self._lookup.fresh(SERVICEACCOUNTS, attrs.namespace, name)
        if found is None:
            why = f'error looking up service account {attrs.namespace}/{name}: serviceaccount "{name}" not found'
            raise attrs.forbid(why)
        return found


def mount_token(spec: Obj) -> None:
    """Adds the projected volume with token, CA and namespace, and mounts it where nothing else is mounted."""
    volumes = spec.get("volumes") or []
    existing = next((v["name"] for v in volumes if v.get("name", "").startswith(f"{VOLUME}-")), "")
    volume_name = existing or f"{VOLUME}-{''.join(env.rng().choices(_LETTERS, k=5))}"
    mount = {"name": volume_name, "readOnly": True, "mountPath": MOUNT_PATH}
    mounted = False
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            mounts = container.get("volumeMounts") or []
            if all(m.get("mountPath") != MOUNT_PATH for m in mounts):
                container["volumeMounts"] = [*mounts, dict(mount)]
                mounted = True
    if mounted and not existing:
        spec["volumes"] = [*volumes, {"name": volume_name, "projected": token_source()}]


def token_source() -> Obj:
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": EXPIRATION_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
        "defaultMode": 0o644,
    }


def mirror_refusal(spec: Obj) -> str:
    """Why a mirror pod (which a kubelet writes for a static pod) may not be like this, "" if it may."""
    if spec.get("serviceAccountName"):
        return "a mirror pod may not reference service accounts"
    if any(True for _ in _secrets(spec, ("initContainers", "containers", "ephemeralContainers"))) or any(
        v.get("secret") for v in _sources(spec)
    ):
        return "a mirror pod may not reference secrets"
    if any(s.get("serviceAccountToken") for s in _sources(spec)):
        return "a mirror pod may not use ServiceAccountToken volume projections"
    return ""


def secret_refusal(spec: Obj, account: Obj, *, ephemeral: bool) -> str:
    """Why an account that enforces its list of mountable secrets does not allow the pod, "" if it does."""
    allowed = {s.get("name") for s in account.get("secrets") or ()}
    name = account["metadata"]["name"]
    suffix = f"is not allowed because service account {name} does not reference that secret"
    if not ephemeral:
        for volume in spec.get("volumes") or ():
            secret = (volume.get("secret") or {}).get("secretName")
            if volume.get("secret") and secret not in allowed:
                return f'volume with secret.secretName="{secret}" {suffix}'
    for where, secret in _secrets(spec, ("ephemeralContainers",) if ephemeral else ("initContainers", "containers")):
        if secret not in allowed:
            return f'{where} referencing secret.secretName="{secret}" {suffix}'
    if not ephemeral:
        pull = {s.get("name") for s in account.get("imagePullSecrets") or ()}
        for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
            if reference.get("name") not in pull:
                return (
                    f'imagePullSecrets[{index}].name="{reference.get("name")}" is not allowed because service account '
                    f"{name} does not reference that imagePullSecret"
                )
    return ""


_KINDS = {
    "initContainers": "init container",
    "containers": "container",
    "ephemeralContainers": "ephemeral container",
}


def _secrets(spec: Obj, kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(where, secret name) of every environment variable that comes from a secret."""
    for kind in kinds:
        for container in spec.get(kind) or ():
            where = f"{_KINDS[kind]} {container.get('name')}"
            for variable in container.get("env") or ():
                reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if reference:
                    yield f"{where} with envVar {variable.get('name')}", reference.get("name", "")
            for source in container.get("envFrom") or ():
                if source.get("secretRef"):
                    yield f"{where} with envFrom", source["secretRef"].get("name", "")


def _sources(spec: Obj) -> Iterator[Obj]:
    """Volumes, and the sources of projected ones."""
    for volume in spec.get("volumes") or ():
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or ()


def _is_mirror(pod: Obj) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def _wants_token(spec: Obj, account: Obj) -> bool:
    """The pod's wish counts before the account's; the default is yes."""
    for wish in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if wish is not None:
            return bool(wish)
    return True
