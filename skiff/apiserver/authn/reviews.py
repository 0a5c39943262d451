"""TokenReview and SelfSubjectReview: what the API server knows about a token, and about the one who asks."""

from collections.abc import Sequence

from skiff import env
from skiff.api import times
from skiff.api.errors import bad_request
from skiff.api.types import Obj
from skiff.apiserver.authn import Unauthorized
from skiff.apiserver.authn.bearer import INVALID, Bearer
from skiff.wire.messages import UserInfo


async def token_review(bearer: Bearer, api_audiences: Sequence[str], review: Obj) -> Obj:
    """The TokenReview with its status. Raises StatusError 400 without a token."""
    spec = review.get("spec") or {}
    token = spec.get("token")
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    status: Obj = {}
    wanted = tuple(spec.get("audiences") or api_audiences)
    try:
        found = await bearer.identify(token, wanted)
        audiences = found.audiences or tuple(a for a in wanted if a in api_audiences)
        if wanted and not audiences:
            raise Unauthorized(INVALID)  # a token without audiences is for us alone
    except Unauthorized as err:
        status = {"user": {}, "error": str(err)}
    else:
        status = {"authenticated": True, "user": user_json(found.user)}
        if audiences:
            status["audiences"] = list(audiences)
    return {**review, "metadata": review.get("metadata") or {}, "status": status}


def self_subject_review(user: UserInfo, review: Obj) -> Obj:
    """Who the caller is, as `kubectl auth whoami` shows it."""
    meta = {"creationTimestamp": times.format_time(env.epoch())}
    head: Obj = {k: review[k] for k in ("kind", "apiVersion") if k in review}
    return {**head, "metadata": meta, "status": {"userInfo": user_json(user)}}


def user_json(user: UserInfo) -> Obj:
    """authentication.k8s.io/v1 UserInfo."""
    out: Obj = {"username": user.name}
    if user.uid:
        out["uid"] = user.uid
    if user.groups:
        out["groups"] = list(user.groups)
    if user.extra:
        out["extra"] = {key: list(values) for key, values in user.extra.items()}
    return out
