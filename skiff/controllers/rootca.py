"""The config map kube-root-ca.crt in every namespace: how pods verify the API server. Changes to it are undone.

Source: upstream pkg/controller/certificates/rootcacertpublisher.
"""

from collections.abc import Iterable

from skiff.api.errors import StatusError, is_already_exists
from skiff.api.gvr import CONFIGMAPS, NAMESPACES
from skiff.api.meta import annotations, namespace
from skiff.api.types import Obj
from skiff.client.controller import Key, Watch
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import is_active_namespace
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause

NAME = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def config_map(target: str, root_ca: str) -> Obj:
    metadata = {"name": NAME, "namespace": target, "annotations": {DESCRIPTION: TEXT}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": root_ca}}


def corrected(found: Obj, root_ca: str) -> Obj | None:
    """The config map as it should be; None if it is."""
    noted = dict(annotations(found))
    if found.get("data") == {"ca.crt": root_ca} and noted.get(DESCRIPTION):
        return None
    noted.setdefault(DESCRIPTION, TEXT)
    return {**found, "data": {"ca.crt": root_ca}, "metadata": {**found["metadata"], "annotations": noted}}


class RootCAController:
    """root_ca: PEM text."""

    name = "root-ca-certificate-publisher-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers, root_ca: str):
        self._client = client
        self._root_ca = root_ca
        self._namespaces = informers.get(NAMESPACES)
        self._maps = informers.get(CONFIGMAPS, fields=f"metadata.name={NAME}")

    def watches(self) -> list[Watch]:
        return [Watch(NAMESPACES), Watch(CONFIGMAPS, _touched, fields=f"metadata.name={NAME}")]

    async def reconcile(self, key: Key) -> float | None:
        if not is_active_namespace(self._namespaces.get("", key)):
            return None
        found = self._maps.get(key, NAME)
        try:
            if found is None:
                await self._client.create(CONFIGMAPS, config_map(key, self._root_ca), key)
            elif (wanted := corrected(found, self._root_ca)) is not None:
                await self._client.update(CONFIGMAPS, wanted)
        except StatusError as err:
            if not is_already_exists(err) and not has_cause(err, NAMESPACE_TERMINATING):
                raise
        return None


def _touched(change: Change) -> Iterable[Key]:
    return [] if change.type == "added" else [namespace(change.object)]
