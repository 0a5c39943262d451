"""ValidatingAdmissionWebhook: asks all webhooks that are meant at once; the first refusal counts.

Source: apiserver pkg/admission/plugin/webhook/validating.
"""

import asyncio

from skiff.api.types import GVR
from skiff.apiserver.admission import Attributes, Plugin
from skiff.apiserver.admission.matching import EXEMPT
from skiff.apiserver.admission.webhooks.calling import Caller, Views
from skiff.apiserver.admission.webhooks.configuration import Configurations, Hook

ANNOTATION = "validating.webhook.admission.k8s.io/"


class ValidatingAdmissionWebhook(Plugin):
    name = "ValidatingAdmissionWebhook"
    operations = frozenset(("CREATE", "UPDATE", "DELETE", "CONNECT"))

    def __init__(self, configurations: Configurations, caller: Caller):
        self._configurations = configurations
        self._caller = caller

    async def close(self) -> None:
        self._configurations.close()

    async def validate(self, attrs: Attributes) -> None:
        hooks = self._configurations.hooks
        if not hooks or attrs.gvr.group_resource in EXEMPT:
            return
        views = Views(self._caller.forms, attrs)
        meant: list[tuple[Hook, GVR]] = []
        for hook in hooks:
            gvr = await self._caller.meant(hook, attrs, views)
            if gvr is not None:
                meant.append((hook, gvr))
        if len(meant) == 1:
            await self._ask(*meant[0], attrs, views, 0)
        elif meant:
            await self._ask_all(meant, attrs, views)

    async def _ask_all(self, meant: list[tuple[Hook, GVR]], attrs: Attributes, views: Views) -> None:
        """Everybody answers; then the first error is raised."""
        errors: list[Exception] = []

        async def ask(index: int, hook: Hook, gvr: GVR) -> None:
            try:
                await self._ask(hook, gvr, attrs, views, index)
            except Exception as e:
                errors.append(e)

        for _, gvr in meant:
            await views.of(gvr)  # once, not by several at a time
        async with asyncio.TaskGroup() as group:
            for index, (hook, gvr) in enumerate(meant):
                group.create_task(ask(index, hook, gvr))
        if errors:
            raise errors[0]

    async def _ask(self, hook: Hook, gvr: GVR, attrs: Attributes, views: Views, index: int) -> None:
        """Raises StatusError."""
        with self._caller.counted(hook, attrs, f"{ANNOTATION}round_0_index_{index}"):
            await self._caller.ask(hook, attrs, gvr, views)
