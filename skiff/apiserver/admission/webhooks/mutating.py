"""MutatingAdmissionWebhook: asks webhooks one after the other, each about what its predecessors have made of the object.

When one makes a difference, the chain of plugins runs once more, and webhooks with reinvocationPolicy IfNeeded that were
asked before the change are asked again. Source: apiserver pkg/admission/plugin/webhook/mutating.
"""

from typing import Any

import orjson

from skiff.api.decode import json_kind
from skiff.api.errors import internal
from skiff.api.patch import DoesNotApply, apply_operations
from skiff.api.types import GVR, Obj
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.matching import EXEMPT
from skiff.apiserver.admission.reinvocation import Memory
from skiff.apiserver.admission.webhooks.calling import Caller, CallFailed, Views, annotate
from skiff.apiserver.admission.webhooks.configuration import Configurations, Hook
from skiff.apiserver.admission.webhooks.review import Answer
from skiff.apiserver.negotiation import json_error

ANNOTATION = "mutation.webhook.admission.k8s.io/"


class MutatingAdmissionWebhook(Plugin):
    name = "MutatingAdmissionWebhook"
    operations = frozenset(("CREATE", "UPDATE", "DELETE", "CONNECT"))

    def __init__(self, configurations: Configurations, caller: Caller):
        self._configurations = configurations
        self._caller = caller

    async def close(self) -> None:
        self._configurations.close()

    async def mutate(self, attrs: Attributes) -> None:
        hooks = self._configurations.hooks
        if not hooks or attrs.gvr.group_resource in EXEMPT:
            return
        memory: Memory = attrs.memory.setdefault(self.name, Memory())
        if attrs.again and memory.asked and memory.output != _text(attrs.obj):
            memory.changed()  # by another plugin
        views = Views(self._caller.forms, attrs)
        for index, hook in enumerate(hooks):
            gvr = await self._caller.meant(hook, attrs, views)
            if gvr is None or (attrs.again and hook.uid not in memory.again):
                continue
            if await self._ask(hook, attrs, gvr, views, index):
                memory.changed()
                attrs.reinvoke = True
            if hook.again:
                memory.asked.add(hook.uid)
        if memory.asked and not attrs.again:
            memory.output = _text(attrs.obj)

    async def _ask(self, hook: Hook, attrs: Attributes, gvr: GVR, views: Views, index: int) -> bool:
        """Whether the object is another one now. Raises StatusError."""
        place, changed = f"{ANNOTATION}round_{int(attrs.again)}_index_{index}", False
        try:
            with self._caller.counted(hook, attrs, place):
                answer = await self._caller.ask(hook, attrs, gvr, views)
                changed = await self._patch(hook, attrs, gvr, views, answer)
        finally:
            told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
            annotate(attrs, place, orjson.dumps(told).decode())
        return changed

    async def _patch(self, hook: Hook, attrs: Attributes, gvr: GVR, views: Views, answer: Answer) -> bool:
        operations = _operations(hook, answer.patch) if answer.patch else []
        if not operations:
            return False
        obj, _ = await views.of(gvr)
        if obj is None:
            words = f'admission webhook "{hook.name}" attempted to modify the object'
            raise internal(f"{words}, which is not supported for this operation")
        if answer.patch_type != "JSONPatch":
            raise CallFailed(hook, f'unsupported patch type "{answer.patch_type}"', 400)
        try:
            patched: Any = orjson.loads(orjson.dumps(apply_operations(obj, operations)))
        except DoesNotApply as e:
            raise internal(str(e)) from None
        except TypeError:
            raise internal("the patched object cannot be encoded: exceeded max depth") from None
        if not isinstance(patched, dict):
            raise internal("the patched document is not an object")
        changed = patched != obj
        forms = self._caller.forms
        made = forms.read(patched, gvr, attrs.subresource)
        attrs.obj = await forms.convert(made, gvr, attrs.gvr, attrs.subresource)
        attrs.changed = True
        views.changed()
        return changed


def _operations(hook: Hook, patch: bytes) -> list[Obj]:
    """Raises CallFailed."""
    try:
        found = orjson.loads(patch)
    except orjson.JSONDecodeError as e:
        raise CallFailed(hook, f"received undecodable patch in webhook response: {json_error(e)}") from None
    if found is None:
        return []
    wrong = found if not isinstance(found, list) else next((op for op in found if not isinstance(op, dict)), None)
    if wrong is None:
        return found
    target = "jsonpatch.Patch" if wrong is found else "jsonpatch.Operation"
    words = f"json: cannot unmarshal {json_kind(wrong).partition(' ')[0]} into Go value of type {target}"
    raise CallFailed(hook, f"received undecodable patch in webhook response: {words}")


def _text(obj: Obj | None) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
