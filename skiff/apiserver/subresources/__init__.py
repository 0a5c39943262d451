"""What hangs below an object. GENERIC: subresources that work alike for every kind that has them. SPECIAL: by (group,
plural, subresource), those that only one kind has; they come first.
"""

from collections.abc import Awaitable, Callable, Mapping

from skiff.apiserver.call import Call
from skiff.apiserver.verbs import get, patch, update
from skiff.wire.messages import Response

Verb = Callable[[Call], Awaitable[Response]]

GENERIC: Mapping[str, Mapping[str, Verb]] = {
    "status": {"get": get.handle, "update": update.handle, "patch": patch.handle},
}
SPECIAL: Mapping[tuple[str, str, str], Mapping[str, Verb]] = {}
