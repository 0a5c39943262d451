"""Whether a webhook is meant, in which form it sees the request, and the call itself. Both plugins do it alike."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from skiff import env
from skiff.api import labels
from skiff.api.errors import StatusError, bad_request, forbidden, internal, timeout
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes
from skiff.apiserver.admission.conditions import Conditions, Evaluation, Unmatched, request_variable
from skiff.apiserver.admission.forms import Forms
from skiff.apiserver.admission.matching import Matcher
from skiff.apiserver.admission.metrics import AdmissionMetrics
from skiff.apiserver.admission.webhooks import review
from skiff.apiserver.admission.webhooks.configuration import Hook
from skiff.apiserver.admission.webhooks.review import Answer, Denied, Invalid, Unreadable
from skiff.apiserver.authz import Authorization
from skiff.apiserver.webhookclient import CallError

FAILED_OPEN = "failed-open."


class CallFailed(Exception):
    """The webhook could not be asked, or has not answered properly: its failure policy decides. code: for the metrics."""

    def __init__(self, hook: Hook, why: str, code: int = 503):
        super().__init__(f'failed calling webhook "{hook.name}": {why}')
        self.code = code


@dataclass(slots=True)
class Views:
    """The request's objects in the versions that webhooks want, made when first asked for."""

    forms: Forms
    attrs: Attributes
    _made: dict[GVR, tuple[Obj | None, Obj | None]] = field(default_factory=dict)

    async def of(self, gvr: GVR) -> tuple[Obj | None, Obj | None]:
        """(object, old object). Raises StatusError 500."""
        attrs = self.attrs
        if gvr == attrs.gvr:
            return attrs.obj, attrs.old
        found = self._made.get(gvr)
        if found is None:
            obj, old = [
                await self.forms.convert(o, attrs.gvr, gvr, attrs.subresource) if o is not None else None
                for o in (attrs.obj, attrs.old)
            ]
            found = self._made[gvr] = obj, old
        return found

    def changed(self) -> None:
        """There is another object."""
        self._made.clear()


class Caller:
    """steps: the plugin's name in the metrics, and in the one of requests that conditions exclude."""

    def __init__(
        self,
        steps: tuple[str, str],
        forms: Forms,
        matcher: Matcher,
        authorization: Authorization | None,
        metrics: AdmissionMetrics,
    ):
        self.forms = forms
        self.metrics = metrics
        self._step, self._excluding_step = steps
        self._matcher = matcher
        self._authorization = authorization

    async def meant(self, hook: Hook, attrs: Attributes, views: Views) -> GVR | None:
        """In which version the webhook is to be shown the request, None if it is not. Raises StatusError."""
        if hook.broken:
            raise internal(hook.broken)
        gvr = await self._matcher.match(hook.criteria, attrs)
        if gvr is None or not hook.conditions:
            return gvr
        obj, old = await views.of(gvr)
        variables = {"object": obj, "oldObject": old, "namespaceObject": None}
        variables["request"] = request_variable(self._request("", attrs, gvr, None, None))
        conditions = Conditions(
            name=hook.name,
            kind="webhook",
            step=self._step,
            fail=hook.fail,
            conditions=hook.conditions,
            metrics=self.metrics,
        )
        try:
            if await conditions.match(Evaluation(attrs, variables, self._authorization), attrs.operation):
                return gvr
        except Unmatched as e:
            raise forbidden(attrs.gvr, attrs.name, str(e)) from None
        self.metrics.exclusions.add(hook.name, "webhook", self._excluding_step, attrs.operation)
        return None

    async def ask(self, hook: Hook, attrs: Attributes, gvr: GVR, views: Views) -> Answer:
        """What the webhook says, which is not a refusal. Raises CallFailed, Denied, StatusError."""
        if attrs.dry_run and not hook.dry:
            raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
        if not hook.version:
            why = "webhook does not accept known AdmissionReview versions (v1, v1beta1)"
            raise CallFailed(hook, f"could not create admission objects: {why}", 400)
        uid = env.uid()
        body = review.encoded(hook.version, self._request(uid, attrs, gvr, *await views.of(gvr)))
        try:
            data = await hook.client.post(body, self._patience(hook, attrs))
            answer = review.answer(data, hook.version, uid, mutating=self._step == "admit")
        except StatusError as e:
            raise CallFailed(hook, f"failed to call webhook: {e.message}", e.code) from None
        except (CallError, Unreadable) as e:
            raise CallFailed(hook, f"failed to call webhook: {e}") from None
        except Invalid as e:
            raise CallFailed(hook, f"received invalid webhook response: {e}") from None
        for key, value in answer.annotations.items():
            annotate(attrs, f"{hook.name}/{key}", value)
        attrs.warnings += answer.warnings
        if not answer.allowed:
            raise review.denial(hook.name, answer.status)
        return answer

    def _request(self, uid: str, attrs: Attributes, gvr: GVR, obj: Obj | None, old: Obj | None) -> Obj:
        kind, sub = self.forms.kind, attrs.subresource
        asked = attrs.gvr, kind(attrs.gvr, sub)
        shown = asked if gvr == attrs.gvr else (gvr, kind(gvr, sub))
        return review.request(uid, attrs, asked, shown, obj, old)

    def _patience(self, hook: Hook, attrs: Attributes) -> float:
        """How long to wait: no longer than the client does."""
        if attrs.deadline is None:
            return hook.timeout_s
        return max(0.001, min(hook.timeout_s, attrs.deadline - asyncio.get_running_loop().time()))

    @contextmanager
    def counted(self, hook: Hook, attrs: Attributes, key: str) -> Iterator[None]:
        """Around a call and what is made of its answer: counts it, and does with one that failed what its policy says. key:
        the place in the audit annotations. Raises StatusError."""
        started = asyncio.get_running_loop().time()
        try:
            yield
        except CallFailed as e:
            self._note(hook, attrs, started, e)
            self._failed(hook, attrs, e, key)
        except Exception as e:
            self._note(hook, attrs, started, e)
            raise
        else:
            self._note(hook, attrs, started, None)

    def _note(self, hook: Hook, attrs: Attributes, started: float, error: Exception | None) -> None:
        """Counts a call."""
        seconds, operation = asyncio.get_running_loop().time() - started, attrs.operation
        code, kind, rejected = 200, "", error is not None
        if isinstance(error, CallFailed):
            code, kind, rejected = error.code, "calling_webhook_error", hook.fail
        elif isinstance(error, Denied):
            code, kind = error.code, "no_error"
        elif error is not None:
            code, kind = 0, "apiserver_internal_error"
        if rejected:
            self.metrics.rejected(hook.name, self._step, operation, kind, code)
        self.metrics.called(seconds, hook.name, self._step, operation, code, rejected=rejected)

    def _failed(self, hook: Hook, attrs: Attributes, error: CallFailed, key: str) -> None:
        """Raises 500 if that is what a failed call means; 504 when the client has given up."""
        if hook.fail:
            raise internal(str(error)) from error
        self.metrics.open.add(hook.name, self._step)
        annotate(attrs, FAILED_OPEN + key, hook.name)
        if attrs.deadline is not None and asyncio.get_running_loop().time() >= attrs.deadline:
            raise timeout("request did not complete within requested timeout") from error


def annotate(attrs: Attributes, key: str, value: str) -> None:
    """For the audit log, where keys have a form, and the first value of one stays."""
    if not labels.key_errors(key):
        attrs.annotations.setdefault(key, value)
