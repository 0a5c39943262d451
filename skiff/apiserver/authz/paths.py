"""Paths that everyone may read, anonymous callers too: health and version. Single checks are not for everyone."""

from skiff.apiserver.authz import NO_OPINION, Attributes, Decision

PUBLIC = ("/healthz", "/livez", "/readyz", "/version", "/version/")


class PublicPaths:
    """An Authorizer for non-resource requests."""

    def __init__(self, paths: tuple[str, ...] = PUBLIC):
        self._paths = frozenset(paths)

    async def authorize(self, attrs: Attributes) -> Decision:
        if attrs.resource or attrs.verb not in ("get", "head"):
            return NO_OPINION
        if attrs.path in self._paths:
            return Decision("allow", by="PublicPaths", rule=attrs.path)
        return NO_OPINION
