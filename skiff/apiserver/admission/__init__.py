"""Admission: what may change or refuse a write between authorization and the store.

An ordered chain of plugins, one per module. First every interested plugin mutates in order (once more when a webhook or a
policy made a difference), then every one validates in order; a refusal is a StatusError. Plugins read the cluster
through a Lookup and write through a Client; they do not know their neighbours. `builtin.plugins()` is the list, in upstream's order (kubeapiserver options, AllOrderedPlugins).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from skiff.api.errors import StatusError, forbidden
from skiff.api.types import GVR, Obj
from skiff.wire.messages import UserInfo

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True, kw_only=True)
class Attributes:
    """One write on its way.

    gvr, subresource: what the URL names ("" = the object itself). name: "" while generateName is pending, and for the
          objects of a deletecollection.
    obj: the new object; mutate may change it in place or replace it. None for DELETE. For a subresource it is what was
         sent (Binding, Eviction, Scale, TokenRequest); for `status` and patches the complete new parent object; for
         CONNECT the query as an object (PodExecOptions).
    old: the stored object of an UPDATE or DELETE, shared, read-only. None for CREATE and CONNECT.
    options: the request's CreateOptions, UpdateOptions or DeleteOptions as JSON; of CONNECT there are none.
    warnings: sentences for the Warning headers. annotations: for the audit log.
    deadline: when the request has to be answered, by the loop's clock; None: nobody waits for it.
    changed: what is outside the server, a webhook or a policy, has changed `obj`: what a client may not set is to be kept
             once more. reinvoke: who mutated before may want to see that; again: this is the pass in which he does.
    memory: what a plugin keeps from one pass to the other, by its name.
    """

    operation: Operation
    gvr: GVR
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    obj: Obj | None = None
    old: Obj | None = None
    user: UserInfo
    dry_run: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    deadline: float | None = None
    changed: bool = False
    reinvoke: bool = False
    again: bool = False
    memory: dict[str, Any] = field(default_factory=dict)

    def forbid(self, why: str) -> StatusError:
        """403 in upstream's words: `pods "x" is forbidden: why`. While a name is pending, generateName stands for it."""
        name = self.name
        if not name:
            meta = (self.obj or {}).get("metadata") or {}
            name = meta.get("name") or meta.get("generateName") or "Unknown"
        return forbidden(self.gvr, name, why)


class Plugin:
    """One admission plugin. Subclasses say what they look at and override one or both methods.

    operations: which operations. resources: group resources (`pods`, `ingresses.networking.k8s.io`), with `/subresource`
    for subresources (`pods/ephemeralcontainers`); None: every resource and subresource. last: it mutates when all others
    are through, and only once: upstream does its work after admission.
    """

    name: str
    operations: frozenset[Operation] = frozenset(("CREATE", "UPDATE"))
    resources: frozenset[str] | None = None
    last: bool = False

    async def mutate(self, attrs: Attributes) -> None:
        """May change attrs.obj. Called in chain order; a second time when somebody set attrs.reinvoke (and again only
        after a write conflict)."""

    async def validate(self, attrs: Attributes) -> None:
        """May only refuse. Sees the object as it will be stored."""

    async def close(self) -> None:
        """Lets go of what it holds outside the process."""


class Chain:
    """The plugins in order. Which of them look at a resource is computed once per (operation, resource, subresource)."""

    def __init__(self, plugins: Sequence[Plugin]):
        self.plugins = list(plugins)
        self._mutating: dict[tuple[str, str, str], tuple[list[Plugin], list[Plugin]]] = {}
        self._validating: dict[tuple[str, str, str], list[Plugin]] = {}

    async def mutate(self, attrs: Attributes) -> None:
        """Runs the mutating half. Raises the first refusal."""
        key = (attrs.operation, attrs.gvr.group_resource, attrs.subresource)
        plugins = self._mutating.get(key)
        if plugins is None:
            found = self._interested(key, "mutate")
            plugins = self._mutating[key] = [p for p in found if not p.last], [p for p in found if p.last]
        first, last = plugins
        for plugin in first:
            await plugin.mutate(attrs)
        if attrs.reinvoke:
            attrs.again = True
            for plugin in first:
                await plugin.mutate(attrs)
        for plugin in last:
            await plugin.mutate(attrs)

    async def validate(self, attrs: Attributes) -> None:
        """Runs the validating half. Raises the first refusal."""
        key = (attrs.operation, attrs.gvr.group_resource, attrs.subresource)
        plugins = self._validating.get(key)
        if plugins is None:
            plugins = self._validating[key] = self._interested(key, "validate")
        for plugin in plugins:
            await plugin.validate(attrs)

    async def close(self) -> None:
        for plugin in self.plugins:
            await plugin.close()

    def _interested(self, key: tuple[str, str, str], method: str) -> list[Plugin]:
        operation, resource, subresource = key
        full = f"{resource}/{subresource}" if subresource else resource
        return [
            p
            for p in self.plugins
            if operation in p.operations
            and (p.resources is None or full in p.resources)
            and getattr(type(p), method) is not getattr(Plugin, method)
        ]
