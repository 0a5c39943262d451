"""The group system:masters may do anything, whatever RBAC says: the way back in."""

from skiff.apiserver.authn import MASTERS
from skiff.apiserver.authz import NO_OPINION, Attributes, Decision

_ALLOW = Decision("allow", by="SuperUser", rule=f"group {MASTERS}", general=True)


class SuperUser:
    """An Authorizer."""

    async def authorize(self, attrs: Attributes) -> Decision:
        return _ALLOW if MASTERS in attrs.user.groups else NO_OPINION
