"""What a pod refers to, asked of the API: config maps, secrets, claims, tokens. Remembered briefly, never listed.

A node may only read what its pods name, one object at a time, so this is GETs and token requests. Callers say how old an
answer may be; concurrent questions for one object share a request.
"""

import asyncio
from dataclasses import dataclass

from skiff import env
from skiff.api.gvr import SERVICEACCOUNTS
from skiff.api.types import GVR, Obj
from skiff.client.rest import Client
from skiff.kubelet.pods import parse_time


@dataclass(slots=True)
class _Kept:
    obj: Obj
    at: float


@dataclass(slots=True)
class _Token:
    text: str
    issued: float
    expires: float


class ApiObjects:
    """`get` raises StatusError (NotFound, Forbidden) and ConnectionError."""

    def __init__(self, client: Client):
        self._client = client
        self._kept: dict[tuple[str, str, str], _Kept] = {}
        self._locks: dict[tuple[str, str, str], asyncio.Lock] = {}
        self._tokens: dict[tuple[str, str, str, int], _Token] = {}

    async def get(self, gvr: GVR, namespace: str, name: str, *, max_age: float = 1.0) -> Obj:
        """The object, at most max_age seconds old. Shared: do not mutate."""
        key = (gvr.group_resource, namespace, name)
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                kept = self._kept.get(key)
                if kept is None or env.epoch() - kept.at > max_age:
                    self._kept.pop(key, None)
                    kept = self._kept[key] = _Kept(await self._client.get(gvr, name, namespace), env.epoch())
                return kept.obj
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def token(self, pod: Obj, audience: str, seconds: int) -> str:
        """A service account token bound to the pod, renewed when 80 % of its time, or a day, has passed."""
        meta = pod["metadata"]
        key = (meta["uid"], meta["namespace"], audience, seconds)
        kept = self._tokens.get(key)
        if kept is None or env.epoch() > min(kept.issued + 0.8 * (kept.expires - kept.issued), kept.issued + 86400):
            kept = self._tokens[key] = await self._request_token(pod, audience, seconds)
        return kept.text

    async def _request_token(self, pod: Obj, audience: str, seconds: int) -> _Token:
        meta = pod["metadata"]
        spec: Obj = {
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
        }
        spec["audiences"] = [audience] if audience else []
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._client.create(
            SERVICEACCOUNTS, request, meta["namespace"], name=account, subresource="token"
        )
        now = env.epoch()
        expires = parse_time(answer["status"].get("expirationTimestamp")) or now + seconds
        return _Token(answer["status"]["token"], now, expires)

    def forget_pod(self, uid: str) -> None:
        for key in [k for k in self._tokens if k[0] == uid]:
            del self._tokens[key]

    def sweep(self, max_age: float = 120.0) -> None:
        """Drop what nobody asked for again."""
        now = env.epoch()
        for key in [k for k, v in self._kept.items() if now - v.at > max_age]:
            del self._kept[key]
