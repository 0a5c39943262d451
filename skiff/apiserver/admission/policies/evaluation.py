"""Evaluating the expressions of a policy: lazy variables, a budget of costs, and what expressions see of a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skiff.api.cel.env import Program
from skiff.api.cel.errors import CelError
from skiff.api.cel.values import Message
from skiff.api.resources.policy_expressions import VARIABLES, Compiled
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.asking import Asking
from skiff.apiserver.admission.conditions import BUDGET, Conditions, request_variable
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.policies.configuration import Policy
from skiff.apiserver.admission.policies.invocations import Invocation
from skiff.apiserver.admission.webhooks import review


class OutOfBudget(Exception):
    """What was to be evaluated costs more than was left."""

    def __init__(self) -> None:
        super().__init__(BUDGET)


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

    def __init__(self, variables: Mapping[str, Compiled], asking: Asking, bindings: Mapping[str, Any], budget: int):
        self.left = budget
        self._asking = asking
        self._variables: Variables | None = None
        self._bindings = bindings
        if variables:
            own: dict[str, Any] = dict(bindings)
            self._variables = own["variables"] = Variables(variables, own)
            self._bindings = own

    async def run(self, program: Program) -> tuple[Any, int]:
        """(value or CelError, cost), that of variables included."""
        value, cost = await self._asking.run(program, self._bindings)
        if self._variables is not None:
            cost += self._variables.cost
            self._variables.cost = 0
        return value, cost

    async def evaluate(self, compiled: Compiled) -> Outcome:
        """Raises OutOfBudget."""
        if compiled.program is None:
            return Outcome(error=f"compilation error: {compiled.error}")
        value, cost = await self.run(compiled.program)
        if cost > self.left:
            raise OutOfBudget
        self.left -= cost
        if isinstance(value, CelError):
            return Outcome(error=f"expression '{compiled.expression}' resulted in error: {value}")
        return Outcome(value)


@dataclass(slots=True)
class View:
    """A request in the version that a policy asks for. obj, old: as in Attributes; read-only."""

    gvr: GVR
    obj: Obj | None
    old: Obj | None


async def view(forms: Forms, attrs: Attributes, gvr: GVR) -> View:
    """Raises StatusError."""
    if gvr == attrs.gvr:
        return View(gvr, attrs.obj, attrs.old)
    obj, old = [
        await forms.convert(o, attrs.gvr, gvr, attrs.subresource) if o is not None else None
        for o in (attrs.obj, attrs.old)
    ]
    return View(gvr, obj, old)


def bindings_of(forms: Forms, attrs: Attributes, shown: View, found: Invocation) -> dict[str, Any]:
    """The variables of an evaluation, but for the authorizer's. As conditions see them: without the namespace, and with
    the resource of the request itself."""
    request: Obj = {}
    if found.policy.program.uses_request:
        kind, asked = forms.kind(attrs.gvr, attrs.subresource), attrs.gvr
        seen = asked, forms.kind(shown.gvr, attrs.subresource)
        request = request_variable(review.request("", attrs, (asked, kind), seen, None, None))
    return {
        "object": shown.obj,
        "oldObject": shown.old,
        "params": found.param,
        "request": request,
        "namespaceObject": None,
    }


def with_namespace(bindings: Mapping[str, Any], found: Invocation, namespace: Obj | None) -> dict[str, Any]:
    """As everything but conditions sees them: the resource is that which the policy asks for."""
    own, gvr, program = dict(bindings), found.gvr, found.policy.program
    if program.uses_request:
        resource = {"group": gvr.group, "version": gvr.version, "resource": gvr.plural}
        own["request"] = {**bindings["request"], "resource": resource}
    if program.uses_namespace:
        own["namespaceObject"] = namespace_object(namespace)
    return own


async def matches(
    policy: Policy, asking: Asking, bindings: Mapping[str, Any], metrics: AdmissionMetrics, operation: str
) -> bool:
    """Whether the conditions of a policy hold. Raises Unmatched."""
    program = policy.program
    if not program.conditions:
        return True
    conditions = Conditions(
        name=policy.name,
        kind="policy",
        step="validate",
        fail=policy.fails,
        conditions=program.conditions,
        metrics=metrics,
    )
    session = Session(program.variables, asking, {**bindings, **asking.variables}, 0)
    return await conditions.match(session, operation)


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
