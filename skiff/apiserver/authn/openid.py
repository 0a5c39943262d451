"""Discovery of the service account issuer: /.well-known/openid-configuration and /openid/v1/jwks.

Handlers for the API server's router; who may read them is RBAC's matter (system:service-account-issuer-discovery).
"""

import orjson

from skiff.apiserver.authn.jwt import KeySet
from skiff.wire.messages import Request, Response

CONFIGURATION_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/openid/v1/jwks"
MAX_AGE = "public, max-age=3600"


class OpenIDDiscovery:
    """issuer: the URL in the tokens. jwks_uri: where clients find the keys, as an absolute URL."""

    def __init__(self, keys: KeySet, *, issuer: str, jwks_uri: str):
        self._keys = keys
        self._issuer = issuer
        self._jwks_uri = jwks_uri

    async def configuration(self, request: Request) -> Response:
        document = {
            "issuer": self._issuer,
            "jwks_uri": self._jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({k.algorithm for k in self._keys.keys.values()}),
        }
        headers = {"Content-Type": "application/json", "Cache-Control": MAX_AGE}
        return Response(200, headers, orjson.dumps(document))

    async def jwks(self, request: Request) -> Response:
        headers = {"Content-Type": "application/jwk-set+json", "Cache-Control": MAX_AGE}
        return Response(200, headers, orjson.dumps(self._keys.jwks()))
