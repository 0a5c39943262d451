"""Service accounts: every active namespace has one called `default`. Source: upstream pkg/controller/serviceaccount."""

from collections.abc import Iterable

from skiff.api.errors import StatusError, is_already_exists
from skiff.api.gvr import NAMESPACES, SERVICEACCOUNTS
from skiff.api.meta import namespace
from skiff.client.controller import Key, Watch
from skiff.client.informer import Change, Informers
from skiff.client.rest import Client
from skiff.controllers.common.meta import is_active_namespace
from skiff.controllers.common.podcontrol import NAMESPACE_TERMINATING, has_cause

DEFAULT = "default"


class ServiceAccountController:
    name = "serviceaccount-controller"
    workers = 1

    def __init__(self, *, client: Client, informers: Informers):
        self._client = client
        self._namespaces = informers.get(NAMESPACES)
        self._accounts = informers.get(SERVICEACCOUNTS)

    def watches(self) -> list[Watch]:
        return [Watch(NAMESPACES), Watch(SERVICEACCOUNTS, _deleted)]

    async def reconcile(self, key: Key) -> float | None:
        if not is_active_namespace(self._namespaces.get("", key)) or self._accounts.get(key, DEFAULT) is not None:
            return None
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT, "namespace": key}}
        try:
            await self._client.create(SERVICEACCOUNTS, account, key)
        except StatusError as err:
            if not is_already_exists(err) and not has_cause(err, NAMESPACE_TERMINATING):
                raise
        return None


def _deleted(change: Change) -> Iterable[Key]:
    """Only a deleted account needs another one."""
    return [namespace(change.object)] if change.type == "deleted" else []
