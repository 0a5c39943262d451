"""SubjectAccessReview and its kin: the authorizers' answer as an object, for `kubectl auth can-i` and for other servers."""

from collections.abc import Sequence

from skiff.api.errors import FieldError, bad_request, invalid, invalid_object
from skiff.api.types import GVR, Obj
from skiff.apiserver.authz import Attributes, Authorization
from skiff.apiserver.authz.node import node_name
from skiff.apiserver.authz.rbac import RBAC
from skiff.apiserver.authz.reviewselectors import check, field_selector, label_selector_problem
from skiff.apiserver.authz.rules import Rule
from skiff.wire.messages import UserInfo

_GROUP = "authorization.k8s.io"
SUBJECT = GVR(_GROUP, "v1", "subjectaccessreviews", "SubjectAccessReview", False)
SELF_SUBJECT = GVR(_GROUP, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
LOCAL_SUBJECT = GVR(_GROUP, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview")
SELF_RULES = GVR(_GROUP, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False)


async def subject_access_review(authorization: Authorization, review: Obj) -> Obj:
    """May the user or groups of the spec do this. Raises 422."""
    _check(_subject_errors(review) + _metadata_errors(review))
    return await _answer(authorization, _spec_user(review["spec"]), review)


async def self_subject_access_review(authorization: Authorization, user: UserInfo, review: Obj) -> Obj:
    """May the caller do this. Raises 422."""
    _check(_target_errors(review) + _metadata_errors(review))
    return await _answer(authorization, user, review)


async def local_subject_access_review(authorization: Authorization, namespace: str, review: Obj) -> Obj:
    """As subject_access_review, within one namespace. Raises 400, 422."""
    spec, meta = review.get("spec") or {}, review.setdefault("metadata", {})
    meta["namespace"] = meta.get("namespace") or namespace
    errors = _subject_errors(review) + _metadata_errors(review, "must be empty except for namespace")
    target = spec.get("resourceAttributes")
    if target is not None and target.get("namespace", "") != meta.get("namespace", ""):
        path = "spec.resourceAttributes.namespace"
        errors.append(invalid(path, target.get("namespace", ""), "must match metadata.namespace"))
    if spec.get("nonResourceAttributes") is not None:
        path = "spec.nonResourceAttributes"
        errors.append(invalid(path, _go_path(spec["nonResourceAttributes"]), "disallowed on this kind of request"))
    _check(errors)
    if meta.get("namespace", "") != namespace:
        why = f"metadata.namespace ({meta.get('namespace', '')}) must match the namespace on the request ({namespace})"
        raise bad_request(why)
    return await _answer(authorization, _spec_user(spec), review)


def self_subject_rules_review(rbac: RBAC, user: UserInfo, review: Obj) -> Obj:
    """All that the caller may do in a namespace, as far as RBAC can tell. Raises 400."""
    namespace = (review.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise bad_request("no namespace on request")
    rules, errors = rbac.rules_for(user, namespace)
    if node_name(user) is not None:
        errors.append("node authorizer does not support user rule resolution")
    status: Obj = {
        "resourceRules": [_resource_rule(r) for r in rules if r.resources],
        "nonResourceRules": [_url_rule(r) for r in rules if r.urls],
        "incomplete": node_name(user) is not None,
    }
    if errors:
        status["evaluationError"] = ", ".join(errors)
    return {**_head(review), "spec": {}, "status": status}


def target_of(user: UserInfo, spec: Obj) -> Attributes:
    """The attributes that a review's spec asks about."""
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""))
    found = spec.get("resourceAttributes") or {}
    names = ("group", "version", "resource", "subresource", "namespace", "name")
    values = {n: found.get(n) or "" for n in names}
    values["version"] = values["version"] or "*"
    return Attributes(user, found.get("verb", ""), field_selector=field_selector(found)[0], **values)


async def _answer(authorization: Authorization, user: UserInfo, review: Obj) -> Obj:
    decision = await authorization.authorize(target_of(user, review["spec"]))
    status: Obj = {"allowed": decision.allowed}
    if decision.verdict == "deny":
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    target = review["spec"].get("resourceAttributes") or {}
    if problems := [p for p in (field_selector(target)[1], label_selector_problem(target)) if p]:
        status["evaluationError"] = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    return {**_head(review), "status": status}


def _head(review: Obj) -> Obj:
    return {**{k: v for k, v in review.items() if k != "status"}, "metadata": review.get("metadata") or {}}


def _spec_user(spec: Obj) -> UserInfo:
    extra = {key: tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    return UserInfo(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _check(errors: Sequence[FieldError]) -> None:
    """Upstream names no kind in these refusals."""
    if errors:
        raise invalid_object(GVR(_GROUP, "v1", "", ""), "", errors)


def _target_errors(review: Obj) -> list[FieldError]:
    spec = review.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        return [invalid("spec.nonResourceAttributes", _go_path(path), why)]
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [invalid("spec.resourceAttributes", None, why)]
    return check(resource, "spec.resourceAttributes") if resource is not None else []


def _go_path(path: Obj) -> Obj:
    """As upstream prints its internal type."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _subject_errors(review: Obj) -> list[FieldError]:
    spec = review.get("spec") or {}
    errors = _target_errors(review)
    if not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    return errors


def _metadata_errors(review: Obj, why: str = "must be empty") -> list[FieldError]:
    allowed = {"managedFields", "creationTimestamp"} | ({"namespace"} if "namespace" in why else set())
    meta = review.get("metadata") or {}
    return [invalid("metadata", meta, why)] if any(v for k, v in meta.items() if k not in allowed) else []


def _resource_rule(rule: Rule) -> Obj:
    out: Obj = {"verbs": sorted(rule.verbs), "apiGroups": sorted(rule.groups), "resources": sorted(rule.resources)}
    if rule.names:
        out["resourceNames"] = sorted(rule.names)
    return out


def _url_rule(rule: Rule) -> Obj:
    return {"verbs": sorted(rule.verbs), "nonResourceURLs": sorted(rule.urls)}
