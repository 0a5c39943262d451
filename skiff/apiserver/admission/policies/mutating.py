"""MutatingAdmissionPolicy: expressions that say what is changed in an object on its way.

Policies come in order of their names, and each sees what those before it have made. When an object has been changed, the
chain goes round once more; then only those policies mutate again that ask for it (reinvocationPolicy IfNeeded) and have not
had the last word. Source: apiserver pkg/admission/plugin/policy/mutating.
"""

from asyncio import get_running_loop
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from skiff.api.errors import StatusError
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes, Operation, Plugin
from skiff.apiserver.admission.policies.configuration import MUTATING, MUTATING_BINDINGS, Configuration
from skiff.apiserver.admission.policies.invocations import UNSEEN, Failure, Invocation, Invocations
from skiff.apiserver.admission.policies.metrics import Checks, Conditions, error_type
from skiff.apiserver.authz import Authorization
from skiff.apiserver.registry import Registry

if TYPE_CHECKING:
    from skiff.apiserver.admission.policies.evaluation import Session
    from skiff.apiserver.admission.policies.program import Mutation

Key = tuple[str, str, str, str]
"""Policy, binding, namespace and name of the parameter."""


@dataclass(slots=True)
class _Memory:
    """From one round to the other. previous: who could mutate again; due: who has to. last: what came out."""

    previous: set[Key] = field(default_factory=set)
    due: set[Key] = field(default_factory=set)
    last: bytes = b""

    def require(self) -> None:
        """Something has changed, so all who mutated before may want to see it."""
        self.due |= self.previous
        self.previous = set()


class MutatingAdmissionPolicy(Plugin):
    name = "MutatingAdmissionPolicy"
    operations: frozenset[Operation] = frozenset(("CREATE", "UPDATE", "CONNECT"))

    def __init__(self, registry: Registry, authorization: Authorization):
        self._registry = registry
        self._authorization = authorization
        self._configuration = Configuration(registry.lookup, MUTATING, MUTATING_BINDINGS)
        self._invocations = Invocations(registry, self._configuration)
        self._checks = Checks("apiserver_mutating_admission_policy", ("policy", "policy_binding", "error_type"))
        self._conditions = Conditions()

    def metrics(self) -> list[str]:
        return [*self._checks.lines(), *self._conditions.lines()]

    async def mutate(self, attrs: Attributes) -> None:
        if not self._configuration.policies or attrs.gvr.group_resource in UNSEEN:
            return
        found = [one async for one in self._invocations.of(attrs)]
        failures = [(f.policy, _refused(f, f.message), "") for f in found if isinstance(f, Failure)]
        invocations = [one for one in found if isinstance(one, Invocation)]
        if invocations:
            round_ = _Round(self._registry, self._authorization, self._checks, self._conditions, attrs)
            namespace = await self._invocations.namespace_of(attrs)
            for invocation in invocations:
                wrong = await round_.invoke(invocation, namespace)
                failures += [(invocation.policy, _refused(invocation, why), "Invalid") for why in wrong]
            round_.end()
        refusals = [(message, reason) for policy, message, reason in failures if policy.fails]
        if refusals:
            raise _refusal(attrs, refusals)


def _refused(found: Failure | Invocation, why: str) -> str:
    if found.binding is None:
        return f'policy "{found.policy.name}" denied request: {why}'
    return f"policy '{found.policy.name}' with binding '{found.binding.name}' denied request: {why}"


def _refusal(attrs: Attributes, refusals: Sequence[tuple[str, str]]) -> StatusError:
    error = attrs.forbid("")
    error.status["message"], reason = refusals[0]
    if reason:
        error.status["reason"] = reason
    error.status["details"]["causes"] = [{"message": message} for message, _ in refusals]
    return error


