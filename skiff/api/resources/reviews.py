"""authentication.k8s.io/v1 and authorization.k8s.io/v1: questions that are answered and never stored."""

from collections.abc import Sequence
from typing import Any

from skiff.api.resources import Resource
from skiff.api.resources.define import builtin
from skiff.api.resources.fields import struct

AUTHENTICATION = "authentication.k8s.io"
AUTHORIZATION = "authorization.k8s.io"

_ask: dict[str, Any] = {"verbs": ("create",), "default": struct("status")}

AUTHENTICATION_RESOURCES: Sequence[Resource] = (
    builtin(AUTHENTICATION, "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False, **_ask),
    builtin(AUTHENTICATION, "v1", "tokenreviews", "TokenReview", namespaced=False, **_ask),
)

AUTHORIZATION_RESOURCES: Sequence[Resource] = (
    builtin(AUTHORIZATION, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", **_ask),
    builtin(AUTHORIZATION, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False, **_ask),
    builtin(AUTHORIZATION, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False, **_ask),
    builtin(AUTHORIZATION, "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False, **_ask),
)
