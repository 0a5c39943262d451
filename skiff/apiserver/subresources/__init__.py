"""What hangs below an object. GENERIC: subresources that work alike for every kind that has them. SPECIAL: by (group,
plural, subresource), those that only one kind has; they come first.
"""

from collections.abc import Awaitable, Callable, Mapping

from skiff.apiserver.call import Call
from skiff.apiserver.subresources import binding, certificates, eviction, finalize, podparts, scale, token
from skiff.apiserver.verbs import get, patch, update
from skiff.wire.messages import Response

Verb = Callable[[Call], Awaitable[Response]]

GENERIC: Mapping[str, Mapping[str, Verb]] = {
    "status": {"get": get.handle, "update": update.handle_status, "patch": patch.handle_status},
    "scale": {"get": scale.get, "update": scale.update, "patch": scale.patch},
}
SPECIAL: Mapping[tuple[str, str, str], Mapping[str, Verb]] = {
    ("", "pods", "binding"): {"create": binding.create},
    ("", "pods", "eviction"): {"create": eviction.create},
    ("", "pods", "ephemeralcontainers"): podparts.EPHEMERAL,
    ("", "pods", "resize"): podparts.RESIZE,
    ("", "namespaces", "finalize"): {"update": finalize.update},
    ("", "serviceaccounts", "token"): {"create": token.create},
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): certificates.APPROVAL,
    ("certificates.k8s.io", "certificatesigningrequests", "status"): certificates.STATUS,
}
