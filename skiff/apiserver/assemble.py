"""Puts an API server together: a store, the resources, and the chains of access control.

Admission plugins and authorizers read the cluster through `Registry.lookup`, so the registry is made first.
"""

from collections.abc import Callable, Sequence

from skiff.api.resources import Resource
from skiff.api.resources.builtin import RESOURCES
from skiff.apiserver.admission import Chain, Plugin
from skiff.apiserver.authn import Authentication, Authenticator
from skiff.apiserver.authz import Authorization, Authorizer
from skiff.apiserver.lookup import Lookup
from skiff.apiserver.registry import Registry
from skiff.apiserver.server import APIServer
from skiff.store import Store


def assemble(
    store: Store,
    *,
    resources: Sequence[Resource] = RESOURCES,
    authenticators: Callable[[Lookup], Sequence[Authenticator]],
    authorizers: Callable[[Lookup], Sequence[Authorizer]],
    plugins: Callable[[Lookup], Sequence[Plugin]],
    anonymous: bool = True,
) -> APIServer:
    """Each chain is made from the lookup that it reads through. Nothing runs yet: see APIServer.start."""
    registry = Registry(store, resources)
    return APIServer(
        registry,
        authentication=Authentication(authenticators(registry.lookup), anonymous=anonymous),
        authorization=Authorization(authorizers(registry.lookup)),
        admission=Chain(plugins(registry.lookup)),
    )
