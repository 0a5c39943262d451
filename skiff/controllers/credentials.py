"""Each controller acts as a service account of its own, which holds upstream's role of that controller and no more
(kube-controller-manager's --use-service-account-credentials).

The manager's own certificate is used to read, to elect a leader, and to ask for the accounts' tokens; connections for
controllers carry no certificate, since that would speak louder than a token. Source: controller-manager pkg/clientbuilder.
"""

import asyncio
from dataclasses import replace

from skiff import env
from skiff.api.errors import StatusError, is_already_exists, is_not_found
from skiff.api.gvr import SERVICEACCOUNTS
from skiff.api.times import epoch
from skiff.client.kubeconfig import load, transport
from skiff.client.rest import Client, Transport
from skiff.wire.messages import Request, Response

NAMESPACE = "kube-system"
LIFE_S = 3600
RENEW_AT = 0.8
"""Of a token's life."""

ACCOUNTS = {
    "serviceaccount-controller": "service-account-controller",
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "node-ipam-controller": "node-controller",
    "node-lifecycle-controller": "node-controller",
    "taint-eviction-controller": "node-controller",
    "endpoints-controller": "endpoint-controller",
    "endpointslice-controller": "endpointslice-controller",
    "endpointslice-mirroring-controller": "endpointslicemirroring-controller",
    "replicationcontroller-controller": "replication-controller",
    "replicaset-controller": "replicaset-controller",
    "daemonset-controller": "daemon-set-controller",
    "statefulset-controller": "statefulset-controller",
    "job-controller": "job-controller",
    "cronjob-controller": "cronjob-controller",
    "ttl-after-finished-controller": "ttl-after-finished-controller",
    "disruption-controller": "disruption-controller",
    "persistentvolumeclaim-protection-controller": "pvc-protection-controller",
    "persistentvolume-protection-controller": "pv-protection-controller",
    "volumeattributesclass-protection-controller": "volumeattributesclass-protection-controller",
    "persistentvolume-binder-controller": "persistent-volume-binder",
    "service-cidr-controller": "service-cidrs-controller",
    "resourcequota-controller": "resourcequota-controller",
    "clusterrole-aggregation-controller": "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller": "validatingadmissionpolicy-status-controller",
    "deployment-controller": "deployment-controller",
    "namespace-controller": "namespace-controller",
    "pod-garbage-collector-controller": "pod-garbage-collector",
    "garbage-collector-controller": "generic-garbage-collector",
}
"""A controller's name → its service account. Who is not named here acts as the manager itself."""


class TokenSource:
    """The present token of one service account of kube-system, which is made if there is none."""

    def __init__(self, client: Client, account: str):
        self._client = client
        self._account = account
        self._token = ""
        self._renew_at = 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Raises StatusError, ConnectionError."""
        if env.epoch() < self._renew_at:
            return self._token
        async with self._asking:
            if env.epoch() >= self._renew_at:
                await self._ask()
        return self._token

    def forget(self, token: str) -> None:
        """The server has refused it."""
        if token == self._token:
            self._renew_at = 0.0

    async def _ask(self) -> None:
        now = env.epoch()
        try:
            status = (await self._request())["status"]
        except StatusError as e:
            if not is_not_found(e):
                raise
            await self._make_account()
            status = (await self._request())["status"]
        self._token = status["token"]
        self._renew_at = now + (epoch(status["expirationTimestamp"]) - now) * RENEW_AT

    async def _request(self) -> dict[str, dict[str, str]]:
        wanted = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": self._account, "namespace": NAMESPACE},
            "spec": {"expirationSeconds": LIFE_S},
        }
        return await self._client.create(SERVICEACCOUNTS, wanted, NAMESPACE, name=self._account, subresource="token")

    async def _make_account(self) -> None:
        meta = {"name": self._account, "namespace": NAMESPACE}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
        try:
            await self._client.create(SERVICEACCOUNTS, account)
        except StatusError as e:
            if not is_already_exists(e):
                raise


class AsAccount:
    """A transport that adds a service account's token to each request; a refused token is renewed once."""

    def __init__(self, inner: Transport, source: TokenSource):
        self._inner = inner
        self._source = source

    async def send(self, request: Request) -> Response:
        for last in (False, True):
            token = await self._source.token()
            headers = {**request.headers, "authorization": f"Bearer {token}"}
            response = await self._inner.send(replace(request, headers=headers))
            if response.status != 401 or last:
                break
            self._source.forget(token)
        return response

    async def close(self) -> None:
        """The connections are shared; whoever made them closes them."""


class Clients:
    """The clients of a manager: `own` by the kubeconfig's credentials, `of` a controller by its account's.
    Raises ConfigError, OSError."""

    def __init__(self, kubeconfig: str, name: str, *, accounts: bool):
        self._name = name
        self._own = transport(load(kubeconfig))
        self._bare = transport(load(kubeconfig, credentials=False)) if accounts else None
        self._sources: dict[str, TokenSource] = {}

    def own(self, user_agent: str) -> Client:
        return Client(self._own, user_agent=f"{self._name}/{user_agent}")

    def of(self, controller: str) -> Client:
        account = ACCOUNTS.get(controller)
        if self._bare is None or account is None:
            return self.own(controller)
        source = self._sources.get(account)
        if source is None:
            source = self._sources[account] = TokenSource(self.own("token-provider"), account)
        return Client(AsAccount(self._bare, source), user_agent=f"{self._name}/{controller}")

    async def close(self) -> None:
        await self._own.close()
        if self._bare is not None:
            await self._bare.close()
