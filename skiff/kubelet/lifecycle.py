"""postStart and preStop hooks: exec, httpGet, sleep. Source: Kubernetes docs, "Container Lifecycle Hooks"."""

import asyncio

from skiff.api.types import Obj
from skiff.kubelet.host import Host
from skiff.kubelet.pods import full_name
from skiff.kubelet.prober import target
from skiff.kubelet.runtime import Container, RuntimeFailure, Sandboxes


class HookFailed(Exception):
    """The message may contain output of the container: it goes to the status, never into an event."""


class Hooks:
    def __init__(self, *, runtime: Sandboxes, host: Host):
        self._runtime = runtime
        self._host = host

    async def run(self, pod: Obj, spec: Obj, container: Container, hook: Obj, ip: str) -> None:
        """Until it has ended; the caller limits the time. Raises HookFailed."""
        name = spec["name"]
        where = f'for Container "{name}" in Pod "{full_name(pod)}" failed - error: '
        if hook.get("exec") is not None:
            command = hook["exec"].get("command") or []
            words = f"Exec lifecycle hook ([{' '.join(command)}]) {where}"
            try:
                result = await self._runtime.exec_sync(container.id, command, 0)
            except RuntimeFailure as e:
                raise HookFailed(f'{words}{e}, message: ""') from e
            if result.exit_code:
                output = (result.stdout + result.stderr)[: 10 << 10].decode("utf-8", "replace")
                why = f"command '{' '.join(command)}' exited with {result.exit_code}: {output}"
                raise HookFailed(f'{words}{why}, message: "{output}"')
        elif hook.get("httpGet"):
            words = f"HTTP lifecycle hook ({hook['httpGet'].get('path', '/')}) {where}"
            try:
                answer = await self._host.probe(target("hook", spec, hook, container, ip, 60.0))
            except (OSError, ValueError) as e:
                raise HookFailed(f"{words}{e}") from e
            if not answer.ok:
                raise HookFailed(f"{words}{answer.output}")
        elif hook.get("sleep"):
            await asyncio.sleep(float(hook["sleep"].get("seconds") or 0))
