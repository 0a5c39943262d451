"""The webhooks of all configurations of one kind, compiled, in the order in which they are asked: by configuration name,
then as they stand there. Kept current from the cluster's changes; what costs time is compiled when first needed.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson

from skiff.api.selectors import SelectorError
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission.conditions import Condition, compiled
from skiff.apiserver.admission.matching import GROUP, Criteria
from skiff.apiserver.lookup import Lookup
from skiff.apiserver.webhookclient import WebhookClient

MUTATING = GVR(GROUP, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False)
VALIDATING = GVR(GROUP, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False)
KNOWN = ("v1", "v1beta1")
TIMEOUT_S = 10


class Hook:
    """One webhook. uid: what it is known by from one pass of a request to the next. version: of the reviews, "" if it
    wants none that we know. fail: a failed call is a refusal. dry: it may be asked about dry runs. again: it wants to be
    asked again when others have changed the object."""

    def __init__(self, configuration: str, uid: str, webhook: Mapping[str, Any], client: WebhookClient):
        self.configuration = configuration
        self.uid = uid
        self.name: str = webhook.get("name", "")
        self.client = client
        self.version = next((v for v in webhook.get("admissionReviewVersions") or () if v in KNOWN), "")
        self.timeout_s: int = webhook.get("timeoutSeconds") or TIMEOUT_S
        self.fail = webhook.get("failurePolicy") != "Ignore"
        self.dry = webhook.get("sideEffects") in ("None", "NoneOnDryRun")
        self.again = webhook.get("reinvocationPolicy") == "IfNeeded"
        self._conditions: Sequence[Mapping[str, Any]] = webhook.get("matchConditions") or ()
        self.broken = ""
        """Why its selectors cannot be used."""
        try:
            self.criteria = Criteria.of_webhook(webhook)
        except SelectorError as e:
            self.broken = str(e)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        return compiled(self._conditions)


class Configurations:
    """hooks: all of them; replaced as a whole."""

    def __init__(self, gvr: GVR, lookup: Lookup):
        self.hooks: tuple[Hook, ...] = ()
        self._lookup = lookup
        self._by_name: dict[str, list[Hook]] = {}
        self._clients: dict[bytes, WebhookClient] = {}
        lookup.subscribe(gvr, self._changed)

    def close(self) -> None:
        for client in self._clients.values():
            client.retire()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._by_name[new["metadata"]["name"]] = list(self._read(new))
        elif old is not None:
            self._by_name.pop(old["metadata"]["name"], None)
        self.hooks = tuple(hook for name in sorted(self._by_name) for hook in self._by_name[name])
        self._drop_clients()

    def _read(self, obj: Obj) -> "list[Hook]":
        name, seen, found = obj["metadata"]["name"], dict[str, int](), []
        for webhook in obj.get("webhooks") or ():
            own = webhook.get("name", "")
            place = seen[own] = seen.get(own, -1) + 1
            found.append(Hook(name, f"{name}/{own}/{place}", webhook, self._client(webhook.get("clientConfig") or {})))
        return found

    def _client(self, config: Mapping[str, Any]) -> WebhookClient:
        """One for all that are reached in the same way, also before and after a change."""
        key = orjson.dumps(config, option=orjson.OPT_SORT_KEYS)
        found = self._clients.get(key)
        if found is None:
            found = self._clients[key] = WebhookClient(config, self._lookup)
        return found

    def _drop_clients(self) -> None:
        used = {hook.client for hook in self.hooks}
        for key, client in list(self._clients.items()):
            if client not in used:
                del self._clients[key]
                client.retire()
