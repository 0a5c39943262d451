"""A client that reads only metadata: lists and watches give PartialObjectMetadata instead of whole objects.

For components that look at owners, labels or finalizers of objects of every kind (garbage collector, namespaces,
quotas): a tenth of the bytes and of the memory. Writes are those of the plain client.
"""

from collections.abc import Mapping
from typing import Any

from skiff.client.rest import Client
from skiff.wire.messages import Request

_FORM = "application/json;as={};g=meta.k8s.io;v=v1,application/json"


class MetadataClient(Client):
    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Request:
        request = super()._request(method, path, query, body, content_type)
        if method == "GET":
            is_list = query is not None and "watch" not in query
            form = _FORM.format("PartialObjectMetadataList" if is_list else "PartialObjectMetadata")
            request.headers = {**request.headers, "accept": form}
        return request
