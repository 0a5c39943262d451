"""What mutating policies make of a request, in one round of the chain."""

from asyncio import get_running_loop

import orjson

from skiff.api.cel import costs
from skiff.api.errors import StatusError
from skiff.api.types import Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.asking import Asking
from skiff.apiserver.admission.conditions import Unmatched
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.policies.evaluation import (
    OutOfBudget,
    Session,
    View,
    bindings_of,
    matches,
    view,
    with_namespace,
)
from skiff.apiserver.admission.policies.invocations import Invocation, error_type
from skiff.apiserver.admission.policies.patches import PatchError, patched
from skiff.apiserver.admission.policies.program import Mutation
from skiff.apiserver.admission.reinvocation import Memory
from skiff.apiserver.authz import Authorization

Key = tuple[str, str, str, str]
"""Policy, binding, namespace and name of the parameter."""


class Round:
    """The policies' part of one round of the chain."""

    def __init__(
        self, forms: Forms, authorization: Authorization | None, metrics: AdmissionMetrics, attrs: Attributes
    ) -> None:
        self._forms = forms
        self._metrics = metrics
        self._attrs = attrs
        self._asking = Asking(attrs, authorization)
        self._memory: Memory = attrs.memory.setdefault("MutatingAdmissionPolicy", Memory())
        self._patched = False
        if attrs.again and self._memory.output != _text(attrs.obj):
            self._memory.changed()

    async def invoke(self, invocation: Invocation, namespace: Obj | None) -> list[str]:
        """What went wrong. Raises StatusError for what is not the policy's mistake."""
        attrs, policy, memory = self._attrs, invocation.policy, self._memory
        try:
            shown = await view(self._forms, attrs, invocation.gvr)
        except StatusError as e:
            return [f"failed to configure policy: {e.message}"]
        bindings = bindings_of(self._forms, attrs, shown, invocation)
        try:
            if not await matches(policy, self._asking, bindings, self._metrics, attrs.operation):
                return []
        except Unmatched as e:
            return [str(e)]
        key = _key(invocation)
        if attrs.again and key not in memory.again:
            return []
        before, wrong = _text(shown.obj), []
        for mutation in policy.program.mutations if shown.obj is not None else ():
            started = get_running_loop().time()
            try:
                why = await self._mutate(invocation, mutation, shown, namespace)
            except StatusError as e:
                self._observe(invocation, started, e.message)
                raise
            self._observe(invocation, started, why)
            wrong += [why] if why else []
        if shown.obj is not None and _text(shown.obj) != before:
            attrs.obj = await self._forms.convert(shown.obj, invocation.gvr, attrs.gvr, attrs.subresource)
            attrs.changed = attrs.reinvoke = True
            memory.changed()
        if policy.spec.get("reinvocationPolicy") == "IfNeeded":
            memory.asked.add(key)
        return wrong

    async def _mutate(self, invocation: Invocation, mutation: Mutation, shown: View, namespace: Obj | None) -> str:
        """Changes the object of the view. Returns what went wrong."""
        assert shown.obj is not None
        if mutation.expression.program is None:
            return mutation.expression.error
        plain = bindings_of(self._forms, self._attrs, shown, invocation)
        bindings = with_namespace(plain, invocation, namespace)
        variables = invocation.policy.program.variables
        session = Session(variables, self._asking, {**bindings, **self._asking.variables}, costs.PER_OBJECT)
        try:
            outcome = await session.evaluate(mutation.expression)
            if outcome.error:
                return outcome.error
            gvr, subresource = invocation.gvr, self._attrs.subresource
            shown.obj = patched(self._forms, gvr, subresource, shown.obj, mutation.kind, outcome.value)
            self._patched = True
        except (PatchError, OutOfBudget) as e:
            return str(e)
        return ""

    def end(self) -> None:
        if self._patched:
            self._memory.changed()
            self._attrs.reinvoke = True
        self._memory.output = _text(self._attrs.obj)

    def _observe(self, invocation: Invocation, started: float, error: str) -> None:
        kind = error_type(error) if error else "no_error"
        seconds = get_running_loop().time() - started
        self._metrics.mutating.observe(seconds, invocation.policy.name, invocation.binding.name, kind)


def _text(obj: Obj | None) -> bytes:
    return orjson.dumps(obj)


def _key(invocation: Invocation) -> Key:
    meta = (invocation.param or {}).get("metadata") or {}
    return (invocation.policy.name, invocation.binding.name, meta.get("namespace", ""), meta.get("name", ""))
