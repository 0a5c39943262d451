"""Conversion webhooks: objects go to a service in one version and come back in another.

A definition's `Webhook` is called with all objects of a batch at once. What comes back keeps name, namespace and uid, and
may change labels and annotations. Source: apiextensions-apiserver pkg/apiserver/conversion/webhook_converter.go.
"""

import ssl
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from skiff import env
from skiff.api.errors import StatusError, status_error
from skiff.api.gvr import SERVICES
from skiff.api.metachecks import embedded_errors
from skiff.api.resources.fields import get
from skiff.api.types import Obj
from skiff.apiserver.lookup import Lookup
from skiff.client.https import HTTPSTransport
from skiff.wire.messages import Request
from skiff.wire.tls import client_context

GROUP = "apiextensions.k8s.io"
TIMEOUT_S = 30.0
KNOWN = ("v1", "v1beta1")


class Webhook:
    """conversion: a definition's spec.conversion. kind: of its objects."""

    def __init__(self, conversion: Mapping[str, Any], group: str, kind: str, lookup: Lookup):
        webhook = conversion.get("webhook") or {}
        self._config: Mapping[str, Any] = webhook.get("clientConfig") or {}
        self._review = next((v for v in webhook.get("conversionReviewVersions") or () if v in KNOWN), "")
        self._group = group
        self._kind = kind
        self._lookup = lookup
        self._tls: ssl.SSLContext | None = None

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
        except (ValueError, ConnectionError, OSError) as e:
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
        transport, path = await self._transport()
        headers = {"content-type": "application/json", "accept": "application/json"}
        request = Request("POST", path, headers=headers, body=body, raw_path=path)
        request.scratch["timeout_s"] = TIMEOUT_S
        try:
            response = await transport.send(request)
        finally:
            await transport.close()
        if response.status != 200:
            raise ValueError(f"the server responded with the status code {response.status}")
        return response.body

    async def _transport(self) -> tuple[HTTPSTransport, str]:
        tls = self._context()
        url = self._config.get("url")
        if url:
            parts = urlsplit(url)
            return HTTPSTransport(f"https://{parts.netloc}", tls), parts.path or "/"
        service = self._config.get("service") or {}
        name, namespace, port = service.get("name", ""), service.get("namespace", ""), service.get("port", 443)
        found = await self._lookup.fresh(SERVICES, namespace, name)
        if found is None:
            raise ValueError(f'service "{name}" not found')
        address = get(found, "spec", "clusterIP") or ""
        if get(found, "spec", "type") == "ExternalName":
            address = get(found, "spec", "externalName") or ""
        if address in ("", "None"):
            raise ValueError(f'service "{name}" has no cluster IP')
        if not any(p.get("port") == port for p in get(found, "spec", "ports") or ()):
            raise ValueError(f'no service port {port} found for service "{name}"')
        literal = f"[{address}]" if ":" in address else address
        transport = HTTPSTransport(f"https://{literal}:{port}", tls, server_name=f"{name}.{namespace}.svc")
        path = service.get("path") or "/"
        return transport, path if path.startswith("/") else "/" + path

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            bundle = self._config.get("caBundle") or ""
            self._tls = client_context(ca_data=b64decode(bundle).decode("ascii", "replace").strip())
            self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return self._tls


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
