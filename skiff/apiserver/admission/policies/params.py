"""The objects that a binding gives to its policy as `params`, read from the watch caches."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skiff.api.types import Obj
from skiff.apiserver.admission.policies.configuration import Binding, Policy
from skiff.apiserver.cache import WatchCache
from skiff.apiserver.entries import Entry
from skiff.apiserver.registry import Registry
from skiff.apiserver.served import Served

SYNC_S = 1.0


class ParamError(Exception):
    """A binding whose parameters cannot be had."""


def unknown_kind(registry: Registry, policy: Policy) -> str:
    """Why a policy's paramKind cannot be used, "" if it can or there is none."""
    kind = policy.param_kind
    if kind is None or _served(registry, kind) is not None:
        return ""
    group, _, version = kind.get("apiVersion", "").rpartition("/")
    return f"failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind.get('kind', '')}'"


def _served(registry: Registry, kind: Mapping[str, Any]) -> Served | None:
    return registry.of_kind(kind.get("apiVersion", ""), kind.get("kind", ""))


async def collect(registry: Registry, policy: Policy, binding: Binding, namespace: str) -> Sequence[Obj | None]:
    """One evaluation for each: [None] without parameters, [] where none were found and that is all right. namespace: the
    request's. Raises ParamError."""
    kind, reference = policy.param_kind, binding.params
    if kind is None or reference is None:
        return [None]
    served = _served(registry, kind)
    assert served is not None
    own = reference.get("namespace", "")
    if served.gvr.namespaced:
        namespace = own or namespace
        if not namespace:
            raise ParamError("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    elif own:
        raise ParamError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    else:
        namespace = ""
    await _ready(served, kind)
    found = [served.shown(entry) for entry in _entries(served.cache, binding, reference, namespace)]
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise ParamError("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found


async def _ready(served: Served, kind: Mapping[str, Any]) -> None:
    if served.cache.loaded:
        return
    try:
        await asyncio.wait_for(served.cache.ready(), SYNC_S)
    except TimeoutError:
        shown = f"&ParamKind{{APIVersion:{kind.get('apiVersion', '')},Kind:{kind.get('kind', '')},}}"
        raise ParamError(f"paramKind kind `{shown}` not yet synced to use for admission") from None


def _entries(cache: WatchCache, binding: Binding, reference: Mapping[str, Any], namespace: str) -> Iterable[Entry]:
    name, selector = reference.get("name", ""), binding.selector
    if name and selector is not None:
        raise ParamError("paramRef.name and paramRef.selector are mutually exclusive")
    if name:
        entry = cache.get(namespace, name)
        return [entry] if entry is not None else []
    if selector is None:
        raise ParamError("one of name or selector must be provided")
    for requirement in selector.requirements:
        value = selector.exact(requirement.key)
        indexed = cache.by_label(requirement.key, value, namespace, None) if value is not None else None
        if indexed is not None:
            return [entry for entry in indexed if selector.matches(entry.labels)]
    return [entry for entry in cache.entries(namespace) if selector.matches(entry.labels)]
