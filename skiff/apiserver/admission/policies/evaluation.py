"""Evaluating the expressions of a policy: lazy variables, the cost budget, and the authorizer behind `authorizer`."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from skiff.api.cel.errors import CelError
from skiff.api.cel.library.authorizer import AuthorizerValue, Decision, Question, ResourceCheck
from skiff.api.cel.values import Message
from skiff.api.resources.policy_expressions import VARIABLES, Compiled
from skiff.api.types import Obj
from skiff.apiserver import authz
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.versions import Kind, View
from skiff.wire.messages import UserInfo

OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class OutOfBudget(Exception):
    """What was to be evaluated costs more than was left."""

    def __init__(self) -> None:
        super().__init__(OUT_OF_BUDGET)


@dataclass(frozen=True, slots=True)
class Outcome:
    """error "": value is what the expression came to."""

    value: Any = None
    error: str = ""


class Variables(Message):
    """`variables`: each is evaluated when it is first asked for. cost: of those that have been, since last looked at."""

    __slots__ = ("_bindings", "_compiled", "cost")

    def __init__(self, compiled: Mapping[str, Compiled], bindings: Mapping[str, Any]):
        super().__init__(VARIABLES, {})
        self._compiled = compiled
        self._bindings = bindings
        self.cost = 0

    def get(self, field: str) -> Any:
        if field not in self.fields:
            self.fields[field] = self._evaluate(field)
        value = self.fields[field]
        if type(value) is CelError:
            raise value
        return value

    def _evaluate(self, name: str) -> Any:
        compiled = self._compiled[name]
        if compiled.program is None:
            return CelError(f'composited variable "{name}" fails to compile: {compiled.error}')
        result = compiled.program.evaluate(self._bindings)
        self.cost += result.cost
        if result.error is not None:
            return CelError(f'composited variable "{name}" fails to evaluate: {result.error}')
        return result.value


class Session:
    """Evaluations that share their variables and a budget. left: of the budget."""

    def __init__(self, variables: Mapping[str, Compiled], bindings: Mapping[str, Any], budget: int):
        self.left = budget
        self._variables: Variables | None = None
        self._bindings = bindings
        if variables:
            own: dict[str, Any] = dict(bindings)
            self._variables = own["variables"] = Variables(variables, own)
            self._bindings = own

    def evaluate(self, compiled: Compiled) -> Outcome:
        """Raises OutOfBudget."""
        if compiled.program is None:
            return Outcome(error=f"compilation error: {compiled.error}")
        result = compiled.program.evaluate(self._bindings)
        if self._variables is not None:
            self._spend(self._variables.cost)
            self._variables.cost = 0
        self._spend(result.cost)
        if result.error is not None:
            return Outcome(error=f"expression '{compiled.expression}' resulted in error: {result.error}")
        return Outcome(result.value)

    def _spend(self, cost: int) -> None:
        if cost > self.left:
            raise OutOfBudget
        self.left -= cost


class RequestAuthorizer:
    """What the expressions about one request may ask; each question is decided once."""

    def __init__(self, authorization: authz.Authorization, user: UserInfo):
        self._authorization = authorization
        self._user = user
        self._known: dict[Question, Decision] = {}

    def authorize(self, question: Question) -> Decision:
        found = self._known.get(question)
        if found is None:
            found = self._known[question] = self._decide(question)
        return found

    def _decide(self, q: Question) -> Decision:
        user = UserInfo(q.user, q.groups) if q.user else self._user
        version = "" if q.path else "*"
        attrs = authz.Attributes(
            user, q.verb, q.group, version, q.resource, q.subresource, q.namespace, q.name, q.path, q.field_selector
        )
        decision = _at_once(self._authorization.authorize(attrs))
        return Decision(decision.allowed, decision.reason)


def _at_once(work: Coroutine[Any, Any, authz.Decision]) -> authz.Decision:
    """Our authorizers decide from what they have; none of them waits, so an expression can ask them."""
    try:
        work.send(None)
    except StopIteration as done:
        decided: authz.Decision = done.value
        return decided
    work.close()
    raise CelError("the authorizer cannot be asked here")


def with_authorizer(bindings: Mapping[str, Any], authorizer: RequestAuthorizer, attrs: Attributes) -> dict[str, Any]:
    asked = AuthorizerValue(authorizer)
    gvr = attrs.gvr
    resource = ResourceCheck(asked, gvr.group, gvr.plural, attrs.subresource, attrs.namespace, attrs.name)
    return {**bindings, "authorizer": asked, "authorizer.requestResource": resource}


def bindings_of(attrs: Attributes, shown: View, resource: Obj, kind: Kind, param: Obj | None) -> dict[str, Any]:
    """The variables of an evaluation. resource, kind: of the request itself."""
    return {
        "object": shown.obj,
        "oldObject": shown.old,
        "params": param,
        "request": _request(attrs, shown.kind.as_object(), resource, kind),
        "namespaceObject": None,
    }


def resource_of(gvr: Any) -> Obj:
    return {"group": gvr.group, "version": gvr.version, "resource": gvr.plural}


def _request(attrs: Attributes, shown: Obj, resource: Obj, kind: Kind) -> Obj:
    """As AdmissionRequest in JSON: what is empty is not there."""
    user = attrs.user
    who: Obj = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    who["extra"] = {key: list(values) for key, values in (user.extra or {}).items()}
    optional = {
        "subResource": attrs.subresource,
        "requestSubResource": attrs.subresource,
        "name": attrs.name,
        "namespace": attrs.namespace,
    }
    return {
        "uid": "",
        "kind": shown,
        "resource": resource,
        "requestKind": kind.as_object(),
        "requestResource": resource_of(attrs.gvr),
        "operation": attrs.operation,
        "userInfo": {k: v for k, v in who.items() if v},
        "dryRun": attrs.dry_run,
        "options": dict(attrs.options) or None,
        **{k: v for k, v in optional.items() if v},
    }


_SHOWN_OF_NAMESPACES = (
    *("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers"),
)


def namespace_object(namespace: Obj | None) -> Obj | None:
    """What of a namespace expressions see."""
    if namespace is None:
        return None
    meta = {k: v for k, v in namespace["metadata"].items() if k in _SHOWN_OF_NAMESPACES}
    return {"metadata": meta, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}
