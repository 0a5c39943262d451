"""What expressions ask of the authorizer: `authorizer` and `authorizer.requestResource`."""

from collections.abc import Mapping
from typing import Any

from skiff.api.cel import costs
from skiff.api.cel.env import Program
from skiff.api.cel.errors import CelError
from skiff.api.cel.library.authorizer import AuthorizerValue, Decision, Question, ResourceCheck
from skiff.apiserver.admission import Attributes
from skiff.apiserver.authz import Attributes as Request
from skiff.apiserver.authz import Authorization
from skiff.wire.messages import UserInfo


class _Unanswered(Exception):
    def __init__(self, question: Question):
        super().__init__()
        self.question = question


class Asking:
    """The authorizer as expressions about one request see it. They cannot wait: what is not known yet is asked for outside,
    once, and the expression begins again. variables: `authorizer` and `authorizer.requestResource`."""

    def __init__(self, attrs: Attributes, authorization: Authorization | None):
        self._attrs = attrs
        self._authorization = authorization
        self._known: dict[Question, Decision] = {}
        on, gvr = AuthorizerValue(self), attrs.gvr
        resource = ResourceCheck(on, gvr.group, gvr.plural, attrs.subresource, attrs.namespace, attrs.name)
        self.variables: Mapping[str, Any] = {"authorizer": on, "authorizer.requestResource": resource}

    def authorize(self, question: Question) -> Decision:
        found = self._known.get(question)
        if found is None:
            raise _Unanswered(question)
        return found

    async def run(self, program: Program, variables: Mapping[str, Any]) -> tuple[Any, int]:
        """(value or CelError, cost)."""
        while True:
            try:
                result = program.evaluate(variables, costs.PER_CALL)
            except _Unanswered as e:
                self._known[e.question] = await self._ask(e.question)
                continue
            return (result.value if result.error is None else CelError(str(result.error))), result.cost

    async def _ask(self, q: Question) -> Decision:
        if self._authorization is None:
            return Decision(error="there is no authorizer")
        user = UserInfo(q.user, q.groups) if q.user else self._attrs.user
        place = ("", "", "", "") if q.path else (q.group, "*", q.resource, q.subresource)
        asked = Request(user, q.verb, *place, q.namespace, q.name, q.path, field_selector=q.field_selector)
        decision = await self._authorization.authorize(asked)
        return Decision(decision.allowed, decision.reason)