class _Round:
    """The policies' part of one round of the chain."""

    def __init__(
        self,
        registry: Registry,
        authorization: Authorization,
        checks: Checks,
        conditions: Conditions,
        attrs: Attributes,
    ):
        from skiff.apiserver.admission.policies.evaluation import RequestAuthorizer

        self._registry = registry
        self._checks = checks
        self._conditions = conditions
        self._attrs = attrs
        self._authorizer = RequestAuthorizer(authorization, attrs.user)
        self._memory: _Memory = attrs.memory.setdefault(MutatingAdmissionPolicy.name, _Memory())
        self._patched = False
        if attrs.again and self._memory.last != _text(attrs.obj):
            self._memory.require()

    async def invoke(self, invocation: Invocation, namespace: Obj | None) -> list[str]:
        """What went wrong. Raises StatusError for what is not the policy's mistake."""
        from skiff.api.cel import costs
        from skiff.apiserver.admission.policies.conditions import ConditionError, holds
        from skiff.apiserver.admission.policies.evaluation import (
            OutOfBudget,
            Session,
            bindings_of,
            namespace_object,
            resource_of,
            with_authorizer,
        )
        from skiff.apiserver.admission.policies.patches import PatchError, patched
        from skiff.apiserver.admission.versions import kind_of, view, write_back

        attrs, policy, memory = self._attrs, invocation.policy, self._memory
        program = policy.program
        shown = await view(self._registry, attrs, invocation.gvr)
        kind = kind_of(self._registry, attrs.gvr, attrs.subresource)

        def known(resource: Obj) -> Obj:
            plain = bindings_of(attrs, shown, resource, kind, invocation.param)
            return with_authorizer(plain, self._authorizer, attrs)

        try:
            labels = (policy.name, "policy", "validate", attrs.operation)
            about = known(resource_of(attrs.gvr))
            if not holds(program.conditions, program.variables, about, self._conditions, labels):
                return []
        except ConditionError as e:
            return [str(e)] if policy.fails else []
        key = _key(invocation)
        if attrs.again and key not in memory.due:
            return []
        wrong: list[str] = []
        before = _text(shown.obj)
        space, resource = namespace_object(namespace), resource_of(invocation.gvr)
        for mutation in program.mutations if shown.obj is not None else ():
            started = get_running_loop().time()
            session = Session(program.variables, {**known(resource), "namespaceObject": space}, costs.PER_OBJECT)
            error = ""
            try:
                shown.obj = patched(self._registry, shown, mutation.kind, _made(session, mutation))
                self._patched = True
            except (PatchError, OutOfBudget) as e:
                error = str(e)
            except StatusError as e:
                self._observe(invocation, started, e.message)
                raise
            self._observe(invocation, started, error)
            if error:
                wrong.append(error)
        if _text(shown.obj) != before:
            assert shown.obj is not None
            await write_back(self._registry, attrs, shown, shown.obj)
            attrs.changed = attrs.reinvoke = True
            memory.require()
        if policy.spec.get("reinvocationPolicy") == "IfNeeded":
            memory.previous.add(key)
        return wrong

    def end(self) -> None:
        if self._patched:
            self._memory.require()
            self._attrs.reinvoke = True
        self._memory.last = _text(self._attrs.obj)

    def _observe(self, invocation: Invocation, started: float, error: str) -> None:
        kind = error_type(error) if error else "no_error"
        seconds = get_running_loop().time() - started
        self._checks.observe(seconds, invocation.policy.name, invocation.binding.name, kind)


def _made(session: "Session", mutation: "Mutation") -> Any:
    """What the expression of a mutation comes to. Raises PatchError, OutOfBudget."""
    from skiff.apiserver.admission.policies.patches import PatchError

    if mutation.expression.program is None:
        raise PatchError(mutation.expression.error)
    outcome = session.evaluate(mutation.expression)
    if outcome.error:
        raise PatchError(outcome.error)
    return outcome.value


def _text(obj: Obj | None) -> bytes:
    return orjson.dumps(obj)


def _key(invocation: Invocation) -> Key:
    meta = (invocation.param or {}).get("metadata") or {}
    return (invocation.policy.name, invocation.binding.name, meta.get("namespace", ""), meta.get("name", ""))
