"""Conversion webhooks: objects go to a service in one version and come back in another.

A definition's `Webhook` is called with all objects of a batch at once. What comes back keeps name, namespace and uid, and
may change labels and annotations. Source: apiextensions-apiserver pkg/apiserver/conversion/webhook_converter.go.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from skiff import env
from skiff.api.errors import StatusError, status_error
from skiff.api.metachecks import embedded_errors
from skiff.api.types import Obj
from skiff.apiserver.lookup import Lookup
from skiff.apiserver.webhookclient import CallError, WebhookClient

GROUP = "apiextensions.k8s.io"
TIMEOUT_S = 30.0
KNOWN = ("v1", "v1beta1")


class Webhook:
    """conversion: a definition's spec.conversion. kind: of its objects."""

    def __init__(self, conversion: Mapping[str, Any], group: str, kind: str, lookup: Lookup):
        webhook = conversion.get("webhook") or {}
        self._client = WebhookClient(webhook.get("clientConfig") or {}, lookup)
        self._review = next((v for v in webhook.get("conversionReviewVersions") or () if v in KNOWN), "")
        self._group = group
        self._kind = kind

    async def convert(self, objects: Sequence[Obj], api_version: str) -> list[Obj]:
        """All objects in this version; those that have it already are not sent. Raises StatusError 500."""
        result = list(objects)
        foreign = [i for i, obj in enumerate(objects) if obj.get("apiVersion") != api_version]
        if not foreign:
            return result
        asked = [objects[i] for i in foreign]
        try:
            converted = await self._ask(asked, api_version)
            if len(converted) != len(asked):
                raise ValueError(f"returned {len(converted)} objects, expected {len(asked)}")
            for i, obj in zip(foreign, converted, strict=True):
                result[i] = _merged(objects[i], obj, api_version)
        except (ValueError, CallError, StatusError) as e:
            raise self._failed(asked[0], e) from e
        return result

    def _failed(self, obj: Obj, error: Exception) -> StatusError:
        words = str(error)
        if not words.startswith("returned "):
            words = f"failed: {words}"
        return status_error(500, "", f"conversion webhook for {obj.get('apiVersion')}, Kind={self._kind} {words}")

    async def _ask(self, objects: list[Obj], api_version: str) -> list[Any]:
        if not self._review:
            raise ValueError("no supported conversion review versions")
        uid, version = env.uid(), f"{GROUP}/{self._review}"
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
        body = orjson.dumps({"kind": "ConversionReview", "apiVersion": version, "request": request})
        answer = orjson.loads(await self._post(body))
        return _objects(answer, uid, version)

    async def _post(self, body: bytes) -> bytes:
        return await self._client.post(body, TIMEOUT_S)

    def retire(self) -> None:
        """The definition is gone, or another one now."""
        self._client.retire()


def _objects(answer: Any, uid: str, version: str) -> list[Any]:
    """What a review's answer brings. Raises ValueError."""
    answer = answer if isinstance(answer, dict) else {}
    response = answer.get("response")
    if version.endswith("/v1") and (answer.get("apiVersion"), answer.get("kind")) != (version, "ConversionReview"):
        got = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
        raise ValueError(f"expected webhook response of {version}, Kind=ConversionReview, got {got}")
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    if version.endswith("/v1") and response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise ValueError(
            result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
        )
    return list(response.get("convertedObjects") or ())


def _merged(original: Obj, converted: Any, api_version: str) -> Obj:
    """The converted object with the original's metadata but for labels and annotations. Raises ValueError."""
    if not isinstance(converted, dict) or converted.get("apiVersion") != api_version:
        received = converted.get("apiVersion") if isinstance(converted, dict) else None
        words = f"invalid groupVersion (expected {api_version}, received {received})"
        raise ValueError(f"returned invalid object at index 0: {words}")
    meta = converted.get("metadata")
    if not isinstance(meta, dict):
        raise ValueError("returned invalid metadata: missing metadata in converted object")
    _same("kind", original.get("kind"), converted.get("kind"))
    for name, label in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        _same(label, original["metadata"].get(name, ""), meta.get(name, ""))
    kept = {**original["metadata"]}
    for name in ("labels", "annotations"):
        values = meta.get(name)
        kept.pop(name, None)
        if values is None:
            continue
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise ValueError(f"returned invalid metadata: invalid metadata.{name} in converted object")
        kept[name] = values
    if errors := embedded_errors({k: v for k, v in kept.items() if k in ("labels", "annotations")}):
        raise ValueError(f"returned invalid metadata: {errors[0]}")
    return {**converted, "metadata": kept}


def _same(what: str, expected: Any, got: Any) -> None:
    if expected != got:
        raise ValueError(f"returned invalid object: must have the same {what}: {expected} != {got}")
