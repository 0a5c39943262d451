"""authorizer.path("/x").check("get").allowed() and its kin: questions to an authorizer that the caller brings.

An expression builds a question step by step; `check` asks. The variables `authorizer` and `authorizer.requestResource` of
admission policies are an AuthorizerValue and a ResourceCheck. Source: apiserver pkg/cel/library/authz.go.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from skiff.api.cel.errors import CelError
from skiff.api.cel.functions import Row
from skiff.api.cel.types import Type, object_type
from skiff.api.cel.values import register

AUTHORIZER: Type = object_type("kubernetes.authorization.Authorizer")
PATH_CHECK: Type = object_type("kubernetes.authorization.PathCheck")
GROUP_CHECK: Type = object_type("kubernetes.authorization.GroupCheck")
RESOURCE_CHECK: Type = object_type("kubernetes.authorization.ResourceCheck")
DECISION: Type = object_type("kubernetes.authorization.Decision")


@dataclass(frozen=True)
class Question:
    """What is asked. user: "": the user of the request; else the full name of a service account."""

    verb: str
    user: str = ""
    groups: tuple[str, ...] = ()
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


class Authorizer(Protocol):
    def authorize(self, question: Question) -> "Decision":
        """Whether it is allowed. Never raises: what failed is in the decision."""
        ...


@dataclass(frozen=True)
class Decision:
    allowed: bool = False
    reason: str = ""
    error: str = ""
    cel_constant_equality = True


@dataclass(frozen=True)
class AuthorizerValue:
    """The variable `authorizer`."""

    authorizer: Authorizer
    user: str = ""
    groups: tuple[str, ...] = ()
    cel_constant_equality = True


@dataclass(frozen=True)
class PathCheck:
    on: AuthorizerValue
    path: str
    cel_constant_equality = True


@dataclass(frozen=True)
class GroupCheck:
    on: AuthorizerValue
    group: str
    cel_constant_equality = True


@dataclass(frozen=True)
class ResourceCheck:
    on: AuthorizerValue
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    cel_constant_equality = True


for _cls, _type in (
    (AuthorizerValue, AUTHORIZER), (PathCheck, PATH_CHECK), (GroupCheck, GROUP_CHECK), (ResourceCheck, RESOURCE_CHECK),
    (Decision, DECISION),
):  # fmt: skip
    register(_cls, _type.name)


def _service_account(on: AuthorizerValue, namespace: str, name: str) -> AuthorizerValue:
    if not namespace or not name:
        raise CelError("Invalid service account namespace or name")
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return replace(on, user=f"system:serviceaccount:{namespace}:{name}", groups=groups)


def _check_path(check: PathCheck, verb: str) -> Decision:
    on = check.on
    return on.authorizer.authorize(Question(verb, on.user, on.groups, path=check.path))


def _check_resource(c: ResourceCheck, verb: str) -> Decision:
    question = Question(
        verb, c.on.user, c.on.groups, "", c.group, c.resource, c.subresource, c.namespace, c.name,
        c.field_selector, c.label_selector,
    )  # fmt: skip
    return c.on.authorizer.authorize(question)


def _with(field: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    return lambda check, value: replace(check, **{field: value})  # type: ignore[arg-type]


_A, _P, _G = AUTHORIZER.name, PATH_CHECK.name, GROUP_CHECK.name
_R, _D = RESOURCE_CHECK.name, DECISION.name


ROWS: list[Row] = [
    (".path", "authorizer_path", f"{_A}, string -> {_P}", PathCheck),
    (".group", "authorizer_group", f"{_A}, string -> {_G}", GroupCheck),
    (".serviceAccount", "authorizer_serviceaccount", f"{_A}, string, string -> {_A}", _service_account),
    (".resource", "groupcheck_resource", f"{_G}, string -> {_R}", lambda g, r: ResourceCheck(g.on, g.group, r)),
    (".subresource", "resourcecheck_subresource", f"{_R}, string -> {_R}", _with("subresource")),
    (".namespace", "resourcecheck_namespace", f"{_R}, string -> {_R}", _with("namespace")),
    (".name", "resourcecheck_name", f"{_R}, string -> {_R}", _with("name")),
    (".fieldSelector", "authorizer_fieldselector", f"{_R}, string -> {_R}", _with("field_selector")),
    (".labelSelector", "authorizer_labelselector", f"{_R}, string -> {_R}", _with("label_selector")),
    (".check", "pathcheck_check", f"{_P}, string -> {_D}", _check_path),
    (".check", "resourcecheck_check", f"{_R}, string -> {_D}", _check_resource),
    (".errored", "decision_errored", f"{_D} -> bool", lambda d: bool(d.error)),
    (".error", "decision_error", f"{_D} -> string", lambda d: d.error),
    (".allowed", "decision_allowed", f"{_D} -> bool", lambda d: d.allowed),
    (".reason", "decision_reason", f"{_D} -> string", lambda d: d.reason),
]
